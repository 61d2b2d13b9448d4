"""`generate` of Hugging Face transformers over the weights of the same GGUF file.

They are unpacked and handed over as plain tensors: transformers' own way to read a GGUF file keeps
them packed and unpacks them for every product, which would not be a fair opponent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.peer import Parts, PeerMissing, Stopwatch, Timed
from models.gguf import GGUF
from models.tokenizer import Tokenizer


class HuggingFace:
    """`cache`: "dynamic" or "static", transformers' two ways of keeping keys and values. Text is
    tokenised by our tokenizer, which is the same library and vocabulary."""

    def __init__(
        self, gguf: Path, tokenizer: Tokenizer, dtype: torch.dtype, cache: str, threads: int
    ) -> None:
        self._gguf, self._tokenizer = gguf, tokenizer
        self._dtype, self._cache, self._threads = dtype, cache, threads
        self._model: Any = None

    @property
    def name(self) -> str:
        return f"transformers {str(self._dtype).removeprefix('torch.')}, {self._cache} cache"

    @property
    def settings(self) -> Mapping[str, object]:
        return {"dtype": str(self._dtype), "cache": self._cache, "threads": self._threads}

    def prepare(self) -> None:
        torch.set_num_threads(self._threads)
        self._model = _llama(self._gguf, self._dtype)

    def ready(self, parts: Parts) -> None:
        """Nothing is kept between questions."""

    def answer(self, parts: Parts, max_tokens: int, forced: bool = False) -> Timed:
        watch = Stopwatch()
        ids = torch.tensor([self._tokenizer.encode(parts.text, special=True)])
        end = sorted(self._tokenizer.end)
        self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=max_tokens,
            do_sample=False,
            use_cache=True,
            cache_implementation="static" if self._cache == "static" else None,
            eos_token_id=None if forced else end,
            pad_token_id=end[0],
            streamer=_Streamer(watch, self._tokenizer),
        )
        return watch.timed()

    def close(self) -> None:
        self._model = None


def _llama(gguf: Path, dtype: torch.dtype) -> Any:
    """Raises PeerMissing for a family that is not Llama's."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    file = GGUF(gguf)
    if file.family != "llama":
        raise PeerMissing(f"{gguf.name} is of the family {file.family!r}; only llama is compared")
    ours = file.config()
    config = LlamaConfig(
        vocab_size=ours.vocab_size,
        hidden_size=ours.width,
        intermediate_size=ours.ffn_width,
        num_hidden_layers=ours.layers,
        num_attention_heads=ours.heads,
        num_key_value_heads=ours.kv_heads,
        head_dim=ours.head_width,
        rms_norm_eps=ours.norm_eps,
        rope_theta=ours.rope_theta,  # type: ignore[call-arg]  # versions 4 and 5 take it
        max_position_embeddings=ours.positions,
        tie_word_embeddings=ours.tied,
    )
    weights = file.weights()
    if ours.tied:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model = LlamaForCausalLM(config)
    model.load_state_dict(weights)
    model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
    return model.to(dtype).eval()  # type: ignore[arg-type]


class _Streamer:
    """What `generate` calls with the prompt and then with each token."""

    def __init__(self, watch: Stopwatch, tokenizer: Tokenizer) -> None:
        self._watch, self._tokenizer = watch, tokenizer
        self._asked = False
        self._ids: list[int] = []
        self._shown = ""

    def put(self, ids: Tensor) -> None:
        if not self._asked:
            self._asked = True
            return
        self._ids += ids.tolist()
        text = self._tokenizer.decode(self._ids)
        if text.endswith("\ufffd"):  # a character is still incomplete
            text = self._shown
        self._watch.tick(text[len(self._shown) :])
        self._shown = text

    def end(self) -> None:
        """The last token was put already."""
