"""Every noun survives JSON; what is not a noun's JSON is refused with a typed error."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC
from typing import Any, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag import domain, errors, views
from rag.errors import AttestError, BadInput
from rag.wire import error_from_json, error_json, from_json, to_json

NOUNS = [
    kind
    for module in (domain, views)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type)
]
text = st.text(max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False)
plain = st.one_of(text, st.integers(), numbers, st.booleans())
st.register_type_strategy(float, numbers)
st.register_type_strategy(str, text)


def of(kind: Any) -> st.SearchStrategy[Any]:
    """A strategy for a type hint: what `from_type` does, with small sizes and aware dates."""
    origin = getattr(kind, "__origin__", None)
    arguments = getattr(kind, "__args__", ())
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{f.name: of(hints[f.name]) for f in dataclasses.fields(kind)})
    if origin is tuple:
        return st.lists(of(arguments[0]), max_size=2).map(tuple)
    if origin is frozenset:
        return st.frozensets(of(arguments[0]), max_size=3)
    if origin is Mapping:
        value = plain if arguments[1] is object else of(arguments[1])
        return st.dictionaries(text, value, max_size=2)
    if arguments:  # a union
        return st.one_of(*(of(argument) for argument in arguments))
    if kind is type(None):
        return st.none()
    if kind.__name__ == "datetime":
        return st.datetimes(timezones=st.just(UTC))
    return st.from_type(kind)


@pytest.mark.parametrize("kind", NOUNS, ids=lambda kind: kind.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_round_trip(kind: Any, data: st.DataObject) -> None:
    noun = data.draw(of(kind))
    wired = json.loads(json.dumps(to_json(noun)))
    assert from_json(kind, wired) == noun


def test_metadata_keeps_its_types() -> None:
    condition = domain.Condition("year", (True, 1, 1.5, "1"))
    read = from_json(domain.Condition, json.loads(json.dumps(to_json(condition))))
    assert [type(value) for value in read.values] == [bool, int, float, str]


def test_unknown_keys_are_ignored_and_missing_ones_are_named() -> None:
    box = {"page": 1, "x0": 0, "y0": 0, "x1": 1, "y1": 1, "new": "field"}
    assert from_json(domain.Box, box) == domain.Box(1, 0.0, 0.0, 1.0, 1.0)
    with pytest.raises(BadInput, match="page"):
        from_json(domain.Box, {key: held for key, held in box.items() if key != "page"})


@pytest.mark.parametrize("wrong", [None, 3, [], "text", {"page": "one"}])
def test_another_shape_is_bad_input(wrong: object) -> None:
    with pytest.raises(BadInput):
        from_json(domain.Box, wrong)


def test_every_error_comes_back_as_itself() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    for kind in kinds:
        again = error_from_json(error_json(kind("what was wrong")))
        assert type(again) is kind
        assert str(again) == "what was wrong"


def test_busy_keeps_its_seconds() -> None:
    again = error_from_json(json.loads(json.dumps(error_json(errors.Busy("later", 7.5)))))
    assert isinstance(again, errors.Busy)
    assert again.retry_after == 7.5


def test_an_unknown_error_is_an_attest_error() -> None:
    assert type(error_from_json({"error": "from_the_future", "message": "m"})) is AttestError
    assert type(error_from_json("nonsense")) is AttestError


def test_what_has_no_json_form_is_said() -> None:
    with pytest.raises(TypeError, match="object"):
        to_json(object())
    assert math.isfinite(from_json(float, 3))
