"""Questions of a collection's own with what should be found for them: the labels that the fusion
is tuned on.

One JSON object a line (`.jsonl`, `.jsonl.gz`):

    {"question", "documents": [name], "contains": [str]}

A hit is right when its document is one of `documents` and, where `contains` is given, when it
holds one of those texts (case and spacing aside). One of the two may be missing. Answers that users
called right label the chunks they cite.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval.samples import lines, reason
from rag.domain import Feedback, Opinion, Passage
from rag.errors import BadSamples


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question; empty fields ask for nothing."""

    question: str
    documents: frozenset[str] = frozenset()
    contains: tuple[str, ...] = ()
    chunks: frozenset[str] = frozenset()

    @property
    def of_documents(self) -> bool:
        """Whether the right document is enough, whichever of its chunks was found."""
        return not self.contains and not self.chunks

    def right(self, passage: Passage) -> bool:
        if self.documents and passage.document_name not in self.documents:
            return False
        if self.chunks and passage.chunk.id not in self.chunks:
            return False
        text = _plain(passage.chunk.text)
        return not self.contains or any(_plain(words) in text for words in self.contains)


def load(path: Path) -> list[Labelled]:
    """Raises BadSamples with file and line."""
    found = []
    for number, line in lines(path):
        try:
            found.append(_read(json.loads(line)))
        except (ValueError, KeyError, TypeError) as exc:
            raise BadSamples(f"{path}:{number}: {reason(exc)}") from exc
    if not found:
        raise BadSamples(f"{path} holds no question")
    return found


def of_feedback(given: Sequence[Feedback]) -> list[Labelled]:
    """One for each answer that was called right and cites something; a question counts once."""
    found: dict[str, frozenset[str]] = {}
    for opinion in given:
        if opinion.verdict is Opinion.RIGHT and opinion.cited:
            cited = found.get(opinion.question, frozenset())
            found[opinion.question] = cited | frozenset(opinion.cited)
    return [Labelled(question, chunks=chunks) for question, chunks in found.items()]


def _read(raw: Any) -> Labelled:
    if not isinstance(raw, dict):
        raise TypeError(f"a question is an object, not {type(raw).__name__}")
    question, documents, contains = raw["question"], raw.get("documents"), raw.get("contains")
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"'question' must be a text, got {question!r:.60}")
    for key, value in (("documents", documents), ("contains", contains)):
        if value is not None and not (
            isinstance(value, list) and value and all(isinstance(v, str) and v for v in value)
        ):
            raise ValueError(f"{key!r} must be an array of texts, got {value!r:.60}")
    if not documents and not contains:
        raise ValueError("'documents' or 'contains' must say what should be found")
    return Labelled(question, frozenset(documents or ()), tuple(contains or ()))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
