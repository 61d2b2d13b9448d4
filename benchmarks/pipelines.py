"""Our retrieval beside the stock hybrid pipelines of LlamaIndex and Haystack: the same chunks and
vectors, BM25 and vectors and reciprocal ranks, every pipeline as its makers set it up.

    python -m benchmarks.pipelines FOLDER... --articles FILE --weights MODELS/all-minilm-l6-v2 \
        --cache DIR --peers-python PEERS/bin/python

Prints nDCG@10 over the judged questions of each FOLDER (BEIR's format, any grade above 0 counts),
and the milliseconds of a question over `--rows` chunks made from the articles. Vectors, those of
the questions too, are made once and given to all: the encoder's time is left out for all, and shown
beside. Pipelines take turns question by question, so that a busy machine slows all of them.
docs/benchmarks.md says how to make the environment of the peers.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np

from benchmarks.measuring import measured
from benchmarks.peers.peer import PeerFailed, PeerMissing
from benchmarks.peers.pipeline import LIBRARIES, Pipeline, store
from benchmarks.pipelines_table import encoder_line, table
from benchmarks.searched import Known, Searched, articles, judged, many
from eval.beir import load
from eval.corpus import open_corpus
from eval.progress import Progress
from eval.retrieval import fusion
from eval.scorers.retrieval import ndcg_at
from eval.vectors import embed_cached
from models.embedder import SentenceEmbedder
from rag.retrieve import retrieve
from rag.settings import Settings

OURS = "ours"
STOCK = 10  # passages of each retriever: Haystack's default, and LlamaIndex's least for nDCG@10


class Asked(Protocol):
    def ask(self, number: int) -> tuple[list[int], float]:
        """The positions found for a question, best first, and the seconds it took."""
        ...


@dataclass(slots=True)
class Found:
    """What one pipeline came to over the questions of one set, in their order."""

    ndcg: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)


class Ours:
    """`rag.retrieve` over a real store and index, as the settings are by default."""

    def __init__(self, searched: Searched, known: Known, corpus: Any) -> None:
        self._searched, self._known, self._corpus = searched, known, corpus
        self._settings = Settings()
        self._fuse = fusion(self._settings)
        at = {item.id: n for n, item in enumerate(searched.items)}
        self._at = {chunk: at[item.id] for chunk, item in corpus.items.items()}
        self.settings = {"candidates": self._settings.candidates, "fusion": self._settings.fusion}

    def ask(self, number: int) -> tuple[list[int], float]:
        began = perf_counter()
        found = retrieve(
            self._corpus.store,
            self._corpus.index,
            self._known,
            self._corpus.collection,
            self._searched.questions[number],
            self._corpus.filter.groups,
            fuse=self._fuse,
            candidates=self._settings.candidates,
        )
        seconds = perf_counter() - began
        return [self._at[passage.chunk.id] for passage in found.passages], seconds


@contextmanager
def ours(searched: Searched) -> Iterator[Ours]:
    known = Known(searched)
    with (
        tempfile.TemporaryDirectory(prefix="attest-vectors-") as cache,
        open_corpus(searched.items, known, Path(cache)) as corpus,
    ):
        yield Ours(searched, known, corpus)


def run_set(
    searched: Searched, depths: Sequence[int], python: str, threads: int, missing: dict[str, str]
) -> dict[str, Found]:
    """Every pipeline over every question, in turns; `missing` gets the reasons of absent peers. A
    question before the first is not counted."""
    found: dict[str, Found] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="attest-peers-")))
        store(searched, folder)
        own = stack.enter_context(ours(searched))
        asked: dict[str, Asked] = {OURS: own}
        found[OURS] = Found(settings=dict(own.settings))
        for library in LIBRARIES:
            for depth in depths:
                try:
                    peer = stack.enter_context(Pipeline(library, python, folder, depth, threads))
                    peer.open()
                except (PeerMissing, PeerFailed) as exc:
                    missing[LIBRARIES[library]] = str(exc)
                    continue
                asked[peer.name] = peer
                found[peer.name] = Found(settings=dict(peer.settings))
        _in_turns(searched, asked, found)
    return found


def _in_turns(searched: Searched, asked: dict[str, Asked], found: dict[str, Found]) -> None:
    ids = [item.id for item in searched.items]
    progress = Progress(searched.name, len(searched.questions), None)
    for pipeline in asked.values():
        pipeline.ask(0)
    names = list(asked)
    for number in range(len(searched.questions)):
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            positions, seconds = asked[name].ask(number)
            found[name].seconds.append(seconds)
            if searched.grades:
                ranked = [ids[n] for n in positions]
                found[name].ndcg.append(ndcg_at(ranked, searched.grades[number], 10) or 0.0)
        progress.step()


def run(asked: argparse.Namespace, _: Path) -> dict[str, Any]:
    """A table is printed as soon as its set is through."""
    embedder = SentenceEmbedder(asked.weights, threads=asked.threads)
    sets = [judged(load(folder).binary(), embedder, asked.cache) for folder in asked.folders]
    texts = articles(asked.articles)
    vectors = embed_cached(texts[: asked.real], embedder, asked.cache)
    large = many(texts, vectors, sets, asked.rows, asked.questions, asked.seed)
    encoder = _encoder(embedder, large)
    missing: dict[str, str] = {}
    rows: list[dict[str, Any]] = []
    for searched in (*sets, large):
        depths = asked.depths if searched.grades else [STOCK]
        found = run_set(searched, depths, asked.peers_python, asked.threads, missing)
        own = [_row(searched, name, each) | {"encoder": encoder} for name, each in found.items()]
        print(table(own), flush=True)
        rows += own
    settings = {name: str(value) for name, value in vars(asked).items()}
    return {"settings": settings, "rows": rows, "missing": missing}


def _row(searched: Searched, name: str, found: Found) -> dict[str, Any]:
    return {
        "set": searched.name,
        "chunks": len(searched.items),
        "pipeline": name,
        "settings": found.settings,
        "ndcg": found.ndcg,
        "seconds": found.seconds,
    }


def _encoder(embedder: SentenceEmbedder, searched: Searched) -> float:
    """The median seconds that the encoder takes for a question."""
    taken = []
    for question in (searched.questions[0], *searched.questions):
        began = perf_counter()
        embedder.embed([question])
        taken.append(perf_counter() - began)
    return float(np.median(taken[1:]))


def main(arguments: Sequence[str] | None = None) -> int:
    description = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.pipelines", description=description)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--articles", type=Path, required=True, help="gzip, `paragraphs` a line")
    parser.add_argument("--weights", type=Path, required=True, help="the embedder's folder")
    parser.add_argument("--cache", type=Path, required=True, help="of vectors made before")
    parser.add_argument("--peers-python", required=True, help="a Python that has the peers")
    parser.add_argument("--rows", type=int, default=100_000, help="chunks to be timed over")
    parser.add_argument("--real", type=int, default=1000, help="vectors theirs are near")
    parser.add_argument("--questions", type=int, default=30, help="put to them")
    said = "passages of each of their retrievers, a row for each (judged questions only)"
    parser.add_argument("--depths", type=int, nargs="+", default=[STOCK], help=said)
    parser.add_argument("--threads", type=int, default=1, help="of every pipeline")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write all figures here as JSON")
    parser.set_defaults(keep=None)
    asked = parser.parse_args(arguments)
    return 1 if measured(asked, run, encoder_line) is None else 0


if __name__ == "__main__":
    raise SystemExit(main())
