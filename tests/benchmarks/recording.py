"""Measure how fast recordings are written and read: ``python -m tests.benchmarks.recording``.

Writes docs/benchmarks/results/recording.json and, from it, docs/benchmarks/recording.md. All ways take turns
on the same disk in one run: trust the ratios.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

import pyacq_lab as pyacq
from pyacq_lab.recording import track
from tests.benchmarks.common import Row, fresh_home, goals, head, machine, median, show, write
from tests.benchmarks.recordways import CHUNK, RATE, WAYS, Cost, Samples, readers, write_all

CHANNELS = (64, 384)
BARE, OURS = "ndarray.tofile", "Recorder"
LIVE = ("none", "lz4", "zstd")
CHUNK_SIZES = tuple(2**n for n in (16, 18, 20, 22, 24))


def noise(n_channels: int, seconds: float = 1.0) -> Samples:
    """What an amplifier gives: noise of 50 units with slow waves, as int16."""
    rng = np.random.default_rng(0)
    shape = (round(seconds * RATE), n_channels)
    waves = 300 * np.sin(2 * np.pi * np.arange(shape[0])[:, None] / RATE * rng.uniform(1, 40, n_channels))
    return (rng.standard_normal(shape) * 50 + waves).astype("<i2")


def write_in_turns(
    folder: Path, n_channels: int, seconds: float, rounds: int, names: Sequence[str] = tuple(WAYS)
) -> dict[str, dict[str, float]]:
    """Write with each way, turn by turn; medians, and the worst pause of all."""
    data = noise(n_channels)
    taken: dict[str, list[Cost]] = {name: [] for name in names}
    for number in range(rounds):
        for name, costs in taken.items():
            path = folder / f"{number} {name}"
            costs.append(write_all(WAYS[name], path, data, seconds))
            _remove(path)
    size = seconds * RATE * n_channels * 2
    of_bare = [cost.wall for cost in taken[BARE]]
    return {
        name: {
            "MB/s": round(size / 1e6 / median(c.wall for c in costs)),
            "rate / tofile": round(median(b / c.wall for b, c in zip(of_bare, costs, strict=True)), 2),
            "CPU, s/GB": round(median(c.cpu for c in costs) / size * 1e9, 2),
            "worst pause, ms": round(1e3 * max(c.pause for c in costs), 1),
            "size": round(costs[-1].nbytes / size, 2),
        }
        for name, costs in taken.items()
    }


def record_live(folder: Path, n_channels: int, seconds: int, compression: str) -> dict[str, float]:
    """Record from a source in another process, at its true pace: CPU of the recorder's process, and loss."""
    manager = pyacq.create_manager()
    try:
        nodes = [
            manager.create_nodegroup(f"{kind} {n_channels}").create_node(kind, name=kind)
            for kind in ("ArraySource", "Recorder")
        ]
        source, sink = nodes
        source.configure(data=noise(n_channels), sample_rate=RATE, loops=0)
        sink.configure(path=str(folder / f"live {n_channels} {compression}"), compression=compression)
        sink.inputs["x"].connect(source.output)
        for node in nodes:
            node.initialize()
        sink.start()
        source.start()
        process = psutil.Process(sink.group.pid)
        time.sleep(1.0)
        process.cpu_percent()
        time.sleep(seconds)
        percent = process.cpu_percent()
        source.stop()
        sink.stop()
        ledger = sink.status().inputs[0].ledger
        if ledger.dropped or ledger.pending:
            raise RuntimeError(f"recorded {n_channels} channels with loss: {ledger}")
    finally:
        manager.close()
    return {"CPU, %": round(percent, 1), "samples lost": ledger.dropped}


def read_windows(folder: Path, n_channels: int, seconds: float, count: int) -> dict[str, dict[str, float]]:
    """Open a long recording, and read windows of it anywhere; medians in ms. The disk's cache is warm."""
    data = noise(n_channels)
    paths = {name: folder / f"long {name}" for name in (BARE, "h5py", OURS, "Recorder, zstd")}
    for name, path in paths.items():
        write_all(WAYS[name], path, data, seconds)
    found: dict[str, dict[str, float]] = {}
    total = round(seconds * RATE / CHUNK) * CHUNK
    for name, opened in readers(*paths.values(), n_channels).items():
        row: dict[str, float] = {"open": _median_ms(lambda _, opened=opened: opened(), 5)}
        read = opened()
        for what, n_samples in (("10 ms", 300), ("1 s", 30_000)):
            places = np.random.default_rng(1).integers(0, total - n_samples, count).tolist()

            row[f"window of {what}"] = _median_ms(_window(read, places, n_samples), count)
        found[name] = row
    for path in paths.values():
        _remove(path)
    return found


def try_chunks(folder: Path, n_channels: int, seconds: float, count: int) -> dict[str, dict[str, float]]:
    """What the size of chunks changes."""
    largest = track.LARGEST_CHUNK
    found: dict[str, dict[str, float]] = {}
    data = noise(n_channels)
    try:
        for size in CHUNK_SIZES:
            track.LARGEST_CHUNK = size
            row: dict[str, float] = {}
            for name in (OURS, "Recorder, zstd"):
                path = folder / f"chunks {size} {name}"
                cost = write_all(WAYS[name], path, data, seconds)
                row[f"{name}: MB/s"] = round(seconds * RATE * n_channels * 2 / 1e6 / cost.wall)
                if name != OURS:
                    row["size, zstd"] = round(cost.nbytes / (seconds * RATE * n_channels * 2), 3)
                read = readers(path, path, path, path, n_channels)
                for who in ("open_run", "zarr on the run"):
                    get = read[who]()
                    places = np.random.default_rng(1).integers(0, round(seconds * RATE) - 900, count).tolist()
                    row[f"{name}, 10 ms by {who}, ms"] = _median_ms(_window(get, places, 300), count)
                _remove(path)
            found[f"{size // 1024} KiB"] = row
    finally:
        track.LARGEST_CHUNK = largest
    return found


def measure(
    rounds: int = 5, seconds: float = 20.0, live: int = 10, long: float = 240.0, count: int = 100
) -> dict[str, Any]:
    """Take all figures.

    Parameters
    ----------
    rounds : int
        How often each way has its turn.
    seconds, live, long : float
        Length of the signal that is written as fast as it goes; at its true pace; and to be read, s.
    count : int
        Windows that are read.
    """
    result: dict[str, Any] = {
        "machine": machine(),
        "seconds": seconds,
        "live seconds": live,
        "long seconds": long,
    }
    with fresh_home(), tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".benchmark-") as name:
        folder = Path(name)
        result["written"] = {str(n): write_in_turns(folder, n, seconds, rounds) for n in CHANNELS}
        result["live"] = {
            f"{n} channels, {compression}": record_live(folder, n, live, compression)
            for n in CHANNELS
            for compression in LIVE
        }
        result["read"] = read_windows(folder, CHANNELS[0], long, count)
        result["chunks"] = try_chunks(folder, CHANNELS[0], seconds, count)
    return result


def ratios(result: Mapping[str, Any]) -> list[Row]:
    """Figures beside their goals."""
    rows: list[Row] = []
    for n_channels, written in result["written"].items():
        ours, peer = written[OURS], written["h5py"]
        what = f"{n_channels} channels"
        rows += [
            (f"{what}: Recorder's rate / ndarray.tofile's", f"{ours['rate / tofile']:.2f}", ">= 0.7"),
            (f"{what}: h5py's rate / ndarray.tofile's", f"{peer['rate / tofile']:.2f}", ""),
            (f"{what}: Recorder's worst pause, ms", f"{ours['worst pause, ms']:g}", "<= 100"),
            (f"{what}: ndarray.tofile's worst pause, ms", f"{written[BARE]['worst pause, ms']:g}", ""),
        ]
        live = result["live"][f"{what}, none"]
        rows.append((f"{what} live: CPU of the recorder's process, %", f"{live['CPU, %']:g}", ""))
    read = result["read"]
    window = read["open_run"]["window of 10 ms"] / read["h5py"]["window of 10 ms"]
    rows.append(("window of 10 ms: open_run / h5py", f"{window:.2f}", ""))
    return rows


ABOUT = """int16 at 30 kHz, noise on slow waves, in writes of 20 ms, flushed four times a
second. Written as fast as it goes, all ways turn by turn, on one disk; *worst pause* is the longest single
write or flush of all rounds. *Live* is a source in one process and a recorder in another, at the true pace,
without loss. Windows are read from anywhere in a long recording, while the disk's cache is
warm.""".splitlines()


def page(result: Mapping[str, Any]) -> str:
    """The page for the documentation."""
    lines = head("Recording", "tests.benchmarks.recording", ABOUT, result) + goals(ratios(result))
    for n_channels, written in result["written"].items():
        lines += ["", f"{n_channels} channels, written as fast as it goes:", "", *_table("way", written)]
    lines += ["", "Live, at the true pace:", "", *_table("recorded", result["live"])]
    long = f"A recording of {result['long seconds']:g} s of {CHANNELS[0]} channels, ms:"
    lines += ["", long, "", *_table("read by", result["read"])]
    lines += ["", f"What the largest size of a chunk changes, {CHANNELS[0]} channels:", ""]
    lines += _table("largest chunk", result["chunks"])
    return "\n".join(lines) + "\n"


def _table(first: str, rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    columns = list(next(iter(rows.values())))
    lines = [f"| {first} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    return lines + [
        f"| {name} | {' | '.join(f'{row[c]:g}' for c in columns)} |" for name, row in rows.items()
    ]


def _window(read: Callable[[int, int], Samples], places: list[int], n_samples: int) -> Callable[[int], None]:
    """What reads the window of a number, and looks at its length."""

    def window(number: int) -> None:
        if len(read(places[number], places[number] + n_samples)) != n_samples:
            raise RuntimeError("a window that was read is too short")

    return window


def _median_ms(call: Any, count: int) -> float:
    taken: list[float] = []
    for number in range(count):
        begun = time.perf_counter()
        call(number)
        taken.append(time.perf_counter() - begun)
    return round(median(taken) * 1e3, 3)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def main() -> None:
    """Measure, print, write."""
    result = measure()
    show(ratios(result))
    write("recording", result, page(result))


if __name__ == "__main__":
    main()
