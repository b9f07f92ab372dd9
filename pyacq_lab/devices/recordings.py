"""Recordings that can be replayed: files in common formats, and one that a package ships."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.model.events import LABEL_NBYTES, Event, event_spec
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import StreamSpec

logger = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000


class Samples(Protocol):
    """Rows of a recording: an array, or what reads them from a file when they are asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape with time first."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]: ...


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples and what is known about them.

    Attributes
    ----------
    data : Samples, shape (n_samples, n_channels) or (n_samples, height, width, ...)
        Raw samples; may be mapped from a file. At least one.
    sample_rate : float
        Hz.
    units : str
        Units of ``raw * scale + offset``.
    scale, offset : float or tuple of float
        From raw samples to units, as in `StreamSpec`.
    channel_names : tuple of str
        Names, or empty.
    delay_ns : int
        Time of the first sample since the recording began, ns.
    gaps : tuple of (int, int)
        Rows ``[start, stop)`` that were never recorded, in order; `data` hold anything there.
    stream : StreamSpec or None
        The stream of which it was made, where that is known: says what the fields above do not.
    time_of : callable or None
        Gives the time of a row, ns since that of the first one, where samples have times of their own, as
        frames of a video do.
    """

    data: Samples
    sample_rate: float
    units: str = ""
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0
    channel_names: tuple[str, ...] = ()
    delay_ns: int = 0
    gaps: tuple[tuple[int, int], ...] = ()
    stream: StreamSpec | None = None
    time_of: Callable[[int], int] | None = None

    def relabelled(self, units: str | None, channel_names: tuple[str, ...]) -> Recording:
        """Copy with the user's labels where they were given."""
        names = channel_names or self.channel_names
        return replace(self, units=self.units if units is None else units, channel_names=names)

    def spec(self) -> StreamSpec:
        """Describe the samples as a stream."""
        if self.stream is not None:
            return self.stream.replace(units=self.units, channel_names=self.channel_names)
        return StreamSpec.of(
            self.data.dtype,
            streamtype="analogsignal" if len(self.data.shape) == 2 else "video",
            shape=(-1, *self.data.shape[1:]),
            sample_rate=self.sample_rate,
            units=self.units,
            scale=self.scale,
            offset=self.offset,
            channel_names=self.channel_names,
        )


@dataclass(frozen=True, eq=False)
class EventTrack:
    """Events of a recording.

    Attributes
    ----------
    events : tuple of Event
        In order; their ``time_ns`` count from the recording's beginning.
    sample_rate : float
        Rate of the stream that they mark, Hz.
    """

    events: tuple[Event, ...]
    sample_rate: float

    @property
    def label_nbytes(self) -> int:
        """Bytes that the longest label needs."""
        return max(LABEL_NBYTES, *(len(event.label.encode()) for event in self.events), 1)

    def spec(self) -> StreamSpec:
        """Describe the events as a stream."""
        return event_spec(self.sample_rate, self.label_nbytes)


Track = Recording | EventTrack

Tracks = Mapping[str, Track]
"""What a file holds, by names that outputs can have."""


def one_recording(recording: Recording) -> Tracks:
    """Name the only recording of a file."""
    return {"out": recording}


def event_track(name: str, events: Iterable[Event], begin_ns: int, sample_rate: float) -> EventTrack:
    """Make a track of events as they were recorded, at times since the recording's beginning.

    Those whose time is unknown are left out, with a warning in the log.
    """
    every = list(events)
    timed = [replace(event, time_ns=event.time_ns - begin_ns) for event in every if event.time_ns]
    if n_lost := len(every) - len(timed):
        logger.warning("%d events of %r have no time: left out of the replay", n_lost, name)
    return EventTrack(tuple(sorted(timed, key=lambda event: event.time_ns)), sample_rate)


def chosen_segments(durations: Mapping[str, Mapping[int, float]], segment: int | None) -> dict[str, int]:
    """Which start of each stream is played; a stream that does not have the one asked for is left out.

    Parameters
    ----------
    durations : mapping of str to mapping of int to float
        How long each start of each stream is, s.
    segment : int or None
        The one asked for; None where there is one only.

    Raises
    ------
    ConfigurationError
        No stream has it; or one has several, and none was asked for.
    """
    if segment is None:
        for name, starts in durations.items():
            if len(starts) > 1:
                listed = "; ".join(f"{i}: {duration:.3f} s" for i, duration in starts.items())
                raise ConfigurationError(
                    f"{name!r} was started {len(starts)} times: choose one with segment=i ({listed})"
                )
        return {name: next(iter(starts)) for name, starts in durations.items() if starts}
    chosen = {name: segment for name, starts in durations.items() if segment in starts}
    if durations and not chosen:
        last = max((i for starts in durations.values() for i in starts), default=-1)
        raise ConfigurationError(f"segment={segment}: its streams have segments 0 to {last}")
    return chosen


def load_file(path: str, sample_rate: float | None, segment: int | None = None) -> Tracks:
    """Load a file, or a run folder that a `Recorder` wrote.

    Raises
    ------
    ConfigurationError
        The file is missing, empty, damaged or of another kind, or its sample rate is not known.
    MissingDependency
        The package that reads this kind is not installed.
    """
    file = Path(path).expanduser()
    kind = "run folder" if file.is_dir() else file.suffix.lower()
    if kind not in _KINDS:
        raise ConfigurationError(f"path={path!r}: wanted a file that ends in {', '.join(_KINDS)}")
    try:
        tracks = _KINDS[kind](file, sample_rate, segment)
    except (ConfigurationError, MissingDependency):
        raise
    except (OSError, ValueError, LookupError, EOFError, UserWarning) as error:
        raise ConfigurationError(f"path={path!r} cannot be read as {kind}: {error}") from error
    checked = {name: _checked(track, path) for name, track in tracks.items()}
    if not any(isinstance(track, Recording) or track.events for track in checked.values()):
        raise ConfigurationError(f"path={path!r} holds neither samples nor events")
    return checked


def _checked(track: Track, path: str) -> Track:
    if isinstance(track, EventTrack):
        return track
    data = track.data
    if not data.shape or 0 in data.shape:
        raise ConfigurationError(f"path={path!r} holds an array of shape {data.shape}: wanted samples")
    if isinstance(data, np.ndarray) and data.ndim == 1 and track.stream is None:
        return replace(track, data=data[:, np.newaxis])
    return track


def load_dataset(name: str, sample_rate: float | None) -> Tracks:
    """Load a recording that an installed package ships.

    ``"ecg"`` is `pywt.data.ecg` of PyWavelets: 1024 samples of a human electrocardiogram in one channel.
    PyWavelets states neither its origin nor its sample rate nor its calibration. It is taken at 360 Hz, the
    rate of the MIT-BIH Arrhythmia Database (Moody & Mark, IEEE Eng. Med. Biol. 20(3):45-50, 2001), from
    which it is commonly held to come and at which its heart beats 66 times a minute. Its samples are left
    as they are, in units of the analog-to-digital converter (``adu``). Played in a loop it has a step
    where its end meets its beginning.
    """
    if name != "ecg":
        raise ConfigurationError(f"dataset={name!r}: wanted 'ecg'")
    data = import_optional("pywt.data", "dataset='ecg'", "PyWavelets").ecg()
    recording = Recording(data[:, np.newaxis], sample_rate or 360.0, units="adu", channel_names=("ecg",))
    return one_recording(recording)


def _load_npy(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    # Mapped, not read: a recording may be larger than memory.
    data = np.load(file, mmap_mode="r", allow_pickle=False)
    return one_recording(Recording(data, needed_rate(sample_rate, file)))


def _load_csv(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from pyacq_lab.devices.csvfile import load_csv

    return load_csv(file, sample_rate)


def _load_wav(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from scipy.io import wavfile

    try:
        rate, data = wavfile.read(file)
    except struct.error as error:
        raise ValueError(f"cut short: {error}") from error
    _check_rate(sample_rate, float(rate), file)
    if data.dtype == np.uint8:  # the one unsigned kind of the format, with silence at 128
        data = data.astype(np.int16) - 128
        scale = 1 / 128
    else:
        scale = 1 / (np.iinfo(data.dtype).max + 1) if data.dtype.kind == "i" else 1.0
    return one_recording(Recording(data, float(rate), units="FS", scale=scale))


def needed_rate(sample_rate: float | None, file: Path) -> float:
    """Give the rate; ConfigurationError where there is none."""
    if sample_rate is None:
        raise ConfigurationError(f"{file.name} does not say its sample rate: give sample_rate, Hz")
    return sample_rate


def _check_rate(sample_rate: float | None, recorded: float, file: Path) -> None:
    if sample_rate is not None and sample_rate != recorded:
        raise ConfigurationError(
            f"sample_rate={sample_rate}: {file.name} was recorded at {recorded:g} Hz; leave the setting out"
        )


def _load_edf(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from pyacq_lab.devices.edf import load_edf

    return load_edf(file)


def _load_xdf(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from pyacq_lab.devices.xdf import load_xdf

    return load_xdf(file)


def _load_hdf5(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from pyacq_lab.devices.hdf5 import load_hdf5

    return load_hdf5(file, segment)


def _load_nwb(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from pyacq_lab.devices.nwb import load_nwb

    return load_nwb(file, segment)


def _load_run(file: Path, sample_rate: float | None, segment: int | None) -> Tracks:
    from pyacq_lab.devices.runs import load_run

    return load_run(file, segment)


_KINDS: Mapping[str, Callable[[Path, float | None, int | None], Tracks]] = {
    ".npy": _load_npy,
    ".csv": _load_csv,
    ".wav": _load_wav,
    ".edf": _load_edf,
    ".bdf": _load_edf,
    ".xdf": _load_xdf,
    ".xdfz": _load_xdf,
    ".h5": _load_hdf5,
    ".hdf5": _load_hdf5,
    ".nwb": _load_nwb,
    "run folder": _load_run,
}
