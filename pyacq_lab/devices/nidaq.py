"""Analog inputs of National Instruments, by NI-DAQmx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pyacq_lab.devices.pacing import MAX_CATCH_UP, NS_PER_S, default_chunk_size
from pyacq_lab.errors import MissingDependency
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_DRIVER = "The driver NI-DAQmx comes from ni.com, for Windows and some kinds of Linux"

_OVERWRITTEN = -200279
"""Error code: samples were overwritten before they were read."""


class NIDAQmxInputSettings(Settings):
    """Settings of `NIDAQmxInput`."""

    channels: tuple[str, ...] = setting(
        ("Dev1/ai0",), min_length=1, description="physical channels, such as 'Dev1/ai0', one each"
    )
    sample_rate: float = setting(1000.0, gt=0, unit="Hz", description="sample rate")
    min_val: float = setting(-10.0, unit="V", description="lower end of the range")
    max_val: float = setting(10.0, unit="V", description="upper end of the range")
    terminal: Literal["DEFAULT", "RSE", "NRSE", "DIFF", "PSEUDO_DIFF"] = setting(
        "DEFAULT", description="how the terminals are wired; DEFAULT: as the device chooses"
    )
    clock_source: str = setting("", description="terminal of the sample clock; empty: the device's own")
    channel_names: tuple[str, ...] = setting(
        (), description="names of the channels; empty: the physical ones"
    )
    buffer: float = setting(10.0, gt=0, unit="s", description="what the driver keeps for a slow reader")
    chunk_size: int = setting(0, ge=0, unit="samples", description="length of a chunk; 0: those of 20 ms")


class NIDAQmxInput(Source):
    """Voltages of a National Instruments device, output `out`, float64, V.

    The device's own clock paces the samples. A sample's time is that at which the driver had it, less what
    was waiting there; its uncertainty is how long asking took, and one sample.
    """

    settings_type = NIDAQmxInputSettings
    settings: NIDAQmxInputSettings

    def __init__(self, settings: NIDAQmxInputSettings) -> None:
        super().__init__(settings)
        names = ("nidaqmx", "nidaqmx.constants", "nidaqmx.errors", "nidaqmx.stream_readers")
        self._ni, self._constants, self._errors, self._readers = (
            import_optional(name, "NIDAQmxInput", "nidaqmx", "nidaqmx", _DRIVER) for name in names
        )
        self._chunk_size = settings.chunk_size or default_chunk_size(settings.sample_rate)
        self._task: Any = None
        self._reader: Any = None

    def describe(self) -> Mapping[str, StreamSpec]:
        """One analog signal."""
        s = self.settings
        return {
            "out": StreamSpec.of(
                np.float64,
                shape=(-1, len(s.channels)),
                sample_rate=s.sample_rate,
                units="V",
                channel_names=s.channel_names or s.channels,
            )
        }

    def open(self) -> None:
        """Set up the task and start it."""
        s, constants = self.settings, self._constants
        try:
            self._task = task = self._ni.Task()
            for channel in s.channels:
                task.ai_channels.add_ai_voltage_chan(
                    channel,
                    terminal_config=constants.TerminalConfiguration[s.terminal],
                    min_val=s.min_val,
                    max_val=s.max_val,
                )
            task.timing.cfg_samp_clk_timing(
                s.sample_rate,
                source=s.clock_source,
                sample_mode=constants.AcquisitionType.CONTINUOUS,
                samps_per_chan=max(2, round(s.buffer * s.sample_rate)),
            )
            self._check_rate(float(task.timing.samp_clk_rate))
            self._reader = self._readers.AnalogMultiChannelReader(task.in_stream)
            task.start()
        except (self._errors.DaqNotFoundError, self._errors.DaqNotSupportedError) as error:
            raise MissingDependency(f"NIDAQmxInput: {error} {_DRIVER}") from error
        except self._errors.DaqError as error:
            raise ConnectionError(f"{', '.join(s.channels)} cannot be opened: {error}") from error

    def read(self, timeout: float) -> Reading | None:
        """Give the samples that the driver has."""
        s, size = self.settings, self._chunk_size
        deadline = self.clock.now_ns() + round(timeout * NS_PER_S)
        try:
            while (waiting := self._task.in_stream.avail_samp_per_chan) < size:
                left = deadline - self.clock.now_ns()
                if left <= 0:
                    return None
                self.clock.sleep(min(left / NS_PER_S, (size - waiting) / s.sample_rate))
            before = self.clock.now_ns()
            waiting = self._task.in_stream.avail_samp_per_chan
            after = self.clock.now_ns()
            n = min(waiting // size, MAX_CATCH_UP) * size
            data = np.empty((len(s.channels), n))
            self._reader.read_many_sample(data, n, timeout=0.0)
        except self._errors.DaqError as error:
            if error.error_code == _OVERWRITTEN:
                raise OSError(
                    f"the driver's buffer of {s.buffer:g} s ran over before its samples were read: "
                    "raise buffer, or give this node a nodegroup of its own"
                ) from error
            raise ConnectionError(f"{', '.join(s.channels)}: {error}") from error
        middle = (before + after) // 2
        return Reading(
            np.ascontiguousarray(data.T),
            time_ns=middle - round(waiting / s.sample_rate * NS_PER_S),
            uncertainty_ns=(after - before) // 2 + round(NS_PER_S / s.sample_rate),
        )

    def close(self) -> None:
        """End the task."""
        task, self._task = self._task, None
        if task is not None:
            task.close()

    def _check_rate(self, rate: float) -> None:
        """Refuse a rate that the device can only come near to: indices would drift from the time."""
        if abs(rate / self.settings.sample_rate - 1) > 1e-9:
            raise ConnectionError(
                f"sample_rate={self.settings.sample_rate} Hz: the device would make it {rate!r} Hz; give that"
            )
