"""A GGUF file once, then quick starts: its float32 tensors under our own names, its configuration
and its tokenizer, in `converted/` beside it.

Reading GGUF takes many seconds (a vocabulary read entry by entry, weights to dequantise); what is
written here is mapped into memory as it lies, and shared by the processes that map it. float32
holds the dequantised numbers exactly, so nothing changes but the time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.config import ModelConfig, RopeScaling
from models.errors import UnsupportedCheckpoint, WeightsCorrupt, WeightsMissing
from models.gguf import GGUF
from models.manifest import identity_of
from models.tokenizer import Tokenizer, tokenizer_from_gguf, tokenizer_from_json
from models.transformer import fused

FOLDER = "converted"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Converted:
    """`state` is under the names of `Transformer.from_state`, without a tied head."""

    identity: str
    config: ModelConfig
    state: dict[str, Tensor]
    tokenizer: Tokenizer


def convert_gguf(folder: Path) -> None:
    """Convert the folder's one GGUF file. `model.json` is written last. Raises WeightsMissing,
    WeightsCorrupt, UnsupportedCheckpoint."""
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        raise WeightsMissing(f"{folder} holds {len(files)} GGUF files, expected one to convert")
    source = GGUF(files[0])
    config = source.config()
    state = fused(config, source.weights())
    if config.tied:
        del state["head.weight"]
    target = folder / FOLDER
    target.mkdir(exist_ok=True)
    save_file({name: t.contiguous() for name, t in state.items()}, target / "state.safetensors")
    (target / "tokenizer.json").write_text(tokenizer_from_gguf(source).to_json(), "utf-8")
    about = {
        "format": FORMAT,
        "identity": identity_of(files[0].stem, files),
        "config": asdict(config),
    }
    (target / "model.json").write_text(json.dumps(about, indent=2), "utf-8")


def converted_identity(folder: Path) -> str:
    """The identity of what is converted there, without reading it. Raises WeightsCorrupt."""
    try:
        return str(json.loads((folder / FOLDER / "model.json").read_text("utf-8"))["identity"])
    except (ValueError, KeyError, OSError) as exc:
        raise WeightsCorrupt(f"{folder / FOLDER / 'model.json'} cannot be read: {exc}") from exc


def is_converted(folder: Path) -> bool:
    return (folder / FOLDER / "model.json").is_file()


def read_converted(folder: Path) -> Converted:
    """Raises WeightsCorrupt, or UnsupportedCheckpoint for another version's format."""
    source = folder / FOLDER
    try:
        about = json.loads((source / "model.json").read_text("utf-8"))
        if about["format"] != FORMAT:
            raise UnsupportedCheckpoint(
                f"{source} has format {about['format']}, this version reads {FORMAT}; remove "
                f"{folder} and run `attest models pull`"
            )
        values = dict(about["config"])
        if (scaling := values.pop("rope_scaling")) is not None:
            scaling = RopeScaling(**scaling | {"factors": tuple(scaling["factors"])})
        config = ModelConfig(**values, rope_scaling=scaling)
        state = load_file(source / "state.safetensors")
        text = (source / "tokenizer.json").read_text("utf-8")
        return Converted(str(about["identity"]), config, state, tokenizer_from_json(text))
    except (ValueError, KeyError, TypeError, OSError, SafetensorError) as exc:
        raise WeightsCorrupt(
            f"{source} cannot be read ({exc}); remove {folder} and run `attest models pull`"
        ) from exc
