"""Samples, answers and readers for the tests of evaluation."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.samples import Sample, read
from eval.scorers.squad import tokens
from rag.domain import Answer, Citation, Passage, Replay, Sampling, Verdict


def record(city: str, /, **changes: Any) -> dict[str, Any]:
    """A valid record about one city."""
    text = f"{city} is a city. The river of {city} is the {city}wash. It has a bridge."
    start = text.index(f"the {city}wash")
    made: dict[str, Any] = {
        "id": f"q-{city}",
        "dataset": "cities",
        "question": f"What is the river of {city}?",
        "history": [],
        "passages": [
            {"id": f"{city}#0", "title": city, "text": text},
            {"id": f"{city}#1", "title": city, "text": f"{city} was founded long ago by traders."},
        ],
        "gold": [f"{city}#0"],
        "answers": [f"the {city}wash"],
        "evidence": [
            {"passage": f"{city}#0", "start": start, "end": start + len(f"the {city}wash")}
        ],
        "answerable": True,
        "kind": "span",
        "doc": "north" if city < "Lima" else "south",
        "meta": {},
    }
    return made | changes


def unanswerable(id: str) -> dict[str, Any]:
    question = f"Who is the mayor of {id}?"
    return record(id, question=question, gold=[], answers=[], evidence=[], answerable=False)


CITIES = ("Aarau", "Bonn", "Cork", "Lund", "Metz", "Nice", "Oslo", "Pisa")


def samples() -> list[Sample]:
    """Eight cities, two of them asked for what no passage says."""
    asked = [unanswerable(id) if id in ("Cork", "Pisa") else record(id) for id in CITIES]
    return [read(one) for one in asked]


def write(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    return path


class WordReader:
    """A deterministic reader: it answers with the sentence that shares most words with the
    question, cites its passage, and refuses when fewer than `least` words are shared."""

    def __init__(self, least: int = 4) -> None:
        self.least = least
        self.asked: list[str] = []

    def __call__(self, question: str, passages: Sequence[Passage]) -> Answer:
        self.asked.append(question)
        wanted = set(tokens(question))
        best, number, sentence = 0, 0, ""
        for i, passage in enumerate(passages, 1):
            for found in re.findall(r"[^.]+\.", passage.chunk.text):
                shared = len(wanted & set(tokens(found)))
                if shared > best:
                    best, number, sentence = shared, i, found.strip()
        return answer(question, passages, sentence if best >= self.least else "", number, best)


def answer(
    question: str, passages: Sequence[Passage], sentence: str, number: int, shared: int = 3
) -> Answer:
    citations: tuple[Citation, ...] = ()
    if sentence:
        chunk = passages[number - 1].chunk
        at = chunk.text.index(sentence)
        citations = (
            Citation(
                sentence=0,
                marker=number,
                chunk=chunk.id,
                document=chunk.id,
                document_name=chunk.id,
                version=chunk.version,
                start=at,
                end=at + len(sentence),
                quote=sentence,
                support=1.0,
            ),
        )
    return Answer(
        id="",
        collection="",
        question=question,
        text=f"{sentence} [{number}]" if sentence else "Not in the documents.",
        verdict=Verdict.ANSWERED if sentence else Verdict.REFUSED,
        confidence=min(shared / 6, 1.0),
        citations=citations,
        passages=tuple(passages),
        timings={"generate": 0.01},
        replay=Replay(0, "word", "none", "1", Sampling(), tuple(p.chunk.id for p in passages)),
        user="",
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def contained(premise: str, hypothesis: str, question: str = "") -> float:
    """Share of the hypothesis's tokens that the premise holds."""
    said = tokens(hypothesis)
    return sum(token in tokens(premise) for token in said) / len(said) if said else 0.0
