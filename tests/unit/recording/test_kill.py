"""A recorder that is killed at any moment keeps every sample it acknowledged, and another goes on with it."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import producing
import pytest
import zarr
from producing import FIRST, Producer

from pyacq_lab.recording import open_run, verify
from pyacq_lab.recording.manifest import MANIFEST
from pyacq_lab.recording.run import Run

KILLS = [("none", "", 30), ("lz4", "", 25), ("zstd", "", 25), ("none", "cam", 20)]
"""Compression, a stream besides the others, and how often: a hundred times in all."""


@pytest.fixture(scope="module")
def program() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, producing.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()
    assert process.returncode == 0


def tell(program: subprocess.Popen[str], line: str) -> None:
    program.stdin.write(line + "\n")
    program.stdin.flush()


@pytest.fixture
def dice() -> random.Random:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # pytest shows it where a test fails
    return random.Random(seed)


def check(folder: Path, told: dict[str, int]) -> None:
    """All that was told reads back equal, in one segment, and what more there is, too."""
    if not told and not (folder / MANIFEST).exists():
        return
    run = open_run(folder)
    for name in run:
        for signal in run.segments(name):
            assert (signal.start, len(run.segments(name))) == (FIRST, 1)
            producing.check(signal)
    for name, stop in told.items():
        assert run[name].stop >= stop
    report = verify(folder)
    assert report.ok, str(report)


@pytest.mark.parametrize(("compression", "besides", "n_kills"), KILLS)
def test_a_hundred_kills_at_random_moments(program, dice, tmp_path, compression, besides, n_kills):
    names = ["ints", "floats", "keys"] + [besides] * bool(besides)
    n_told = 0
    for kill in range(n_kills):
        if kill % 4 == 0:
            folder, told = tmp_path / f"{kill}", {}
        order = {
            "folder": str(folder),
            "names": names,
            "compression": compression,
            "seed": dice.getrandbits(32),
            "n_told": dice.choice([0, 0, 1, 2, 4, 8]),
            "delay": dice.uniform(0, 0.02),
            "epochs": 0,
        }
        print(order)
        tell(program, json.dumps(order))
        now = json.loads(program.stdout.readline())
        n_told += bool(now)
        told |= now
        check(folder, told)
        if kill % 4 == 3 or kill == n_kills - 1:
            finished(folder, names, compression, told)
    assert n_told > n_kills / 4


def finished(folder: Path, names: list[str], compression: str, told: dict[str, int]) -> None:
    """Another recorder goes on where the last one was killed, and stops."""
    producer = Producer(folder, names, 1, compression=compression)
    assert all(producer.at[name] >= stop for name, stop in told.items())
    for _ in range(3):
        producer.send()
    producer.recorder.close()
    check(folder, producer.at)
    run = open_run(folder)
    assert run.state == "stopped"
    assert {name: run[name].stop for name in run if run.segments(name)} == {
        name: stop for name, stop in producer.at.items() if stop > FIRST
    }


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_who_reads_while_it_is_recorded_sees_what_is_acknowledged(program, dice, tmp_path, compression):
    folder = tmp_path / "run"
    order = {
        "folder": str(folder),
        "names": ["ints", "floats", "keys"],
        "compression": compression,
        "seed": dice.getrandbits(32),
        "n_told": 1,
        "delay": None,
        "epochs": 25,
    }
    tell(program, json.dumps(order))
    reader = Reader(folder, dice)
    try:
        while reader.n_news < 40 or reader.n_segments < 4:
            reader.look()
    finally:
        tell(program, "kill it")
        told = json.loads(program.stdout.readline())
    reader.look()
    run = reader.run
    assert all(run.segments(name)[-1].stop >= stop for name, stop in told.items())
    for name in run:
        for signal in run.segments(name):
            producing.check(signal)
    assert reader.n_rows_by_zarr > 1000


class Reader:
    """Somebody in another process than the recorder's, who looks again and again."""

    def __init__(self, folder: Path, dice: random.Random) -> None:
        self.run: Run | None = None
        self.n_news = self.n_segments = self.n_rows_by_zarr = 0
        self._folder = folder
        self._dice = dice
        self._stops: dict[tuple[str, int], int] = defaultdict(lambda: FIRST)
        self._shapes: dict[tuple[str, int], int] = defaultdict(int)

    def look(self) -> None:
        """Read what is new and something that is old, by open_run and by zarr."""
        if self.run is None:
            if not (self._folder / MANIFEST).exists():
                return
            self.run = open_run(self._folder)
        for name in self.run:
            segments = self.run.segments(name)
            self.n_segments = max(self.n_segments, len(segments))
            for number, signal in list(enumerate(segments))[-2:]:
                known = self._stops[name, number]
                assert (signal.start, signal.epoch, signal.stop >= known) == (FIRST, number, True)
                producing.check(signal, self._dice.randint(max(FIRST, known - 700), known))
                self.n_news += signal.stop > known
                self._stops[name, number] = signal.stop
                if name != "keys":
                    self._look_by_zarr(name, number, signal)

    def _look_by_zarr(self, name: str, number: int, signal) -> None:
        array = zarr.open_array(signal.folder, mode="r")
        n_rows, known = array.shape[0], self._shapes[name, number]
        assert n_rows >= known
        rows = array[max(0, known - 700) :]
        first = FIRST + max(0, known - 700)
        wanted = producing.samples(name, number, first, FIRST + n_rows)
        there = ~producing.is_missing(name, first, FIRST + n_rows)
        assert (rows[there] == wanted[there]).all()
        self._shapes[name, number] = n_rows
        self.n_rows_by_zarr += n_rows - known
