"""Pictures of text in every mode, shape and size."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont, ImageOps

from benchmarks.adverse.case import Case
from benchmarks.adverse.pdf_making import (
    scan,
)

LINES = ("The pump is shut until May.", "Bring the blue form along.")


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def small(mode: str = "L", ground: int = 255) -> Image.Image:
    return scan(LINES, (800, 400), 34).convert(mode)


def _transparent() -> Image.Image:
    picture = Image.new("RGBA", (800, 400), (0, 0, 0, 0))
    for number, line in enumerate(LINES):
        ImageDraw.Draw(picture).text(
            (60, 100 + 80 * number), line, (0, 0, 0, 255), font=ImageFont.load_default(34)
        )
    return picture


def _turned(orientation: int) -> bytes:
    turn = {
        3: Image.Transpose.ROTATE_180,
        6: Image.Transpose.ROTATE_90,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(small().transpose(turn), "JPEG", exif=exif)


def cases() -> Iterator[Case]:
    for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"):
        yield Case(f"plain.{kind.lower()}", saved(small("RGB"), kind), LINES)
    for orientation in (3, 6, 8):
        yield Case(f"exif-{orientation}.jpg", _turned(orientation), LINES)
    yield Case("cmyk.jpg", saved(small("RGB").convert("CMYK"), "JPEG"), LINES)
    yield Case(
        "sixteen.png",
        saved(small().convert("I").point(lambda v: v * 257).convert("I;16"), "PNG"),
        LINES,
    )
    yield Case(
        "sixteen.tiff",
        saved(small().convert("I").point(lambda v: v * 257).convert("I;16"), "TIFF"),
        LINES,
    )
    yield Case("float.tiff", saved(small().convert("F"), "TIFF"), LINES)
    yield Case("one-bit.tiff", saved(small("1"), "TIFF", compression="group4"), LINES)
    yield Case("transparent.png", saved(_transparent(), "PNG"), LINES)
    yield Case("palette-transparent.png", saved(_transparent().quantize(8), "PNG"), LINES)
    yield Case("inverted.png", saved(ImageOps.invert(small()), "PNG"), LINES)
    yield Case("grey-alpha.png", saved(_transparent().convert("LA"), "PNG"), LINES)
    yield Case(
        "pages.tiff",
        saved(
            small(),
            "TIFF",
            save_all=True,
            append_images=[scan(("Second page of the fax.",), (800, 400), 34)],
        ),
        (*LINES, "Second page of the fax."),
    )
    yield Case(
        "animated.gif", saved(small(), "GIF", save_all=True, append_images=[small()] * 50), LINES
    )
    yield Case("one-pixel.png", saved(Image.new("L", (1, 1)), "PNG"), states=("empty",))
    yield Case("line.png", saved(Image.new("L", (5000, 1), 255), "PNG"), states=("empty",))
    yield Case(
        "20000-square.png",
        saved(Image.new("1", (20_000, 20_000), 1), "PNG"),
        states=("limit", "empty"),
    )
    long = [f"Line {n} of the long receipt." for n in range(60)]
    yield Case(
        "receipt.png",
        saved(scan(long, (700, 6000), 34), "PNG"),
        (
            "Line 0 of the long receipt.",
            "Line 30 of the long receipt.",
            "Line 59 of the long receipt.",
        ),
    )
    yield Case(
        "strip.png",
        saved(
            scan(
                (
                    "A very long strip begins here and goes on for quite a while, says the banner, "
                    * 2,
                ),
                (6000, 300),
                60,
            ),
            "PNG",
        ),
        states=("read",),
    )
    yield Case("cut.png", saved(small(), "PNG")[:2000], states=("unreadable", "read"))
    yield Case("cut.jpg", saved(small(), "JPEG")[:4000], states=("unreadable", "read"))
    yield Case(
        "lies-about-size.png",
        saved(small(), "PNG")[:16]
        + b"\x7f\xff\xff\xff\x7f\xff\xff\xff"
        + saved(small(), "PNG")[24:],
        states=("limit", "unreadable"),
    )
    yield Case(
        "svg.svg",
        b"<svg xmlns='http://www.w3.org/2000/svg'><text>The drawn words.</text></svg>",
        ("The drawn words.",),
    )
    dense = [
        f"{n} words that fill the page from edge to edge without any rest at all, {n * 7919}"
        for n in range(90)
    ]
    yield Case("dense.png", saved(scan(dense, (2480, 5200), 24), "PNG"), states=("read", "limit"))
    yield Case("name.txt", saved(small("RGB"), "PNG"), LINES)
