"""A collection that is large enough for a snapshot, through the parts that a process has."""

from __future__ import annotations

from pathlib import Path

from rag.commands.diagnosis import diagnose
from rag.index.building import build
from rag.search_engines import sweep_snapshots
from tests.ingestion.house import WHO, RememberingQueue, make_collection, open_house, work_off

PAGE = b"# Leave\n\nEmployees have 27 days of paid leave a year.\n"


def test_doctor_and_metrics_tell_of_a_snapshot(tmp_path: Path) -> None:
    from ingestion.uploads import upload

    attest, queue = open_house(tmp_path / "data"), RememberingQueue()
    collection = make_collection(attest)
    upload(attest, queue, WHO, "handbook", "leave.md", PAGE)
    work_off(attest, queue)
    with attest.store() as work:
        collection = work.collections.named("handbook")
    folder = attest.settings.index_folder / collection.id
    assert build(attest.store, collection.id, folder, attest.embedder.dimension, 0) is not None
    told = {each.check: each for each in diagnose(attest, 5, lambda _: None)}
    assert told["index"].state == "ok"
    assert "flat, 1 rows" in told["index: handbook"].detail
    assert attest.gauges()["index_rows"] == 1
    attest.close()


def test_a_child_process_makes_the_snapshot(tmp_path: Path) -> None:
    from ingestion.uploads import upload
    from rag.indexing import Builder

    attest, queue = open_house(tmp_path / "data"), RememberingQueue()
    make_collection(attest)
    upload(attest, queue, WHO, "handbook", "leave.md", PAGE)
    work_off(attest, queue)
    with attest.store() as work:
        collection = work.collections.named("handbook")
    folder = attest.settings.index_folder / collection.id
    Builder(attest.settings.database, collection.id, folder, attest.embedder.dimension)(0)
    assert list(folder.glob("[0-9]*/manifest.json"))
    attest.close()


def test_what_is_deleted_leaves_no_snapshot(tmp_path: Path) -> None:
    """At once where the deletion is told; else when a process starts."""
    from ingestion.uploads import upload

    attest, queue = open_house(tmp_path / "data"), RememberingQueue()
    make_collection(attest)
    upload(attest, queue, WHO, "handbook", "leave.md", PAGE)
    work_off(attest, queue)
    with attest.store() as work:
        collection = work.collections.named("handbook").id
    folder = attest.settings.index_folder / collection
    build(attest.store, collection, folder, attest.embedder.dimension, 0)
    attest.index(collection).catch_up()
    assert attest.standings()[collection].kind == "flat"
    sweep_snapshots(attest.settings, attest.store)
    assert list(folder.glob("[0-9]*/manifest.json"))
    with attest.store() as work:
        work.collections.delete(collection)
        work.commit()
    attest.forget_index(collection)
    assert not folder.exists()
    assert not attest.standings()
    folder.mkdir()  # as another process leaves it that was making one
    sweep_snapshots(attest.settings, attest.store)
    assert not folder.exists()
    attest.close()
