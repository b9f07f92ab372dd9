"""A note of a person on a recording."""

from __future__ import annotations

from typing import Any

import msgspec


class Annotation(msgspec.Struct, frozen=True, kw_only=True):
    """One note.

    Attributes
    ----------
    time : float
        What it is about happened then, s since the run's start.
    text : str
        The note.
    duration : float
        How long that lasted, s; 0 for an instant.
    fields : dict
        What else was given, as plain data.
    time_ns : int
        ``time`` in ns since 1970 UTC, by the clock of the recorder's host.
    added_ns : int
        When the note was written, as ``time_ns``.
    """

    time: float
    text: str
    duration: float = 0.0
    fields: dict[str, Any] = {}
    time_ns: int
    added_ns: int

    def __str__(self) -> str:
        lasting = f" for {self.duration:g} s" if self.duration else ""
        more = "".join(f", {name}={value!r}" for name, value in self.fields.items())
        return f"{self.time:.3f} s{lasting}: {self.text}{more}"
