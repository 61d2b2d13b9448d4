"""Blobs in a folder: whole or not at all."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.errors import Corrupt, DiskFull, NotFound, StoreUnavailable
from rag.ports import Blobs
from rag.store.blobs import FolderBlobs
from tests.store.samples import sha


def file_of(path: Path, sha256: str) -> Path:
    return path / sha256[:2] / sha256[2:4] / sha256


@given(data=st.binary(max_size=300))
@settings(max_examples=25, deadline=None)
def test_what_is_put_comes_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    blobs: Blobs = FolderBlobs(tmp_path_factory.mktemp("blobs"))
    name = blobs.put(data)
    assert blobs.put(data) == name
    assert blobs.has(name)
    assert blobs.get(name) == data
    blobs.delete(name)
    blobs.delete(name)
    assert not blobs.has(name)


def test_unknown_names(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path / "none yet")
    for name in (sha("x"), "../../etc/passwd", "", sha("x").upper()):
        assert not blobs.has(name)
        with pytest.raises(NotFound):
            blobs.get(name)
    assert list(blobs.all()) == []
    assert blobs.discard_unfinished() == 0


def test_damage_is_found_and_mended(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    name = blobs.put(b"words")
    file_of(tmp_path, name).write_bytes(b"wards")
    with pytest.raises(Corrupt, match=name):
        blobs.get(name)
    assert blobs.put(b"words") == name
    assert blobs.get(name) == b"words"
    assert list(blobs.all()) == [name]


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, DiskFull), (errno.EIO, StoreUnavailable)]
)
def test_a_failing_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, expected: type[Exception]
) -> None:
    blobs = FolderBlobs(tmp_path)

    def fail(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(expected):
            blobs.put(b"words")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert blobs.get(blobs.put(b"words")) == b"words"


def test_what_a_killed_writer_left_is_discarded(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    blobs.put(b"words")
    (tmp_path / "unfinished" / "tmp123").write_bytes(b"wo")
    assert blobs.discard_unfinished() == 0
    assert blobs.discard_unfinished(older_than=-1) == 1


def test_many_writers_of_the_same_bytes(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(blobs.put(b"words" * 1000))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(names)) == 1
    assert len(names) == 8
    assert blobs.get(names[0]) == b"words" * 1000
