"""The work that engines are compared on, drawn from development files with a seed: the same seed
over the same files is the same work, and its sha256 says so.

Each question has five passages of about 200 tokens: the one that holds its answer and four of other
documents, shuffled. `served` draws those four anew from a fixed pool, the popular ones more often
(Zipf), as a collection's readers do. `shaped` gives passages and question one exact length.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.excerpts import Excerpt, Shelf
from eval.samples import Sample, load
from eval.scorers.squad import contains
from models.prompt import PromptBuilder
from models.tokenizer import Tokenizer
from models.training.records import with_history
from rag.errors import BadSamples

TOKENS, PASSAGES, QUESTION_TOKENS = 200, 5, 64
POOL, EXPONENT = 300, 1.1
KINDS = ("span", "sentence")  # whose answers are words of a passage


@dataclass(frozen=True, slots=True)
class Question:
    """`gold` is the place, from 1, of the passage that holds the answer; 0 where the words do not
    matter."""

    id: str
    question: str
    passages: tuple[str, ...]
    gold: int
    answers: tuple[str, ...]


def sha256(questions: Sequence[Question]) -> str:
    """Of all the words in their order."""
    lines = (json.dumps(asdict(each), ensure_ascii=False) for each in questions)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def drawn(
    folder: Path, tokenizer: Tokenizer, questions: int = 200, seed: int = 0, tokens: int = TOKENS
) -> list[Question]:
    """Answerable questions in turn from each file of samples (`*.jsonl.gz`, without those for the
    verifier). Raises BadSamples where there are too few."""
    files = [f for f in sorted(folder.glob("*.jsonl.gz")) if not f.name.startswith("verifier_")]
    held = {file.name.partition(".")[0]: load(file) for file in files}
    count, room = (lambda text: len(tokenizer.encode(text))), tokens - 1  # the prompt's line break
    shelves = {name: Shelf(name, samples, room, count) for name, samples in held.items()}
    every = [excerpt for shelf in shelves.values() for excerpt in shelf.excerpts]
    found: list[Question] = []
    for name, sample in _in_turn(held, seed):
        if (gold := shelves[name].holding(sample)) is not None:
            rng = random.Random(f"{seed}:{name}:{sample.id}")
            others = _others(gold, sample.answers, every, rng)
            if len(others) == PASSAGES - 1:
                found.append(_shown(f"{name}:{sample.id}", sample, gold, others, rng))
        if len(found) == questions:
            return found
    raise BadSamples(
        f"{folder} has {len(found)} answerable questions whose passages can be made {tokens} "
        f"tokens long, {questions} are wanted; ask for fewer or add files of samples"
    )


def served(
    questions: Sequence[Question],
    requests: int,
    seed: int = 0,
    pool: int = POOL,
    exponent: float = EXPONENT,
) -> list[Question]:
    """Questions in shuffled rounds, each with its gold passage and four of the pool, of which the
    one at rank r is drawn with weight 1 / r^exponent."""
    rng = random.Random(f"{seed}:served")
    golds = list(dict.fromkeys(each.passages[each.gold - 1] for each in questions))
    every = [text for each in questions for text in each.passages]
    shelf = list(dict.fromkeys(golds + every))[: max(pool, len(golds))]
    rng.shuffle(shelf)
    weights = [rank**-exponent for rank in range(1, len(shelf) + 1)]
    made: list[Question] = []
    while len(made) < requests:
        for each in rng.sample(list(questions), min(len(questions), requests - len(made))):
            gold = each.passages[each.gold - 1]
            shown = [gold]
            while len(shown) < PASSAGES:
                (text,) = rng.choices(shelf, weights)
                if text not in shown and not contains(text, each.answers):
                    shown.append(text)
            rng.shuffle(shown)
            id = f"{each.id}#{len(made)}"
            place = shown.index(gold) + 1
            made.append(Question(id, each.question, tuple(shown), place, each.answers))
    return made


def shaped(
    questions: Sequence[Question],
    tokenizer: Tokenizer,
    tokens: int = TOKENS,
    question_tokens: int = QUESTION_TOKENS,
) -> list[Question]:
    """The same passages filled up to `tokens` each, and questions of `question_tokens` with the end
    of the prompt, whatever they say."""
    prompts = PromptBuilder(tokenizer)

    def filled(text: str, wanted: int) -> str:
        while len(prompts.passage(text, 1)) < wanted:
            text += " a"
        return text

    def asked(text: str) -> str:
        words: list[str] = []
        for word in [*text.split(), *["a"] * question_tokens]:
            if len(prompts.question(" ".join([*words, word]))) <= question_tokens:
                words.append(word)
        return " ".join(words)

    return [
        Question(
            f"{each.id}:shaped",
            asked(each.question),
            tuple(filled(text, tokens) for text in each.passages),
            0,
            (),
        )
        for each in questions
    ]


def _in_turn(held: dict[str, list[Sample]], seed: int) -> Iterator[tuple[str, Sample]]:
    """One sample of each file after the other, each file shuffled, until all are used up."""
    waiting = {
        name: [s for s in samples if s.answerable and s.kind in KINDS and s.evidence]
        for name, samples in held.items()
    }
    for name, samples in waiting.items():
        random.Random(f"{seed}:{name}").shuffle(samples)
    while any(waiting.values()):
        for name, samples in waiting.items():
            if samples:
                yield name, samples.pop()


def _others(
    gold: Excerpt, answers: Sequence[str], every: Sequence[Excerpt], rng: random.Random
) -> list[Excerpt]:
    """Excerpts of other documents, with none of the answers in them as whole words."""
    found: list[Excerpt] = []
    for excerpt in rng.sample(every, min(len(every), 200)):
        if excerpt.docs & gold.docs or contains(excerpt.text, answers):
            continue
        found.append(excerpt)
        if len(found) == PASSAGES - 1:
            break
    return found


def _shown(
    id: str, sample: Sample, gold: Excerpt, others: Sequence[Excerpt], rng: random.Random
) -> Question:
    excerpts = [gold, *others]
    rng.shuffle(excerpts)
    return Question(
        id,
        with_history(sample.question, list(sample.history)),
        tuple(excerpt.text for excerpt in excerpts),
        excerpts.index(gold) + 1,
        sample.answers,
    )
