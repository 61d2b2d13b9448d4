"""`make eval`: asks every sample question of the ingested sample documents and scores the answers.

Scored from the documents, not from a stored answer: an answerable question is right when a shown
citation comes from the right document and its quote holds the expected words; an unanswerable one
when it is refused. Each mean is printed with n and a bootstrap interval. Needs `make demo` before.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.statistics import mean
from examples.demo import COLLECTION
from rag.domain import LOCAL_USER, Answer, Verdict
from rag.errors import AttestError

QUESTIONS = Path(__file__).parent / "questions.jsonl"


@dataclass(frozen=True)
class Result:
    question: Mapping[str, Any]
    answer: Answer
    seconds: float

    @property
    def refused(self) -> bool:
        return self.answer.verdict is Verdict.REFUSED

    @property
    def retrieved(self) -> bool:
        """The right document is among the passages that the answer was made from."""
        return self.question["document"] in {p.document_name for p in self.answer.passages}

    @property
    def right(self) -> bool:
        if not self.question["answerable"]:
            return self.refused
        return any(
            citation.document_name == self.question["document"]
            and all(
                words in " ".join(citation.quote.split()) for words in self.question["contains"]
            )
            for citation in self.answer.citations
        )


def evaluate(data: Path) -> list[Result]:
    """Raises AttestError; imports here, so that --help answers at once."""
    from rag.bootstrap import open_attest
    from rag.settings import load_settings

    results = []
    attest = open_attest(load_settings(data))
    try:
        for line in QUESTIONS.read_text("utf-8").splitlines():
            question = json.loads(line)
            began = time.monotonic()
            answer = attest.answering.ask(LOCAL_USER, COLLECTION, question["question"])
            result = Result(question, answer, time.monotonic() - began)
            results.append(result)
            mark = "right" if result.right else "refused" if result.refused else "WRONG"
            print(f"{mark:<8}{result.seconds:5.1f}s  {question['question']}", flush=True)
            if not result.right and not result.refused:
                print(f"                 {answer.text}")
    finally:
        attest.close()
    return results


def report(results: list[Result]) -> str:
    answerable = [one for one in results if one.question["answerable"]]
    rest = [one for one in results if not one.question["answerable"]]
    shown = [one for one in results if not one.refused]
    seconds = sorted(one.seconds for one in results)
    rows = (
        ("answerable: right document retrieved", [one.retrieved for one in answerable]),
        ("answerable: right quote cited", [one.right for one in answerable]),
        ("answerable: refused", [one.refused for one in answerable]),
        ("unanswerable: refused", [one.refused for one in rest]),
        ("shown answers that are right", [one.right for one in shown]),
    )
    lines = [f"{name:<40}{mean([float(hit) for hit in hits])}" for name, hits in rows]
    lines.append(
        f"{'seconds, median and slowest':<40}{seconds[len(seconds) // 2]:.1f}, {seconds[-1]:.1f}"
    )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make eval", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path("demo-data"), help="as `make demo` left it"
    )
    data: Path = parser.parse_args().data
    try:
        results = evaluate(data)
    except AttestError as exc:
        print(f"The evaluation FAILED: {exc}\nto mend it: run make demo first", file=sys.stderr)
        return 1
    print(f"\n{report(results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
