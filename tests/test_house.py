"""The house keeps its own rules: layout, imports without effects, pages that do not go stale."""

from __future__ import annotations

import ast
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["setuptools"]["packages"]
TOPS = sorted({name.partition(".")[0] for name in PACKAGES})


def kept_files() -> list[Path]:
    """What is, or is about to be, under version control."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[str]:
    found = []
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            if parts[-1] != "__main__":
                found.append(".".join(part for part in parts if part != "__init__"))
    return found


# --- importing does nothing --------------------------------------------------------------------

WATCHED_IMPORTS = """
import importlib, os, sys, threading, traceback

root, names = sys.argv[1], sys.argv[2:]
seen, current = [], ""
CALLS = ("socket.connect", "socket.bind", "socket.getaddrinfo", "sqlite3.connect",
         "subprocess.Popen", "os.system", "os.fork", "os.mkdir", "os.remove", "os.rename")

def ours():
    frames = [f for f in traceback.extract_stack()[:-2]
              if f.filename.startswith(root) and "site-packages" not in f.filename]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"

def writes(args):
    path, mode, flags = args
    return path != os.devnull and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))

def watch(event, args):
    if event in CALLS or (event == "open" and writes(args)):
        seen.append(f"{current}: {event} {args!r:.120} from {ours()}")

start = threading.Thread.start
def watched_start(thread):
    seen.append(f"{current}: thread {thread.name} from {ours()}")
    start(thread)
threading.Thread.start = watched_start

sys.addaudithook(watch)
for current in names:
    importlib.import_module(current)
print("\\n".join(seen))
"""


def test_importing_any_module_opens_nothing(tmp_path: Path) -> None:
    """No file written, no socket, no thread, no child, no database; no setting read either (the
    environment holds one that cannot work)."""
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
        "ATTEST_PASSAGES": "not a number",
        "HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", WATCHED_IMPORTS, f"{ROOT}/", *modules()],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == ""
    assert list(tmp_path.iterdir()) == []


# --- layout ------------------------------------------------------------------------------------


def test_packages_listed_are_the_folders() -> None:
    folders = [path.parent for top in TOPS for path in (ROOT / top).rglob("*.py")]
    assert sorted(PACKAGES) == sorted({".".join(f.relative_to(ROOT).parts) for f in folders})
    for name in PACKAGES:
        assert (ROOT / Path(*name.split(".")) / "__init__.py").is_file(), name


def test_alembic_folder_is_no_package() -> None:
    """With an __init__.py, `from alembic import op` finds the folder instead of the library."""
    assert not (ROOT / "alembic" / "__init__.py").exists()


def test_no_page_shadows_a_package() -> None:
    """Streamlit puts ui/ first on the path."""
    shadowing = {f"{top}.py" for top in TOPS} & {path.name for path in (ROOT / "ui").iterdir()}
    assert shadowing == set()


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_requirement_is_pinned() -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[canonicalize_name(name)] = version
    wanted = [*PROJECT["project"]["dependencies"]]
    for extra in PROJECT["project"]["optional-dependencies"].values():
        wanted += extra
    for line in wanted:
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name != PROJECT["project"]["name"]:
            assert name in pins, f"{name} is not in constraints.txt: run make pin"
            assert requirement.specifier.contains(pins[name]), f"{line}, pinned {pins[name]}"


def imported(path: Path) -> set[str]:
    """Top-level names of what a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def declared(*extras: str) -> set[str]:
    lines = list(PROJECT["project"]["dependencies"])
    for extra in extras:
        lines += PROJECT["project"]["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def undeclared(folders: list[str], allowed: set[str]) -> dict[str, str]:
    """Imported name to a file that imports it."""
    named, missing = packages_distributions(), {}
    own = {*TOPS, "tests", "examples", "benchmarks"}
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for name in imported(path) - own - sys.stdlib_module_names:
            if not {canonicalize_name(owner) for owner in named.get(name, [name])} & allowed:
                missing[name] = str(path.relative_to(ROOT))
    return missing


def test_every_import_is_a_declared_requirement() -> None:
    """What only comes along with another package can go away with its next version."""
    assert undeclared(TOPS, declared("heic", "milvus", "ocr", "postgresql", "rabbitmq", "s3")) == {}
    assert undeclared(["examples"], declared()) == {}
    # peers that clash with our pins are in an environment of their own: peers/pipelines.txt
    assert undeclared(["benchmarks"], declared("bench") | {"llama-index", "haystack"}) == {}
    # packaging comes with pytest
    assert undeclared(["tests"], declared("milvus", "postgresql", "test") | {"packaging"}) == {}


# --- pages -------------------------------------------------------------------------------------


def test_readme_maps_the_folders() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    mapped = re.findall(r"^\| `(\w+)/` \|", readme, re.MULTILINE)
    real = {path.parts[0] for path in kept_files() if len(path.parts) > 1}
    assert sorted(mapped) == sorted(name for name in real if not name.startswith("."))


def test_changelog_keeps_its_form() -> None:
    """https://keepachangelog.com: an Unreleased section, then versions with dates, newest first."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert text.startswith("# Changelog\n")
    releases = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert releases[0] == "[Unreleased]"
    dated = [re.fullmatch(r"\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d)", line) for line in releases[1:]]
    assert all(dated), releases
    dates = [match[1] for match in dated if match]
    assert dates == sorted(dates, reverse=True)
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def decisions() -> list[Path]:
    return sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def test_decisions_are_numbered_and_listed() -> None:
    numbers = [int(path.name[:4]) for path in decisions()]
    assert numbers == list(range(1, len(numbers) + 1))
    index = (ROOT / "docs" / "adr" / "README.md").read_text("utf-8")
    assert re.findall(r"\]\(([^)]+)\)", index) == [path.name for path in decisions()]


@pytest.mark.parametrize("path", decisions(), ids=lambda path: path.stem)
def test_a_decision_says_problem_options_choice_cost(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Problem", "Options", "Choice", "Cost"]
    assert len(text.splitlines()) <= 60, "more than a page"


def test_configuration_page_is_up_to_date() -> None:
    page = runpy.run_path(str(ROOT / "scripts" / "configuration.py"))["page"]
    written = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert written == page(), "run make docs"


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} -> {target}")
    assert broken == []


# --- nothing of the machine it was written on ----------------------------------------------------

# In pieces, or this file would find itself.
HOSTS = (
    "pypi" + ".org",
    "python" + "hosted",
    "npm" + "js.org",
    "deb." + "debian",
    "pytorch" + ".org",
)
PATHS = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", ".lib" + "rary/", "../sha" + "red")


def lines_with(words: tuple[str, ...]) -> Iterator[str]:
    wanted = re.compile("|".join(map(re.escape, words)))
    for path in kept_files():
        try:
            text = (ROOT / path).read_text("utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if wanted.search(line):
                yield f"{path}:{number}: {line.strip()[:120]}"


@pytest.mark.parametrize("words", [HOSTS, PATHS], ids=["registry hosts", "machine paths"])
def test_no_file_names_registry_hosts_or_machine_paths(words: tuple[str, ...]) -> None:
    assert list(lines_with(words)) == []
