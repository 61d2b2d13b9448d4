"""The Quality page over runs that were really made."""

from __future__ import annotations

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from eval import commands
from tests.ui.conftest import House, Open, settled, words

TEXTS = {
    "leave": "Full-time staff have thirty days of paid leave.",
    "meals": "Meals on business travel are paid up to 45 euros a day.",
    "doors": "The doors are locked at eight every evening.",
}


def samples(path: Path) -> Path:
    lines = []
    asked = {
        "leave": ("How many days of paid leave do staff have?", "thirty days"),
        "meals": ("Up to how much are meals on travel paid?", "45 euros"),
        "doors": ("When are the doors locked?", "at eight"),
    }
    for key, (question, answer) in asked.items():
        passage = {"id": key, "title": "", "text": TEXTS[key]}
        lines.append(
            {
                "id": key, "dataset": "test", "question": question, "passages": [passage],
                "gold": [key], "answers": [answer], "answerable": True, "kind": "span", "doc": key,
            }
        )  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def cells(page: AppTest) -> str:
    return "\n".join(table.value.to_csv(index=False) for table in page.table)


def test_without_a_run_it_says_how(house: House, opened: Open) -> None:
    assert "No evaluation has run yet." in words(opened("quality"))


def test_a_run_with_n_and_interval(house: House, opened: Open, tmp_path: Path) -> None:
    commands.run(house.attest, samples(tmp_path / "small.jsonl"))
    page = opened("quality")
    (run,) = house.client.runs()
    (shown,) = page.dataframe
    assert list(shown.value["run"]) == ["small"]
    assert list(shown.value["n"]) == ["3"]
    right = run.report["metrics"]["right"]  # type: ignore[index]
    line = next(line for line in cells(page).splitlines() if line.startswith("right,"))
    interval = f"{right['low']:.3f} to {right['high']:.3f}"
    assert line == f"right,{right['value']:.3f},{interval},{right['n']}"


def test_two_runs_side_by_side(house: House, opened: Open, tmp_path: Path) -> None:
    file = samples(tmp_path / "small.jsonl")
    commands.run(house.attest, file)
    commands.run(house.attest, file, distractors=2, seed=1)
    page = opened("quality")
    newest, oldest = house.client.runs()
    assert page.selectbox(key="run").value == newest.id
    settled(page.selectbox(key="other-run").set_value(oldest.id).run())
    assert "over the 3 samples both hold" in words(page)
    assert "distractors,0,2" in cells(page)
    shared = house.client.compare(newest.id, oldest.id)
    assert shared.shared == 3


def test_runs_of_retrieval(house: House, opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": key, "title": "", "text": text} for key, text in TEXTS.items()]
    write(folder / "corpus.jsonl", corpus)
    write(folder / "queries.jsonl", [{"_id": "q", "text": "When are the doors locked?"}])
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tdoors\t1\n", "utf-8")
    commands.retrieval(house.attest, folder)
    page = opened("quality")
    assert {metric.label for metric in page.metric} == {
        "ndcg@10", "recall@10", "recall@100", "mrr@10",
    }  # fmt: skip
    assert "hybrid" in cells(page)
    assert "lexical" in cells(page)


def write(path: Path, lines: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
