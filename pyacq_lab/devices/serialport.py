"""An instrument on a serial line, such as a microcontroller."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pyacq_lab.devices.serialformats import Checksum, Frames, LineCutter, NumberLines
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

try:
    import termios

    _GONE = (OSError, termios.error)
except ImportError:  # Windows
    _GONE = (OSError,)

logger = logging.getLogger(__name__)


class SerialSourceSettings(Settings):
    """Settings of `SerialSource`."""

    port: str = setting(
        description="'/dev/ttyUSB0', 'COM3', or a URL of pyserial such as 'socket://host:7000'"
    )
    baudrate: int = setting(115200, gt=0, unit="Bd", description="speed of the line")
    format: Literal["numbers", "text", "frames"] = setting(
        "numbers", description="lines of numbers, lines of text (events), or binary frames"
    )
    n_channels: int = setting(1, ge=1, description="numbers in a line or frame")
    sample_rate: float = setting(100.0, gt=0, unit="Hz", description="nominal lines or frames per second")
    delimiter: str = setting(",", description="between the numbers of a line; empty: white space")
    leave_first: bool = setting(True, description="leave the first line out: it may be the rest of one")
    sync: str = setting("A5 5A", description="with what a frame begins, hexadecimal")
    dtype: str = setting("<i2", description="numpy data type of the numbers in a frame")
    counter: bool = setting(False, description="whether a byte after the sync word counts the frames")
    checksum: Checksum = setting(
        "none", description="last byte of a frame: sum or exclusive or, without the sync word"
    )
    send_at_start: str = setting("", description="text sent when it is opened, such as 'start\\n'")
    send_at_stop: str = setting("", description="text sent before it is closed")
    units: str = setting("", description="units of the numbers")
    channel_names: tuple[str, ...] = setting((), description="names of the channels; empty: their numbers")


class SerialSource(Source):
    r"""A serial line, output `out`.

    ==========  =======================================================================================
    format      what comes
    ==========  =======================================================================================
    `numbers`   lines such as ``1.5,-3,20``: float64, one number for each channel
    `text`      lines of text, each an event
    `frames`    ``sync [counter] numbers [checksum]`` in binary, in the settings' data type
    ==========  =======================================================================================

    What arrives damaged is counted as lost and named in the log, once for each run of damage. There are no
    time stamps on the line: samples are stamped when they arrive.

    Examples
    --------
    >>> arduino.configure(port="/dev/ttyACM0", n_channels=2, sample_rate=200, send_at_start="go\n")
    """

    settings_type = SerialSourceSettings
    settings: SerialSourceSettings

    def __init__(self, settings: SerialSourceSettings) -> None:
        super().__init__(settings)
        self._serial = import_optional("serial", "SerialSource", "pyserial", "serial")
        self._line: Any = None
        self._waiting: deque[Reading] = deque()
        self._said = ""
        self._parser: NumberLines | Frames | LineCutter = self._make_parser()

    def describe(self) -> Mapping[str, StreamSpec]:
        """Numbers, or events."""
        s = self.settings
        if isinstance(self._parser, LineCutter):
            return {"out": event_spec(s.sample_rate)}
        return {
            "out": StreamSpec.of(
                self._parser.dtype,
                shape=(-1, s.n_channels),
                sample_rate=s.sample_rate,
                units=s.units,
                channel_names=s.channel_names,
            )
        }

    def open(self) -> None:
        """Open the line, throw away what came before, and say what is to be said."""
        self._parser = self._make_parser()
        self._waiting.clear()
        self._said = ""
        try:
            self._line = self._serial.serial_for_url(
                self.settings.port, baudrate=self.settings.baudrate, timeout=0
            )
            self._line.reset_input_buffer()
            self._line.write(self.settings.send_at_start.encode())
        except (*_GONE, ValueError) as error:
            raise ConnectionError(f"serial port {self.settings.port} cannot be opened: {error}") from error

    def read(self, timeout: float) -> Reading | None:
        """Give what has come."""
        if not self._waiting:
            came = self._receive(timeout)
            if came:
                self._parse(came)
        return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        """Say what is to be said, and close the line."""
        line, self._line = self._line, None
        if line is None:
            return
        try:
            if self.settings.send_at_stop:
                line.write(self.settings.send_at_stop.encode())
                line.flush()
        except _GONE as error:
            logger.info("serial port %s took no last words: %s", self.settings.port, error)
        finally:
            line.close()

    # ---

    def _make_parser(self) -> NumberLines | Frames | LineCutter:
        s = self.settings
        if s.format == "text":
            return LineCutter(s.leave_first)
        if s.format == "numbers":
            return NumberLines(s.n_channels, s.delimiter, s.leave_first)
        try:
            sync, dtype = bytes.fromhex(s.sync), np.dtype(s.dtype)
        except (ValueError, TypeError) as error:
            raise ConfigurationError(f"sync={s.sync!r}, dtype={s.dtype!r}: {error}") from error
        return Frames(sync, dtype, s.n_channels, s.counter, s.checksum)

    def _receive(self, timeout: float) -> bytes:
        try:
            self._line.timeout = timeout
            first: bytes = self._line.read(1)
            self._line.timeout = 0
            return first + self._line.read(1 << 16) if first else b""
        except (*_GONE, TypeError) as error:  # pyserial raises TypeError where the port was closed meanwhile
            raise ConnectionError(f"serial port {self.settings.port} is gone: {error}") from error

    def _parse(self, came: bytes) -> None:
        parser, now = self._parser, self.clock.now_ns()
        if isinstance(parser, LineCutter):
            lines = parser.feed(came)
            if lines:
                events = (Event(now, label=line.decode(errors="replace").strip()) for line in lines)
                self._waiting.append(Reading(event_array(events), time_ns=now))
            return
        for lost, samples in parser.feed(came):
            self._waiting.append(Reading(samples, lost))
        if parser.fault and parser.fault != self._said:
            logger.warning("serial port %s: damaged: %s", self.settings.port, parser.fault)
        self._said, parser.fault = parser.fault, ""
