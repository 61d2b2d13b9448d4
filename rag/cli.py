"""The command `attest`.

Exit codes: 0 success, 1 failure, 2 bad usage. With --json stdout holds exactly one JSON document,
also for an error: `{"error": code, "message": ...}`. Diagnostics go to stderr.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from rag.commands import (
    accounts,
    adapters,
    calibration,
    evaluation,
    explaining,
    fusion,
    index,
    ingest,
    kv,
    library,
    models,
    purging,
    questions,
    reindexing,
    running,
    sources,
    tuning,
)
from rag.commands.terminal import Terminal
from rag.errors import AttestError, BadName, EmptyQuestion, QuestionTooLong
from rag.wire import error_json

OK, FAILURE, BAD_USAGE = 0, 1, 2
FAMILIES = (
    running,
    models,
    ingest,
    questions,
    explaining,
    library,
    sources,
    reindexing,
    purging,
    evaluation,
    calibration,
    fusion,
    tuning,
    adapters,
    kv,
    index,
    accounts,
)
BADLY_USED = (EmptyQuestion, QuestionTooLong, BadName)  # what is wrong stood on the command line

# How long a thread of torch waits awake for the others, in turns. The default (300,000) makes an
# answer ten times slower, on all cores, as soon as another process wants one of them.
SPIN = "1000"


class BadUsage(Exception):
    """argparse's complaint, with the usage of the command it is about."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadUsage(message, self.format_usage())


def parser() -> Parser:
    """Each command takes --data, --json and --as before or after its name."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--data", type=Path, metavar="DIR", help="the data folder")
    common.add_argument("--json", action="store_true", help="one JSON document on stdout")
    common.add_argument("--as", dest="user", metavar="USER", help="act with this user's rights")
    made = Parser(
        prog="attest",
        parents=[common],
        description="Answers from your own documents; every sentence cited and checked.",
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for family in FAMILIES:
        family.add(commands, common)
    return made


def parse(given: Sequence[str]) -> argparse.Namespace:
    """Raises BadUsage. The defaults stand here, since a default on a shared option would make the
    command's own parser forget what stood before its name."""
    defaults = argparse.Namespace(data=None, json=False, user=None, given=tuple(given))
    return parser().parse_args(given, defaults)


def main(arguments: Sequence[str] | None = None) -> int:
    given = sys.argv[1:] if arguments is None else arguments
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)  # for torch, here and in the children
    terminal = Terminal(json="--json" in given)
    try:
        asked = parse(given)
    except BadUsage as exc:
        terminal.say(f"{exc.usage}attest: {exc}")
        if terminal.json:
            terminal.result({"error": "bad_usage", "message": str(exc)})
        return BAD_USAGE
    signal.signal(signal.SIGTERM, _interrupt)  # so that what was opened is closed
    try:
        code: int = asked.run(asked, terminal)
        return code
    except AttestError as exc:
        terminal.say(f"attest: {exc}")
        if asked.json:
            terminal.result(error_json(exc))
        return BAD_USAGE if isinstance(exc, BADLY_USED) else FAILURE
    except KeyboardInterrupt:
        terminal.say("attest: interrupted")
        if asked.json:
            terminal.result({"error": "interrupted", "message": "stopped before it was done"})
        return FAILURE
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
