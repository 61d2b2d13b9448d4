from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from models import errors
from models.card import CARD
from models.embedder import SentenceEmbedder
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.reranker import PASSAGE, QUESTION, WEIGHTS, TokenEncoder, TokenReader

SHIPPED = Path(errors.__file__).parent / "rerankers" / "minilm-tokens-1"
QUESTION_TEXT = "How long may I stay away without a doctor's note?"
PASSAGES = [
    "A doctor's practice is on the ground floor; a note on its door says when it is open.",
    "Staff who are ill for more than three days must send a certificate by a physician.",
    "",
    "日本語 \U0001f600 \ud800",
    "Parking is free. " * 100,  # longer than what is read
]


@pytest.mark.weights
class TestShipped:
    def test_word_vectors_are_those_of_transformers_own_forward(self, minilm: Path) -> None:
        from transformers import BertModel, BertTokenizerFast

        model = BertModel.from_pretrained(minilm, local_files_only=True).eval()
        tokenizer = BertTokenizerFast.from_pretrained(minilm, local_files_only=True)
        found = TokenEncoder(minilm, "cpu", "float32").states([*PASSAGES[:3], PASSAGES[4]], PASSAGE)
        for text, states in zip([*PASSAGES[:3], PASSAGES[4]], found, strict=True):
            given = tokenizer(text, truncation=True, max_length=PASSAGE, return_tensors="pt")
            with torch.inference_mode():
                expected = model(**given).last_hidden_state[0]
            torch.testing.assert_close(states, expected, atol=2e-5, rtol=1e-4)

    def test_their_mean_is_the_embedders_vector(self, minilm: Path) -> None:
        (states,) = TokenEncoder(minilm, "cpu", "float32").states([QUESTION_TEXT], QUESTION)
        mean = states.mean(0).numpy()
        embedded = SentenceEmbedder(minilm, "cpu").embed([QUESTION_TEXT])[0]
        np.testing.assert_allclose(mean / np.linalg.norm(mean), embedded, atol=1e-5)

    def test_it_reads_with_the_default_embedder(self, minilm: Path) -> None:
        reader = TokenReader(SHIPPED, lambda: minilm)
        assert reader.embedder == SentenceEmbedder(minilm).identity
        assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 5 * 2**20

    def test_the_answer_in_other_words_wins_over_the_same_words(self, minilm: Path) -> None:
        reader = TokenReader(SHIPPED, lambda: minilm, "cpu")
        scores = reader.score(QUESTION_TEXT, PASSAGES)
        assert scores.index(max(scores)) == 1
        assert scores == reader.score(QUESTION_TEXT, PASSAGES)
        assert reader.score(QUESTION_TEXT, []) == []


def test_a_folder_without_a_reranker_says_so(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=CARD):
        _ = TokenReader(tmp_path, lambda: tmp_path).identity


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "changed")
    with (folder / WEIGHTS).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(WeightsCorrupt, match=WEIGHTS):
        _ = TokenReader(folder, lambda: tmp_path).prior


def test_a_broken_card_is_refused(tmp_path: Path) -> None:
    (tmp_path / CARD).write_text("{", "utf-8")
    with pytest.raises(WeightsCorrupt, match=CARD):
        _ = TokenReader(tmp_path, lambda: tmp_path).embedder


def test_a_folder_that_is_no_encoder_is_refused(tmp_path: Path, minilm: Path) -> None:
    shutil.copy(minilm / "tokenizer.json", tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "llama"}', "utf-8")
    with pytest.raises(UnsupportedCheckpoint, match=str(tmp_path)):
        TokenEncoder(tmp_path, "cpu").states(["words"], PASSAGE)
