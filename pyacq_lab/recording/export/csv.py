"""CSV files: one stream as text, a line for each sample.

The first line names the columns: the time, s since the run's start, and the channels with their units.
Samples are in units, with as many digits as it takes to read the same number back;
in a gap the cells are ``nan``. Events have a line each, with all their fields.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.recording.export.plan import Part, Plan, only_part, warn_untimed

TIME = "time (s)"
EVENT_FIELDS = ("index", "duration", "channel", "code", "label")


def write(plan: Plan, path: Path) -> None:
    """Write the file; see `export`."""
    part = only_part(plan, "CSV")
    if not (part.is_events or part.is_table):
        raise ConfigurationError(
            f"CSV cannot hold {part.signal!r}: wanted a signal or events; export to HDF5"
        )
    if not part.is_events:
        warn_untimed(part)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if part.is_events:
            writer.writerow([TIME, *EVENT_FIELDS])
            for event in part.events():
                writer.writerow([f"{part.time_of(event):.9f}", *(getattr(event, f) for f in EVENT_FIELDS)])
            plan.wrote(len(part.signal))
            return
        signal, spec = part.signal, part.signal.spec
        units = f" ({spec.units})" if spec.units else ""
        writer.writerow([TIME, *(f"{name}{units}" for name in spec.names)])
        for start, stop in part.blocks(signal.start, signal.stop):
            times = signal.times_between(start, stop)
            rows = _values(part, start, stop).reshape(stop - start, spec.n_channels).tolist()
            writer.writerows([f"{time:.9f}", *row] for time, row in zip(times, rows, strict=True))
            plan.wrote(stop - start)


def _values(part: Part, start: int, stop: int) -> npt.NDArray[Any]:
    """Samples as they are shown: integers and switches as such where nothing makes floats of them."""
    signal = part.signal
    if signal.spec.np_dtype.kind in "iub" and not signal.spec.is_scaled and not signal.gaps:
        raw = signal.raw(start, stop)
        return raw.astype(np.uint8) if raw.dtype.kind == "b" else raw
    return part.in_units(start, stop)
