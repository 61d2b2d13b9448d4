"""The line in front of the readers: bounded, fair between users, left by who goes away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from anyio.abc import TaskGroup

from rag.api.turnstile import Turnstile
from rag.errors import Busy


class Line:
    """A turnstile whose users sit down, in the order of `seated`, until they are told to leave."""

    def __init__(self, seats: int, places: int, places_each: int | None = None) -> None:
        self.now = 100.0
        self.turnstile = Turnstile(seats, places, places_each, clock=lambda: self.now)
        self.seated: list[str] = []
        self.waited: dict[str, float] = {}
        self._leave: dict[str, anyio.Event] = {}

    async def come(self, group: TaskGroup, *names: str) -> None:
        """`anna-2` is a question of anna's."""
        for name in names:
            group.start_soon(self._sit, name)
            await anyio.wait_all_tasks_blocked()

    async def leave(self, *names: str) -> None:
        for name in names:
            self._leave[name].set()
            await anyio.wait_all_tasks_blocked()

    async def _sit(self, name: str) -> None:
        self._leave[name] = anyio.Event()
        async with self.turnstile.turn(name.partition("-")[0]) as waited:
            self.seated.append(name)
            self.waited[name] = waited
            await self._leave[name].wait()


def played(play: Callable[[TaskGroup], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with anyio.create_task_group() as group:
            await play(group)
            group.cancel_scope.cancel()

    anyio.run(whole)


async def refused(line: Line, user: str) -> Busy:
    with pytest.raises(Busy) as told:
        async with line.turnstile.turn(user):
            pass
    return told.value


def test_the_line_is_bounded() -> None:
    line = Line(seats=1, places=1)

    async def play(group: TaskGroup) -> None:
        await line.come(group, "anna", "bob")
        assert (await refused(line, "cleo")).retry_after > 0
        assert (line.turnstile.taken, line.turnstile.waiting) == (1, 1)
        assert line.turnstile.refused == 1
        await line.leave("anna", "bob")
        await line.come(group, "cleo")
        assert line.seated == ["anna", "bob", "cleo"]

    played(play)
    assert (line.turnstile.taken, line.turnstile.waiting) == (0, 0)


def test_users_take_turns() -> None:
    line = Line(seats=1, places=9)

    async def play(group: TaskGroup) -> None:
        await line.come(group, "anna-1", "anna-2", "anna-3", "anna-4", "bob-1", "cleo-1", "bob-2")
        for number in range(7):
            await line.leave(line.seated[number])

    played(play)
    assert line.seated == ["anna-1", "anna-2", "bob-1", "cleo-1", "anna-3", "bob-2", "anna-4"]


def test_no_user_fills_the_line() -> None:
    line = Line(seats=1, places=4, places_each=2)

    async def play(group: TaskGroup) -> None:
        await line.come(group, "anna-1", "anna-2", "anna-3")
        assert "2 questions of yours" in str(await refused(line, "anna"))
        await line.come(group, "bob-1", "bob-2")
        assert line.turnstile.waiting == 4

    played(play)


def test_who_waited_hears_how_long() -> None:
    line = Line(seats=1, places=1)

    async def play(group: TaskGroup) -> None:
        await line.come(group, "anna", "bob")
        line.now += 2.5
        await line.leave("anna")
        assert line.waited == {"anna": 0.0, "bob": 2.5}

    played(play)


def test_a_longer_line_asks_for_more_patience() -> None:
    async def told(places: int) -> float:
        line = Line(seats=1, places=places)
        async with anyio.create_task_group() as group:
            await line.come(group, *(f"anna-{number}" for number in range(places + 1)))
            wait = (await refused(line, "bob")).retry_after
            group.cancel_scope.cancel()
        return wait

    assert anyio.run(told, 0) < anyio.run(told, 5)


def test_slower_answers_ask_for_more_patience() -> None:
    async def told(seconds: float) -> float:
        line = Line(seats=1, places=0)
        async with anyio.create_task_group() as group:
            for number in range(20):
                await line.come(group, f"anna-{number}")
                line.now += seconds
                await line.leave(f"anna-{number}")
            await line.come(group, "anna")
            wait = (await refused(line, "bob")).retry_after
            group.cancel_scope.cancel()
        return wait

    assert anyio.run(told, 2.0) == pytest.approx(2.0, abs=0.2)
    assert anyio.run(told, 40.0) == pytest.approx(40.0, abs=1)


def test_who_goes_away_while_waiting_gives_the_place_back() -> None:
    line = Line(seats=1, places=1)

    async def play(group: TaskGroup) -> None:
        await line.come(group, "anna")
        async with anyio.create_task_group() as impatient:
            await line.come(impatient, "bob")
            assert line.turnstile.waiting == 1
            impatient.cancel_scope.cancel()
        assert line.turnstile.waiting == 0
        await line.come(group, "cleo")
        await line.leave("anna")
        assert line.seated == ["anna", "cleo"]

    played(play)


def test_who_goes_away_when_just_called_gives_the_seat_back() -> None:
    line = Line(seats=1, places=2)

    async def play(group: TaskGroup) -> None:
        async with anyio.create_task_group() as impatient:
            await line.come(group, "anna")
            await line.come(impatient, "bob")
            await line.come(group, "cleo")
            impatient.cancel_scope.cancel()  # at the same moment that
            line._leave["anna"].set()  # the seat becomes free
        await anyio.wait_all_tasks_blocked()
        assert line.seated == ["anna", "cleo"]
        assert line.turnstile.taken == 1

    played(play)
    assert line.turnstile.taken == 0
