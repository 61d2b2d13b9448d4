"""What stands beside the body of a Word document: heads and feet of its pages, footnotes, endnotes
and comments. Each is told once, after the body, so that no sentence is cut in two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rag.errors import UnreadableDocument

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_KINDS = ("header", "footer", "footnotes", "endnotes", "comments")
_SEPARATORS = ("separator", "continuationSeparator", "continuationNotice")

Text = Callable[[Any], str]


def beside_the_body(document: Any, text_of: Text) -> Iterator[str]:
    """The texts of a python-docx document that its body does not hold; `text_of` gives that of a
    paragraph. Raises UnreadableDocument where a part is no XML."""
    told: set[str] = set()
    for kind, root in _parts(document):
        for piece in _pieces(kind, root, text_of):
            if piece not in told:  # the head of each section is often the same
                told.add(piece)
                yield piece


def _parts(document: Any) -> Iterator[tuple[str, Any]]:
    from lxml import etree

    found = []
    for number, relation in enumerate(document.part.rels.values()):
        kind = relation.reltype.rpartition("/")[2]
        if kind in _KINDS and not relation.is_external:
            found.append((_KINDS.index(kind), number, relation.target_part.blob))
    for kind_number, _, blob in sorted(found):
        try:
            root = etree.fromstring(blob, etree.XMLParser(resolve_entities=False, no_network=True))
        except etree.LxmlError as exc:
            raise UnreadableDocument(
                f"the {_KINDS[kind_number]} of the Word document are damaged ({str(exc)[:100]}); "
                "save it again"
            ) from exc
        yield _KINDS[kind_number], root


def _pieces(kind: str, root: Any, text_of: Text) -> Iterator[str]:
    if kind in ("header", "footer"):
        yield _joined(root, text_of)
        return
    for note in root:
        if note.get(_W + "type") in _SEPARATORS:
            continue
        text = _joined(note, text_of)
        if text and kind == "comments":
            author = note.get(_W + "author") or ""
            text = f"Comment by {author}: {text}" if author else f"Comment: {text}"
        yield text


def _joined(parent: Any, text_of: Text) -> str:
    lines = (text_of(paragraph).strip() for paragraph in _outermost(parent))
    return "\n".join(filter(None, lines))


def _outermost(parent: Any) -> Iterator[Any]:
    """Paragraphs that stand in no other one: those of text boxes are told by theirs."""
    for child in parent:
        if child.tag == _W + "p":
            yield child
        else:
            yield from _outermost(child)
