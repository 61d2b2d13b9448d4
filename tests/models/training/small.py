"""A random checkpoint of a few thousand weights with a byte-level tokenizer, and made-up records:
enough to train on in moments.
"""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

WIDTH, FFN = 32, 48
TURNS = ("<|s|>", "<|e|>")
TEMPLATE = (
    "{% for m in messages %}<|s|>{{ m['role'] }}\n{{ m['content'] }}<|e|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|s|>assistant\n{% endif %}"
)
WORDS = ["amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "heron", "inlet", "jetty"]


def write_checkpoint(folder: Path, seed: int = 3) -> Path:
    """A Llama folder: 2 layers, width 32, 4 heads over 2, bytes as tokens."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    fast = Tokenizer(BPE({letter: i for i, letter in enumerate(letters)}, []))
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in TURNS])
    config = {
        "model_type": "llama",
        "vocab_size": fast.get_vocab_size(),
        "hidden_size": WIDTH,
        "intermediate_size": FFN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(_weights(fast.get_vocab_size(), seed), folder / "model.safetensors")
    fast.save(str(folder / "tokenizer.json"))
    about = {"eos_token": TURNS[1], "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")
    return folder


def _weights(vocabulary: int, seed: int) -> dict[str, torch.Tensor]:
    """Under their Hugging Face names; norms near 1, the rest near 0."""
    shapes = {"model.embed_tokens": (vocabulary, WIDTH), "model.norm": (WIDTH,)}
    for layer in ("model.layers.0.", "model.layers.1."):
        shapes |= {layer + "self_attn." + p: (WIDTH, WIDTH) for p in ("q_proj", "o_proj")}
        shapes |= {layer + "self_attn." + p: (WIDTH // 2, WIDTH) for p in ("k_proj", "v_proj")}
        shapes |= {layer + "mlp." + p: (FFN, WIDTH) for p in ("gate_proj", "up_proj")}
        shapes[layer + "mlp.down_proj"] = (WIDTH, FFN)
        shapes |= {layer + n: (WIDTH,) for n in ("input_layernorm", "post_attention_layernorm")}
    chance = torch.Generator().manual_seed(seed)
    return {
        f"{name}.weight": torch.randn(shape, generator=chance) * 0.15 + (len(shape) == 1)
        for name, shape in shapes.items()
    }


def raw_records(documents: int = 4, passages: int = 4, seed: int = 0) -> list[dict[str, Any]]:
    """In the schema of training files: each passage gives a code to each of two words, and no
    other passage holds that code; a few questions that nothing answers."""
    chance = random.Random(seed)
    codes = iter(chance.sample(range(1000, 9999), documents * passages * 2))
    made = []
    for doc in range(documents):
        for number in range(passages):
            words = chance.sample(WORDS, 2)
            found = {word: str(next(codes)) for word in words}
            said = " ".join(f"The code of {w} is {c}." for w, c in found.items())
            passage = {"id": f"d{doc}#{number}", "title": f"Doc {doc}", "text": said}
            raw = {"dataset": "made", "doc": f"d{doc}", "passages": [passage], "kind": "span"}
            for word, code in found.items():
                start = said.index(code)
                made.append(
                    raw
                    | {
                        "id": f"d{doc}#{number}/{word}",
                        "question": f"Code of {word}?",
                        "gold": [passage["id"]],
                        "answers": [code],
                        "answerable": True,
                        "evidence": [
                            {"passage": passage["id"], "start": start, "end": start + len(code)}
                        ],
                    }
                )
            none = {"question": "Who is mayor?", "gold": [], "answers": [], "answerable": False}
            if number == 0:
                made.append(raw | none | {"id": f"d{doc}/none"})
    return made


def write_records(path: Path, records: list[dict[str, Any]] | None = None) -> Path:
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        for record in records or raw_records():
            stream.write(json.dumps(record) + "\n")
    return path
