"""Questions with candidates as retrieval gives them, for training a reranker: what stands high and
does not answer. A file of samples is one collection, searched by the product's two legs.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.beir import Item
from eval.samples import Sample
from rag.analyse import analyse
from rag.domain import Hit, Leg
from rag.fuse import convex
from rag.index.dense import DenseLeg
from rag.index.lexical import Lexical
from rag.index.mask import Mask
from rag.index.ranked import Ranked
from rag.index.tantivy_lexical import TantivyLexical
from rag.ports import Vectors

DEPTH = 50  # hits asked of each leg, and candidates kept
HELD = 12  # one document of so many is never trained on
HELD_QUESTIONS = 60  # of one file
DENSE_WEIGHT = 0.5
LEAST_WORDS, LEAST_WORDS_OF_A_TURN = 4, 7


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a file is used: at most `most` questions, of `documents` of its documents. With
    `own`, only passages of the questions used are searched, which saves reading the rest."""

    most: int
    documents: float = 1.0
    own: bool = False


@dataclass(frozen=True, slots=True)
class Questions:
    """What was drawn of one file: passage texts, and the samples to train on and to hold out."""

    items: tuple[Item, ...]
    trained: tuple[Sample, ...]
    held: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A passage by its place among the items. `gold` answers; `doubtful` may: it spells out the
    answer, or its question has no span to tell by."""

    place: int
    fused: float
    gold: bool
    doubtful: bool
    found: bool  # by retrieval; a gold one that was not is added


@dataclass(frozen=True, slots=True)
class Asked:
    """A question by its place, candidates best first; `shared` of its words stand in gold."""

    place: int
    held: bool
    candidates: tuple[Candidate, ...]
    shared: float


def draw(samples: Sequence[Sample], share: Share) -> Questions:
    """Seeded. Held-out questions come from documents whose questions are not trained on."""
    if share.documents < 1:
        samples = [s for s in samples if _number(s.doc) % 100 < 100 * share.documents]
    pool = {p.id: p for sample in samples for p in sample.passages}
    fit = [sample for sample in samples if _askable(sample)]
    random.Random(0).shuffle(fit)
    known: dict[str, Sample] = {}
    for sample in fit:  # templated questions differ by document
        template = sample.dataset == "policyqa"
        known.setdefault(sample.id if template else sample.question, sample)
    held = [s for s in known.values() if _number("rerank" + s.doc) % HELD == 0][:HELD_QUESTIONS]
    trained = [s for s in known.values() if _number("rerank" + s.doc) % HELD][: share.most]
    if share.own:
        pool = {p.id: p for sample in (*trained, *held) for p in sample.passages}
    items = tuple(Item(p.id, p.title, p.text) for p in pool.values())
    return Questions(items, tuple(trained), tuple(held))


def mine(found: Questions, passages: Vectors, questions: Vectors) -> list[Asked]:
    """Every question, trained ones first, with its candidates. The vectors are those of the items
    and of the questions, in order."""
    texts = [item.indexed for item in found.items]
    dense, lexical = DenseLeg(passages.shape[1]), TantivyLexical()
    dense.extend(passages)
    lexical.add([analyse(text) for text in texts])
    lexical.show()
    place = {item.id: at for at, item in enumerate(found.items)}
    said = [" ".join(text.lower().split()) for text in texts]
    every = Mask(np.ones(len(texts), bool))
    mined = []
    for at, sample in enumerate((*found.trained, *found.held)):
        hits = _fused(dense, lexical, questions[at], sample.question, every)
        candidates = _judged(sample, hits, place, said)
        gold = set().union(*(analyse(texts[place[id]]) for id in sample.gold))
        words = set(analyse(sample.question))
        shared = len(words & gold) / max(1, len(words))
        mined.append(Asked(at, at >= len(found.trained), candidates, shared))
    return mined


def _fused(
    dense: DenseLeg, lexical: Lexical, vector: Vectors, question: str, every: Mask
) -> dict[int, float]:
    legs = (
        _hits(dense.search(vector, every, DEPTH), Leg.DENSE),
        _hits(lexical.search(analyse(question), every, DEPTH), Leg.LEXICAL),
    )
    return {int(hit.chunk): hit.score for hit in convex(*legs, DENSE_WEIGHT)[:DEPTH]}


def _hits(ranked: Ranked, leg: Leg) -> list[Hit]:
    found = zip(ranked.positions.tolist(), ranked.scores.tolist(), strict=True)
    return [Hit(str(at), score, rank, leg) for rank, (at, score) in enumerate(found, 1)]


def _judged(
    sample: Sample, hits: dict[int, float], place: dict[str, int], said: Sequence[str]
) -> tuple[Candidate, ...]:
    gold = {place[id] for id in sample.gold}
    same = {said[at] for at in gold}
    own = {place[passage.id] for passage in sample.passages}
    answers = [" ".join(a.lower().split()) for a in sample.answers if len(a) > 2]
    spans = answers if sample.kind == "span" else []
    found = []
    for at, score in hits.items():
        right = at in gold or said[at] in same
        unsure = sample.kind == "yesno" and at in own
        spelt = any(answer in said[at] for answer in spans)
        found.append(Candidate(at, score, right, not right and (unsure or spelt), True))
    missed = (Candidate(at, 0.0, True, False, False) for at in sorted(gold - hits.keys()))
    return (*found, *missed)


def _askable(sample: Sample) -> bool:
    """A question that can be understood alone, with a passage that answers it."""
    words = len(sample.question.split())
    turn = sample.dataset == "doc2dial"
    if turn and (words < LEAST_WORDS_OF_A_TURN or (sample.history and "?" not in sample.question)):
        return False
    return bool(sample.answerable and sample.gold and words >= LEAST_WORDS)


def _number(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)
