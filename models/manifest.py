"""What is in a model's folder. The manifest is written last, so a folder without one is unfinished
and is never used.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.errors import WeightsCorrupt, WeightsMissing

NAME = "manifest.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """`files` maps each path in the folder (with forward slashes) to its sha256."""

    name: str
    source: str  # the requirement that carried it
    licence: str
    converted: bool
    files: dict[str, str]


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity_of(name: str, files: Sequence[Path]) -> str:
    """The name and the first 12 hex digits of the sha256 over the files' sha256."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(bytes.fromhex(sha256_of(file)))
    return f"{name}@{digest.hexdigest()[:12]}"


def hashed(folder: Path) -> dict[str, str]:
    """The sha256 of every file under the folder but the manifest, by path."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != NAME
    }


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all."""
    body = {
        "format": FORMAT,
        "name": manifest.name,
        "source": manifest.source,
        "licence": manifest.licence,
        "converted": manifest.converted,
        "files": manifest.files,
    }
    waiting = folder / f"{NAME}.part"
    with waiting.open("w", encoding="utf-8") as file:
        file.write(json.dumps(body, indent=2, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    waiting.replace(folder / NAME)


def read_manifest(folder: Path) -> Manifest:
    """Raises WeightsMissing when there is none, WeightsCorrupt when it cannot be read."""
    path = folder / NAME
    try:
        body = json.loads(path.read_text("utf-8"))
        if body["format"] != FORMAT:
            raise WeightsCorrupt(
                f"{path} has format {body['format']}, this version reads {FORMAT}; remove "
                f"{folder} and run `attest models pull`"
            )
        return Manifest(
            name=str(body["name"]),
            source=str(body["source"]),
            licence=str(body["licence"]),
            converted=bool(body["converted"]),
            files={str(file): str(sha256) for file, sha256 in body["files"].items()},
        )
    except FileNotFoundError as exc:
        raise WeightsMissing(
            f"no finished model in {folder}; run `attest models pull` to fetch it"
        ) from exc
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as exc:
        raise WeightsCorrupt(
            f"{path} cannot be read ({exc}); remove {folder} and run `attest models pull`"
        ) from exc


def check_files(folder: Path, expected: dict[str, str]) -> None:
    """Hash each expected file again. Raises WeightsCorrupt with both hashes."""
    for file, sha256 in expected.items():
        path = folder / file
        found = sha256_of(path) if path.is_file() else "no such file"
        if found != sha256:
            raise WeightsCorrupt(
                f"{path} is not what was published: expected sha256 {sha256}, found {found}; "
                f"remove {folder} and run `attest models pull`"
            )
