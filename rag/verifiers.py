"""Which verifier judges: words alone, or the trained head where the embedder that it was trained
with is the one in use. Nothing is read before it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Literal

from models import errors as model
from models.verifier import VerifierHead
from rag.errors import BadSettings, WeightsCorrupt, WeightsMissing
from rag.learned import INPUTS, Learned
from rag.model_errors import model_errors
from rag.ports import Embedder, Verifier
from rag.verify import Lexical

SHIPPED_HEAD = Path(model.__file__).parent / "verifiers" / "minilm-1"
Method = Literal["auto", "lexical", "head"]


class ChosenVerifiers:
    """The verifiers of one process over one embedder."""

    def __init__(
        self, method: Method, embedder: Callable[[], Embedder], folder: Path = SHIPPED_HEAD
    ) -> None:
        self._method, self._embedder, self._folder = method, embedder, folder
        self._lexical = Lexical()
        self._lock = Lock()

    def now(self) -> Verifier:
        """Raises BadSettings when the head is asked for by name but made for another embedder."""
        if self._method == "lexical":
            return self._lexical
        if self._method == "auto":
            return self._learned if self._at_hand() else self._lexical
        if self._fits:
            return self._learned
        raise BadSettings(
            f"the verifier's head was trained with the embedder {self._head.embedder}, not "
            f"{self._embedder().identity}; set verifier = 'lexical'"
        )

    def _at_hand(self) -> bool:
        """Whether the head can be used; reading given passages needs no embedder otherwise."""
        try:
            return self._fits
        except WeightsMissing:
            return False

    def named(self, identity: str) -> Verifier:
        """Raises WeightsMissing when the head of that identity, or its embedder, is not here."""
        if identity == self._lexical.identity:
            return self._lexical
        if self._fits and identity == self._learned.identity:
            return self._learned
        raise WeightsMissing(f"the verifier {identity!r} is not here, so its scores cannot be told")

    @cached_property
    def _head(self) -> VerifierHead:
        head = VerifierHead(self._folder)
        with model_errors():
            if head.inputs != INPUTS:
                raise WeightsCorrupt(f"{self._folder} was trained on other inputs")
        return head

    @property
    def _fits(self) -> bool:
        with self._lock:
            return self._head.embedder == self._embedder().identity

    @cached_property
    def _learned(self) -> Learned:
        return Learned(self._embedder(), self._head)
