"""A checkpoint on disk (GGUF file, or a folder of safetensors) -> model and tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from models.config import config_from_hugging_face
from models.convert import Converted, converted_identity, is_converted, read_converted
from models.errors import WeightsCorrupt, WeightsMissing
from models.gguf import GGUF
from models.manifest import identity_of
from models.prepared import Prepared, Tensors
from models.tokenizer import Tokenizer, tokenizer_from_folder, tokenizer_from_gguf
from models.transformer import Transformer, projects


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`identity` is the file name and the first 12 hex digits of the weights' sha256; `source` is
    where they can be read again, `prepared` where what is made of them is kept."""

    identity: str
    model: Transformer
    tokenizer: Tokenizer
    source: Path | None = None
    prepared: Prepared = field(default_factory=Prepared)


def load(
    path: Path,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    prepared: Prepared | None = None,
) -> Checkpoint:
    """`path` is a GGUF file, a folder with one (read from what it was converted to, when it was),
    or a Hugging Face folder with safetensors. `prepared` keeps the rounded weights. Raises
    WeightsMissing, WeightsCorrupt or UnsupportedCheckpoint."""
    if is_converted(path):
        found, kept = read_converted(path), prepared or Prepared()
        state = _rounded(found, dtype, kept)
        model = Transformer.from_state(found.config, state, dtype, device)
        return Checkpoint(found.identity, model, found.tokenizer, path, kept)
    files = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    if files:
        return _load_gguf(files[0], dtype, device)
    if not (path / "config.json").is_file():
        raise _nothing_at(path)
    return _load_folder(path, dtype, device)


def _rounded(found: Converted, dtype: torch.dtype, prepared: Prepared) -> Tensors:
    """The state in this type. What an engine lays out anew lies in a file of its own, so that it
    can let go of it and of its memory."""
    if dtype == torch.float32:
        return found.state
    own = f"{found.identity}\n{dtype}"

    def made(wanted: bool) -> Tensors:
        return {n: t.to(dtype) for n, t in found.state.items() if projects(n, t) == wanted}

    projections = prepared.tensors("projections", own, lambda: made(True))
    return projections | prepared.tensors("rest", own, lambda: made(False))


def identity_at(path: Path) -> str:
    """The identity of the checkpoint at `path`, without loading it. Raises as `load` does."""
    if is_converted(path):
        return converted_identity(path)
    files = [path] if path.is_file() else sorted(path.glob("*.gguf"))
    if files:
        return identity_of(files[0].stem, files[:1])
    if not (path / "config.json").is_file():
        raise _nothing_at(path)
    return identity_of(path.name, _safetensors(path))


def _nothing_at(path: Path) -> WeightsMissing:
    return WeightsMissing(f"{path} holds neither a GGUF file nor a checkpoint's config.json")


def _load_gguf(path: Path, dtype: torch.dtype, device: torch.device | str) -> Checkpoint:
    file = GGUF(path)
    model = Transformer.from_weights(file.config(), file.weights(), dtype, device)
    return Checkpoint(identity_of(path.stem, [path]), model, tokenizer_from_gguf(file), path)


def _load_folder(folder: Path, dtype: torch.dtype, device: torch.device | str) -> Checkpoint:
    try:
        raw = json.loads((folder / "config.json").read_text("utf-8"))
    except (ValueError, OSError) as exc:
        raise WeightsCorrupt(f"{folder / 'config.json'} cannot be read: {exc}") from exc
    config = config_from_hugging_face(raw)
    files = _safetensors(folder)
    weights: dict[str, Tensor] = {}
    for file in files:
        try:
            weights.update(load_file(file))
        except (SafetensorError, OSError) as exc:
            raise WeightsCorrupt(f"{file} cannot be read: {exc}") from exc
    model = Transformer.from_weights(config, weights, dtype, device)
    return Checkpoint(identity_of(folder.name, files), model, tokenizer_from_folder(folder), folder)


def _safetensors(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = set(json.loads(index.read_text("utf-8"))["weight_map"].values())
        files = [folder / name for name in sorted(names)]
    else:
        files = [folder / "model.safetensors"]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise WeightsMissing(f"no file {missing[0]}")
    return files
