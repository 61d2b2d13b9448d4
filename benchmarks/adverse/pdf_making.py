"""What PDFs are made with: pages drawn by reportlab, or written object by object."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pypdf
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

PROSE = (
    "The warranty lasts for three years and covers every part of the pump.",
    "Claims are to be sent to the office in Lisbon within thirty days.",
    "Seals and filters wear out and are not covered by the warranty.",
    "A pump that was opened by others loses the warranty at once.",
)


HELVETICA = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def drawn(*pages: Callable[[Canvas], None], **options: object) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, **options)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def prose(canvas: Canvas, lines: Sequence[str] = PROSE, x: float = 72, y: float = 760) -> None:
    canvas.setFont("Helvetica", 11)
    for number, line in enumerate(lines):
        canvas.drawString(x, y - 15 * number, line)


def scan(
    lines: Sequence[str] = PROSE,
    size: tuple[int, int] = (1240, 1754),
    height: int = 26,
    mode: str = "L",
) -> Image.Image:
    picture = Image.new("L", size, 255)
    font = ImageFont.load_default(height)
    for number, line in enumerate(lines):
        ImageDraw.Draw(picture).text((100, 150 + 2.2 * height * number), line, 0, font=font)
    return picture.convert(mode)


def rewritten(data: bytes, change: Callable[[pypdf.PdfWriter], None]) -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    change(writer)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def raw(objects: Sequence[bytes], root: int = 1, trailer: str = "") -> bytes:
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n".encode() + body + b"\nendobj\n")
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.writelines(f"{place:010d} 00000 n \n".encode() for place in places)
    out.write(f"trailer\n<< /Size {len(objects) + 1} /Root {root} 0 R {trailer} >>\n".encode())
    out.write(f"startxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def page_of(content: bytes, font: str, box: str = "0 0 595 842", extra: str = "") -> bytes:
    return raw(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [{box}] {extra} /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>".encode(),
            f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream",
            font.encode(),
        ]
    )


def shown(lines: Sequence[str], shift: int = 0, y: int = 760) -> bytes:
    moved = [bytes((ord(c) - shift) % 256 for c in line) for line in lines]
    return b"".join(
        b"BT /F1 11 Tf 72 %d Td <%s> Tj ET\n" % (y - 15 * n, line.hex().encode())
        for n, line in enumerate(moved)
    )
