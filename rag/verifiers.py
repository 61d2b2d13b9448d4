"""Which verifier judges: built when it is first asked for."""

from __future__ import annotations

from rag.errors import BadSettings
from rag.ports import Verifier
from rag.verify import Lexical


class Verifiers:
    """`named` takes a method ("lexical") or the identity that an answer was stored with."""

    def __init__(self) -> None:
        self._lexical = Lexical()

    def named(self, name: str) -> Verifier:
        """Raises BadSettings for one that is not here."""
        if name in ("lexical", self._lexical.identity):
            return self._lexical
        raise BadSettings(f"there is no verifier {name!r} here; use 'lexical'")
