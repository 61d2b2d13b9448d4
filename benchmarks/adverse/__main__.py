"""Files made to be hard, each read in a worker's sandbox, and what is wrong with the result.

    python -m benchmarks.adverse [FAMILY...] [--only PATTERN] [--show CHARACTERS]

The files are made anew by libraries that write their formats; for each is said which words must
stand in its text in which order, which must not, or with which reason it is to be refused. Exit code
1: some file ended otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.adverse import FAMILIES, cases_of
from benchmarks.formats import read
from benchmarks.machine import machine
from ingestion.limits import MIB, Limits


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.adverse", description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--only", default="", metavar="PATTERN", help="files whose name holds it")
    parser.add_argument("--show", type=int, default=0, metavar="CHARACTERS")
    options = parser.parse_args(arguments)
    limits = Limits()
    bad = count = 0
    slowest = largest = (0.0, "")
    print(machine(), flush=True)
    for family in options.families or FAMILIES:
        for case in cases_of(family):
            if options.only not in case.name:
                continue
            count += 1
            found = read(case.name, case.data)
            names = tuple(member.name for member in found.members)
            faults = case.faults(found.state, found.text, names, found.reason)
            if found.memory * MIB > limits.memory_bytes:
                faults.append(f"{found.memory:.0f} MiB")
            bad += bool(faults)
            slowest = max(slowest, (found.seconds, case.name))
            largest = max(largest, (found.memory, case.name))
            print(
                f"{'BAD' if faults else 'ok '} {found.state:<18} {found.seconds:6.2f} s "
                f"{found.memory:6.0f} MiB {family}/{case.name[:60]!r} {'; '.join(faults)[:500]}",
                flush=True,
            )
            if options.show:
                print(f"---\n{found.text[: options.show] or found.reason}\n---", flush=True)
    print(f"{bad} of {count} files ended otherwise than they should")
    print(
        f"slowest {slowest[0]:.1f} s ({slowest[1]}), most memory {largest[0]:.0f} MiB ({largest[1]})"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
