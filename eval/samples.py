"""Samples: questions with passages and labels, one JSON object a line (`.jsonl`, `.jsonl.gz`).

    {"id", "dataset", "question", "history": [str], "passages": [{"id", "title", "text"}],
     "gold": [passage id], "answers": [str], "evidence": [{"passage", "start", "end"}],
     "answerable": bool, "kind": "span|sentence|yesno|free|number", "doc": str, "meta": {...}}

`text[start:end]` of its passage is a piece of evidence. `history`, `evidence` and `meta` may be
missing.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import BadSamples

KINDS = ("span", "sentence", "yesno", "free", "number")


@dataclass(frozen=True, slots=True)
class Given:
    """A passage that comes with a question."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Characters start..end of the passage's text hold the answer."""

    passage: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Sample:
    """`gold` are the ids of the passages that hold the answer, empty when it has none. `doc` groups
    samples of one source document."""

    id: str
    dataset: str
    question: str
    history: tuple[str, ...]
    passages: tuple[Given, ...]
    gold: tuple[str, ...]
    answers: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    answerable: bool
    kind: str
    doc: str
    meta: Mapping[str, Any]

    def quotes(self) -> tuple[str, ...]:
        """The words of the evidence."""
        text = {passage.id: passage.text for passage in self.passages}
        return tuple(text[e.passage][e.start : e.end] for e in self.evidence)


def load(path: Path) -> list[Sample]:
    """Every sample of the file. Raises BadSamples with file and line for a wrong line, a repeated
    id, a file without a sample or one that cannot be read."""
    samples: list[Sample] = []
    seen: set[str] = set()
    for number, line in lines(path):
        try:
            sample = read(json.loads(line))
        except (ValueError, KeyError, TypeError) as exc:
            raise BadSamples(f"{path}:{number}: {reason(exc)}") from exc
        if sample.id in seen:
            raise BadSamples(f"{path}:{number}: the id {sample.id!r} occurs twice")
        seen.add(sample.id)
        samples.append(sample)
    if not samples:
        raise BadSamples(f"{path} holds no sample")
    return samples


def read(raw: Any) -> Sample:
    """One sample from its JSON object. Raises ValueError, KeyError or TypeError saying what is
    wrong."""
    if not isinstance(raw, dict):
        raise TypeError(f"a sample is an object, not {type(raw).__name__}")
    passages = tuple(
        Given(_text(p, "id"), str(p.get("title") or ""), _text(p, "text"))
        for p in _list(raw, "passages")
    )
    sample = Sample(
        id=_text(raw, "id"),
        dataset=str(raw.get("dataset", "")),
        question=_text(raw, "question"),
        history=tuple(map(str, raw.get("history") or ())),
        passages=passages,
        gold=tuple(map(str, _list(raw, "gold"))),
        answers=tuple(map(str, _list(raw, "answers"))),
        evidence=tuple(
            Evidence(str(e["passage"]), int(e["start"]), int(e["end"]))
            for e in raw.get("evidence") or ()
        ),
        answerable=_flag(raw, "answerable"),
        kind=str(raw.get("kind", "span")),
        doc=str(raw.get("doc", "")),
        meta=dict(raw.get("meta") or {}),
    )
    _check(sample)
    return sample


def _check(sample: Sample) -> None:
    length = {passage.id: len(passage.text) for passage in sample.passages}
    if len(length) != len(sample.passages):
        raise ValueError("two passages have the same id")
    if missing := [id for id in sample.gold if id not in length]:
        raise ValueError(f"gold names {missing[0]!r}, which is not among the passages")
    if sample.kind not in KINDS:
        raise ValueError(f"kind {sample.kind!r} is none of {', '.join(KINDS)}")
    if sample.answerable and not sample.answers:
        raise ValueError("it is answerable but has no answer")
    for evidence in sample.evidence:
        if not 0 <= evidence.start < evidence.end <= length.get(evidence.passage, 0):
            raise ValueError(f"evidence {evidence} lies outside its passage")


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers. Raises BadSamples."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as exc:
        raise BadSamples(f"{path} cannot be read: {exc}") from exc


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw[key]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key!r} must be a text, got {value!r:.60}")
    return value


def _list(raw: Mapping[str, Any], key: str) -> list[Any]:
    value = raw[key]
    if not isinstance(value, list):
        raise ValueError(f"{key!r} must be an array, got {value!r:.60}")
    return value


def _flag(raw: Mapping[str, Any], key: str) -> bool:
    value = raw[key]
    if not isinstance(value, bool):
        raise ValueError(f"{key!r} must be true or false, got {value!r:.60}")
    return value


def reason(exc: Exception) -> str:
    """What was wrong with a line, for a person."""
    if isinstance(exc, KeyError):
        return f"the key {exc} is missing"
    if isinstance(exc, json.JSONDecodeError):
        return f"not JSON ({exc})"
    return str(exc)
