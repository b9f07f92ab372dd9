"""A stream handed to the Lab Streaming Layer (https://labstreaminglayer.org)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyacq_lab.devices.lslclock import LslClock, load_lsl
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import events_in
from pyacq_lab.model.roles import Sink
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

logger = logging.getLogger(__name__)

_WIDER = {"u1": "i2", "u2": "i4", "u4": "i8", "f2": "f4", "b1": "i1"}
"""For each data type that LSL does not have, one that holds all its values."""

_FORMATS = {"f4": 1, "f8": 2, "i4": 4, "i2": 5, "i1": 6, "i8": 7}
"""LSL's numbers of its channel formats."""


class LSLOutletSettings(Settings):
    """Settings of `LSLOutlet`."""

    name: str = setting("pyacq_lab", min_length=1, description="name of the LSL stream")
    type: str = setting("EEG", description="type of the LSL stream; of events, 'Markers' is common")
    source_id: str = setting("", description="source id, by which readers find it again after a restart")
    physical: bool = setting(
        True, description="whether scale and offset are applied: LSL has no place to say them"
    )


class LSLOutlet(Sink):
    """Hands a stream to the Lab Streaming Layer, with its sample times.

    Names and units of the channels go into the description. Events become text: their label, or their code
    where they have none. A gap cannot be said in LSL: the time stamps after it show it.
    """

    settings_type = LSLOutletSettings
    settings: LSLOutletSettings

    def __init__(self, settings: LSLOutletSettings) -> None:
        super().__init__(settings)
        self._pylsl = load_lsl("LSLOutlet")
        self._outlet: Any = None
        self._spec = StreamSpec()
        self._dtype = np.dtype(np.float64)

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        """Announce the stream."""
        (self._spec,) = inputs.values()
        self._outlet = self._pylsl.StreamOutlet(self._info(self._spec))
        self._clock = LslClock(self._pylsl, self.clock)

    def write(self, chunk: Chunk, name: str) -> None:
        """Hand over samples, with the time of the last one, from which LSL derives those of the others."""
        if not len(chunk):
            return
        if self._spec.streamtype == "event":
            for event in events_in(chunk.data):
                text = event.label or str(event.code)
                self._outlet.push_sample([text], self._stamp(event.time_ns))
            return
        data = self._spec.to_physical(chunk.data, self._dtype) if self._is_physical else chunk.data
        last_ns = chunk.time_ns and chunk.time_ns + round((len(chunk) - 1) / self._spec.sample_rate * 1e9)
        rows = np.ascontiguousarray(data.reshape(len(chunk), -1), self._dtype)
        self._outlet.push_chunk(rows, self._stamp(last_ns))

    def gap(self, gap: Gap, name: str) -> None:
        """Leave it to the time stamps."""
        logger.debug("samples [%d, %d) never came: the time stamps of %r jump", gap.start, gap.stop, name)

    def close(self) -> None:
        """Take the stream off the network."""
        self._outlet = None

    @property
    def _is_physical(self) -> bool:
        return self.settings.physical and self._spec.is_scaled

    def _stamp(self, time_ns: int) -> float:
        return self._clock.to_lsl(time_ns) if time_ns else 0.0  # 0: now

    def _info(self, spec: StreamSpec) -> Any:
        s, pylsl = self.settings, self._pylsl
        if spec.streamtype == "event":
            return pylsl.StreamInfo(s.name, s.type, 1, pylsl.IRREGULAR_RATE, pylsl.cf_string, s.source_id)
        kind = spec.np_dtype.str[1:]
        kind = "f8" if self._is_physical else _WIDER.get(kind, kind)
        if kind not in _FORMATS or len(spec.shape) > 2:
            raise ConfigurationError(
                f"LSL has no stream of {spec.np_dtype}, shape {spec.shape}: wanted real numbers in channels, "
                "or events; a StreamConverter makes other numbers"
            )
        self._dtype = np.dtype(kind)
        info = pylsl.StreamInfo(
            s.name, s.type, spec.n_channels, spec.sample_rate, _FORMATS[kind], s.source_id
        )
        info.set_channel_labels(list(spec.names))
        info.set_channel_units([spec.units] * spec.n_channels)
        return info
