"""How long should a chunk be, and should neighbours overlap? Documents put together again from the
passages of question files, cut by `ingestion.chunk`, searched by both legs and fused.

    python -m benchmarks.chunking FILE... --weights MODELS/all-minilm-l6-v2 --cache DIR

FILE holds samples with evidence (docs/tuning-data.md); passages of one document are its paragraphs.
Found: among the best chunks that fit `--context` tokens together there is one that holds the whole
evidence where it stands, so that long chunks gain nothing by being long.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from eval.samples import Sample, load
from eval.statistics import mean
from eval.vectors import embed_cached
from ingestion.chunk import chunk, indexed_text
from models.embedder import SentenceEmbedder
from rag.analyse import analyse
from rag.domain import Block, BlockKind, Chunk, Hit, Leg
from rag.fuse import convex
from rag.index.dense import DenseLeg
from rag.index.mask import Mask
from rag.index.ranked import Ranked
from rag.index.tantivy_lexical import TantivyLexical
from rag.index.terms import weighted

SHAPES = ((90, 0), (120, 0), (180, 0), (180, 20), (180, 40), (240, 0), (240, 40))
DEPTH, DENSE_WEIGHT = 50, 0.5


@dataclass
class Text:
    """A document put together again; `places` maps a passage's id to where its text starts."""

    title: str
    text: str = ""
    blocks: list[Block] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, id: str, text: str) -> None:
        if id in self.places:
            return
        self.text += "\n\n" if self.text else ""
        start = self.places[id] = len(self.text)
        self.text += text
        self.blocks.append(Block(BlockKind.PARAGRAPH, start, len(self.text)))


Place = tuple[str, int, int]  # document, start, end


def read(path: Path) -> tuple[dict[str, Text], dict[str, tuple[str, list[Place]]]]:
    """Documents by name; questions by id with where their evidence stands."""
    documents: dict[str, Text] = {}
    questions: dict[str, tuple[str, list[Place]]] = {}
    for sample in load(path):
        held = documents.setdefault(sample.doc, Text(_title(sample)))
        for passage in sample.passages:
            held.add(passage.id, passage.text)
        if sample.answerable and sample.evidence:
            at = [held.places[e.passage] for e in sample.evidence]
            places = [
                (sample.doc, start + e.start, start + e.end)
                for start, e in zip(at, sample.evidence, strict=True)
            ]
            questions[sample.id] = sample.question, places
    return documents, questions


def _title(sample: Sample) -> str:
    titles = {passage.title for passage in sample.passages}
    return titles.pop() if len(titles) == 1 else ""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.chunking", description=__doc__.split("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="the embedder's folder")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--context", type=int, default=900, help="tokens of the embedder")
    parser.add_argument("--questions", type=int, default=300, help="at most so many of a file")
    options = parser.parse_args(arguments)
    embedder = SentenceEmbedder(options.weights)
    for path in options.files:
        documents, questions = read(path)
        step = max(1, len(questions) // options.questions)
        asked = list(questions.values())[::step]
        print(f"\n{path.name}: {len(documents)} documents, {len(asked)} questions", flush=True)
        print("  tokens overlap  chunks  found in the context")
        for tokens, overlap in SHAPES:
            chunks = cut(documents, embedder, tokens, overlap)
            found = searched(chunks, asked, embedder, options.cache, options.context)
            share = mean(found)
            print(
                f"  {tokens:6} {overlap:7} {len(chunks):7}  "
                f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]",
                flush=True,
            )


def cut(
    documents: dict[str, Text], embedder: SentenceEmbedder, tokens: int, overlap: int = 0
) -> dict[tuple[str, Chunk], str]:
    """The chunks of every document, in order, with what is indexed for each."""
    return {
        (name, each): indexed_text(text.title, each)
        for name, text in documents.items()
        for each in chunk(
            text.text,
            text.blocks,
            name,
            text.title,
            embedder.count_tokens,
            tokens,
            embedder.max_tokens,
            overlap,
        )
    }


def searched(
    chunks: dict[tuple[str, Chunk], str],
    asked: Sequence[tuple[str, list[Place]]],
    embedder: SentenceEmbedder,
    cache: Path,
    context: int,
) -> list[float]:
    """1 for each question whose evidence is among the first chunks that fit, else 0."""
    rows = list(chunks)
    sizes = [embedder.count_tokens(each.text) for _, each in rows]
    found = []
    questions = [question for question, _ in asked]
    orders = ranked(chunks, questions, embedder, cache)
    for (_, places), order in zip(asked, orders, strict=True):
        room, seen = context, False
        for at in order:
            room -= sizes[at]
            if room < 0 or seen:
                break
            name, each = rows[at]
            seen = any(name == d and each.start <= s and e <= each.end for d, s, e in places)
        found.append(float(seen))
    return found


def ranked(
    chunks: dict[tuple[str, Chunk], str],
    questions: Sequence[str],
    embedder: SentenceEmbedder,
    cache: Path,
) -> Iterator[list[int]]:
    """For each question the places of chunks in `chunks`, best first: both legs, fused."""
    lexical, dense = TantivyLexical(), DenseLeg(embedder.dimension)
    above = [len(text) - len(each.text) for (_, each), text in chunks.items()]
    lexical.add([weighted(text, own) for text, own in zip(chunks.values(), above, strict=True)])
    lexical.show()
    dense.extend(embed_cached(list(chunks.values()), embedder, cache))
    vectors = embed_cached(questions, embedder, cache)
    every = Mask(np.ones(len(chunks), bool))
    for question, vector in zip(questions, vectors, strict=True):
        fused = convex(
            _hits(dense.search(vector, every, DEPTH), Leg.DENSE),
            _hits(lexical.search(analyse(question), every, DEPTH), Leg.LEXICAL),
            DENSE_WEIGHT,
        )
        yield [int(hit.chunk) for hit in fused]


def _hits(ranked: Ranked, leg: Leg) -> list[Hit]:
    pairs = zip(ranked.positions.tolist(), ranked.scores.tolist(), strict=True)
    return [Hit(str(at), score, rank, leg) for rank, (at, score) in enumerate(pairs, 1)]


if __name__ == "__main__":
    main()
