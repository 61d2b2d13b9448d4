"""The embedders that the settings name, found by the identity that a collection records."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rag.errors import BadInput, ModelError, WeightsMissing
from rag.model_errors import model_errors
from rag.ports import Embedder


class Embedders:
    """The default one (for collections without a document) and further ones, by the names that the
    settings give them. Nothing is read before it is needed."""

    def __init__(
        self,
        default: str,
        first: Callable[[], Embedder],
        others: Mapping[str, Callable[[], Embedder]],
    ) -> None:
        self._default, self._first = default, first
        self._named = {default: first, **others}
        self._read: dict[str, Embedder] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """As the settings write them, the default first."""
        return tuple(self._named)

    def of(self, identity: str) -> Embedder:
        """The one of that identity; "": the default. Raises ModelError when none of them is it,
        WeightsMissing when it may be one that is not here."""
        if not identity:
            return self._first()
        missing: WeightsMissing | None = None
        for name in self._named:
            try:
                with model_errors():
                    if (embedder := self.named(name)).identity == identity:
                        return embedder
            except WeightsMissing as exc:  # another one may be it
                missing = missing or exc
        if missing is not None:
            raise missing
        raise ModelError(
            f"the collection was embedded by {identity}, and none of the settings' embedders "
            f"({', '.join(self._named)}) is that one; add its folder to `embedders`"
        )

    def named(self, name: str) -> Embedder:
        """Raises BadInput for one that the settings do not name, ModelError."""
        if name not in self._named:
            raise BadInput(
                f"the settings name no embedder {name!r:.200}, only {', '.join(self._named)}; add "
                "it to `embedders`"
            )
        if name == self._default:
            return self._first()
        if name not in self._read:
            self._read[name] = self._named[name]()
        return self._read[name]
