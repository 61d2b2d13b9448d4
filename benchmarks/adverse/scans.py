"""PDFs whose words are pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from benchmarks.adverse.case import Case
from benchmarks.adverse.pdf_making import (
    PROSE,
    drawn,
    prose,
    raw,
    scan,
)


def _hybrid() -> bytes:
    """A scan below a printed head of more than a stamp's length."""

    def page(canvas: Canvas) -> None:
        prose(
            canvas,
            [
                "Received by the registry of the municipality, counter seven, 4 May 2021,",
                "filed under 17/2021 and forwarded to the department of works.",
            ],
            y=815,
        )
        canvas.drawInlineImage(scan(size=(1240, 1500)), 30, 20, 535, 647)

    return drawn(page)


def _report_with_photo() -> bytes:
    def page(canvas: Canvas) -> None:
        prose(canvas)
        picture = Image.effect_noise((400, 300), 90).convert("RGB")
        canvas.drawInlineImage(picture, 20, 40, 555, 600)

    return drawn(page)


def with_image(filter: str, data: bytes, size: tuple[int, int], extra: str = "") -> bytes:
    content = b"q 595 0 0 842 0 0 cm /I Do Q"
    head = f"<< /Type /XObject /Subtype /Image /Width {size[0]} /Height {size[1]} /ColorSpace /DeviceGray /BitsPerComponent {'1' if 'JBIG2' in filter or 'CCITT' in filter else '8'} /Filter /{filter} {extra} /Length {len(data)} >>\nstream\n"
    return raw(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /XObject << /I 5 0 R >> >> /Contents 4 0 R >>",
            f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream",
            head.encode() + data + b"\nendstream",
        ]
    )


def _jpx() -> bytes:
    out = io.BytesIO()
    scan().save(out, "JPEG2000")
    return with_image("JPXDecode", out.getvalue(), (1240, 1754))


def _ccitt() -> bytes:
    out = io.BytesIO()
    scan(mode="1").save(out, "PDF", resolution=150)
    return out.getvalue()


def cases() -> Iterator[Case]:
    whole = PROSE
    yield Case("scan.pdf", drawn(lambda c: c.drawInlineImage(scan(), 0, 0, 595, 842)), whole)
    yield Case("hybrid-scan.pdf", _hybrid(), ("counter seven", "department of works", *whole))
    yield Case("photo.pdf", _report_with_photo(), whole)
    yield Case("jpx.pdf", _jpx(), whole)
    yield Case("fax.pdf", _ccitt(), whole)
    yield Case(
        "jbig2-broken.pdf",
        with_image("JBIG2Decode", b"\0\0\0\0\x30\0\1\0\0\0\x13" + bytes(40), (1240, 1754)),
        states=("empty", "unreadable"),
    )
