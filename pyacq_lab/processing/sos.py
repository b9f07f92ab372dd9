"""A recursive filter that does not care how its input is cut."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.roles import Transform
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.checks import offset_times, require_signal
from pyacq_lab.processing.sos_design import SosFilterSettings, dc_gain, design, group_delay

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]


class SosFilter(Transform):
    """Lowpass, highpass, bandpass, bandstop or notch filter of second-order sections.

    One input `in`, one output `out` of float64 in the input's units. State and arithmetic are float64, and
    the result is bit-identical however the stream is cut into chunks.

    The filter starts as if each channel's first value had been there forever: a constant goes through
    without a transient. It starts afresh after a gap.

    NaN and infinities: the output is NaN where the input was not finite, and the filter itself goes on as
    if the channel had held its last finite value; one bad sample does not spoil all that follow. A channel
    starts at its first finite value.

    Corners, quality, order, family and coefficients are live. With other ones the filter starts afresh: as if
    each channel's last value had been there forever. So the output may step there, and what it was is not
    carried on into it; but from the index of the change on it is the same however the stream is cut.

    The spec's ``group_delay`` grows by the filter's delay where it lets pass; see `sos_design.group_delay`.
    It stays as it was at `initialize` when the settings change live, for readers have been told; what holds
    now is the node's own `group_delay`, and in the log. Who takes delays off, as `StreamAligner` does, goes
    on with the old one: where that matters, stop and configure instead.
    """

    settings_type = SosFilterSettings
    settings: SosFilterSettings
    at_gap = "reset"

    def __init__(self, settings: SosFilterSettings) -> None:
        super().__init__(settings)
        self._sos: Floats = np.zeros((0, 6))
        self._steady: Floats = np.zeros((0, 2, 1))
        self._spec: StreamSpec | None = None
        self._made = self._now = StreamSpec()
        self._n_channels = 0
        self.reset()

    @property
    def group_delay(self) -> float:
        """Delay of the output against the world with the settings in force, s; 0 before `initialize`."""
        return self._now.group_delay

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Design the filter for the input's sample rate."""
        spec = require_signal(inputs["in"], "SosFilter")
        self._spec, self._n_channels = spec, spec.n_channels
        self._take_sections(design(self.settings, spec.sample_rate))
        self.reset()
        self._made = self._now = self._described(spec, self.settings, self._sos)
        return {"out": self._made}

    def change(self, settings: SosFilterSettings) -> None:
        """Design another filter, and have it start from each channel's last value."""
        if self._spec is not None:
            sos = design(settings, self._spec.sample_rate)
            made = self._described(self._spec, settings, sos)
            if not np.allclose(made.offset, self._made.offset):
                raise ConfigurationError(
                    f"SosFilter: the stream's offset would become {made.offset} instead of "
                    f"{self._made.offset}, which readers were told: stop and configure it"
                )
            self._now = made
            self._take_sections(sos)
            self._state = self._steady * np.nan_to_num(self._held)
            logger.info("the group delay is %.6g s now, was %.6g s", made.group_delay, self._made.group_delay)
        super().change(settings)

    @staticmethod
    def _described(spec: StreamSpec, settings: SosFilterSettings, sos: Floats) -> StreamSpec:
        delay = spec.group_delay + group_delay(settings, sos, spec.sample_rate)
        offset = offset_times(spec, dc_gain(sos))
        return spec.replace(dtype="<f8", offset=offset, group_delay=delay)

    def _take_sections(self, sos: Floats) -> None:
        self._sos = sos
        self._steady = signal.sosfilt_zi(sos)[:, :, np.newaxis]

    def reset(self) -> None:
        """Wait for a first finite value in each channel."""
        n_sections, n_channels = len(self._sos), self._n_channels
        self._state: Floats = np.zeros((n_sections, 2, n_channels))
        self._held: Floats = np.full(n_channels, np.nan)  # last finite value; NaN before the first

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Filter one chunk, shape (n_samples, n_channels)."""
        data = np.asarray(chunk.data, dtype=np.float64)
        if not len(data):
            return data.copy()
        started = np.isfinite(self._held)
        if started.all():
            state = self._state
        elif started.any() or not np.isfinite(data[0]).all():
            return self._process_channels(data)
        else:
            state = self._steady * data[0]
        out, after = signal.sosfilt(self._sos, data, axis=0, zi=state)
        # Whatever is not finite stays in the state forever: no need to look at each sample for it.
        if not np.isfinite(after).all():
            return self._process_channels(data)
        self._state, self._held = after, data[-1].copy()
        return out

    def _process_channels(self, data: Floats) -> Floats:
        """Filter channel by channel, around values that are not finite."""
        out = np.full_like(data, np.nan)
        for c in range(data.shape[1]):
            finite = np.isfinite(data[:, c])
            if np.isnan(self._held[c]):
                if not finite.any():
                    continue
                first = int(finite.argmax())
                self._held[c] = data[first, c]
                self._state[:, :, c] = self._steady[:, :, 0] * data[first, c]
            else:
                first = 0
            last_finite = np.maximum.accumulate(np.where(finite, np.arange(len(data)), -1))
            held = np.where(last_finite < 0, self._held[c], data[last_finite, c])
            filtered, self._state[:, :, c] = signal.sosfilt(self._sos, held[first:], zi=self._state[:, :, c])
            out[first:, c] = np.where(finite[first:], filtered, np.nan)
            self._held[c] = held[-1]
        return out
