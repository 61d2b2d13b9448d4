"""PERMITTED at every route: the table below must name all of them, and for each the right it
needs. A route that is added without a line here fails the first test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from rag.domain import Right
from tests.api.conftest import As
from tests.api.house import NAME, QUESTION, House

READ, WRITE, MANAGE = Right.READ, Right.WRITE, Right.MANAGE
SIGNED_IN, ADMIN, PUBLIC = "signed in", "admin", "public"
FORM = {"files": {"file": ("new.md", b"words")}}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    needs: Right | str
    sends: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


ROUTES = [
    Route("GET", "/health", PUBLIC),
    Route("POST", "/sign-in", PUBLIC),
    Route("GET", "/me", SIGNED_IN),
    Route("GET", "/users", ADMIN),
    Route("POST", "/users", ADMIN, {"json": {"user": "new", "password": "long enough for all"}}),
    Route("PUT", "/users/{user}/groups", ADMIN, {"json": {"groups": []}}),
    Route("PUT", "/users/{user}/password", ADMIN, {"json": {"password": "long enough for all"}}),
    Route("DELETE", "/users/{user}", ADMIN),
    Route("POST", "/keys", SIGNED_IN, {"json": {"label": "k"}}),
    Route("DELETE", "/keys/{id}", ADMIN),
    Route("GET", "/collections", SIGNED_IN),
    Route("POST", "/collections", SIGNED_IN, {"json": {"name": "another"}}),
    Route("GET", "/collections/{name}", READ),
    Route("PUT", "/collections/{name}/rights", MANAGE, {"json": {"rights": {"managers": MANAGE}}}),
    Route("DELETE", "/collections/{name}", MANAGE),
    Route("GET", "/collections/{name}/documents", READ),
    Route("POST", "/collections/{name}/documents", WRITE, FORM),
    Route("GET", "/collections/{name}/jobs", READ),
    Route("POST", "/collections/{name}/ask", READ, {"json": {"question": QUESTION}}),
    Route("POST", "/collections/{name}/ask/stream", READ, {"json": {"question": QUESTION}}),
    Route("POST", "/collections/{name}/search", READ, {"json": {"query": "leave"}}),
    Route("GET", "/collections/{name}/answers", READ),
    Route("GET", "/documents/{id}", READ),
    Route("DELETE", "/documents/{id}", WRITE),
    Route("PUT", "/documents/{id}/access", WRITE, {"json": {"readers": None}}),
    Route("GET", "/documents/{id}/versions", READ),
    Route("GET", "/documents/{id}/text", READ),
    Route("GET", "/versions/{id}", READ),
    Route("GET", "/versions/{id}/text", READ),
    Route("GET", "/versions/{id}/extract", READ, {"params": {"start": 0, "end": 5}}),
    Route("GET", "/versions/{id}/blocks", READ),
    Route("GET", "/versions/{id}/pages/{page}/words", READ),
    Route("GET", "/versions/{id}/pages/{page}/image", READ),
    Route("GET", "/jobs/{id}", READ),
    Route("POST", "/jobs/{id}/retry", WRITE),
    Route("GET", "/answers/{id}", MANAGE),  # another one's
    Route("POST", "/answers/{id}/replay", MANAGE),
    Route("GET", "/runs", SIGNED_IN),
    Route("GET", "/runs/{id}", SIGNED_IN),
]
HELD = {"sam": None, "rae": READ, "wim": WRITE, "mia": MANAGE}
RIGHTED = [route for route in ROUTES if isinstance(route.needs, Right)]


def call(route: Route, house: House, http: Any, token: str | None, **parts: str) -> httpx.Response:
    subject = {
        "documents": house.open.id,
        "versions": house.open.version,
        "jobs": house.failed.id,
        "answers": house.answer,
        "runs": house.run,
        "keys": "none",
    }
    kind = route.path.split("/")[1]
    given = {"name": NAME, "id": subject.get(kind), "user": "sam", "page": "1", **parts}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = route.path.format(**given)
    reply: httpx.Response = http.request(route.method, path, headers=headers, **route.sends or {})
    return reply


def test_the_table_names_every_route(app: FastAPI) -> None:
    served = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    assert served == {str(route) for route in ROUTES}


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_without_a_session(route: Route, house: House, signed_in: As) -> None:
    http = signed_in()._http
    for token in (None, "invented.token", "attest_inventedkey"):
        reply = call(route, house, http, token)
        if route.needs is PUBLIC:
            assert reply.status_code != 401
        else:
            assert (reply.status_code, reply.json()["error"]) == (401, "not_signed_in")


@pytest.mark.parametrize("person", HELD)
@pytest.mark.parametrize("route", RIGHTED, ids=str)
def test_each_right_opens_its_routes_and_no_more(
    route: Route, person: str, house: House, signed_in: As
) -> None:
    client = signed_in(person)
    reply = call(route, house, client._http, client.token)
    held, answers = HELD[person], route.path.startswith("/answers")
    if held is None or (answers and not held.includes(MANAGE)):
        assert reply.status_code == 404, reply.text
    elif not held.includes(Right(route.needs)):
        assert (reply.status_code, reply.json()["error"]) == (403, "not_permitted")
    elif not route.path.endswith("image"):  # the text has no page to draw
        assert reply.is_success, reply.text


@pytest.mark.parametrize("route", RIGHTED, ids=str)
def test_forbidden_looks_like_not_there(route: Route, house: House, signed_in: As) -> None:
    client = signed_in("sam")
    hidden = call(route, house, client._http, client.token)
    none = call(route, house, client._http, client.token, name="none", id="none")
    mine = {"handbook", house.open.id, house.open.version, house.failed.id, house.answer}
    said = hidden.json()["message"]
    for name in mine:
        said = said.replace(str(name), "none")
    assert (hidden.status_code, hidden.json()["error"]) == (none.status_code, none.json()["error"])
    assert said == none.json()["message"]


@pytest.mark.parametrize("route", [r for r in ROUTES if r.needs is ADMIN], ids=str)
def test_accounts_are_for_administrators(route: Route, house: House, signed_in: As) -> None:
    client = signed_in("mia")
    assert call(route, house, client._http, client.token).status_code == 403
    admin = signed_in("ada")
    assert call(route, house, admin._http, admin.token).status_code in (200, 201, 204, 404)


@pytest.mark.parametrize("scope", ["read", "write", "manage"])
@pytest.mark.parametrize("route", RIGHTED, ids=str)
def test_a_key_does_what_its_scopes_say(
    route: Route, scope: str, house: House, signed_in: As
) -> None:
    mia = signed_in("mia")
    key = mia.add_key("a key", [scope]).token
    reply = call(route, house, mia._http, key)
    # Another's answer is seen by a manager's right, of which a key for reading is part.
    needs = READ if route.path.startswith("/answers") else Right(route.needs)
    if Right(scope).includes(needs):
        assert reply.status_code not in (401, 403), reply.text
    else:
        assert reply.status_code == 403


@pytest.mark.parametrize("route", [r for r in ROUTES if r.needs is ADMIN], ids=str)
def test_a_key_without_the_scope_administers_nothing(
    route: Route, house: House, signed_in: As
) -> None:
    ada = signed_in("ada")
    key = ada.add_key("a key", ["manage"]).token
    assert call(route, house, ada._http, key).status_code == 403


NARROWED = [route for route in RIGHTED if route.path.startswith(("/documents", "/versions"))]


@pytest.mark.parametrize("person", ["rae", "wim"])
@pytest.mark.parametrize("route", NARROWED, ids=str)
def test_a_narrowed_document_is_not_there_for_others(
    route: Route, person: str, house: House, signed_in: As
) -> None:
    client = signed_in(person)
    id = house.secret.version if route.path.startswith("/versions") else house.secret.id
    assert call(route, house, client._http, client.token, id=str(id)).status_code == 404


def test_lists_and_answers_hide_what_is_narrowed(house: House, signed_in: As) -> None:
    mia, rae = signed_in("mia"), signed_in("rae")
    assert {document.name for document in mia.documents(NAME)} >= {"leave.md", "pay.md"}
    assert "pay.md" not in {document.name for document in rae.documents(NAME)}
    assert "pay.md" not in {job.name for job in rae.jobs(NAME)}
    asked = "How much does the director earn?"
    assert any(p.document_name == "pay.md" for p in mia.search(NAME, asked))
    assert all(p.document_name != "pay.md" for p in rae.search(NAME, asked))
    assert "ninety" not in rae.ask(NAME, asked).text


def test_an_answer_hides_with_its_sources(house: House, signed_in: As) -> None:
    rae, mia = signed_in("rae"), signed_in("mia")
    answer = rae.ask(NAME, QUESTION)
    assert rae.answer(answer.id) == answer
    assert [held.id for held in rae.answers(NAME)] == [answer.id]
    mia.set_access(house.open.id, ["managers"])
    assert rae.answers(NAME) == []
    with pytest.raises(Exception, match="there is no answer"):
        rae.answer(answer.id)


def test_only_the_collections_one_may_read_are_listed(signed_in: As) -> None:
    assert [held.name for held in signed_in("rae").collections()] == [NAME]
    assert signed_in("sam").collections() == []
