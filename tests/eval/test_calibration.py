"""Calibration on made-up readers whose chance of being right is known."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.calibration import Case, calibrate, fit, halves, measured, threshold
from models.fake import CopyGenerator, HashEmbedder
from rag.bootstrap import Attest, open_attest
from rag.cli import main
from rag.confidence import Confidence, Signals
from rag.domain import LOCAL_GROUP, LOCAL_USER, Right, Verdict
from rag.errors import BadInput
from rag.settings import Settings
from tests.eval.making import CITIES, record, unanswerable, write

TRUE = Confidence(bias=-2.0, willing=1.5, mean=3.0, lowest=0.5, asked=6.0)


def drawn(n: int, seed: int) -> list[Case]:
    """Cases that are right exactly as often as TRUE says."""
    rng = random.Random(seed)
    found = []
    for number in range(n):
        mean = -rng.expovariate(2)
        seen = Signals(rng.random(), mean, mean - rng.expovariate(1), rng.random())
        right = rng.random() < TRUE.of(seen)
        found.append(Case(str(number), seen, right, right or rng.random() < 0.5))
    return found


def test_the_fit_finds_the_chance_of_being_right() -> None:
    found = fit(drawn(4000, 1))
    gaps = [abs(found.of(c.signals) - TRUE.of(c.signals)) for c in drawn(500, 2) if c.signals]
    assert sum(gaps) / len(gaps) < 0.03


def test_the_chosen_rate_holds_on_other_questions() -> None:
    by = calibrate(drawn(3000, 3), 0.1)
    found = measured(drawn(3000, 4), by, seed=0)
    assert 0.04 < found["wrong_answer_rate"]["value"] < 0.14
    assert found["coverage"]["value"] > 0.1
    assert found["ece"] < 0.05
    risks = [risk for _, risk in found["risk_coverage"]]
    assert risks[0] < risks[-1]


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.5, 0.9]), st.booleans())), st.floats(0, 0.9))
def test_no_lower_threshold_keeps_the_rate(rows: list[tuple[float, bool]], rate: float) -> None:
    chosen = threshold(rows, rate)
    for at in {confidence for confidence, _ in rows}:
        shown = [right for confidence, right in rows if confidence >= at]
        keeps = (shown.count(False) + 1) / (len(shown) + 1) <= rate
        assert at >= chosen if keeps else at != chosen


@settings(max_examples=20)
@given(st.integers(0, 9), st.integers(1, 50))
def test_a_question_keeps_its_side(seed: int, more: int) -> None:
    some = [Case(str(i), None, False, False) for i in range(50)]
    others = [Case(f"x{i}", None, False, False) for i in range(more)]
    fitting, measuring = halves(some, seed, 0.5)
    assert set(fitting) <= set(halves(others + some, seed, 0.5)[0])
    assert sorted(fitting + measuring, key=some.index) == some


def test_too_little_to_learn_from() -> None:
    right = [Case(str(i), Signals(1, 0, 0, 1), True, True) for i in range(100)]
    with pytest.raises(BadInput, match="100 of them right"):
        fit(right)
    with pytest.raises(BadInput, match="5 answers"):
        fit(drawn(5, 0))


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = open_attest(Settings(data=tmp_path / "data"))
    opened.generator = CopyGenerator()
    opened.embedder = HashEmbedder()
    with opened.store() as work:
        work.collections.create("house", {LOCAL_GROUP: Right.MANAGE})
        work.commit()
    yield opened
    opened.close()


def test_the_command_stores_the_threshold_and_the_next_answer_obeys(
    attest: Attest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = [
        (unanswerable(city) if n % 3 == 0 else record(city)) | {"id": f"{city}{n}"}
        for n in range(12)
        for city in CITIES
    ]
    file = write(tmp_path / "cities.jsonl", asked)
    monkeypatch.setattr("rag.bootstrap.open_attest", lambda _: attest)
    monkeypatch.setattr(attest, "close", lambda: None)
    data = ["--data", str(attest.settings.data)]
    code = main(["calibrate", str(file), "--collection", "house", "--wrong-rate", "0.3", *data])
    shown = capsys.readouterr().out
    assert code == 0
    assert "held out" in shown
    assert "stored with the collection 'house'" in shown
    with attest.store() as work:
        kept = work.collections.named("house").settings
    assert kept["calibrated_wrong_rate"] == 0.3
    limits = attest.answering.policy.limits(attest.generator, kept)
    assert limits.min_confidence == kept["min_confidence"]
    assert limits.confidence == Confidence.from_settings(kept)
    other = {**kept, "calibrated_for": "another model"}
    assert attest.answering.policy.limits(attest.generator, other).min_confidence == 0.3
    with attest.store() as work:
        house = work.collections.named("house")
        work.collections.set_settings(house.id, {**kept, "min_confidence": 1.0})
        work.commit()
    answer = attest.answering.ask(LOCAL_USER, "house", "What is in Cork?")
    assert answer.verdict is Verdict.REFUSED
    assert answer.replay.settings["min_confidence"] == 1.0
