"""`attest sources` on a real data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.api.house import NAME
from tests.cli.conftest import Attest

HERE = ("--collection", NAME)


@pytest.fixture
def folder(tmp_path: Path, data: Path) -> Path:
    made = tmp_path / "wiki"
    made.mkdir()
    (made / "a.md").write_text("# Apples\n\nThey are red.")
    (made / "empty.md").write_text("")
    (data / "settings.toml").write_text(f"source_roots = ['{tmp_path}']\n")
    return made


def test_a_source_from_adding_to_removing(attest: Attest, folder: Path) -> None:
    attest("sources", "remove", "wiki", *HERE, "--documents", "keep")
    added = attest(
        "sources", "add", "docs", *HERE, "--folder", str(folder), "--every", "5m", "--prefix",
        "docs/", "--metadata", "kind=fruit",
    )  # fmt: skip
    assert added.code == 0, added.err
    assert (added.json["source"]["every"], added.json["source"]["kind"]) == (300, "folder")
    synced = attest("sources", "sync", *HERE)
    assert synced.code == 1  # the empty file was not taken
    assert synced.json["sources"][0]["counts"] == {"new": 1, "failed": 1}
    shown = attest("sources", "show", "docs", *HERE, as_json=False)
    assert "taken    a.md" in shown.out
    assert "failed   empty.md: docs/empty.md is empty (0 bytes)" in shown.out
    (folder / "empty.md").unlink()
    names = {row["document"] for row in attest("documents", "list", *HERE).json["documents"]}
    assert "docs/a.md" in names

    (folder / "a.md").unlink()
    held = attest("sources", "sync", "docs", *HERE)
    assert (held.code, held.json["sources"][0]["held"]) == (1, 1)
    assert "docs/a.md" in {
        row["document"] for row in attest("documents", "list", *HERE).json["documents"]
    }
    assert attest("sources", "sync", "docs", *HERE, "--confirm").code == 0
    listed = attest("sources", "list", *HERE, as_json=False)
    assert "docs  folder  0 documents" in listed.out
    removed = attest("sources", "remove", "docs", *HERE, "--documents", "delete")
    assert removed.json == {"source": "docs", "deleted": 0}
    assert attest("sources", "list", *HERE).json == {"sources": []}
    assert attest("audit", "verify").json["holds"]


def test_pages_from_a_file(attest: Attest, tmp_path: Path, data: Path) -> None:
    (data / "settings.toml").write_text("source_hosts = ['127.0.0.1:1']\n")
    urls = tmp_path / "urls.txt"
    urls.write_text("# pages\nhttp://127.0.0.1:1/a\n\nhttp://127.0.0.1:1/b\n")
    added = attest("sources", "add", "pages", *HERE, "--urls", str(urls))
    assert added.json["source"]["addresses"] == ["http://127.0.0.1:1/a", "http://127.0.0.1:1/b"]
    done = attest("sources", "sync", "pages", *HERE)
    assert done.code == 1
    assert done.json["sources"][0]["counts"] == {"failed": 2}


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        (("--folder", "/etc"), 1, "address_refused"),
        (("--sitemap", "https://example.org/sitemap.xml"), 1, "address_refused"),
        (("--bucket", "s3://reports"), 1, "address_refused"),
        (("--urls", "/nowhere/urls.txt"), 1, "bad_input"),
        ((), 2, "bad_usage"),
        (("--folder", "/a", "--sitemap", "http://b/"), 2, "bad_usage"),
        (("--folder", "/a", "--every", "soon"), 2, "bad_usage"),
    ],
)
def test_what_cannot_be_added(attest: Attest, line: tuple[str, ...], code: int, error: str) -> None:
    done = attest("sources", "add", "docs", *HERE, *line)
    assert (done.code, done.json["error"]) == (code, error)


def test_unknown_sources(attest: Attest) -> None:
    for line in (("show", "none"), ("sync", "none"), ("remove", "none", "--documents", "keep")):
        assert attest("sources", *line, *HERE).json["error"] == "unknown_origin"
