"""`generate` of Hugging Face transformers over the same GGUF file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers.peer import Parts, Stopwatch, Timed
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
        from transformers import AutoModelForCausalLM, GenerationConfig
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(self._threads)
        self._model = AutoModelForCausalLM.from_pretrained(
            self._gguf.parent, gguf_file=self._gguf.name, dtype=self._dtype
        )
        self._model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]

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
