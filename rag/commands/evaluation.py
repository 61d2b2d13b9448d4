"""`attest eval run` and `attest eval retrieval`; the work is done in `eval.commands`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rag.commands.opening import opened
from rag.commands.terminal import Terminal
from rag.domain import Leg


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("eval", parents=[common], help="measure answers and retrieval")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    running = verbs.add_parser("run", parents=[common], help="answers from the passages given")
    running.add_argument("file", type=Path, metavar="FILE.jsonl.gz")
    running.add_argument("--limit", type=_count, metavar="N")
    running.add_argument("--distractors", type=_count, default=0, metavar="N")
    running.add_argument("--predictions", type=Path, metavar="OUT.jsonl")
    running.add_argument("--adapter", metavar="NAME|none")
    running.add_argument("--seed", type=int, default=0)
    running.set_defaults(run=run)

    finding = verbs.add_parser("retrieval", parents=[common], help="a BEIR folder")
    finding.add_argument("folder", type=Path, metavar="FOLDER")
    finding.add_argument("--leg", choices=[leg.value for leg in Leg], default="hybrid")
    finding.add_argument("--limit", type=_count, metavar="N")
    finding.set_defaults(run=retrieval)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a number from 0 up")
    return value


def run(asked: argparse.Namespace, terminal: Terminal) -> int:
    from eval import commands

    with opened(asked, create=True) as attest:
        report = commands.run(
            attest,
            asked.file,
            limit=asked.limit,
            distractors=asked.distractors,
            predictions=asked.predictions,
            adapter=asked.adapter,
            seed=asked.seed,
            progress=terminal.progress,
        )
    terminal.result(report, commands.text(report))
    return 0


def retrieval(asked: argparse.Namespace, terminal: Terminal) -> int:
    from eval import commands

    with opened(asked, create=True) as attest:
        report = commands.retrieval(
            attest,
            asked.folder,
            leg=Leg(asked.leg),
            limit=asked.limit,
            progress=terminal.progress,
        )
    terminal.result(report, commands.text(report))
    return 0
