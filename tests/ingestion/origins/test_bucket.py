"""Buckets: S3 as moto's server speaks it, and fsspec's own memory and local files."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from rag.domain import OriginKind, Principal
from rag.errors import AddressRefused, BadInput, NotPermitted
from tests.ingestion.origins.house import Origins, copied
from tests.servers import missing

BUCKET = OriginKind.BUCKET
KEY, SECRET = "an-access-key", "a-secret-that-nobody-may-see"


def follow(made: Origins, address: str, files: object, root: str) -> str:
    """New, unchanged, changed, deleted, on any file system; returns the origin's id."""
    write = files.pipe_file  # type: ignore[attr-defined]
    write(f"{root}/a.txt", b"Apples are red.")
    write(f"{root}/deep/b.txt", b"Bananas are yellow.")
    write(f"{root}/.hidden/c.txt", b"Nobody sees this.")
    id = made.add(BUCKET, address, prefix="b/")
    assert made.sync(id).counts == {"new": 2}
    assert made.documents() == {
        "b/a.txt": "Apples are red.",
        "b/deep/b.txt": "Bananas are yellow.",
    }
    assert made.sync(id).counts == {"unchanged": 2}
    write(f"{root}/a.txt", b"Apples are green.")
    write(f"{root}/new.txt", b"It is new.")
    assert made.sync(id).counts == {"new": 1, "changed": 1, "unchanged": 1}
    files.rm(f"{root}/deep/b.txt")  # type: ignore[attr-defined]
    assert made.sync(id).counts == {"deleted": 1, "unchanged": 2}
    assert made.documents() == {"b/a.txt": "Apples are green.", "b/new.txt": "It is new."}
    return id


def test_memory(template: Path, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    made = copied(template, tmp_path / "data", source_buckets=["memory://shelf"])
    id = follow(made, "memory://shelf/one", files, "/shelf/one")
    files.rm("/shelf/one", recursive=True)
    assert made.sync(id).held == 2
    assert len(made.documents()) == 2
    made.attest.close()


def test_local_files_are_for_administrators(template: Path, tmp_path: Path) -> None:
    place = tmp_path / "share"
    (place / "deep").mkdir(parents=True)
    (place / ".hidden").mkdir()
    made = copied(template, tmp_path / "data", source_buckets=[f"file://{place}"])
    with pytest.raises(NotPermitted, match="administrator"):
        made.add(BUCKET, f"file://{place}", who=Principal("mia", frozenset({"local"})))
    (place / "link.txt").symlink_to("/etc/passwd")
    follow(made, f"file://{place}", fsspec.filesystem("file"), str(place))
    made.attest.close()


def _needed(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        return missing(f"{module} is not installed: {exc}")


@pytest.fixture
def s3() -> Iterator[str]:
    """The address of a real server that speaks S3."""
    server = _needed("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_s3(template: Path, tmp_path: Path, s3: str) -> None:
    _needed("s3fs")
    access = {"key": KEY, "secret": SECRET, "endpoint_url": s3}
    files = fsspec.filesystem("s3", use_listings_cache=False, **access)
    files.mkdir("reports")
    made = copied(
        template,
        tmp_path / "data",
        source_buckets=["s3://reports"],
        source_bucket_options=json.dumps({"s3://reports": access}),
        max_upload_bytes=1000,
    )
    id = follow(made, "s3://reports/2026", files, "reports/2026")
    files.pipe_file("reports/2026/large.txt", b"x" * 1001)
    assert made.sync(id).counts == {"unchanged": 2, "failed": 1}
    assert "1,001 bytes" in made.items(id)["large.txt"].error
    stored = [path.read_bytes() for path in (tmp_path / "data").glob("attest.db*")]
    assert stored
    assert not any(SECRET.encode() in each for each in stored)
    assert SECRET not in repr(made.attest.settings)
    files.rm("reports/2026", recursive=True)
    assert made.sync(id).held == 2
    files.rm("reports", recursive=True)
    assert made.sync(id).error
    assert len(made.documents()) == 2
    made.attest.close()


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("s3://reports-of-others", AddressRefused),
        ("s3://reports/../others", BadInput),
        ("s3://key:secret@reports/x", BadInput),
        ("simplecache::s3://reports", BadInput),
        ("file:///etc", AddressRefused),
        ("http://example.org/reports", BadInput),
        ("reports", BadInput),
        ("", BadInput),
    ],
)
def test_addresses_that_are_not_allowed(
    template: Path, tmp_path: Path, address: str, error: type[Exception]
) -> None:
    made = copied(template, tmp_path / "data", source_buckets=["s3://reports"])
    with pytest.raises(error) as refused:
        made.add(BUCKET, address)
    assert "secret" not in str(refused.value)
    made.attest.close()
