"""Do the quick ways write what the plain way writes? The same questions answered from int8 blocks,
from blocks as computed, and in float32 throughout: how many texts are the same, and what the others
cost in token F1.

    python -m benchmarks.texts DEV --weights MODELS [--questions 200]

DEV is a folder of samples (`*.jsonl.gz`), MODELS one of pulled models.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.engine import MODEL
from benchmarks.workload import Question, drawn, sha256
from eval.scorers.squad import f1
from eval.statistics import mean, paired
from models.block_file import Precision
from models.block_store import BlockStore
from models.checkpoint import load
from models.engine.engine import Engine
from models.generator import TransformerGenerator
from models.hardware import choose_dtype
from models.pull import located
from rag.domain import Sampling
from rag.readers import SHIPPED_ADAPTERS, Weights, read
from rag.sentences import marked_sentences

MEMORY = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Way:
    """How answers are computed; the last one is the plain way."""

    name: str
    dtype: torch.dtype
    blocks: Precision


def ways() -> tuple[Way, ...]:
    quick = choose_dtype("auto", torch.device("cpu"))
    return (
        Way("int8 blocks", quick, "int8"),
        Way("blocks as computed", quick, "exact"),
        Way("float32 throughout", torch.float32, "exact"),
    )


def texts(folder: Path, way: Way, questions: Sequence[Question], tokens: int) -> list[str]:
    engine = Engine(load(folder, way.dtype), BlockStore(None, MEMORY, 0, way.blocks))
    adapter = Weights(MODEL, SHIPPED_ADAPTERS / MODEL)
    try:
        reader: TransformerGenerator = read(engine, adapter)
        found = []
        for done, each in enumerate(questions, 1):
            pieces = reader.generate(each.passages, each.question, Sampling(max_tokens=tokens))
            found.append("".join(piece.text for piece in pieces))
            print(f"\r{way.name} {done}/{len(questions)}", end="", flush=True)
        print()
        return found
    finally:
        engine.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.texts", description=__doc__.split("\n")[0])
    parser.add_argument("dev", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    folder = located(MODEL, options.weights)
    questions = drawn(options.dev, load(folder).tokenizer, options.questions)
    print(f"questions {sha256(questions)}", flush=True)
    written = {w.name: texts(folder, w, questions, options.tokens) for w in ways()}
    *quick, (_, plain) = written.items()
    wanted = [scores(plain, questions)]
    print(f"float32 throughout: F1 {mean(wanted[0]).value:.3f}")
    for name, said in quick:
        same = sum(one == other for one, other in zip(said, plain, strict=True))
        loss = paired(wanted[0], scores(said, questions))
        print(
            f"{name}: {same} of {len(said)} texts are the same; "
            f"F1 {loss.value:+.3f} [{loss.low:+.3f}, {loss.high:+.3f}]"
        )
        for one, other in zip(said, plain, strict=True):
            if one != other:
                print(f"    {other!r} -> {one!r}")


def scores(said: Sequence[str], questions: Sequence[Question]) -> list[float]:
    """Token F1 of each text's words, without markers."""
    return [
        f1(" ".join(words for words, _ in marked_sentences(text, len(each.passages))), each.answers)
        for text, each in zip(said, questions, strict=True)
    ]


if __name__ == "__main__":
    main()
