"""LSL's clock next to the host's."""

from __future__ import annotations

from typing import Any

from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.roles import Clock

NS_PER_S = 1_000_000_000

_BRACKETS = 16


def load_lsl(who: str) -> Any:
    """Import pylsl; MissingDependency where it, or liblsl, is not there."""
    return import_optional(
        "pylsl",
        who,
        "pylsl",
        "lsl",
        "Wheels of pylsl hold liblsl; elsewhere see https://github.com/sccn/liblsl",
    )


class LslClock:
    """Conversion between LSL's ``local_clock`` of this machine and the host's clock.

    Both run steadily, so one look suffices: the tightest of several brackets.

    Parameters
    ----------
    pylsl : module
        The library.
    clock : Clock
        The host's clock.
    """

    def __init__(self, pylsl: Any, clock: Clock) -> None:
        width, self._anchor_ns = 0, 0
        for i in range(_BRACKETS):
            before = clock.now_ns()
            there = pylsl.local_clock()
            after = clock.now_ns()
            if i == 0 or after - before < width:
                width = after - before
                self._anchor_ns = before + width // 2 - round(there * NS_PER_S)
        self.uncertainty_ns = -(-width // 2)
        """Half of the tightest bracket."""

    def to_host(self, seconds: float) -> int:
        """Time by the host's clock, ns since 1970 UTC, of a time by LSL's."""
        return round(seconds * NS_PER_S) + self._anchor_ns

    def to_lsl(self, time_ns: int) -> float:
        """Time by LSL's clock, s, of a time by the host's."""
        return (time_ns - self._anchor_ns) / NS_PER_S
