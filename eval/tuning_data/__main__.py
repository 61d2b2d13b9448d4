"""Print the questions that would be made of a folder's documents, to be judged before tuning.

    python -m eval.tuning_data FOLDER [--show 40] [--seed 0] [--tokens 180]

Reads every file below FOLDER that a parser knows (in this process: for documents of one's own),
cuts it as ingestion does, with words counted as tokens, and prints a sample of the pairs. Nothing
is stored.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from eval.tuning_data.documents import records_of
from eval.tuning_data.held import Held
from ingestion.chunk import chunk
from ingestion.parse.dispatch import parse
from models.training.records import TrainingPassage
from rag.errors import UnreadableDocument

_TOKEN = re.compile(r"\w+|[^\w\s]")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m eval.tuning_data")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", type=int, default=40, help="pairs to print")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tokens", type=int, default=180, help="of a passage")
    asked = parser.parse_args()
    passages = list(_passages(asked.folder, asked.tokens))
    records = records_of(passages, asked.seed)
    shown = random.Random(asked.seed).sample(records, min(asked.show, len(records)))
    for record in shown:
        print(f"{record.question}\n    {record.target}    ({record.doc})")
    print(f"{len(records)} pairs from {len(passages)} passages; {len(shown)} shown")
    return 0


def _passages(folder: Path, tokens: int) -> Iterator[Held]:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        try:
            read = parse(path.read_bytes(), name)
        except UnreadableDocument as exc:
            print(f"{name}: {exc}", file=sys.stderr)
            continue
        for cut in chunk(read.text, read.blocks, name, read.title, _count, tokens, tokens + 76):
            title = " > ".join(part for part in (read.title, *cut.heading_path) if part)
            yield Held(name, name, cut.heading_path, TrainingPassage(cut.id, title, cut.text))


def _count(text: str) -> int:
    return len(_TOKEN.findall(text))


if __name__ == "__main__":
    sys.exit(main())
