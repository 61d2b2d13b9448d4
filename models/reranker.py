"""Reads questions and passages with the embedder's own encoder, word by word, and scores how well
each passage answers.

A passage's word vectors do not depend on the question (late interaction, Khattab and Zaharia 2020,
arXiv 2004.12832), and the encoder stays as it was pulled: only the small network that compares the
vectors (`models.token_match`) is shipped. Knows nothing of where passages come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from models.card import Values, read_card
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.manifest import sha256_of

if TYPE_CHECKING:
    from torch import Tensor

    from models.token_match import TokenMatch

WEIGHTS = "match.safetensors"
QUESTION, PASSAGE = 64, 256  # tokens read of each, special ones included
BATCH = 8  # texts; more are no quicker on a CPU, and wait longer for the lock


class TokenEncoder:
    """Texts to their word vectors, by a BERT folder; in bfloat16 where the processor multiplies in
    it. Safe to share between threads. Raises WeightsMissing, UnsupportedCheckpoint."""

    def __init__(self, folder: Path, device: str = "auto", precision: str = "auto") -> None:
        self._folder, self._device, self._precision = folder, device, precision
        self._lock = Lock()

    @cached_property
    def identity(self) -> str:
        """The folder's name, the first 12 digits of the weights' sha256, and the precision."""
        digest = sha256_of(self._folder / "model.safetensors")[:12]
        return f"{self._folder.name}/{digest}/{self._model.dtype}"

    def states(self, texts: Sequence[str], most: int) -> list[Tensor]:
        """(L, D) of each text in order: its last layer, with the special tokens at both ends; what
        is longer than `most` tokens is cut at its end."""
        import torch

        with self._lock:
            tokenizer, model = self._tokenizer, self._model
        plain = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        rows = [found.ids for found in tokenizer.encode_batch(plain)]
        rows = [row if len(row) <= most else [*row[: most - 1], row[-1]] for row in rows]
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
        states: list[Tensor] = [torch.empty(0)] * len(rows)
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            lengths = torch.tensor([len(rows[i]) for i in some], device=model.device)
            ids = torch.nn.utils.rnn.pad_sequence(
                [torch.tensor(rows[i], device=model.device) for i in some], batch_first=True
            )
            mask = torch.arange(ids.shape[1], device=model.device) < lengths[:, None]
            with self._lock, torch.inference_mode():
                last = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
            for i, found in zip(some, last, strict=True):
                states[i] = found[: len(rows[i])]
        return states

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        path = self._folder / "tokenizer.json"
        if not path.is_file():
            raise WeightsMissing(f"{path} is missing; run `attest models pull`")
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
        from transformers import BertConfig, BertModel

        from models.hardware import choose_device, choose_dtype

        try:
            config = BertConfig.from_pretrained(self._folder, local_files_only=True)
            if config.model_type != "bert":
                raise UnsupportedCheckpoint(f"{self._folder} is no BERT encoder; it cannot rerank")
            model: Any = BertModel(config, add_pooling_layer=False)
            weights = load_file(self._folder / "model.safetensors")
            kept = {k: v for k, v in weights.items() if not k.startswith("pooler.")}
            lacking = model.load_state_dict(kept, strict=False).missing_keys
            if lacking:
                raise UnsupportedCheckpoint(f"{self._folder} lacks the weights {lacking[0]}")
        except (OSError, ValueError, RuntimeError, SafetensorError) as exc:
            raise UnsupportedCheckpoint(f"{self._folder} cannot be read: {exc}") from exc
        device = choose_device(self._device)
        return model.to(device, choose_dtype(self._precision, device)).eval()


class TokenReader:
    """A shipped reranker. `base` gives the folder of the encoder that its card names, when it is
    needed. Raises WeightsMissing, WeightsCorrupt."""

    def __init__(self, folder: Path, base: Callable[[], Path], device: str = "auto") -> None:
        self._folder, self._base, self._device = folder, base, device

    @cached_property
    def card(self) -> Values:
        def typed(card: Values) -> Values:
            return {"embedder": str(card["embedder"]), "sha256": str(card["sha256"])}

        return read_card(self._folder, "reranker", typed)

    @property
    def identity(self) -> str:
        return f"{self._folder.name}@{self.card['sha256'][:12]}"

    @property
    def embedder(self) -> str:
        """The identity of the embedder whose encoder it reads with."""
        found: str = self.card["embedder"]
        return found

    @cached_property
    def prior(self) -> float:
        """What the fused score of retrieval, 1 for the best, counts beside `score`."""
        return float(self._match.prior)

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """A score in nats for each text; only differences within one question mean something."""
        import torch

        if not texts:
            return []
        (asked,) = self._encoder.states([question], QUESTION)
        states = self._encoder.states(texts, PASSAGE)
        with torch.inference_mode():
            scores = self._match([asked], states)[0]
        return [round(score, 4) for score in scores.tolist()]

    @cached_property
    def _encoder(self) -> TokenEncoder:
        return TokenEncoder(self._base(), self._device)

    @cached_property
    def _match(self) -> TokenMatch:
        from models.token_match import read_match

        path = self._folder / WEIGHTS
        if not path.is_file() or sha256_of(path) != self.card["sha256"]:
            raise WeightsCorrupt(f"{path} is not the file its card names")
        return read_match(path)
