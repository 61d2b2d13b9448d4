"""Archives: what is inside, and what hostile ones are refused for."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.limits import MIB, Limits
from ingestion.parse import parse
from rag.errors import (
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    UnreadableDocument,
    UnsupportedType,
)
from tests.ingestion.making import docx_bytes, read
from tests.ingestion.test_members import zipped
from tests.ingestion.test_parse_docx import price_list

FILES = {"a.txt": b"first", "folder/b.txt": b"second"}


def tarred(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def inside(data: bytes, name: str = "a.bin", limits: Limits | None = None) -> dict[str, bytes]:
    return {member.name: member.data for member in read(data, name, limits).members}


@pytest.mark.parametrize(
    "pack",
    [
        zipped,
        tarred,
        lambda files: gzip.compress(tarred(files)),
        lambda files: bz2.compress(tarred(files)),
        lambda files: lzma.compress(tarred(files)),
    ],
    ids=["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"],
)
def test_files_are_found_by_content(pack: Callable[[Mapping[str, bytes]], bytes]) -> None:
    assert inside(pack(FILES)) == FILES


def test_a_pdf_as_first_file_does_not_make_the_archive_a_pdf() -> None:
    files = {"a.pdf": b"%PDF-1.7 and so on"}
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.pdf", files["a.pdf"])
    assert inside(stored.getvalue()) == inside(tarred(files)) == files


def test_a_single_packed_file() -> None:
    out = io.BytesIO()
    with gzip.GzipFile("report.txt", "wb", fileobj=out) as packed:
        packed.write(b"the report")
    assert inside(out.getvalue()) == {"report.txt": b"the report"}


def test_archives_in_archives_are_walked_and_office_files_are_not() -> None:
    office = docx_bytes(price_list())
    found = inside(zipped({"in/x.zip": zipped(FILES), "p.docx": office}))
    assert found == {
        "in/x.zip/a.txt": b"first",
        "in/x.zip/folder/b.txt": b"second",
        "p.docx": office,
    }


def test_clutter_and_hidden_files_are_left_out() -> None:
    clutter = {"__MACOSX/._a.txt": b"x", ".DS_Store": b"x", "folder/.git/config": b"x"}
    assert inside(zipped({**FILES, **clutter})) == FILES
    with pytest.raises(EmptyDocument, match="no files"):
        read(zipped(clutter), "a.zip")


def test_links_are_not_followed() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("secret.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("a.txt")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"first"))
    assert inside(out.getvalue()) == {"a.txt": b"first"}


def test_names_that_lead_out_are_refused() -> None:
    for pack in (zipped, tarred):
        with pytest.raises(UnreadableDocument, match="unsafe"):
            read(pack({"../../evil.txt": b"x"}), "a.zip")
    assert inside(tarred({"/etc/rules.txt": b"x"})) == {"etc/rules.txt": b"x"}


def test_bombs() -> None:
    bomb = zipped({"zeros": bytes(64 * MIB)})
    assert len(bomb) < MIB
    with pytest.raises(LimitExceeded, match="unpacks"):
        read(bomb, "a.zip")
    with pytest.raises(LimitExceeded, match="unpacks"):
        read(gzip.compress(bytes(64 * MIB)), "a.gz")
    many = zipped({f"{n}.zip": zipped({f"{m}.txt": b"x" for m in range(50)}) for n in range(50)})
    with pytest.raises(LimitExceeded, match="1,000 files"):
        read(many, "a.zip")
    big = zipped({f"{n}.bin": bytes(range(256)) * 4096 for n in range(4)})
    with pytest.raises(LimitExceeded, match="max_archived_bytes"):
        read(big, "a.zip", Limits(archived_bytes=2 * MIB))
    nested = b"innermost"
    for _ in range(5):
        nested = zipped({"x": nested})
    with pytest.raises(LimitExceeded, match="3 deep"):
        read(nested, "a.zip")


def test_a_false_size_does_not_help() -> None:
    """The directory says 5 bytes, the file unpacks to a thousand times as many."""
    data = zipped({"a.txt": b"words" * 1000})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.infolist()[0].file_size
    false = data.replace(size.to_bytes(4, "little"), (5).to_bytes(4, "little"))
    with pytest.raises(UnreadableDocument):
        read(false, "a.zip")


def test_damaged_and_encrypted() -> None:
    good = zipped(FILES)
    with pytest.raises(UnreadableDocument):
        read(good[: len(good) // 2], "a.zip")
    with pytest.raises(UnreadableDocument, match="damaged"):
        read(gzip.compress(b"words" * 100)[:-20], "a.gz")
    locked = bytearray(good)
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[good.index(mark) + flags] |= 1
    with pytest.raises(EncryptedDocument, match="password"):
        read(bytes(locked), "a.zip")
    with pytest.raises(UnsupportedType):
        read(b"7z\xbc\xaf\x27\x1c" + bytes(range(256)) * 4, "a.7z")


@settings(deadline=None)
@given(st.binary(max_size=600), st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9"]))
def test_any_archive_is_read_or_refused_with_a_reason(data: bytes, mark: bytes) -> None:
    with pytest.raises(UnreadableDocument):
        parse(mark + data, "a.zip")
