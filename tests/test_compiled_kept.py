"""What is compiled is kept where it can be, and lasts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rag.readers import place_compiled
from rag.settings import Settings

COMPILE = """
import numpy as np
from numba import njit
@njit(cache=True)
def twice(x):
    return 2 * x
assert twice(3) == 6
"""


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")  # so that it is put back, whatever a test leaves
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    return monkeypatch


def test_in_the_data_folder_where_the_package_may_not_be_written(
    tmp_path: Path, unset: pytest.MonkeyPatch
) -> None:
    unset.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    place_compiled(Settings(data=tmp_path / "data"))
    script = tmp_path / "script.py"
    script.write_text(COMPILE, "utf-8")
    subprocess.run([sys.executable, str(script)], check=True)
    kept = tmp_path / "data" / "prepared" / "compiled"
    assert list(kept.rglob("*twice*.nbc"))
    assert not list(tmp_path.glob("__pycache__/*"))


def test_where_the_user_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    place_compiled(Settings(data=tmp_path))
    assert os.environ["NUMBA_CACHE_DIR"] == "/somewhere"


def test_beside_the_package_elsewhere(tmp_path: Path, unset: pytest.MonkeyPatch) -> None:
    place_compiled(Settings(data=tmp_path))
    assert "NUMBA_CACHE_DIR" not in os.environ
