"""Training files: what a line becomes, and which lines are refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from models.training.errors import BadRecords
from models.training.records import read_records
from tests.models.training.small import raw_records


def read(tmp_path: Path, *raw: Any) -> list[Any]:
    path = tmp_path / "some.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in raw), "utf-8")
    return list(read_records(path))


def test_a_line_becomes_a_record(tmp_path: Path) -> None:
    raw = raw_records()[0] | {"history": ["user: Hello.", "agent: Yes?"]}
    [record] = read(tmp_path, raw)
    assert record.question == "user: Hello.\nagent: Yes?\n" + raw["question"]
    assert record.target == raw["answers"][0]
    assert record.passages[0].shown.startswith("Doc 0\nThe code of")
    [yes] = read(tmp_path, raw | {"kind": "yesno", "answers": ["yes"], "evidence": []})
    assert yes.target == "Yes."
    [none] = read(tmp_path, raw | {"answerable": False, "gold": [], "answers": []})
    assert not none.answerable


def test_long_answers_are_left_out(tmp_path: Path) -> None:
    long = raw_records()[0] | {"answers": ["word " * 61], "evidence": []}
    assert read(tmp_path, long) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "poem"}, "kind 'poem' is unknown"),
        ({"passages": []}, "no passages"),
        ({"gold": ["elsewhere"]}, "'elsewhere', which is none of the passages"),
        ({"gold": []}, "needs an answer and a gold passage"),
        ({"answers": [" "]}, "needs an answer and a gold passage"),
        ({"answers": None}, "line 2"),
        ({"passages": ["text"]}, "line 2"),
        ({"question": " "}, "question is empty"),
        ({"evidence": [{"passage": "elsewhere", "start": 0, "end": 1}]}, "no 'elsewhere'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    good = raw_records()[0]
    with pytest.raises(BadRecords, match=rf"some\.jsonl, line 2: .*{said}|{said}"):
        read(tmp_path, good, good | changed)


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    lacking = raw_records()[0]
    del lacking["kind"]
    with pytest.raises(BadRecords, match="line 1: there is no 'kind'"):
        read(tmp_path, lacking)


@pytest.mark.parametrize("content", [b"{", b"[]\n", b"\xff\xfe\n", b"3\n"])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "some.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadRecords, match=r"some\.jsonl"):
        list(read_records(path))


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl.gz"
    packed = gzip.compress(b"".join(json.dumps(r).encode() + b"\n" for r in raw_records()))
    for content in (packed[: len(packed) // 2], b"no gzip at all"):
        path.write_bytes(content)
        with pytest.raises(BadRecords, match=r"some\.jsonl\.gz"):
            list(read_records(path))
    with pytest.raises(BadRecords, match="nowhere"):
        list(read_records(tmp_path / "nowhere.jsonl"))
