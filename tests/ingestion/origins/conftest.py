"""What the tests of origins share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ingestion.origins.house import Origins, copied, opened

Write = Callable[[str, str], Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "root" / "wiki"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def write(folder: Path) -> Write:
    """`write("a.md", "words")`, as if it had been some time ago: nobody waits for it to settle."""

    def file(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        aged(path)
        return path

    return file


def aged(path: Path) -> None:
    past = time.time() - 60
    os.utime(path, (past, past))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh data folder, to be copied."""
    made = opened(tmp_path_factory.mktemp("template") / "data")
    made.attest.close()
    return made.attest.settings.data


@pytest.fixture
def origins(template: Path, tmp_path: Path) -> Iterator[Origins]:
    roots = [str(tmp_path / "root")]
    made = copied(template, tmp_path / "data", source_roots=roots, max_upload_bytes=100_000)
    yield made
    made.attest.close()
