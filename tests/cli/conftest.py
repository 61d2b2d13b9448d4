"""A furnished data folder, and the command run in this process on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rag.cli import main
from tests.api.house import House, furnish


@dataclass(frozen=True)
class Done:
    """A finished command; `json` is its one document."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Attest = Callable[..., Done]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> House:
    return furnish(tmp_path_factory.mktemp("house") / "data")


@pytest.fixture
def data(furnished: House, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    shutil.copytree(furnished.attest.settings.data, folder)
    return folder


@pytest.fixture
def attest(data: Path, capsys: pytest.CaptureFixture[str]) -> Attest:
    """`attest("ask", "why?")`: with --data and --json, in this process."""

    def run(*arguments: str, as_json: bool = True) -> Done:
        line = [*arguments, "--data", str(data), *(["--json"] if as_json else [])]
        code = main(line)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run
