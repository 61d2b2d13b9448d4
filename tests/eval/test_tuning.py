"""`attest tune` and `attest adapters` over a random checkpoint of a few thousand weights: all that
is there on a real one, in seconds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.tuning.licence import licence_beside
from eval.tuning.sources import Kind, Named
from eval.tuning.tune import Tuning, finish, tune
from models.fake import HashEmbedder
from models.training.train import Progress
from rag.bootstrap import Attest, open_attest
from rag.cli import main
from rag.commands.diagnosis import diagnose
from rag.domain import LOCAL_USER, AdapterState, Right
from rag.errors import BadInput, Conflict, TrainingError, UnknownAdapter, WeightsCorrupt
from rag.settings import load_settings
from tests.eval.making import CITIES, record, unanswerable, write
from tests.models.training.small import write_checkpoint, write_records
from tests.test_answering import add
from tests.weights import pulled

STEPS = 24
Command = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def data(tmp_path: Path, checkpoint: Path) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path / "data"
    folder.mkdir()
    lines = [f'model = "{checkpoint}"', 'device = "cpu"', 'dtype = "float32"', "threads = 1"]
    lines.append(f'embedder = "{pulled("all-minilm-l6-v2")}"')  # orders the passages of samples
    (folder / "settings.toml").write_text("\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def attest(data: Path) -> Iterator[Attest]:
    opened = open_attest(load_settings(data, min_confidence=0.0, min_support=0.0))
    opened.embedder = HashEmbedder()
    yield opened
    opened.close()


@pytest.fixture
def records(tmp_path: Path) -> Path:
    (tmp_path / "LICENSES.md").write_text("| data set | licence |\n|---|---|\n| made | MIT |\n")
    return write_records(tmp_path / "made2.jsonl.gz")


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    asked = [unanswerable(c) if c == "Cork" else record(c) for c in CITIES[:4]]
    return write(tmp_path / "cities.jsonl", asked)


@pytest.fixture
def command(data: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*map(str, arguments), "--data", str(data), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def quiet(_: Progress) -> None: ...


def asked(name: str, records: Path, **changes: Any) -> Tuning:
    made = Tuning(
        name, (Named(Kind.RECORDS, str(records), 2.0),), start="none", steps=STEPS, rank=4
    )
    return replace(made, **changes)


# --- tuning ------------------------------------------------------------------------------------


def test_a_tuned_adapter_is_registered_with_its_card(
    command: Command, data: Path, records: Path
) -> None:
    line = ("tune", "--name", "first", "--records", f"{records}=2", "--start", "none")
    code, said = command(*line, "--steps", STEPS, "--rank", 4)
    assert code == 0, said
    adapter = said["adapter"]
    assert (adapter["state"], adapter["collection"]) == ("candidate", None)
    assert adapter["folder"] == "adapters/first"
    shown = command("adapters", "show", "first")[1]
    card = shown["card"]
    assert card == json.loads((data / "adapters/first/card.json").read_text("utf-8"))
    (used,) = card["data"]
    assert (used["name"], used["weight"], used["licence"]) == ("made2.jsonl.gz", 2.0, "MIT")
    assert len(used["sha256"]) == 64
    assert card["base"].startswith("tiny@")
    assert card["base"] == adapter["base"]
    assert card["losses"]["steps"] == STEPS
    assert card["losses"]["last"] < card["losses"]["first"]
    assert card["run"]["train"]["steps"] == STEPS
    assert card["made_by"].startswith("attest tune --name ")
    kept = sorted(path.name for path in (data / "tuning/first").iterdir())
    assert kept == ["lock", "losses.jsonl", "run.json"]
    again, why = command(*line)
    assert (again, why["error"]) == (1, "conflict")


def test_a_killed_tuning_goes_on(attest: Attest, records: Path) -> None:
    whole = tune(attest, LOCAL_USER, asked("whole", records), quiet)

    def killed(done: Progress) -> None:
        if done.step == STEPS - 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(attest, LOCAL_USER, asked("torn", records), killed)
    with pytest.raises(Conflict, match="other data"):
        tune(attest, LOCAL_USER, asked("torn", records, seed=1), quiet)
    with pytest.raises(TrainingError, match="learning_rate"):
        tune(attest, LOCAL_USER, asked("torn", records, learning_rate=0.5), quiet)
    write_records(records, [])  # what was gathered is kept
    torn = tune(attest, LOCAL_USER, asked("torn", records), quiet)
    assert torn.digest == whole.digest
    assert torn.card["losses"] == whole.card["losses"]
    again = tune(attest, LOCAL_USER, asked("torn", records), quiet)  # killed after registering
    assert again == torn
    finish(attest.settings.data, "torn")
    with pytest.raises(Conflict, match="measure"):
        tune(attest, LOCAL_USER, asked("torn", records), quiet)


def test_an_adapter_tuned_on_from_another(attest: Attest, records: Path) -> None:
    first = tune(attest, LOCAL_USER, asked("first", records), quiet)
    with pytest.raises(BadInput, match="--rank"):
        tune(attest, LOCAL_USER, asked("second", records, start="first"), quiet)
    second = tune(attest, LOCAL_USER, asked("second", records, start="first", rank=None), quiet)
    assert second.digest != first.digest
    start: Any = second.card["start"]
    assert start["adapter"] == first.identity


def test_a_collections_words_stay_in_the_collection(attest: Attest) -> None:
    document, version = house(attest, "house")
    house(attest, "other")
    learn = Tuning("house", (Named(Kind.DOCUMENTS, "house"),), start="none", steps=2, rank=2)
    for wrong in (
        replace(learn, collection="other"),
        replace(learn, collection="house", every=True),
    ):
        with pytest.raises(BadInput):
            tune(attest, LOCAL_USER, wrong, quiet)
    made = tune(attest, LOCAL_USER, learn, quiet)
    with attest.store() as work:
        assert made.collection == work.collections.named("house").id
        assert [one.name for one in work.adapters.made_from(document)] == ["house"]
    assert [(one.document, one.version) for one in made.sources] == [(document, version)]
    on = Tuning("on", (Named(Kind.DOCUMENTS, "house"),), start="house", steps=2)
    assert tune(attest, LOCAL_USER, on, quiet).sources == made.sources
    every = replace(on, name="every", every=True)
    assert tune(attest, LOCAL_USER, every, quiet).collection is None


def house(attest: Attest, name: str) -> tuple[str, str]:
    """A collection with a document that questions can be made of; its document and version."""
    text = "The security review takes two to three weeks. The parking permit costs $45 a month."
    with attest.store() as work:
        made = work.collections.create(name, {"local": Right.MANAGE})
        work.commit()
    add(attest, made.id, f"{name}.md", text)
    with attest.store() as work:
        held = work.documents.named(made.id, f"{name}.md")
    return held.id, str(held.version)


def test_what_cannot_be_tuned(command: Command, tmp_path: Path, records: Path) -> None:
    nothing = command("tune", "--name", "x")
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"id": 1}\n', "utf-8")
    wrong_line = command("tune", "--name", "x", "--records", bad)
    unknown = command("tune", "--name", "x", "--documents", "nowhere")
    named = command("tune", "--name", "../x", "--records", records)
    gate = command("tune", "--name", "x", "--records", records, "--gate", "g.toml")
    assert [
        (code, said["error"]) for code, said in (nothing, wrong_line, unknown, named, gate)
    ] == [
        (1, "bad_input"),
        (1, "training_error"),
        (1, "unknown_collection"),
        (2, "bad_name"),
        (1, "bad_input"),
    ]
    assert "bad.jsonl, line 1" in wrong_line[1]["message"]


# --- the gate ----------------------------------------------------------------------------------


def test_a_gate_refuses_and_another_lets_pass(
    command: Command, tmp_path: Path, records: Path, samples: Path
) -> None:
    strict, mild = tmp_path / "strict.toml", tmp_path / "mild.toml"
    strict.write_text("[metrics]\nright = { at_least = 0.99 }\n", "utf-8")
    mild.write_text("[difference]\nright = { at_least = -1.0 }\n", "utf-8")
    measured = ("--samples", samples, "--distractors", 2)
    line = ("tune", "--name", "a", "--records", records, "--start", "none", "--steps", 2)
    code, said = command(*line, "--gate", strict, *measured)
    assert "adapter" in said, said
    assert (code, said["adapter"]["state"]) == (1, "candidate"), said
    assert any("NOT MET: metrics.right" in why for why in said["effect"]["gate"]["reasons"])
    code, said = command("adapters", "measure", "a", *measured, "--gate", mild)
    assert (code, said["adapter"]["state"]) == (0, "promoted"), said
    effect = command("adapters", "show", "a")[1]["card"]["effect"]
    assert effect["candidate"]["adapter"] == said["adapter"]["identity"]
    assert effect["current"]["adapter"] == "none"
    assert {"value", "low", "high", "n"} == set(effect["candidate"]["metrics"]["right"])
    assert effect["samples"]["n"] == 4
    listed = command("adapters", "list")[1]["adapters"]
    assert [(one["name"], one["state"]) for one in listed] == [("a", "promoted")]


# --- which adapter answers ---------------------------------------------------------------------


def test_promotion_and_rollback_hold_from_the_next_question_on(
    attest: Attest, command: Command, records: Path
) -> None:
    house(attest, "house")
    for name in "ab":
        tune(attest, LOCAL_USER, asked(name, records, seed=ord(name), steps=2), quiet)

    def answered_by() -> str:
        return attest.answering.ask(
            LOCAL_USER, "house", "How long does the security review take?"
        ).replay.adapter

    assert answered_by() == "none"
    identities = [
        command("adapters", "promote", name, "--ungated")[1]["adapter"]["identity"] for name in "a"
    ]
    assert answered_by() == identities[0]
    assert command("adapters", "promote", "b")[1]["error"] == "conflict"  # no gate yet
    code, said = command("adapters", "promote", "b", "--ungated")
    assert said["before"]["name"] == "a"
    assert answered_by() == said["adapter"]["identity"]
    code, said = command("adapters", "rollback")
    assert (code, said["withdrawn"]["name"], said["adapter"]["name"]) == (0, "b", "a")
    assert answered_by() == identities[0]
    assert command("adapters", "retire", "a")[1]["adapter"]["state"] == "retired"
    assert answered_by() == "none"
    assert command("adapters", "rollback")[1]["error"] == "conflict"


def test_an_answer_is_replayed_by_the_adapter_that_wrote_it(
    attest: Attest, command: Command, data: Path, records: Path
) -> None:
    house(attest, "house")
    with_none = attest.answering.ask(LOCAL_USER, "house", "How long does the security review take?")
    for name in "ab":
        tune(attest, LOCAL_USER, asked(name, records, seed=ord(name)), quiet)
        command("adapters", "promote", name, "--ungated")
        stored = attest.answering.ask(
            LOCAL_USER, "house", "How long does the security review take?"
        )
    command("adapters", "rollback")
    for answer in (with_none, stored):
        assert attest.answering.replay(LOCAL_USER, answer.id).same
    fresh = open_attest(attest.settings)
    (data / "adapters/b").rename(data / "adapters/elsewhere")
    with pytest.raises(UnknownAdapter, match="b@"):
        fresh.answering.replay(LOCAL_USER, stored.id)
    fresh.close()


def test_a_replay_says_what_is_computed_otherwise_than_then(attest: Attest, data: Path) -> None:
    house(attest, "house")
    stored = attest.answering.ask(LOCAL_USER, "house", "How long does the security review take?")
    assert attest.answering.replay(LOCAL_USER, stored.id).changed == ()
    old = replace(stored, id="old", replay=replace(stored.replay, computed={}))
    with attest.store() as work:
        work.answers.add(old)
        work.commit()
    said = attest.answering.replay(LOCAL_USER, "old").changed
    assert "threads is 1, was not recorded" in said
    other = open_attest(load_settings(data, kv_precision="exact", threads=2, min_support=0.0))
    other.embedder = HashEmbedder()
    said = other.answering.replay(LOCAL_USER, stored.id).changed
    assert set(said) == {"kv_precision is exact, was int8", "threads is 2, was 1"}
    other.close()


def test_registered_weights_that_were_changed_are_refused(
    attest: Attest, data: Path, records: Path
) -> None:
    house(attest, "house")
    tune(attest, LOCAL_USER, asked("a", records, steps=2), quiet)
    other = tune(attest, LOCAL_USER, asked("b", records, steps=2, seed=5), quiet)
    from rag.adapters import promote

    promote(attest.store, LOCAL_USER, data, "a", ungated=True)
    weights = "adapter_model.safetensors"
    (data / "adapters/a" / weights).write_bytes((data / other.folder / weights).read_bytes())
    (found,) = [one for one in diagnose(attest, 0, str) if one.check == "adapter: a"]
    assert found.state == "broken"
    with pytest.raises(WeightsCorrupt, match="registered as 'a'"):
        attest.answering.ask(LOCAL_USER, "house", "How long does the security review take?")


def test_adapters_share_the_base_in_memory(attest: Attest, records: Path) -> None:
    from rag.ports import Generator
    from rag.readers import AdaptedReaders, Weights, read

    made = [tune(attest, LOCAL_USER, asked(name, records, seed=ord(name)), quiet) for name in "ab"]
    assert [one.state for one in made] == [AdapterState.CANDIDATE] * 2
    folders = [attest.settings.data / one.folder for one in made]
    all_readers = AdaptedReaders(attest.settings, attest.store, lambda: attest.block_store)
    readers = [read(all_readers.engine, Weights(f.name, f), merge=False) for f in folders]
    readers.append(read(all_readers.engine, None))

    def text(reader: Generator) -> str:
        sampling = attest.answering.policy.sampling
        passages = ["The code of amber is 1234.", "The code of basil is 5678."]
        return "".join(p.text for p in reader.generate(passages, "Code of basil?", sampling))

    first = [text(one) for one in readers]
    assert first == [text(one) for one in readers]  # in turn, on one base
    all_readers.close()
    other = AdaptedReaders(attest.settings, attest.store, lambda: attest.block_store)
    alone = [text(read(other.engine, Weights(f.name, f), merge=False)) for f in folders]
    other.close()
    assert first[:2] == alone


def test_nothing_is_loaded_to_search(tmp_path: Path) -> None:
    attest = open_attest(load_settings(tmp_path, model="not/there"))
    attest.embedder = HashEmbedder()
    house(attest, "house")
    assert attest.answering.search(LOCAL_USER, "house", "security review")
    attest.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("| set | licence |\n| squad | MIT |\n| squad2 | CC0 | note |\n", "CC0; note"),
        (
            "Everything in squad2.jsonl.gz is CC BY 4.0.\n",
            "Everything in squad2.jsonl.gz is CC BY 4.0.",
        ),
        ("| policyqa | MIT |\n", "not stated"),
    ],
)
def test_licences_are_read_from_the_text_beside(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "LICENSES.md").write_text(text, "utf-8")
    assert licence_beside(tmp_path / "train" / "squad2.jsonl.gz") == found
