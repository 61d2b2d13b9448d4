"""The engine's loop: take in what is asked, read passages that have no block yet, and move every
answer on by one pass of the model. One thread owns the model; callers hold streams.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from time import perf_counter
from typing import Protocol, TypeVar

import torch

from models.block_file import Precision
from models.block_key import BlockKey
from models.blocks import KVBlock, encode_blocks, join, mark
from models.checkpoint import Checkpoint
from models.engine.few import Few, can_be_fused
from models.engine.pool import CachePool
from models.engine.ragged import Ragged
from models.engine.reader import Reader, make_reader, reads_passages
from models.engine.request import Answer, Passage, Request
from models.engine.weights import merged, pack, packs
from models.errors import Busy, EngineStopped
from models.hardware import processor
from models.lora import Adapter
from models.memory import give_back_memory
from models.piece import Piece

log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK = 0.1  # seconds between two looks whether idle work is still wanted


class Blocks(Protocol):
    """Where KV blocks are kept, in which precision. `put` returns the block as `get` will from now
    on, and so does `rounded`, which keeps nothing; `lacks` and `add` are for blocks ahead of use.
    """

    @property
    def precision(self) -> Precision: ...
    def get(self, key: BlockKey) -> KVBlock | None: ...
    def put(self, key: BlockKey, block: KVBlock) -> KVBlock: ...
    def rounded(self, block: KVBlock) -> KVBlock: ...
    def lacks(self, key: BlockKey) -> bool: ...
    def add(self, key: BlockKey, block: KVBlock) -> bool: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """`answers`: written at once; `waiting`: beside them, more are refused; `tokens`: of all
    answers' keys and values together; `idle`: of those that stay in memory while nothing is asked;
    `rows`: of passages read in one pass with full attention."""

    answers: int = 16
    waiting: int = 64
    tokens: int = 32_768
    idle: int = 4_096
    rows: int = 256


class Engine:
    """Serves one checkpoint's weights with any of its adapters. Its thread starts with the first
    request and ends with `close`."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        blocks: Blocks,
        limits: Limits | None = None,
        passages_only: bool = False,
    ) -> None:
        """`passages_only`: for `fill`; without the form of the weights that writing is quick with,
        which takes as long to make as some hundred blocks."""
        self.checkpoint = checkpoint
        self._model, self.blocks = checkpoint.model, blocks
        self._limits = limits or Limits()
        model = checkpoint.model
        self._few: Few | None = None
        if can_be_fused(model) and not passages_only:
            self._few = Few(model, checkpoint.prepared, self.identity)
        if packs(model) and checkpoint.source is not None:
            pack(model)
        self._pool = CachePool(model.config, self._limits.tokens, model.dtype, model.device)
        self._waiting: deque[Request] = deque()
        self._answers: list[Answer] = []
        self._calls: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._spare: deque[tuple[Callable[[], object], Future[object]]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopped = False

    # --- what callers use -------------------------------------------------------------------------

    def submit(self, request: Request) -> None:
        """Begin an answer; its pieces come through its stream. Raises Busy when as many wait
        as may, EngineStopped, and ValueError for a request that can never fit."""
        if request.length > self._limits.tokens:
            raise ValueError(
                f"an answer over {request.length} tokens does not fit the engine's "
                f"{self._limits.tokens}"
            )
        with self._changed:
            if len(self._waiting) >= self._limits.waiting:
                raise Busy(
                    f"{len(self._answers)} answers are being written and {len(self._waiting)} "
                    "wait; try again shortly"
                )
            self._waiting.append(request)
            self._wake()

    def call(self, work: Callable[[], T]) -> T:
        """Run something with the model between two passes, and wait for it."""
        future: Future[T] = Future()
        with self._changed:
            self._calls.append((work, future))  # type: ignore[arg-type]
            self._wake()
        return future.result()

    def when_idle(self, work: Callable[[], T], stop: Callable[[], bool]) -> T | None:
        """As `call`, but only once nothing is asked or being written; None when `stop` said so
        before it was begun."""
        future: Future[T] = Future()
        with self._changed:
            self._spare.append((work, future))  # type: ignore[arg-type]
            self._wake()
        while not wait((future,), _LOOK).done:
            if stop() and future.cancel():
                return None
        return future.result()

    def fill(self, reader: Reader, passage: Passage) -> bool:
        """Encode a passage ahead of use; False when its block could not be kept. For `when_idle`.
        Raises ValueError for a reader that has no blocks."""
        if not reader.block_wise:
            raise ValueError("a reader with full attention has no KV blocks")
        return self.blocks.add(BlockKey(reader.reading, passage.text), _block(reader, passage))

    @property
    def identity(self) -> str:
        """Which weights answer, in which precision."""
        precision = str(self._model.dtype).removeprefix("torch.")
        return f"{self.checkpoint.identity}/{precision}"

    @property
    def arithmetic(self) -> dict[str, str | int | float | bool]:
        """What moves the last digit of a logit beside the weights: sums in another order, blocks in
        another precision, another code."""
        return {
            "attest": version("attest-rag"),
            "torch": torch.__version__,
            "processor": processor(self._model.device),
            "threads": torch.get_num_threads(),
            "kv_precision": self.blocks.precision,
        }

    def reader(
        self, adapter: Adapter | None, name: str, prefix: Sequence[int], merge: bool = False
    ) -> Reader:
        """Weights that a `Request` can name; `name` says which adapter they are. `merge`: questions
        are read by weights with the adapter added in, quicker, at the cost of a second copy of
        them; else the adapter is added to what the base's give, at every pass."""

        def make() -> Reader:
            if adapter is None:
                return make_reader(self._model, self.identity, None, name, prefix, None, None)
            own = merged(self.checkpoint, adapter, name) if merge else None
            lora = None if self._few is None else self._few.lora(adapter)
            if packs(self._model) and (own is None or reads_passages(adapter)):
                adapter.pack()
            give_back_memory()
            return make_reader(self._model, self.identity, adapter, name, prefix, own, lora)

        return self.call(make)

    def gauges(self) -> Mapping[str, float]:
        """How busy it is, for metrics."""
        taken = self._pool.tokens - self._pool.free
        return {
            "engine_answers": len(self._answers),
            "engine_waiting": len(self._waiting),
            "engine_kv_tokens": taken,
            "engine_kv_bytes": self._pool.bytes,
        }

    def close(self) -> None:
        """End the thread; answers in work end with EngineStopped."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    # --- the thread -------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._stopped:
            raise EngineStopped("the engine was stopped; nothing more is answered")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
            self._thread.start()
        self._changed.notify()

    @torch.inference_mode()
    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._stopped or self._asked or self._spare):
                    if self._pool.trim(self._limits.idle):
                        give_back_memory()
                    self._changed.wait()
                if self._stopped:
                    break
                calls, self._calls = self._calls, deque()
                if not (calls or self._asked):
                    calls.append(self._spare.popleft())
            for work, future in calls:
                _resolve(work, future)
            self._step()
        self._end(self._answers, EngineStopped("the engine was stopped"))
        for request in self._waiting:
            request.stream.end(EngineStopped("the engine was stopped"))
        for _, future in (*self._calls, *self._spare):
            if future.set_running_or_notify_cancel():
                future.set_exception(EngineStopped("the engine was stopped"))

    @property
    def _asked(self) -> bool:
        return bool(self._calls or self._waiting or self._answers)

    def _step(self) -> None:
        """Everyone who writes gets a token (or more); then one question, or else one passage, is
        read. So streams advance whatever is asked beside them, and as no two questions and no two
        passages share a pass, what one of them gives does not depend on the others."""
        self._end([a for a in self._answers if a.request.stream.cancelled])
        self._admit()
        for together in self._writing():
            self._guarded(self._pass, together)
        asking = next((a for a in self._answers if a.pending and not a.writing), None)
        reading = next((a for a in self._answers if not a.pending), None)
        if asking is not None:
            self._guarded(self._pass, [asking])
        elif reading is not None:
            self._guarded(self._read, [reading])

    def _writing(self) -> list[list[Answer]]:
        """Who writes, by whom can share a pass."""
        writing = [a for a in self._answers if a.writing]
        if self._few is not None:
            return [writing] if writing else []
        readers = dict.fromkeys(a.request.reader for a in writing)
        return [[a for a in writing if a.request.reader is reader] for reader in readers]

    def _guarded(self, work: Callable[[list[Answer]], None], answers: list[Answer]) -> None:
        """What fails in one pass ends the answers that took part in it, and no others."""
        try:
            work(answers)
        except Exception as exc:
            log.exception("a pass over %d answers failed", len(answers))
            self._end(answers, exc)

    def _admit(self) -> None:
        """Take in waiting requests, in their order, while there is room."""
        while self._waiting and len(self._answers) < self._limits.answers:
            request = self._waiting[0]
            if request.stream.cancelled:
                self._waiting.popleft()
                request.stream.end()
                continue
            cache = self._pool.take(request.length)
            if cache is None:
                return
            self._waiting.popleft()
            answer = Answer(request, cache)
            self._answers.append(answer)
            answer.timed("engine_queue", perf_counter() - request.asked)
            self._guarded(self._begin, [answer])

    def _begin(self, answers: list[Answer]) -> None:
        """Look up what is known of the passages; what is left to read is read step by step."""
        (answer,) = answers
        reader, passages = answer.request.reader, answer.request.passages
        if not reader.block_wise:
            answer.cache.append(*join(reader.model, reader.prefix, ()))
            answer.unread = [i for passage in passages for i in passage.ids]
            return
        answer.blocks = [self.blocks.get(BlockKey(reader.reading, p.text)) for p in passages]
        if None not in answer.blocks:
            self._join(answer)

    def _read(self, answers: list[Answer]) -> None:
        """One passage, or, with full attention, a piece of all of them."""
        (answer,) = answers
        began = perf_counter()
        if answer.request.reader.block_wise:
            self._fill(answer)
            answer.timed("kv_fill", perf_counter() - began)
            if None not in answer.blocks:
                self._join(answer)
            return
        reader, most = answer.request.reader, self._limits.rows
        if new := answer.unread[:most]:
            with reader.passages() as model:
                model(torch.tensor([new], device=model.device), kv=answer.cache)
            answer.unread = answer.unread[most:]
        if not answer.unread:
            lengths = [len(passage.ids) for passage in answer.request.passages]
            mark(answer.cache, len(reader.prefix_ids), lengths, reader.markers)
            answer.pending = list(answer.request.question)
        answer.timed("read", perf_counter() - began)

    def _fill(self, answer: Answer) -> None:
        """Encode the first passage that has no block, unless someone else has done so meanwhile."""
        at, reader = answer.blocks.index(None), answer.request.reader
        passage = answer.request.passages[at]
        key = BlockKey(reader.reading, passage.text)
        block = self.blocks.get(key)
        if block is None:
            made, keep = _block(reader, passage), answer.request.keep
            block = self.blocks.put(key, made) if keep else self.blocks.rounded(made)
        answer.blocks[at] = block

    def _join(self, answer: Answer) -> None:
        reader, began = answer.request.reader, perf_counter()
        blocks = [block for block in answer.blocks if block is not None]
        if self._few is not None:
            self._few.join(answer.cache, [reader.prefix, *blocks], reader.markers)
        else:
            answer.cache.append(*join(reader.model, reader.prefix, blocks, reader.markers))
        answer.pending = list(answer.request.question)
        answer.timed("kv_join", perf_counter() - began)

    def _pass(self, answers: list[Answer]) -> None:
        """New tokens of several answers through the model at once; then each takes its next."""
        began = perf_counter()
        logits = self._logits(answers)
        spent, at = perf_counter() - began, 0
        for answer in answers:
            own = logits[at : at + 1 + len(answer.guessed)]
            at += len(own)
            if not answer.writing:
                answer.timed("prefill", spent)
                answer.writing = True
                answer.request.stream.put(Piece("", 0, 0.0, timings=answer.timings))
            self._guarded(partial(self._take, own), [answer])

    def _logits(self, answers: list[Answer]) -> torch.Tensor:
        """(rows, vocabulary) float32: for each answer a row after its last pending token and one
        after each of its guesses."""
        reader = answers[0].request.reader
        new = [[*a.pending, *a.guessed] for a in answers]
        parts = [(a.cache, len(own)) for a, own in zip(answers, new, strict=True)]
        ids = [i for own in new for i in own]
        ends: list[int] = []
        at = 0
        for answer, own in zip(answers, new, strict=True):
            at += len(own)
            ends += range(at - 1 - len(answer.guessed), at)
        if answers[0].writing and self._few is not None:
            adapted = [
                (*part, a.request.reader.lora) for part, a in zip(parts, answers, strict=True)
            ]
            return self._few(ids, adapted)[ends]
        ragged = Ragged(self._model.config, parts)
        with reader.answering() as model:
            row = torch.tensor([ids], device=model.device)
            hidden = model(row, ragged.positions, ragged)[0, ends]
            return model.logits(hidden) if self._few is None else self._few.logits(hidden)

    def _take(self, logits: torch.Tensor, answers: list[Answer]) -> None:
        """The answer's next tokens: one, and one more for every guess that was right."""
        (answer,) = answers
        writer, guessed = answer.request.writer, answer.guessed
        right = 0
        while True:
            token = writer.choose(logits[right])
            if token is None:
                self._end([answer])
                return
            if right == len(guessed) or guessed[right] != token:
                break
            right += 1
        answer.cache.rewind(answer.cache.length - len(guessed) + right)
        answer.learn(right)
        answer.pending = [token]
        answer.guessed = tuple(writer.guess(answer.worth))

    def _end(self, answers: Iterable[Answer], error: BaseException | None = None) -> None:
        for answer in list(answers):
            if answer in self._answers:
                self._answers.remove(answer)
                self._pool.give(answer.cache)
                answer.request.stream.end(error)


def _block(reader: Reader, passage: Passage) -> KVBlock:
    with reader.passages() as model:
        return encode_blocks(model, reader.prefix, [passage.ids])[0]


def _resolve(work: Callable[[], object], future: Future[object]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except BaseException as exc:  # noqa: BLE001 - the caller gets it
        future.set_exception(exc)
