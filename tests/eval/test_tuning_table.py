"""Tables of questions: what is read, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from eval.tuning_data import Held, from_csv
from models.training.records import TrainingPassage
from rag.errors import BadSamples

LEAVE = "Full-time staff have thirty days of paid leave a year."
DOORS = "The doors are locked at eight every evening; staff leave before."


def held(name: str, text: str) -> Held:
    return Held(name, name, (), TrainingPassage(f"attest:{name}/v-{name}/c-{name}", "Title", text))


COLLECTION = [held("doors.md", DOORS), held("leave.md", LEAVE)]


def table(folder: Path, text: str | bytes) -> Path:
    path = folder / "staff.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_rows_with_their_passages(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "Question,Answer,Passage,Source,Title,Remark\n"
        f'How many days?,thirty days,"{LEAVE}",leave.md,Leave,x\n'
        '"Is it\npaid?",yes,"It is ""paid"".",leave.md,,\n'
        f"Who pays?,,{LEAVE},leave.md,Leave,\n"
        "\n"
        "Who asks?,,,,,\n",
    )
    days, paid, pays, asks = from_csv(path)
    assert days.id == "table:staff:2"
    assert (days.dataset, days.doc, days.kind) == ("table:staff", "leave.md", "span")
    assert (days.answers, days.target) == (("thirty days",), "thirty days")
    assert days.passages[0].shown == f"Leave\n{LEAVE}"
    assert days.gold == (days.passages[0].id,)
    assert (paid.id, paid.kind, paid.target) == ("table:staff:3", "yesno", "Yes.")
    assert paid.passages[0].text == 'It is "paid".'
    assert (pays.answerable, pays.gold, len(pays.passages)) == (False, (), 1)
    assert pays.passages[0].id == days.passages[0].id, "the same passage once"
    assert (asks.id, asks.answerable, asks.passages) == ("table:staff:7", False, ())


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_and_a_byte_order_mark(tmp_path: Path, separator: str) -> None:
    lines = [["question", "answer", "passage"], ["When, then?", "at eight", DOORS.split(";")[0]]]
    text = "\r\n".join(separator.join(line) for line in lines)
    (record,) = from_csv(table(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert (record.question, record.target) == ("When, then?", "at eight")


def test_answers_are_looked_for_in_a_collection(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "question,answer,source\n"
        "How many days of leave?,thirty days,\n"
        "What do staff have?,Thirty days of paid leave,leave.md\n"
        "When are the doors locked?,The doors are locked every evening at eight.,\n",
    )
    first, second, third = from_csv(path, COLLECTION)
    assert first.gold == second.gold == ("attest:leave.md/v-leave.md/c-leave.md",)
    assert third.gold == ("attest:doors.md/v-doors.md/c-doors.md",)
    assert third.kind == "free"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("question,answer\n", "no question below"),
        ("question,reply\nWho?,me\n", "line 1: the column 'answer' is missing"),
        ("question,answer,answer\n", "line 1: two columns are named 'answer'"),
        ("question,answer,passage\nWho?,me,it is me\n,you,it is you\n", "line 3: the question"),
        ("question,answer\nWho?,me,or you\n", "line 2: 3 cells under 2 columns"),
        (b"question,answer\nWho?,caf\xe9\n", "line 2: not UTF-8"),
        ('question,answer,passage\nWho?,me,"never closed\n', "line 2: "),
        ("question,answer\nWho?,me\nWhat?,\nWhy?,so\n", r"line 2, 4 \(2 of 3 rows\)"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(BadSamples, match=said):
        from_csv(table(tmp_path, text))


def test_an_answer_that_no_passage_holds(tmp_path: Path) -> None:
    path = table(tmp_path, "question,answer\nHow many?,forty days\n")
    with pytest.raises(BadSamples, match=r"line 2 .*no passage of the collection"):
        from_csv(path, COLLECTION)


def test_a_source_narrows_where_is_looked(tmp_path: Path) -> None:
    path = table(tmp_path, "question,answer,source\nHow many?,thirty days,doors.md\n")
    with pytest.raises(BadSamples, match="line 2"):
        from_csv(path, COLLECTION)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadSamples, match="cannot be read"):
        from_csv(tmp_path / "none.csv")
