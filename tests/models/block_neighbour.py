"""Another process over the same folder of KV blocks: `python -m tests.models.block_neighbour FOLDER
MEMORY DISK`. It does as each line says (words are quoted as in an address), and
answers in one.

    get TEXT        -> yes, no, or "wrong" for other tensors than the text's
    ask TEXT        -> yes, once it was got or put
    forget TEXT     -> done
    work SEED N     -> done, after N random gets, puts and now and then an erasure
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from urllib.parse import unquote

import torch

from models.block_store import BlockStore
from tests.models.block_making import key, made, same


def right(store: BlockStore, text: str) -> str:
    got = store.get(key(text))
    if got is None:
        return "no"
    return "yes" if same(got, store.rounded(made(text))) else "wrong"


def ask(store: BlockStore, text: str) -> str:
    found = right(store, text)
    if found == "no":
        store.put(key(text), made(text))
    return "wrong" if found == "wrong" else "yes"


def work(store: BlockStore, seed: int, rounds: int) -> str:
    chance = random.Random(seed)
    for _ in range(rounds):
        text = str(min(int(chance.paretovariate(0.7)), 60))
        if chance.random() < 0.05:
            store.forget([text])
        elif ask(store, text) == "wrong":
            return "wrong"
    return "done"


def main() -> None:
    torch.set_num_threads(1)
    folder, memory, disk = sys.argv[1:]
    store = BlockStore(Path(folder), int(memory), int(disk), "exact")
    for line in sys.stdin:
        verb, *quoted = line.split()
        rest = [unquote(each) for each in quoted]
        if verb == "get":
            said = right(store, rest[0])
        elif verb == "ask":
            said = ask(store, rest[0])
        elif verb == "work":
            said = work(store, int(rest[0]), int(rest[1]))
        else:
            store.forget(rest)
            said = "done"
        print(said, flush=True)


if __name__ == "__main__":
    main()
