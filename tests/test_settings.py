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


def test_a_search_engine_on_servers_has_an_address(tmp_path: Path) -> None:
    url = "http://root:opensesame@10.0.0.7:19530"
    assert load_settings(tmp_path).search_engine == "embedded"
    chosen = load_settings(tmp_path, search_engine="milvus", search_url=url)
    assert chosen.search_url is not None
    assert "opensesame" not in repr(chosen)
    for wrong in ({"search_engine": "milvus"}, {"search_url": url}):
        with pytest.raises(BadSettings, match="search_url"):
            load_settings(tmp_path, **wrong)
