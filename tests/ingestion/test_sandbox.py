"""The limits are real: each is run into by a file that breaks it, in both kinds of child."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from ingestion.limits import MIB, Limits
from ingestion.parse import parse
from ingestion.reader import Reader
from ingestion.sandbox import Outcome, outcome_of, parse_sandboxed, run_sandboxed
from rag.errors import (
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    UnreadableDocument,
    UnsupportedType,
)
from rag.layout import load_layout
from rag.settings import Settings
from tests.ingestion.making import pdf, pdf_of_streams, prose
from tests.ingestion.test_parse_pdf import encrypted

Run = Callable[[bytes, str, Limits], Outcome]
TEXT = ["The Supplier delivers the bicycles to the Council."]
SLOW = ("word *and* [link](x) `code` **bold** " * 40 + "\n\n").encode() * 6000  # minutes of work


@pytest.fixture(params=["one child", "reader"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    if request.param == "one child":
        yield run_sandboxed
        return
    reader = Reader()
    yield reader
    reader.close()


def test_the_child_finds_what_this_process_finds(run: Run) -> None:
    data = pdf(prose(TEXT), title="Fleet")
    outcome, here = run(data, "a.pdf", Limits()), parse(data, "a.pdf")
    assert outcome.layout is not None
    words = tuple(load_layout(outcome.layout).words())
    assert replace(outcome.parsed, words=()) == replace(here, words=())
    assert [(w.start, w.end) for w in words] == [(w.start, w.end) for w in here.words]
    assert words[0].box.x0 == pytest.approx(here.words[0].box.x0, abs=0.01)


def test_several_documents_one_after_the_other(run: Run) -> None:
    for number in range(3):
        assert run(f"number {number}".encode(), "a.txt", Limits()).parsed.text == f"number {number}"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", EmptyDocument),
        (b"\x7fELF" + bytes(range(256)) * 9, UnsupportedType),
        (encrypted("secret"), EncryptedDocument),
        (b"%PDF-1.7 nothing", UnreadableDocument),
    ],
    ids=["empty", "binary", "encrypted", "damaged"],
)
def test_typed_errors_come_through(run: Run, data: bytes, kind: type[UnreadableDocument]) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        run(data, "a.pdf", Limits())
    assert type(caught.value) is kind
    assert len(str(caught.value)) > 10


def test_memory_bomb(run: Run) -> None:
    """A PDF whose page unpacks to 400 MB, under 300 MB of memory."""
    bomb = pdf_of_streams([b" " * (400 * MIB)])
    assert len(bomb) < 2 * MIB
    with pytest.raises(LimitExceeded, match="memory"):
        run(bomb, "a.pdf", Limits(memory_bytes=300 * MIB))
    assert run(b"still here", "a.txt", Limits()).parsed.text == "still here"


def test_endless_work(run: Run) -> None:
    with pytest.raises(LimitExceeded, match="2 seconds"):
        run(SLOW, "a.md", Limits(seconds=2))
    assert run(b"still here", "a.txt", Limits()).parsed.text == "still here"


def test_too_much_text(run: Run) -> None:
    with pytest.raises(LimitExceeded, match="characters"):
        run(b"words " * 1000, "a.txt", Limits(characters=100))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (signal.SIGXCPU, LimitExceeded),
        (signal.SIGKILL, LimitExceeded),
        (signal.SIGXFSZ, LimitExceeded),
        (signal.SIGTRAP, LimitExceeded),
        (signal.SIGSEGV, UnreadableDocument),
    ],
)
def test_every_death_has_a_reason(number: int, kind: type[UnreadableDocument]) -> None:
    with pytest.raises(kind):
        outcome_of(-number, b"", Limits())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{}\n",
        b"[]\n",
        b'{"text": 3, "layout": 0, "blocks": [], "media_type": "", "title": "", "pages": null, '
        b'"metadata": {}, "members": []}\nab',
        b'{"text": 2, "layout": 0, "blocks": [["paragraph", 0, 9, null, 0, []]], "media_type": "",'
        b' "title": "", "pages": null, "metadata": {}, "members": []}\nab',
        b'{"text": 2, "layout": 0, "blocks": [], "media_type": "", "title": "", "pages": null, '
        b'"metadata": {}, "members": [["a.txt", -2], ["b.txt", 2]]}\nab',
    ],
)
def test_an_answer_made_up_by_a_taken_over_child_is_refused(answer: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="usable"):
        outcome_of(0, answer, Limits())


def test_the_reader_survives_the_death_of_its_helper() -> None:
    reader = Reader()
    reader(b"one", "a.txt", Limits())
    assert reader._helper is not None
    os.kill(reader._helper.pid, signal.SIGKILL)
    reader._helper.wait()
    assert reader(b"two", "a.txt", Limits()).parsed.text == "two"
    reader.close()


def test_settings_are_the_limits() -> None:
    words = parse_sandboxed(pdf(prose(TEXT)), "a.pdf", Settings()).words
    assert len(words) == 8
    with pytest.raises(LimitExceeded):
        parse_sandboxed(pdf(prose(TEXT), prose(TEXT)), "a.pdf", Settings(max_pages=1))
