"""The numbered events of one application, kept for a manager whose connection was cut."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

KEPT = 1000
"""Events of one topic that are kept: a talkative process pushes out no news of another kind."""


class Kept(NamedTuple):
    """An event with its number in the application, from 1."""

    seq: int
    topic: str
    value: Any


class Journal:
    """Numbers events and keeps the newest of each topic. Not thread-safe by itself."""

    def __init__(self, kept: int = KEPT) -> None:
        self.stop = 1
        self._kept = kept
        self._topics: dict[str, deque[Kept]] = {}

    def append(self, topic: str, value: Any) -> Kept:
        """Number an event and keep it; the oldest of its topic goes where there are too many."""
        event = Kept(self.stop, topic, value)
        self.stop += 1
        self._topics.setdefault(topic, deque(maxlen=self._kept)).append(event)
        return event

    def after(self, seq: int, topic: str | None = None) -> list[Kept]:
        """Events later than number ``seq``, of one topic or of all, in order."""
        topics = self._topics.values() if topic is None else [self._topics.get(topic, deque[Kept]())]
        tails = [list(_newest(events, seq))[::-1] for events in topics]
        return list(heapq.merge(*tails, key=lambda event: event.seq))


def _newest(events: deque[Kept], seq: int) -> Iterator[Kept]:
    """Events later than ``seq``, newest first: most questions are about the very last ones."""
    for event in reversed(events):
        if event.seq <= seq:
            return
        yield event
