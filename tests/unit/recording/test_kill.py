"""A recorder that is killed at any moment keeps every sample it acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from pyacq_lab.recording import open_run
from pyacq_lab.recording.video import recover_video, verify_video

RECORD_FOREVER = """
import sys
import numpy as np
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder
from pyacq_lab.testing import ManualClock

recorder = Recorder(Recorder.settings_type.checked(path=sys.argv[1], chunk_seconds=0.05))
recorder.clock = ManualClock()
recorder.open({"a": StreamSpec.of("<i8", shape=(-1, 4), sample_rate=1000.0)})
at = 1
while True:
    for n in (1, 7, 300):
        recorder.write(Chunk(at, np.arange(4 * at, 4 * (at + n)).reshape(-1, 4)), "a")
        at += n
    recorder.gap(Gap(at, at + 3), "a")
    at += 3
    print(recorder.flush()["a"], flush=True)
"""


@pytest.mark.parametrize("n_lines", [1, 2, 17, 120])
def test_every_acknowledged_sample_survives_a_kill(tmp_path: Path, n_lines: int) -> None:
    run_folder = tmp_path / "run"
    acknowledged = record_and_kill(RECORD_FOREVER, run_folder, n_lines, check)
    run = check(run_folder, acknowledged)
    assert run.state == "recording"
    array = zarr.open_array(run["a"].folder, mode="r")
    assert 0 < array.shape[0] <= len(run["a"])
    np.testing.assert_array_equal(array[:], run["a"].raw()[: array.shape[0]])


def record_and_kill(script: str, run_folder: Path, n_lines: int, check: Callable[[Path, int], object]) -> int:
    """Kill a recorder after it has acknowledged so often; returns what it had acknowledged in the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(run_folder)], stdout=subprocess.PIPE, text=True
    )
    with process:
        lines = [process.stdout.readline() for _ in range(n_lines)]
        # It is read while it grows.
        check(run_folder, int(lines[-1]))
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    return int([line for line in lines if line.endswith("\n")][-1])


def check(run_folder: Path, acknowledged: int):
    run = open_run(run_folder)
    got = run["a"]
    assert (got.start, got.stop >= acknowledged) == (1, True)
    wanted = np.arange(4 * got.start, 4 * got.stop, dtype="<i8").reshape(-1, 4)
    masked = got.masked()
    np.testing.assert_array_equal(masked.compressed(), wanted[~masked.mask[:, 0]].ravel())
    gaps = np.array([(gap.start, gap.stop) for gap in got.gaps])
    np.testing.assert_array_equal(gaps[:, 0], 309 + 311 * np.arange(len(gaps)))
    assert masked.mask[:, 0].sum() == sum(map(len, got.gaps))
    return run


FILM_FOREVER = """
import sys
import numpy as np
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder
from pyacq_lab.testing import ManualClock

recorder = Recorder(Recorder.settings_type.checked(path=sys.argv[1], video="lossless"))
recorder.clock = ManualClock()
recorder.open({"cam": StreamSpec.of("u1", streamtype="video", shape=(-1, 48, 64, 3), sample_rate=30.0)})
at = 1
while True:
    for n in (1, 2, 7):
        indices = np.arange(at, at + n).reshape(-1, 1, 1, 1)
        pictures = (np.arange(48 * 64 * 3).reshape(48, 64, 3) // 5 + 3 * indices) % 256
        recorder.write(Chunk(at, pictures.astype(np.uint8), time_ns=10**18 + at), "cam")
        at += n
    recorder.gap(Gap(at, at + 3), "cam")
    at += 3
    print(recorder.flush()["cam"], flush=True)
"""


@pytest.mark.parametrize("n_lines", [1, 2, 3, 6, 10])
def test_every_acknowledged_frame_survives_a_kill(tmp_path: Path, n_lines: int) -> None:
    run_folder = tmp_path / "run"
    acknowledged = record_and_kill(FILM_FOREVER, run_folder, n_lines, check_video)
    got = check_video(run_folder, acknowledged)
    # Nothing needs to be mended, and nothing that was there is lost by mending it.
    entry = open_run(run_folder).manifest().streams["cam"].segments[0]
    assert verify_video(got.folder, entry).problems == ()
    assert recover_video(got.folder, entry).stop >= got.stop
    check_video(run_folder, acknowledged)


def check_video(run_folder: Path, acknowledged: int):
    got = open_run(run_folder)["cam"]
    assert (got.start, got.stop >= acknowledged) == (1, True)
    indices = np.arange(got.start, got.stop).reshape(-1, 1, 1, 1)
    wanted = (np.arange(48 * 64 * 3).reshape(48, 64, 3) // 5 + 3 * indices) % 256
    masked = got.masked()
    lost = masked.mask[:, 0, 0, 0]
    np.testing.assert_array_equal(masked.data[~lost], wanted[~lost])
    assert not masked.data[lost].any()
    assert lost.sum() == 3 * ((got.stop - got.start) // 13)
    return got
