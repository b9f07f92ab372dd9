"""Sound devices by two libraries: PortAudio (sounddevice) and miniaudio, as one small interface."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.optional import import_optional

Backend = Literal["sounddevice", "miniaudio"]

Samples = npt.NDArray[np.float32]

Give = Callable[[int], Samples]
"""Gives so many frames, shape (n_frames, n_channels); called by the library's thread, and must not wait."""

Take = Callable[[Samples, bool], None]
"""Takes frames, and whether the library lost some before; called by the library's thread."""

_PERIOD_MS = 20


class SoundDevice(Protocol):
    """A device that is open."""

    @property
    def latency(self) -> float:
        """Time between the air and the callback, s, as far as the library knows it."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        ...

    def close(self) -> None:
        """Stop it and let it go; nothing is called afterwards."""
        ...


def load(backend: Backend, who: str) -> Any:
    """Import a library; MissingDependency where it, or PortAudio, is not there."""
    hint = "PortAudio comes with the wheels for Windows and macOS; on Debian: apt install libportaudio2"
    if backend == "sounddevice":
        return import_optional(
            "sounddevice", who, "sounddevice", "audio", f"{hint}. Or use backend='miniaudio'"
        )
    return import_optional("miniaudio", who, "miniaudio", "audio")


@dataclass(frozen=True)
class Opening:
    """How a device is to be opened: to record where it is said who takes, else to play."""

    device: str
    sample_rate: float
    n_channels: int
    take: Take | None = None
    give: Give = lambda n_frames: np.zeros((n_frames, 1), np.float32)

    @property
    def who(self) -> str:
        """Name of the node type, for messages."""
        return "AudioOutput" if self.take is None else "AudioInput"

    def refused(self, error: Exception) -> ConnectionError:
        """Make the error of a device that cannot be opened."""
        return ConnectionError(f"sound device {self.device or 'default'!r} cannot be opened: {error}")


def open_device(backend: Backend, opening: Opening) -> SoundDevice:
    """Open a device and start it.

    Raises
    ------
    ConnectionError
        It is not there, or does not take these settings.
    ConfigurationError
        The library has no such sample rate.
    """
    return _PortAudio(opening) if backend == "sounddevice" else _MiniAudio(opening)


class _PortAudio:
    def __init__(self, opening: Opening) -> None:
        sd, device, take, give = load("sounddevice", opening.who), opening.device, opening.take, opening.give
        common = {
            "samplerate": opening.sample_rate, "channels": opening.n_channels, "dtype": "float32",
            "device": (int(device) if device.isdecimal() else device) or None,
        }  # fmt: skip
        try:
            if take is not None:
                self._stream = sd.InputStream(
                    callback=lambda data, n, t, status: take(data.copy(), bool(status.input_overflow)),
                    **common,
                )
            else:
                self._stream = sd.OutputStream(
                    callback=lambda data, n, t, status: np.copyto(data, give(n)), **common
                )
            self._stream.start()
        except (sd.PortAudioError, ValueError) as error:
            raise ConnectionError(
                f"sound device {device or 'default'!r} cannot be opened: {error}"
            ) from error

    @property
    def latency(self) -> float:
        return float(self._stream.latency)

    @property
    def is_alive(self) -> bool:
        return bool(self._stream.active)

    def close(self) -> None:
        self._stream.close()


class _MiniAudio:
    def __init__(self, opening: Opening) -> None:
        self._lib = ma = load("miniaudio", opening.who)
        device, rate, n_channels = opening.device, opening.sample_rate, opening.n_channels
        if rate != round(rate):
            raise ConfigurationError(f"sample_rate={rate} Hz: miniaudio wants a whole number of Hz")
        # 'null' is a device without hardware; it keeps the pace of the clock.
        backends = (
            [ma.Backend.NULL] if device == "null" else [b for b in ma.Backend if b is not ma.Backend.NULL]
        )
        common = {
            "nchannels": n_channels, "sample_rate": round(rate), "buffersize_msec": _PERIOD_MS,
            "backends": backends,
            "device_id": None if device in ("", "null") else self._find(device, opening.take is not None),
        }  # fmt: skip
        form = ma.SampleFormat.FLOAT32
        try:
            if opening.take is not None:
                self._device = ma.CaptureDevice(input_format=form, **common)
                self._pump = _taking(opening.take, n_channels)
            else:
                self._device = ma.PlaybackDevice(output_format=form, **common)
                self._pump = _giving(opening.give)
            next(self._pump)
            self._device.stop_callback = lambda: None  # miniaudio notes only then that it was stopped
            self._device.start(self._pump)
        except ma.MiniaudioError as error:
            raise ConnectionError(
                f"sound device {device or 'default'!r} cannot be opened: {error}"
            ) from error
        self.latency = _PERIOD_MS / 1000

    @property
    def is_alive(self) -> bool:
        return bool(self._device.running)

    def close(self) -> None:
        self._device.close()

    def _find(self, name: str, is_input: bool) -> Any:
        devices = self._lib.Devices()
        found = devices.get_captures() if is_input else devices.get_playbacks()
        for device in found:
            if device["name"] == name:
                return device["id"]
        known = ", ".join(repr(device["name"]) for device in found) or "none"
        raise ConnectionError(f"no sound device {name!r}: there are {known}, and 'null'")


def _taking(take: Take, n_channels: int) -> Generator[None, bytes, None]:
    while True:
        data = yield
        take(np.frombuffer(data, np.float32).reshape(-1, n_channels), False)


def _giving(give: Give) -> Generator[bytes, int, None]:
    n_frames = yield b""
    while True:
        n_frames = yield np.ascontiguousarray(give(n_frames)).tobytes()


class TakenFrames:
    """Frames on their way from the library's thread to the node's.

    Parameters
    ----------
    most : int
        Frames that are kept; more are lost, and counted.
    """

    def __init__(self, most: int) -> None:
        self._queue: queue.SimpleQueue[tuple[Samples, int, int, bool]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._most, self._kept, self._dropped = most, 0, 0

    def put(self, data: Samples, now_ns: int, has_lost: bool) -> None:
        """Keep frames that came at this time."""
        with self._lock:
            if self._kept + len(data) > self._most:
                self._dropped += len(data)
                return
            dropped, self._dropped = self._dropped, 0
            self._kept += len(data)
        self._queue.put((data, now_ns, dropped, has_lost))

    def take(self, timeout: float) -> tuple[Samples, int, int, bool] | None:
        """Wait for frames: these, when they came, how many were dropped before, whether others were lost."""
        try:
            taken = self._queue.get(timeout=timeout) if timeout > 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        with self._lock:
            self._kept -= len(taken[0])
        return taken


class PlayBuffer:
    """Frames on their way from the node's thread to the library's; silence where there are none.

    Parameters
    ----------
    n_channels : int
        Channels.
    lead : int
        Frames that are gathered before playing begins, at first and after it had run dry.
    most : int
        Frames that are kept; where the device is slower than the stream, the oldest are left out.
    """

    def __init__(self, n_channels: int, lead: int, most: int) -> None:
        self._frames = np.zeros((0, n_channels), np.float32)
        self._lead, self._most = lead, max(most, 2 * lead)
        self._lock = threading.Lock()
        self._is_playing = False
        self.underruns = 0
        """How often it ran dry."""
        self.skipped = 0
        """Frames that were left out."""

    def put(self, data: Samples) -> None:
        """Append frames."""
        with self._lock:
            self._frames = np.concatenate([self._frames, data])
            self._is_playing = self._is_playing or len(self._frames) >= self._lead
            excess = len(self._frames) - self._most
            if excess > 0:
                self._frames = self._frames[excess:]
                self.skipped += excess

    def give(self, n_frames: int) -> Samples:
        """Take frames, filled up with silence."""
        out = np.zeros((n_frames, self._frames.shape[1]), np.float32)
        with self._lock:
            if self._is_playing:
                n = min(n_frames, len(self._frames))
                out[:n], self._frames = self._frames[:n], self._frames[n:]
                if n < n_frames:
                    self._is_playing = False
                    self.underruns += 1
        return out

    def __len__(self) -> int:
        return len(self._frames)
