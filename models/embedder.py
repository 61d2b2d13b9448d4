"""Text to unit vectors with a sentence-transformers model read from a folder.

Nothing is fetched: the folder is all there is. torch is imported, and the weights are read, when
the first text is embedded; counting tokens needs the tokenizer only.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.manifest import NAME, read_manifest, sha256_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH = 32  # texts; the lock is let go between two batches, so a question never waits for more


class SentenceEmbedder:
    """The embedder port over one sentence-transformers folder, in fp32.

    `device` is "auto", "cpu" or "cuda"; `threads` 0 leaves torch's own number. Safe to share
    between threads. Raises WeightsMissing, WeightsCorrupt, UnsupportedCheckpoint.
    """

    def __init__(self, folder: Path, device: str = "auto", threads: int = 0) -> None:
        if not (folder / "modules.json").is_file():
            raise WeightsMissing(
                f"{folder} is not a sentence-transformers folder (no modules.json); run "
                "`attest models pull` for the default embedder"
            )
        self._folder, self._device, self._threads = folder, device, threads
        self._lock = threading.Lock()

    @cached_property
    def identity(self) -> str:
        """Name, first 12 digits of the weights' sha256, back end and precision."""
        weights = sorted(self._folder.rglob("*.safetensors"))
        if not weights:
            raise UnsupportedCheckpoint(
                f"{self._folder} holds no .safetensors file; save the model in that format"
            )
        hashes = {path.relative_to(self._folder).as_posix(): sha256_of(path) for path in weights}
        self._check_manifest(hashes)
        if len(hashes) == 1:
            digest = next(iter(hashes.values()))
        else:
            digest = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()
        return f"{self._folder.name}/{digest[:12]}/torch-fp32"

    def _check_manifest(self, hashes: dict[str, str]) -> None:
        if not (self._folder / NAME).is_file():  # a folder of the user's own
            return
        expected = read_manifest(self._folder).files
        for file, found in hashes.items():
            if expected.get(file) != found:
                raise WeightsCorrupt(
                    f"{self._folder / file} is not what was pulled: expected sha256 "
                    f"{expected.get(file, 'nothing')}, found {found}; run `attest models pull`"
                )

    @cached_property
    def dimension(self) -> int:
        """Length of a vector: what the configuration of the last module that makes one says."""
        found = [self._made_by(module) for module in self._json("modules.json")]
        sizes = [size for size in found if size]
        return sizes[-1] if sizes else self._unsaid()

    def _made_by(self, module: Mapping[str, Any]) -> int:
        """The length of the vectors that a module of `modules.json` makes, 0 where it keeps what
        it is given."""
        kind, path = str(module.get("type", "")), str(module.get("path", ""))
        if kind.endswith(".Dense"):
            return int(self._json(f"{path}/config.json").get("out_features") or self._unsaid())
        if kind.endswith(".Pooling"):  # the ways of pooling stand side by side in the vector
            config = self._json(f"{path}/config.json")
            return _pooled(config) or self._unsaid()
        return 0

    def _unsaid(self) -> NoReturn:
        raise UnsupportedCheckpoint(f"{self._folder} does not say how long its vectors are")

    def _json(self, file: str) -> Any:
        try:
            return json.loads((self._folder / file).read_text("utf-8"))
        except (OSError, ValueError) as exc:
            raise UnsupportedCheckpoint(f"{self._folder / file} cannot be read: {exc}") from exc

    @cached_property
    def max_tokens(self) -> int:
        """The longest input that is not cut, special tokens included."""
        for file, key in (
            ("sentence_bert_config.json", "max_seq_length"),
            ("config.json", "max_position_embeddings"),
        ):
            path = self._folder / file
            limit = json.loads(path.read_text("utf-8")).get(key) if path.is_file() else None
            if isinstance(limit, int):
                return limit
        raise UnsupportedCheckpoint(f"{self._folder} does not say how many tokens it reads")

    def count_tokens(self, text: str) -> int:
        """Tokens of the whole text, uncut, with the special ones."""
        # as `encode`, without working out where each token stands: half the time
        return len(self._tokenizer.encode_batch_fast([_encodable(text)])[0])

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dimension) float32, rows of length 1, in the order of `texts`. What is longer than
        `max_tokens` is cut at its end."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        # Texts of like length share a batch, so that little is spent on padding.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            batch = [_encodable(texts[i]) for i in rows]
            vectors[rows] = self._encode(batch)
        return vectors

    def _encode(self, batch: list[str]) -> NDArray[np.float32]:
        with self._lock:
            vectors: NDArray[np.float32] = self._model.encode(
                batch,
                batch_size=BATCH,
                normalize_embeddings=True,
                convert_to_numpy=True,
                show_progress_bar=False,
            )
        return vectors

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        path = self._folder / "tokenizer.json"
        if not path.is_file():
            raise UnsupportedCheckpoint(f"{self._folder} holds no tokenizer.json")
        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_truncation()  # the file may carry limits of its own
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _model(self) -> Any:
        """The SentenceTransformer. Read and used under the lock only."""
        import torch
        from sentence_transformers import SentenceTransformer

        if self._threads:
            torch.set_num_threads(self._threads)
        device = self._device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            with _no_bars():
                model = SentenceTransformer(
                    str(self._folder),
                    device=device,
                    local_files_only=True,
                    trust_remote_code=False,
                    model_kwargs={"dtype": torch.float32, "use_safetensors": True},
                )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as exc:
            raise UnsupportedCheckpoint(
                f"{self._folder} cannot be read by sentence-transformers: {exc}"
            ) from exc
        model.max_seq_length = self.max_tokens
        return model.eval()


def _pooled(config: Mapping[str, Any]) -> int:
    """The length of pooled vectors, in which the ways of pooling stand side by side; either form
    of a Pooling module's configuration. 0 when it is not said."""
    width = config.get("embedding_dimension") or config.get("word_embedding_dimension") or 0
    named = config.get("pooling_mode")
    flags = sum(value is True for key, value in config.items() if key.startswith("pooling_mode_"))
    ways = len(named) if isinstance(named, list) else flags
    return int(width) * max(1, ways)


@contextmanager
def _no_bars() -> Iterator[None]:
    """transformers draws a bar on stderr for every model it reads; this one takes no time."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _encodable(text: str) -> str:
    """Lone surrogates, which no tokenizer takes, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
