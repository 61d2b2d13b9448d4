"""A row table as files: arrays and JSON, nothing that could run when it is read."""

from __future__ import annotations

import json
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.errors import Corrupt
from rag.index.column import Column
from rag.index.rows import Coded, Missing, RowTable

_VALUES = "values.json"
_NUMBERS = {"ids": "i8", "born": "i8", "died": "i8"}


def save(table: RowTable, folder: Path) -> None:
    for name in _NUMBERS:
        np.save(folder / f"{name}.npy", getattr(table, name).values)
    np.save(folder / "chunks.npy", table.chunks.values)
    np.save(folder / "documents.npy", table.documents.codes.values)
    np.save(folder / "readers.npy", table.readers.codes.values)
    for number, column in enumerate(table.metadata.values()):
        np.save(folder / f"metadata-{number}.npy", column.codes.values)
    values = {
        "documents": list(table.documents.values),
        "readers": [None if r is None else sorted(r) for r in table.readers.values],
        "metadata": [
            [key, [[] if v is Missing else [v] for v in column.values]]
            for key, column in table.metadata.items()
        ],
    }
    (folder / _VALUES).write_text(json.dumps(values), "utf-8")


def load(folder: Path, rows: int) -> RowTable:
    """Raises Corrupt where the files do not belong to each other."""
    table = RowTable()
    try:
        values: dict[str, Any] = json.loads((folder / _VALUES).read_text("utf-8"))
        for name, kind in _NUMBERS.items():
            setattr(table, name, Column(kind, _array(folder / f"{name}.npy", kind, rows)))
        table.chunks = Column("S", _array(folder / "chunks.npy", "S", rows))
        documents, readers = values["documents"], values["readers"]
        table.documents = Coded(_codes(folder / "documents.npy", rows, documents), documents)
        held = [None if each is None else frozenset(each) for each in readers]
        table.readers = Coded(_codes(folder / "readers.npy", rows, held), held)
        for number, (key, kept) in enumerate(values["metadata"]):
            meant: list[Hashable] = [each[0] if each else Missing for each in kept]
            table.metadata[key] = Coded(
                _codes(folder / f"metadata-{number}.npy", rows, meant), meant
            )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as exc:
        raise Corrupt(f"the columns in {folder} cannot be read: {exc}") from exc
    if len(table) and bool((np.diff(table.ids.values) <= 0).any()):
        raise Corrupt(f"the rows in {folder} are not in ascending order")
    return table


def ends(path: Path, rows: int) -> NDArray[np.int64]:
    """Where each row ends in a file of all rows. Raises Corrupt."""
    try:
        found: NDArray[np.int64] = _array(path, "i8", rows)
    except (OSError, ValueError) as exc:
        raise Corrupt(f"{path} cannot be read: {exc}") from exc
    if rows and (int(found[0]) < 0 or bool((np.diff(found) < 0).any())):
        raise Corrupt(f"the rows in {path} overlap")
    return found


def _array(path: Path, kind: str, rows: int) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, allow_pickle=False)
    if found.shape != (rows,) or (found.dtype != kind if kind != "S" else found.dtype.kind != "S"):
        raise ValueError(f"{path.name} holds {found.dtype} of shape {found.shape}")
    return found


def _codes(path: Path, rows: int, values: list[Any]) -> NDArray[np.int32]:
    found = _array(path, "i4", rows)
    if rows and not 0 <= int(found.min()) <= int(found.max()) < len(values):
        raise ValueError(f"{path.name} has a code without a value")
    return found
