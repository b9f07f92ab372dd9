"""A recorder that is killed at any moment keeps every sample it acknowledged."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

from pyacq_lab.recording import open_run

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
    process = subprocess.Popen(
        [sys.executable, "-c", RECORD_FOREVER, str(run_folder)], stdout=subprocess.PIPE, text=True
    )
    with process:
        lines = [process.stdout.readline() for _ in range(n_lines)]
        # It is read while it grows, by us and by Zarr itself.
        check(run_folder, int(lines[-1]))
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    acknowledged = int([line for line in lines if line.endswith("\n")][-1])
    run = check(run_folder, acknowledged)
    assert run.state == "recording"
    array = zarr.open_array(run["a"].folder, mode="r")
    assert 0 < array.shape[0] <= len(run["a"])
    np.testing.assert_array_equal(array[:], run["a"].raw()[: array.shape[0]])


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
