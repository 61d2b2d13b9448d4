"""What an engine process answers; `rag.remote_readers` and `rag.remote_kv_blocks` ask it."""

from __future__ import annotations

import json
import re
from collections.abc import Generator as Writing
from importlib.metadata import version
from threading import Event as Flag

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from rag.api.attended import attended
from rag.engine_api.metrics import metrics_text
from rag.engine_api.parts import Here
from rag.engine_api.speaking import ALL, Speaking
from rag.engine_wire import (
    BlockKeys,
    EngineHealth,
    ReaderCard,
    ToAttribute,
    ToCount,
    ToGenerate,
)
from rag.errors import BadInput, DoesNotFit
from rag.ports import Piece
from rag.wire import to_json

router = APIRouter()
_SHA256 = re.compile(r"[0-9a-f]{64}")


@router.get("/health")
def health(here: Here) -> EngineHealth:
    return EngineHealth("ok", version("attest-rag"), "engine_answers" in here.attest.gauges())


@router.get("/metrics", response_class=Response)
def metrics(here: Here) -> Response:
    """In Prometheus's text format."""
    return Response(metrics_text(here), media_type=CONTENT_TYPE_LATEST)


@router.get("/readers")
def reader(here: Here, collection: str | None = None, adapter: str | None = None) -> ReaderCard:
    """The weights that answer a collection's questions now, or those that `adapter` names; without
    either, those that read passages of no collection."""
    readers = here.attest.readers
    found = readers.of(collection) if adapter is None else readers.named(adapter)
    return ReaderCard(
        found.model,
        found.adapter,
        found.prompt_version,
        found.computed,
        found.refusal,
        found.min_confidence,
        found.confidence,
        found.context_tokens,
        found.most_passages,
    )


@router.post("/count")
def count(body: ToCount, here: Here) -> list[int]:
    """Tokens of each text."""
    return list(here.reader(body.reader).token_counts(body.texts))


@router.post("/generate", response_class=Response)
async def generate(body: ToGenerate, here: Here) -> Speaking:
    """Lines of JSON, see `Speaking`."""

    def start() -> Writing[Piece]:
        own = here.reader(body.reader)
        return own.generate(body.passages, body.question, body.sampling, body.keep)

    return Speaking(here.turnstile, start)


@router.post("/drops", response_class=Response)
async def drops(body: ToAttribute, here: Here, request: Request) -> Response:
    """For each sentence, what each passage did for it."""

    def work() -> str:
        sentences = [(each.text, each.markers) for each in body.sentences]
        try:
            found = here.reader(body.reader).drops(body.passages, body.question, sentences)
        except ValueError as exc:
            raise DoesNotFit(str(exc)) from exc
        return json.dumps(to_json(found))

    async def in_turn() -> str:
        async with here.turnstile.turn(ALL):
            return await here.turnstile.run(work)

    said = await attended(request.receive, Flag(), in_turn)
    return Response(said, media_type="application/json")


@router.get("/kv-blocks")
def kv_blocks(here: Here) -> BlockKeys:
    """What lies on the engine's disk."""
    return BlockKeys(sorted(here.attest.kv_blocks.keys()))


@router.post("/forget")
def forget(body: BlockKeys, here: Here) -> int:
    """Erase KV blocks from disk and memory; how many were named. Raises StoreUnavailable when that
    cannot be promised."""
    if not all(map(_SHA256.fullmatch, body.keys)):
        raise BadInput("a key is the sha256 of a text, in 64 digits of base 16")
    here.attest.kv_blocks.forget_keys(body.keys)
    return len(body.keys)
