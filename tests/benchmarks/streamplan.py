"""What the programs of the stream benchmark have in common: the plan, the pace, and the tally."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


class Plan:
    """What is sent.

    Attributes
    ----------
    n_channels, chunk_size, n_chunks : int
        Channels, samples of a chunk, chunks.
    pause : float
        Seconds between two chunks; 0: as fast as it goes.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.n_channels: int = fields["n_channels"]
        self.chunk_size: int = fields["chunk_size"]
        self.n_chunks: int = fields["n_chunks"]
        self.pause: float = fields.get("pause", 0.0)
        self.address: Any = fields.get("address")
        self.ring_chunks: int = fields.get("ring_chunks", 256)
        self.n_warm: int = min(self.ring_chunks, self.n_chunks // 4)

    @property
    def nbytes(self) -> int:
        """Bytes of a chunk."""
        return self.n_channels * self.chunk_size * 4

    def chunk(self) -> Floats:
        """Make a chunk."""
        return np.ones((self.chunk_size, self.n_channels), np.float32)

    def paced(self) -> Iterator[int]:
        """Numbers of the chunks, each when it is due."""
        due = time.perf_counter()
        for number in range(self.n_chunks):
            if self.pause:
                due += self.pause
                while (left := due - time.perf_counter()) > 0:
                    time.sleep(left)
            yield number


def stamp(chunk: Floats) -> None:
    """Write the time into a chunk's first 8 bytes."""
    chunk.reshape(-1)[:2].view(np.int64)[0] = time.perf_counter_ns()


def age(first: Floats) -> float:
    """Seconds since a chunk was stamped."""
    return (time.perf_counter_ns() - int(first.reshape(-1)[:2].view(np.int64)[0])) * 1e-9


def say(**what: Any) -> None:
    """Tell the benchmark."""
    print(json.dumps(what), flush=True)


def wait_for_go() -> None:
    """Wait until the benchmark lets it begin."""
    sys.stdin.readline()


class Tally:
    """What a receiver counts: from the first chunk on, which finds everything warm."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._left = plan.n_chunks
        self._warm = plan.n_chunks - plan.n_warm
        self._begin = 0.0
        self._nbytes = 0
        self._ages: list[float] = []
        self._cpu = 0.0

    def take(self, data: Floats) -> bool:
        """Count a chunk, or several at once; False after the last one."""
        if self._plan.pause:
            self._ages.append(age(data))
        if self._left > self._warm:
            self._begin, self._cpu = time.perf_counter(), time.process_time()
        else:
            self._nbytes += data.nbytes
        self._left -= len(data) // self._plan.chunk_size
        return self._left > 0

    def report(self, **more: Any) -> None:
        """Say what was counted."""
        seconds = time.perf_counter() - self._begin
        cpu = time.process_time() - self._cpu
        say(nbytes=self._nbytes, seconds=seconds, cpu=cpu, ages=self._ages, **more)
