"""Text to token ids and back, by the `tokenizers` library, and the chat template."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from tokenizers import AddedToken, Regex, decoders, pre_tokenizers
from tokenizers import Tokenizer as FastTokenizer
from tokenizers.models import BPE

from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.gguf import GGUF

_CONTROL = 3  # GGUF's token type of control tokens
_USER_DEFINED = 4
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


class Tokenizer:
    """`template` is the checkpoint's Jinja chat template; `end` the ids that end a turn."""

    def __init__(self, fast: FastTokenizer, template: str, end: frozenset[int]) -> None:
        self._fast = fast
        self._lock = Lock()  # over what the library recognises
        self._template = template
        self.end = end

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Ids of `text`, nothing added. With `special`, control tokens written out in the text
        become themselves; without it (untrusted text) they are plain characters: a document that
        spells out an end-of-turn marker must not be able to end the turn."""
        with self._lock:
            self._fast.encode_special_tokens = not special
            return list(self._fast.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self._fast.decode(list(ids), skip_special_tokens=True))

    def decode_each(self, ids: Sequence[int]) -> list[str]:
        """The text of each token alone."""
        return list(self._fast.decode_batch([[id] for id in ids], skip_special_tokens=True))

    def token(self, id: int) -> str:
        return str(self._fast.id_to_token(id))

    @property
    def size(self) -> int:
        return int(self._fast.get_vocab_size(with_added_tokens=True))

    def to_json(self) -> str:
        """All of it as text; `tokenizer_from_json` reads it back."""
        parts = {"template": self._template, "end": sorted(self.end), "fast": self._fast.to_str()}
        return json.dumps(parts)

    def frame(self, system: str) -> tuple[str, str]:
        """What the chat template puts before and after a user's message: (prefix, suffix)."""
        mark = "\u241f"
        messages = [{"role": "system", "content": system}, {"role": "user", "content": mark}]
        text = self._render(messages)
        prefix, found, suffix = text.partition(mark)
        if not found:
            raise UnsupportedCheckpoint("the chat template does not show the user's message")
        return prefix, suffix

    def _render(self, messages: list[dict[str, str]]) -> str:
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        def raise_exception(message: str) -> None:
            raise UnsupportedCheckpoint(f"the chat template refused the prompt: {message}")

        world = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        template = world.from_string(self._template)
        return template.render(
            messages=messages,
            add_generation_prompt=True,
            enable_thinking=False,
            bos_token="",
            eos_token="",
            raise_exception=raise_exception,
        )


def tokenizer_from_gguf(file: GGUF) -> Tokenizer:
    """Byte-level BPE vocabularies; others say so and name the way out."""
    if file.field("tokenizer.ggml.model") != "gpt2":
        raise UnsupportedCheckpoint(
            "this GGUF file has no byte-level BPE vocabulary; use the checkpoint's safetensors "
            "folder, which carries tokenizer.json"
        )
    tokens: list[str] = file.field("tokenizer.ggml.tokens")
    kinds: list[int] = file.field("tokenizer.ggml.token_type")
    merges = [tuple(m.split(" ", 1)) for m in file.field("tokenizer.ggml.merges")]
    try:
        fast = FastTokenizer(BPE({t: i for i, t in enumerate(tokens)}, merges, fuse_unk=False))
    except Exception as exc:  # tokenizers raises nothing narrower
        raise WeightsCorrupt(f"the GGUF file's vocabulary cannot be used: {exc}") from exc
    fast.pre_tokenizer = _pre_tokenizer(str(file.field("tokenizer.ggml.pre", "default")))
    fast.decoder = decoders.ByteLevel()
    for token, kind in zip(tokens, kinds, strict=True):
        if kind == _CONTROL:
            fast.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif kind == _USER_DEFINED:
            fast.add_tokens([AddedToken(token, special=False, normalized=False)])
    end = {int(file.field("tokenizer.ggml.eos_token_id"))}
    if (turn := file.field("tokenizer.ggml.eot_token_id")) is not None:
        end.add(int(turn))
    return Tokenizer(fast, str(file.field("tokenizer.chat_template", "")), frozenset(end))


def _pre_tokenizer(kind: str) -> Any:
    level = pre_tokenizers.ByteLevel
    if kind == "smollm":
        digits = pre_tokenizers.Digits(individual_digits=True)
        return pre_tokenizers.Sequence([digits, level(add_prefix_space=False, use_regex=True)])
    if kind in ("gpt-2", "default"):
        return level(add_prefix_space=False, use_regex=True)
    if kind in ("llama-bpe", "llama3", "qwen2"):
        pattern = Regex(_QWEN2 if kind == "qwen2" else _LLAMA3)
        split = pre_tokenizers.Split(pattern, behavior="isolated")
        return pre_tokenizers.Sequence([split, level(add_prefix_space=False, use_regex=False)])
    raise UnsupportedCheckpoint(f"GGUF pre-tokenizer {kind!r} is not supported")


def tokenizer_from_json(text: str) -> Tokenizer:
    """What `Tokenizer.to_json` wrote. Raises WeightsCorrupt."""
    try:
        parts = json.loads(text)
        fast = FastTokenizer.from_str(parts["fast"])
        return Tokenizer(fast, str(parts["template"]), frozenset(map(int, parts["end"])))
    except Exception as exc:  # tokenizers raises nothing narrower
        raise WeightsCorrupt(
            f"the saved tokenizer cannot be read ({exc}); run `attest models pull`"
        ) from exc


def tokenizer_from_folder(folder: Path) -> Tokenizer:
    """`tokenizer.json` with the template and end tokens that lie beside it."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise WeightsMissing(f"{folder} has no tokenizer.json")
    try:
        fast = FastTokenizer.from_file(str(path))
    except Exception as exc:  # tokenizers raises nothing narrower
        raise WeightsCorrupt(f"{path} cannot be read: {exc}") from exc

    def read(name: str) -> dict[str, Any]:
        file = folder / name
        try:
            return dict(json.loads(file.read_text("utf-8"))) if file.is_file() else {}
        except (ValueError, TypeError) as exc:
            raise WeightsCorrupt(f"{file} cannot be read: {exc}") from exc

    settings = read("tokenizer_config.json")
    jinja = folder / "chat_template.jinja"
    template = jinja.read_text("utf-8") if jinja.is_file() else settings.get("chat_template", "")
    end: set[int] = set()
    for source in (read("generation_config.json"), read("config.json")):
        ids = source.get("eos_token_id")
        end.update([ids] if isinstance(ids, int) else ids or [])
    eos = settings.get("eos_token")
    name = eos.get("content") if isinstance(eos, dict) else eos
    if name is not None and (id := fast.token_to_id(name)) is not None:
        end.add(int(id))
    return Tokenizer(fast, str(template or ""), frozenset(end))
