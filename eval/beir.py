"""A retrieval set in BEIR's form: `corpus.jsonl`, `queries.jsonl`, `qrels.tsv`."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import BadSamples


@dataclass(frozen=True, slots=True)
class Item:
    """One text of the corpus; the whole of it is one document."""

    id: str
    title: str
    text: str

    @property
    def indexed(self) -> str:
        """Title and text, as chunks are indexed; a title that begins the text is not said twice."""
        told = not self.title or self.text.startswith(self.title)
        return self.text if told else f"{self.title}\n{self.text}"


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    """`grades[query][item]` is the judged grade; queries without a judgement are left out, as no
    metric is defined on them."""

    name: str
    items: tuple[Item, ...]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]

    @property
    def graded(self) -> bool:
        """Whether some grade is above 1, so that grading and counting differ."""
        return any(grade > 1 for held in self.grades.values() for grade in held.values())

    def binary(self) -> RetrievalSet:
        """Any grade above 0 counts 1."""
        flat = {q: {i: int(g > 0) for i, g in held.items()} for q, held in self.grades.items()}
        return RetrievalSet(self.name, self.items, self.queries, flat)


def load(folder: Path) -> RetrievalSet:
    """Raises BadSamples with file and line for what is wrong."""
    items = tuple(
        Item(str(raw["_id"]), str(raw.get("title") or ""), str(raw["text"]))
        for raw in _objects(folder / "corpus.jsonl", ("_id", "text"))
    )
    texts = {
        str(raw["_id"]): str(raw["text"])
        for raw in _objects(folder / "queries.jsonl", ("_id", "text"))
    }
    known = {item.id for item in items}
    if len(known) != len(items):
        raise BadSamples(f"{folder / 'corpus.jsonl'}: an id occurs twice")
    grades = _grades(_first(folder, "qrels.tsv", "qrels/test.tsv"), texts, known)
    queries = {id: text for id, text in texts.items() if id in grades}
    return RetrievalSet(folder.name, items, queries, grades)


def _grades(path: Path, queries: Mapping[str, str], items: set[str]) -> dict[str, dict[str, int]]:
    grades: dict[str, dict[str, int]] = defaultdict(dict)
    for number, line in _lines(path):
        row = next(csv.reader([line], delimiter="\t"))
        if number == 1 and row[-1:] == ["score"]:
            continue
        try:
            query, item, grade = row[0], row[-2], int(row[-1])
        except (IndexError, ValueError) as exc:
            raise BadSamples(f"{path}:{number}: not `query<TAB>item<TAB>grade`: {line!r}") from exc
        if query not in queries or item not in items:
            raise BadSamples(f"{path}:{number}: names an unknown query or item: {line!r}")
        grades[query][item] = grade
    relevant = {q: held for q, held in grades.items() if any(g > 0 for g in held.values())}
    if not relevant:
        raise BadSamples(f"{path} judges nothing relevant")
    return relevant


def _objects(path: Path, keys: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for number, line in _lines(path):
        try:
            raw = json.loads(line)
        except json.JSONDecodeError as exc:
            raise BadSamples(f"{path}:{number}: not JSON ({exc})") from exc
        missing = [key for key in keys if not isinstance(raw, dict) or key not in raw]
        if missing:
            raise BadSamples(f"{path}:{number}: the key {missing[0]!r} is missing")
        yield raw


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSamples(f"{path} cannot be read: {exc}") from exc


def _first(folder: Path, *names: str) -> Path:
    return next((folder / name for name in names if (folder / name).exists()), folder / names[0])
