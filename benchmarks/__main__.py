"""`make bench`: say which benchmarks there are, and run those that need no data from outside.

python -m benchmarks --data demo-data
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import stages

BENCHMARKS = {
    "stages": "seconds of each stage of a question, on what `make demo` left (run now)",
    "index FOLDER...": "the two legs, their fusion and the lexical adapters, on judged questions",
    "search_size DEV": "the search index at 100,000 and 1,000,000 rows: speed, recall, memory",
    "search_engines": "PostgreSQL as the search engine (--url): feeding, both legs, recall, bytes",
    "pipelines FOLDER...": "our retrieval beside LlamaIndex's and Haystack's hybrid pipelines",
    "blocks RECORDS": "what KV blocks lose in one byte a number, take, and how often they serve",
    "handbook FOLDER": "a real handbook through `attest up`: the worker killed, then 20 questions",
    "chaos": "500 documents while workers, broker and API are killed 30 times, then counted",
    "formats FOLDER": "every file of a folder through the sandboxed reader: state, time, memory",
    "quotes FOLDER": "random quotes of PDFs, read back from their boxes by another library",
    "engine FOLDER": "our engine beside llama.cpp and transformers, one question at a time",
    "serving FOLDER": "our engine beside llama.cpp's server, many users at once",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("demo-data"))
    data: Path = parser.parse_args().data
    for name, said in BENCHMARKS.items():
        print(f"python -m benchmarks.{name:<18} {said}")
    print(flush=True)
    return stages.main(["--data", str(data)])


if __name__ == "__main__":
    sys.exit(main())
