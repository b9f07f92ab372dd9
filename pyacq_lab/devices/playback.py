"""What is known beforehand, played as if it were acquired: the common part of `Replay` and `ArraySource`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.pacing import MAX_CATCH_UP, NS_PER_S, Pace, default_chunk_size
from pyacq_lab.devices.recordings import EventTrack, Recording, Tracks
from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.events import event_array
from pyacq_lab.model.roles import Clock, Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec


class PlaybackSettings(Settings):
    """What all sources have in common that play something."""

    loops: int = setting(1, ge=0, description="times that it is played; 0: endlessly")
    realtime: bool = setting(
        True, description="pace at the sample rate; False: as fast as the samples are taken"
    )
    speed: float = setting(
        1.0, gt=0, description="times real time; sample times stay those of the sample rate"
    )
    chunk_size: int = setting(0, ge=0, unit="samples", description="length of a chunk; 0: those of 20 ms")


class SamplePlayer:
    """Plays one recording.

    Parameters
    ----------
    recording : Recording
        What to play.
    settings : PlaybackSettings
        How.
    """

    def __init__(self, recording: Recording, settings: PlaybackSettings) -> None:
        rate = recording.sample_rate
        self.recording = recording
        self._size = settings.chunk_size or default_chunk_size(rate)
        self._speed = settings.speed
        self._times, self._pace = Pace(rate), Pace(rate * settings.speed)
        self._length = len(recording.data)
        self._end = settings.loops * self._length or None
        self._position = 0
        self._lost = 0

    @property
    def is_over(self) -> bool:
        """Whether all was given."""
        return self._position == self._end

    @property
    def next_ns(self) -> int:
        """Time of the next sample."""
        return self._times.time_ns(self._position)

    @property
    def due_ns(self) -> int:
        """When the next chunk is due."""
        stop = self._position + self._size
        return self._pace.time_ns(stop if self._end is None else min(stop, self._end))

    def begin(self, now_ns: int) -> None:
        """Start, with the recording's beginning at this time."""
        delay = self.recording.delay_ns
        self._times.begin(now_ns + delay)
        self._pace.begin(now_ns + round(delay / self._speed))
        self._position = self._lost = 0

    def take(self, clock: Clock, timeout: float) -> Reading | None:
        """Wait for the next chunk; None where none is due within ``timeout``."""
        return self._given(self._pace.take(clock, self._position, self._size, timeout, self._end))

    def take_now(self) -> Reading | None:
        """Give the next chunk whatever the time."""
        stop = self._position + self._size
        return self._given(stop if self._end is None else min(stop, self._end))

    def _given(self, stop: int) -> Reading | None:
        start = self._position
        if stop == start:
            return None
        stop, first = self._without_gaps(start, stop)
        self._position = stop
        self._lost += first - start
        if first == stop and not self.is_over:
            return None  # what is lost is told with the samples after it
        lost, self._lost = self._lost, 0
        return Reading(self._rows(first, stop), lost=lost, time_ns=self._time_ns(first))

    def _time_ns(self, position: int) -> int:
        """Time of a sample: its own, where it has one, else that of the sample rate."""
        if self.recording.time_of is None:
            return self._times.time_ns(position)
        loop, row = divmod(position, self._length)
        return self._times.time_ns(loop * self._length) + self.recording.time_of(row)

    def _without_gaps(self, start: int, stop: int) -> tuple[int, int]:
        """Where the reading ends, and where its samples begin: a gap can only come first in it."""
        base = start // self._length * self._length
        if self.recording.gaps:
            stop = min(stop, base + self._length)
        first = start
        for a, b in self.recording.gaps:
            if base + a > first:
                return min(stop, base + a), first
            if first < base + b:
                first = min(stop, base + b)
        return stop, first

    def _rows(self, start: int, stop: int) -> npt.NDArray[Any]:
        data, length = self.recording.data, self._length
        parts: list[npt.NDArray[Any]] = []
        while start < stop or not parts:
            at = start % length
            n = min(stop - start, length - at)
            parts.append(np.array(data[at : at + n]))  # a copy: the file may be mapped, not read
            start += n
        return parts[0] if len(parts) == 1 else np.concatenate(parts, dtype=data.dtype)


class EventPlayer:
    """Plays one track of events.

    Parameters
    ----------
    track : EventTrack
        What to play.
    settings : PlaybackSettings
        How.
    period : tuple of (int, int)
        After how many ns, and samples of the stream that they mark, the track begins again.
    """

    def __init__(self, track: EventTrack, settings: PlaybackSettings, period: tuple[int, int]) -> None:
        self._events = track.events
        self._label_nbytes = track.label_nbytes
        self._speed = settings.speed
        self._period_ns, self._period = period
        self._end = settings.loops * len(track.events) if settings.loops and track.events else None
        self._origin = self._position = 0
        self.is_over = False
        self._is_empty = not track.events

    @property
    def next_ns(self) -> int:
        """Time of the next event."""
        return self._origin + self._time_ns(self._position)

    @property
    def due_ns(self) -> int:
        """When the next event is due."""
        return self._origin + round(self._time_ns(self._position) / self._speed)

    def begin(self, now_ns: int) -> None:
        """Start, with the recording's beginning at this time."""
        self._origin, self._position = now_ns, 0
        self.is_over = self._is_empty

    def take(self, clock: Clock, timeout: float) -> Reading | None:
        """Wait for the next events; None where none is due within ``timeout``."""
        left = min(self.due_ns - clock.now_ns(), round(timeout * NS_PER_S))
        if left > 0:
            clock.sleep(left / NS_PER_S)
        now, start = clock.now_ns(), self._position
        while not self.is_over and self.due_ns <= now and self._position - start < MAX_CATCH_UP:
            self._advance()
        return self._given(start)

    def take_now(self) -> Reading | None:
        """Give the next event whatever the time."""
        start = self._position
        self._advance()
        return self._given(start)

    def _advance(self) -> None:
        self._position += 1
        self.is_over = self._position == self._end

    def _time_ns(self, position: int) -> int:
        loop, at = divmod(position, len(self._events))
        return self._events[at].time_ns + loop * self._period_ns

    def _given(self, start: int) -> Reading | None:
        if start == self._position:
            return None
        given = []
        for position in range(start, self._position):
            loop, at = divmod(position, len(self._events))
            event = self._events[at]
            index = event.index if event.index < 0 else event.index + loop * self._period
            given.append(replace(event, time_ns=self._origin + self._time_ns(position), index=index))
        return Reading(event_array(given, self._label_nbytes), time_ns=given[0].time_ns)


class Playback(Source):
    """Plays tracks from a common beginning, each as an output; times are of the sample rate, or frames' own.

    Parameters
    ----------
    settings : PlaybackSettings
        Checked settings.
    tracks : mapping of str to Track
        What to play, by output.
    """

    def __init__(self, settings: PlaybackSettings, tracks: Tracks) -> None:
        super().__init__(settings)
        self._is_realtime = settings.realtime
        self.waits = not settings.realtime or settings.speed != 1  # where nobody asked for the true pace
        recordings = [track for track in tracks.values() if isinstance(track, Recording)]
        if settings.loops != 1 and len(recordings) != 1:
            raise ConfigurationError(
                f"loops={settings.loops} of {len(recordings)} streams of samples: "
                "only one can begin again where it ended; choose one with streams=['...']"
            )
        period = _period_of(recordings[0]) if recordings else (0, 0)
        self._specs = {name: _with_room(track, settings) for name, track in tracks.items()}
        self._players: dict[str, SamplePlayer | EventPlayer] = {
            name: SamplePlayer(track, settings)
            if isinstance(track, Recording)
            else EventPlayer(track, settings, period)
            for name, track in tracks.items()
        }

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output for each track; recordings of more than two dimensions are video."""
        return self._specs

    def open(self) -> None:
        """Start from the beginning, now."""
        now = self.clock.now_ns()
        for player in self._players.values():
            player.begin(now)

    def read(self, timeout: float) -> Mapping[str, Reading] | Reading | None:
        """Give the samples that are due; EndOfStream after the last."""
        playing = {name: player for name, player in self._players.items() if not player.is_over}
        if not playing:
            raise EndOfStream("all samples were replayed")
        if not self._is_realtime:
            name = min(playing, key=lambda name: playing[name].next_ns)
            return self._only(name, playing[name].take_now())
        name = min(playing, key=lambda name: playing[name].due_ns)
        got = {name: playing.pop(name).take(self.clock, timeout)}
        got |= {name: player.take(self.clock, 0.0) for name, player in playing.items()}
        if len(self._players) == 1:
            return got[name]
        return {name: reading for name, reading in got.items() if reading is not None} or None

    def _only(self, name: str, reading: Reading | None) -> Mapping[str, Reading] | Reading | None:
        return reading if reading is None or len(self._players) == 1 else {name: reading}


def _with_room(track: Recording | EventTrack, settings: PlaybackSettings) -> StreamSpec:
    """Spec of a track, with room for its chunks: a ring buffer takes at once what is half as long."""
    spec = track.spec()
    if isinstance(track, EventTrack):
        return spec
    room = 2 * min(settings.chunk_size, len(track.data) * (settings.loops or settings.chunk_size))
    return spec.replace(buffer_size=room) if room > spec.ring_size else spec


def _period_of(recording: Recording) -> tuple[int, int]:
    n_samples = len(recording.data)
    return round(n_samples / recording.sample_rate * NS_PER_S), n_samples
