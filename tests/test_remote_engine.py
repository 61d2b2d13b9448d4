"""An engine in a process of its own: who may use it, what becomes of a question when it dies, what
it forgets, and what the process that asks does not load."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from models.block_key import text_key
from rag.bootstrap import Attest, open_attest
from rag.commands.diagnosis import Checked, diagnose
from rag.domain import Right
from rag.engine_api.app import make_engine_app
from rag.errors import BadInput, BadSettings, EngineUnavailable, StoreUnavailable
from rag.settings import load_settings
from rag.up import free_port
from tests.api.serving import served, until
from tests.engine_house import KEY, LONG, PASSAGES, QUESTION, SHORT, furnish, metric
from tests.models.block_making import key, made

pytestmark = pytest.mark.slow

WRONG = "another-key-than-theirs"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("engine"))


@contextmanager
def running(data: Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`attest engine` until the block ends."""
    command = [sys.executable, "-m", "rag.cli", "engine", "--data", str(data), "--json"]
    env = {**os.environ, "ATTEST_ENGINE_KEY": KEY, "ATTEST_ENGINE_URL": "http://127.0.0.1:9"}
    with (
        log.open("ab") as out,
        subprocess.Popen(
            [*command, "--port", str(port)], stdout=out, stderr=subprocess.STDOUT, env=env
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def asking(data: Path, url: str, key: str | None = KEY) -> Attest:
    return open_attest(load_settings(data, engine_url=url, engine_key=key))


def answers(attest: Attest) -> bool:
    try:
        return bool(list(attest.readers.of(None).generate(PASSAGES, QUESTION, SHORT)))
    except EngineUnavailable:
        return False


# --- dying and coming back -----------------------------------------------------------------------


def test_killed_in_the_middle_of_an_answer_and_started_anew(data: Path, tmp_path: Path) -> None:
    port = free_port("127.0.0.1", 0, "the engine", "engine_port")
    log = tmp_path / "log"
    attest = asking(data, f"http://127.0.0.1:{port}")
    with pytest.raises(EngineUnavailable, match=r"cannot be reached.*`attest engine`"):
        attest.readers.of(None)
    with running(data, port, log) as process:
        until(lambda: answers(attest))
        reader = attest.readers.of(None)
        pieces = reader.generate(PASSAGES, QUESTION, LONG)
        for _ in range(3):
            next(pieces)
        process.kill()
        began = time.monotonic()
        with pytest.raises(EngineUnavailable, match="broke off its answer"):
            list(pieces)
        with pytest.raises(EngineUnavailable):
            list(reader.generate(PASSAGES, "Who?", SHORT))
        assert time.monotonic() - began < 10
    with running(data, port, log):
        until(lambda: answers(attest))
        assert list(reader.generate(PASSAGES, QUESTION, SHORT)), "the same reader goes on"
    attest.close()
    assert "Traceback" not in log.read_text("utf-8")
    assert "basil" not in log.read_text("utf-8"), "a question or passage was logged"


def test_stopped_in_the_middle_of_an_answer(data: Path, tmp_path: Path) -> None:
    port = free_port("127.0.0.1", 0, "the engine", "engine_port")
    attest = asking(data, f"http://127.0.0.1:{port}")
    with running(data, port, tmp_path / "log") as process:
        until(lambda: answers(attest))
        pieces = attest.readers.of(None).generate(PASSAGES, QUESTION, LONG)
        next(pieces)
        os.kill(process.pid, signal.SIGTERM)
        with suppress(EngineUnavailable):  # it is given some seconds to be finished
            list(pieces)
        assert process.wait(60) == 0
        with pytest.raises(EngineUnavailable):
            attest.readers.of(None)
    attest.close()


def test_a_silent_engine_is_given_up(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stopped process keeps its connections open and says nothing."""
    monkeypatch.setattr("rag.engine_client.SILENCE", 1.0)
    port = free_port("127.0.0.1", 0, "the engine", "engine_port")
    attest = asking(data, f"http://127.0.0.1:{port}")
    with running(data, port, data / "silent.log") as process:
        until(lambda: answers(attest))
        pieces = attest.readers.of(None).generate(PASSAGES, QUESTION, LONG)
        next(pieces)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(EngineUnavailable, match="timed out"):
                list(pieces)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        until(lambda: metric(attest, "attest_engine_answers") == 0)
    attest.close()


# --- who may use it ------------------------------------------------------------------------------


def test_nothing_is_answered_without_the_key(data: Path) -> None:
    engine = open_attest(load_settings(data, engine_key=KEY))
    with served(make_engine_app(engine)) as url:
        for path in ("/health", "/metrics", "/readers", "/kv-blocks", "/nowhere", "/openapi.json"):
            for headers in ({}, {"Authorization": f"Bearer {WRONG}"}, {"Authorization": KEY}):
                reply = httpx.get(url + path, headers=headers)
                assert (reply.status_code, reply.json()["error"]) == (401, "not_signed_in"), path
        assert httpx.post(f"{url}/generate", json={}).status_code == 401
        for key_given in (None, WRONG):
            attest = asking(data, url, key_given)
            with pytest.raises(EngineUnavailable, match="set the same engine_key") as refused:
                attest.readers.of(None)
            assert WRONG not in str(refused.value)
            attest.close()
    engine.close()


def test_without_a_key_only_this_machine_is_answered(data: Path) -> None:
    engine = open_attest(load_settings(data))
    with served(make_engine_app(engine)) as url:
        assert httpx.get(f"{url}/health").status_code == 200
        elsewhere = httpx.get(f"{url}/health", headers={"Host": "attacker.example"})
        assert elsewhere.status_code == 403
        assert "without engine_key the engine serves this machine only" in elsewhere.text
    engine.close()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"engine_host": "0.0.0.0"}, "there is no engine_key"),
        ({"engine_url": "10.0.0.5:8810"}, "write it like http"),
        ({"engine_key": "short"}, "at least 16"),
        ({"engine_key": "schlüssel-mit-umlaut"}, "ASCII"),
        ({"engine_url": "http://10.0.0.5", "engine_process": True}, "set either"),
    ],
)
def test_settings_that_cannot_work(data: Path, wrong: dict[str, object], why: str) -> None:
    with pytest.raises(BadSettings, match=why):
        load_settings(data, **wrong)


def test_another_server_is_told_from_an_engine(data: Path) -> None:
    from fastapi import FastAPI

    with served(FastAPI()) as url:
        attest = asking(data, url)
        with pytest.raises(EngineUnavailable, match=r"this version does \(status 404"):
            attest.readers.of(None)
        attest.close()


# --- what is forgotten ---------------------------------------------------------------------------


def test_erased_reaches_an_engine_with_a_folder_of_its_own(data: Path, tmp_path: Path) -> None:
    engine = open_attest(load_settings(tmp_path, model=str(data / "tiny"), engine_key=KEY))
    engine.block_store.put(key("secret"), made("secret"))
    engine.block_store.put(key("kept"), made("kept"))
    with served(make_engine_app(engine)) as url:
        attest = asking(data, url)
        assert attest.kv_blocks.keys() == {text_key("secret"), text_key("kept")}
        attest.kv_blocks.forget(["secret", "never there"])
        assert attest.kv_blocks.keys() == {text_key("kept")}
        assert engine.block_store.get(key("secret")) is None, "it was still in memory"
        assert engine.block_store.get(key("kept")) is not None
        assert not any(tmp_path.rglob(f"{text_key('secret')}.kv"))
        assert attest.engine_client is not None
        for bad in ("../../../settings", text_key("kept").upper(), f"{text_key('kept')}\n"):
            with pytest.raises(BadInput, match="sha256"):
                attest.engine_client.post(int, "/forget", {"keys": [bad]})
        (found,) = [each for each in doctor(attest) if each.check == "kv blocks"]
        assert (found.state, text_key("kept") in found.detail) == ("warning", True)
        attest.warm_reader()
        assert attest.kv_blocks.keys() == set(), "what no live chunk shows goes at the start"
    with pytest.raises(StoreUnavailable, match="could not be erased in the engine"):
        attest.kv_blocks.forget(["secret"])
    attest.close()
    engine.close()


# --- the process that asks -----------------------------------------------------------------------


def test_the_doctor_asks_the_engine(data: Path) -> None:
    engine = open_attest(load_settings(data, engine_key=KEY))
    with engine.store() as work:
        work.collections.create("handbook", {"local": Right.MANAGE})
        work.commit()
    with served(make_engine_app(engine)) as url:
        attest = asking(data, url)
        (found,) = [each for each in doctor(attest) if each.check.startswith("engine")]
        assert (found.state, url in found.detail) == ("ok", True)
    (found,) = [each for each in doctor(attest) if each.check.startswith("engine")]
    assert (found.state, "`attest engine`" in found.detail) == ("broken", True)
    attest.close()
    engine.close()


def doctor(attest: Attest) -> list[Checked]:
    return diagnose(attest, 0, lambda line: None)


def test_who_asks_loads_neither_torch_nor_weights(data: Path) -> None:
    engine = open_attest(load_settings(data, engine_key=KEY))
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rag.bootstrap import open_attest\n"
        "from rag.domain import Sampling\n"
        "from rag.settings import load_settings\n"
        "attest = open_attest(load_settings(Path(sys.argv[1])))\n"
        "reader = attest.answering.readers.of(None)\n"
        "pieces = list(reader.generate(['The code is 5.'], 'Code?', Sampling(8)))\n"
        "print(len(pieces) > 1, reader.token_counts(['a b'])[0] > 0, 'torch' in sys.modules)\n"
        "attest.close()\n"
    )
    with served(make_engine_app(engine)) as url:
        env = {**os.environ, "ATTEST_ENGINE_URL": url, "ATTEST_ENGINE_KEY": KEY}
        command = [sys.executable, "-c", script, str(data)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
    engine.close()


def test_a_text_is_counted_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = open_attest(load_settings(data, engine_key=KEY))
    with served(make_engine_app(engine)) as url:
        attest = asking(data, url)
        first = attest.readers.of(None).token_counts([*PASSAGES, PASSAGES[0]])
        reader = attest.readers.of(None)
        assert attest.engine_client is not None
    assert reader.token_counts(PASSAGES) == first[:3], "the engine is gone, the counts are known"
    with pytest.raises(EngineUnavailable):
        reader.count_tokens("something else")
    attest.close()
    engine.close()
