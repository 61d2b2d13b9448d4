"""Training records: questions with passages, gold passages and answers (the JSON Lines schema that
`attest eval run` reads too), and the answer text an adapter should learn for each.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.training.errors import BadRecords

KINDS = ("span", "sentence", "yesno", "free", "number")


@dataclass(frozen=True, slots=True)
class TrainingPassage:
    id: str
    title: str
    text: str

    @property
    def shown(self) -> str:
        """The passage as the reader sees it."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Record:
    """`gold` are the passages that hold the answer; all of `passages` came with the question.
    `target` is the text to learn, without its marker; empty when unanswerable."""

    id: str
    dataset: str
    doc: str
    question: str
    passages: tuple[TrainingPassage, ...]
    gold: tuple[str, ...]
    answers: tuple[str, ...]
    kind: str
    target: str

    @property
    def answerable(self) -> bool:
        return bool(self.target)

    def fits(self, words: int) -> bool:
        """Whether the text to learn is at most that long."""
        return len(self.target.split()) <= words


def read_records(path: Path, max_target_words: int = 60) -> Iterator[Record]:
    """Records of a .jsonl or .jsonl.gz file; those whose answer is longer are left out. Raises
    BadRecords with file and line."""
    number = 0
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip() and (record := _parsed(line, path, number)).fits(max_target_words):
                    yield record
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as exc:
        raise BadRecords(f"{path}, after line {number}: {exc}") from exc


def _parsed(line: str, path: Path, number: int) -> Record:
    try:
        return _record(json.loads(line))
    except KeyError as exc:
        raise BadRecords(f"{path}, line {number}: there is no {exc}") from exc
    except (ValueError, TypeError, AttributeError, LookupError) as exc:
        raise BadRecords(f"{path}, line {number}: {exc}") from exc


def _record(raw: dict[str, Any]) -> Record:
    """Raises ValueError, KeyError, TypeError or AttributeError for what is no record."""
    passages = tuple(
        TrainingPassage(str(p["id"]), str(p.get("title") or ""), str(p["text"]))
        for p in raw["passages"]
    )
    answers = tuple(str(a) for a in raw["answers"])
    gold = tuple(str(g) for g in raw["gold"])
    answerable, kind = bool(raw["answerable"]), str(raw["kind"])
    if kind not in KINDS:
        raise ValueError(f"the kind {kind!r} is unknown; there are {', '.join(KINDS)}")
    if not passages:
        raise ValueError("there are no passages")
    if unknown := set(gold) - {p.id for p in passages}:
        raise ValueError(f"gold names {min(unknown)!r}, which is none of the passages")
    if answerable and not (gold and answers and answers[0].strip()):
        raise ValueError("an answerable question needs an answer and a gold passage")
    question = str(raw["question"])
    if not question.strip():
        raise ValueError("the question is empty")
    return Record(
        id=str(raw["id"]),
        dataset=str(raw["dataset"]),
        doc=str(raw["doc"]),
        question=with_history(question, [str(h) for h in raw.get("history") or ()]),
        passages=passages,
        gold=_cited(raw, gold, passages, answers) if answerable else gold,
        answers=answers,
        kind=kind,
        target=target_of(answers[0], kind) if answerable else "",
    )


def with_history(question: str, history: list[str]) -> str:
    """The question after the conversation's last turns, as the reader sees it."""
    turns = [turn.strip() for turn in history[-4:]]
    return "\n".join([*turns, question.strip()]) if turns else question.strip()


def _cited(
    raw: dict[str, Any],
    gold: tuple[str, ...],
    passages: tuple[TrainingPassage, ...],
    answers: tuple[str, ...],
) -> tuple[str, ...]:
    """The gold passages whose evidence reads like the first answer; else all gold ones."""
    text = {p.id: p.text for p in passages}
    said = [
        str(e["passage"])
        for e in raw.get("evidence") or ()
        if text[e["passage"]][e["start"] : e["end"]].strip() in answers[0]
    ]
    return tuple(dict.fromkeys(said or gold))


def target_of(answer: str, kind: str) -> str:
    """The text to learn for an answer: on one line; yes or no as a sentence."""
    answer = re.sub(r"\s+", " ", answer).strip()
    return answer[:1].upper() + answer[1:] + "." if kind == "yesno" else answer


def contains_answer(passage: TrainingPassage, answers: Iterable[str]) -> bool:
    """Whether a passage spells out one of the answers (as whole words, ignoring case)."""
    text = passage.text.lower()
    return any(
        re.search(rf"(?<!\w){re.escape(a)}(?!\w)", text)
        for a in (answer.strip().lower() for answer in answers)
        if a
    )
