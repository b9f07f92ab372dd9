"""Streams whose samples follow from their index, and a program whose children record them until killed.

The program takes one order a line, forks for it, and tells what came of it: a Python that has loaded
everything once is killed a hundred times.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.place import StreamPlace
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, track
from pyacq_lab.recording.signal import Signal
from pyacq_lab.testing import ManualClock

SPECS = {
    "ints": StreamSpec.of("<i2", shape=(-1, 64), sample_rate=30_000.0),
    "floats": StreamSpec(shape=(-1, 2), sample_rate=5000.0),
    "keys": event_spec(30_000.0),
    "cam": StreamSpec.of("|u1", shape=(-1, 16, 32, 3), sample_rate=100.0, streamtype="video"),
}

GAPS = {"ints": (1500, 130), "floats": (400, 90), "keys": (9, 2), "cam": (13, 3)}
"""After how many samples, gaps with them, another gap ends; and how long it is."""

MOST = {"ints": 500, "floats": 90, "keys": 4, "cam": 3}
"""Samples in a chunk at most."""

FIRST = 5
"""Index of the first sample."""

NONCE = 7


def samples(name: str, epoch: int, start: int, stop: int) -> np.ndarray:
    """Samples that are all different in their neighbourhood."""
    indices = np.arange(start, stop)
    if name == "ints":
        return ((np.arange(64 * start, 64 * stop) + 1000 * epoch) % 32_749).astype("<i2").reshape(-1, 64)
    if name == "floats":
        return 1e6 * epoch + indices[:, None] + [0.25, 0.5]
    if name == "keys":
        return event_array(
            Event(10**18 + i, index=i, code=epoch, label=f"key {i}") for i in range(start, stop)
        )
    shape = SPECS["cam"].sample_shape
    base = np.arange(np.prod(shape)).reshape(shape) // 5
    return ((base + 3 * indices.reshape(-1, 1, 1, 1) + epoch) % 256).astype(np.uint8)


def is_missing(name: str, start: int, stop: int) -> np.ndarray:
    """Which samples never come."""
    every, length = GAPS[name]
    return np.arange(start, stop) % every >= every - length


def check(signal_: Signal, start: int | None = None) -> None:
    """All that it has, or what follows ``start``, is as it was sent."""
    name, epoch = signal_.name, signal_.epoch
    start, stop = signal_.start if start is None else start, signal_.stop
    wanted, missing = samples(name, epoch, start, stop), is_missing(name, start, stop)
    masked = signal_.masked(start, stop)
    mask = np.ma.getmaskarray(masked)
    if mask.dtype.names:
        mask = mask[mask.dtype.names[0]]
    mask = mask[(slice(None), *[0] * (mask.ndim - 1))]
    assert np.array_equal(mask, missing), (name, start, stop)
    assert np.array_equal(masked.data[~missing], wanted[~missing]), (name, start, stop)


class Producer:
    """Sends streams to a recorder, from where another one was killed, or from the beginning."""

    def __init__(self, folder: Path, names: Sequence[str], seed: int, **settings: Any) -> None:
        settings = {"chunk_seconds": 0.01, "min_free": 0.0} | settings
        self.recorder = Recorder(
            Recorder.settings_type.checked(path=str(folder), existing="continue", **settings)
        )
        self.recorder.clock = ManualClock()
        self.recorder.open({name: SPECS[name] for name in names})
        self._random = random.Random(seed)
        self._epoch = 0
        self.at = dict.fromkeys(names, FIRST)
        self.at |= {name: place.start for name, place in self.recorder.places().items()}
        self._begin()

    def next_epoch(self) -> None:
        """Begin anew, as a source does that is started again."""
        self._epoch += 1
        self.at = dict.fromkeys(self.at, FIRST)
        self._begin()

    def send(self) -> dict[str, int]:
        """Send a little of each stream; gives what is acknowledged."""
        for name in self.at:
            for _ in range(self._random.randint(0, 3)):
                self._send(name)
        self.recorder.clock.advance(self._random.choice([0.1, 1.0]))
        return dict(self.recorder.flush())

    def _begin(self) -> None:
        for name, at in self.at.items():
            self.recorder.begin(name, StreamPlace(NONCE, self._epoch, at), self._epoch)

    def _send(self, name: str) -> None:
        start, (every, length) = self.at[name], GAPS[name]
        gap_stop = (start // every + 1) * every
        gap_start = gap_stop - length
        if start >= gap_start:
            self.recorder.gap(Gap(start, gap_stop, self._epoch), name)
            self.at[name] = gap_stop
            return
        stop = min(gap_start, start + self._random.randint(1, MOST[name]))
        data = samples(name, self._epoch, start, stop)
        chunk = Chunk(start, data, epoch=self._epoch, time_ns=10**18 + start * 10_000)
        self.recorder.write(chunk, name)
        self.at[name] = stop


def record_until_killed(told: int, order: dict[str, Any]) -> None:
    """Be a process that records; what is acknowledged goes to a pipe."""
    producer = Producer(
        Path(order["folder"]), order["names"], order["seed"], compression=order["compression"]
    )
    for n in itertools.count(1):
        acknowledged = producer.send()
        os.write(told, json.dumps(acknowledged).encode() + b"\n")
        if order["epochs"] and n % order["epochs"] == 0:
            producer.next_epoch()


def kill_one(order: dict[str, Any]) -> dict[str, int]:
    """Start a recorder and kill it a while after it has acknowledged so often; gives what it had then."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            record_until_killed(writing, order)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        try:
            lines = [pipe.readline() for _ in range(order["n_told"])]
            if order["delay"] is None:
                sys.stdin.readline()
            else:
                time.sleep(order["delay"])
        finally:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        lines += pipe.readlines()
    if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
        raise RuntimeError("the recorder did not live until it was killed")
    return json.loads(lines[-1]) if lines else {}


def main() -> None:
    """Take orders until there are no more."""
    track.SHARD_CHUNKS = 3
    for line in iter(sys.stdin.readline, ""):
        print(json.dumps(kill_one(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
