"""What an episode shows and asks, over many draws."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.episodes import Episode, EpisodeSampler, EpisodeSettings
from models.training.errors import NoRecords
from models.training.records import Record, TrainingPassage, contains_answer

WORDS = st.sampled_from(["red", "blue", "5", "12 May", "a mill", "Oslo", "no"])


@st.composite
def record_sets(draw: st.DrawFn) -> list[Record]:
    """Documents of a few passages whose sentences name some answers; answers can be anywhere."""
    made = []
    for doc in range(draw(st.integers(1, 4))):
        said = draw(st.lists(st.lists(WORDS, min_size=1, max_size=3), min_size=1, max_size=5))
        passages = [
            TrainingPassage(f"{doc}/{n}", f"Doc {doc}", f"It says {', '.join(words)}.")
            for n, words in enumerate(said)
        ]
        for n, words in enumerate(said):
            kind = draw(st.sampled_from(["span", "sentence", "free", "number"]))
            known = draw(st.booleans())
            made.append(
                Record(
                    id=f"{doc}/{n}?",
                    dataset="made",
                    doc=str(doc),
                    question="What does it say?",
                    passages=(passages[n],),
                    gold=(passages[n].id,) if known else (),
                    answers=(words[0],) if known else (),
                    kind=kind,
                    target=words[0] if known else "",
                )
            )
    return made


def draws(records: list[Record], number: int, **changed: object) -> list[Episode]:
    """As many as the records give."""
    sampler = EpisodeSampler(records, EpisodeSettings(**changed), seed=1)  # type: ignore[arg-type]
    try:
        return [sampler.draw() for _ in range(number)]
    except NoRecords:
        return []


@settings(max_examples=60)
@given(record_sets())
def test_only_the_cited_passages_answer(records: list[Record]) -> None:
    for episode in draws(records, 10):
        assert len({p.id for p in episode.passages}) == len(episode.passages)
        assert 1 <= len(episode.examples) <= 14
        for example in episode.examples:
            record = example.record
            cited = [episode.passages[i].id for i in example.cited]
            assert cited == [p.id for p in episode.passages if p.id in record.gold][:3]
            others = [p for p in episode.passages if p.id not in record.gold]
            if record.answerable:
                assert not any(contains_answer(p, record.answers) for p in others)


@settings(max_examples=40)
@given(st.integers(2, 9), st.integers(1, 3), st.integers(1, 6), st.integers(0, 99), st.booleans())
def test_a_third_is_refused_in_the_long_run(
    groups: int, own: int, asked: int, seed: int, spans: bool
) -> None:
    """Also where no question was written to be refused, where the passages are few, and where each
    question came with several of them."""
    kind = "span" if spans else "yesno"
    records = []
    for n in range(groups):
        texts = [f"Number {(n * 3 + k) * 111}." for k in range(own)]
        shown = tuple(TrainingPassage(f"p{n}.{k}", "", text) for k, text in enumerate(texts))
        records += [
            Record(f"{n}/{k}", "made", "d", "Which?", shown, (f"p{n}.0",), (texts[0],), kind, "x")
            for k in range(asked)
        ]
    sampler = EpisodeSampler(records, EpisodeSettings(), seed)
    examples = [e for _ in range(300) for e in sampler.draw().examples]
    refused = sum(not e.cited for e in examples) / len(examples)
    assert 1 / 3 <= refused <= 0.45


def test_the_gold_passage_is_at_every_place_alike(records: list[Record]) -> None:
    places: dict[int, Counter[int]] = {}
    for episode in draws(records, 1500):
        counted = places.setdefault(len(episode.passages), Counter())
        counted.update(e.cited[0] for e in episode.examples if e.cited)
    assert set(places) == {3, 4, 5, 6}
    for shown, counted in places.items():
        even = counted.total() / shown
        # Questions over one passage come together: their places are not independent draws.
        assert all(abs(counted[i] - even) < 0.15 * even for i in range(shown)), (shown, counted)


def test_passages_are_shuffled_anew_every_time(records: list[Record]) -> None:
    orders = [tuple(p.id for p in episode.passages) for episode in draws(records, 50)]
    assert sum(one != next_ for one, next_ in pairwise(orders)) > 45
    first = sum(a < b for order in orders for a, b in pairwise(order))
    assert 0.3 < first / sum(len(order) - 1 for order in orders) < 0.7


def test_the_state_goes_on_with_the_same_episodes(records: list[Record]) -> None:
    one, two = (EpisodeSampler(records, EpisodeSettings(), seed) for seed in (4, 5))
    for _ in range(7):
        one.draw()
    two.restore(json.loads(json.dumps(one.state())))
    assert [one.draw() for _ in range(20)] == [two.draw() for _ in range(20)]


def test_the_share_read_in_one_pass_is_the_settings(records: list[Record]) -> None:
    assert all(e.full for e in draws(records, 20, full=1.0))
    assert not any(e.full for e in draws(records, 20, full=0.0))
    assert 60 < sum(e.full for e in draws(records, 300, full=0.3)) < 120


def test_nothing_to_draw_is_said(records: list[Record]) -> None:
    with pytest.raises(NoRecords, match="0 were given"):
        EpisodeSampler([], EpisodeSettings(), 0)
    with pytest.raises(NoRecords, match=r"'made'.*'other'"):
        EpisodeSampler(records, EpisodeSettings({"other": 1.0}), 0)
    passages = tuple(TrainingPassage(f"p{n}", "", "Oslo.") for n in range(3))
    alike = Record("q", "made", "d", "Where?", passages, ("p0",), ("Oslo",), "span", "Oslo")
    with pytest.raises(NoRecords, match="stands in several"):
        EpisodeSampler([alike], EpisodeSettings(shown=(3,), unanswerable=0.0), 0).draw()
