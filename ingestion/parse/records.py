"""JSON, JSON lines and XML as readable records: one line a value, under its path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.text import parse_text
from ingestion.parse.transcript import Transcript, squeeze
from ingestion.parse.values import written
from rag.domain import BlockKind, Parsed
from rag.errors import LimitExceeded, UnreadableDocument

_DEEPEST = 100
_TITLES = ("title", "name", "subject", "headline")

_W3C = "{http://www.w3.org/"

Path = tuple[str, ...]


def parse_json(data: bytes, limits: Limits) -> Parsed:
    """Parse JSON, or JSON values one a line; what is not valid JSON is read as text. Raises
    LimitExceeded for values nested too deeply, EmptyDocument."""
    transcript = Transcript(limits)
    found = read_json(decode(data))
    if found is None:
        return parse_text(data, limits)
    for value in found:
        _add(transcript, value)
    title = _title(found[0]) if len(found) == 1 else ""
    return transcript.finish("application/json", title=title, nothing="the JSON holds no values")


def read_json(text: str) -> list[Any] | None:
    """The values of a JSON text or of JSON lines; None where it is neither."""
    try:
        return [_loaded(text)]
    except ValueError:
        pass
    except RecursionError as exc:
        raise LimitExceeded("the JSON is nested too deeply to be read") from exc
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        return None
    try:
        return [_loaded(line) for line in lines]
    except (ValueError, RecursionError):
        return None


def _loaded(text: str) -> Any:
    """The value with its numbers as they are written, whatever their size, but for 3.0 as 3."""
    return json.loads(
        text, strict=False, parse_float=_plain, parse_int=str, parse_constant=str,
        object_pairs_hook=_with_all_values,
    )  # fmt: skip


def _plain(number: str) -> str:
    return number.removesuffix(".0")


def _with_all_values(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that stands in it more than once has the list of its values."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    together: dict[str, list[Any]] = {}
    for name, value in pairs:
        together.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in together.items()}


def _title(value: Any) -> str:
    if not isinstance(value, dict):
        return ""
    found = (value.get(name) for name in _TITLES)
    return next((each for each in found if isinstance(each, str)), "")[:300]


def _add(transcript: Transcript, value: Any) -> None:
    """A record is a block of its own; what a longer one holds in lists of records is parted."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, value = stack.pop()
        if len(path) > _DEEPEST:
            raise LimitExceeded(f"the data are nested more than {_DEEPEST} deep")
        lines: list[str] = []
        inner: list[tuple[Path, Any]] = []
        if isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
            inner = [(path, each) for each in value]
        else:
            for at, found in _leaves(value, path):
                if isinstance(found, list):
                    inner.append((at, found))
                else:
                    lines.append(_line(at, found))
        transcript.add(BlockKind.PARAGRAPH, "\n".join(filter(None, lines)))
        stack.extend(reversed(inner))


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Values with their paths in order; lists of records are handed on whole."""
    stack: list[tuple[Path, Any]] = [(path, value)]
    while stack:
        path, value = stack.pop()
        if len(path) > _DEEPEST:
            raise LimitExceeded(f"the data are nested more than {_DEEPEST} deep")
        if isinstance(value, dict):
            stack.extend(((*path, str(key)), each) for key, each in reversed(value.items()))
        elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
            yield path, value
        elif isinstance(value, list):
            yield path, ", ".join(filter(None, map(written, value)))
        else:
            yield path, written(value)


def _line(path: Path, value: str) -> str:
    text = squeeze(value)
    if not text:
        return ""
    name = squeeze(".".join(path))
    return f"{name}: {text}" if name else text


def parse_xml(data: bytes, limits: Limits) -> Parsed:
    """Parse XML data: entities are not expanded, nothing is fetched. Raises UnreadableDocument
    where it is not well formed, EmptyDocument."""
    transcript = Transcript(limits)
    root = xml_root(data, "the XML")
    _add_xml(transcript, root)
    return transcript.finish("application/xml", nothing="the XML holds no text")


def xml_root(data: bytes, what: str) -> Any:
    """The root element. Raises UnreadableDocument that names `what`."""
    from lxml import etree

    # Past 10 MB in one piece libxml2 asks for huge_tree, which lifts the guard on entities too.
    parser = etree.XMLParser(
        resolve_entities="internal", no_network=True, load_dtd=False,
        huge_tree=b"<!ENTITY" not in data,
    )  # fmt: skip
    try:
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError as exc:
            if "not defined" not in str(exc):
                raise
            # an entity that stands in another file is left out, and nothing is fetched for it
            kept = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
            root = etree.fromstring(data, kept)
    except (etree.LxmlError, ValueError) as exc:
        if "Excessive depth" in str(exc):
            raise LimitExceeded(
                f"{what} is nested too deeply to be read ({str(exc)[:60]})"
            ) from exc
        raise UnreadableDocument(
            f"{what} is not well formed ({str(exc)[:150]}); export it again"
        ) from exc
    return root


def _add_xml(transcript: Transcript, root: Any) -> None:
    """An element whose children hold text only is a record; mixed text is a paragraph."""
    stack = [root]
    while stack:
        element = stack.pop()
        if not isinstance(element.tag, str):
            continue
        children = [child for child in element if isinstance(child.tag, str)]
        own = [*_attributes(element), squeeze(element.text or "")]
        mixed = any((child.tail or "").strip() for child in element)
        if not children or mixed:
            transcript.add(BlockKind.PARAGRAPH, _line((_local(element),), _all_text(element)))
        elif all(len(child) == 0 for child in children):
            lines = own + [_line((_local(child),), _all_text(child)) for child in children]
            transcript.add(BlockKind.PARAGRAPH, "\n".join(filter(None, lines)))
        else:
            transcript.add(BlockKind.PARAGRAPH, "\n".join(filter(None, own)))
            stack.extend(reversed(children))


def _all_text(element: Any) -> str:
    """What the element says in its attributes and in the text anywhere below it."""
    text = squeeze(" ".join(map(str, element.itertext())))
    return "; ".join(filter(None, [*_attributes(element), text]))


def _attributes(element: Any) -> list[str]:
    """The attributes as "name: value"; those of XML itself and of its schemas say nothing."""
    own = ((name, value) for name, value in element.attrib.items() if _W3C not in name)
    return [_line((name.rpartition("}")[2],), value) for name, value in own]


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
