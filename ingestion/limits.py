"""What one document may cost. Plain data, so that it can be handed to the parsing child."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """`seconds` is wall time (CPU time is held to the same), `memory_bytes` the child's address
    space, `expanded_bytes` what the parts of an office file may unpack to, `expansion` the highest
    ratio of one part, `members` how many parts there may be.

    Of the files in an archive or mail: `archived_files` how many, `archived_bytes` their size
    together, `file_bytes` of one of them, `archive_depth` how deep archives lie in archives.
    """

    pages: int = 5_000
    characters: int = 20_000_000
    seconds: float = 60.0
    memory_bytes: int = 1_500 * MIB
    expanded_bytes: int = 256 * MIB
    expansion: int = 250
    members: int = 10_000
    archived_files: int = 1_000
    archived_bytes: int = 256 * MIB
    file_bytes: int = 100 * MIB
    archive_depth: int = 3
