"""Session tokens, API keys, passwords."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from rag.api.passwords import hash_password, nobody, password_matches
from rag.api.sessions import (
    KEY_PREFIX,
    LASTS,
    Sessions,
    key_hash,
    new_key,
    open_sessions,
    still_marked,
)
from rag.errors import BadInput, NotSignedIn
from rag.ports import Account
from rag.settings import Settings

ANNA = Account("anna", "a hash", frozenset({"staff"}), admin=False, disabled=False)
SESSIONS = Sessions(b"a secret of this test")


def test_a_token_names_its_user_until_it_expires() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    session = SESSIONS.start(ANNA, now)
    assert session.expires == now + LASTS
    user, mark = SESSIONS.user(session.token, now + LASTS - timedelta(seconds=1))
    assert user == "anna"
    assert still_marked(ANNA, mark)
    with pytest.raises(NotSignedIn, match="ended"):
        SESSIONS.user(session.token, now + LASTS)


def test_a_changed_password_or_a_disabled_user_ends_the_session() -> None:
    _, mark = SESSIONS.user(SESSIONS.start(ANNA).token)
    assert not still_marked(replace(ANNA, password_hash="another"), mark)
    assert not still_marked(replace(ANNA, disabled=True), mark)


@given(st.data())
def test_no_changed_token_passes(data: st.DataObject) -> None:
    token = SESSIONS.start(ANNA, datetime(2100, 1, 1, tzinfo=UTC)).token
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != token[place]))
    with pytest.raises(NotSignedIn):
        SESSIONS.user(token[:place] + other + token[place + 1 :])


@given(st.text())
def test_no_invented_token_passes(token: str) -> None:
    with pytest.raises(NotSignedIn):
        SESSIONS.user(token)


def test_another_secret_is_another_house() -> None:
    with pytest.raises(NotSignedIn):
        Sessions(b"other").user(SESSIONS.start(ANNA).token)


def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: open_sessions(settings), range(4)))
    assert len({sessions.secret for sessions in made}) == 1
    assert len(made[0].secret) == 32
    assert (tmp_path / "session.secret").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["session.secret"]


def test_the_settings_secret_wins(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, session_secret=SecretStr("given"))
    assert open_sessions(settings).secret == b"given"
    assert not (tmp_path / "session.secret").exists()


def test_keys_are_stored_as_hashes() -> None:
    key, hashed = new_key()
    assert key.startswith(KEY_PREFIX)
    assert key not in hashed
    assert key_hash(key) == hashed
    assert new_key()[0] != key


def test_passwords() -> None:
    stored = hash_password("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert password_matches("correct horse battery", stored)
    assert not password_matches("correct horse batterx", stored)
    assert not password_matches("anything at all", nobody())
    assert not password_matches("anything", "not a hash")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_unusable_passwords(password: str) -> None:
    with pytest.raises(BadInput):
        hash_password(password)
