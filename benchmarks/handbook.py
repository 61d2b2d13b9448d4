"""A real handbook through `attest up`: pages in by the API, questions out, promises checked.

    python -m benchmarks.handbook FOLDER [--data DIR] [--weights DIR] [--kill]

FOLDER holds the handbook of 18F/TTS (251 Markdown pages, public domain). Every page is uploaded to
a fresh `attest up`, whose worker does the work; with --kill the busy worker's process group gets
kill -9 at 40% and everything is started again. Then it is checked over the API and in the database
that every page is indexed exactly once, `attest doctor` must find nothing, and the questions of
handbook_questions.jsonl are asked. Exit 1 when anything of that breaks, or when fewer than 17 of 20
questions have a right page among the first five passages. The numbers go to docs/experiments.md.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import exactly_once
from benchmarks.asking import FIRST, Asked, Question, ask
from benchmarks.ingesting import COLLECTION, Ingesting, started
from benchmarks.machine import machine
from benchmarks.running import ATTEST, NotUp
from rag.client import Client
from rag.commands.terminal import Terminal
from rag.domain import Verdict
from rag.errors import AttestError
from rag.settings import load_settings

QUESTIONS = Path(__file__).with_name("handbook_questions.jsonl")
NEEDED = 17  # questions of 20 with a right page among the first five passages


def run(folder: Path, data: Path, kill: bool) -> list[str]:
    """What is wrong, a line each. Raises AttestError, NotUp."""
    found = sorted(folder.rglob("*.md"))
    pages = {path.relative_to(folder).as_posix(): path for path in found}
    ingesting = Ingesting(pages, data, Terminal(json=False))
    if kill:
        ingesting.until_killed()
    with started(data) as (_, client):
        ingesting.whole(client)
        _print_seconds("the worker's steps", ingesting.seconds())
        wrong = [*ingesting.wrong, *sound(client, data, list(pages))]
        results = []
        print(f"\n{'page':<6}{'verdict':<10}{'quote':<7}{'search':>7}{'ask':>7}  question")
        for question in questions():
            results.append(ask(client, COLLECTION, question))
            print(_row(results[-1]), flush=True)
    read_by = results[-1].answer.replay
    print(f"\nread by {read_by.model}, adapter {read_by.adapter}")
    return wrong + judged(results)


def sound(client: Client, data: Path, names: Sequence[str]) -> list[str]:
    """Every page indexed exactly once, by the API and in the database; nothing for the doctor."""
    wrong = exactly_once.by_api(client, COLLECTION, names)
    collection = client.collection(COLLECTION).id
    wrong += exactly_once.by_sql(load_settings(data).database, collection, names)
    line = [*ATTEST, "doctor", "--data", str(data), "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    checks = json.loads(done.stdout).get("checks", [])
    print("attest doctor: " + ", ".join(f"{each['check']} {each['state']}" for each in checks))
    bad = [f"doctor: {each}" for each in checks if each["state"] != "ok"]
    if done.returncode and not bad:
        bad = [f"doctor ended with {done.returncode}: {done.stdout or done.stderr}"]
    return wrong + bad


def judged(results: Sequence[Asked]) -> list[str]:
    shown = [asked for asked in results if asked.answer.verdict is not Verdict.REFUSED]
    found = sum(asked.rank is not None for asked in results)
    broken = [f"{asked.question.question}: {what}" for asked in results for what in asked.broken]
    print(
        f"right page among the first {FIRST}: {found} of {len(results)}, at the top: "
        f"{sum(asked.rank == 1 for asked in results)}; answered {len(shown)}, with a right quote "
        f"{sum(asked.right for asked in shown)}; "
        f"{sum(len(asked.answer.citations) for asked in shown)} citations, {len(broken)} promises "
        "broken"
    )
    seconds: dict[str, list[float]] = defaultdict(list)
    for asked in results[1:]:
        for stage, spent in asked.answer.timings.items():
            seconds[stage].append(spent)
    _print_seconds("stages of an answer but the first", seconds)  # it waits for the weights
    if found < NEEDED:
        broken.append(f"only {found} questions have a right page in the first {FIRST}")
    return broken


def questions() -> list[Question]:
    rows = [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]
    return [Question(row["question"], tuple(row["pages"]), tuple(row["contains"])) for row in rows]


def _row(asked: Asked) -> str:
    refused = asked.answer.verdict is Verdict.REFUSED
    quote = "-" if refused else "right" if asked.right else "other"
    lines = [
        f"{asked.rank or 'none':<6}{asked.answer.verdict.value:<10}{quote:<7}"
        f"{asked.search_seconds:>7.2f}{asked.ask_seconds:>7.1f}  {asked.question.question}"
    ]
    if not refused:
        lines.append(f"{'':<39}{asked.answer.text}")
    lines += [f"{'':<39}BROKEN: {what}" for what in asked.broken]
    return "\n".join(lines)


def _print_seconds(what: str, seconds: dict[str, list[float]]) -> None:
    print(f"{what:<40}{'median s':>10}{'95th s':>10}{'sum s':>10}{'n':>6}")
    for name, spent in seconds.items():
        median, high = np.percentile(spent, [50, 95])
        print(f"  {name:<38}{median:>10.3f}{high:>10.3f}{sum(spent):>10.1f}{len(spent):>6}")


def give_weights(data: Path, weights: Path | None) -> None:
    """Those that were pulled before are linked into the data folder; without any, pull."""
    if weights is None:
        subprocess.run([*ATTEST, "models", "pull", "--data", str(data)], check=True)
        return
    models = load_settings(data).model_folder
    models.mkdir(parents=True, exist_ok=True)
    for folder in weights.resolve().iterdir():
        if folder.is_dir() and not (models / folder.name).exists():
            (models / folder.name).symlink_to(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    description = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.handbook", description=description)
    parser.add_argument("folder", type=Path, help="the handbook")
    parser.add_argument("--data", type=Path, help="keep the state here (default: thrown away)")
    parser.add_argument("--weights", type=Path, help="a folder of pulled models, to save the pull")
    parser.add_argument("--kill", action="store_true", help="kill the worker at 40%%")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="attest-handbook-") as thrown_away:
        data = asked.data or Path(thrown_away)
        try:
            give_weights(data, asked.weights)
            wrong = run(asked.folder, data, asked.kill)
        except (AttestError, NotUp, subprocess.CalledProcessError) as exc:
            wrong = [str(exc)]
    for what in wrong:
        print(f"WRONG: {what}")
    print("FAILED" if wrong else "all held")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
