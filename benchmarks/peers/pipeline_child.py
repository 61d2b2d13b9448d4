"""Another library's hybrid pipeline in a process and an environment of its own, asked over stdin.

    PYTHON benchmarks/peers/pipeline_child.py llama_index

PYTHON is one that has the library; nothing of Attest is imported. A line of JSON is a command, a
line of JSON the reply. Commands: `{"open": FOLDER, "depth": N}` reads the texts and vectors there
and builds the pipeline, `{"ask": N}` asks it the folder's question number N.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np


def main() -> None:
    library = importlib.import_module(f"{sys.argv[1]}_hybrid")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the library prints is no reply
    asked: Any = None
    questions: list[str] = []
    for line in sys.stdin:
        command = json.loads(line)
        began = perf_counter()
        if "open" in command:
            asked = None  # its memory goes before the next one's comes
            folder = Path(command["open"])
            texts, questions = (
                json.loads((folder / f"{n}.json").read_text("utf-8")) for n in NAMES
            )
            vectors = np.load(folder / "vectors.npy")
            known = dict(zip(questions, np.load(folder / "question_vectors.npy"), strict=True))
            asked = library.build(texts, vectors, known, command["depth"])
            reply: dict[str, Any] = {"settings": library.settings(command["depth"])}
        else:
            found = asked(questions[command["ask"]])
            reply = {"found": found}
        reply["seconds"] = perf_counter() - began
        print(json.dumps(reply), file=replies, flush=True)


NAMES = ("texts", "questions")

if __name__ == "__main__":
    main()
