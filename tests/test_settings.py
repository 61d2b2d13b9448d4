from __future__ import annotations

from pathlib import Path

import pytest

from rag.errors import BadSettings
from rag.settings import load_settings


def test_a_command_s_option_beats_the_environment_and_that_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.toml").write_text("passages = 3\ncandidates = 30\nthreads = 3\n")
    monkeypatch.setenv("ATTEST_PASSAGES", "4")
    monkeypatch.setenv("ATTEST_CANDIDATES", "40")
    plain, forced = load_settings(tmp_path), load_settings(tmp_path, passages=5)
    assert (plain.passages, plain.candidates, plain.threads) == (4, 40, 3)
    assert (forced.passages, forced.candidates, forced.threads) == (5, 40, 3)
    assert forced.data == tmp_path
    with pytest.raises(BadSettings, match="passages"):
        load_settings(tmp_path, passages=0)
    with pytest.raises(BadSettings, match="pasages"):
        load_settings(tmp_path, pasages=5)
