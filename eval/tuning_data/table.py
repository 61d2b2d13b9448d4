"""Records from a table of questions and answers (CSV)."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.tuning_data.grounding import grounds, kind_of
from eval.tuning_data.held import Held
from models.training.records import Record, TrainingPassage
from rag.errors import BadSamples

COLUMNS = ("question", "answer", "passage", "source", "title")
NEEDED = ("question", "answer")
_MOST_NAMED = 5  # lines named in one message


@dataclass(frozen=True, slots=True)
class Row:
    """One question. `line` is where it begins in the file, counted from 1."""

    line: int
    question: str
    answer: str
    passage: str
    source: str
    title: str


def from_csv(path: Path, passages: Sequence[Held] = ()) -> list[Record]:
    """A table with the columns question and answer, and if wanted passage (the text that holds the
    answer), source (the document's name: what belongs together) and title; other columns count for
    nothing. UTF-8; the separator is a comma, a semicolon or a tab. A row without an answer is a
    question to refuse. An answer without a passage is looked for in `passages` (a collection's, by
    `held_passages`), in those of its source where it names one. Raises BadSamples naming the
    line."""
    rows = list(_rows(path))
    if not rows:
        raise BadSamples(f"{path} holds no question below its header")
    made = [(row, _record(path, row, passages)) for row in rows]
    if lost := [row.line for row, record in made if record is None]:
        raise BadSamples(_ungrounded(path, lost, len(rows), bool(passages)))
    return [record for _, record in made if record is not None]


def _ungrounded(path: Path, lines: list[int], of: int, searched: bool) -> str:
    named = ", ".join(map(str, lines[:_MOST_NAMED])) + (", ..." if len(lines) > _MOST_NAMED else "")
    why = (
        "no passage of the collection that every reader may read holds the answer; correct it"
        if searched
        else "the answer has no passage; name a collection to look for it"
    )
    return f"{path}, line {named} ({len(lines)} of {of} rows): {why}, or fill the column 'passage'"


def _rows(path: Path) -> Iterator[Row]:
    text = _text(path)
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] = []
    line = 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = _header(path, begins, cells)
                continue
            yield _row(path, begins, names, cells)
    except csv.Error as exc:
        raise BadSamples(f"{path}, line {reader.line_num}: {exc}") from exc
    if not names:
        raise BadSamples(f"{path} is empty; it needs a header with {' and '.join(NEEDED)}")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as exc:
        raise BadSamples(f"{path} cannot be read: {exc}") from exc
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data[: exc.start].count(b"\n") + 1
        raise BadSamples(
            f"{path}, line {line}: not UTF-8 ({exc}); save the table as UTF-8"
        ) from exc


def _header(path: Path, line: int, cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    for name in NEEDED:
        if name not in names:
            raise BadSamples(
                f"{path}, line {line}: the column {name!r} is missing; found "
                + ", ".join(repr(cell) for cell in cells[:20])
            )
    for name in COLUMNS:
        if names.count(name) > 1:
            raise BadSamples(f"{path}, line {line}: two columns are named {name!r}")
    return names


def _row(path: Path, line: int, names: list[str], cells: list[str]) -> Row:
    if len(cells) > len(names):
        raise BadSamples(
            f"{path}, line {line}: {len(cells)} cells under {len(names)} columns; put cells that "
            "hold the separator in quotes"
        )
    found = dict(zip(names, (cell.strip() for cell in cells), strict=False))
    row = Row(line, *(found.get(name, "") for name in COLUMNS))
    if not row.question:
        raise BadSamples(f"{path}, line {line}: the question is empty")
    return row


def _record(path: Path, row: Row, passages: Sequence[Held]) -> Record | None:
    """None when no passage holds the answer."""
    answer = " ".join(row.answer.split())
    given = _given(path, row, answer, passages)
    if answer and not given:
        return None
    gold = given if answer else []
    return Record(
        id=f"table:{path.stem}:{row.line}",
        dataset=f"table:{path.stem}",
        doc=row.source or row.title or path.stem,
        question=row.question,
        passages=tuple(given),
        gold=tuple(passage.id for passage in gold),
        answers=(answer,) if answer else (),
        kind=(kind := kind_of(answer, gold)),
        target=_target(answer, kind),
    )


def _given(path: Path, row: Row, answer: str, held: Sequence[Held]) -> list[TrainingPassage]:
    if row.passage:
        named = hashlib.sha256(f"{row.source}\n{row.title}\n{row.passage}".encode()).hexdigest()[
            :20
        ]
        return [TrainingPassage(f"table:{named}", row.title, row.passage)]
    if not answer:
        return []
    pool = [h.passage for h in held if row.source in ("", h.document_name)]
    by_id = {passage.id: passage for passage in pool}
    return [by_id[id] for id in grounds(answer, row.question, pool)[:1]]


def _target(answer: str, kind: str) -> str:
    """Yes and no are said as a sentence, as in the other training data."""
    return answer[:1].upper() + answer[1:].rstrip(".") + "." if kind == "yesno" else answer
