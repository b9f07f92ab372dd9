"""Measure streams against their peers: ``python -m tests.benchmarks.streams``.

Writes docs/benchmarks/results/streams.json and, from it, docs/benchmarks/streams.md. The ways take turns,
each time with new processes, so that whatever else the machine does strikes them alike: trust the ratios.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tests.benchmarks.common import (
    ROOT,
    Row,
    goals,
    head,
    machine,
    median,
    percentiles,
    show,
    summary,
    write,
)

BOUND = "memcpy into such a ring"
PEERS = {"LSL": "pylsl", "ezmsg": "ezmsg"}

THROUGHPUT = {
    BOUND: "memcpy",
    "pyacq_lab, read in place": "shared",
    "pyacq_lab, read in place, several chunks at once": "shared, at once",
    "pyacq_lab, each chunk copied": "shared, copied",
    "pyzmq PUSH/PULL, ipc": "zmq ipc",
    "ezmsg": "ezmsg",
    "LSL": "LSL",
    "pyacq_lab, tcp": "tcp",
    "pyzmq, tcp": "zmq tcp",
    "pyacq_lab, tcp encrypted": "tcp encrypted",
    "pyzmq, tcp encrypted": "zmq tcp encrypted",
}
LATENCY = {name: way for name, way in THROUGHPUT.items() if way not in ("memcpy", "shared, at once")}
READING = {"each chunk by itself": "shared", "several at once": "shared, at once"}
READERS = (1, 2, 4, 8, 16)
CHANNELS = (1, 16, 64, 256, 1024)
CHUNK = 256 << 10  # bytes


def run(way: str, n_receivers: int = 1, **plan: Any) -> list[dict[str, Any]]:
    """Send once from one process to others; what each receiver has counted, or else the sender."""
    sender = _program("send", way, plan)
    receivers: list[subprocess.Popen[str]] = []
    try:
        address = _said(sender)["address"]
        if way != "memcpy":
            receivers += [_program("receive", way, plan | {"address": address}) for _ in range(n_receivers)]
        for receiver in receivers:
            _said(receiver)
        _tell(sender, "go")
        counted = [_said(receiver) for receiver in receivers]
        sent = _said(sender)
        _tell(sender, "end")
        return counted or [sent]
    finally:
        for process in (sender, *receivers):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _program(what: str, way: str, plan: Mapping[str, Any]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.benchmarks.streamways", what, way, json.dumps(plan)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def _said(process: subprocess.Popen[str]) -> dict[str, Any]:
    if process.stdout is None or not (line := process.stdout.readline()):
        raise RuntimeError(f"{process.args!r} ended with {process.wait(10)}")
    return json.loads(line)


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(line + "\n")
        process.stdin.flush()


def _rate(counted: Mapping[str, Any]) -> float:
    return counted["nbytes"] / counted["seconds"] / 1e9


def _there(ways: Mapping[str, str]) -> dict[str, str]:
    """The ways whose library is installed."""
    return {n: w for n, w in ways.items() if w not in PEERS or importlib.util.find_spec(PEERS[w])}


def measure(
    rounds: int = 5,
    n_chunks: int = 3000,
    n_paced: int = 1500,
    readers: Sequence[int] = READERS,
    channels: Sequence[int] = CHANNELS,
) -> dict[str, Any]:
    """Take all figures.

    Parameters
    ----------
    rounds : int
        How often each way has its turn.
    n_chunks : int
        Chunks of 256 KiB sent as fast as it goes.
    n_paced : int
        Chunks of 8 KiB sent a thousand times a second.
    readers, channels : sequence of int
        How many.
    """
    on = machine()
    fast = {"n_channels": 64, "chunk_size": CHUNK // 256, "n_chunks": n_chunks}
    slow = {"n_channels": 64, "chunk_size": 32, "n_chunks": n_paced, "pause": 0.001}
    rates: dict[str, list[float]] = {name: [] for name in _there(THROUGHPUT)}
    ages: dict[str, list[list[float]]] = {name: [] for name in _there(LATENCY)}
    per_reader: dict[str, dict[str, list[float]]] = {how: {str(n): [] for n in readers} for how in READING}
    per_channels: dict[str, list[float]] = {str(n): [] for n in channels}
    for _ in range(rounds):
        for name, taken in rates.items():
            taken.append(_rate(run(THROUGHPUT[name], **fast)[0]))
        for name, found in ages.items():
            found.append(run(LATENCY[name], **slow)[0]["ages"][len(slow) :])
        for n in readers:
            for how, way in READING.items():
                per_reader[how][str(n)].append(median(_rate(c) for c in run(way, n, **fast)))
        for n in channels:
            plan = {"n_channels": n, "chunk_size": CHUNK // (4 * n), "n_chunks": n_chunks}
            per_channels[str(n)].append(_rate(run("shared", **plan)[0]))
    return {
        "machine": on,
        "GB/s": {name: round(median(values), 3) for name, values in rates.items()},
        "latency, ms": {
            name: {
                **summary([age for found in several for age in found]),
                "p50 of the rounds": [summary(found)["p50"] for found in several],
            }
            for name, several in ages.items()
        },
        "GB/s per reader": {
            how: {n: round(median(values), 3) for n, values in taken.items()}
            for how, taken in per_reader.items()
        },
        "GB/s by channels": {n: round(median(values), 3) for n, values in per_channels.items()},
    }


def ratios(result: Mapping[str, Any]) -> list[Row]:
    """Figures beside their goals."""
    rate, late = result["GB/s"], result["latency, ms"]
    ours, copied = rate["pyacq_lab, read in place"], rate["pyacq_lab, each chunk copied"]
    rows = [
        ("local / memcpy", f"{ours / rate[BOUND]:.2f}", ">= 0.85"),
        ("local, copied by the reader / memcpy", f"{copied / rate[BOUND]:.2f}", ""),
        ("local / pyzmq ipc", f"{ours / rate['pyzmq PUSH/PULL, ipc']:.2f}", ">= 1.5"),
    ]
    rows += [(f"local / {p}", f"{ours / rate[p]:.2f}", ">= 3") for p in PEERS if p in rate]
    mine = late["pyacq_lab, read in place"]["p50"]
    theirs = late["pyzmq PUSH/PULL, ipc"]["p50"]
    rows.append(("local latency p50 / pyzmq ipc with the data", f"{mine / theirs:.2f}", "<= 0.6"))
    rows += [(f"local latency p50 / {p}", f"{mine / late[p]['p50']:.2f}", "") for p in PEERS if p in late]
    for kind in ("tcp", "tcp encrypted"):
        ratio = rate[f"pyacq_lab, {kind}"] / rate[f"pyzmq, {kind}"]
        rows.append((f"{kind} / pyzmq {kind}", f"{ratio:.2f}", ">= 0.85"))
    cost = rate["pyacq_lab, tcp encrypted"] / rate["pyacq_lab, tcp"]
    rows.append(("tcp encrypted / tcp: what encryption leaves", f"{cost:.2f}", ""))
    for how, readers in result["GB/s per reader"].items():
        first, *_, most = readers
        ratio = readers[most] / readers[first]
        rows.append((f"{most} local readers, each / {first}, {how}", f"{ratio:.2f}", ">= 0.8"))
    return rows


ABOUT = """64 channels of float32 from one process to another. Throughput: chunks of 256 KiB as fast as it
goes, the sender waiting for its readers, counted once the ring has gone round. Latency: chunks of 8 KiB a
thousand times a second, from before they are sent until they can be used. "Read in place" is
`recv(copy=False)`; "several at once" is with `most=` 16 chunks. The peers are read without a copy, too,
where they can be. LSL's sender cannot wait: it keeps what it has not sent.""".splitlines()


def _row(title: str, found: Mapping[str, float]) -> list[str]:
    """A table of one row."""
    lines = ["", f"{title}:", "", f"| {' | '.join(['', *found])} |"]
    return [*lines, f"|{'---|' * (len(found) + 1)}", f"| {' | '.join(['GB/s', *map(str, found.values())])} |"]


def page(result: Mapping[str, Any]) -> str:
    """The page for the documentation."""
    lines = head("Streams", "tests.benchmarks.streams", ABOUT, result) + goals(ratios(result))
    lines += ["", "Throughput, GB/s:", "", "| way | GB/s |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in result["GB/s"].items()]
    lines += percentiles("Latency, ms", result["latency, ms"])
    for how, found in result["GB/s per reader"].items():
        lines += _row(f"Local, by number of readers, each in a process, {how}", found)
    lines += _row("Local, by number of channels", result["GB/s by channels"])
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, write, show."""
    result = measure()
    write("streams", result, page(result))
    show(ratios(result))


if __name__ == "__main__":
    main()
