"""Who awaits which answer until when; time is an argument."""

from __future__ import annotations

import itertools
from typing import Generic, TypeVar

T = TypeVar("T")


class CallBook(Generic[T]):
    """Open calls of one connection. Not thread-safe by itself.

    The waiting party is whatever the owner likes, such as a future.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._open: dict[int, tuple[float, T]] = {}

    def open(self, waiter: T, deadline: float) -> int:
        """Enter a call and return its number, never used before."""
        number = next(self._numbers)
        self._open[number] = (deadline, waiter)
        return number

    def resolve(self, number: int) -> T | None:
        """Take out the call that an answer belongs to; None where nobody waits for it any more."""
        entry = self._open.pop(number, None)
        return None if entry is None else entry[1]

    def expire(self, now: float) -> list[T]:
        """Take out all calls whose deadline has passed."""
        late = [number for number, (deadline, _) in self._open.items() if deadline <= now]
        return [self._open.pop(number)[1] for number in late]

    def abandon(self) -> list[T]:
        """Take out all calls: nobody will answer."""
        waiters = [waiter for _, waiter in self._open.values()]
        self._open.clear()
        return waiters

    def __len__(self) -> int:
        return len(self._open)
