from __future__ import annotations

from pathlib import Path

import pytest

from models.checkpoint import Checkpoint, load
from models.training.records import Record, read_records
from tests.models.training.small import write_checkpoint, write_records


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds `checkpoint/` and `records.jsonl.gz`; not written to by tests."""
    made = tmp_path_factory.mktemp("training")
    write_checkpoint(made / "checkpoint")
    write_records(made / "records.jsonl.gz")
    return made


@pytest.fixture
def base(folder: Path) -> Checkpoint:
    return load(folder / "checkpoint")


@pytest.fixture(scope="package")
def records(folder: Path) -> list[Record]:
    return list(read_records(folder / "records.jsonl.gz"))
