"""Time that a test turns by hand."""

from __future__ import annotations

NS_PER_S = 1_000_000_000


class ManualClock:
    """A clock that stands still until it is advanced, or until somebody sleeps.

    Parameters
    ----------
    now_ns : int
        Where it starts, ns since 1970 UTC.
    late : float
        Seconds by which every sleep is too long, as on a busy machine.

    Attributes
    ----------
    sleeps : list of float
        What was asked of `sleep`, s.
    """

    def __init__(self, now_ns: int = 1_700_000_000 * NS_PER_S, late: float = 0.0) -> None:
        self._now_ns = now_ns
        self.late = late
        self.sleeps: list[float] = []

    def now_ns(self) -> int:
        """Now, ns since 1970 UTC."""
        return self._now_ns

    def sleep(self, seconds: float) -> None:
        """Advance by ``seconds`` (and by `late`) at once."""
        self.sleeps.append(seconds)
        self.advance(seconds + self.late)

    def advance(self, seconds: float) -> None:
        """Let time pass; ValueError where it would step back."""
        if seconds < 0:
            raise ValueError(f"a clock never steps back: {seconds} s")
        self._now_ns += round(seconds * NS_PER_S)
