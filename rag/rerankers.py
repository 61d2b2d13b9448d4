"""Which reranker orders passages: the shipped one where the embedder that it reads with is the one
in use, or none. Nothing is read before it is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Literal

from models import errors as model
from models.reranker import TokenReader
from rag.domain import Passage
from rag.errors import BadSettings
from rag.model_errors import model_errors
from rag.ports import Embedder
from rag.prompt import shown
from rag.rerank import reranked

SHIPPED = Path(model.__file__).parent / "rerankers"
DEFAULT = "minilm-tokens-1"
Name = Literal["auto", "none", "minilm-tokens-1"]

log = logging.getLogger(__name__)


class ChosenReranker:
    """`name` is "auto", "none", or that of a shipped reranker. The first `candidates` passages are
    read again; the rest keep their order below them."""

    def __init__(
        self,
        name: Name,
        candidates: int,
        embedder: Callable[[], Embedder],
        base: Callable[[], Path],
        shipped: Path = SHIPPED,
        device: str = "auto",
    ) -> None:
        self._name, self._candidates, self._shipped = name, candidates, shipped
        self._embedder, self._base, self._device = embedder, base, device
        self._lock = Lock()

    def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        """Raises BadSettings when a reranker is asked for by name but reads with another
        embedder, WeightsMissing, WeightsCorrupt."""
        if not passages or self.why_not:
            return passages
        first = passages[: self._candidates]
        with model_errors():
            read = self._reader.score(question, [shown(passage) for passage in first])
            return reranked(passages, read, self._reader.prior)

    @property
    def identity(self) -> str:
        """The reranker's name and the start of its weights' sha256; "none" where there is none."""
        return "none" if self.why_not else self._reader.identity

    @cached_property
    def why_not(self) -> str:
        """Why passages keep the order of retrieval; "" where they are read again."""
        if self._name == "none":
            return "the settings say reranker = 'none'"
        with self._lock, model_errors():
            needed, used = self._reader.embedder, self._embedder().identity
        if needed == used:
            return ""
        reason = f"the reranker {self._reader.identity} reads with {needed}, not {used}"
        if self._name != "auto":
            raise BadSettings(f"{reason}; set reranker = 'auto' or 'none'")
        log.warning("%s; passages keep the order of retrieval", reason)
        return reason

    @cached_property
    def _reader(self) -> TokenReader:
        name = DEFAULT if self._name == "auto" else self._name
        return TokenReader(self._shipped / name, self._base, self._device)
