"""Do the quick ways write what the plain way writes? The same questions answered as shipped (int8
blocks, weights int8 while writing), with blocks as computed, in bfloat16 throughout and in float32
throughout: how many texts are the same, how close the plain way's choice was where another parted
from it, and what the others cost in token F1.

    python -m benchmarks.texts DEV --weights MODELS [--questions 200] [--out FILE]

DEV is a folder of samples (`*.jsonl.gz`), MODELS one of pulled models. Each question is answered in
every way before the next; FILE keeps its line, and a run with the same FILE goes on where the last
one was stopped.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import zip_longest
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.engine import MODEL
from benchmarks.workload import Question, drawn, sha256
from eval.scorers.squad import f1
from eval.statistics import mean, paired
from models.block_file import Precision
from models.block_store import BlockStore
from models.checkpoint import load
from models.engine.engine import Engine
from models.engine.request import Request, Writer
from models.hardware import choose_dtype
from models.pull import located
from rag.domain import Sampling
from rag.ports import Generator
from rag.readers import SHIPPED_ADAPTERS, Weights, read
from rag.sentences import marked_sentences

MEMORY = 64 * 2**20
CLOSE = 1e-3  # logits


@dataclass(frozen=True, slots=True)
class Way:
    """How answers are computed. `wide`: weights of any pass are those that read, not int8."""

    name: str
    dtype: torch.dtype
    blocks: Precision
    wide: bool


PLAIN = Way("float32 throughout", torch.float32, "exact", True)


def quick() -> tuple[Way, ...]:
    dtype = choose_dtype("auto", torch.device("cpu"))
    return (
        Way("as shipped", dtype, "int8", False),
        Way("blocks as computed", dtype, "exact", False),
        Way("bfloat16 throughout", dtype, "exact", True),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What a writer took (None: it ended there), from which logits (vocabulary,)."""

    token: int | None
    logits: Tensor


class Watched:
    """A writer, and the steps it took."""

    def __init__(self, writer: Writer, steps: list[Step]) -> None:
        self._writer, self._steps = writer, steps

    def guess(self, most: int) -> Sequence[int]:
        return self._writer.guess(most)

    def choose(self, logits: Tensor) -> int | None:
        token = self._writer.choose(logits)
        self._steps.append(Step(token, logits.clone()))
        return token


class Watching(Engine):
    """An engine of which the last answer's steps are known."""

    steps: list[Step]

    def submit(self, request: Request) -> None:
        self.steps = []
        super().submit(replace(request, writer=Watched(request.writer, self.steps)))


class Asked:
    """One way, ready to be asked."""

    def __init__(self, way: Way, folder: Path) -> None:
        blocks = BlockStore(None, MEMORY, 0, way.blocks)
        self.engine = Watching(load(folder, way.dtype), blocks, passages_only=way.wide)
        adapter = Weights(MODEL, SHIPPED_ADAPTERS / MODEL)
        self._reader: Generator = read(self.engine, adapter)

    def text(self, question: Question, tokens: int) -> str:
        sampling = Sampling(max_tokens=tokens)
        pieces = self._reader.generate(question.passages, question.question, sampling)
        return "".join(piece.text for piece in pieces)


@dataclass(frozen=True, slots=True)
class Line:
    """Of one question: the text of each way, and for each quick one how far the plain way's choice
    lay above the other's where they parted (logits; None: they did not)."""

    question: str
    texts: dict[str, str]
    gaps: dict[str, float | None]


def answered(folder: Path, questions: Sequence[Question], tokens: int) -> Iterator[Line]:
    asked = {way.name: Asked(way, folder) for way in (PLAIN, *quick())}
    try:
        for question in questions:
            texts = {name: each.text(question, tokens) for name, each in asked.items()}
            plain = asked[PLAIN.name].engine
            ends = sorted(plain.checkpoint.tokenizer.end)
            gaps = {
                name: gap(plain.steps, each.engine.steps, ends)
                for name, each in asked.items()
                if texts[name] != texts[PLAIN.name]
            }
            yield Line(question.id, texts, gaps)
    finally:
        for each in asked.values():
            each.engine.close()


def gap(plain: Sequence[Step], other: Sequence[Step], ends: Sequence[int]) -> float | None:
    """Between the plain way's choice and the other's at the first step where they differ, by the
    plain way's logits. None where only a last token differs that the length limit cut off."""
    for own, its in zip_longest(plain, other):
        if own is None or its is None or own.token != its.token:
            if own is None:
                return None
            chosen, instead = (
                float(own.logits[ends if step is None or step.token is None else step.token].max())
                for step in (own, its)
            )
            return chosen - instead
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.texts", description=__doc__.split("\n")[0])
    parser.add_argument("dev", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="keep what was written, and go on from there")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    folder = located(MODEL, options.weights)
    questions = drawn(options.dev, load(folder).tokenizer, options.questions)
    print(f"questions {sha256(questions)}", flush=True)
    lines = kept(options.out)
    left = [each for each in questions if each.id not in lines]
    for line in answered(folder, left, options.tokens) if left else ():
        lines[line.question] = line
        if options.out is not None:
            with options.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(line), ensure_ascii=False) + "\n")
        print(f"\r{len(lines)}/{len(questions)}", end="", flush=True)
    print()
    report([lines[each.id] for each in questions], questions)


def kept(out: Path | None) -> dict[str, Line]:
    if out is None or not out.is_file():
        return {}
    lines = [Line(**json.loads(text)) for text in out.read_text("utf-8").splitlines()]
    return {line.question: line for line in lines}


def report(lines: Sequence[Line], questions: Sequence[Question]) -> None:
    plain = [line.texts[PLAIN.name] for line in lines]
    wanted = scores(plain, questions)
    print(f"{PLAIN.name}: F1 {mean(wanted).value:.3f}")
    for name in (way.name for way in quick()):
        said = [line.texts[name] for line in lines]
        parted = [line for line in lines if line.texts[name] != line.texts[PLAIN.name]]
        gaps = [line.gaps[name] for line in parted]
        close = sum(each is not None and abs(each) <= CLOSE for each in gaps)
        loss = paired(wanted, scores(said, questions))
        print(
            f"{name}: {len(said) - len(parted)} of {len(said)} texts are the same, {close} more "
            f"parted where two tokens were within {CLOSE:g}; "
            f"F1 {loss.value:+.3f} [{loss.low:+.3f}, {loss.high:+.3f}]"
        )
        for line, far in zip(parted, gaps, strict=True):
            apart = "at the limit" if far is None else f"{far:.3f} apart"
            print(f"    {apart}: {line.texts[PLAIN.name]!r} -> {line.texts[name]!r}")


def scores(said: Sequence[str], questions: Sequence[Question]) -> list[float]:
    """Token F1 of each text's words, without markers."""
    return [
        f1(" ".join(words for words, _ in marked_sentences(text, len(each.passages))), each.answers)
        for text, each in zip(said, questions, strict=True)
    ]


if __name__ == "__main__":
    main()
