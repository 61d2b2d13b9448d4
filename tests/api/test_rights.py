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
COMPLETION = {"model": NAME, "messages": [{"role": "user", "content": QUESTION}]}
PAGE = {"name": "page", "kind": "urls", "addresses": ["http://127.0.0.1:1/"]}
SOURCE = {"json": PAGE}
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
    Route("PUT", "/collections/{name}/personal-data", MANAGE, {"json": {"policy": "mask"}}),
    Route("DELETE", "/collections/{name}", MANAGE),
    Route("GET", "/collections/{name}/documents", READ),
    Route("POST", "/collections/{name}/documents", WRITE, FORM),
    Route("GET", "/collections/{name}/jobs", READ),
    Route("GET", "/collections/{name}/sources", WRITE),
    Route("POST", "/collections/{name}/sources", MANAGE, SOURCE),
    Route("GET", "/collections/{name}/sources/{source}/items", WRITE),
    Route("POST", "/collections/{name}/sources/{source}/sync", WRITE, {"json": {}}),
    Route("DELETE", "/collections/{name}/sources/{source}", MANAGE),
    Route("GET", "/collections/{name}/reindex", MANAGE),
    Route("POST", "/collections/{name}/reindex", MANAGE, {"json": {}}),
    Route("DELETE", "/collections/{name}/reindex", MANAGE),
    Route("DELETE", "/collections/{name}/reindex/former", MANAGE),
    Route("POST", "/documents/{id}/reindex", WRITE),
    Route("POST", "/collections/{name}/ask", READ, {"json": {"question": QUESTION}}),
    Route("POST", "/collections/{name}/ask/stream", READ, {"json": {"question": QUESTION}}),
    Route("POST", "/v1/chat/completions", READ, {"json": COMPLETION}),
    Route("GET", "/v1/models", SIGNED_IN),
    Route("GET", "/v1/models/{model}", READ),
    Route("GET", "/metrics", ADMIN),
    Route("POST", "/collections/{name}/search", READ, {"json": {"query": "leave"}}),
    Route("POST", "/collections/{name}/explain", READ, {"json": {"question": QUESTION}}),
    Route("GET", "/collections/{name}/answers", READ),
    Route("GET", "/documents/{id}", READ),
    Route("DELETE", "/documents/{id}", WRITE),
    Route("PUT", "/documents/{id}/access", WRITE, {"json": {"readers": None}}),
    Route("GET", "/documents/{id}/versions", READ),
    Route("GET", "/documents/{id}/text", READ),
    Route("GET", "/versions/{id}", READ),
    Route("GET", "/versions/{id}/text", READ),
    Route("GET", "/versions/{id}/extract", READ, {"params": {"start": 0, "end": 5}}),
    Route("GET", "/versions/{id}/html", READ, {"params": {"start": 0, "end": 5}}),
    Route("GET", "/versions/{id}/blocks", READ),
    Route("GET", "/versions/{id}/pages/{page}/words", READ),
    Route("GET", "/versions/{id}/pages/{page}/image", READ),
    Route("GET", "/jobs/{id}", READ),
    Route("POST", "/jobs/{id}/retry", WRITE),
    Route("POST", "/jobs/{id}/cancel", WRITE),
    Route("GET", "/answers/{id}", MANAGE),  # another one's
    Route("GET", "/answers/{id}/explanation", MANAGE),
    Route("POST", "/answers/{id}/replay", MANAGE),
    Route("POST", "/answers/{id}/feedback", MANAGE, {"json": {"verdict": "right"}}),
    Route("GET", "/answers/{id}/feedback", MANAGE),
    Route("GET", "/collections/{name}/feedback", MANAGE),
    Route("GET", "/runs", SIGNED_IN),
    Route("GET", "/runs/{id}", SIGNED_IN),
    Route("GET", "/runs/{first}/against/{second}", SIGNED_IN),
    Route("GET", "/tuning", ADMIN),
    Route("GET", "/tuning/{name}", ADMIN),
    Route("GET", "/adapters", SIGNED_IN),
    Route("POST", "/adapters/{name}/promote", ADMIN),
    Route("POST", "/adapters/{name}/rollback", ADMIN),
]
HELD = {"sam": None, "rae": READ, "wim": WRITE, "mia": MANAGE}
RIGHTED = [route for route in ROUTES if isinstance(route.needs, Right)]
ADMINISTERING = [route for route in ROUTES if route.needs is ADMIN]
# Each route with the lowest right that opens it; managers, who hold all, with every one.
LOWEST = {READ: "rae", WRITE: "wim", MANAGE: "mia"}
ALLOWED = [(LOWEST[Right(route.needs)], route) for route in RIGHTED]


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
    given = {"name": NAME, "id": subject.get(kind), "user": "sam", "page": "1"}
    given |= {"source": "wiki", **parts}
    given |= {"first": house.run, "second": house.run, "model": given["name"]}
    sends = route.sends or {}
    if sends.get("json") is COMPLETION:
        sends = {"json": COMPLETION | {"model": given["name"]}}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    path = route.path.format(**given)
    reply: httpx.Response = http.request(route.method, path, headers=headers, **sends)
    return reply


def told(reply: httpx.Response) -> tuple[str, str]:
    """The code and the message of a refusal; OpenAI's clients read another form under /v1."""
    said = reply.json()
    if isinstance(said["error"], dict):
        said = {"error": said["error"]["code"], "message": said["error"]["message"]}
    return said["error"], said["message"]


def test_the_table_names_every_route(app: FastAPI) -> None:
    served = {
        f"{method.upper()} {path}"
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    assert served == {str(route) for route in ROUTES}


def test_without_a_session(house: House, signed_in: As) -> None:
    http = signed_in()._http
    for route in ROUTES:
        for token in (None, "invented.token", "attest_inventedkey"):
            reply = call(route, house, http, token)
            if route.needs is PUBLIC:
                assert reply.status_code != 401, route
            else:
                assert reply.status_code == 401, route
                assert told(reply)[0] in ("not_signed_in", "invalid_api_key"), route


@pytest.mark.parametrize("person", HELD)
def test_a_right_too_low_opens_nothing(person: str, house: House, signed_in: As) -> None:
    client, held = signed_in(person), HELD[person]
    for route in RIGHTED:
        if held is not None and held.includes(Right(route.needs)):
            continue
        reply = call(route, house, client._http, client.token)
        hidden = held is None or route.path.startswith("/answers")
        expected = (404, None) if hidden else (403, "not_permitted")
        assert reply.status_code == expected[0], (route, reply.text)
        assert expected[1] in (None, told(reply)[0]), route


@pytest.mark.parametrize(("person", "route"), ALLOWED, ids=str)
def test_each_right_opens_its_routes(
    person: str, route: Route, house: House, signed_in: As
) -> None:
    client = signed_in(person)
    reply = call(route, house, client._http, client.token)
    if route.path.endswith("image"):  # the text has no page to draw
        assert "no page" in reply.json()["message"]
    elif route.path.endswith("cancel"):  # the job has failed already
        assert "nothing to cancel" in reply.json()["message"]
    else:
        assert reply.is_success, reply.text


def test_forbidden_looks_like_not_there(house: House, signed_in: As) -> None:
    client = signed_in("sam")
    names = (NAME, house.open.id, house.open.version, house.failed.id, house.answer)
    for route in RIGHTED:
        hidden = call(route, house, client._http, client.token)
        none = call(route, house, client._http, client.token, name="none", id="none")
        code, said = told(hidden)
        for name in names:
            said = said.replace(str(name), "none")
        assert hidden.status_code == none.status_code == 404, route
        assert (code, said) == told(none), route


def test_accounts_are_for_administrators(house: House, signed_in: As) -> None:
    mia, ada = signed_in("mia"), signed_in("ada")
    for route in ADMINISTERING:
        assert call(route, house, mia._http, mia.token).status_code == 403, route
    for route in ADMINISTERING:
        assert call(route, house, ada._http, ada.token).status_code in (200, 201, 204, 404), route


def test_a_key_cannot_do_more_than_its_scopes(house: House, signed_in: As) -> None:
    mia, ada = signed_in("mia"), signed_in("ada")
    for scope in (READ, WRITE):
        key = mia.add_key("a key", [scope]).token
        for route in RIGHTED:
            # Another's answer is shown by a manager's right; a key for reading reads it.
            needs = READ if route.path.startswith("/answers") else Right(route.needs)
            if not scope.includes(needs):
                reply = call(route, house, mia._http, key)
                assert (reply.status_code, told(reply)[0]) == (403, "not_permitted"), route
    key = ada.add_key("a key", [MANAGE]).token
    for route in ADMINISTERING:
        assert call(route, house, ada._http, key).status_code == 403, route


def test_a_key_does_what_its_scopes_say(house: House, signed_in: As) -> None:
    mia = signed_in("mia")
    reading = signed_in()
    reading.token = mia.add_key("a key", ["read"]).token
    for route in RIGHTED:
        if route.needs is READ or route.path.startswith("/answers"):
            reply = call(route, house, reading._http, reading.token)
            assert reply.is_success or route.path.endswith("image"), (route, reply.text)


@pytest.mark.parametrize("person", ["rae", "wim"])
def test_a_narrowed_document_is_not_there_for_others(
    person: str, house: House, signed_in: As
) -> None:
    client = signed_in(person)
    for route in RIGHTED:
        kind = route.path.split("/")[1]
        if kind in ("documents", "versions"):
            id = house.secret.version if kind == "versions" else house.secret.id
            reply = call(route, house, client._http, client.token, id=str(id))
            assert reply.status_code == 404, route


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
