"""The store of KV blocks: what one byte a number loses, what a block takes and how fast it comes
back, and how many requests a tenth of the room answers.

    python -m benchmarks.blocks RECORDS --weights MODELS/smollm2-135m-instruct [--prompts 40]

RECORDS is a file of questions with passages (docs/tuning-data.md). Errors are those of a reader of
changed blocks against one of the blocks as computed, in float32 and relative: of the attention's
output over all layers and tokens of the question, and of its logits; KL is per token, in nats.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from statistics import mean, median
from time import process_time

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div, pad

from models import kv
from models.block_file import Precision
from models.block_key import BlockKey, text_key
from models.block_quantise import quantise, restore
from models.block_store import BlockStore
from models.blocks import KVBlock, encode, encode_blocks, join
from models.checkpoint import Checkpoint, load
from models.prompt import PromptBuilder
from models.training.records import Record, read_records

Change = Callable[[Tensor], Tensor]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.blocks", description=__doc__.split("\n")[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="the reader's folder")
    parser.add_argument("--prompts", type=int, default=40)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    records = list(read_records(options.records))
    step = max(1, len(records) // options.prompts)
    with torch.no_grad():
        losses(load(options.weights), records[::step][: options.prompts])
    speeds()
    hits()


# --- what is lost --------------------------------------------------------------------------------


def per(dims: tuple[int, ...]) -> Change:
    """One float16 scale for all of these dimensions of (layers, kv_heads, T, head_width)."""

    def change(x: Tensor) -> Tensor:
        scale = (x.abs().amax(dims, keepdim=True) / 127).half().float().clamp_min(2.0**-24)
        return (x / scale).round().clamp(-127, 127) * scale

    return change


def tokens(size: int) -> Change:
    """One float16 scale for each `size` tokens of a head."""

    def change(x: Tensor) -> Tensor:
        padded = pad(x, (0, 0, 0, -x.shape[2] % size)).unflatten(2, (-1, size))
        return per((3, 4))(padded).flatten(2, 3)[:, :, : x.shape[2]]

    return change


def kept(x: Tensor) -> Tensor:
    """As the store does."""
    return restore(*quantise(x), x.dtype)


VARIANTS: dict[str, tuple[Change, Change]] = {
    "bfloat16": (lambda x: x.bfloat16().float(),) * 2,
    "a scale per channel, one byte (taken)": (kept, kept),
    "keys per channel, values per 10 tokens, 16 bit": (per((2,)), tokens(10)),
    "a scale per channel, 16 bit (too large)": (per((2,)), per((2,))),
    "keys per channel, values per head, 16 bit": (per((2,)), per((2, 3))),
    "a scale per token, 16 bit (too large)": (per((3,)), per((3,))),
    "a scale per head, 16 bit": (per((2, 3)), per((2, 3))),
}


def losses(checkpoint: Checkpoint, records: Sequence[Record]) -> None:
    model, prompts = checkpoint.model, PromptBuilder(checkpoint.tokenizer)
    prefix = encode(model, prompts.prefix)
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in VARIANTS}
    lengths = []
    for record in records:
        prompt = prompts.build([passage.shown for passage in record.passages[:5]], record.question)
        blocks = encode_blocks(model, prefix, prompt.passages)
        lengths += [block.length for block in blocks]
        whole = read(checkpoint, prefix, blocks, prompt.question)
        for name, (keys, values) in VARIANTS.items():
            changed = [KVBlock(keys(block.keys), values(block.values)) for block in blocks]
            seen = read(checkpoint, prefix, changed, prompt.question)
            found[name].append(compared(blocks, changed, whole, seen))
    print(f"{len(records)} prompts, {len(lengths)} blocks of {mean(lengths):.0f} tokens on average")
    print(f"{'':<48}{'keys':>8}{'values':>8}{'attention':>11}{'logits':>8}{'KL':>10}{'argmax':>8}")
    for name, rows in found.items():
        *errors, divergence, same = (mean(column) for column in zip(*rows, strict=True))
        cells = "".join(
            f"{100 * error:>{w}.2f}%" for error, w in zip(errors, (7, 7, 10, 7), strict=True)
        )
        print(f"{name:<48}{cells}{divergence:>10.1e}{same:>8.4f}")


def read(
    checkpoint: Checkpoint, prefix: KVBlock, blocks: Sequence[KVBlock], question: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """What attention gives, (layers, 1, heads, T, head_width), and logits (T, vocabulary)."""
    model = checkpoint.model
    length = prefix.length + sum(block.length for block in blocks) + len(question)
    cache = kv.KVCache(model.config, length)
    cache.append(*join(model, prefix, blocks))
    with attention_seen() as seen:
        hidden = model(torch.tensor([list(question)]), kv=cache)
    return torch.stack(seen), model.logits(hidden[0])


@contextmanager
def attention_seen() -> Iterator[list[Tensor]]:
    plain, seen = kv.attend, list[Tensor]()

    def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        seen.append(plain(q, keys, values, mask))
        return seen[-1]

    kv.attend = attend
    try:
        yield seen
    finally:
        kv.attend = plain


def compared(
    blocks: Sequence[KVBlock],
    changed: Sequence[KVBlock],
    whole: tuple[Tensor, Tensor],
    seen: tuple[Tensor, Tensor],
) -> tuple[float, ...]:
    pairs = list(zip(blocks, changed, strict=True))
    layers = zip(whole[0], seen[0], strict=True)
    logs = whole[1].log_softmax(-1), seen[1].log_softmax(-1)
    return (
        mean(off(one.keys, other.keys) for one, other in pairs),
        mean(off(one.values, other.values) for one, other in pairs),
        mean(off(one, other) for one, other in layers),
        off(whole[1], seen[1]),
        float(kl_div(logs[1], logs[0], log_target=True, reduction="batchmean")),
        float((logs[0].argmax(-1) == logs[1].argmax(-1)).float().mean()),
    )


def off(whole: Tensor, seen: Tensor) -> float:
    return float((seen - whole).norm() / whole.norm())


# --- how fast ------------------------------------------------------------------------------------


def speeds() -> None:
    """CPU time, not the clock's: what a neighbour does on this machine is not counted."""
    print("\nfive blocks of 200 tokens of SmolLM2-135M, one thread, milliseconds of CPU (of 30)")
    keys = [BlockKey("benchmark", text_key(str(number))) for number in range(5)]
    precisions: tuple[Precision, ...] = ("int8", "exact")
    for precision in precisions:
        for dtype in (torch.bfloat16, torch.float32):
            with tempfile.TemporaryDirectory() as folder:
                store = BlockStore(Path(folder), 1 << 30, 1 << 30, precision)
                shape = (30, 3, 200, 64)
                block = KVBlock(torch.randn(shape).to(dtype), torch.randn(shape).to(dtype))
                put = timed(lambda s=store, b=block: [s.put(key, b) for key in keys], 1)[0]
                size = store.stats().disk_bytes / 1000
                on_disk = BlockStore(Path(folder), 0, 1 << 30, precision)
                named = f"{precision} {str(dtype).removeprefix('torch.')}"
                print(
                    f"{named:<15}{size:>9,.0f} bytes a token"
                    f"   put {put:.0f}"
                    f"   memory {shortest_and_median(lambda s=store: [s.get(k) for k in keys])}"
                    f"   disk {shortest_and_median(lambda s=on_disk: [s.get(k) for k in keys])}"
                )


def timed(act: Callable[[], object], times: int) -> list[float]:
    spent = []
    for _ in range(times):
        began = process_time()
        act()
        spent.append(1000 * (process_time() - began))
    return spent


def shortest_and_median(act: Callable[[], object]) -> str:
    spent = timed(act, 30)
    return f"{min(spent):.2f} ({median(spent):.2f})"


# --- how often -----------------------------------------------------------------------------------


def hits(passages: int = 2_000, requests: int = 20_000) -> None:
    print(f"\nZipf(1.1), {requests} requests for {passages} passages, from empty, of 3 seeds")
    for share in (0.05, 0.1, 0.2):
        room = int(passages * share)
        ours, plain = zip(*(hit_shares(passages, requests, room, s) for s in range(3)), strict=True)
        print(
            f"room for {share:.0%}: {mean(ours):.3f}, least recently used alone {mean(plain):.3f}"
        )


def hit_shares(passages: int, requests: int, room: int, seed: int) -> tuple[float, float]:
    chance = np.random.default_rng(seed)
    weight = np.arange(1, passages + 1) ** -1.1
    drawn = chance.choice(passages, size=requests, p=weight / weight.sum())
    block = KVBlock(torch.ones(1, 1, 1, 4), torch.ones(1, 1, 1, 4))
    store = BlockStore(None, room * (block.keys.nbytes + block.values.nbytes), 0)
    held: OrderedDict[int, None] = OrderedDict()
    plain = 0
    for each in map(int, drawn):
        key = BlockKey("benchmark", text_key(str(each)))
        if store.get(key) is None:
            store.put(key, block)
        plain += each in held
        held[each] = None
        held.move_to_end(each)
        for oldest in list(islice(held, max(0, len(held) - room))):
            del held[oldest]
    return store.stats().memory_hits / requests, plain / requests


if __name__ == "__main__":
    main()
