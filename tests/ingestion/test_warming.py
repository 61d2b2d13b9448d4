"""KV blocks made ahead of use: by `attest kv warm` and by an idle worker, over a random checkpoint
with an adapter that reads block-wise; found by the process that answers, without a restart."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from ingestion.broker import Broker
from ingestion.uploads import upload
from ingestion.warm import warm
from ingestion.warming import Warming
from models.block_key import text_key
from models.checkpoint import load
from models.fake import HashEmbedder
from models.lora import Adapter, LoraConfig, save_adapter
from rag import changes
from rag.bootstrap import Attest, open_attest
from rag.cli import main
from rag.domain import LOCAL_USER
from rag.process import start
from rag.settings import load_settings
from tests.ingestion.house import WHO, RememberingQueue, make_collection, work_off
from tests.ingestion.workers import all_done, hand_in, quick_house, run, wait_for
from tests.models.training.small import write_checkpoint

pytestmark = pytest.mark.slow

LEAVE = b"# Leave\n\nEmployees have 27 days of paid leave a year.\n"
PAY = b"# Pay\n\nSalaries are paid on the 25th.\n"
Command = Callable[..., Any]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings that name a tiny model and an adapter for it."""
    folder = tmp_path_factory.mktemp("weights")
    checkpoint = write_checkpoint(folder / "tiny")
    torch.manual_seed(0)
    adapter = Adapter(load(checkpoint, torch.float32, torch.device("cpu")).model, LoraConfig(2))
    save_adapter(adapter, folder / "block-wise", "tiny", {}, torch.float32)
    named = {"model": str(checkpoint), "adapter": str(folder / "block-wise")}
    shown = {"min_confidence": 0.0, "min_support": 0.0, "max_answer_tokens": 8}
    machine = {"device": "cpu", "dtype": "float32", "threads": 1, "warm_load": 1e9}
    return named | shown | machine


@pytest.fixture
def attest(tmp_path: Path, weights: dict[str, object]) -> Iterator[Attest]:
    data = tmp_path / "data"
    data.mkdir()
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in weights.items()]
    (data / "settings.toml").write_text("".join(lines))
    opened = open_attest(load_settings(data))
    opened.embedder = HashEmbedder()
    make_collection(opened)
    take_in(opened, "leave.md", LEAVE)
    take_in(opened, "pay.md", PAY)
    yield opened
    opened.close()


@pytest.fixture
def kv(attest: Attest, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> Any:
        line = ["kv", *arguments, "--data", str(attest.settings.data), "--json"]
        assert main(line) == 0
        return json.loads(capsys.readouterr().out)

    return run


def take_in(attest: Attest, name: str, data: bytes) -> None:
    queue = RememberingQueue()
    upload(attest, queue, WHO, "handbook", name, data)
    work_off(attest, queue)


def read(attest: Attest) -> set[str]:
    """What the reader of a question had to do before it could write."""
    answer = attest.answering.ask(LOCAL_USER, "handbook", "When are salaries paid?")
    return {"kv_fill", "kv_join"} & answer.timings.keys()


def warmed(attest: Attest) -> set[str]:
    """Words of the chunks that have a block on disk."""
    kept = attest.kv_blocks.keys()
    with attest.store() as work:
        chunks = work.chunks.newest(100, None, None)
    return {word for c in chunks for word in ("27", "25th") if word in c.text
            if text_key(c.text) in kept}  # fmt: skip


def test_after_warming_the_first_question_only_joins(attest: Attest, kv: Command) -> None:
    """In a process that had looked at the folder before."""
    assert attest.block_store.stats().disk_entries == 0
    assert kv("warm") == {"made": 2, "ended": "done"}
    assert read(attest) == {"kv_join"}
    assert kv("warm") == {"made": 0, "ended": "done"}


def test_show_and_clear(attest: Attest, kv: Command) -> None:
    kv("warm", "handbook")
    shown = kv("show")
    assert (shown["blocks"], shown["share"]) == (2, 1.0)
    assert shown["collections"] == [{"collection": "handbook", "chunks": 2, "with_block": 2}]
    files = attest.settings.kv_folder.rglob("*.kv")
    assert shown["bytes"] == sum(path.stat().st_size for path in files)
    assert attest.block_store.stats().disk_entries == 2
    assert kv("clear") == {"cleared": 2}
    assert (kv("show")["blocks"], kv("show")["share"]) == (0, 0.0)
    assert read(attest) == {"kv_fill", "kv_join"}


def test_only_administrators_touch_blocks(attest: Attest) -> None:
    with attest.store() as work:
        work.accounts.create("ann", "", frozenset({"local"}), admin=False)
        work.commit()
    for verb in ("warm", "show", "clear"):
        assert main(["kv", verb, "--as", "ann", "--data", str(attest.settings.data)]) == 1


def test_the_newest_come_first_until_it_is_stopped(attest: Attest) -> None:
    over: list[int] = []
    done = warm(attest.store, attest.readers, None, lambda: bool(warmed(attest)), over.append)
    assert (done.blocks, done.ended, over) == (1, "stopped", [1])
    assert warmed(attest) == {"25th"}


def test_what_is_deleted_while_it_is_warmed_is_not_kept(attest: Attest) -> None:
    asked = 0

    def delete_on_the_way() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:  # its text has been read, its block has not been made
            with attest.store() as work:
                pay = work.documents.named(work.collections.named("handbook").id, "pay.md")
            changes.delete_document(attest.store, WHO, pay.id)
        return False

    done = warm(attest.store, attest.readers, None, delete_on_the_way, lambda made: None)
    assert (done.blocks, done.ended) == (1, "done")
    assert len(attest.kv_blocks.keys()) == 1
    assert warmed(attest) == {"27"}


def test_a_full_disk_ends_it(attest: Attest, weights: dict[str, object]) -> None:
    """A second block would leave less than a fifth of the budget to questions."""
    one = warm(attest.store, attest.readers, None, lambda: bool(warmed(attest)), lambda made: None)
    (size,) = attest.own_kv_blocks.sizes()
    small = load_settings(attest.settings.data, kv_disk_bytes=2 * size)
    tight = open_attest(small)
    done = warm(tight.store, tight.readers, None, lambda: False, lambda made: None)
    tight.close()
    assert one.blocks == 1
    assert (done.blocks, done.ended) == (0, "full")
    assert warmed(attest) == {"25th"}


def test_weights_that_read_everything_at_once_have_none(attest: Attest, tmp_path: Path) -> None:
    whole = open_attest(load_settings(attest.settings.data, adapter="none"))
    done = warm(whole.store, whole.readers, None, lambda: False, lambda made: None)
    whole.close()
    assert (done.blocks, done.ended) == (0, "done")
    assert not list(attest.settings.kv_folder.rglob("*.kv"))


# --- when a worker does it -----------------------------------------------------------------------


def test_not_while_documents_wait_or_the_machine_is_busy(attest: Attest) -> None:
    busy = open_attest(load_settings(attest.settings.data, warm_load=1e-9))
    assert Warming(busy, os.environ).run() == "the machine is busy"
    busy.close()
    upload(attest, RememberingQueue(), WHO, "handbook", "more.md", b"# More\n\nMore words.\n")
    assert Warming(attest, os.environ).run() == "documents wait"
    assert warmed(attest) == set()


def test_a_document_that_comes_in_ends_it_at_once(attest: Attest) -> None:
    with ThreadPoolExecutor() as pool:
        began = pool.submit(Warming(attest, os.environ).run)
        time.sleep(1.0)  # less than Python needs to load a model
        assert not began.done()
        upload(attest, RememberingQueue(), WHO, "handbook", "more.md", b"# More\n\nMore words.\n")
        came = time.monotonic()
        assert began.result() == "stopped"
    assert time.monotonic() - came < 5.0


def test_no_model_is_loaded_to_find_nothing_new(
    attest: Attest, kv: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.warming.LOWEST", 0)
    monkeypatch.setattr("ingestion.warming.LONGEST", 300.0)
    warming = Warming(attest, os.environ)
    assert (warming.run(), warming.run()) == ("done", "nothing is new")
    assert warmed(attest) == {"27", "25th"}
    kv("clear")
    assert warming.run() == "done"
    assert warmed(attest) == {"27", "25th"}


def test_an_idle_worker_warms_what_came_in(
    tmp_path: Path, embedder: Path, weights: dict[str, object]
) -> None:
    """Scheduler, broker and worker as processes; the process that answers was there before."""
    files = {"leave.md": LEAVE, "pay.md": PAY}
    house = quick_house(tmp_path / "data", embedder, **weights, warm_seconds=1.0)
    with house as attest, Broker(attest.settings):
        data = attest.settings.data
        command = [sys.executable, "-m", "tests.ingestion.eager_worker", "--data", str(data)]
        worker = start("worker", command, data / "worker.log", {})
        scheduler = run(attest, "scheduler")
        try:
            hand_in(attest, files)
            assert attest.block_store.stats().disk_entries == 0
            wait_for(lambda: all_done(attest), "the documents")
            wait_for(lambda: warmed(attest) == {"27", "25th"}, "their blocks")
            assert read(attest) == {"kv_join"}
        finally:
            worker.stop(20)
            scheduler.stop(20)
