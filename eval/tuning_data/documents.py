"""Records from a collection's own documents: questions that rules make of its sentences.

The answer is always an exact span of its passage. Unanswerable questions are not made here: the
episode sampler makes them by leaving the gold passage out.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Sequence

from eval.tuning_data.held import Held, held_passages
from eval.tuning_data.pair import Pair
from eval.tuning_data.pairs import pairs
from models.training.records import Record
from rag.ports import UnitOfWork

DATASET = "documents"
MOST_A_PASSAGE = 4
MOST_OF_A_RULE = 1 / 3  # of all records, so that one form of question does not drown the others


def from_documents(work: UnitOfWork, collection: str, seed: int = 0) -> list[Record]:
    """Question-answer pairs of a collection (an id), in the order of its passages; `seed` draws
    among the pairs of a passage that holds many. A question that two passages answer differently
    is left out; where they agree, the first of them is kept. Raises UnknownCollection."""
    return records_of(held_passages(work, collection), seed)


def records_of(passages: Sequence[Held], seed: int) -> list[Record]:
    """The same, over passages that were read already."""
    rng = random.Random(seed)
    asked: dict[str, list[tuple[Held, Pair]]] = defaultdict(list)
    for held in passages:
        made = pairs(held.passage.text, held.headings)
        drawn = rng.sample(range(len(made)), min(len(made), MOST_A_PASSAGE))
        for i in sorted(drawn):
            asked[made[i].question.lower()].append((held, made[i]))
    clear = [found[0] for found in asked.values() if len({_said(*one) for one in found}) == 1]
    return [_record(*one) for one in _mixed(clear, rng)]


def _mixed(found: list[tuple[Held, Pair]], rng: random.Random) -> list[tuple[Held, Pair]]:
    """At most `MOST_OF_A_RULE` of what is kept comes from one rule, as far as others made any."""
    by_rule: dict[str, list[int]] = defaultdict(list)
    for place, (_, pair) in enumerate(found):
        by_rule[pair.rule].append(place)
    kept: set[int] = set()
    for places in by_rule.values():
        rest = len(found) - len(places)
        most = round(rest * MOST_OF_A_RULE / (1 - MOST_OF_A_RULE)) if rest else len(places)
        kept.update(rng.sample(places, min(len(places), max(most, 1))))
    return [found[place] for place in sorted(kept)]


def _said(held: Held, pair: Pair) -> str:
    return held.passage.text[pair.start : pair.end].lower()


def _record(held: Held, pair: Pair) -> Record:
    answer = held.passage.text[pair.start : pair.end]
    named = hashlib.sha256(f"{held.passage.id}\n{pair.question}".encode()).hexdigest()[:20]
    return Record(
        id=f"{DATASET}:{named}",
        dataset=DATASET,
        doc=held.document,
        question=pair.question,
        passages=(held.passage,),
        gold=(held.passage.id,),
        answers=(answer,),
        kind="span",
        target=answer,
    )
