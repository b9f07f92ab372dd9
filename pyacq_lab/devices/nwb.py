"""NWB files (Neurodata Without Borders, https://nwb.org), read by pynwb, to be replayed."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.hdf5 import H5Rows
from pyacq_lab.devices.recordings import NS_PER_S, EventTrack, Recording, Samples, Track, Tracks
from pyacq_lab.model.events import Event
from pyacq_lab.model.names import port_name
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export.nwb import events_rate

logger = logging.getLogger(__name__)

_BLOCK = 2**20
"""Time stamps read at a time."""


def load_nwb(file: Path, segment: int | None) -> Tracks:
    """Load the time series in ``acquisition`` and the events; samples stay on disk.

    A series of numbers at a rate, or at time stamps of a regular rate with breaks, is a recording: what
    `invalid_times` say of it, tagged with its name, and what breaks are, is missing. Tables in ``events`` and
    annotation series are events. Other series are left out, with a warning.

    Parameters
    ----------
    file : Path
        The file.
    segment : int or None
        In a file of ours, which start of the streams; None: all, as they were in time.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}")
    pynwb = import_optional("pynwb", f"replay of a {file.suffix} file", "pynwb", "nwb")
    io = pynwb.NWBHDF5IO(file, "r")
    found = io.read()
    series = {
        name: one
        for name, one in found.acquisition.items()
        if isinstance(one, pynwb.TimeSeries) and _is_chosen(one, segment)
    }
    notes = {name: one for name, one in series.items() if isinstance(one, pynwb.misc.AnnotationSeries)}
    recordings = {
        name: read
        for name, one in series.items()
        if name not in notes and (read := _Series(io, found, name, one)).is_regular
    }
    texts = {name: _annotations(one) for name, one in notes.items()}
    tables = getattr(found, "events", None) or {}
    texts |= {name: _events(table) for name, table in tables.items()}
    times = [read.first for read in recordings.values()]
    begin = min([*times, *(row[0] for rows in texts.values() for row in rows)], default=0.0)
    rate = max((read.rate for read in recordings.values()), default=1.0)
    tracks: dict[str, Track] = {}
    for name, read in recordings.items():
        tracks[port_name(name, taken=tracks)] = read.recording(begin)
    for name, rows in texts.items():
        if rows:
            marked = events_rate(tables[name].description) if name in tables else None
            tracks[port_name(name, taken=tracks)] = _track(rows, begin, marked or rate)
    return tracks


def _is_chosen(series: Any, segment: int | None) -> bool:
    return segment is None or _facts(series).get("segment") in (None, f"start {segment}")


def _facts(series: Any) -> Mapping[str, Any]:
    """What an export of ours says of a series."""
    try:
        facts = msgspec.json.decode(series.comments or "")
    except msgspec.DecodeError:
        return {}
    return facts if isinstance(facts, dict) and "streamtype" in facts else {}


class _Series:
    """One time series: its rate, its place in time, and what is missing of it."""

    def __init__(self, io: Any, file: Any, name: str, series: Any) -> None:
        self._io, self._file, self._name, self._series = io, file, name, series
        shape, dtype = tuple(series.data.shape), series.data.dtype
        self.rate, self.first = float(series.rate or 0.0), float(series.starting_time or 0.0)
        self._pieces: list[tuple[int, int]] = [(0, 0)]
        if len(shape) not in (1, 2) or dtype.kind not in "biuf" or not shape[0]:
            logger.warning("series %r holds no samples of channels: left out of the replay", name)
            self.rate = 0.0
        elif not self.rate:
            self._read_stamps()
            if not self.rate:
                logger.warning("series %r has no regular rate: left out of the replay", name)

    @property
    def is_regular(self) -> bool:
        """Whether it can be replayed."""
        return self.rate > 0

    def recording(self, begin: float) -> Recording:
        """Make a recording that begins so late after ``begin``, s since the file's reference time."""
        series, facts = self._series, _facts(self._series)
        rows: Samples = H5Rows(self._io, series.data, is_column=True)
        gaps: list[tuple[int, int]] = []
        if len(self._pieces) > 1:
            rows = spread = _SpreadRows(rows, self._pieces)
            gaps = spread.gaps
        names, factors = self._channels(rows.shape[1])
        scale = float(series.conversion or 1.0) * factors
        spec = StreamSpec.of(
            rows.dtype,
            streamtype=facts.get("streamtype", "analogsignal"),
            shape=(-1, rows.shape[1]),
            sample_rate=self.rate,
            units={"volts": "V", "n/a": ""}.get(series.unit, series.unit or ""),
            scale=float(scale[0]) if (scale == scale[0]).all() else tuple(scale.tolist()),
            offset=float(series.offset or 0.0),
            channel_names=names,
            group_delay=float(facts.get("group_delay", 0.0)),
        )
        return Recording(
            rows,
            self.rate,
            units=spec.units,
            channel_names=names,
            delay_ns=round((self.first - begin) * NS_PER_S),
            gaps=_union([*gaps, *self._invalid(len(rows))]),
            stream=spec,
        )

    def _channels(self, n: int) -> tuple[tuple[str, ...], npt.NDArray[np.float64]]:
        """Names of the channels, and by what each is multiplied beside the series' conversion."""
        module = self._file.processing.get("channels")
        ours = {} if module is None else module.data_interfaces
        factors = getattr(self._series, "channel_conversion", None)
        factors = np.ones(n) if factors is None else np.asarray(factors, np.float64)
        if self._name in ours and "channel_name" in ours[self._name].colnames:
            return _named(ours[self._name]["channel_name"][:], n), factors
        electrodes = getattr(self._series, "electrodes", None)
        if electrodes is None:
            return (), factors
        rows = np.asarray(electrodes.data[:], np.int64)
        column = next((c for c in ("channel_name", "label") if c in electrodes.table.colnames), "id")
        every = electrodes.table.id[:] if column == "id" else electrodes.table[column][:]
        return _named(np.asarray(every)[rows], n), factors

    def _invalid(self, n_rows: int) -> Iterator[tuple[int, int]]:
        table = self._file.invalid_times
        if table is None or "tags" not in table.colnames:
            return
        for row in range(len(table)):
            if self._name in list(table["tags"][row]):
                ends = float(table["start_time"][row]), float(table["stop_time"][row])
                start, stop = (min(max(0, round((end - self.first) * self.rate)), n_rows) for end in ends)
                if start < stop:
                    yield start, stop

    def _read_stamps(self) -> None:
        """Take the rate from time stamps, 0 where they have none, and the places of their breaks."""
        stamps = self._series.timestamps
        if stamps is None or len(stamps) < 2:
            return
        step = float(np.median(np.diff(stamps[: _BLOCK + 1])))
        rate = 1 / step if step > 0 else 0.0
        if abs(rate - round(rate)) < 1e-6 * rate:
            rate = float(round(rate))
        row, pieces = 0, [(0, 0)]
        for start in range(0, len(stamps) - 1, _BLOCK):
            steps = np.diff(stamps[start : start + _BLOCK + 1]) * rate
            whole = np.rint(steps).astype(np.int64)
            if not rate or (np.abs(steps - whole) > 0.25).any() or (whole < 1).any():
                return
            for at in np.flatnonzero(whole > 1):
                skipped = int(whole[at]) - 1
                row += skipped
                source = start + int(at) + 1
                pieces.append((source + row, source))
        self.rate, self.first, self._pieces = rate, float(stamps[0]), pieces


class _SpreadRows:
    """Rows with room for those that are missing between its pieces.

    Parameters
    ----------
    rows : Samples
        The samples there are.
    pieces : list of (int, int)
        Row where each piece begins, here and in `rows`.
    """

    def __init__(self, rows: Samples, pieces: list[tuple[int, int]]) -> None:
        self._rows = rows
        ends = [source for _, source in pieces[1:]] + [len(rows)]
        self._pieces = [
            (row, row + end - source, source) for (row, source), end in zip(pieces, ends, strict=True)
        ]
        self.dtype = rows.dtype
        self.shape = (self._pieces[-1][1], *rows.shape[1:])

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """Rows that are missing."""
        return [(a[1], b[0]) for a, b in zip(self._pieces, self._pieces[1:], strict=False)]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        found = np.zeros((max(0, stop - start), *self.shape[1:]), self.dtype)
        for first, last, source in self._pieces:
            a, b = max(start, first), min(stop, last)
            if a < b:
                found[a - start : b - start] = self._rows[source + a - first : source + b - first]
        return found


def _named(names: Any, n: int) -> tuple[str, ...]:
    return tuple(str(name) for name in names) if len(names) == n else ()


def _union(spans: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Spans in order, those that touch as one."""
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return tuple(joined)


_Row = tuple[float, float, Mapping[str, Any]]
"""An event: when, how long, s, and its other fields."""


def _events(table: Any) -> list[_Row]:
    columns = {name: list(table[name][:]) for name in table.colnames}
    is_ours = events_rate(table.description) is not None
    rows: list[_Row] = []
    for i, time in enumerate(columns["timestamp"]):
        fields: dict[str, Any] = {}
        if is_ours:
            fields = {name: int(columns[name][i]) for name in ("code", "channel", "index")}
        if "annotation" in columns:
            fields["label"] = str(columns["annotation"][i])
        else:
            others = [name for name in columns if name not in ("timestamp", "duration")]
            fields["label"] = ", ".join(str(columns[name][i]) for name in others)
        duration = float(columns["duration"][i]) if "duration" in columns else 0.0
        rows.append((float(time), duration, fields))
    return rows


def _annotations(series: Any) -> list[_Row]:
    return [
        (float(time), 0.0, {"label": str(text)})
        for time, text in zip(series.timestamps[:], series.data[:], strict=True)
    ]


def _track(rows: list[_Row], begin: float, rate: float) -> EventTrack:
    events = [
        Event(time_ns=round((time - begin) * NS_PER_S), duration=round(max(0.0, duration) * rate), **fields)
        for time, duration, fields in sorted(rows, key=lambda row: row[0])
    ]
    return EventTrack(tuple(events), rate)
