"""Sample files: what is read, and what is said of a wrong line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from eval.samples import load, read
from rag.errors import BadSamples
from tests.eval.making import CITIES, record, write


def test_plain_and_compressed_files_read_the_same(tmp_path: Path) -> None:
    records = [record(id) for id in CITIES]
    plain = write(tmp_path / "a.jsonl", records)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert load(plain) == load(packed)
    assert load(plain)[0].quotes() == ("the Aarauwash",)


def test_history_evidence_and_meta_may_be_missing() -> None:
    raw = record("Bonn")
    for key in ("history", "evidence", "meta"):
        del raw[key]
    sample = read(raw)
    assert (sample.history, sample.evidence, dict(sample.meta)) == ((), (), {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": "  "}, "'question' must be a text"),
        ({"gold": ["elsewhere"]}, "gold names 'elsewhere'"),
        ({"kind": "riddle"}, "kind 'riddle'"),
        ({"answers": []}, "answerable but has no answer"),
        ({"answerable": "yes"}, "'answerable' must be true or false"),
        ({"passages": "none"}, "'passages' must be an array"),
        ({"passages": [{"id": "x"}]}, "the key 'text' is missing"),
        ({"evidence": [{"passage": "Bonn#0", "start": 5, "end": 5000}]}, "outside its passage"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = write(tmp_path / "a.jsonl", [record("Aarau"), record("Bonn", **change)])
    with pytest.raises(BadSamples, match=r"a\.jsonl:2: ") as caught:
        load(path)
    assert said in str(caught.value)


def test_other_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record("Bonn")) + "\n{cut", "utf-8")
    with pytest.raises(BadSamples, match=":2: not JSON"):
        load(path)
    write(path, [record("Bonn"), record("Bonn")])
    with pytest.raises(BadSamples, match="occurs twice"):
        load(path)
    path.write_text("\n\n", "utf-8")
    with pytest.raises(BadSamples, match="holds no sample"):
        load(path)
    path.write_text("[1, 2]\n", "utf-8")
    with pytest.raises(BadSamples, match="a sample is an object"):
        load(path)
    with pytest.raises(BadSamples, match="cannot be read"):
        load(tmp_path / "missing.jsonl")
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(json.dumps(record("Bonn")).encode())[:-12])
    with pytest.raises(BadSamples, match="cannot be read"):
        load(packed)
    packed.write_bytes(b"not gzip at all")
    with pytest.raises(BadSamples, match="cannot be read"):
        load(packed)
