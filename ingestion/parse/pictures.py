"""Pictures of text (PNG, JPEG, TIFF, BMP, GIF, WebP, AVIF, HEIC) as pages, their words recognised.

A point is a pixel at 72 dpi unless the picture says how it was scanned, so that boxes fit the page
as `rag.api.page_image` draws it.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ingestion.limits import Limits
from ingestion.parse.family import READABLE
from ingestion.parse.ocr import MISSING, Recogniser, installed
from ingestion.parse.pdf_blocks import add_page_block, page_blocks, style_of
from ingestion.parse.transcript import Transcript
from rag.domain import Parsed
from rag.errors import LimitExceeded, UnreadableDocument, UnsupportedType

if TYPE_CHECKING:
    from PIL.Image import Image

_MARKS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
}
_OTHERS = ("BMP", "WEBP", "AVIF", "HEIC")
_MEDIA_TYPES = {name: f"image/{name.lower()}" for name in (*_MARKS.values(), *_OTHERS)}
MEDIA_TYPES = frozenset(_MEDIA_TYPES.values())
_MOST_PIXELS = 80_000_000
_SCANNED = (60.0, 1_200.0)  # dpi that a scanner has; others say nothing about the paper
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_AVIF = (b"avif", b"avis")


def picture_format(data: bytes) -> str:
    """The kind of picture by its first bytes, "" for none."""
    for mark, name in _MARKS.items():
        if data.startswith(mark):
            return name
    if data[:2] == b"BM" and int.from_bytes(data[2:6], "little") in (len(data), 0):
        return "BMP"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp" and data[8:12] in (*_HEIF, *_AVIF):
        brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
        return "AVIF" if any(brand in brands for brand in _AVIF) else "HEIC"
    return ""


def parse_picture(data: bytes, limits: Limits) -> Parsed:
    """Recognise the text of a picture, or of each of its frames. Raises UnsupportedType where
    nothing recognises text here, UnreadableDocument, LimitExceeded, EmptyDocument."""
    if not installed():
        raise UnsupportedType(f"the file is a picture; {MISSING}. {READABLE}")
    recogniser = Recogniser(limits.seconds)
    transcript = Transcript(limits)
    count = 0
    for count, (frame, scale) in enumerate(frames(data), 1):
        if count > limits.pages:
            raise LimitExceeded(f"the picture has more than {limits.pages:,} pages")
        lines = recogniser.lines(frame, count, scale)
        for block in page_blocks(lines, style_of([lines])):
            add_page_block(transcript, block)
    if recogniser.left:
        raise LimitExceeded(
            f"recognising the text of {count} page(s) takes longer than {limits.seconds:g} "
            f"seconds; {recogniser.left} are left: split the picture, make it smaller, or raise "
            "parse_seconds"
        )
    return transcript.finish(
        _MEDIA_TYPES[picture_format(data)], pages=count, nothing="no text was found on the picture"
    )


def frames(data: bytes) -> Iterator[tuple[Image, float]]:
    """The pages of a picture upright, with points a pixel of each. Raises UnsupportedType where
    nothing decodes its kind here, UnreadableDocument, LimitExceeded."""
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

    if picture_format(data) == "HEIC":
        _open_heic()
    Image.MAX_IMAGE_PIXELS = None  # sizes are checked here
    try:
        with Image.open(io.BytesIO(data)) as picture:
            whole = picture.format in ("TIFF",)
            for frame in ImageSequence.Iterator(picture) if whole else (picture,):
                if frame.width * frame.height > _MOST_PIXELS:
                    raise LimitExceeded(
                        f"the picture has {frame.width:,} x {frame.height:,} pixels; "
                        f"{_MOST_PIXELS:,} are allowed: make it smaller"
                    )
                scale = _points_per_pixel(frame)
                upright = ImageOps.exif_transpose(frame)
                yield upright, scale
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError) as exc:
        raise UnreadableDocument(
            f"the picture is damaged or cut ({str(exc)[:120]}); save it again"
        ) from exc


def _open_heic() -> None:
    """Have Pillow read the pictures of Apple's cameras; it decodes all others itself."""
    if not importlib.util.find_spec("pi_heif"):
        raise UnsupportedType(
            "the picture is HEIC; save it as JPEG or PNG, or run `pip install 'attest-rag[heic]'` "
            "(LGPL-3.0)"
        )
    import pi_heif

    pi_heif.register_heif_opener()


def _points_per_pixel(frame: Image) -> float:
    """Of a scan that says its resolution; else a pixel is a point, which loses nothing."""
    given = frame.info.get("dpi")
    try:
        dpi = float(given[0]) if isinstance(given, tuple) else 0.0
    except (TypeError, ValueError, ZeroDivisionError):
        dpi = 0.0
    low, high = _SCANNED
    return 72.0 / dpi if low <= dpi <= high else 1.0
