"""Printed text, put together into lines."""

from __future__ import annotations

MAX_LINE = 8192
"""Characters after which a line without an end is given out as it is."""


class LineAssembler:
    """Whole lines from pieces of text, kept apart by who printed them.

    ``print("a", "b")`` writes four pieces, and threads that print at the same time mix theirs.
    Time is an argument; not safe from several threads at once.
    """

    def __init__(self) -> None:
        self._parts: dict[tuple[str, ...], tuple[str, int]] = {}

    def __len__(self) -> int:
        """Lines that have no end yet."""
        return len(self._parts)

    def feed(self, key: tuple[str, ...], text: str, now_ns: int) -> list[str]:
        """Take a piece of text in and give the lines it completes, without their ends.

        Parameters
        ----------
        key : tuple of str
            Who prints, such as ``("stdout", "MainThread")``.
        text : str
            The piece, any number of lines.
        now_ns : int
            Now; a line that stays without an end is found by its age.
        """
        part, since = self._parts.pop(key, ("", now_ns))
        *lines, rest = (part + text).split("\n")
        # A progress bar draws over its own line: only what it shows last is worth keeping.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
        rest = rest.rstrip("\r").rpartition("\r")[2] + ("\r" if rest.endswith("\r") else "")
        while len(rest) > MAX_LINE:
            lines.append(rest[:MAX_LINE])
            rest = rest[MAX_LINE:]
        if rest:
            self._parts[key] = (rest, now_ns if lines else since)
        return lines

    def overdue(self, before_ns: int | None = None) -> list[tuple[tuple[str, ...], str]]:
        """Give unfinished lines, with who printed them; only those begun before a time, if one is given."""
        keys = [k for k, (_, since) in self._parts.items() if before_ns is None or since < before_ns]
        return [(key, self._parts.pop(key)[0].rstrip("\r")) for key in keys]
