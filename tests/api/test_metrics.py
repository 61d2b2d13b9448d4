"""/metrics: what an operator sees, and what must not be in it."""

from __future__ import annotations

from typing import cast

import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from rag.api.app import make_app
from rag.api.metrics import Metrics
from rag.api.turnstile import Turnstile
from rag.client import Client
from rag.domain import Verdict
from rag.errors import NotFound, StoreUnavailable
from rag.ports import Generator, UnitOfWork
from tests.api.conftest import LOOPBACK, As
from tests.api.house import NAME, PEOPLE, QUESTION, House, Sent
from tests.api.serving import PATIENCE, Endless, posted, served, until

PATTERN = "/collections/{name}/ask"
Samples = dict[tuple[str, ...], float]


def scraped(client: Client) -> Samples:
    return read(client._send("GET", "/metrics").text)


def read(text: str) -> Samples:
    """(name, label values in the order of their names) -> value."""
    return {
        (sample.name, *(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def ada(signed_in: As) -> Client:
    return signed_in("ada")


def test_answers_are_counted_with_their_stages_and_tokens(signed_in: As, ada: Client) -> None:
    rae = signed_in("rae")
    answers = [rae.ask(NAME, QUESTION), *rae.ask_stream(NAME, "Who painted the fence?")]
    answered, refused = answers[0], answers[-1]
    seen = scraped(ada)
    assert seen["attest_answers_total", "answered"] == 1
    assert seen["attest_answers_total", "refused"] == 1
    assert seen["attest_answers_total", "partial"] == 0
    stages = {name[1] for name in seen if name[0] == "attest_answer_seconds_count"}
    assert (
        stages == set(answered.timings) >= {"queue", "embed", "fuse", "rerank", "verify", "total"}
    )
    total = answered.timings["total"] + refused.timings["total"]  # type: ignore[union-attr]
    assert seen["attest_answer_seconds_sum", "total"] == pytest.approx(total)
    assert seen["attest_answer_seconds_count", "total"] == 2
    usages = [answered.usage, refused.usage]  # type: ignore[union-attr]
    assert seen["attest_tokens_total", "completion"] == sum(u.completion for u in usages if u)
    assert seen["attest_tokens_total", "prompt"] == sum(u.prompt for u in usages if u) > 0


def test_requests_are_counted_by_route(signed_in: As, ada: Client, house: House) -> None:
    rae = signed_in("rae")
    rae.document(house.open.id)
    with pytest.raises(NotFound):
        rae.document("none")
    rae._http.get("/some/where")
    seen = scraped(ada)
    assert seen["attest_http_requests_total", "GET", "/documents/{id}", "200"] == 1
    assert seen["attest_http_requests_total", "GET", "/documents/{id}", "404"] == 1
    assert seen["attest_http_requests_total", "GET", "none", "404"] == 1


def test_jobs_are_counted_by_state(ada: Client) -> None:
    seen = scraped(ada)
    assert seen["attest_jobs", "failed"] == 1
    assert seen["attest_jobs", "done"] == 2
    assert seen["attest_jobs", "running"] == 0
    assert seen["attest_store_up",] == 1


def test_the_queue_is_seen(built: House) -> None:
    built.attest.settings = built.attest.settings.model_copy(
        update={"answers_at_once": 1, "answers_waiting": 1}
    )
    endless = Endless()
    built.attest.generator = cast(Generator, endless)
    path, body = f"/collections/{NAME}/ask", {"question": QUESTION}
    app = make_app(built.attest, Sent())
    with served(app) as url, Client(url) as client, posted(url, path, body):
        assert endless.started.wait(PATIENCE)
        with posted(url, path, body):
            until(lambda: scraped(client)["attest_questions_waiting",] == 1)
            assert scraped(client)["attest_questions_working",] == 1
            assert client._http.post(path, json=body).status_code == 429
            seen = scraped(client)
            assert seen["attest_refused_busy_total",] == 1
            assert seen["attest_http_requests_total", "POST", PATTERN, "429"] == 1
        until(lambda: scraped(client)["attest_questions_waiting",] == 0)
        assert scraped(client)["attest_http_requests_total", "POST", PATTERN, "499"] == 1


def test_other_parts_add_numbers_of_their_own(house: House, ada: Client) -> None:
    blocks = 3.0
    house.attest.gauges = lambda: {"kv_blocks": blocks}
    assert scraped(ada)["attest_kv_blocks",] == 3
    blocks = 4.0
    assert scraped(ada)["attest_kv_blocks",] == 4


def test_names_and_words_stay_out(signed_in: As, ada: Client, house: House, app: FastAPI) -> None:
    for person in ("mia", "rae"):
        client = signed_in(person)
        answer = client.ask(NAME, QUESTION)
        client.answer(answer.id)
        client.documents(NAME)
    text = ada._send("GET", "/metrics").text
    for name in (*PEOPLE, NAME, "leave.md", house.open.id, answer.id, "managers"):
        assert name not in text
    assert "paid leave" not in text


def test_an_administrators_key_for_metrics_reads_nothing_else(signed_in: As, ada: Client) -> None:
    scraper, other = signed_in(), signed_in()
    scraper.token = ada.add_key("prometheus", ["metrics"]).token
    other.token = signed_in("mia").add_key("prometheus", ["metrics"]).token
    http = scraper._http

    def status(path: str, client: Client) -> int:
        return http.get(path, headers=client._headers()).status_code

    assert status("/metrics", scraper) == 200
    assert status("/metrics", other) == 403, "not an administrator's"
    for path in ("/me", "/users", "/collections", "/v1/models", "/tuning"):
        assert status(path, scraper) == 403, path
    assert http.post("/keys", json={"label": "k"}, headers=scraper._headers()).status_code == 403


def test_each_app_counts_for_itself(built: House) -> None:
    with TestClient(make_app(built.attest, Sent()), "http://127.0.0.1", client=LOOPBACK) as http:
        Client("http://127.0.0.1", http=http).ask(NAME, QUESTION)
    with TestClient(make_app(built.attest, Sent()), "http://127.0.0.1", client=LOOPBACK) as http:
        seen = scraped(Client("http://127.0.0.1", http=http))
    assert {seen["attest_answers_total", verdict.value] for verdict in Verdict} == {0}


def test_a_database_that_is_away_hides_no_other_number() -> None:
    def away() -> UnitOfWork:
        raise StoreUnavailable("the database cannot be reached")

    seen = read(Metrics(Turnstile(1, 0), lambda: away, dict).text().decode())
    assert seen["attest_store_up",] == 0
    assert seen["attest_questions_working",] == 0
    assert not any(name[0] == "attest_jobs" for name in seen)
