"""Measure the way of log records against Python's own: ``python -m tests.benchmarks.logs``.

Writes docs/benchmarks/results/logs.json and, from it, docs/benchmarks/logs.md. The ways take turns, each
time with new senders, so that whatever else the machine does strikes them alike: trust the ratios.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from pyacq_lab.manager.logfile import LogFile
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin
from pyacq_lab.transport.reactor import Reactor
from tests.benchmarks.common import (
    ROOT,
    Row,
    fresh_home,
    goals,
    head,
    machine,
    median,
    percentiles,
    show,
    summary,
    write,
)
from tests.benchmarks.logpeers import cookbook_receiver

OURS = "pyacq_lab"
PEER = "SocketHandler, cookbook receiver"
BARE = "SocketHandler, unpickled and kept in memory"

MEMORY = """
import gc, json, psutil
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.notebook.panels.logview import LogView
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin, Said, make_words
from pyacq_lab.transport.reactor import Reactor
from pyacq_lab.wire.logcodec import decode_batch, encode_batch, encode_words
import sys
count = int(sys.argv[1])
reactor, clock = Reactor(), SystemClock()
server = LogServer(reactor, KeyPair.generate(), clock, LogOrigin(host="lab", process="manager"))
view = LogView(server)
gc.collect()
before = psutil.Process().memory_full_info().uss
origin = LogOrigin(host="rig", process="camera", pid=4711)
for first in range(0, count, 500):
    said = Said(logger="bench.sender", thread="MainThread", stream="log")
    texts = [f"record number {i} of channel left" for i in range(first, first + 500)]
    batch = [encode_words(make_words(clock, text, said)) for text in texts]
    server.add(*decode_batch(encode_batch(first, origin, batch)))
    while server.store.stop < first - 5000:
        clock.sleep(0.01)
view._repr_mimebundle_()
while server.store.stop < count:
    clock.sleep(0.01)
gc.collect()
print(json.dumps(psutil.Process().memory_full_info().uss - before))
server.close()
reactor.close()
"""


class Sender:
    """A process that logs; see logsender.py."""

    def __init__(self, how: str, where: str, count: int, pause: float) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.logsender", how, where, str(count), str(pause)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @cached_property
    def said(self) -> str:
        """What it says when it is ready; waited for when it is wanted, so that several start at once."""
        return self._line()

    def _line(self) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("a sender ended before it was ready")
        return line

    def go(self) -> None:
        """Let it begin."""
        if self._process.stdin:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def finish(self) -> dict[str, float]:
        """Its figures, once it has ended."""
        self.go()
        figures = json.loads(self._line())
        self._process.communicate(timeout=60)
        return figures


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the records did not come")
        time.sleep(0.002)


@contextmanager
def log_server(folder: Path) -> Iterator[tuple[LogServer, str]]:
    """A log server as a manager has it, with its public key."""
    reactor, keys = Reactor(), KeyPair.generate()
    store = LogStore(LogFile(folder / "log.jsonl"))
    server = LogServer(reactor, keys, SystemClock(), LogOrigin(host="bench", process="manager"), store=store)
    try:
        yield server, keys.public
    finally:
        server.close()
        reactor.close()


def run(senders: Sequence[Sender], count: Callable[[], int], total: int) -> dict[str, Any]:
    """Rate, this process's CPU per record, and the senders' figures."""
    if not all(sender.said for sender in senders):
        raise RuntimeError("a sender is not ready")
    begun, before = time.perf_counter(), time.process_time()
    for sender in senders:
        sender.go()
    wait_for(lambda: count() >= total)
    rate, cpu = total / (time.perf_counter() - begun), (time.process_time() - before) / total
    return {"rate": rate, "receiver": cpu, "figures": [sender.finish() for sender in senders]}


def run_ours(folder: Path, senders: int, count: int, pause: float = 0.0) -> dict[str, Any]:
    """Rate, figures of the senders, and latencies at a subscriber."""
    latencies: list[float] = []
    lost = 0

    def take(records: Sequence[LogRecord]) -> None:
        nonlocal lost
        now = time.monotonic_ns()
        lost += sum(r.lost for r in records)
        if pause:
            latencies.extend((now - r.mono_ns) / 1e9 for r in records if r.mono_ns)

    with log_server(folder) as (server, key):
        there = [Sender("ours", key, count, pause) for _ in range(senders)]
        for i, sender in enumerate(there):
            endpoint, public = sender.said.split()
            server.connect(endpoint, public, f"sender{i}")
        server.subscribe(take)
        result = run(there, lambda: server.store.stop, senders * count)
    return {**result, "latencies": latencies, "lost": lost}


def run_peer(path: Path | None, senders: int, count: int, pause: float = 0.0) -> dict[str, Any]:
    """The same with Python's own means."""
    with cookbook_receiver(path) as receiver:
        there = [Sender("socket", str(receiver.server_address[1]), count, pause) for _ in range(senders)]
        result = run(there, lambda: receiver.count, senders * count)
        return {**result, "latencies": receiver.latencies, "lost": 0}


def cpu_of(runs: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Microseconds per record: in the calling thread, in the sender in all, at the receiver."""
    figures = [figure for done in runs for figure in done["figures"]]
    cpu = {kind: round(median(f[kind] for f in figures) * 1e6, 2) for kind in ("calling", "all")}
    return {**cpu, "receiver": round(median(done["receiver"] for done in runs) * 1e6, 2)}


def memory(count: int) -> float:
    """Megabytes of a store with so many records and a view of it."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(count)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return round(json.loads(done.stdout) / 1e6, 1)


def measure(
    rounds: int = 5, senders: int = 8, count: int = 40_000, said: int = 1000, kept: int = 100_000
) -> dict[str, Any]:
    """Measure everything; the arguments say how long."""
    result: dict[str, Any] = {"machine": machine(), "senders": senders, "records each": count}
    with fresh_home() as home:
        runs: dict[str, list[dict[str, Any]]] = {OURS: [], PEER: [], BARE: []}
        for i in range(rounds):
            runs[OURS].append(run_ours(home / str(i), senders, count))
            runs[PEER].append(run_peer(home / str(i) / "cookbook.log", senders, count))
            runs[BARE].append(run_peer(None, senders, count))
        result["records/s"] = {who: round(median(run["rate"] for run in of)) for who, of in runs.items()}
        result["lost"] = sum(run["lost"] for run in runs[OURS])
        result["CPU per record, us"] = {who: cpu_of(of) for who, of in runs.items()}
        result["latency, ms"] = {
            OURS: summary(run_ours(home / "latency", 1, said, 0.002)["latencies"]),
            PEER: summary(run_peer(home / "latency" / "cookbook.log", 1, said, 0.002)["latencies"]),
        }
        result["records kept"] = kept
        result["store and view, MB"] = memory(kept)
    return result


def ratios(result: Mapping[str, Any]) -> list[Row]:
    """Rows of figure, value, goal."""
    rate, cpu = result["records/s"], result["CPU per record, us"]
    latency, kept = result["latency, ms"][OURS]["p50"], result["records kept"]
    return [
        ("records/s, end to end", f"{rate[OURS]}", ""),
        ("records/s / SocketHandler's", f"{rate[OURS] / rate[PEER]:.1f}", ">= 3"),
        ("records/s / SocketHandler's, kept in memory only", f"{rate[OURS] / rate[BARE]:.1f}", ""),
        ("records lost", f"{result['lost']}", "0"),
        ("CPU of a logging call", f"{cpu[OURS]['calling']} us", ""),
        ("the same / SocketHandler's", f"{cpu[OURS]['calling'] / cpu[PEER]['calling']:.2f}", "<= 1"),
        ("CPU of the receiver per record", f"{cpu[OURS]['receiver']} us", ""),
        ("cookbook receiver's / the same", f"{cpu[PEER]['receiver'] / cpu[OURS]['receiver']:.1f}", ">= 3"),
        ("from the call to a view, p50", f"{latency:.0f} ms", "<= 400 ms"),
        (f"memory of store and view, {kept} records", f"{result['store and view, MB']} MB", "<= 50 MB"),
    ]


def page(result: Mapping[str, Any]) -> str:
    """The page of docs/benchmarks that shows a result."""
    about = [
        f"{result['senders']} processes",
        f"log {result['records each']} records each, as fast as they are taken, to one receiver on the",
        "same machine. Ours is encrypted, sorted by time, kept in memory and on disk, and a record is safe",
        "from a kill of its process before the call returns. The peer is `logging.handlers.SocketHandler`",
        "with the receiver of Python's logging cookbook, which unpickles the records and writes them to a",
        "file; and once more without the file. All take turns. Trust the ratios, and mind that senders and",
        "receiver share the cores: what a call of `logging` costs by itself, some 5 us, is part of both.",
    ]
    lines = head("Log records", "tests.benchmarks.logs", about, result) + goals(ratios(result))
    lines += ["", "CPU per record, us:", "", "| who | records/s | call | sender in all | receiver |"]
    lines.append("|---|---|---|---|---|")
    for who, cpu in result["CPU per record, us"].items():
        figures = f"{cpu['calling']} | {cpu['all']} | {cpu['receiver']}"
        lines.append(f"| {who} | {result['records/s'][who]} | {figures} |")
    lines += percentiles("From the call to a subscriber, ms", result["latency, ms"])
    lines += [
        "",
        "A subscriber of the log server waits on purpose: records are held for 150 ms, so that earlier ones",
        "of other processes can come in, and are told in batches, ten times a second at most.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    result = measure()
    show(ratios(result))
    write("logs", result, page(result))


if __name__ == "__main__":
    main()
