"""A closed loop of users: each asks, reads the whole answer and asks again."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers.peer import Parts, PeerFailed, Served, Timed

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Round:
    """`answers` are those that ended in time; `errors` say why the others brought none. Bytes are
    resident memory at the start, after a quarter of the round (by then whatever grows with use
    and is kept has grown) and at the end. `load` is the load average at the end."""

    engine: str
    users: int
    seconds: float
    answers: tuple[Timed, ...]
    errors: tuple[str, ...]
    bytes_before: int
    bytes_settled: int
    bytes_after: int
    load: float


def asked_by_users(
    engine: Served, users: int, seconds: float, requests: Sequence[Parts], tokens: int
) -> Round:
    """One round: users take the next request in turn until the time is over."""
    turn = itertools.cycle(requests)
    before, began = engine.resident_bytes(), time.perf_counter()

    def user() -> tuple[list[Timed], list[str]]:
        answers, errors = [], []
        while time.perf_counter() - began < seconds:
            try:
                answer = engine.answer(next(turn), tokens, forced=True)
            except PeerFailed as exc:
                errors.append(str(exc))
                continue
            if time.perf_counter() - began <= seconds:
                answers.append(answer)
        return answers, errors

    with ThreadPoolExecutor(users) as pool:
        tasks = [pool.submit(user) for _ in range(users)]
        time.sleep(seconds / 4)
        settled = engine.resident_bytes()
        done = [task.result() for task in tasks]
    return Round(
        engine.name,
        users,
        seconds,
        tuple(answer for answers, _ in done for answer in answers),
        tuple(error for _, errors in done for error in errors),
        before,
        settled,
        engine.resident_bytes(),
        os.getloadavg()[0],
    )


def summed_up(rounds: Sequence[Round]) -> list[dict[str, Any]]:
    """A row for each number of users and engine."""
    return [
        _row([r for r in rounds if (r.users, r.engine) == key])
        for key in dict.fromkeys((each.users, each.engine) for each in rounds)
    ]


def _row(rounds: Sequence[Round]) -> dict[str, Any]:
    answers = [answer for each in rounds for answer in each.answers]
    errors = [error for each in rounds for error in each.errors]
    return {
        "users": rounds[0].users,
        "engine": rounds[0].engine,
        "answers": len(answers),
        "answers/s": len(answers) / sum(each.seconds for each in rounds),
        "first token s": _percentiles([each.first_token_seconds for each in answers]),
        "longest gap s": _percentiles([each.longest_gap_seconds for each in answers]),
        "errors": len(errors),
        "first error": errors[0] if errors else "",
        "MiB at start": rounds[0].bytes_before / MIB,
        "MiB settled": rounds[-1].bytes_settled / MIB,
        "MiB at end": rounds[-1].bytes_after / MIB,
        "load": [each.load for each in rounds],
    }


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p95 = (float(each) for each in np.percentile(values, [50, 95]))
    return {"p50": p50, "p95": p95, "most": max(values)}
