"""The numbered events of one application, kept for a manager whose connection was cut."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

KEPT = 20_000
"""Weight of the events that are kept of one topic: a talkative process pushes out no news of another kind."""


class Kept(NamedTuple):
    """An event with its number in the application, from 1."""

    seq: int
    topic: str
    value: Any


class _Topic:
    """The newest events of one topic, each with its weight, and the sum of these."""

    def __init__(self) -> None:
        self.events: deque[Kept] = deque()
        self.weights: deque[int] = deque()
        self.weight = 0
        self.dropped = 0


class Journal:
    """Numbers events and keeps the newest of each topic. Not thread-safe by itself."""

    def __init__(self, kept: int = KEPT) -> None:
        self.stop = 1
        self._kept = kept
        self._topics: dict[str, _Topic] = {}

    def append(self, topic: str, value: Any, weight: int = 1) -> Kept:
        """Number an event and keep it; the oldest of its topic go where they weigh too much together."""
        event = Kept(self.stop, topic, value)
        self.stop += 1
        there = self._topics.setdefault(topic, _Topic())
        there.events.append(event)
        there.weights.append(weight)
        there.weight += weight
        while there.weight > self._kept and len(there.events) > 1:
            there.dropped = there.events.popleft().seq
            there.weight -= there.weights.popleft()
        return event

    def dropped(self, topic: str) -> int:
        """Number of the newest event of a topic that had to make room; 0 where there is none."""
        return self._topics[topic].dropped if topic in self._topics else 0

    def after(self, seq: int, topic: str | None = None) -> list[Kept]:
        """Events later than number ``seq``, of one topic or of all, in order."""
        topics = self._topics.values() if topic is None else [self._topics.get(topic, _Topic())]
        tails = [list(_newest(there.events, seq))[::-1] for there in topics]
        return list(heapq.merge(*tails, key=lambda event: event.seq))


def _newest(events: deque[Kept], seq: int) -> Iterator[Kept]:
    """Events later than ``seq``, newest first: most questions are about the very last ones."""
    for event in reversed(events):
        if event.seq <= seq:
            return
        yield event
