"""The commands over a data folder: real store, index and answering, copying generator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery import Celery

from eval import commands, nightly
from models.fake import CopyGenerator, HashEmbedder
from rag.bootstrap import Attest, open_attest
from rag.cli import main
from rag.errors import BadInput, BadSamples, NotFound, WeightsMissing
from rag.settings import Settings
from tests.eval.making import CITIES, record, unanswerable, write
from tests.eval.test_beir import write as write_beir


def silent(_: str) -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> Path:
    asked = [unanswerable(c) if c in ("Cork", "Pisa") else record(c) for c in CITIES]
    return write(tmp_path / "cities.jsonl", asked)


def equip(attest: Attest) -> Attest:
    attest.generator = CopyGenerator()  # type: ignore[misc]
    attest.embedder = HashEmbedder()  # type: ignore[misc]
    return attest


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = equip(open_attest(Settings(data=tmp_path / "data")))
    yield opened
    opened.close()


def run(attest: Attest, file: Path, **options: Any) -> commands.Report:
    return commands.run(attest, file, progress=silent, **options)


def test_a_run_from_file_to_sql(attest: Attest, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    report = run(attest, file, distractors=2, predictions=out, seed=5)
    assert report["metrics"]["right"]["n"] == 8
    assert report["metrics"]["citation_coverage"]["value"] == 1.0
    assert report["settings"]["model"] == "fake-copy"
    assert (report["settings"]["seed"], report["settings"]["distractors"]) == (5, 2)
    assert "samples" not in report
    with attest.store() as work:
        kept = work.runs.get(report["id"])
    assert kept.name == "cities"
    assert len(kept.report["samples"]["ids"]) == 8  # type: ignore[index]
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(found) == 8
    for line in found:
        assert len(line["passages"]) == 4
        assert set(line["cited"]) <= set(line["passages"])
        assert (line["verdict"] == "refused") == (line["answer"] == "")


def test_the_same_seed_gives_the_same_predictions(
    attest: Attest, file: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        run(attest, file, distractors=3, seed=1, predictions=tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    run(attest, file, distractors=3, seed=2, predictions=tmp_path / "c")
    assert (tmp_path / "a").read_bytes() != (tmp_path / "c").read_bytes()


@pytest.mark.parametrize(
    ("context", "most"), [("oracle", 1), ("none", 0), ("lexical", 5), ("hybrid", 5)]
)
def test_other_contexts(
    attest: Attest, file: Path, tmp_path: Path, context: Any, most: int
) -> None:
    out = tmp_path / "out.jsonl"
    report = run(attest, file, context=context, predictions=out)
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    answerable = [line for line in found if line["id"][2:] not in ("Cork", "Pisa")]
    assert all(len(line["passages"]) <= most for line in answerable)
    assert report["settings"]["context"] == context
    if context == "none":
        assert report["metrics"]["answered_share"]["value"] == 0.0


def test_removal_asks_for_refusals(attest: Attest, file: Path) -> None:
    report = run(attest, file, unanswerable_by_removal=True)
    assert report["metrics"]["refusal_recall"]["n"] == 8
    with pytest.raises(BadInput, match="go with the passages given"):
        run(attest, file, unanswerable_by_removal=True, context="dense")


def test_gate_and_comparison(attest: Attest, file: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate.toml"
    gate.write_text("[metrics]\ncitation_coverage = { at_least = 1.0 }\n", "utf-8")
    first = run(attest, file, gate=gate)
    assert first["gate"]["passed"]
    second = run(attest, file, limit=4, against=first["id"])
    assert second["against"]["shared"] == 4
    assert second["against"]["differences"]["right"]["value"] == 0.0
    for shown in (commands.text(second), commands.markdown(second)):
        assert f"difference to run {first['id']}" in shown
        assert "wrong_answer_rate" in shown
    with pytest.raises(NotFound):
        run(attest, file, against="gone")


def test_an_unknown_adapter_and_a_wrong_file(attest: Attest, file: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        run(attest, file, adapter="unheard-of")
    with pytest.raises(BadSamples):
        run(attest, tmp_path / "missing.jsonl")


def test_retrieval_from_folder_to_sql(attest: Attest, tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "towns")
    report = commands.retrieval(attest, folder, leg="hybrid", progress=silent)
    assert set(report["legs"]) == {"hybrid", "dense", "lexical"}
    assert {"ndcg@10", "recall@10", "recall@100", "mrr@10"} <= set(report)
    assert report["settings"]["grades"] == "above 0 counts 1"
    with attest.store() as work:
        assert [kept.id for kept in work.runs.recent(kind="retrieval")] == [report["id"]]
    single = commands.retrieval(attest, folder, leg="lexical", graded=True, progress=silent)
    assert set(single["legs"]) == {"lexical"}
    assert single["better_single_leg"] is None
    with pytest.raises(BadInput, match="leg 'psychic'"):
        commands.retrieval(attest, folder, leg="psychic", progress=silent)
    with pytest.raises(BadInput, match="did not measure answers"):
        run(attest, write(tmp_path / "c.jsonl", [record("Bonn")]), against=report["id"])


def test_the_nightly_task_compares_with_the_night_before(file: Path, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", nightly_samples=file, nightly_limit=5)
    attest = equip(open_attest(settings))
    app = Celery("attest", set_as_current=False)
    app.worker_process = SimpleNamespace(attest=attest)
    for _ in range(2):
        app.tasks[nightly.NIGHTLY].apply(throw=True)
    with attest.store() as work:
        second, first = work.runs.recent(kind="answers")
    assert first.name == second.name == "nightly cities"
    assert first.report["n"] == 5
    assert "against" not in first.report
    assert second.report["against"]["run"] == first.id  # type: ignore[index]
    assert second.report["against"]["shared"] == 5  # type: ignore[index]
    attest.close()


def test_a_nightly_folder_measures_retrieval(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "towns")
    attest = equip(open_attest(Settings(data=tmp_path / "data", nightly_samples=folder)))
    id = nightly.evaluate(attest)
    assert id is not None
    with attest.store() as work:
        assert work.runs.get(id).kind == "retrieval"
    attest.close()


def test_without_samples_there_is_no_night(attest: Attest) -> None:
    assert nightly.evaluate(attest) is None


def test_the_command_line(
    file: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rag.bootstrap.open_attest", lambda settings: equip(open_attest(settings)))
    gate = tmp_path / "gate.toml"
    gate.write_text("[metrics]\nright = { at_least = 0.99, n = 1000 }\n", "utf-8")
    data, out = ["--data", str(tmp_path / "data")], tmp_path / "out.jsonl"
    words = ["eval", "run", str(file), "--limit", "3", "--distractors", "1", "--json", *data]
    assert main([*words, "--predictions", str(out)]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["n"] == 3
    assert len(out.read_text("utf-8").splitlines()) == 3
    assert main([*words, "--gate", str(gate)]) == 1
    capfd.readouterr()
    folder = write_beir(tmp_path / "towns")
    assert main(["eval", "retrieval", str(folder), "--leg", "lexical", "--json", *data]) == 0
    assert json.loads(capfd.readouterr().out)["mrr@10"] == pytest.approx(2 / 3)
    assert main(["eval", "run", str(tmp_path / "missing.jsonl"), "--json", *data]) == 1
    assert main(["eval", "run", str(file), "--limit", "few", *data]) == 2
