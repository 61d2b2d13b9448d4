"""`attest purge`: remove for good what is deleted, and what was replaced long ago."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.errors import NotPermitted
from rag.ports import Removed
from rag.wire import Json


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "purge",
        parents=[common],
        help="remove for good what is deleted, and what was replaced long ago",
        description="The scheduler does the same every `purge_seconds`, without the search for "
        "strays that killed processes left. Deleted documents go at once, with the answers that "
        "rest on them; replaced versions after `replaced_seconds`, unless a kept answer rests on "
        "them.",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would go")
    parser.add_argument(
        "--shrink",
        action="store_true",
        help="write the database anew, without free room; whoever writes waits meanwhile",
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace, terminal: Terminal) -> int:
    from ingestion.purge import due, purge
    from rag.store.space import shrink

    with opened(asked) as attest:
        who = acting(asked, attest)
        if not who.admin:
            raise NotPermitted(f"{who.user} is no administrator; a purge is of all collections")
        if asked.dry_run:
            found = due(attest)
            terminal.result(_document(found, dry_run=True), f"would remove {_told(found)}")
            return 0
        purged = purge(
            attest,
            who.user,
            thorough=True,
            progress=lambda removed: terminal.progress(f"removed {_told(removed)}"),
        )
        if asked.shrink:
            terminal.progress("writing the database anew")
            shrink(attest.store.engine)
    document = _document(purged.removed, dry_run=False, settled=purged.settled)
    lines = [f"removed {_told(purged.removed)}"]
    if not purged.settled:
        lines.append(
            "a long reader kept the database's log from being emptied; the next purge does it"
        )
    terminal.result(document, "\n".join(lines))
    return 0


def _document(removed: Removed, **told: bool) -> Json:
    return {**asdict(removed), **told}


def _told(removed: Removed) -> str:
    counted = asdict(removed)
    its_bytes = counted.pop("bytes")
    said = ", ".join(f"{n:,} {what}" for what, n in counted.items() if n) or "nothing"
    return f"{said} ({its_bytes / 2**20:.1f} MiB)" if its_bytes else said
