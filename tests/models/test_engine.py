"""The engine against the plainest way of doing the same: one answer at a time, one token at a time,
everything encoded anew.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from time import sleep

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from models.block_key import BlockKey, text_key
from models.block_store import BlockStore
from models.blocks import KVBlock, encode, encode_blocks, join
from models.checkpoint import Checkpoint
from models.engine.engine import Engine, Limits
from models.engine.reader import Reader
from models.engine.request import Passage, Request
from models.engine.stream import Stream
from models.errors import Busy, EngineStopped
from models.kv import KVCache
from models.lora import Adapter, LoraConfig
from models.piece import Piece
from models.transformer import Transformer
from tests.models.block_making import same
from tests.models.tiny import TINY, tiny

PREFIX = (1, 2, 3)


def kept() -> BlockStore:
    return BlockStore(None, 2**20, 0, "exact")


class Greedy:
    """Writes `most` tokens, the likeliest each time. What it guesses is right as often as `luck`
    says, once it has been told the `answer`."""

    def __init__(self, stream: Stream, most: int, answer: Sequence[int] = (), luck: float = 0.0):
        self.stream, self.most, self.answer, self.luck = stream, most, answer, luck
        self.ids: list[int] = []
        self.chance = random.Random(most)

    def guess(self, most: int) -> Sequence[int]:
        coming = self.answer[len(self.ids) : len(self.ids) + self.chance.randint(0, most)]
        return [i if self.chance.random() < self.luck else (i + 1) % 97 for i in coming]

    def choose(self, logits: Tensor) -> int | None:
        self.ids.append(int(logits.argmax()))
        self.stream.put(Piece(f" {self.ids[-1]}", 1, 0.0))
        return self.ids[-1] if len(self.ids) < self.most else None


def plainly(
    model: Transformer,
    passages: Sequence[Sequence[int]],
    question: Sequence[int],
    most: int,
    adapter: Adapter | None = None,
) -> list[int]:
    """Block-wise with an adapter that acts on question and answer, else in one pass."""
    cache = KVCache(model.config, 500)
    Adapter.detach(model)
    with torch.no_grad():
        if adapter is not None:
            head = encode(model, PREFIX)
            blocks = encode_blocks(model, head, passages)
            cache.append(*join(model, head, blocks, adapter.markers))
            adapter.attach(model)
            new = list(question)
        else:
            new = [*PREFIX, *(i for p in passages for i in p), *question]
        ids: list[int] = []
        while len(ids) < most:
            hidden = model(torch.tensor([new]), kv=cache)
            new = [int(model.logits(hidden[0, -1]).argmax())]
            ids += new
    return ids


def asked(reader: Reader, passages: Sequence[Sequence[int]], question: Sequence[int], most: int,
          **how: object) -> tuple[Request, Greedy]:  # fmt: skip
    stream = Stream()
    writer = Greedy(stream, most, **how)  # type: ignore[arg-type]
    named = tuple(Passage(tuple(p), text_key(" ".join(map(str, p)))) for p in passages)
    return Request(reader, named, tuple(question), most, writer, stream), writer


def written(request: Request) -> list[int]:
    return [int(word) for piece in request.stream for word in piece.text.split()]


def adapter_of(model: Transformer, seed: int) -> Adapter:
    torch.manual_seed(seed)
    adapter = Adapter(model, LoraConfig(rank=3, markers=9))
    for name, weight in adapter.named_parameters():
        torch.nn.init.normal_(weight, std=0.5 if "markers" in name else 0.2)
    return adapter.requires_grad_(False).eval()


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return Checkpoint("tiny", tiny(), None)  # type: ignore[arg-type]


@pytest.fixture
def engine(checkpoint: Checkpoint) -> Iterator[Engine]:
    engine = Engine(checkpoint, kept(), Limits(answers=4, waiting=50, rows=16))
    yield engine
    engine.close()


def drawn(seed: int) -> tuple[list[list[int]], list[int], int]:
    chance = random.Random(seed)
    passages = [[chance.randrange(97) for _ in range(chance.randint(1, 20))] for _ in range(4)]
    some = chance.sample(passages, chance.randint(0, 4))
    return some, [chance.randrange(97) for _ in range(chance.randint(1, 12))], chance.randint(1, 12)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(0, 1))
def test_many_at_once_write_what_each_writes_alone(
    checkpoint: Checkpoint, seed: int, luck: float
) -> None:
    """With three sets of weights, shared passages, questions longer than a pass, and guesses of
    any quality."""
    model = checkpoint.model
    adapters = [None, adapter_of(model, 1), adapter_of(model, 2)]
    engine = Engine(checkpoint, kept(), Limits(answers=5, waiting=50, rows=16))
    readers = [engine.reader(a, f"a{n}", PREFIX) for n, a in enumerate(adapters)]
    work = [(n % 3, *drawn(seed + n // 3)) for n in range(9)]
    wanted = [plainly(model, p, q, most, adapters[which]) for which, p, q, most in work]
    requests = [
        asked(readers[which], p, q, most, answer=answer, luck=luck)[0]
        for (which, p, q, most), answer in zip(work, wanted, strict=True)
    ]
    for request in requests:
        engine.submit(request)
    found = [written(request) for request in requests]
    engine.close()
    assert found == wanted


def test_layers_that_see_a_window_only() -> None:
    config = replace(TINY, window=9, windowed_from=1)
    model = tiny(config)
    engine = Engine(Checkpoint("tiny", model, None), kept())  # type: ignore[arg-type]
    passages, question = [[5, 6, 7, 8] * 3, [9, 10, 11]], [12, 13]
    request, _ = asked(engine.reader(None, "none", PREFIX), passages, question, 8)
    engine.submit(request)
    assert written(request) == plainly(model, passages, question, 8)
    engine.close()


def test_a_passage_is_encoded_once(checkpoint: Checkpoint) -> None:
    store = kept()
    engine = Engine(checkpoint, store)
    reader = engine.reader(adapter_of(checkpoint.model, 1), "one", PREFIX)
    first, _ = asked(reader, [[5, 6], [7]], [8], 2)
    engine.submit(first)
    filled = [piece.timings for piece in first.stream if piece.timings]
    again, _ = asked(reader, [[7], [5, 6]], [9], 2)
    engine.submit(again)
    joined = [piece.timings for piece in again.stream if piece.timings]
    engine.close()
    assert store.stats().fills == 2
    assert "kv_fill" in filled[0]
    assert "kv_fill" not in joined[0]
    assert {"engine_queue", "kv_join", "prefill"} <= joined[0].keys()


def test_blocks_of_text_that_may_not_be_kept_are_used_once(checkpoint: Checkpoint) -> None:
    store = kept()
    engine = Engine(checkpoint, store)
    reader = engine.reader(adapter_of(checkpoint.model, 1), "one", PREFIX)
    texts = []
    for keep in (False, False, True, False):
        request, _ = asked(reader, [[5, 6], [7]], [8], 4)
        engine.submit(replace(request, keep=keep))
        texts.append(written(request))
        assert store.stats().memory_entries == (2 if keep or len(texts) > 2 else 0)
    engine.close()
    assert len(set(map(tuple, texts))) == 1


def test_adapters_that_leave_passages_alone_share_their_blocks(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint, kept())
    one, two = (adapter_of(checkpoint.model, n) for n in (1, 2))
    readers = [engine.reader(a, n, PREFIX) for a, n in ((one, "one"), (two, "two"))]
    own = LoraConfig(rank=3, markers=9, mode="all")
    all_tokens = Adapter(checkpoint.model, own).requires_grad_(False)
    other = engine.reader(all_tokens, "three", PREFIX)
    prefix = engine.reader(one, "one", (4, 5))
    engine.close()
    assert readers[0].reading == readers[1].reading
    assert len({readers[0].reading, other.reading, prefix.reading}) == 3


class Slow(Greedy):
    """Goes on only when told to."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream, 100)
        self.begun, self.go = Event(), Event()

    def choose(self, logits: Tensor) -> int | None:
        self.begun.set()
        self.go.wait(10)
        return super().choose(logits)


def slow(reader: Reader) -> tuple[Request, Slow]:
    stream = Stream()
    writer = Slow(stream)
    return Request(reader, (), (4, 5), 100, writer, stream), writer


def test_more_than_may_wait_are_refused(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint, kept(), Limits(answers=1, waiting=2))
    reader = engine.reader(None, "none", PREFIX)
    first, writer = slow(reader)
    engine.submit(first)
    assert writer.begun.wait(10)
    waiting = [asked(reader, [], [6], 3)[0] for _ in range(2)]
    for request in waiting:
        engine.submit(request)
    with pytest.raises(Busy, match="2 wait"):
        engine.submit(asked(reader, [], [6], 3)[0])
    assert engine.gauges()["engine_waiting"] == 2
    first.stream.cancel()
    writer.go.set()
    assert [len(written(request)) for request in waiting] == [3, 3]
    engine.close()


def test_memory_that_many_answers_took_is_let_go_when_nothing_is_asked(
    checkpoint: Checkpoint,
) -> None:
    engine = Engine(checkpoint, kept(), Limits(answers=8, idle=1024))
    reader = engine.reader(None, "none", PREFIX)
    alone = asked(reader, [[7, 8]], [4, 5], 3)[0]
    engine.submit(alone)
    written(alone)
    one = engine.gauges()["engine_kv_bytes"]
    held = [slow(reader) for _ in range(6)]
    for request, _ in held:
        engine.submit(request)
    for _, writer in held:
        writer.go.set()
    assert all(writer.begun.wait(10) for _, writer in held)
    for request, _ in held:
        written(request)
    until(lambda: engine.gauges()["engine_kv_bytes"] == 2 * one)
    again = asked(reader, [[7, 8]], [4, 5], 3)[0]
    engine.submit(again)
    assert len(written(again)) == 3
    engine.close()


def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        sleep(0.01)
    raise AssertionError("it did not come to pass in ten seconds")


def test_who_goes_away_makes_room_and_writes_no_further(engine: Engine) -> None:
    reader = engine.reader(None, "none", PREFIX)
    request, writer = slow(reader)
    engine.submit(request)
    assert writer.begun.wait(10)
    request.stream.cancel()
    writer.go.set()
    assert len(written(request)) < 100
    assert engine.gauges()["engine_answers"] == 0


def test_what_fails_in_one_answer_ends_that_answer_only(engine: Engine) -> None:
    class Broken(Greedy):
        def choose(self, logits: Tensor) -> int | None:
            raise ValueError("no token is allowed here")

    reader = engine.reader(None, "none", PREFIX)
    good, _ = asked(reader, [[5]], [6], 9)
    bad, _ = asked(reader, [[5]], [6], 9)
    bad = replace(bad, writer=Broken(bad.stream, 9))
    for request in (good, bad):
        engine.submit(request)
    with pytest.raises(ValueError, match="no token"):
        written(bad)
    assert len(written(good)) == 9


def test_closing_ends_all_that_wait(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint, kept(), Limits(answers=1))
    reader = engine.reader(None, "none", PREFIX)
    first, writer = slow(reader)
    second, _ = asked(reader, [], [6], 3)
    engine.submit(first)
    engine.submit(second)
    writer.begun.wait(10)
    writer.go.set()
    engine.close()
    for request in (first, second):
        with pytest.raises(EngineStopped):
            written(request)
    with pytest.raises(EngineStopped):
        engine.submit(second)


def test_what_can_never_fit_is_refused_at_once(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint, kept(), Limits(tokens=512))
    request, _ = asked(engine.reader(None, "none", PREFIX), [[5] * 600], [6], 3)
    with pytest.raises(ValueError, match="does not fit"):
        engine.submit(request)
    engine.close()


def test_those_being_written_go_on_while_passages_are_read(checkpoint: Checkpoint) -> None:
    """New passages are read in pieces, and between two pieces everyone gets a token."""
    engine = Engine(checkpoint, kept(), Limits(answers=4))
    reader = engine.reader(adapter_of(checkpoint.model, 1), "one", PREFIX)
    order: list[str] = []

    class Telling(Greedy):
        def choose(self, logits: Tensor) -> int | None:
            order.append("token")
            return super().choose(logits)

    class Watching(BlockStore):
        def put(self, key: BlockKey, block: KVBlock) -> KVBlock:
            order.append("block")
            return super().put(key, block)

    engine.blocks = Watching(None, 2**20, 0, "exact")
    first, _ = asked(reader, [], [6], 40)
    first = replace(first, writer=Telling(first.stream, 40))
    second, _ = asked(reader, [[n] * 8 for n in range(6)], [6], 1)
    engine.submit(first)
    next(first.stream)
    engine.submit(second)
    written(first)
    written(second)
    engine.close()
    assert order.count("block") == 6
    assert ("block", "block") not in set(pairwise(order))


def test_idle_work_waits_for_everyone_who_asks(checkpoint: Checkpoint) -> None:
    """Until then it can be taken back."""
    engine = Engine(checkpoint, kept(), Limits(answers=4))
    reader = engine.reader(None, "none", PREFIX)
    order: list[str] = []
    writing, go_on, let_go = Event(), Event(), Event()

    class Held(Greedy):
        def choose(self, logits: Tensor) -> int | None:
            order.append("token")
            writing.set()
            go_on.wait(10)
            return super().choose(logits)

    request, _ = asked(reader, [[5, 6]], [7], 6)
    engine.submit(replace(request, writer=Held(request.stream, 6)))
    writing.wait(10)
    assert engine.when_idle(lambda: order.append("unwanted"), lambda: True) is None
    idle = Thread(target=engine.when_idle, args=(lambda: order.append("idle"), let_go.is_set))
    idle.start()
    go_on.set()
    idle.join(10)
    engine.close()
    assert order == ["token"] * 6 + ["idle"]


def test_a_block_made_ahead_is_the_one_a_question_would_make(
    checkpoint: Checkpoint, tmp_path: Path
) -> None:
    store = BlockStore(tmp_path, 0, 2**20, "exact")
    engine = Engine(checkpoint, store)
    reader = engine.reader(adapter_of(checkpoint.model, 1), "one", PREFIX)
    request, _ = asked(reader, [[5, 6, 7]], [8], 1)
    (passage,) = request.passages
    named = BlockKey(reader.reading, passage.text)
    assert engine.when_idle(lambda: engine.fill(reader, passage), lambda: False)
    ahead = store.get(named)
    store.clear()
    engine.submit(request)
    written(request)
    engine.close()
    assert ahead is not None
    assert same(ahead, store.get(named))


def test_full_attention_has_no_blocks_to_make(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint, kept())
    reader = engine.reader(None, "none", PREFIX)
    with pytest.raises(ValueError, match="no KV blocks"):
        engine.fill(reader, Passage((5,), text_key("5")))
    engine.close()
