"""Where a figure was measured; those of two machines, or of a busy one, are not comparable."""

from __future__ import annotations

import os
import platform


def machine() -> str:
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python "
        f"{platform.python_version()}"
    )
