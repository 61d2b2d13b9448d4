"""Child processes of `attest up`: last words, stopping, and the guard of a killed supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rag.guard import left
from rag.process import Guard, start

SUPERVISOR = """
import sys, time
from pathlib import Path
from rag.process import Guard, start
guard = Guard()
child = start("sleeper", [sys.executable, "-c", sys.argv[2]], Path(sys.argv[1]) / "s.log", {})
guard.watch(child.pid)
print(child.pid, flush=True)
time.sleep(600)
"""
SLEEPER = "import time; time.sleep(600)"


def gone(pid: int) -> bool:
    """Whether it ended; a zombie that nobody has waited for counts as ended."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until(said: str, check: object, *arguments: object, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not check(*arguments):  # type: ignore[operator]
        assert time.monotonic() < until, said
        time.sleep(0.05)


def test_a_child_that_ends_has_last_words(tmp_path: Path) -> None:
    code = "import sys; print('all was well'); sys.exit('it is full')"
    child = start("sink", [sys.executable, "-c", code], tmp_path / "logs" / "sink.log", {})
    wait_until("it ends", lambda: child.ended() is not None)
    assert child.ended() == 1
    assert "the sink ended with 1" in child.why()
    assert "all was well" in child.why()
    assert "it is full" in child.why()


def test_last_words_are_of_this_run_only(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    for word in ("first", "second"):
        child = start("part", [sys.executable, "-c", f"print('{word}')"], log, {})
        child.process.wait()
    assert "second" in child.why()
    assert "first" not in child.why()


def test_stop_ends_one_that_will_not(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('deaf', flush=True); time.sleep(600)"
    )
    log = tmp_path / "deaf.log"
    child = start("deaf one", [sys.executable, "-c", stubborn], log, {})
    wait_until("it is deaf", lambda: "deaf" in log.read_text())
    child.stop(0.2)
    assert child.process.returncode == -signal.SIGKILL
    assert "was killed by SIGKILL" in child.why()


def test_the_log_moves_when_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag.process.LARGEST_LOG", 10)
    log = tmp_path / "part.log"
    log.write_text("a long story of before")
    start("part", [sys.executable, "-c", "pass"], log, {}).process.wait()
    assert log.read_text() == ""
    assert log.with_suffix(".log.1").read_text() == "a long story of before"


def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout is not None
        child = int(supervisor.stdout.readline())
        assert not gone(child)
        supervisor.kill()
    wait_until("the guard ends it", gone, child)


def test_an_orderly_end_leaves_the_rest_alone(tmp_path: Path) -> None:
    child = start("sleeper", [sys.executable, "-c", SLEEPER], tmp_path / "s.log", {})
    guard = Guard()
    guard.watch(child.pid)
    guard.close()
    assert child.ended() is None
    child.stop(5)


def test_what_the_guard_answers_for() -> None:
    assert left(["+1\n", "+2\n", "-1\n"]) == {2}
    assert left(["+1\n", "bye\n"]) == set()
    assert os.getpid() not in left([])
