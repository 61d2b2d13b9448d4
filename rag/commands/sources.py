"""`attest sources`: add, list, show, sync, remove."""

from __future__ import annotations

import argparse
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.commands.ingest import pair
from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.domain import Origin, OriginItem, OriginKind, Principal, Right
from rag.errors import BadInput, Conflict
from rag.reach import collection_for
from rag.wire import Json, to_json

if TYPE_CHECKING:
    from rag.bootstrap import Attest

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "sources", parents=[common], help="folders, pages and buckets to keep in step with"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    made = {}
    for verb, run, about in (
        ("add", add_source, "bring documents from a place, and follow its changes"),
        ("list", list_sources, "where a collection's documents are brought from"),
        ("show", show_source, "what was seen there, and what was not taken"),
        ("sync", sync_sources, "now"),
        ("remove", remove_source, "follow it no more"),
    ):
        made[verb] = verbs.add_parser(verb, parents=[common], help=about)
        made[verb].set_defaults(run=run)
        made[verb].add_argument("--collection", required=True, metavar="NAME")
    for verb in ("add", "show", "remove"):
        made[verb].add_argument("name", metavar="NAME")
    made["sync"].add_argument("names", nargs="*", metavar="NAME", help="default: all of them")
    made["sync"].add_argument(
        "--confirm", action="store_true", help="what was held back since it vanished is really gone"
    )
    made["remove"].add_argument(
        "--documents", choices=("keep", "delete"), required=True, help="what it brought"
    )
    _add_options(made["add"])


def _add_options(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--folder", metavar="PATH", help="below one of the settings' source_roots")
    place.add_argument("--url", action="append", metavar="URL", help="a page; several are allowed")
    place.add_argument("--urls", type=Path, metavar="FILE", help="pages, an address a line")
    place.add_argument("--sitemap", metavar="URL")
    place.add_argument("--bucket", metavar="ADDRESS", help="such as s3://reports/2026")
    for option in ("include", "exclude"):
        parser.add_argument(f"--{option}", action="append", default=[], metavar="PATTERN")
    parser.add_argument("--prefix", default="", help="what the documents' names begin with")
    parser.add_argument(
        "--every", type=_seconds, metavar="TIME", help="30s, 5m, 2h, 1d; 0: only when asked"
    )
    parser.add_argument(
        "--reader", action="append", metavar="GROUP", help="only these groups may read them"
    )
    parser.add_argument("--metadata", action="append", default=[], type=pair, metavar="KEY=VALUE")


def _seconds(text: str) -> float:
    number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)
    try:
        return float(number) * unit
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 30s or 5m") from exc


def add_source(asked: argparse.Namespace, terminal: Terminal) -> int:
    from ingestion.origins.keeping import add, default_interval

    kind, addresses = _place(asked)
    origin = Origin(
        id="",
        collection="",
        name=asked.name,
        kind=kind,
        addresses=addresses,
        user="",
        include=tuple(asked.include),
        exclude=tuple(asked.exclude),
        prefix=asked.prefix,
        every=default_interval(kind) if asked.every is None else asked.every,
        readers=None if asked.reader is None else frozenset(asked.reader),
        metadata=dict(asked.metadata),
    )
    with opened(asked) as attest:
        made = add(attest, acting(asked, attest), asked.collection, origin)
    said = f"added {made.name}; `attest up` syncs it within seconds, `attest sources sync` now"
    terminal.result({"source": to_json(made)}, said)
    return 0


def _place(asked: argparse.Namespace) -> tuple[OriginKind, tuple[str, ...]]:
    if asked.folder is not None:
        return OriginKind.FOLDER, (os.path.abspath(asked.folder),)
    if asked.sitemap is not None:
        return OriginKind.SITEMAP, (asked.sitemap,)
    if asked.bucket is not None:
        return OriginKind.BUCKET, (asked.bucket,)
    if asked.urls is None:
        return OriginKind.URLS, tuple(asked.url)
    try:
        lines = asked.urls.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInput(f"{asked.urls} cannot be read: {exc}") from exc
    kept = (line.strip() for line in lines)
    return OriginKind.URLS, tuple(line for line in kept if line and not line.startswith("#"))


def list_sources(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        held = _held(attest, acting(asked, attest), asked.collection, [])
    text = "\n".join(_line(origin) for origin in held) or "no sources"
    terminal.result({"sources": to_json(held)}, text)
    return 0


def show_source(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        (origin,) = _held(attest, acting(asked, attest), asked.collection, [asked.name])
        with attest.store() as work:
            items = work.origins.items(origin.id)
    lines = [_line(origin), *(f"  {address}" for address in origin.addresses)]
    lines += [f"  {_state(item):<8} {item.key}{item.error and ': ' + item.error}" for item in items]
    terminal.result({"source": to_json(origin), "items": to_json(items)}, "\n".join(lines))
    return 0


def sync_sources(asked: argparse.Namespace, terminal: Terminal) -> int:
    """In this process; what is handed in waits for a worker. Exit 1 when something went wrong."""
    from ingestion.origins.keeping import ask
    from ingestion.origins.sync import sync
    from ingestion.queue import CeleryQueue

    done = []
    with opened(asked) as attest:
        who = acting(asked, attest)
        queue = CeleryQueue(attest.settings)
        for origin in _held(attest, who, asked.collection, asked.names):
            ask(attest, who, asked.collection, origin.name, asked.confirm)
            terminal.say(f"syncing {origin.name}")
            found = sync(attest, queue, origin.id, f"command:{os.getpid()}:{uuid.uuid4().hex[:12]}")
            if found is None:
                raise Conflict(f"{origin.name} is being synced already; it is done again after")
            done.append(found)
    terminal.result({"sources": to_json(done)}, "\n".join(map(_line, done)) or "no sources")
    return 1 if any(origin.error or origin.counts.get("failed") for origin in done) else 0


def remove_source(asked: argparse.Namespace, terminal: Terminal) -> int:
    from ingestion.origins.keeping import remove

    with opened(asked) as attest:
        delete = asked.documents == "delete"
        who = acting(asked, attest)
        deleted = remove(attest, who, asked.collection, asked.name, delete)
    said: Json = {"source": asked.name, "deleted": deleted}
    terminal.result(said, f"removed {asked.name}; {deleted} documents deleted")
    return 0


def _held(attest: Attest, who: Principal, collection: str, names: list[str]) -> list[Origin]:
    """Those of these names, or all."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.WRITE)
        if not names:
            return work.origins.all(held.id)
        return [work.origins.named(held.id, name) for name in names]


def _line(origin: Origin) -> str:
    when = "never synced" if origin.synced is None else f"{origin.synced:%Y-%m-%d %H:%M:%S}"
    state = "syncing" if origin.syncing else when
    line = f"{origin.name}  {origin.kind.value}  {origin.documents} documents  {state}"
    numbers = counted(origin.counts)
    return line + (f"  {numbers}" if numbers else "") + (f"\n  {origin.error}" * bool(origin.error))


def counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {what}" for what, number in counts.items())


def _state(item: OriginItem) -> str:
    if item.missing:
        return "missing"
    return "failed" if item.error else "taken"
