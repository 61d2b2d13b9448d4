"""What is made of weights is made once, and is the same to the bit when it is read again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from models.checkpoint import Checkpoint, load
from models.engine.weights import merged
from models.lora import Adapter, LoraConfig
from models.prepared import Prepared, Tensors
from models.tokenizer import Tokenizer
from tests.models.tiny import tiny

MADE: Tensors = {
    "numbers": torch.arange(3_000_000).to(torch.int8).view(300, 10_000),
    "scale": torch.linspace(-1, 1, 7).to(torch.bfloat16),
    "flags": torch.tensor([True, False, True]),
}


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Tensors:
        self.calls += 1
        return dict(MADE)


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and torch.equal(one[name], other[name]) for name in one
    )


def test_it_is_made_once_for_all_starts(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert same(Prepared(tmp_path / "new").tensors("kind", "weights A", make), MADE)
    assert make.calls == 1
    Prepared(tmp_path / "new").tensors("kind", "weights B", make)
    assert make.calls == 2, "of other weights something else is made"


@pytest.mark.parametrize("at", [0, 5_000, -1])
def test_a_damaged_file_is_made_again(tmp_path: Path, at: int) -> None:
    make = Maker()
    Prepared(tmp_path).tensors("kind", "weights", make)
    (path,) = tmp_path.iterdir()
    raw = bytearray(path.read_bytes())
    raw[at] ^= 4
    path.write_bytes(raw)
    assert same(Prepared(tmp_path).tensors("kind", "weights", make), MADE)
    assert same(Prepared(tmp_path).tensors("kind", "weights", make), MADE)
    assert make.calls == 2
    assert len(list(tmp_path.iterdir())) == 1, "the damaged one is gone"


def test_half_a_file_and_pieces_that_changed_places_are_noticed(tmp_path: Path) -> None:
    make = Maker()
    big = {"x": torch.arange(2**21)}  # 16 MiB: several pieces of the checksum
    Prepared(tmp_path).tensors("kind", "big", lambda: big)
    (path,) = tmp_path.iterdir()
    raw = path.read_bytes()
    piece = 2**22
    for damaged in (
        raw[: len(raw) // 2],
        raw[:piece] + raw[2 * piece : 3 * piece] + raw[piece : 2 * piece] + raw[3 * piece :],
    ):
        path.write_bytes(damaged)
        assert same(Prepared(tmp_path).tensors("kind", "big", make), MADE)
        (path,) = tmp_path.iterdir()
        path.unlink()
        path = tmp_path / path.name
        Prepared(tmp_path).tensors("kind", "big", lambda: big)
        (path,) = tmp_path.iterdir()
    assert make.calls == 2


def test_where_nothing_can_be_written_it_is_made_at_every_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    make = Maker()
    for _ in range(2):
        assert same(Prepared(occupied).tensors("kind", "weights", make), MADE)
    assert make.calls == 2
    assert "not kept" in caplog.text


def test_few_of_a_kind_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        Prepared(tmp_path).tensors("adapter", f"weights {number}", Maker())
    Prepared(tmp_path).tensors("other", "weights", Maker())
    names = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert sorted(names) == ["adapter", "adapter", "other"]


def test_a_merged_adapter_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    """As without a folder, to the bit; and an adapter of another scale is not taken for it."""
    tokenizer: Tokenizer = None  # type: ignore[assignment]  # no text here

    def state(prepared: Prepared, alpha: float) -> Tensors:
        base = tiny().to(torch.bfloat16)
        torch.manual_seed(1)
        adapter = Adapter(base, LoraConfig(rank=2, alpha=alpha)).requires_grad_(False)
        for weights in adapter.parameters():
            weights.normal_(std=0.3)
        checkpoint = Checkpoint("tiny@1", base, tokenizer, None, prepared)
        return dict(_merged_state(checkpoint, adapter))

    kept = Prepared(tmp_path)
    plain = state(Prepared(), 4)
    assert same(state(kept, 4), plain)
    assert same(state(kept, 4), plain)
    assert not same(state(kept, 8), plain)


def _merged_state(checkpoint: Checkpoint, adapter: Adapter) -> Tensors:
    """What it gives, as passes see it: packed weights have no numbers to look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.engine.weights.packs", lambda model: False)
        return dict(merged(checkpoint, adapter, "name@digest").state_dict())


def test_pulled_weights_are_rounded_once(tmp_path: Path, smollm2: Path) -> None:
    plain = load(smollm2, torch.bfloat16).model.state_dict()
    for _ in range(2):
        kept = load(smollm2, torch.bfloat16, prepared=Prepared(tmp_path))
        assert same(dict(kept.model.state_dict()), dict(plain))
    assert len(list(tmp_path.iterdir())) == 2
