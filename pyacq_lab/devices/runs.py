"""Run folders that a `Recorder` wrote, to be replayed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.recordings import EventTrack, Recording, Track, Tracks
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.events import event_dtype, events_in
from pyacq_lab.model.names import port_name
from pyacq_lab.recording.run import Run, open_run
from pyacq_lab.recording.signal import Signal

NS_PER_S = 1_000_000_000


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
    signals = {name: _one(run, name, segment) for name in run.streams if run.segments(name)}
    firsts = [float(signal.times_between(signal.start, signal.start + 1)[0]) for signal in signals.values()]
    begin = min(firsts, default=0.0)
    tracks: dict[str, Track] = {}
    for (name, signal), first in zip(signals.items(), firsts, strict=True):
        tracks[port_name(name, taken=tracks)] = _track(signal, round((first - begin) * NS_PER_S))
    return tracks


def _one(run: Run, name: str, segment: int | None) -> Signal:
    segments = run.segments(name)
    if segment is None and len(segments) > 1:
        listed = "; ".join(f"{i}: {s.duration:.3f} s" for i, s in enumerate(segments))
        raise ConfigurationError(
            f"{run.path.name}: {name!r} was started {len(segments)} times: "
            f"choose one with segment=i ({listed})"
        )
    if not 0 <= (segment or 0) < len(segments):
        raise ConfigurationError(f"segment={segment}: {name!r} has segments 0 to {len(segments) - 1}")
    return segments[segment or 0]


def _track(signal: Signal, delay_ns: int) -> Track:
    spec = signal.spec
    if spec.streamtype == "event" and spec.np_dtype.names == event_dtype().names:
        events = events_in(np.concatenate([signal.raw(a, b) for a, b in signal.pieces]))
        first = events[0].time_ns if events else 0
        shifted = (replace(event, time_ns=event.time_ns - first + delay_ns) for event in events)
        return EventTrack(tuple(shifted), spec.sample_rate)
    return Recording(
        SignalRows(signal),
        spec.sample_rate,
        units=spec.units,
        channel_names=spec.channel_names,
        delay_ns=delay_ns,
        gaps=tuple((gap.start - signal.start, gap.stop - signal.start) for gap in signal.gaps),
        stream=spec,
    )
