"""`attest index` on a real data folder, with real search engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.fake import HashEmbedder
from rag.bootstrap import Attest as Parts
from rag.bootstrap import open_attest
from rag.index.fed import FedIndex
from rag.settings import load_settings
from tests.api.house import NAME
from tests.cli.conftest import Attest
from tests.search_nodes import SearchNode
from tests.servers import MilvusServer

ENGINES = {"milvus": "milvus_server", "postgresql": "search_node"}


@pytest.fixture(params=ENGINES)
def on_servers(data: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    server: MilvusServer | SearchNode = request.getfixturevalue(ENGINES[request.param])
    monkeypatch.setattr(Parts, "embedder", HashEmbedder())
    with (data / "settings.toml").open("a") as settings:
        settings.write(f'search_engine = "{request.param}"\nsearch_url = "{server.url}"\n')


def test_each_process_has_its_own_by_default(attest: Attest) -> None:
    shown = attest("index", "status")
    assert (shown.code, shown.json) == (0, {"engine": "embedded", "collections": []})
    assert "an index of its own" in attest("index", "status", as_json=False).out
    refused = attest("index", "rebuild", NAME)
    assert (refused.code, refused.json["error"]) == (1, "bad_input")
    assert "restart" in refused.err


@pytest.mark.usefixtures("on_servers")
def test_status_and_rebuild(attest: Attest, data: Path) -> None:
    (before,) = attest("index", "status").json["collections"]
    assert (before["collection"], before["applied"], before["rows"]) == (NAME, 0, 0)
    assert before["committed"] > 0
    built = attest("index", "rebuild", NAME)
    assert built.json == {"collection": NAME, "generation": before["committed"]}
    (after,) = attest("index", "status").json["collections"]
    assert after["applied"] == after["committed"] == before["committed"]
    assert after["rows"] == 2
    told = attest("index", "status", as_json=False).out
    assert f"{NAME}: generation {after['applied']} of {after['committed']}, 2 rows" in told
    unknown = attest("index", "rebuild", "nowhere")
    assert (unknown.code, unknown.json["error"]) == (1, "unknown_collection")
    for verb in (["status"], ["rebuild", NAME]):
        other = attest("index", *verb, "--as", "rae")
        assert (other.code, other.json["error"]) == (1, "not_permitted")


@pytest.mark.usefixtures("on_servers")
def test_the_doctor_compares_the_engine_with_the_database(attest: Attest, data: Path) -> None:
    def index_checks() -> dict[str, str]:
        checks = attest("doctor").json["checks"]
        return {each["check"]: each["state"] for each in checks if "index" in each["check"]}

    assert index_checks() == {"index": "ok"}
    parts = open_attest(load_settings(data))
    with parts.store() as work:
        into = work.collections.named(NAME).id
        born = list(work.chunks.since(into, 0).born)
    engine = parts.search_engine
    assert engine is not None
    assert isinstance(parts.index(into), FedIndex)
    held = engine.held(into)
    engine.forget(into)
    engine.begin(into, held.build, len(born[0].vector))
    with parts.store() as work:
        delta = work.chunks.since(into, 0)
    object.__setattr__(delta, "born", born[1:])
    engine.apply(into, delta, held)
    parts.close()
    assert index_checks() == {f"index: {NAME}": "broken"}
    assert attest("index", "rebuild", NAME).code == 0
    assert index_checks() == {"index": "ok"}
