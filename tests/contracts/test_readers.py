"""What the readers of this process and those of an engine process both promise: one model of a few
thousand weights, and a real server on a free port."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from rag.adapters import promote, retire
from rag.bootstrap import Attest, open_attest
from rag.domain import LOCAL_USER, Right, Sampling
from rag.engine_api.app import make_engine_app
from rag.engine_wire import Named, ToGenerate
from rag.errors import Busy, UnknownAdapter
from rag.ports import Generator, Piece
from rag.settings import load_settings
from rag.wire import to_json
from tests.api.serving import posted, served, until
from tests.engine_house import KEY, LONG, PASSAGES, QUESTION, ROW, SHORT, furnish, metric


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def here(data: Path) -> Iterator[Attest]:
    """With the model in this process."""
    torch.set_num_threads(1)
    attest = open_attest(load_settings(data))
    yield attest
    attest.close()


@pytest.fixture(scope="module")
def engine(data: Path) -> Iterator[Attest]:
    """What the engine's server reads with."""
    attest = open_attest(load_settings(data, engine_key=KEY))
    yield attest
    attest.close()


@pytest.fixture(scope="module")
def url(engine: Attest) -> Iterator[str]:
    with served(make_engine_app(engine)) as address:
        yield address


@pytest.fixture(scope="module")
def there(data: Path, url: str) -> Iterator[Attest]:
    """With the model behind the server."""
    attest = open_attest(load_settings(data, engine_url=url, engine_key=KEY))
    yield attest
    attest.close()


@pytest.fixture(params=["here", "there"])
def attest(request: pytest.FixtureRequest) -> Attest:
    made: Attest = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def promoted(here: Attest) -> Iterator[Callable[[str], str]]:
    """`promoted("first")`: its identity, answering from now on."""
    names = set()

    def make(name: str) -> str:
        names.add(name)
        data = here.settings.data
        return promote(here.store, LOCAL_USER, data, name, ungated=True)[0].identity

    yield make
    for name in names:
        retire(here.store, LOCAL_USER, name)


def read(reader: Generator, sampling: Sampling = SHORT) -> list[Piece]:
    return list(reader.generate(PASSAGES, QUESTION, sampling))


def told(pieces: Sequence[Piece]) -> list[tuple[str, int, float, float]]:
    return [(p.text, p.tokens, p.logprob, p.refusal) for p in pieces]


def identities(attest: Attest) -> dict[str, Any]:
    reader = attest.readers.of(None)
    return {
        "model": reader.model,
        "adapter": reader.adapter,
        "prompt_version": reader.prompt_version,
        "computed": reader.computed,
        "refusal": reader.refusal,
        "min_confidence": reader.min_confidence,
        "confidence": reader.confidence,
        "context_tokens": reader.context_tokens,
        "most_passages": reader.most_passages,
    }


# --- the same here and there ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "first"])
def test_the_same_answer_to_the_bit(
    here: Attest, there: Attest, promoted: Callable[[str], str], name: str
) -> None:
    adapter = "none" if name == "none" else promoted(name)
    assert identities(here) == identities(there)
    near, far = here.readers.of(None), there.readers.of(None)
    assert far.adapter == adapter
    for sampling in (SHORT, Sampling(60, temperature=1.0, seed=3, stop=("[1]",))):
        pieces = read(far, sampling)
        assert told(pieces) == told(read(near, sampling))
        assert "".join(p.text for p in pieces)
        assert pieces[0].timings["prefill"] > 0
    said = [("The code of basil is 5678.", (2,)), ("Ask Kim.", (1, 2))]
    drops = far.drops(PASSAGES, QUESTION, said)
    assert drops == near.drops(PASSAGES, QUESTION, said)
    assert [len(each) for each in drops] == [3, 3]
    texts = [*PASSAGES, "", "Zürich ☂ \u2028 next", PASSAGES[0]]
    assert far.token_counts(texts) == [near.count_tokens(text) for text in texts]


def test_promotion_holds_from_the_next_question_on(
    attest: Attest, promoted: Callable[[str], str]
) -> None:
    before = attest.readers.of(None)
    assert before.adapter == "none"
    first = promoted("first")
    assert attest.readers.of(None).adapter == first
    second = promoted("second")
    assert attest.readers.of(None).adapter == second
    assert attest.readers.of(None).min_confidence == 0.25
    replayed = told(read(attest.readers.named(first)))
    assert replayed == told(read(attest.readers.named(first)))
    assert replayed != told(read(attest.readers.of(None)))
    assert before.adapter == "none", "a question goes on with the weights it began with"


def test_of_a_collection(attest: Attest) -> None:
    with attest.store() as work:
        made = work.collections.create(f"c{id(attest)}", {"local": Right.MANAGE})
        work.commit()
    assert attest.readers.of(made.id).adapter == "none"


@pytest.mark.parametrize("adapter", ["gone@0123456789ab", "", "a/b?c=d&e#f"])
def test_an_adapter_that_is_gone(attest: Attest, adapter: str) -> None:
    with pytest.raises(UnknownAdapter, match="put its folder back"):
        attest.readers.named(adapter)


def test_what_does_not_fit(attest: Attest) -> None:
    reader, long = attest.readers.of(None), ["word " * 500]
    with pytest.raises(ValueError, match="do not fit the model's 2048"):
        next(reader.generate(long, QUESTION, SHORT))
    with pytest.raises(ValueError, match="do not fit the model's 2048"):
        reader.drops(long, QUESTION, [("Word.", (1,))])


def test_who_stops_listening_frees_the_engine(attest: Attest, engine: Attest) -> None:
    busy = engine if attest.engine_client is not None else attest
    pieces = attest.readers.of(None).generate(PASSAGES, QUESTION, LONG)
    for _ in range(5):
        next(pieces)
    assert busy.gauges()["engine_answers"] == 1
    pieces.close()
    until(lambda: busy.gauges()["engine_answers"] == 0)
    assert busy.gauges()["engine_kv_tokens"] == 0
    assert read(attest.readers.of(None))


def test_many_at_once_are_each_as_alone(attest: Attest) -> None:
    reader = attest.readers.of(None)
    seeds = range(ROW)
    alone = [told(read(reader, Sampling(30, temperature=1.0, seed=s))) for s in seeds]
    found: dict[int, list[tuple[str, int, float, float]]] = {}

    def ask(seed: int) -> None:
        found[seed] = told(read(reader, Sampling(30, temperature=1.0, seed=seed)))

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ["".join(p[0] for p in found[s]) for s in seeds] == [
        "".join(p[0] for p in each) for each in alone
    ]


# --- what only a process elsewhere can do --------------------------------------------------------


def test_a_full_line_is_refused_and_who_leaves_it_makes_room(
    there: Attest, engine: Attest, url: str
) -> None:
    reader = there.readers.of(None)
    writing = [reader.generate(PASSAGES, QUESTION, LONG) for _ in range(ROW)]
    for pieces in writing:
        next(pieces)
    asked = ToGenerate(Named(reader.model, reader.adapter), PASSAGES, QUESTION, SHORT, True)
    with ExitStack() as waiting:
        for _ in range(ROW):
            waiting.enter_context(posted(url, "/generate", to_json(asked), KEY))
        until(lambda: metric(there, "attest_questions_waiting") == ROW)
        with pytest.raises(Busy, match="questions are waiting") as refused:
            next(reader.generate(PASSAGES, QUESTION, SHORT))
        assert refused.value.retry_after >= 1
        assert metric(there, "attest_refused_busy_total") >= 1
    until(lambda: metric(there, "attest_questions_waiting") == 0)
    assert metric(there, "attest_engine_answers") == ROW, "those who are answered stay"
    for pieces in writing:
        pieces.close()
    until(lambda: engine.gauges()["engine_answers"] == 0)
    assert read(reader)
