"""Trains a reranker's comparison of words on files of samples and writes it with its card.

    python -m eval.reranker_training OUT FILE.jsonl.gz=MOST[:DOCUMENTS][:own] ... \
        --embedder FOLDER --cache DIR [--steps 150] [--seed 0]

Of each file at most MOST questions are trained on, of the share DOCUMENTS of its documents (1);
`own` searches the passages of these questions only. Questions of held-out documents measure it; no
development file is read. Word vectors stay in the cache, so a run that broke off goes on quickly.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from eval import statistics
from eval.hard_negatives import Asked, Questions, Share, draw, mine
from eval.progress import Progress, stderr_lines
from eval.samples import load
from eval.scorers.retrieval import ndcg_at
from eval.tuning.licence import licence_beside
from models.card import CARD
from models.embedder import SentenceEmbedder
from models.manifest import sha256_of
from models.reranker import QUESTION, WEIGHTS, TokenEncoder
from models.token_match import TokenMatch
from models.training.reranker import Group, RerankPlan, fit
from rag.ports import Vectors

TRAINED_TOKENS = 160  # of a passage: reading whole ones would cost twice as much
AGAIN = 20  # candidates that are read again when the result is measured
TEXTS = 256  # encoded between two lines of progress


Held = tuple[str, Group, float]  # a file's name, a question, how many of its words gold shares


class Kept:
    """Word vectors of texts, (L, D) each, end to end in one file."""

    def __init__(self, states: Tensor, ends: Tensor) -> None:
        self.states, self._ends = states, [0, *ends.tolist()]

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place: int) -> Tensor:
        return self.states[self._ends[place] : self._ends[place + 1]]

    def means(self) -> Vectors:
        """Unit vectors (n, D): what the embedder makes of the same texts."""
        rows = torch.stack([self[place].float().mean(0) for place in range(len(self))])
        found: Vectors = torch.nn.functional.normalize(rows, dim=-1).numpy()
        return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m eval.reranker_training")
    parser.add_argument("out", type=Path)
    parser.add_argument("files", nargs="+", metavar="FILE=MOST[:DOCUMENTS][:own]")
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="word vectors")
    parser.add_argument("--steps", type=int, default=RerankPlan().steps)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    plan = RerankPlan(steps=asked.steps, seed=asked.seed)
    sources = dict(source(text) for text in asked.files)
    encoder = TokenEncoder(asked.embedder, "cpu")
    questions: list[Tensor] = []
    passages: list[Tensor] = []
    groups: list[Held] = []
    held: list[Held] = []
    for path, share in sources.items():
        found = draw(load(path), share)
        read, said = states(found, encoder, asked.cache, path)
        for each in mine(found, said.means(), read.means()):
            of = group(each, len(questions), len(passages))
            (held if each.held else groups).append((path.name, of, each.shared))
        questions += [read[place] for place in range(len(read))]
        passages += [said[place] for place in range(len(said))]
    say = stderr_lines()
    match = fit([g for _, g, _ in groups], questions.__getitem__, passages.__getitem__, plan, say)
    asked.out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.contiguous() for name, value in match.state_dict().items()}
    save_file(weights, asked.out / WEIGHTS)
    card = {
        "embedder": SentenceEmbedder(asked.embedder).identity,
        "base": {"name": asked.embedder.name, "sha256": base_sha256(asked.embedder)},
        "sha256": sha256_of(asked.out / WEIGHTS),
        "purpose": "orders passages by how well their words meet those of the question",
        "plan": asdict(plan) | {"loss": "listwise softmax", "tokens": TRAINED_TOKENS},
        "questions": len(groups),
        "held_out": dict(measured(match, held, questions, passages)),
        "command": command(asked),
        "data": {
            path.name: {
                **asdict(share),
                "questions": sum(name == path.name for name, *_ in groups),
                "sha256": sha256_of(path),
                "licence": licence_beside(path),
            }
            for path, share in sources.items()
        },
    }
    (asked.out / CARD).write_text(json.dumps(card, indent=1) + "\n", "utf-8")
    print(json.dumps(card["held_out"], indent=1))


def source(text: str) -> tuple[Path, Share]:
    path, _, rest = text.rpartition("=")
    most, *others = rest.split(":")
    documents = next((float(each) for each in others if each != "own"), 1.0)
    return Path(path), Share(int(most), documents, "own" in others)


def command(asked: argparse.Namespace) -> str:
    """What made the weights, without where this machine keeps its files."""
    files = [f"TRAIN/{Path(text).name}" for text in asked.files]
    line = ["python", "-m", "eval.reranker_training", f"models/rerankers/{asked.out.name}", *files]
    line += ["--embedder", f"MODELS/{asked.embedder.name}", "--cache", "DIR"]
    return shlex.join([*line, "--steps", str(asked.steps), "--seed", str(asked.seed)])


def base_sha256(folder: Path) -> str:
    return sha256_of(folder / "model.safetensors")


def states(found: Questions, encoder: TokenEncoder, cache: Path, path: Path) -> tuple[Kept, Kept]:
    """The word vectors of the questions (trained, then held out) and of the items."""
    asked = [sample.question.strip() for sample in (*found.trained, *found.held)]
    texts = [item.indexed for item in found.items]
    return (
        encoded(asked, QUESTION, encoder, cache, f"questions of {path.name}"),
        encoded(texts, TRAINED_TOKENS, encoder, cache, f"passages of {path.name}"),
    )


def encoded(texts: Sequence[str], most: int, encoder: TokenEncoder, cache: Path, what: str) -> Kept:
    digest = hashlib.sha256(json.dumps([encoder.identity, most, *texts]).encode()).hexdigest()
    file = cache / f"words-{digest[:16]}.safetensors"
    if not file.is_file():
        progress = Progress(what, len(texts))
        rows: list[Tensor] = []
        for at in range(0, len(texts), TEXTS):
            rows += encoder.states(texts[at : at + TEXTS], most)
            progress.step(len(texts[at : at + TEXTS]))
        ends = torch.tensor(np.cumsum([len(row) for row in rows]))
        cache.mkdir(parents=True, exist_ok=True)
        save_file({"states": torch.cat(rows), "ends": ends}, file.with_suffix(".part"))
        file.with_suffix(".part").replace(file)
    held = load_file(file)
    return Kept(held["states"], held["ends"])


def group(asked: Asked, questions: int, passages: int) -> Group:
    """With places among all files', and retrieval's scores scaled to 1 for the best."""
    best = max((each.fused for each in asked.candidates), default=0.0) or 1.0
    rows = [(c, (passages + c.place, c.fused / best)) for c in asked.candidates]
    return Group(
        questions + asked.place,
        tuple(row for c, row in rows if c.gold),
        tuple(row for c, row in rows if not (c.gold or c.doubtful)),
    )


def measured(
    match: TokenMatch,
    held: Sequence[Held],
    questions: Sequence[Tensor],
    passages: Sequence[Tensor],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """nDCG@10 of each file's held-out questions, of all, and of those that share few words with
    their gold passages: as retrieval orders them, and read again."""
    rows = [(name, shared, *_scores(match, g, questions, passages)) for name, g, shared in held]
    few = sorted(shared for _, shared, *_ in rows)[len(rows) // 4] if rows else 0.0
    for name in dict.fromkeys([*(row[0] for row in rows), "all", "few shared words"]):
        own = [
            (before, after)
            for of, shared, before, after in rows
            if name in (of, "all") or (name == "few shared words" and shared <= few)
        ]
        before, after = [b for b, _ in own], [a for _, a in own]
        yield (
            name,
            {
                "n": len(own),
                "retrieved": round(statistics.mean(before).value or 0.0, 4),
                "reranked": round(statistics.mean(after).value or 0.0, 4),
                "difference": asdict(statistics.paired(before, after)),
            },
        )


def _scores(
    match: TokenMatch, group: Group, questions: Sequence[Tensor], passages: Sequence[Tensor]
) -> tuple[float, float]:
    """A gold passage that retrieval missed stays missed."""
    found = [row for row in (*group.gold, *group.wrong) if row[1] > 0]
    found.sort(key=lambda row: -row[1])
    grades = {str(place): 1 for place, _ in group.gold}
    first = found[:AGAIN]
    ranked = [str(place) for place, _ in found]
    again = list(ranked)
    if first:
        with torch.inference_mode():
            scores = match([questions[group.question]], [passages[place] for place, _ in first])[0]
        total = scores + match.prior * torch.tensor([score for _, score in first])
        order = torch.argsort(total, descending=True, stable=True).tolist()
        again[: len(first)] = [ranked[i] for i in order]
    return ndcg_at(ranked, grades, 10) or 0.0, ndcg_at(again, grades, 10) or 0.0


if __name__ == "__main__":
    main()
