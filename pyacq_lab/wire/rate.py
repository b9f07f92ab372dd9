"""How fast something is counted up."""

from __future__ import annotations

from collections import deque

_WINDOW = 2.0  # seconds looked back
_STEP = 0.1  # seconds between two marks


class Rate:
    """The rate of a count over the last seconds; time is an argument."""

    def __init__(self, now: float) -> None:
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def mark(self, count: int, now: float) -> None:
        """Note how far the count has come."""
        marks = self._marks
        if now - marks[-1][0] < _STEP:
            return
        marks.append((now, count))
        while len(marks) > 2 and now - marks[1][0] > _WINDOW:
            marks.popleft()

    def per_second(self, count: int, now: float) -> float:
        """Counts per second up to ``now``."""
        while len(self._marks) > 1 and now - self._marks[0][0] > _WINDOW:
            self._marks.popleft()
        then, before = self._marks[0]
        return (count - before) / (now - then) if now > then else 0.0
