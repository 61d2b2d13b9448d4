"""The engine's benchmarks: the same work for every engine, counted right, and a peer that is not
there is named. A tiny checkpoint stands for the weights; its tokens are bytes."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.comparing import Asked, quality, spread, times_better
from benchmarks.engine import Turns
from benchmarks.ours import Loaded, Ours
from benchmarks.peers.chosen import named, prepared, serving, single
from benchmarks.peers.peer import Framing, Parts, Peer, PeerFailed, Stopwatch, Timed
from benchmarks.reporting import FREE, SHAPED, summed_up, table
from benchmarks.users import asked_by_users
from benchmarks.users import summed_up as users_summed_up
from benchmarks.workload import PASSAGES, Question, drawn, served, sha256, shaped
from models.block_store import BlockStore
from models.checkpoint import load
from models.engine.engine import Engine
from models.prompt import PromptBuilder
from rag.errors import BadSamples
from tests.models.training.small import write_checkpoint

TOKENS = 150  # bytes, here


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder = write_checkpoint(tmp_path_factory.mktemp("tiny"))
    blocks = BlockStore(None, 2**20, 0)
    engine = Engine(load(folder), blocks)
    yield Loaded(engine, blocks, None, folder / "none.gguf")
    engine.close()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of ten documents each; a document speaks of one place only."""
    folder = tmp_path_factory.mktemp("dev")
    for file in ("alpha", "beta"):
        lines = [
            json.dumps(_sample(file, f"{file}ville{doc}", passage))
            for doc in range(10)
            for passage in range(4)
        ]
        with gzip.open(folder / f"{file}.jsonl.gz", "wt", encoding="utf-8") as stream:
            stream.write("\n".join(lines))
    with gzip.open(folder / "verifier_gamma.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write('{"claim": "of another kind"}')
    return folder


def _sample(file: str, place: str, number: int) -> dict[str, object]:
    answer = f"gate {number} of {place}"
    text = f"In {place} the guards of watch {number} stand at the {answer}, by the river. "
    text += f"Bread in {place} is sold at dawn. " * number
    id = f"{place}.{number}"
    start = text.index(answer)
    return {
        "id": id,
        "dataset": file,
        "question": f"Where in {place} does watch {number} stand?",
        "passages": [{"id": id, "title": "", "text": text}],
        "gold": [id],
        "answers": [answer],
        "evidence": [{"passage": id, "start": start, "end": start + len(answer)}],
        "answerable": True,
        "kind": "span",
        "doc": place,
    }


@pytest.fixture(scope="module")
def questions(dev: Path, weights: Loaded) -> list[Question]:
    return drawn(dev, weights.tokenizer, 12, seed=1, tokens=TOKENS)


def test_the_same_seed_is_the_same_work(
    dev: Path, weights: Loaded, questions: list[Question]
) -> None:
    tokenizer = weights.tokenizer
    assert sha256(drawn(dev, tokenizer, 12, seed=1, tokens=TOKENS)) == sha256(questions)
    assert sha256(drawn(dev, tokenizer, 12, seed=2, tokens=TOKENS)) != sha256(questions)
    assert sha256(served(questions, 30, seed=1)) == sha256(served(questions, 30, seed=1))


def test_each_question_has_its_passage_and_four_of_other_documents(
    weights: Loaded, questions: list[Question]
) -> None:
    prompts = PromptBuilder(weights.tokenizer)
    assert {each.id.partition(":")[0] for each in questions} == {"alpha", "beta"}
    assert len({each.gold for each in questions}) > 1
    for each in questions:
        place = each.answers[0].rpartition(" ")[2]
        assert len(set(each.passages)) == PASSAGES
        assert [each.answers[0] in text for text in each.passages].index(True) + 1 == each.gold
        assert sum(f"{place} " in text for text in each.passages) == 1
        for text in each.passages:
            assert 0.9 * TOKENS <= len(prompts.passage(text, 1)) <= TOKENS


def test_too_few_questions_say_so(dev: Path, weights: Loaded) -> None:
    with pytest.raises(BadSamples, match="500 are wanted"):
        drawn(dev, weights.tokenizer, 500, tokens=TOKENS)


def test_served_passages_follow_their_popularity(questions: list[Question]) -> None:
    requests = served(questions, 600, pool=40)
    golds = {each.id: each.passages[each.gold - 1] for each in questions}
    drawn_by_rank: Counter[str] = Counter()
    for each in requests:
        gold = golds[each.id.partition("#")[0]]
        assert each.passages[each.gold - 1] == gold
        assert len(set(each.passages)) == PASSAGES
        drawn_by_rank.update(text for text in each.passages if text != gold)
    often = [count for _, count in drawn_by_rank.most_common()]
    assert len(often) <= 40
    assert often[0] > 5 * often[len(often) // 2]


def test_the_shape_is_exact(weights: Loaded, questions: list[Question]) -> None:
    prompts = PromptBuilder(weights.tokenizer)
    for each in shaped(questions, weights.tokenizer, TOKENS, 90):
        built = prompts.build(each.passages, each.question)
        # filled with a letter and its space, which are two tokens here
        assert {len(passage) for passage in built.passages} <= {TOKENS, TOKENS + 1}
        assert len(built.question) in (89, 90)


def test_peers_read_the_tokens_that_ours_does(weights: Loaded, questions: list[Question]) -> None:
    tokenizer = weights.tokenizer
    parts = Framing(tokenizer).parts(questions[0])
    built = PromptBuilder(tokenizer).build(parts.passages, parts.question)
    ids = [*built.prefix, *(i for passage in built.passages for i in passage), *built.question]
    assert tokenizer.encode(parts.text, special=True) == ids


def test_an_answer_on_the_clock() -> None:
    timed = Timed("ab c", ((0.5, 1), (0.6, 2), (1.0, 4)))
    assert (timed.first_token_seconds, timed.total_seconds, timed.tokens) == (0.5, 1.0, 4)
    assert timed.tokens_per_second == pytest.approx(6.0)
    assert timed.longest_gap_seconds == pytest.approx(0.4)
    assert (timed.seconds_to(2), timed.seconds_to(3), timed.seconds_to(5)) == (0.6, 1.0, None)
    assert Timed("a", ((0.5, 1),)).tokens_per_second is None
    with pytest.raises(PeerFailed, match="without a token"):
        Stopwatch().timed()


def _asked(engine: str, question: str, seconds: float, text: str = "") -> Asked:
    timed = Timed(text, ((seconds, 1), (2 * seconds, 3)))
    return Asked(engine, FREE, question, timed, ("the gate",) if text else (), 5, 0.0)


def test_ratios_pair_the_questions() -> None:
    """Questions differ a hundredfold; every answer of theirs takes three times as long."""
    lengths = [0.01 * 1.5**n for n in range(12)]
    ours = [_asked("ours, cold", str(n), s) for n, s in enumerate(lengths)]
    theirs = [_asked("other", str(n), 3 * s) for n, s in enumerate(lengths)]
    theirs.append(_asked("other", "only theirs", 1e6))
    faster = times_better(ours, theirs, lambda each: each.timed.total_seconds)
    assert faster.n == 12
    assert (faster.value, faster.low, faster.high) == pytest.approx((3.0, 3.0, 3.0))
    rate = times_better(ours, theirs, lambda each: each.timed.tokens_per_second, higher=True)
    assert (rate.value, rate.low, rate.high) == pytest.approx((3.0, 3.0, 3.0))
    noisy = [_asked("other", str(n), (2 + n % 3) * s) for n, s in enumerate(lengths)]
    unsure = times_better(ours, noisy, lambda each: each.timed.total_seconds)
    assert unsure.low is not None
    assert unsure.high is not None
    assert 1.0 < unsure.low < unsure.high < 8.0


def test_repeats_are_one_question() -> None:
    asked = [_asked("ours, cold", "a", s) for s in (1.0, 2.0, 9.0)]
    found = spread([*asked, _asked("ours, cold", "b", 4.0)], lambda e: e.timed.first_token_seconds)
    assert (found.median, found.least, found.n) == (3.0, 1.0, 2)
    assert spread([], lambda each: each.timed.total_seconds).median is None


def test_quality_is_of_the_words_without_markers() -> None:
    right = _asked("ours, cold", "a", 1.0, "The gate [2].")
    half = _asked("ours, cold", "b", 1.0, "gate west")
    assert quality([right]).value == pytest.approx(1.0)
    assert quality([right, half]).value == pytest.approx((1 + 2 / 3) / 2)
    assert quality([_asked("ours, cold", "c", 1.0)]).value is None


def test_a_forced_answer_has_its_length(weights: Loaded, questions: list[Question]) -> None:
    framing = Framing(weights.tokenizer)
    for warm in (False, True):
        ours = Ours(weights, warm)
        ours.prepare()
        parts = framing.parts(questions[0])
        ours.ready(parts)
        timed = ours.answer(parts, 30, forced=True)
        assert timed.tokens == 30
        assert 0 < timed.first_token_seconds < timed.total_seconds
        assert ours.answer(parts, 30).tokens <= 30


def test_missing_peers_are_named_and_the_run_goes_on(
    weights: Loaded,
    questions: list[Question],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    tokenizer = weights.tokenizer
    framing = Framing(tokenizer)
    example = framing.parts(questions[0])
    peers = single(weights.gguf, tokenizer, tmp_path, 1, example)
    chosen: list[Peer] = [Ours(weights, warm=False), *named(peers, ["llama.cpp Q"])]
    chosen += serving(str(tmp_path / "no-server"), weights.gguf, tmp_path, 1, 2)[:1]
    missing: dict[str, str] = {}
    engines = prepared(chosen, missing)
    assert [each.name for each in engines] == ["ours, cold"]
    said = capsys.readouterr().out
    for peer in chosen[1:]:
        assert f"NOT MEASURED: {peer.name}" in said
    assert "pip install" in missing["llama.cpp Q4_0, best"]
    assert "--llama-server" in missing["llama-server Q4_1, default"]

    turns = Turns(engines, framing, 2, missing)
    results = [*turns.ask(FREE, questions[:2], 8), *turns.ask(SHAPED, questions[:2], 8)]
    assert [each.question for each in results] == [q.id for q in questions[:2]] * 4
    shown = table(summed_up(results, [4, 8], 0), [4, 8])
    assert "8 tokens s" in shown
    assert shown.count("ours, cold") == 2 + 3 + 4


def test_engines_take_turns_and_one_that_fails_is_asked_no_more(
    weights: Loaded, questions: list[Question]
) -> None:
    cold, warm = Ours(weights, warm=False), Ours(weights, warm=True)
    long = Question("long", "Where? " * 400, questions[0].passages, 0, ())
    missing: dict[str, str] = {}
    turns = Turns(prepared([cold, warm], missing), Framing(weights.tokenizer), 1, missing)
    results = list(turns.ask(FREE, [questions[0], questions[1]], 4))
    assert [each.engine for each in results] == ["ours, cold", "ours, warm"] * 2
    assert list(turns.ask(FREE, [long, questions[2]], 4)) == []
    assert "do not fit" in missing["ours, cold"]


def test_users_in_a_closed_loop(weights: Loaded, questions: list[Question]) -> None:
    ours = Ours(weights, warm=False)
    ours.prepare()
    parts = [Framing(weights.tokenizer).parts(each) for each in questions]
    done = asked_by_users(ours, 3, 2.0, parts, 4)
    assert len(done.answers) > 3
    assert {answer.tokens for answer in done.answers} == {4}
    assert done.errors == ()
    assert done.bytes_after > 2**20
    too_long = Parts(parts[0].passages, "Where? " * 400, "")
    failed = asked_by_users(ours, 1, 0.2, [too_long], 4)
    three, one = users_summed_up([done, done, failed])
    assert three["answers/s"] == pytest.approx(len(done.answers) / 2.0)
    assert (three["users"], three["answers"], three["errors"]) == (3, 2 * len(done.answers), 0)
    assert (one["users"], one["answers"], one["errors"]) == (1, 0, len(failed.errors))
    assert one["errors"] > 0
    assert "do not fit" in one["first error"]
    assert one["first token s"] is None
