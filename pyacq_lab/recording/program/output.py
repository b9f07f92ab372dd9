"""What the commands show: tables on stdout, progress on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from tqdm import tqdm


class _Bar(tqdm):
    monitor_interval = 0  # no thread that looks after bars: ours are told often, or not at all


def progress_bar(unit: str, items: Iterable[Any] | None = None) -> Any:
    """Make a bar of tqdm on stderr; none is shown where that is no terminal.

    Parameters
    ----------
    unit : str
        What is counted.
    items : iterable, optional
        What is gone through; None: the caller calls ``update``.
    """
    return _Bar(items, unit=f" {unit}", unit_scale=True, disable=None, file=sys.stderr, leave=items is None)


@contextmanager
def told_progress(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar, and give what is to be called with how much is done, and of how much."""
    with progress_bar(unit) as bar:

        def show(done: int, total: int) -> None:
            if done < bar.n:  # it begins again
                bar.reset()
            bar.total = total
            bar.update(done - bar.n)

        yield show


def write_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table with columns as wide as need be; a column of numbers has them at its right."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    numeric = [all(row[i][:1].isdigit() for row in rows) for i in range(len(head))]
    for row in cells:
        shown = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        sys.stdout.write("  ".join(shown).rstrip() + "\n")


def write_json(value: Any) -> None:
    """Write a value as JSON, for machines; NaN becomes null, and a path its text."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value, enc_hook=str)).decode() + "\n")


def size_text(nbytes: int) -> str:
    """Show a size in bytes with three digits."""
    value, units = float(nbytes), ["B", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.3g} {units[0]}"


def seconds_text(seconds: float) -> str:
    """Show a duration: seconds, or hours, minutes and seconds where it is a minute or more."""
    if seconds < 60:
        return f"{seconds:.3f} s"
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
