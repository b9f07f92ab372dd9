"""What was recorded of one stream in one go, as labelled samples that are read when asked for."""

from __future__ import annotations

import html
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, RecordingError, SamplesGone
from pyacq_lab.model.chunk import Gap
from pyacq_lab.model.events import Event, events_in
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.clocks import ClockTable
from pyacq_lab.recording.eventtable import read_events
from pyacq_lab.recording.files import read_lines
from pyacq_lab.recording.manifest import JOURNAL, JournalLine, SegmentEntry, TimeLine
from pyacq_lab.recording.rows import ArrayReader
from pyacq_lab.recording.video.reader import VideoReader

FACTS = ("samples", "channels", "time", "gaps")
"""What tables of signals have in their columns."""


class Signal:
    """One segment of a recorded stream: absolute indices ``[start, stop)``.

    It is as long as it was when it was made; where the recording still grows, ask the run again.
    Nothing is read before it is asked for.

    Parameters
    ----------
    name : str
        The stream's name.
    run_folder : Path
        The run folder.
    entry : SegmentEntry
        What ``run.json`` says of it.
    origin_ns : int
        Zero of the time axis, ns since 1970 UTC.
    clocks : ClockTable, optional
        By which times are brought to the recording host's clock, as far as it knows the producer's.
    """

    def __init__(
        self,
        name: str,
        run_folder: Path,
        entry: SegmentEntry,
        origin_ns: int,
        clocks: ClockTable | None = None,
    ) -> None:
        self.name = name
        self.folder = run_folder / entry.folder
        self._entry = entry
        self._origin_ns = origin_ns
        self._clocks = clocks if clocks is not None and clocks.knows(entry.producer) else None
        self._rows = entry.acknowledged - entry.start

    @property
    def spec(self) -> StreamSpec:
        """Description of the stream when it was recorded."""
        return self._entry.spec

    @property
    def start(self) -> int:
        """Absolute index of the first sample."""
        return self._entry.start

    @property
    def stop(self) -> int:
        """Absolute index after the last sample."""
        return self._entry.start + self._rows

    @property
    def epoch(self) -> int:
        """Epoch of the stream."""
        return self._entry.epoch

    @property
    def encoding(self) -> str:
        """How pictures are encoded, ``h264`` or ``lossless``; empty where samples are stored as they are."""
        return self._entry.compression if self._entry.kind == "video" else ""

    @property
    def sample_rate(self) -> float:
        """Nominal rate, Hz."""
        return self.spec.sample_rate

    @property
    def units(self) -> str:
        """Units of `data`."""
        return self.spec.units

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.spec.names

    @property
    def duration(self) -> float:
        """Length with gaps, s; of events, from the first to the last one whose time is known."""
        if self._is_events:
            known = self.times[~np.isnan(self.times)]
            return float(np.ptp(known)) if len(known) else 0.0
        return self._rows / self.sample_rate

    @property
    def uncertainty(self) -> float:
        """Half-width of the interval in which the times lie, s; NaN where it is not known.

        With that of the clocks, where times were brought to the recording host's.
        """
        ns = self._entry.uncertainty_ns
        return (ns + self._clock_shift[1]) / 1e9 if ns >= 0 else float("nan")

    @property
    def producer(self) -> str:
        """Name of the host whose clock stamped the samples; empty where it is not known."""
        return self._entry.producer

    @property
    def is_on_one_clock(self) -> bool:
        """Whether times are by the recording host's clock; else they are by the producing host's own."""
        return self._clocks is not None

    @cached_property
    def gaps(self) -> tuple[Gap, ...]:
        """Samples that never came, in order."""
        return tuple(Gap(g.start, g.stop, self.epoch, g.reason) for g in self._entry.gaps)

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Samples that came, as ``[start, stop)`` between the gaps, in order; some may be empty."""
        edges = [self.start, *(i for gap in self.gaps for i in (gap.start, gap.stop)), self.stop]
        return list(zip(edges[::2], edges[1::2], strict=True))

    @property
    def first_time(self) -> float:
        """Time of the first sample that has one, reckoned back to `start`; s since the run's start."""
        return float(self._reckoned(self.start, self.start + 1, corrected=True)[0])

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Time of each sample, s since the run's start; see `times_between`."""
        return self.times_between(self.start, self.stop)

    def times_between(self, start: int, stop: int, *, corrected: bool = True) -> npt.NDArray[np.float64]:
        """Time of the samples ``[start, stop)``, s since the run's start, shape (stop - start,).

        From the first sample's time, at the nominal rate; of an encoded video, each frame's own time; of
        events, each event's own, NaN where it is unknown or the event is in a gap. It is brought from the
        producing host's clock to the recording host's by what was measured of both (``run.clocks``): streams
        of several hosts have one time axis. Where nothing was (see `is_on_one_clock`), or with
        ``corrected=False``, it is as the producing host had it. The spec's group delay is not taken off.
        Where the time was not known, the first sample recorded is at 0.
        """
        if self._is_events:
            times_ns = self.raw(start, stop)["time_ns"]
            shown = self._on_one_clock(times_ns) if corrected else times_ns
            return np.where(times_ns == 0, np.nan, (shown - self._origin_ns) / 1e9)
        if self.encoding and self._entry.time_ns:
            times_ns = self._video.times(start - self.start, stop - self.start)
            shown = self._on_one_clock(times_ns) if corrected else times_ns
            return (shown - self._origin_ns) / 1e9
        return self._reckoned(start, stop, corrected=corrected)

    def _reckoned(self, start: int, stop: int, *, corrected: bool) -> npt.NDArray[np.float64]:
        """Times at the nominal rate."""
        entry = self._entry
        shift_ns = self._clock_shift[0] if corrected else 0
        first = (entry.time_ns + shift_ns - self._origin_ns) / 1e9 if entry.time_ns else 0.0
        at = entry.time_index if entry.time_ns else entry.start
        return first + np.arange(start - at, stop - at) / self.sample_rate

    @property
    def sample_times(self) -> npt.NDArray[np.int64]:
        """Times as they were stamped, one in ten seconds, or of each frame of an encoded video: shape (n, 3).

        Columns: absolute index, ns since 1970 UTC by the producing host's clock, uncertainty in ns.
        """
        if self.encoding:
            return self._video.frame_times(0, self._rows)
        rows = [(t.index, t.time_ns, t.uncertainty_ns) for t in self._journal if isinstance(t, TimeLine)]
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    @property
    def data(self) -> npt.NDArray[Any]:
        """All samples, read from disk at each access; as ``signal[:]``."""
        return self[:]

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.asarray(self.data, dtype)

    def __getitem__(self, index: slice | int | tuple[Any, ...]) -> npt.NDArray[Any]:
        """Samples between two absolute indices, shape (stop - start, n_channels).

        In `units`, as floats (float32 where that is what was recorded and no scale applies, else float64),
        NaN in gaps. Samples that are not numbers come as they are, without data in gaps. ``signal[k]`` is the
        sample of absolute index ``k`` alone, and `time_at` its time; what follows after a comma, as in
        ``signal[a:b, 2]``, chooses channels. Raises as `raw`. Of video, `frame` and `raw` give pictures.
        """
        if isinstance(index, tuple):
            rows, *others = index
            samples = self[rows]
            return samples[(*others,) if isinstance(rows, int | np.integer) else (slice(None), *others)]
        if isinstance(index, int | np.integer):
            return self[slice(int(index), int(index) + 1)][0]
        if not isinstance(index, slice):
            raise SamplesGone(
                f"{self.name!r}[{index!r}]: wanted an absolute index, or start:stop; `between` takes times"
            )
        start, stop = self._bounds(index)
        raw, spec = self.raw(start, stop), self.spec
        if spec.np_dtype.kind not in "iuf":
            return raw
        is_scaled = spec.is_scaled
        dtype = (
            np.float64
            if is_scaled or spec.np_dtype.itemsize != 4 or spec.np_dtype.kind != "f"
            else np.float32
        )
        data = spec.to_physical(raw) if is_scaled else raw.astype(dtype)
        data[self._is_missing(start, stop)] = np.nan
        return data

    def frame(self, index: int) -> npt.NDArray[Any]:
        """One picture of a video as it was recorded, shape (height, width, ...); `time_at` is its time.

        Parameters
        ----------
        index : int
            Its absolute index; ``signal.index_at(seconds)`` finds it by time.

        Raises
        ------
        SamplesGone
            The recording does not hold it, or it never came.
        ConfigurationError
            The stream is no video.
        """
        if self.spec.streamtype != "video":
            raise ConfigurationError(f"{self.name!r} is of {self.spec.streamtype}: wanted video, for a frame")
        picture = self.raw(index, index + 1)[0]
        for gap in self._gaps_in(index, index + 1):
            raise SamplesGone(
                f"frame {index} of {self.name!r} never came: [{gap.start}, {gap.stop}) are "
                f"lost ({gap.reason or 'for no known reason'})"
            )
        return picture

    def masked(self, start: int | None = None, stop: int | None = None) -> np.ma.MaskedArray[Any, Any]:
        """Samples as in `raw`, with those in gaps masked."""
        start, stop = self._bounds(slice(start, stop))
        raw = self.raw(start, stop)
        missing = self._is_missing(start, stop).reshape(-1, *(1 for _ in raw.shape[1:]))
        return np.ma.masked_array(raw, mask=np.broadcast_to(missing, raw.shape))

    def raw(self, start: int | None = None, stop: int | None = None) -> npt.NDArray[Any]:
        """Samples ``[start, stop)`` as they were recorded, in the stream's data type. A copy.

        Raises
        ------
        SamplesGone
            The recording does not hold them.
        RecordingError
            The files cannot be read.
        """
        start, stop = self._bounds(slice(start, stop))
        first = self.start
        try:
            if self._entry.kind == "events":
                return self._events[start - first : stop - first].copy()
            reader = self._video if self.encoding else self._array
            return reader.read(start - first, stop - first, self._is_gap)
        except RecordingError as error:
            raise RecordingError(f"{error}: `pyacq-lab runs verify` says what is whole") from error
        except OSError as error:
            raise RecordingError(f"{self.folder} cannot be read: {error}") from error

    def index_at(self, time: float) -> int:
        """Absolute index of the first sample that was acquired at ``time`` or later, s since the run's start.

        It is `start` for any earlier time, and `stop` for one after the last sample. `time_at` is the other
        way round.
        """
        if self._is_events:
            later = np.flatnonzero(self.times >= time - 1e-9)
            return self.start + int(later[0]) if len(later) else self.stop
        indices = range(self.start, self.stop)
        # A hair's breadth earlier: a sample's own time, as it was told, is to find the sample.
        earliest = time - 1e-6 / self.sample_rate
        return self.start + bisect_left(indices, earliest, key=self._time_of)

    def time_at(self, index: int) -> float:
        """Time of a sample, or a picture, of this absolute index, s since the run's start; as in `times`.

        Raises
        ------
        SamplesGone
            The recording does not hold it.
        """
        self._bounds(slice(index, index + 1))
        return self._time_of(index)

    def between(self, start: float, stop: float) -> npt.NDArray[Any]:
        """Samples acquired from ``start`` to before ``stop``, s since the run's start; as ``signal[a:b]``."""
        if self._is_events:
            times = self.times
            return self.data[(times >= start - 1e-9) & (times < stop - 1e-9)]
        first = self.index_at(start)
        return self[first : max(first, self.index_at(stop))]

    @property
    def events(self) -> list[Event]:
        """Events of a stream of events, their times on the same clock as `times`; those in gaps never came.

        Raises
        ------
        ConfigurationError
            The stream is not one of events.
        """
        rows = np.concatenate([self.raw(a, b) for a, b in self.pieces])
        events = events_in(rows)
        times_ns: list[int] = self._on_one_clock(rows["time_ns"]).tolist()
        return [replace(e, time_ns=ns) if e.time_ns else e for e, ns in zip(events, times_ns, strict=True)]

    def to_xarray(self) -> Any:
        """Make an `xarray.DataArray`, with times (s), channel names and units; samples are read when needed.

        Parts of it are read alone: ``signal.to_xarray().sel(channel="ecg", time=slice(10, 11)).values``.

        Raises
        ------
        MissingDependency
            xarray is not installed.
        """
        import_optional("xarray", "to_xarray()", "xarray", "xarray")
        from pyacq_lab.recording.labelled import signal_array

        return signal_array(self)

    @property
    def has_even_times(self) -> bool:
        """Whether the times of all samples are one period apart."""
        return not self._is_events and not self.encoding

    @property
    def _is_events(self) -> bool:
        return self._entry.kind == "events"

    def _on_one_clock(self, times_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Times of the producing host's clock, by that of the recording host as far as it is known."""
        if self._clocks is None or not len(times_ns):
            return times_ns
        return times_ns + self._clocks.shift(self.producer, times_ns)[0]

    def _time_of(self, index: int) -> float:
        return float(self.times_between(index, index + 1)[0])

    def __repr__(self) -> str:
        return f"<Signal {self.name!r}: {', '.join(self.facts.values())}>"

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in self.facts.items())
        return f"<table><caption>Signal <b>{html.escape(self.name)}</b></caption>{rows}</table>"

    @property
    def facts(self) -> dict[str, str]:
        """What it is in words, under some of `FACTS`."""
        n_lost = sum(map(len, self.gaps))
        if self._is_events:
            gaps = f"{n_lost} events lost in {len(self.gaps)} gap(s)" if self.gaps else "no gap"
            return {"samples": f"[{self.start}, {self.stop}) events", "gaps": gaps}
        shape = " x ".join(map(str, self.spec.sample_shape)) or "1"
        encoded = f", encoded as {self.encoding}" if self.encoding else ""
        return {
            "samples": f"[{self.start}, {self.stop})",
            "channels": f"{shape} of {self.spec.np_dtype}"
            + (f" in {self.units}" if self.units else "")
            + encoded,
            "time": f"{self.duration:.3f} s at {self.sample_rate:g} Hz",
            "gaps": f"{n_lost} samples lost in {len(self.gaps)} gap(s)" if self.gaps else "no gap",
        }

    @cached_property
    def _clock_shift(self) -> tuple[int, int]:
        """What brings the first sample's time to the recording host's clock, and its uncertainty, ns."""
        if self._clocks is None or not self._entry.time_ns:
            return 0, 0
        shift, doubt = self._clocks.shift(self._entry.producer, [self._entry.time_ns])
        return int(shift[0]), int(doubt[0])

    @cached_property
    def _journal(self) -> list[JournalLine]:
        return read_lines(self.folder / JOURNAL, JournalLine)

    @cached_property
    def _array(self) -> ArrayReader:
        return ArrayReader(self.folder, self._entry.layout)

    @cached_property
    def _video(self) -> VideoReader:
        return VideoReader(self.folder, self.spec, self.start)

    @cached_property
    def _events(self) -> npt.NDArray[Any]:
        return read_events(self.folder, self.spec, self._rows)

    def _bounds(self, index: slice) -> tuple[int, int]:
        start = self.start if index.start is None else index.start
        stop = self.stop if index.stop is None else index.stop
        if index.step not in (None, 1) or not self.start <= start <= stop <= self.stop:
            raise SamplesGone(
                f"samples [{start}, {stop}) of {self.name!r} asked for, in steps of {index.step or 1}; "
                f"recorded are [{self.start}, {self.stop}), by absolute index, in steps of 1"
            )
        return start, stop

    def _is_missing(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        missing = np.zeros(stop - start, dtype=bool)
        for gap in self._gaps_in(start, stop):
            missing[max(0, gap.start - start) : max(0, gap.stop - start)] = True
        return missing

    def _is_gap(self, start: int, stop: int) -> bool:
        """Whether all of the rows ``[start, stop)`` are in gaps."""
        first, last = self.start + start, self.start + stop
        at = first
        for gap in self._gaps_in(first, last):
            if gap.start > at:
                break
            at = max(at, gap.stop)
        return at >= last

    def _gaps_in(self, start: int, stop: int) -> tuple[Gap, ...]:
        """Gaps, which are in order, that have samples in ``[start, stop)``."""
        a = bisect_right(self.gaps, start, key=lambda gap: gap.stop)
        b = bisect_left(self.gaps, stop, key=lambda gap: gap.start)
        return self.gaps[a:b]
