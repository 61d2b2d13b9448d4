"""`attest kv`: the KV blocks of passages that are kept in this data folder; for administrators."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.errors import NotPermitted
from rag.wire import Json

if TYPE_CHECKING:
    from rag.bootstrap import Attest

ENDS = {
    "done": "every chunk has the block it can have",
    "stopped": "the time is over; the next one goes on here",
    "full": "the disk's room for blocks ahead of use is used up (kv_disk_bytes)",
}


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("kv", parents=[common], help="the KV blocks of passages")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    warming = verbs.add_parser(
        "warm", parents=[common], help="make them before they are asked for, the newest first"
    )
    warming.add_argument("collection", nargs="?", metavar="COLLECTION", help="default: all")
    warming.add_argument("--seconds", type=float, metavar="N", help="for at most so long")
    warming.set_defaults(run=warm)
    showing = verbs.add_parser("show", parents=[common], help="how many there are, and of what")
    showing.set_defaults(run=show)
    clearing = verbs.add_parser("clear", parents=[common], help="lose them; they come back")
    clearing.set_defaults(run=clear)


def warm(asked: argparse.Namespace, terminal: Terminal) -> int:
    from ingestion.warm import warm as make
    from rag.readers import AdaptedReaders

    until = time.monotonic() + (float("inf") if asked.seconds is None else asked.seconds)
    with opened(asked) as attest:
        _administer(asked, attest)
        readers = AdaptedReaders(
            attest.settings, attest.store, lambda: attest.block_store, passages_only=True
        )
        collection = None
        if asked.collection is not None:
            with attest.store() as work:
                collection = work.collections.named(asked.collection).id
        done = make(
            attest.store,
            readers,
            collection,
            lambda: time.monotonic() > until,
            lambda made: terminal.progress(f"{made} KV blocks made"),
        )
        readers.close()
    document: Json = {"made": done.blocks, "ended": done.ended}
    terminal.result(document, f"{done.blocks} KV blocks made: {ENDS[done.ended]}")
    return 0


def show(asked: argparse.Namespace, terminal: Terminal) -> int:
    from rag.kv_blocks import covered

    with opened(asked) as attest:
        _administer(asked, attest)
        blocks = attest.own_kv_blocks
        sizes, found = blocks.sizes(), covered(attest.store, blocks)
        budget = attest.settings.kv_disk_bytes
    chunks = sum(each.chunks for each in found)
    share = sum(each.with_block for each in found) / chunks if chunks else None
    rows: list[Json] = [asdict(each) for each in found]
    document: Json = {
        "blocks": len(sizes),
        "bytes": sum(sizes),
        "budget": budget,
        "share": share,
        "collections": rows,
    }
    lines = [f"{len(sizes)} KV blocks, {sum(sizes) / 2**20:.1f} of {budget / 2**20:.1f} MiB"]
    lines += [f"{o.collection}: {o.with_block} of {o.chunks} chunks have one" for o in found]
    terminal.result(document, "\n".join(lines))
    return 0


def clear(asked: argparse.Namespace, terminal: Terminal) -> int:
    with opened(asked) as attest:
        _administer(asked, attest)
        count = len(attest.own_kv_blocks.sizes())
        attest.own_kv_blocks.clear()
    terminal.result({"cleared": count}, f"{count} KV blocks removed; questions make them again")
    return 0


def _administer(asked: argparse.Namespace, attest: Attest) -> None:
    """Raises NotPermitted."""
    who = acting(asked, attest)
    if not who.admin:
        raise NotPermitted(f"{who.user} is no administrator; KV blocks are of all collections")
