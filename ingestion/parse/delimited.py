"""CSV, TSV and their kin: one table of rows, whatever the encoding and the delimiter."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.sheets import add_table
from ingestion.parse.transcript import Transcript, clean
from rag.domain import Parsed
from rag.errors import UnreadableDocument

_DELIMITERS = ",;\t|"
_SAMPLE = 2**16
_SEP = re.compile(r"\Asep=(.)\n")  # how Excel names the delimiter
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def parse_delimited(data: bytes, limits: Limits) -> Parsed:
    """Parse delimited text. Raises UnsupportedType for binary data, EmptyDocument."""
    text = clean(decode(data))
    named = _SEP.match(text)
    delimiter = named.group(1) if named else delimiter_of(text[:_SAMPLE])
    csv.field_size_limit(limits.characters)
    transcript = Transcript(limits)
    text = text[named.end() :] if named else text
    text = re.sub(
        rf'\\"(?!{re.escape(delimiter)}|\n|\Z)', '""', text
    )  # \" for "", as some write it
    source = io.StringIO(text, newline="")
    add_table(transcript, _rows(source, delimiter))
    return transcript.finish("text/csv")


def _rows(source: io.StringIO, delimiter: str) -> list[list[str]]:
    reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True)
    try:
        return list(reader)
    except csv.Error as exc:
        raise UnreadableDocument(
            f"the table is damaged in line {reader.line_num} ({exc}); export it again"
        ) from exc


def delimiter_of(sample: str) -> str:
    """The delimiter that parts most lines into the same number of cells; a comma in doubt."""
    lines = [line for line in _QUOTED.sub("", sample).split("\n") if line.strip()][:200]
    best, delimiter = 0.0, ","
    for candidate in _DELIMITERS:
        counts = Counter(line.count(candidate) for line in lines)
        counts.pop(0, None)
        if not counts:
            continue
        cells, agreeing = counts.most_common(1)[0]
        score = agreeing / len(lines) * (1 + min(cells, 20) / 100)
        if score > best:
            best, delimiter = score, candidate
    return delimiter
