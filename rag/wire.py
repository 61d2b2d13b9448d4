"""Nouns to JSON and back, by their type hints; the API, the client and the command line share it.

Dataclasses become objects, tuples and frozensets arrays (sets sorted), enums their values, dates
ISO 8601 with offset, bytes base64. `from_json(kind, to_json(noun)) == noun` for every noun.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import types
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rag.errors import AttestError, BadInput, Busy

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
T = TypeVar("T")


def to_json(value: object) -> Json:
    """Raises TypeError for what is not made of nouns, containers and plain values."""
    if isinstance(value, Enum):
        return to_json(value.value)
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(held) for key, held in value.items()}
    if isinstance(value, set | frozenset):
        return [to_json(held) for held in sorted(value)]
    if isinstance(value, list | tuple):
        return [to_json(held) for held in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def from_json(kind: type[T], value: object) -> T:
    """Read `value` as a `kind`. Unknown keys are ignored, so that an older client can read a newer
    server. Raises BadInput when a key is missing or a value has another shape."""
    read: T = _read(kind, value)
    return read


def error_json(error: AttestError) -> dict[str, Json]:
    """The form of an error at every way in; Busy says `retry_after` in seconds."""
    form: dict[str, Json] = {"error": error.code, "message": str(error)}
    return form | {"retry_after": error.retry_after} if isinstance(error, Busy) else form


def error_from_json(value: object) -> AttestError:
    """The typed error that `error_json` described; an unknown code gives its nearest base."""
    if not isinstance(value, Mapping) or "error" not in value:
        return AttestError(f"an error without a code: {value!r:.200}")
    kind = _errors().get(str(value["error"]), AttestError)
    error = kind(str(value.get("message", "")))
    if isinstance(error, Busy) and isinstance(value.get("retry_after"), int | float):
        error.retry_after = float(value["retry_after"])
    return error


@cache
def _errors() -> dict[str, type[AttestError]]:
    found: dict[str, type[AttestError]] = {}
    waiting: list[type[AttestError]] = [AttestError]
    while waiting:
        kind = waiting.pop()
        found[kind.code] = kind
        waiting.extend(kind.__subclasses__())
    return found


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: Any) -> Any:
    if kind is Any or kind is object:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, value)
    if origin in (tuple, list, frozenset):
        held = _expect(list, value)
        return origin(_read(arguments[0], item) for item in held)
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(arguments[1], item) for key, item in _expect(dict, value).items()}
    if dataclasses.is_dataclass(kind):
        return _read_noun(kind, _expect(dict, value))
    return _read_plain(kind, value)


def _read_noun(kind: Any, value: dict[str, Any]) -> Any:
    hints = _hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.name in value]
    try:
        return kind(**{name: _read(hints[name], value[name]) for name in names})
    except TypeError as exc:
        raise BadInput(f"{kind.__name__} cannot be read: {exc}") from exc


def _read_plain(kind: Any, value: Any) -> Any:
    if kind is type(None):
        return _expect(type(None), value)
    if issubclass(kind, Enum) or kind is datetime:
        text = _expect(str, value)
        try:
            return datetime.fromisoformat(text) if kind is datetime else kind(text)
        except ValueError as exc:
            raise BadInput(f"{text!r} is not a {kind.__name__}") from exc
    if kind is bytes:
        try:
            return base64.b64decode(_expect(str, value), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise BadInput("bytes are not written as base64") from exc
    if kind is float and type(value) is int:  # JSON writers may drop ".0"
        return float(value)
    return _expect(kind, value)


def _read_union(arguments: tuple[Any, ...], value: Any) -> Any:
    for kind in arguments:  # an exact plain type first, so that True stays a bool and 1 an int
        if type(value) is kind:
            return value
    for kind in arguments:
        try:
            return _read(kind, value)
        except BadInput:
            continue
    raise BadInput(f"{value!r:.100} is none of {arguments}")


def _expect(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise BadInput(f"expected {kind.__name__}, got {type(value).__name__}: {value!r:.100}")
    return value
