"""What several tests of ingestion share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ingestion.tiny_embedder import make_embedder


@pytest.fixture(scope="session")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that sentence-transformers loads; for workers that are processes of their own."""
    return make_embedder(tmp_path_factory.mktemp("embedder"))
