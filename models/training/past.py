"""The passages as the KV of the questions of one episode, with who belongs to whom."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from models.attention import Place, attend_to_past


@dataclass(frozen=True, slots=True)
class Batch:
    """The questions of one episode as one row of T tokens that share a past of S tokens. `keys`,
    `values`: (layers, 1, kv_heads, S, head_width); `segments` (S,): passage number from 0 of each
    past token, -1 for the prefix; `ids`, `targets`, `positions`, `owner` (T,): targets are -100
    where nothing is learnt, `owner` numbers the question a token belongs to."""

    keys: Tensor
    values: Tensor
    segments: Tensor
    ids: Tensor
    targets: Tensor
    positions: Tensor
    owner: Tensor


class Past:
    """The passages' keys and values as the questions' KV; nothing is kept. `markers`: (N, layers,
    kv_heads, head_width); `groups`: query heads per key head."""

    decides = True

    def __init__(self, batch: Batch, markers: Tensor, groups: int) -> None:
        self._keys, self._values = batch.keys[:, 0], batch.values[:, 0]
        self._markers = markers.to(self._values.dtype)
        own = (batch.owner[:, None] == batch.owner[None]).tril()
        self._place = Place(batch.segments, own, len(markers), groups, self._values.dtype)

    @property
    def length(self) -> int:
        return self._keys.shape[2]

    def attend(
        self, layer: int, q: Tensor, raw: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        past = self._keys[layer], self._values[layer]
        return attend_to_past(q, keys, values, past, self._markers[:, layer], self._place)

    def advance(self, tokens: int) -> None:
        return
