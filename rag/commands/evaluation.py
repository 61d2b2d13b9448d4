"""`attest eval run`, `retrieval` and `verifier`; the work is done in `eval.commands`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rag.commands.opening import opened
from rag.commands.terminal import Terminal

LEGS = ("hybrid", "dense", "lexical", "rrf", "reranked")
METHODS = ("lexical", "head")
CONTEXTS = ("given", "oracle", "none", "hybrid", "dense", "lexical")


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("eval", parents=[common], help="measure answers and retrieval")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    running = verbs.add_parser("run", parents=[common], help="answers from the passages given")
    running.add_argument("file", type=Path, metavar="FILE.jsonl.gz")
    running.add_argument("--limit", type=count, metavar="N", help="the first N records")
    running.add_argument("--distractors", type=count, default=0, metavar="N")
    running.add_argument("--predictions", type=Path, metavar="OUT.jsonl")
    running.add_argument("--adapter", metavar="NAME|none")
    running.add_argument("--seed", type=int, default=0)
    running.add_argument(
        "--context",
        choices=CONTEXTS,
        default="given",
        help="passages: as given, the gold ones, none, or found by a leg among all of the file",
    )
    running.add_argument(
        "--unanswerable-by-removal", action="store_true", help="take the gold passages away"
    )
    running.add_argument(
        "--injected", action="store_true", help="plant an instruction in one of the passages"
    )
    running.add_argument("--spread", action="store_true", help="draw --limit over the whole file")
    running.add_argument(
        "--attribution", action="store_true", help="also leave each passage out (slower)"
    )
    running.add_argument("--gate", type=Path, metavar="FILE.toml", help="exit 1 unless it passes")
    running.add_argument("--against", metavar="RUN_ID", help="compare with an earlier run")
    running.set_defaults(run=run)

    finding = verbs.add_parser("retrieval", parents=[common], help="a folder in BEIR's format")
    finding.add_argument("folder", type=Path, metavar="FOLDER")
    finding.add_argument("--leg", choices=LEGS, default="hybrid")
    finding.add_argument("--limit", type=count, metavar="N", help="the first N queries")
    finding.add_argument("--seed", type=int, default=0)
    finding.add_argument("--graded", action="store_true", help="keep the grades of the qrels")
    finding.set_defaults(run=retrieval)

    telling = verbs.add_parser("verifier", parents=[common], help="files of claims with evidence")
    telling.add_argument("files", type=Path, nargs="+", metavar="FILE.jsonl.gz")
    telling.add_argument("--method", choices=METHODS, help="default: as the settings say")
    telling.add_argument("--seed", type=int, default=0)
    telling.set_defaults(run=verifier)


def count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a number from 0 up")
    return value


def run(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when a gate was given and not passed."""
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
            context=asked.context,
            unanswerable_by_removal=asked.unanswerable_by_removal,
            spread=asked.spread,
            attribution=asked.attribution,
            injected=asked.injected,
            gate=asked.gate,
            against=asked.against,
            progress=terminal.progress,
        )
    terminal.result(report, commands.text(report))
    return 0 if report.get("gate", {}).get("passed", True) else 1


def retrieval(asked: argparse.Namespace, terminal: Terminal) -> int:
    from eval import commands

    with opened(asked, create=True) as attest:
        report = commands.retrieval(
            attest,
            asked.folder,
            leg=asked.leg,
            limit=asked.limit,
            seed=asked.seed,
            graded=asked.graded,
            progress=terminal.progress,
        )
    terminal.result(report, commands.text(report))
    return 0


def verifier(asked: argparse.Namespace, terminal: Terminal) -> int:
    from eval import commands

    with opened(asked, create=True) as attest:
        report = commands.verifier(
            attest,
            asked.files,
            method=asked.method,
            seed=asked.seed,
            progress=terminal.progress,
        )
    terminal.result(report, commands.text(report))
    return 0
