"""The error tree. Everything Attest raises on purpose is an `AttestError`.

    AttestError
    +-- BadInput                the caller can mend it (HTTP 400/422, exit code 2 or 1)
    |   +-- EmptyQuestion
    |   +-- QuestionTooLong
    |   +-- DoesNotFit          a prompt that is longer than the model reads; a ValueError too
    |   +-- BadName
    |   +-- UnsupportedParameter  of another house's API; `.parameter` names it
    |   +-- UnreadableDocument  a file that cannot be parsed; `.reason` says why
    |   |   +-- EmptyDocument
    |   |   +-- EncryptedDocument
    |   |   +-- UnsupportedType
    |   |   +-- LimitExceeded   too large, too many pages, too slow, too much expansion
    |   +-- RefusedContent      personal data in a document whose collection refuses it
    |   +-- BadSamples          an evaluation or training file with a wrong line
    +-- NotFound                no such thing, or no right to see it (the two look alike)
    |   +-- UnknownCollection
    |   +-- UnknownDocument
    |   +-- UnknownAnswer
    |   +-- UnknownGeneration   older than what the index still holds
    |   +-- UnknownModel        not in the catalogue of published weights
    |   +-- UnknownAdapter      not registered, or its weights are gone
    |   +-- UnknownOrigin       no such source of documents
    +-- Conflict                it exists already, or is busy
    |   +-- AlreadyRunning      another `attest up` holds this data folder
    |   +-- EmbedderChanged     the collection is read through another embedder by now
    +-- NotPermitted            signed in, but without the right
    |   +-- AddressRefused      a folder, host or bucket that the settings do not list
    +-- NotSignedIn
    +-- BadSettings             the settings cannot work; stops the start
    +-- Unavailable             a part Attest needs cannot be reached; try again later
    |   +-- BrokerUnavailable
    |   +-- StoreUnavailable
    |   +-- DiskFull
    |   +-- IndexUnreachable    the package index that carries the weights
    |   +-- IndexUnavailable  a search index stopped, or its server is away; nothing is lost
    |   +-- OriginUnavailable   a folder, server or bucket that documents come from
    |   +-- EngineUnavailable   the engine's process is away, or broke off
    |   +-- Busy                the queue is full; `.retry_after` seconds
    +-- ModelError
    |   +-- WeightsMissing      run `attest models pull`
    |   +-- WeightsCorrupt      a hash differs
    |   +-- UnsupportedCheckpoint
    |   +-- TrainingError       records, plan or run that cannot be trained
    +-- Abandoned               the one who asked went away; nobody waits for the answer
    +-- Corrupt                 stored data that contradicts itself (`attest doctor` finds it)

A message says what was wrong, with what, and what to do. Foreign exceptions are translated where
they enter (`raise ... from exc`). `code` is the stable name on the wire.
"""

from __future__ import annotations

import re


class AttestError(Exception):
    """Base of all errors raised on purpose."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", cls.__name__).lower()

    code: str = "attest_error"


class BadInput(AttestError): ...


class EmptyQuestion(BadInput): ...


class QuestionTooLong(BadInput): ...


class DoesNotFit(BadInput, ValueError): ...


class BadName(BadInput): ...


class UnsupportedParameter(BadInput):
    def __init__(self, message: str, parameter: str = "") -> None:
        super().__init__(message)
        self.parameter = parameter


class UnreadableDocument(BadInput): ...


class EmptyDocument(UnreadableDocument): ...


class EncryptedDocument(UnreadableDocument): ...


class UnsupportedType(UnreadableDocument): ...


class LimitExceeded(UnreadableDocument): ...


class RefusedContent(BadInput): ...


class BadSamples(BadInput): ...


class NotFound(AttestError): ...


class UnknownCollection(NotFound): ...


class UnknownDocument(NotFound): ...


class UnknownAnswer(NotFound): ...


class UnknownGeneration(NotFound): ...


class UnknownModel(NotFound): ...


class UnknownAdapter(NotFound): ...


class UnknownOrigin(NotFound): ...


class Conflict(AttestError): ...


class AlreadyRunning(Conflict): ...


class EmbedderChanged(Conflict): ...


class NotPermitted(AttestError): ...


class AddressRefused(NotPermitted): ...


class NotSignedIn(AttestError): ...


class BadSettings(AttestError): ...


class Unavailable(AttestError): ...


class BrokerUnavailable(Unavailable): ...


class StoreUnavailable(Unavailable): ...


class DiskFull(Unavailable): ...


class IndexUnreachable(Unavailable): ...


class IndexUnavailable(Unavailable): ...


class OriginUnavailable(Unavailable): ...


class EngineUnavailable(Unavailable): ...


class Busy(Unavailable):
    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ModelError(AttestError): ...


class WeightsMissing(ModelError): ...


class WeightsCorrupt(ModelError): ...


class UnsupportedCheckpoint(ModelError): ...


class TrainingError(ModelError): ...


class Abandoned(AttestError): ...


class Corrupt(AttestError): ...
