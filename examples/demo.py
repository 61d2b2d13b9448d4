"""`make demo`: from nothing to cited answers, with the same commands a user types.

Fetches the weights, ingests examples/documents through a real broker and worker, asks a few
questions and prints each answer with the words it rests on. Can be run again: weights and
documents that are there already are kept. All state is in one folder (`--data`).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.cli import SPIN
from rag.domain import LOCAL_USER, Answer, Verdict
from rag.errors import AttestError

DOCUMENTS = Path(__file__).parent / "documents"
COLLECTION = "hollin-cycles"
QUESTIONS = (
    "How many days of paid leave do full-time employees have?",
    "How soon must a lost or stolen device be reported?",
    "How much is the monthly rent of the workshop?",
    "When is the first service of the Heyday due?",
    "Which tyre brand does the Heyday come with?",  # the documents do not say
)


class StepFailed(Exception):
    """A command of the demo failed; the message says which, why, and what mends it."""


@dataclass(frozen=True)
class Demo:
    """Runs `attest` commands on one data folder."""

    command: Path
    data: Path

    def attest(self, *arguments: str, mend: str) -> dict[str, Any]:
        """One command's JSON document; its diagnostics go to the screen as they come."""
        line = [str(self.command), *arguments, "--data", str(self.data), "--json"]
        done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
        try:
            printed: dict[str, Any] = json.loads(done.stdout or "{}")
        except json.JSONDecodeError as exc:
            raise StepFailed(
                f"{shlex.join(line)}\nprinted something other than JSON: {done.stdout[:200]!r}"
            ) from exc
        if done.returncode:
            reasons = [
                f"  {each['path']}: {each['error']}"
                for each in printed.get("documents", ())
                if each["error"]
            ] or [f"  {printed.get('message', 'see the message above')}"]
            raise StepFailed(
                f"{shlex.join(line)}\nended with exit code {done.returncode}:\n"
                + "\n".join(reasons)
                + f"\nto mend it: {mend}"
            )
        return printed

    def fetch_weights(self) -> None:
        mend = (
            "check the network and pip's settings (pip config list), then run make demo again; it "
            "goes on where it stopped"
        )
        self.attest("models", "pull", mend=mend)

    def ingest(self) -> None:
        mend = f"read the logs in {self.data / 'logs'}, then run make demo again"
        ingest = ("ingest", str(DOCUMENTS), "--collection", COLLECTION, "--wait")
        report = self.attest(*ingest, mend=mend)
        for document in report["documents"]:
            name = Path(document["path"]).name
            print(f"  {name:<20} {document['state']:<8} {document['chunks']} chunks")
        print(f"  generation {report['generation']}")


def ask(data: Path, questions: Sequence[str]) -> int:
    """Ask in this process, as `attest ask` does, but reading the weights once. Returns how many
    questions were answered."""
    from rag.bootstrap import open_attest
    from rag.settings import load_settings

    answered = 0
    try:
        with closing(open_attest(load_settings(data))) as attest:
            print("      reading the weights", flush=True)
            attest.warm()  # else the first answer's seconds would hold those of the start
            for question in questions:
                began = time.monotonic()
                print(f"\n{wrapped(question, '  Q  ')}", flush=True)
                answer = attest.answering.ask(LOCAL_USER, COLLECTION, question)
                show(answer, time.monotonic() - began)
                answered += answer.verdict is not Verdict.REFUSED
    except AttestError as exc:
        mend = f"to mend it: run attest doctor --data {data}"
        raise StepFailed(f"asking failed: {exc}\n{mend}") from exc
    return answered


def show(answer: Answer, seconds: float) -> None:
    print(wrapped(answer.text, "  A  "))
    for citation in answer.citations:
        page = f", page {citation.page}" if citation.page else ""
        where = f"[{citation.marker}] {citation.document_name}{page}"
        print(wrapped(f"{where}: “{citation.quote}”", "       "))
    if not answer.citations:
        nearest = dict.fromkeys(passage.document_name for passage in answer.passages)
        print(wrapped(f"nearest sources: {', '.join(nearest) or 'none'}", "       "))
    print(f"       {answer.verdict}, {seconds:.1f} seconds", flush=True)


def wrapped(text: str, first: str) -> str:
    return textwrap.fill(
        " ".join(text.split()), 96, initial_indent=first, subsequent_indent=" " * len(first)
    )


def run(data: Path) -> None:
    beside = shutil.which("attest", path=str(Path(sys.executable).parent))
    if beside is None:
        raise StepFailed("the command `attest` is not installed\nto mend it: run make setup")
    demo = Demo(shortest(Path(beside)), data)
    print(f"[1/3] weights, into {data / 'models'}", flush=True)
    demo.fetch_weights()
    print(f"[2/3] ingesting {shortest(DOCUMENTS)} with a broker and a worker", flush=True)
    demo.ingest()
    print(f"[3/3] {len(QUESTIONS)} questions", flush=True)
    answered = ask(data, QUESTIONS)
    if not answered:
        raise StepFailed("every question was refused\nto mend it: please report this as a bug")
    print(f"\nAsk your own:     {demo.command} ask '...' --collection {COLLECTION} --data {data}")
    print(f"Open it in a browser:  {demo.command} up --data {data}")


def shortest(path: Path) -> Path:
    """The path as a person here would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("demo-data"), help="where all state goes")
    data: Path = parser.parse_args().data
    began = time.monotonic()
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN)
    try:
        run(data)
    except StepFailed as exc:
        print(f"\nThe demo FAILED: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo was stopped. Run it again: what is done is kept.", file=sys.stderr)
        return 130
    print(f"Finished in {time.monotonic() - began:.0f} seconds. All of it is in {data}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
