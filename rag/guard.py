"""Stops what a killed supervisor left running. Run as a program of its own; standard library only.

It reads lines from its standard input, the supervisor's end of a pipe: `+PID` and `-PID` name the
process groups to answer for, `bye` an orderly end. When the pipe closes without `bye`, the
supervisor is gone: every group gets SIGTERM, and after GRACE seconds SIGKILL.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable

GRACE = 10.0


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the supervisor does, not before
    stop(left(sys.stdin))


def left(lines: Iterable[str]) -> set[int]:
    """The groups still running when the lines end; none after `bye`."""
    groups: set[int] = set()
    for line in lines:
        order = line.strip()
        if order == "bye":
            return set()
        if order.startswith("+"):
            groups.add(int(order[1:]))
        elif order.startswith("-"):
            groups.discard(int(order[1:]))
    return groups


def stop(groups: set[int]) -> None:
    until = time.monotonic() + GRACE
    running = {group for group in groups if _send(group, signal.SIGTERM)}
    while running and time.monotonic() < until:
        time.sleep(0.1)
        running = {group for group in running if _send(group, 0)}
    for group in running:
        _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """False when the group is gone."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


if __name__ == "__main__":
    main()
