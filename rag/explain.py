"""How a question came to its passages, read from what the steps left behind: a new step that
reorders, scores or drops passages, or is timed, shows up by itself."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rag.analyse import analyse
from rag.domain import (
    Candidate,
    Condition,
    Context,
    Explanation,
    Filter,
    LeftOut,
    Passage,
    Removed,
    Term,
)
from rag.ports import SearchIndex, Store, UnitOfWork
from rag.retrieve import Retrieved

RERANK = "rerank"  # the list that reranking and all other steps after the search leave
_DEEP = 10_000  # rows of the candidates' documents that are scored word by word
_EDGES = re.compile(r"^\W+|\W+$")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the steps before the reader came to: the passages `found`, in the order after
    reranking (`ranked`), and those that fit the prompt. `timings` are seconds per stage."""

    found: Retrieved
    ranked: tuple[Passage, ...]
    context: Context
    timings: Mapping[str, float]


def explain(
    store: Store,
    index: SearchIndex,
    collection: str,
    question: str,
    asked: Filter,
    chosen: Chosen,
    unconditioned: Sequence[Passage],
) -> Explanation:
    """`asked` is the filter of the question, at the generation it read; `unconditioned` what the
    search found for it without conditions, best first."""
    said = terms(question)
    passages: dict[str, Passage] = {}
    for each in (*chosen.ranked, *chosen.found.passages):
        passages.setdefault(each.chunk.id, each)
    ranks, added = _ranks(chosen), _added(index, said, asked, passages.values())
    markers = {p.chunk.id: n for n, p in enumerate(chosen.context.passages, 1)}
    candidates = tuple(
        Candidate(
            passage,
            ranks[id],
            added[id],
            markers.get(id),
            None if id in markers else chosen.context.left_out.get(id, LeftOut.RERANKED),
        )
        for id, passage in passages.items()
    )
    with store() as work:
        return Explanation(
            question=question,
            generation=asked.generation,
            terms=said,
            lists=(*(leg.value for leg in chosen.found.lists), RERANK),
            candidates=candidates,
            readable=work.chunks.count(collection, Filter(asked.generation, asked.groups)),
            meeting=work.chunks.count(collection, asked),
            conditions=asked.conditions,
            removed=_removed(work, collection, asked, unconditioned),
            timings=chosen.timings,
        )


def terms(question: str) -> tuple[Term, ...]:
    """The words of a question in its order, those that count alike as one. Their tokens together
    are the question's, since no token of `analyse` comes from more than one word."""
    found: dict[object, Term] = {}
    for word in question.split():
        tokens = tuple(analyse(word))
        bare = _EDGES.sub("", word)
        if tokens and analyse(bare) != list(tokens):
            bare = word
        if bare:
            key = tokens or bare.casefold()
            known = found.get(key, Term(bare, tokens, 0))
            found[key] = replace(known, times=known.times + 1)
    return tuple(found.values())


def _ranks(chosen: Chosen) -> Mapping[str, dict[str, int]]:
    """By chunk and by list. Passages are in the running only if SQL permits them, too."""
    ranks: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for leg, hits in chosen.found.lists.items():
        for hit in hits:
            ranks[hit.chunk][leg.value] = hit.rank
    for rank, passage in enumerate(chosen.ranked, 1):
        ranks[passage.chunk.id][RERANK] = rank
    return ranks


def _added(
    index: SearchIndex, said: Sequence[Term], asked: Filter, passages: Iterable[Passage]
) -> Mapping[str, dict[str, float]]:
    """By chunk and by word. BM25 is a sum over the tokens of a question, so what a word adds is
    what it scores alone; any index can be asked that."""
    added: defaultdict[str, dict[str, float]] = defaultdict(dict)
    documents = frozenset(passage.document for passage in passages)
    near = replace(asked, documents=documents)
    for term in said:
        if term.tokens and documents:
            for hit in index.lexical(term.text, near, _DEEP):
                added[hit.chunk][term.text] = hit.score * term.times
    return added


def _removed(
    work: UnitOfWork, collection: str, asked: Filter, unconditioned: Sequence[Passage]
) -> tuple[Removed, ...]:
    ids = [passage.chunk.id for passage in unconditioned]
    meeting: dict[Condition, set[str]] = {}
    for condition in asked.conditions:
        alone = replace(asked, conditions=(condition,))
        met = work.chunks.passages(collection, ids, alone)
        meeting[condition] = {passage.chunk.id for passage in met}
    return tuple(
        Removed(passage, rank, unmet)
        for rank, passage in enumerate(unconditioned, 1)
        if (unmet := tuple(c for c, met in meeting.items() if passage.chunk.id not in met))
    )
