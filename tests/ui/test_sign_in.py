"""Sign-in, where the API asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from rag import changes
from rag.api.passwords import hash_password
from rag.domain import LOCAL_USER
from tests.ui.conftest import House, Open, button, served, settled, words

PASSWORD = "a long password of this test"


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    with served(tmp_path / "data", sign_in="local") as house:
        monkeypatch.setenv("ATTEST_API_URL", house.url)
        hashed = hash_password(PASSWORD)
        changes.add_user(house.attest.store, LOCAL_USER, "mia", hashed, {"staff"})
        yield house


def sign_in(page: AppTest, password: str) -> AppTest:
    page.text_input[0].input("mia")
    page.text_input[1].input(password)
    return settled(button(page, "Sign in").click().run())


def test_the_way_in_and_out(locked: House, opened: Open) -> None:
    page = opened()
    assert [each.value for each in page.title] == ["Sign in"]
    sign_in(page, "something else")
    assert "The user or the password is wrong." in words(page)
    sign_in(page, PASSWORD)
    assert [each.value for each in page.title] == ["Ask"]
    assert "Signed in as mia" in words(page)
    settled(button(page, "Sign out").click().run())
    assert [each.value for each in page.title] == ["Sign in"]


def test_a_session_that_ended_leads_back(locked: House, opened: Open) -> None:
    page = sign_in(opened(), PASSWORD)
    changes.disable_user(locked.attest.store, LOCAL_USER, "mia")
    settled(page.run())
    assert [each.value for each in page.title] == ["Sign in"]
