"""`attest models pull` leaves nothing to be made at the first start."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from models.engine.ahead import compiles
from rag.cli import main
from rag.readers import load_base, prepare
from rag.settings import Settings
from tests.weights import pulled, weights_folder

MODEL = "smollm2-135m-instruct"


def test_what_is_made_of_the_weights_is_there_after_pulling(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pulled(MODEL)
    (tmp_path / "models").symlink_to(weights_folder(), target_is_directory=True)
    assert main(["models", "pull", MODEL, "--data", str(tmp_path), "--json"]) == 0
    settings = Settings(data=tmp_path)
    there = {path.name for path in settings.prepared_folder.iterdir()}
    kinds = {name.partition("-")[0] for name in there}
    quick = {"int8", "projections", "rest"} if compiles() else set()
    assert kinds == {"vocabulary"} | quick
    with caplog.at_level(logging.WARNING):
        prepare(settings)
    assert {path.name for path in settings.prepared_folder.iterdir()} == there
    assert load_base(settings).model.config.layers == 30
    assert not caplog.records
