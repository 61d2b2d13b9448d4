from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.embedder import SentenceEmbedder
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from rag.ports import Embedder

TEXTS = [
    "The notice period is 30 days.",
    "Katzen",
    "",
    "two\nlines",
    "日本語 \U0001f600",
    "x " * 90,
]


@pytest.fixture(scope="module")
def embedder(minilm: Path) -> SentenceEmbedder:
    return SentenceEmbedder(minilm, device="cpu", threads=1)


@pytest.mark.weights
class TestMiniLM:
    def test_the_port(self, embedder: SentenceEmbedder) -> None:
        port: Embedder = embedder
        assert port.identity == "all-minilm-l6-v2/53aa51172d14/torch-fp32"
        assert (port.dimension, port.max_tokens) == (384, 256)

    def test_equal_to_sentence_transformers(self, embedder: SentenceEmbedder, minilm: Path) -> None:
        from sentence_transformers import SentenceTransformer

        reference = SentenceTransformer(str(minilm), device="cpu", local_files_only=True)
        expected = reference.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
        np.testing.assert_allclose(embedder.embed(TEXTS), expected, atol=1e-5)

    def test_rows_are_unit_vectors_in_the_given_order(self, embedder: SentenceEmbedder) -> None:
        texts = [f"{'word ' * (i % 7)}number {i}" for i in range(70)]  # more than two batches
        vectors = embedder.embed(texts)
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
        for i in (0, 33, 69):
            np.testing.assert_allclose(vectors[i], embedder.embed([texts[i]])[0], atol=1e-5)

    def test_nothing_to_embed(self, embedder: SentenceEmbedder) -> None:
        assert embedder.embed([]).shape == (0, 384)

    def test_tokens_are_counted_uncut_with_the_special_ones(
        self, embedder: SentenceEmbedder
    ) -> None:
        assert embedder.count_tokens("") == 2
        assert embedder.count_tokens("hello world") == 4
        assert embedder.count_tokens("hello " * 1000) == 1002

    def test_max_tokens_is_where_the_cut_is(self, embedder: SentenceEmbedder) -> None:
        fits = "hello " * (embedder.max_tokens - 2)
        assert embedder.count_tokens(fits) == embedder.max_tokens
        fitting, longer = embedder.embed([fits, fits + "goodbye"])
        np.testing.assert_allclose(fitting, longer, atol=1e-6)
        shorter = embedder.embed(["hello " * (embedder.max_tokens - 3) + "goodbye"])[0]
        assert float(fitting @ shorter) < 0.9999

    def test_a_lone_surrogate_is_no_error(self, embedder: SentenceEmbedder) -> None:
        assert embedder.count_tokens("a \ud800 b") == embedder.count_tokens("a ? b")
        np.testing.assert_allclose(*embedder.embed(["a \ud800 b", "a ? b"]), atol=1e-6)

    def test_many_threads_share_one(self, embedder: SentenceEmbedder) -> None:
        expected = embedder.embed(TEXTS)
        found: list[NDArray[np.float32]] = []

        def work() -> None:
            for _ in range(3):
                embedder.count_tokens(TEXTS[0] * 50)
                found.append(embedder.embed(TEXTS))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 12
        for vectors in found:
            np.testing.assert_allclose(vectors, expected, atol=1e-6)

    def test_no_network_is_touched_and_nothing_is_printed(self, minilm: Path) -> None:
        code = (
            "import socket, sys\n"
            "def refuse(*a, **k): raise SystemExit('the network was touched')\n"
            "socket.socket.connect = socket.getaddrinfo = refuse\n"
            "from pathlib import Path\n"
            "from models.embedder import SentenceEmbedder\n"
            "assert 'torch' not in sys.modules\n"
            "print(SentenceEmbedder(Path(sys.argv[1])).embed(['hello']).shape)\n"
        )
        online = {k: v for k, v in os.environ.items() if "OFFLINE" not in k}
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", code, str(minilm)],
            env=online | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (run.stdout, run.stderr) == ("(1, 384)\n", "")

    def test_changed_weights_are_refused(self, minilm: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(minilm, tmp_path / "copy"))
        with (copy / "model.safetensors").open("r+b") as file:
            file.seek(1000)
            file.write(b"\0\1\2")
        with pytest.raises(WeightsCorrupt, match="expected sha256 53aa51172d14"):
            _ = SentenceEmbedder(copy).identity

    def test_a_folder_of_ones_own_needs_no_manifest(self, minilm: Path, tmp_path: Path) -> None:
        copy = Path(shutil.copytree(minilm, tmp_path / "our-embedder"))
        (copy / "manifest.json").unlink()
        assert SentenceEmbedder(copy).identity == "our-embedder/53aa51172d14/torch-fp32"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="attest models pull"):
        SentenceEmbedder(tmp_path / "nothing")


def test_a_folder_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[]")
    embedder = SentenceEmbedder(tmp_path)
    for use in (
        lambda: embedder.identity,
        lambda: embedder.max_tokens,
        lambda: embedder.count_tokens("x"),
    ):
        with pytest.raises(UnsupportedCheckpoint):
            use()


@pytest.mark.parametrize(
    ("modules", "dimension"),
    [
        ({"Pooling": {"word_embedding_dimension": 24, "pooling_mode_mean_tokens": True}}, 24),
        (
            {
                "Pooling": {
                    "word_embedding_dimension": 24,
                    "pooling_mode_cls_token": True,
                    "pooling_mode_max_tokens": True,
                }
            },
            48,
        ),
        ({"Pooling": {"embedding_dimension": 24, "pooling_mode": ["mean", "max"]}}, 48),
        ({"Pooling": {"embedding_dimension": 24, "pooling_mode": "mean"}}, 24),
        ({"Pooling": {"word_embedding_dimension": 24}, "Dense": {"out_features": 7}}, 7),
        ({}, None),
        ({"Pooling": {}}, None),
    ],
)
def test_the_dimension_is_read_without_the_weights(
    tmp_path: Path, modules: dict[str, dict[str, object]], dimension: int | None
) -> None:
    listed = [{"path": "", "type": "sentence_transformers.models.Transformer"}]
    for number, (kind, config) in enumerate(modules.items(), 1):
        listed.append({"path": f"{number}_{kind}", "type": f"sentence_transformers.models.{kind}"})
        (tmp_path / f"{number}_{kind}").mkdir()
        (tmp_path / f"{number}_{kind}" / "config.json").write_text(json.dumps(config))
    (tmp_path / "modules.json").write_text(json.dumps(listed))
    embedder = SentenceEmbedder(tmp_path)
    if dimension is None:
        with pytest.raises(UnsupportedCheckpoint, match="how long"):
            _ = embedder.dimension
    else:
        assert embedder.dimension == dimension
