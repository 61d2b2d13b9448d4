"""`attest calibrate`; the work is done in `eval.calibrating`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "calibrate",
        parents=[common],
        help="choose how sure an answer must be, for a stated wrong-answer rate",
    )
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE.jsonl.gz")
    parser.add_argument("--collection", metavar="NAME", help="store the result with it")
    parser.add_argument("--wrong-rate", type=share, default=0.05, metavar="SHARE")
    parser.add_argument("--limit", type=int, metavar="N", help="N records drawn over each file")
    parser.add_argument("--distractors", type=int, default=4, metavar="N")
    parser.add_argument(
        "--removed",
        type=share,
        default=0.3,
        metavar="SHARE",
        help="of the answerable questions: without their gold passage",
    )
    parser.add_argument(
        "--held-out",
        type=share,
        default=0.5,
        metavar="SHARE",
        help="of the questions: kept to measure on",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=calibrate)


def share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("a share from 0 to below 1")
    return value


def calibrate(asked: argparse.Namespace, terminal: Terminal) -> int:
    from eval import calibrating

    labelled = calibrating.Labelled(
        asked.files, asked.limit, asked.distractors, asked.removed, asked.seed
    )
    with opened(asked, create=True) as attest:
        report = calibrating.run(
            attest,
            labelled,
            wrong_rate=asked.wrong_rate,
            held_out=asked.held_out,
            collection=asked.collection,
            who=acting(asked, attest),
            progress=terminal.progress,
        )
    terminal.result(report, calibrating.text(report))
    return 0
