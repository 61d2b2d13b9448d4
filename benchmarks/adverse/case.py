"""One file made to be hard, and what has to come of it."""

from __future__ import annotations

from dataclasses import dataclass

READ = ("read",)


@dataclass(frozen=True, slots=True)
class Case:
    """`words` must stand in the text in this order, each once; `absent` nowhere. `states` are the
    ones allowed: "read" or codes of rag.errors. `members` must be among the files inside."""

    name: str
    data: bytes
    words: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    states: tuple[str, ...] = READ
    members: tuple[str, ...] = ()

    def faults(self, state: str, text: str, members: tuple[str, ...], reason: str) -> list[str]:
        """What is wrong with what became of it, in words."""
        if not state.startswith(self.states):
            return [f"{state} instead of {' or '.join(self.states)}: {reason}"]
        if state != "read":
            return [] if len(reason) > 15 else [f"no reason: {reason!r}"]
        flat, found, at = " ".join(text.split()), [], 0
        for phrase in self.words:
            times = flat.count(phrase)
            if times != 1:
                found.append(f"{times} times {phrase!r}")
            elif flat.find(phrase) < at:
                found.append(f"out of order: {phrase!r}")
            at = max(at, flat.find(phrase))
        found += [f"should not be there: {each!r}" for each in self.absent if each in flat]
        found += [f"no file {each!r} inside" for each in self.members if each not in members]
        return found
