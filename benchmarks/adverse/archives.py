"""Archives as they are packed, well and badly."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator

from benchmarks.adverse.case import Case


def zipped(files: dict[str, bytes], **options: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(
    files: dict[str, bytes], mode: str = "w", format: int = tarfile.PAX_FORMAT, links: bool = False
) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if links:
            info = tarfile.TarInfo("link.txt")
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return out.getvalue()


def _unmarked(data: bytes) -> bytes:
    """The tar as it was before POSIX: without its mark, and with the sums that then hold."""
    out = bytearray(data)
    at = data.find(b"ustar")
    while at >= 0:
        head = at - 257
        out[at : at + 8] = bytes(8)
        out[head + 148 : head + 156] = b" " * 8
        out[head + 148 : head + 156] = b"%06o\0 " % sum(out[head : head + 512])
        at = data.find(b"ustar", at + 1)
    return bytes(out)


def cases() -> Iterator[Case]:
    files = {"a.txt": b"Words of a.", "dir/b.txt": b"Words of b."}
    both = ("a.txt", "dir/b.txt")
    yield Case("plain.zip", zipped(files), both, members=both)
    yield Case(
        "nested.zip",
        zipped({"in.zip": zipped(files)}),
        members=("in.zip/a.txt", "in.zip/dir/b.txt"),
    )
    yield Case(
        "traversal.zip", zipped({"../../x.txt": b"x", "a.txt": b"Words."}), states=("unreadable",)
    )
    yield Case("absolute.zip", zipped({"/etc/x.txt": b"Words of x."}), members=("etc/x.txt",))
    yield Case("drive.zip", zipped({"C:\\dir\\x.txt": b"Words of x."}), states=("read",))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.txt", "Words.")
    yield Case("symlink.zip", out.getvalue(), ("a.txt",), absent=("link.txt",), members=("a.txt",))
    for kind in ("gz", "bz2", "xz"):
        yield Case(f"plain.tar.{kind}", tarred(files, f"w:{kind}"), both, members=both)
    yield Case("old.tar", _unmarked(tarred(files, format=tarfile.USTAR_FORMAT)), members=both)
    yield Case(
        "gnu.tar",
        tarred({"x" * 150 + ".txt": b"Words."}, format=tarfile.GNU_FORMAT),
        states=("read",),
    )
    yield Case("links.tar", tarred(files, links=True), absent=("link.txt",), members=both)
    yield Case("one.txt.gz", gzip.compress(b"Words that were packed alone."), members=("one.txt",))
    yield Case(
        "two-members.txt.gz",
        gzip.compress(b"First part, ") + gzip.compress(b"second part."),
        members=("two-members.txt",),
    )
    yield Case("one.txt.bz2", bz2.compress(b"Words."), members=("one.txt",))
    yield Case("one.txt.xz", lzma.compress(b"Words."), members=("one.txt",))
    yield Case(
        "one.txt.lzma",
        lzma.compress(b"Words." * 50, format=lzma.FORMAT_ALONE),
        states=("read", "unsupported"),
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr("a.txt", "First words.")
            archive.writestr("a.txt", "Second words.")
    yield Case("duplicates.zip", out.getvalue(), members=("a.txt", "a (2).txt"))
    "Größe.txt".encode("cp850")
    yield Case(
        "cp850-names.zip",
        zipped({"GrXXYe.txt": b"Words."}).replace(b"GrXXYe.txt", b"Gr\x94\xe1e.txt\x20"[:10]),
        states=("read",),
    )
    yield Case(
        "utf8-names.zip",
        zipped({"GrXXYYe.txt": b"Words."}).replace(b"GrXXYYe.txt", "Größe.txt".encode()),
        members=("Größe.txt",),
    )
    yield Case(
        "sjis-names.zip",
        zipped({"abcdefgh.txt": b"Words."}).replace(b"abcdefgh", "保証期間".encode("cp932")),
        states=("read",),
    )
    yield Case(
        "cp866-names.zip",
        zipped({"abcdefgh.txt": b"Words."}).replace(b"abcdefgh", "Гарантия".encode("cp866")),
        states=("read",),
    )
    data = bytearray(zipped({"a.txt": b"Words of a, quite a few of them."}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    yield Case("encrypted.zip", bytes(data), states=("encrypted",))
    zipped({"a.txt": b"0" * 60_000_000})
    deep = zipped(files)
    for n in range(8):
        deep = zipped({f"{n}.zip": deep})
    yield Case("deep.zip", deep, states=("limit",))
    yield Case("cut.zip", zipped(files)[:-30], states=("unreadable",))
    yield Case(
        "crc.zip",
        zipped({"a.txt": b"Words of a."}).replace(
            b"\x0b\x00\x00\x00\x05\x00\x00\x00a.txt"[:0] or b"nothing here", b""
        ),
        states=("read", "unreadable"),
    )
    yield Case("cut.tar.gz", tarred(files, "w:gz")[:-20], states=("unreadable",))
    yield Case("empty.zip", zipped({}), states=("empty",))
    yield Case(
        "self-extracting.exe", b"MZ" + bytes(300) + zipped(files), states=("read", "unsupported")
    )
    yield Case(
        "archive.7z", b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(range(200)), states=("unsupported",)
    )
    yield Case("archive.rar", b"Rar!\x1a\x07\x01\x00" + bytes(range(200)), states=("unsupported",))
    yield Case(
        "with-hidden.zip",
        zipped({"__MACOSX/._a.txt": b"x", ".DS_Store": b"x", "a.txt": b"Words."}),
        ("a.txt",),
        absent=("DS_Store",),
        members=("a.txt",),
    )
