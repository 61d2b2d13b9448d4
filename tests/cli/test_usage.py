"""The command line's contract where nothing has to be opened: exit codes, JSON, names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rag.cli import main, parse
from rag.commands.ingest import walk
from rag.errors import BadInput

COMMANDS = (
    "up",
    "doctor",
    "models",
    "ingest",
    "ask",
    "search",
    "explain",
    "replay",
    "collections",
    "text",
    "kv",
)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "ask",
        "ask question",
        "search q --collection c -k 0",
        "search q --collection c --leg psychic",
        "ingest --collection c",
        "collections create c --grant staff=own",
    ],
)
def test_bad_usage_is_exit_code_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line.split(), "--json"]) == 2
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == "bad_usage"
    assert "usage: attest" in said.err
    assert main(line.split()) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "--data" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["--data d --json ask q --collection c", "ask q --collection c"])
def test_common_options_stand_before_or_after(line: str) -> None:
    after = [] if "--data" in line else ["--data", "d", "--json"]
    asked = parse([*line.split(), *after])
    assert (asked.data, asked.json, asked.user) == (Path("d"), True, None)


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["search", "q", "--collection", "c", "--data", str(tmp_path / "none"), "--json"]
    assert main(line) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"] == "not_found"
    assert said.err.startswith("attest: there is no data folder")
    assert not (tmp_path / "none").exists()


def test_settings_that_cannot_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "settings.toml").write_text("host = '0.0.0.0'")
    assert main(["doctor", "--data", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["error"] == "bad_settings"


def test_help_needs_no_heavy_library() -> None:
    heavy = ("torch", "sentence_transformers", "faiss", "celery", "fastapi", "sqlalchemy")
    code = f"import sys, rag.cli; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_files_are_named_relative_to_the_folder_given(tmp_path: Path) -> None:
    for name in ("b.md", "a/c.md", ".hidden", "a/.git/config"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    lone = tmp_path / "lone.txt"
    lone.write_text("x")
    found = walk([tmp_path / "in", lone, tmp_path / "missing.pdf"])
    assert [file.name for file in found] == ["b.md", "a/c.md", "lone.txt", "missing.pdf"]


def test_the_same_file_twice_is_one(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    assert len(walk([tmp_path, tmp_path / "a.md"])) == 1


def test_two_files_of_one_name_are_bad_input(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.md").write_text(folder)
    with pytest.raises(BadInput, match=r"a\.md"):
        walk([tmp_path / "x", tmp_path / "y"])
