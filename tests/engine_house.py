"""A data folder over a model of a few thousand weights, with adapters that can be promoted, and
what is asked of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import torch

from models.checkpoint import load
from models.lora import WEIGHTS, LoraConfig, save_adapter
from models.lora import Adapter as Lora
from models.manifest import sha256_of
from rag.adapters import register
from rag.bootstrap import Attest, open_attest
from rag.domain import LOCAL_USER, Adapter, AdapterState, Sampling
from rag.settings import load_settings
from tests.models.training.small import write_checkpoint

KEY = "the-key-of-these-tests"
PASSAGES = ["The code of amber is 1234. Ask Kim.", "The code of basil is 5678.", "Doors: 20:00."]
QUESTION = "What is the code of basil?"
SHORT = Sampling(max_tokens=40)
LONG = Sampling(max_tokens=1200, temperature=1.0, seed=4)  # seconds of writing
ROW = 2  # answers at once, and as many wait


def furnish(folder: Path) -> Path:
    """With the candidates `first` and `second`."""
    folder.mkdir(exist_ok=True)
    model = write_checkpoint(folder / "tiny")
    (folder / "settings.toml").write_text(
        f'model = "{model}"\ndevice = "cpu"\ndtype = "float32"\nthreads = 1\n'
        f"answers_at_once = {ROW}\nanswers_waiting = {ROW}\n",
        "utf-8",
    )
    attest = open_attest(load_settings(folder))
    for seed, name in enumerate(("first", "second")):
        base = load(model)
        torch.manual_seed(seed)
        lora = Lora(base.model, LoraConfig(rank=4))
        with torch.no_grad():
            for weights in lora.parameters():
                weights.normal_(std=0.3)
        made = folder / "adapters" / name
        tuned = {"min_confidence": 0.25, "confidence": {"bias": 0.1}}
        save_adapter(lora, made, base.identity, tuned, torch.float32)
        register(attest.store, LOCAL_USER, registered(name, base.identity, made))
    attest.close()
    return folder


def registered(name: str, base: str, folder: Path) -> Adapter:
    return Adapter(
        name=name,
        base=base,
        digest=sha256_of(folder / WEIGHTS),
        folder=f"adapters/{name}",
        state=AdapterState.CANDIDATE,
        collection=None,
        card={},
        sources=(),
        promoted=None,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def metric(attest: Attest, name: str) -> float:
    """A number of the engine's process, as an operator reads it."""
    assert attest.engine_client is not None
    text = attest.engine_client._send("GET", "/metrics").text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))
