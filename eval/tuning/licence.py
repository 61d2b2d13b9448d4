"""What a text of licences beside a data file says of it."""

from __future__ import annotations

from pathlib import Path

NOT_STATED = "not stated"


def licence_beside(file: Path) -> str:
    """The entry of `file` in a LICENSE* text of its folder or the folder above: the row of a table
    whose first cell its name begins with (the longest such), else the first line that names it."""
    stem = file.name.partition(".")[0].lower()
    for folder in (file.resolve().parent, file.resolve().parent.parent):
        for path in sorted(folder.glob("LICEN[SC]E*")):
            if path.is_file() and (found := _entry(path, stem)):
                return found
    return NOT_STATED


def _entry(path: Path, stem: str) -> str:
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:  # a text nobody may read states nothing
        return ""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in lines
        if line.lstrip().startswith("|")
    ]
    named = [row for row in rows if len(row) > 1 and row[0] and stem.startswith(row[0].lower())]
    if named:
        row = max(named, key=lambda row: len(row[0]))
        return "; ".join(cell for cell in row[1:] if cell)
    return next((line.strip()[:300] for line in lines if stem in line.lower()), "")
