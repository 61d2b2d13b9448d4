"""Prints constraints.txt from the environment it runs in: `make pin` after a change of packages.

Our own package and what only this platform has (local builds such as torch's `+cpu`) are left out,
so that the same file pins Linux, macOS and every supported Python.
"""

from __future__ import annotations

import re
from importlib.metadata import distributions

OURS = "attest-rag"
INSTALLERS = {"pip", "setuptools", "wheel"}
HEADER = """\
# Versions that were tested together; scripts/setup.sh installs under them. Made by `make pin`.
"""


def pins() -> dict[str, str]:
    """Normalised distribution name to its public version."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        if name != OURS and name not in INSTALLERS:
            found[name] = distribution.version.partition("+")[0]
    return found


if __name__ == "__main__":
    print(HEADER + "\n".join(f"{name}=={version}" for name, version in sorted(pins().items())))
