"""What is known of another machine's clock."""

from __future__ import annotations

import msgspec


class ClockOffset(msgspec.Struct, frozen=True, kw_only=True):
    """How another clock stands to ours, at one instant.

    Attributes
    ----------
    host : str
        Whose clock it is; empty where it has no name.
    offset_ns : int
        That clock minus ours, ns.
    uncertainty_ns : int
        The true offset lies within this of `offset_ns`, ns; -1 before the first measurement.
    drift_ppm : float or None
        How much faster than ours it runs, parts per million; None until that is known.
    n_probes : int
        Measurements that this rests on: those since the beginning, or since the last step.
    n_steps : int
        How often it was found to have jumped.
    """

    host: str = ""
    offset_ns: int = 0
    uncertainty_ns: int = -1
    drift_ppm: float | None = None
    n_probes: int = 0
    n_steps: int = 0

    def __repr__(self) -> str:
        name = f"clock of {self.host}" if self.host else "clock"
        if self.uncertainty_ns < 0:
            return f"<{name}: not measured yet>"
        way = "behind" if self.offset_ns < 0 else "ahead of"
        parts = [
            f"{format_ns(abs(self.offset_ns))} {way} the manager's",
            f"± {format_ns(self.uncertainty_ns)}",
            "drift not known yet" if self.drift_ppm is None else f"drift {self.drift_ppm:+.1f} ppm",
            f"{self.n_probes} probe{'' if self.n_probes == 1 else 's'}",
        ]
        if self.n_steps:
            parts.append(f"{self.n_steps} step{'' if self.n_steps == 1 else 's'}")
        return f"<{name}: {', '.join(parts)}>"

    def to_local(self, remote_ns: int) -> int:
        """Time by our clock at which the other one showed ``remote_ns``."""
        return remote_ns - self.offset_ns


def format_ns(ns: int) -> str:
    """Length of time to the microsecond, such as ``3.214 ms`` or ``3600.000081 s``."""
    return f"{ns / 1e9:.6f} s" if abs(ns) >= 10**9 else f"{ns / 1e6:.3f} ms"
