"""BrainVision Recorder as a device, by its Remote Data Access."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping

import numpy as np

from pyacq_lab.devices.rda import HEADER, Block, Start, Stop, decode, size_of
from pyacq_lab.devices.tcp import TcpLink
from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_MAX_BLOCKS = 64


class BrainVisionRDASettings(Settings):
    """Settings of `BrainVisionRDA`."""

    host: str = setting("localhost", description="machine on which BrainVision Recorder runs")
    port: int = setting(51244, ge=1, le=65535, description="51244: 32-bit floats; 51234: 16-bit integers")
    timeout: float = setting(5.0, gt=0, le=60, unit="s", description="how long connecting may take")


class BrainVisionRDA(Source):
    """BrainVision Recorder (BrainAmp, actiCHamp, LiveAmp, ...), outputs `out` and `markers`.

    In the Recorder, Remote Data Access must be enabled, and monitoring or recording must run when the node
    is configured and started. Samples stay as they are sent, with the resolution of each channel as the
    stream's scale, in µV. Blocks that the Recorder counted but did not send are lost samples. Where the
    Recorder stops, so does the node.

    The protocol has no time stamps: samples are stamped when they arrive.
    """

    settings_type = BrainVisionRDASettings
    settings: BrainVisionRDASettings

    def __init__(self, settings: BrainVisionRDASettings) -> None:
        super().__init__(settings)
        self._link: TcpLink | None = None
        self._dtype = ""
        self._start: Start | None = None
        self._forget()

    def describe(self) -> Mapping[str, StreamSpec]:
        """Samples and markers, as the Recorder announces them; ConfigurationError where it does not."""
        if self._start is None:
            try:
                link = TcpLink(
                    self.settings.host, self.settings.port, self.settings.timeout, "BrainVision Recorder"
                )
                try:
                    self._start, block = self._introduction(link)
                finally:
                    link.close()
            except ConnectionError as error:
                raise ConfigurationError(f"{error}; enable Remote Data Access in its preferences") from error
            self._dtype = block.data.dtype.str
        start = self._start
        rate = 1e6 / start.interval_us
        return {
            "out": StreamSpec.of(
                self._dtype,
                shape=(-1, len(start.names)),
                sample_rate=rate,
                units="uV",
                channel_names=start.names,
                scale=start.resolutions,
            ),
            "markers": event_spec(rate),
        }

    def open(self) -> None:
        """Connect anew; what was announced at configure must still hold."""
        self._forget()
        link = TcpLink(self.settings.host, self.settings.port, self.settings.timeout, "BrainVision Recorder")
        try:
            start, first = self._introduction(link)
            if start != self._start or first.data.dtype.str != self._dtype:
                raise ConnectionError(f"{link.where} records something else now: configure the node again")
        except BaseException:
            link.close()
            raise
        self._link = link
        self._waiting.append(first)

    def read(self, timeout: float) -> Mapping[str, Reading] | None:
        """Give the blocks that have come, up to one before which others are missing."""
        if self._link is None:
            raise ConnectionError("BrainVision Recorder is not connected")
        self._receive(self._link, timeout)
        taken: list[Block] = []
        lost = 0
        while self._waiting:
            message = self._waiting[0]
            if not isinstance(message, Block):
                break
            missing = 0 if self._number is None else message.number - self._number - 1
            if missing < 0:
                raise ConnectionError(
                    f"{self._link.where} sent block {message.number} after {self._number}: "
                    "it has started anew; start the node again"
                )
            if missing and taken:
                break
            lost += missing * len(message.data)
            self._number = message.number
            taken.append(message)
            self._waiting.popleft()
        if not taken:
            if self._waiting:
                raise EndOfStream(
                    f"{self._link.where} stopped, or began anew, after {self._position} samples"
                )
            return None
        self._position += lost
        time_ns = self.clock.now_ns()
        events = event_array(self._events(taken, time_ns))
        readings = {"out": Reading(np.concatenate([block.data for block in taken]), lost)}
        if len(events):
            readings["markers"] = Reading(events, time_ns=int(events["time_ns"][0]))
        return readings

    def close(self) -> None:
        """Disconnect."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    # ---

    def _forget(self) -> None:
        self._waiting: deque[Block | Start | Stop] = deque()
        self._number: int | None = None
        self._position = 0

    def _introduction(self, link: TcpLink) -> tuple[Start, Block]:
        """The Recorder's first words: what it records, and a first block, which tells the data type."""
        start: Start | None = None
        deadline = time.monotonic() + self.settings.timeout
        while (left := deadline - time.monotonic()) > 0:
            message = self._message(link, left, len(start.names) if start else 0)
            if isinstance(message, Start):
                start = message
            elif isinstance(message, Block) and start is not None:
                return start, message
        raise ConnectionError(
            f"{link.where} sent nothing within {self.settings.timeout:g} s: "
            "start monitoring or recording there"
        )

    def _receive(self, link: TcpLink, timeout: float) -> None:
        """Take what is there, and wait only where nothing is."""
        n_channels = len(self._start.names) if self._start else 0
        while len(self._waiting) < _MAX_BLOCKS:
            message = self._message(link, 0.0 if self._waiting else timeout, n_channels)
            if message is None:
                return
            self._waiting.append(message)

    def _message(self, link: TcpLink, timeout: float, n_channels: int) -> Start | Block | Stop | None:
        """Next message that means something; None where none has come within ``timeout``."""
        deadline = time.monotonic() + timeout
        while (raw := link.message(HEADER.size, size_of, max(0.0, deadline - time.monotonic()))) is not None:
            message = decode(raw, n_channels)
            if message is not None:
                return message
        return None

    def _events(self, blocks: list[Block], now_ns: int) -> list[Event]:
        """Markers with their absolute index; the last sample has just come."""
        rate = self.describe()["out"].sample_rate
        begin, end = self._position, self._position + sum(len(block.data) for block in blocks)
        events: list[Event] = []
        for block in blocks:
            for m in block.markers:
                index = begin + m.position
                before = round((end - index) / rate * 1e9)
                label = f"{m.type}/{m.description}" if m.type else m.description
                code = "".join(c for c in m.description if c.isdigit())
                events.append(
                    Event(now_ns - before, index, m.points, m.channel, int(code[:9]) if code else -1, label)
                )
            begin += len(block.data)
        self._position = end
        return sorted(events, key=lambda event: event.index)
