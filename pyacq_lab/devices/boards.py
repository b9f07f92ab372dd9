"""Biosignal amplifiers by BrainFlow (https://brainflow.org)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.pacing import NS_PER_S
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_UNITS = dict.fromkeys(("eeg", "exg", "emg", "ecg", "eog"), "uV") | {
    "accel": "g",
    "gyro": "deg/s",
    "temperature": "degC",
}
"""Units of BrainFlow's kinds of channels, where it defines them for all boards."""

_COUNTERS = {"SYNTHETIC_BOARD": 256, "CYTON_BOARD": 256, "CYTON_WIFI_BOARD": 256}
"""Where the package numbers of boards are known to begin again."""

_POLL = 0.01


class BrainFlowBoardSettings(Settings):
    """Settings of `BrainFlowBoard`; BrainFlow's list of boards says which parameters a board needs."""

    board: str = setting(
        "SYNTHETIC_BOARD", description="BrainFlow's name of the board, such as 'CYTON_BOARD'"
    )
    signals: tuple[str, ...] = setting(
        ("eeg",), min_length=1, description="kinds of channels, each an output: 'eeg', 'exg', 'accel', ..."
    )
    serial_port: str = setting("", description="serial port of the board or its dongle")
    mac_address: str = setting("", description="MAC address of a Bluetooth board")
    ip_address: str = setting("", description="IP address of a network board")
    ip_port: int = setting(0, ge=0, le=65535, description="port of a network board")
    serial_number: str = setting("", description="serial number of the board")
    other_info: str = setting("", description="what else the board needs")
    file: str = setting("", description="file that a playback board plays")
    master_board: str = setting("", description="board that a playback or streaming board stands for")
    connect_timeout: int = setting(
        0, ge=0, unit="s", description="how long the board is looked for; 0: BrainFlow's own"
    )
    commands: tuple[str, ...] = setting(
        (), description="configuration commands sent to the board before it starts"
    )
    counter: int | None = setting(
        None,
        ge=0,
        description="where package numbers begin again; 0: not looked at; None: as is known of the board",
    )
    silence: float = setting(
        5.0, gt=0, unit="s", description="without samples for so long, the board counts as lost"
    )


class BrainFlowBoard(Source):
    """An amplifier that BrainFlow knows, an output for each kind of signal, and `markers`.

    ``insert_marker`` puts a number into the stream of the board; it comes as an event. Packages that never
    came are lost samples, by the board's package numbers, where it is known at which they begin again.
    BrainFlow stamps samples when they arrive.
    """

    settings_type = BrainFlowBoardSettings
    settings: BrainFlowBoardSettings

    def __init__(self, settings: BrainFlowBoardSettings) -> None:
        super().__init__(settings)
        shim = import_optional("brainflow.board_shim", "BrainFlowBoard", "brainflow", "brainflow")
        self._shim, self._error = (
            shim,
            import_optional(
                "brainflow.exit_codes", "BrainFlowBoard", "brainflow", "brainflow"
            ).BrainFlowError,
        )
        shim.BoardShim.disable_board_logger()  # it prints; what goes wrong is raised as well
        self._id = self._board_id(settings.board, "board")
        self._params = self._make_params()
        described = (
            self._id if not settings.master_board else self._board_id(settings.master_board, "master_board")
        )
        self._descr: dict[str, Any] = shim.BoardShim.get_board_descr(described)
        self._rows = {signal: self._rows_of(signal) for signal in settings.signals}
        counter = settings.counter
        name = settings.master_board or settings.board
        self._counter = _COUNTERS.get(name, 0) if counter is None else counter
        self._board: Any = None

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output for each kind of signal, and one of markers."""
        rate = float(self._descr["sampling_rate"])
        specs: dict[str, StreamSpec] = {}
        for signal, rows in self._rows.items():
            names = str(self._descr.get("eeg_names", "")).split(",") if signal == "eeg" else []
            specs[signal] = StreamSpec.of(
                np.float64,
                shape=(-1, len(rows)),
                sample_rate=rate,
                units=_UNITS.get(signal, ""),
                channel_names=tuple(names) if len(names) == len(rows) else (),
            )
        return {**specs, "markers": event_spec(rate)}

    def open(self) -> None:
        """Connect to the board and start its stream."""
        board = self._shim.BoardShim(self._id, self._params)
        try:
            board.prepare_session()
            for command in self.settings.commands:
                board.config_board(command)
            board.start_stream()
        except self._error as error:
            self._release(board)
            raise ConnectionError(f"board {self.settings.board} cannot be opened: {error}") from error
        self._board = board
        # BrainFlow stamps by the wall clock; the host's may have another zero.
        self._offset_ns = self.clock.now_ns() - time.time_ns()
        self._package: int | None = None
        self._pending: npt.NDArray[np.float64] | None = None  # what came behind a loss
        self._position = 0
        self._heard = self.clock.now_ns()
        self._last_ns = 0

    def read(self, timeout: float) -> Mapping[str, Reading] | None:
        """Give the samples that have come."""
        deadline = self.clock.now_ns() + round(timeout * NS_PER_S)
        if self._pending is not None:
            return self._readings(self._pending)
        try:
            while not self._board.get_board_data_count():
                now = self.clock.now_ns()
                if now - self._heard > self.settings.silence * NS_PER_S:
                    raise ConnectionError(
                        f"board {self.settings.board} has sent nothing for {self.settings.silence:g} s: "
                        "is it still switched on and in reach?"
                    )
                if now >= deadline:
                    return None
                self.clock.sleep(min(_POLL, (deadline - now) / NS_PER_S))
            data: npt.NDArray[np.float64] = self._board.get_board_data()
        except self._error as error:
            raise ConnectionError(f"board {self.settings.board} is lost: {error}") from error
        self._heard = self.clock.now_ns()
        return self._readings(data)

    def close(self) -> None:
        """Stop the stream and let the board go."""
        board, self._board = self._board, None
        if board is not None:
            self._release(board)

    def insert_marker(self, value: float) -> None:
        """Put a number, not 0, next to the board's next sample; any thread."""
        board = self._board
        if board is None:
            raise ConnectionError(f"board {self.settings.board} is not open: start the node first")
        board.insert_marker(value)

    # ---

    def _readings(self, data: npt.NDArray[np.float64]) -> Mapping[str, Reading]:
        lost = 0
        self._pending = None
        if self._counter:
            lost, whole = self._lost(data[self._descr["package_num_channel"]])
            if whole < data.shape[1]:
                data, self._pending = data[:, :whole], data[:, whole:]
        times = data[self._descr["timestamp_channel"]]
        # The wall clock may be set back; sample times do not follow.
        self._last_ns = time_ns = max(self._last_ns, round(times[0] * NS_PER_S) + self._offset_ns)
        readings = {
            signal: Reading(np.ascontiguousarray(data[rows].T), lost, time_ns)
            for signal, rows in self._rows.items()
        }
        markers = data[self._descr["marker_channel"]]
        events = [
            Event(
                round(times[i] * NS_PER_S) + self._offset_ns, self._position + lost + i, code=int(markers[i])
            )
            for i in np.flatnonzero(markers).tolist()
        ]
        if events:
            readings["markers"] = Reading(event_array(events), time_ns=events[0].time_ns)
        self._position += lost + data.shape[1]
        return readings

    def _lost(self, packages: npt.NDArray[np.float64]) -> tuple[int, int]:
        """Packages missing before what came, and how many came before others are missing."""
        numbers = packages.astype(np.int64)
        before = numbers[:1] - 1 if self._package is None else np.array([self._package])
        # A board that sends several samples in a package gives them the same number.
        missing = np.maximum(np.diff(np.concatenate([before, numbers])) % self._counter - 1, 0)
        breaks = np.flatnonzero(missing[1:]) + 1
        whole = int(breaks[0]) if len(breaks) else len(numbers)
        self._package = int(numbers[whole - 1])
        return int(missing[0]), whole

    def _board_id(self, name: str, setting: str) -> int:
        ids = self._shim.BoardIds
        try:
            return int(ids[name])
        except KeyError:
            known = ", ".join(sorted(i.name for i in ids if i.name != "NO_BOARD"))
            raise ConfigurationError(f"{setting}={name!r}: wanted one of {known}") from None

    def _make_params(self) -> Any:
        s, params = self.settings, self._shim.BrainFlowInputParams()
        for name in (
            "serial_port",
            "mac_address",
            "ip_address",
            "ip_port",
            "serial_number",
            "other_info",
            "file",
        ):
            setattr(params, name, getattr(s, name))
        params.timeout = s.connect_timeout
        if s.master_board:
            params.master_board = self._board_id(s.master_board, "master_board")
        return params

    def _rows_of(self, signal: str) -> list[int]:
        rows = self._descr.get(f"{signal}_channels")
        if not rows:
            has = ", ".join(
                sorted(k.removesuffix("_channels") for k in self._descr if k.endswith("_channels"))
            )
            raise ConfigurationError(f"signals: {self.settings.board} has no {signal!r}; it has: {has}")
        return list(rows)

    def _release(self, board: Any) -> None:
        for end in (board.stop_stream, board.release_session):
            try:
                end()
            except self._error:
                pass  # it was not that far, or the board is gone
