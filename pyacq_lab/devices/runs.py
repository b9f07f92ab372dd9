"""Run folders that a `Recorder` wrote, to be replayed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt

from pyacq_lab.devices.recordings import (
    NS_PER_S,
    Recording,
    Track,
    Tracks,
    chosen_segments,
    event_track,
)
from pyacq_lab.model.events import holds_events
from pyacq_lab.model.names import port_name
from pyacq_lab.recording.run import open_run
from pyacq_lab.recording.signal import Signal


class SignalRows:
    """Rows of a recorded signal, read when they are asked for."""

    def __init__(self, signal: Signal) -> None:
        self._signal = signal
        self.dtype = signal.spec.np_dtype
        self.shape = (len(signal), *signal.spec.sample_shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        return self._signal.raw(self._signal.start + start, self._signal.start + stop)


def load_run(folder: Path, segment: int | None) -> Tracks:
    """Load all streams of a run folder; their samples stay on disk.

    Parameters
    ----------
    folder : Path
        The run folder.
    segment : int or None
        Which start of the streams, where there were several.
    """
    run = open_run(folder)
    segments = {name: run.segments(name) for name in run.streams}
    durations = {name: {i: s.duration for i, s in enumerate(found)} for name, found in segments.items()}
    signals = {name: segments[name][i] for name, i in chosen_segments(durations, segment).items()}
    firsts = {name: s.first_time for name, s in signals.items()}
    begin = min(firsts.values(), default=0.0)
    begin_ns = run.manifest().started_ns + round(begin * NS_PER_S)
    tracks: dict[str, Track] = {}
    for name, signal in signals.items():
        delay_ns = round((firsts[name] - begin) * NS_PER_S)
        tracks[port_name(name, taken=tracks)] = _track(signal, delay_ns, begin_ns)
    return tracks


def _track(signal: Signal, delay_ns: int, begin_ns: int) -> Track:
    spec = signal.spec
    if holds_events(spec):
        events = signal.events
        return event_track(signal.name, events, begin_ns, spec.sample_rate)
    return Recording(
        SignalRows(signal),
        spec.sample_rate,
        units=spec.units,
        channel_names=spec.channel_names,
        delay_ns=delay_ns,
        gaps=tuple((gap.start - signal.start, gap.stop - signal.start) for gap in signal.gaps),
        stream=spec,
        time_of=_frame_clock(signal) if signal.encoding else None,
    )


def _frame_clock(signal: Signal) -> Callable[[int], int]:
    """Time of a frame, ns since the first one."""

    def time_s(row: int) -> float:
        at = signal.start + row
        return float(signal.times_between(at, at + 1)[0])

    first = time_s(0)
    return lambda row: round((time_s(row) - first) * NS_PER_S)
