"""Ways to write samples to disk, and to read them back: ours, and those that are compared with it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt
import zarr

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run

RATE = 30_000.0
CHUNK = 600
"""Samples in a write: 20 ms."""

FLUSHES_APART = 10
"""Flushes at the end of each run that count for its worst pause only."""

FLUSH_PERIOD = 0.25
"""Seconds between two flushes, as a node has them."""

Samples = npt.NDArray[np.int16]
Put = Callable[[Samples], object]


class _Clock:
    """The machine's clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Way(Protocol):
    """Gives, for as long as it is open, what writes samples, and what flushes them."""

    def __call__(self, path: Path, n_channels: int) -> Any:
        """Context manager of ``(put, flush)``."""
        ...


@contextmanager
def tofile(path: Path, n_channels: int) -> Iterator[tuple[Put, Callable[[], object]]]:
    """`numpy.ndarray.tofile`: nothing but the bytes."""
    with path.open("wb", buffering=0) as file:
        yield (lambda data: data.tofile(file)), (lambda: None)


@contextmanager
def hdf5(path: Path, n_channels: int) -> Iterator[tuple[Put, Callable[[], object]]]:
    """`h5py`: an array that grows, in chunks of 1 MiB."""
    with h5py.File(path, "w") as file:
        shape = (0, n_channels)
        array = file.create_dataset(
            "x", shape, "<i2", maxshape=(None, n_channels), chunks=(2**20 // (2 * n_channels), n_channels)
        )

        def put(data: Samples) -> None:
            array.resize(len(array) + len(data), axis=0)
            array[-len(data) :] = data

        yield put, file.flush


@contextmanager
def recorder(
    path: Path, n_channels: int, compression: str = "none", fsync: str = "never"
) -> Iterator[tuple[Put, Callable[[], object]]]:
    """Our recorder, without streams."""
    settings = {"path": str(path), "compression": compression, "fsync": fsync}
    sink = Recorder(Recorder.settings_type.checked(**settings))
    clock = sink.clock = _Clock()
    at = 0

    def put(data: Samples) -> None:
        nonlocal at
        sink.write(Chunk(at, data, clock.now_ns()), "x")
        at += len(data)

    with closing(sink):
        spec = StreamSpec.of("<i2", shape=(-1, n_channels), sample_rate=RATE)
        sink.open({"x": spec})
        yield put, sink.flush


def recorder_lz4(path: Path, n_channels: int) -> Any:
    """Our recorder with ``compression='lz4'``."""
    return recorder(path, n_channels, "lz4")


def recorder_zstd(path: Path, n_channels: int) -> Any:
    """Our recorder with ``compression='zstd'``."""
    return recorder(path, n_channels, "zstd")


def recorder_flush(path: Path, n_channels: int) -> Any:
    """Our recorder with ``fsync='flush'``."""
    return recorder(path, n_channels, fsync="flush")


WAYS: Mapping[str, Way] = {
    "ndarray.tofile": tofile,
    "h5py": hdf5,
    "Recorder": recorder,
    "Recorder, lz4": recorder_lz4,
    "Recorder, zstd": recorder_zstd,
    "Recorder, fsync='flush'": recorder_flush,
}


@dataclass(frozen=True)
class Cost:
    """What writing took: wall and CPU time (s), the longest single write or flush (s), bytes of the file."""

    wall: float
    cpu: float
    pause: float
    nbytes: int


def write_all(way: Way, path: Path, data: Samples, seconds: float) -> Cost:
    """Write ``data`` again and again, as fast as it goes, for so many seconds of signal."""
    n_writes = round(seconds * RATE / CHUNK)
    parts = [data[i : i + CHUNK] for i in range(0, len(data) - CHUNK + 1, CHUNK)]
    pause = 0.0
    begun, cpu = time.perf_counter(), _cpu()
    flushed = begun
    with way(path, data.shape[1]) as (put, flush):
        for number in range(n_writes):
            before = time.perf_counter()
            put(parts[number % len(parts)])
            if before - flushed >= FLUSH_PERIOD:
                flushed = before
                flush()
            pause = max(pause, time.perf_counter() - before)
        apart, cpu_apart = time.perf_counter(), _cpu()
        for number in range(FLUSHES_APART):  # the runs are so fast that few flushes are due
            before = time.perf_counter()
            put(parts[number % len(parts)])
            flush()
            pause = max(pause, time.perf_counter() - before)
        apart, cpu_apart = time.perf_counter() - apart, _cpu() - cpu_apart
    wall, cpu = time.perf_counter() - begun - apart, _cpu() - cpu - cpu_apart
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return Cost(wall, cpu, pause, sum(p.stat().st_size for p in files))


def readers(raw: Path, h5: Path, run: Path, packed: Path, n_channels: int) -> dict[str, Any]:
    """Ways to open a long recording: each gives a function of ``(start, stop)`` that reads samples."""

    def memmap() -> Any:
        data = np.memmap(raw, "<i2", "r").reshape(-1, n_channels)
        return lambda start, stop: np.array(data[start:stop])

    def of_hdf5() -> Any:
        data = h5py.File(h5, "r")["x"]
        return lambda start, stop: data[start:stop]

    def of_run(path: Path) -> Any:
        return lambda: open_run(path)["x"].raw

    def of_zarr(path: Path) -> Any:
        def opened() -> Any:
            data = zarr.open_array(path / "streams/x/0", mode="r")
            return lambda start, stop: data[start:stop]

        return opened

    return {
        "numpy.memmap": memmap,
        "h5py": of_hdf5,
        "open_run": of_run(run),
        "open_run, zstd": of_run(packed),
        "zarr on the run": of_zarr(run),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
