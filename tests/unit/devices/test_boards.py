"""BrainFlow's synthetic and playback boards."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from brainflow.board_shim import BoardIds, BoardShim

from pyacq_lab.devices import BrainFlowBoard
from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.model.events import events_in
from pyacq_lab.testing import ManualClock
from pyacq_lab.transport.clock import SystemClock


def board_of(clock=None, **settings):
    board = BrainFlowBoard(BrainFlowBoard.settings_type.checked(**settings))
    board.clock = clock or SystemClock()
    return board


def take(board, n, signal="eeg"):
    readings, markers, total = [], [], 0
    while total < n:
        got = board.read(5.0)
        assert got is not None
        readings.append(got)
        total += len(got[signal].data)
        markers += events_in(got["markers"].data) if "markers" in got else []
    return readings, markers


def test_synthetic_board():
    board = board_of(signals=("eeg", "accel"))
    specs = board.describe()
    assert (specs["eeg"].sample_rate, specs["eeg"].units, specs["eeg"].n_channels) == (250.0, "uV", 16)
    assert specs["eeg"].channel_names[:2] == ("Fz", "C3")
    assert specs["accel"].units == "g"
    board.open()
    try:
        board.insert_marker(7)
        begin = board.clock.now_ns()
        readings, markers = take(board, 30)
    finally:
        board.close()
    assert [len(r["eeg"].data) for r in readings] == [len(r["accel"].data) for r in readings]
    assert [m.code for m in markers] == [7]
    assert abs(markers[0].time_ns - begin) < 1e9
    assert sum(r["eeg"].lost for r in readings) == 0


def test_playback_board(tmp_path):
    descr = BoardShim.get_board_descr(BoardIds.SYNTHETIC_BOARD)
    rows = np.zeros((descr["num_rows"], 300))
    rows[descr["package_num_channel"]] = np.arange(300) % 256
    rows[descr["timestamp_channel"]] = 1.7e9 + np.arange(300) / 250
    rows[descr["eeg_channels"][0]] = np.arange(300)
    np.savetxt(tmp_path / "a.csv", rows.T, delimiter="\t", fmt="%.6f")
    board = board_of(
        board="PLAYBACK_FILE_BOARD", master_board="SYNTHETIC_BOARD", file=str(tmp_path / "a.csv")
    )
    board.open()
    readings, _ = take(board, 20)
    board.close()
    first = np.concatenate([r["eeg"].data for r in readings])[:, 0]
    np.testing.assert_array_equal(first, np.arange(len(first)))


class Shim:
    """A board that gives what a test says."""

    def __init__(self, data):
        self.data = data

    def get_board_data_count(self):
        return len(self.data)

    def get_board_data(self):
        return self.data.pop(0)


def test_packages_that_never_came_are_lost():
    board = board_of(ManualClock())
    rows = np.zeros((32, 8))
    rows[0] = [254, 255, 0, 1, 2, 3, 4, 5]
    board.open()
    board.close()
    rows[1] = np.arange(8)
    board._board = Shim([rows[:, :3], rows[:, [4, 5, 7]]])
    readings = [board.read(0.1) for _ in range(3)]
    assert [(r["eeg"].lost, r["eeg"].data[:, 0].tolist()) for r in readings] == [
        (0, [0, 1, 2]), (1, [4, 5]), (1, [7]),
    ]  # fmt: skip
    board._board = None


def test_a_silent_board_is_lost_and_opens_again():
    board = board_of(ManualClock(), silence=1.0)
    board.open()
    board.close()
    board._board = Shim([])
    assert board.read(0.5) is None
    with pytest.raises(ConnectionError, match="has sent nothing for 1 s: is it still switched on"):
        board.read(2.0)
    board._board = None
    board.clock = SystemClock()
    board.open()
    take(board, 1)
    board.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"board": "NO_SUCH"}, "wanted one of .*CYTON_BOARD"),
        ({"signals": ("smell",)}, "SYNTHETIC_BOARD has no 'smell'; it has: accel"),
        ({"master_board": "NO_SUCH"}, "master_board='NO_SUCH'"),
        ({"signals": ()}, "signals"),
    ],
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        board_of(**settings)


def test_a_board_that_cannot_be_opened():
    board = board_of(board="CYTON_BOARD", serial_port="/dev/no-such-port")
    with pytest.raises(ConnectionError, match="board CYTON_BOARD cannot be opened"):
        board.open()
    with pytest.raises(ConnectionError, match="is not open"):
        board.insert_marker(1)


def test_missing_brainflow_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "brainflow.board_shim", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[brainflow\]'"):
        board_of()
