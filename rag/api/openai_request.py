"""A chat completion as OpenAI's clients ask for it, read as one question with its sampling.

The last user message is the question, and what was said before it is the conversation that it may
follow on. System messages do not steer the reader: what it does is fixed by its prompt, as the
retrieved text cannot change it either.
What cannot be honoured is refused by name; what only concerns OpenAI's own house is ignored.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag.domain import Sampling, Turn
from rag.errors import UnsupportedParameter

# Without effect on what is answered here.
IGNORED = frozenset(
    {
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
# Values that ask for nothing.
NEUTRAL: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0, 0.0),
    "frequency_penalty": (0, 0.0),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
}
Stop = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    """Of a message. Other types than text are told apart from wrong ones, to be refused by name."""

    type: str
    text: str = ""


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None

    @property
    def words(self) -> str:
        """What of it is text."""
        content = self.content or ""
        if isinstance(content, str):
            return content
        return "\n".join(part.text for part in content if part.type == "text")

    def require_text(self) -> None:
        """Raises UnsupportedParameter for a part that is no text."""
        for part in self.content if isinstance(self.content, list) else ():
            if part.type != "text":
                raise UnsupportedParameter(
                    f"a part of type {part.type!r:.100} cannot be read; send text",
                    parameter="messages",
                )


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatCompletionRequest(BaseModel):
    """What of OpenAI's request is honoured; the rest is in `model_extra`."""

    model_config = ConfigDict(extra="allow")

    model: str = Field(max_length=500)
    messages: list[Message] = Field(min_length=1, max_length=2000)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, ge=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None

    def require_supported(self) -> None:
        """Raises UnsupportedParameter."""
        for name, value in (self.model_extra or {}).items():
            if value is not None and name not in IGNORED and value not in NEUTRAL.get(name, ()):
                raise UnsupportedParameter(
                    f"{name!r} is not supported here; leave it out", parameter=name
                )

    @property
    def question(self) -> str:
        """The text of the last user message. Raises UnsupportedParameter."""
        asked = self.messages[self._last]
        asked.require_text()
        return asked.words

    @property
    def history(self) -> list[Turn]:
        """What was said before the last user message: each earlier one with the last word that the
        assistant had on it. Raises UnsupportedParameter."""
        turns: list[Turn] = []
        for message in self.messages[: self._last]:
            if message.role == "user":
                turns.append(Turn(message.words))
            elif message.role == "assistant" and turns:
                turns[-1] = Turn(turns[-1].question, message.words)
        return turns

    @property
    def _last(self) -> int:
        """Where the last user message stands."""
        asked = [at for at, message in enumerate(self.messages) if message.role == "user"]
        if not asked:
            raise UnsupportedParameter("there is no user message to answer", parameter="messages")
        return asked[-1]

    def sampling(self, usual: Sampling) -> Sampling:
        """`usual` but for what is asked for. Without a seed, chance is drawn anew and kept with the
        answer (REPLAYED)."""
        temperature = usual.temperature if self.temperature is None else self.temperature
        seed = usual.seed if temperature <= 0 else secrets.randbits(32)
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        return Sampling(
            max_tokens=self.max_completion_tokens or self.max_tokens or usual.max_tokens,
            temperature=temperature,
            top_k=usual.top_k,
            top_p=usual.top_p if self.top_p is None else self.top_p,
            repetition_penalty=usual.repetition_penalty,
            seed=seed if self.seed is None else self.seed,
            stop=stop or usual.stop,
        )
