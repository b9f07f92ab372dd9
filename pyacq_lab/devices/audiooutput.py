"""A sound card's output."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from pyacq_lab.devices.audiobackends import Backend, Opening, PlayBuffer, SoundDevice, load, open_device
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

logger = logging.getLogger(__name__)


class AudioOutputSettings(Settings):
    """Settings of `AudioOutput`."""

    backend: Backend = setting(
        "sounddevice",
        description="library: 'sounddevice' (PortAudio), or 'miniaudio', which needs nothing else",
    )
    device: str = setting(
        "", description="name or number of the device; empty: the default; 'null' (miniaudio): nowhere"
    )
    gain: float = setting(
        1.0, live=True, description="parts of full scale for one of the stream's units; louder is clipped"
    )
    latency: float = setting(0.1, gt=0, le=10, unit="s", description="what is gathered before it is heard")


class AudioOutput(Sink):
    """Lets a stream be heard, at its own sample rate.

    Sound begins when `latency` seconds of samples are there, and again after they had run out, as they do
    now and then where the device is faster than the stream. Where it is slower, or samples come in bursts
    longer than ten times `latency`, the oldest are left out. Gaps are silence. Both are counted: `underruns`
    and `skipped`.
    """

    settings_type = AudioOutputSettings
    settings: AudioOutputSettings
    policy = "drop-oldest"

    def __init__(self, settings: AudioOutputSettings) -> None:
        super().__init__(settings)
        load(settings.backend, "AudioOutput")
        self._device: SoundDevice | None = None
        self._spec = StreamSpec()
        self._buffer = PlayBuffer(1, 1, 1)
        self._told = 0, 0

    @property
    def underruns(self) -> int:
        """How often sound ran out since the start."""
        return self._buffer.underruns

    @property
    def skipped(self) -> int:
        """Samples that were left out since the start."""
        return self._buffer.skipped

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        """Open the device for what comes in."""
        s, (self._spec,) = self.settings, inputs.values()
        spec = self._spec
        if spec.streamtype != "analogsignal" or len(spec.shape) != 2 or spec.np_dtype.kind not in "iuf":
            raise ConfigurationError(
                f"{spec.streamtype} of {spec.np_dtype}, shape {spec.shape}, cannot be heard: "
                "wanted an analog signal"
            )
        lead = round(s.latency * spec.sample_rate)
        self._buffer = PlayBuffer(spec.n_channels, lead, 10 * lead)
        self._told = 0, 0
        opening = Opening(s.device, spec.sample_rate, spec.n_channels, give=self._buffer.give)
        self._device = open_device(s.backend, opening)

    def write(self, chunk: Chunk, name: str) -> None:
        """Hand samples over; NaN is silence."""
        data = self._spec.to_physical(chunk.data, np.float32) * np.float32(self.settings.gain)
        self._buffer.put(np.clip(np.nan_to_num(data, copy=False, nan=0.0), -1.0, 1.0))

    def gap(self, gap: Gap, name: str) -> None:
        """Be silent for as long as the gap is; a longer one than the buffer is heard as that."""
        n = min(len(gap), round(10 * self.settings.latency * self._spec.sample_rate))
        self._buffer.put(np.zeros((n, self._spec.n_channels), np.float32))

    def flush(self) -> Mapping[str, int]:
        """Say what ran out or was left out, and that the device is gone where it is."""
        if self._device is not None and not self._device.is_alive:
            raise ConnectionError(
                f"sound device {self.settings.device or 'default'!r} plays no more: is it plugged in?"
            )
        now = self.underruns, self.skipped
        if now != self._told:
            logger.info("sound ran out %d times, %d samples were left out since the start", *now)
            self._told = now
        return {}

    def close(self) -> None:
        """Close the device."""
        device, self._device = self._device, None
        if device is not None:
            device.close()
