"""A sound card's input."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pyacq_lab.devices.audiobackends import (
    Backend,
    Opening,
    Samples,
    SoundDevice,
    TakenFrames,
    load,
    open_device,
)
from pyacq_lab.devices.pacing import NS_PER_S
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec


class AudioInputSettings(Settings):
    """Settings of `AudioInput`."""

    backend: Backend = setting(
        "sounddevice",
        description="library: 'sounddevice' (PortAudio), or 'miniaudio', which needs nothing else",
    )
    device: str = setting(
        "", description="name or number of the device; empty: the default; 'null' (miniaudio): silence"
    )
    n_channels: int = setting(1, ge=1, description="number of channels")
    sample_rate: float = setting(48_000.0, gt=0, unit="Hz", description="sample rate")
    buffer: float = setting(
        2.0, gt=0, unit="s", description="what is kept where the node is too busy to take it"
    )
    silence: float = setting(
        5.0, gt=0, unit="s", description="without samples for so long, the device counts as lost"
    )


class AudioInput(Source):
    """A microphone, or whatever a sound card digitises: output `out`, float32, in parts of full scale.

    A chunk's time is that at which the library had it, less its duration and the latency that the library
    states. What the library says that it lost is counted by the time that is missing.
    """

    settings_type = AudioInputSettings
    settings: AudioInputSettings

    def __init__(self, settings: AudioInputSettings) -> None:
        super().__init__(settings)
        load(settings.backend, "AudioInput")
        self._device: SoundDevice | None = None

    def describe(self) -> Mapping[str, StreamSpec]:
        """One analog signal."""
        s = self.settings
        return {
            "out": StreamSpec.of(np.float32, shape=(-1, s.n_channels), sample_rate=s.sample_rate, units="FS")
        }

    def open(self) -> None:
        """Open the device."""
        s = self.settings
        self._frames = frames = TakenFrames(round(s.buffer * s.sample_rate))
        clock = self.clock

        def take(data: Samples, has_lost: bool) -> None:
            frames.put(data, clock.now_ns(), has_lost)

        self._device = open_device(s.backend, Opening(s.device, s.sample_rate, s.n_channels, take))
        self._heard = clock.now_ns()
        self._next_ns = self._last_ns = 0

    def read(self, timeout: float) -> Reading | None:
        """Give what has come."""
        taken = self._frames.take(timeout)
        if taken is None:
            self._check_alive()
            return None
        data, now_ns, lost, has_lost = taken
        self._heard = now_ns
        rate = self.settings.sample_rate
        latency = self._device.latency if self._device else 0.0
        time_ns = now_ns - round((len(data) / rate + latency) * NS_PER_S)
        if has_lost and self._next_ns:
            lost = max(1, lost, round((time_ns - self._next_ns) * rate / NS_PER_S))
        self._last_ns = time_ns = max(time_ns, self._last_ns)  # callbacks may come in bursts
        self._next_ns = time_ns + round(len(data) / rate * NS_PER_S)
        return Reading(data, lost, time_ns, round(latency * NS_PER_S))

    def close(self) -> None:
        """Close the device."""
        device, self._device = self._device, None
        if device is not None:
            device.close()

    def _check_alive(self) -> None:
        s = self.settings
        is_silent = self.clock.now_ns() - self._heard > s.silence * NS_PER_S
        if is_silent or (self._device is not None and not self._device.is_alive):
            raise ConnectionError(
                f"sound device {s.device or 'default'!r} gives nothing any more: is it plugged in?"
            )
