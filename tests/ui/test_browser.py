"""The main job as a person does it, in a real browser over the real `attest up`: upload a file,
wait for it, ask, open a citation and read the quoted words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from rag.client import Client
from tests.cli.test_up import Running, up
from tests.servers import missing
from tests.weights import pulled, weights_folder

CHROMIUM = Path(os.environ.get("ATTEST_TEST_CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLICY = Path(__file__).parents[2] / "examples" / "documents" / "policy.html"
QUESTION = "How many characters must a password have at least?"
MINUTES = 60_000  # Playwright counts in milliseconds

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.weights]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        missing(f"{CHROMIUM} is not there; install Chromium, or set ATTEST_TEST_CHROMIUM")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    for name in ("smollm2-135m-instruct", "all-minilm-l6-v2"):
        pulled(name)
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(weights_folder(), target_is_directory=True)
    monkeypatch.setenv("ATTEST_THREADS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with up(data) as started:
        yield started


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1400, "height": 800})
    opened.set_default_timeout(2 * MINUTES)
    expect.set_options(timeout=3 * MINUTES)  # where the machine is slow and busy
    yield opened
    opened.close()


def test_upload_ask_and_open_a_citation(page: Page, running: Running) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))

    page.goto(running.addresses["UI"])
    page.get_by_role("link", name="Library").click()
    make_collection(page, "policies")
    page.set_input_files("input[type=file]", POLICY)
    page.get_by_role("button", name="Add to the collection").click()
    expect(page.get_by_text(re.compile(r"Ready$"))).to_be_visible()

    page.get_by_role("link", name="Ask").click()
    page.get_by_label("Your question").fill(QUESTION)
    page.get_by_label("Your question").press("Enter")
    expect(page.get_by_text(re.compile(r"Passages read|Nearest sources"))).to_be_visible()
    page.locator("[class*='st-key-chip-'] button").first.click()

    quoted = page.locator("mark").inner_text()
    picture(page)
    assert "at least 14 characters" in quoted
    is_in_the_document(running, quoted)
    hosts = {urlsplit(url).hostname for url in requested if re.match(r"(http|ws)s?:", url)}
    assert hosts == {"127.0.0.1"}, "the pages fetch nothing from elsewhere"


def is_in_the_document(running: Running, quoted: str) -> None:
    """The words on the screen are the stored text's own, letter for letter."""
    with Client(running.addresses["API"]) as client:
        (answer,) = client.answers("policies")
        citation = answer.citations[0]
        text = client.version_text(citation.version)
    assert quoted == citation.quote == text[citation.start : citation.end]


def picture(page: Page) -> None:
    """Kept where ATTEST_SCREENSHOT says, for whoever wants to see it."""
    if kept := os.environ.get("ATTEST_SCREENSHOT"):
        page.mouse.move(600, 700)  # away from the chip, whose hint would cover the answer
        page.wait_for_timeout(1_000)
        page.screenshot(path=kept)


def make_collection(page: Page, name: str) -> None:
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("No documents yet.")).to_be_visible()
