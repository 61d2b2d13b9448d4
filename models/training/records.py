"""Training records: questions with passages, gold passages and answers (the JSON Lines schema that
`attest eval run` reads too), and the answer text an adapter should learn for each.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelError


class BadRecords(ModelError):
    """A training file with a line that cannot be used; names file and line."""


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


def read_records(path: Path, max_target_words: int = 60) -> Iterator[Record]:
    """Records of a .jsonl or .jsonl.gz file; those whose answer is longer are left out."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            try:
                record = _record(json.loads(line))
            except (ValueError, KeyError, TypeError) as exc:
                raise BadRecords(f"{path}, line {number}: {exc!r}") from exc
            if len(record.target.split()) <= max_target_words:
                yield record


def _record(raw: dict[str, object]) -> Record:
    passages = tuple(
        TrainingPassage(str(p["id"]), str(p.get("title") or ""), str(p["text"]))
        for p in raw["passages"]  # type: ignore[attr-defined]
    )
    answers = tuple(str(a) for a in raw["answers"])  # type: ignore[attr-defined]
    answerable, kind = bool(raw["answerable"]), str(raw["kind"])
    gold = _cited(raw, passages, answers) if answerable else tuple(map(str, raw["gold"]))  # type: ignore[call-overload]
    history = [str(h) for h in raw.get("history") or ()]  # type: ignore[attr-defined]
    return Record(
        id=str(raw["id"]),
        dataset=str(raw["dataset"]),
        doc=str(raw["doc"]),
        question=with_history(str(raw["question"]), history),
        passages=passages,
        gold=gold,
        answers=answers,
        kind=kind,
        target=_target(answers[0], kind) if answerable else "",
    )


def with_history(question: str, history: list[str]) -> str:
    """The question after the conversation's last turns, as the reader sees it."""
    turns = [turn.strip() for turn in history[-4:]]
    return "\n".join([*turns, question.strip()]) if turns else question.strip()


def _cited(
    raw: dict[str, object], passages: tuple[TrainingPassage, ...], answers: tuple[str, ...]
) -> tuple[str, ...]:
    """The gold passages whose evidence reads like the first answer; else all gold ones."""
    gold = [str(g) for g in raw["gold"]]  # type: ignore[attr-defined]
    text = {p.id: p.text for p in passages}
    said = [
        str(e["passage"])
        for e in raw.get("evidence") or ()  # type: ignore[attr-defined]
        if text[e["passage"]][e["start"] : e["end"]].strip() in answers[0]
    ]
    return tuple(dict.fromkeys(said or gold))


def _target(answer: str, kind: str) -> str:
    answer = re.sub(r"\s+", " ", answer).strip()
    return answer[:1].upper() + answer[1:] + "." if kind == "yesno" else answer


def contains_answer(passage: TrainingPassage, answers: Iterable[str]) -> bool:
    """Whether a passage spells out one of the answers (as whole words, ignoring case)."""
    text = passage.text.lower()
    return any(
        re.search(rf"(?<!\w){re.escape(a.lower())}(?!\w)", text) for a in answers if len(a) > 1
    )
