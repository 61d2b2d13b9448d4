"""`attest tune-fusion`; the work is done in `eval.fusing`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "tune-fusion",
        parents=[common],
        help="choose on your own questions how much meaning counts beside words",
        epilog='A question is a line {"question": ..., "documents": [NAME], "contains": [TEXT]}.',
    )
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE.jsonl")
    parser.add_argument("--collection", required=True, metavar="NAME")
    parser.add_argument(
        "--feedback", action="store_true", help="also on answers that users called right"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=tune)


def tune(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when the weight gained nothing and was not stored."""
    from eval import fusing

    with opened(asked) as attest:
        report = fusing.run(
            attest,
            asked.collection,
            asked.files,
            feedback=asked.feedback,
            who=acting(asked, attest),
            seed=asked.seed,
            progress=terminal.progress,
        )
    terminal.result(report, fusing.text(report))
    return 0 if report["stored"] else 1
