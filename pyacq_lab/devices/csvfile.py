"""CSV files, of anybody or from `Run.export`, to be replayed."""

from __future__ import annotations

import csv
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.recordings import (
    NS_PER_S,
    EventTrack,
    Recording,
    Tracks,
    needed_rate,
    one_recording,
)
from pyacq_lab.model.events import Event
from pyacq_lab.recording.export.csv import EVENT_FIELDS, TIME

_UNITS = re.compile(r"(.*) \((.*)\)")


def load_csv(file: Path, sample_rate: float | None) -> Tracks:
    """Load a file as a whole: a line for each sample, a column for each channel, names in the first line.

    In a file from `Run.export` the first column is the time, which says the rate, the names have units, and
    lines of nan only are samples that are missing; or it has events.
    """
    with file.open(newline="", encoding="utf-8-sig") as lines:
        first = next(csv.reader(lines), [])
    if not first:
        raise ValueError("its first line is empty")
    if first == [TIME, *EVENT_FIELDS]:
        return {"out": _events(file, sample_rate or 1.0)}
    is_header = any(not _is_number(cell) for cell in first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no line after the header
        data = np.loadtxt(
            file,
            delimiter=",",
            ndmin=2,
            skiprows=int(is_header),
            encoding="utf-8-sig",
            comments=None,
            converters=lambda cell: float(cell.strip() or "nan"),
        )
    if first[0] == TIME and data.shape[1] > 1:
        return one_recording(_exported(file, first[1:], data, sample_rate))
    first[0] = first[0].removeprefix("# ")  # as numpy.savetxt writes a header
    names = tuple(cell.strip() for cell in first) if is_header else ()
    return one_recording(Recording(data, needed_rate(sample_rate, file), channel_names=names))


def _exported(file: Path, names: list[str], data: npt.NDArray[Any], sample_rate: float | None) -> Recording:
    times, values = data[:, 0], data[:, 1:]
    if sample_rate is None and len(times) > 1:
        sample_rate = _rate(times)
    split = [_UNITS.fullmatch(name) for name in names]
    units = {found[2] for found in split if found}
    if len(units) == 1 and all(split):
        names = [found[1] for found in split if found]
    missing = np.isnan(values).all(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    is_plain = names == list(map(str, range(len(names))))
    return Recording(
        values,
        needed_rate(sample_rate, file),
        units=units.pop() if len(units) == 1 and all(split) else "",
        channel_names=() if is_plain else tuple(names),
        gaps=tuple((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)),
    )


def _rate(times: npt.NDArray[np.float64]) -> float | None:
    """Rate of times that are written to 1 ns; None where they have none."""
    rate = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else 0.0
    for digits in range(7):
        rounded = round(rate, digits)
        # The simplest that puts the last line where it is.
        if rounded and abs((len(times) - 1) / rounded - (times[-1] - times[0])) < 2e-9:
            return rounded
    return rate or None


def _events(file: Path, rate: float) -> EventTrack:
    rows = [row for row in _rows(file) if row[TIME] != "nan"]
    begin = min((float(row[TIME]) for row in rows), default=0.0)
    events = [
        Event(
            time_ns=round((float(row[TIME]) - begin) * NS_PER_S),
            label=row["label"],
            **{name: int(row[name]) for name in ("index", "duration", "channel", "code")},
        )
        for row in rows
    ]
    return EventTrack(tuple(sorted(events, key=lambda event: event.time_ns)), rate)


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        yield from csv.DictReader(lines)


def _is_number(cell: str) -> bool:
    """Whether a cell holds a sample; an empty one stands for NaN."""
    try:
        float(cell.strip() or "nan")
    except ValueError:
        return False
    return True
