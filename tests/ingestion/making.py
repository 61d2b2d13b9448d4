"""Small real files, made in the tests: PDFs and compound files by tiny writers, DOCX by
python-docx."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import docx

from benchmarks.adverse.pdf_making import raw
from ingestion.limits import Limits
from ingestion.parse import parse
from rag.domain import Parsed

PAGE = (595, 842)


@dataclass(frozen=True)
class Text:
    """A line of text with its baseline at (x, y) from the bottom left of the page, in points."""

    x: float
    y: float
    text: str
    size: float = 11
    font: str = "F1"  # F1 Helvetica, F2 Helvetica-Bold


def pdf(*pages: Sequence[Text], rotate: int = 0, title: str = "") -> bytes:
    """A PDF with these lines on its pages."""
    streams = [
        "".join(
            f"BT /{line.font} {line.size} Tf {line.x} {line.y} Td ({_escaped(line.text)}) Tj ET\n"
            for line in lines
        ).encode("cp1252")
        for lines in pages
    ]
    return pdf_of_streams(streams, rotate=rotate, title=title)


def pdf_of_streams(
    streams: Sequence[bytes], *, rotate: int = 0, title: str = "", third: str = ""
) -> bytes:
    """A PDF with these streams as pages; `third` is the dictionary of a font F3."""
    count = len(streams)
    kids = " ".join(f"{5 + 2 * n} 0 R" for n in range(count))
    fonts = f"/Font << /F1 3 0 R /F2 4 0 R {third and f'/F3 << {third} >>'} >>"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>",
    ]
    for number, stream in enumerate(streams):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {PAGE[0]} {PAGE[1]}] /Rotate {rotate} "
            f"/Resources << {fonts} >> /Contents {6 + 2 * number} 0 R >>".encode()
        )
        packed = zlib.compress(stream)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        objects.append(head + packed + b"\nendstream")
    objects.append(f"<< /Title ({_escaped(title)}) >>".encode())
    return raw(objects, trailer=f"/Info {len(objects)} 0 R")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def prose(lines: Sequence[str], x: float = 60, top: float = 760, leading: float = 14) -> list[Text]:
    return [Text(x, top - leading * n, line) for n, line in enumerate(lines)]


def docx_bytes(document: docx.document.Document) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def with_member(archive: bytes, name: str, data: bytes) -> bytes:
    """The zip archive with one member added or replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            if info.filename != name:
                new.writestr(info, old.read(info))
        new.writestr(name, data, compress_type=zipfile.ZIP_DEFLATED)
    return out.getvalue()


_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def ole(streams: Mapping[str, bytes]) -> bytes:
    """A compound file (the container of old Office formats) with these streams. They are filled up
    to 4096 bytes, from where on they need no mini stream."""
    bodies = [data.ljust(max(4096, -(-len(data) // _SECTOR) * _SECTOR), b"\0")
              for data in streams.values()]  # fmt: skip
    folder = -(-(len(streams) + 1) // 4)
    fat = [_FAT, *range(2, folder + 1), _END]
    starts = []
    for body in bodies:
        starts.append(len(fat))
        sectors = len(body) // _SECTOR
        fat += [*range(len(fat) + 1, len(fat) + sectors), _END]
    assert len(fat) <= 128, "one sector of allocations"
    fat += [_FREE] * (128 - len(fat))
    entries = [_entry("Root Entry", 5, _END, 0, child=1)]
    for number, (name, start, body) in enumerate(zip(streams, starts, bodies, strict=True), 1):
        right = number + 1 if number < len(streams) else _FREE
        entries.append(_entry(name, 2, start, len(body), right=right))
    head = struct.pack("<8s16sHHHHH6xIIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"",
                       0x3E, 3, 0xFFFE, 9, 6, 0, 1, 1, 0, 4096, _END, 0, _END, 0, 0)  # fmt: skip
    head += struct.pack("<108I", *[_FREE] * 108)
    table = struct.pack("<128I", *fat)
    listed = b"".join(entries).ljust(folder * _SECTOR, b"\0")
    return head[:_SECTOR] + table + listed + b"".join(bodies)


def _entry(
    name: str, kind: int, start: int, size: int, *, child: int = _FREE, right: int = _FREE
) -> bytes:
    wide = name.encode("utf-16-le") + b"\0\0"
    return struct.pack("<64sHBBIII16xI16xIQ", wide, len(wide), kind, 1, _FREE, right, child, 0,
                       start, size)  # fmt: skip


def read(data: bytes, name: str, limits: Limits | None = None) -> Parsed:
    """Parse and check what must hold for every format."""
    parsed = parse(data, name, limits)
    at = 0
    for block in parsed.blocks:
        assert at <= block.start < block.end <= len(parsed.text)
        assert parsed.text[at : block.start].strip() == ""
        assert parsed.text[block.start : block.end].strip()
        at = block.end
    assert at == len(parsed.text)
    last = 0
    for word in parsed.words:
        assert last <= word.start < word.end
        assert not any(c.isspace() for c in parsed.text[word.start : word.end])
        last = word.end
    parsed.text.encode()
    assert "\0" not in parsed.text
    return parsed


def shown(parsed: Parsed) -> list[tuple[str, str]]:
    return [(b.kind.value, parsed.text[b.start : b.end]) for b in parsed.blocks]
