"""Answers in the form of OpenAI's chat completions. What that form has no place for is under
`attest`: in the message of a plain reply, in the last delta of a streamed one."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from rag.answering import Event
from rag.api.openai_refusal import refusal_json
from rag.domain import Answer, Citation, Collection, Said
from rag.errors import AttestError
from rag.wire import Json, error_json, to_json

DONE = "data: [DONE]\n\n"


def _new_id() -> str:
    return f"chatcmpl-{uuid.uuid4().hex}"


class Model(BaseModel):
    """A collection, as something that can be asked. `created` is in seconds since 1970."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "attest"

    @classmethod
    def of(cls, collection: Collection) -> Model:
        return cls(id=collection.name, created=int(collection.created.timestamp()))


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


def completion_json(model: str, answer: Answer) -> dict[str, Json]:
    message: dict[str, Json] = {
        "role": "assistant",
        "content": answer.text,
        "refusal": None,
        "attest": _extension(answer),
    }
    choice: dict[str, Json] = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish(answer),
    }
    return {
        "id": _new_id(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": _usage(answer),
    }


@dataclass
class Chunks:
    """One streamed reply: server-sent events, a sentence each."""

    model: str
    include_usage: bool
    id: str = field(default_factory=_new_id)
    created: int = field(default_factory=lambda: int(time.time()))
    media_type: str = field(default="text/event-stream", init=False)
    _said: bool = field(default=False, init=False)

    def say(self, event: Event) -> str:
        if isinstance(event, Said):
            text = f" {event.text}" if self._said else event.text
            self._said = True
            return self._delta({"content": text})
        if isinstance(event, Answer):
            return self._end(event)
        return self._delta({"role": "assistant", "content": ""})

    def broke_off(self, error: AttestError | None) -> str:
        if error is None:
            said = refusal_json(500, "internal_error", "the answer broke off; see the API's log")
        else:
            form = error_json(error)
            said = refusal_json(503, str(form["error"]), str(form["message"]))
        return _event(said)

    def _end(self, answer: Answer) -> str:
        refusal = "" if self._said else self._delta({"content": answer.text})
        last = self._delta({"attest": _extension(answer)}, _finish(answer))
        usage = _event(self._chunk([], _usage(answer))) if self.include_usage else ""
        return refusal + last + usage + DONE

    def _delta(self, delta: dict[str, Json], finish: str | None = None) -> str:
        choice: Json = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event(self._chunk([choice], None))

    def _chunk(self, choices: list[Json], usage: Json) -> dict[str, Json]:
        chunk: dict[str, Json] = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        }
        return chunk | {"usage": usage} if self.include_usage else chunk


# --- parts --------------------------------------------------------------------------------------


def _extension(answer: Answer) -> dict[str, Json]:
    nearest = dict.fromkeys(passage.document_name for passage in answer.passages)
    return {
        "answer": answer.id,
        "verdict": answer.verdict.value,
        "confidence": answer.confidence,
        "citations": [_citation(each) for each in answer.citations],
        "nearest": [] if answer.citations else list(nearest),
        "timings": to_json(answer.timings),
    }


def _citation(citation: Citation) -> dict[str, Json]:
    return {
        "sentence": citation.sentence,
        "marker": citation.marker,
        "document": citation.document_name,
        "document_id": citation.document,
        "version": citation.version,
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "page": citation.page,
        "support": citation.support,
    }


def _finish(answer: Answer) -> str:
    """ "length": the reader came to the end of the tokens it was given."""
    written = answer.usage.completion if answer.usage else 0
    return "length" if written >= answer.replay.sampling.max_tokens else "stop"


def _usage(answer: Answer) -> Json:
    prompt, written = (answer.usage.prompt, answer.usage.completion) if answer.usage else (0, 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
    }


def _event(data: dict[str, Json]) -> str:
    return f"data: {json.dumps(data)}\n\n"
