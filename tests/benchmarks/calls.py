"""Measure remote calls and starts against their peers: ``python -m tests.benchmarks.calls``.

Writes docs/benchmarks/results/calls.json and, from it, docs/benchmarks/calls.md. Peers take turns in small
blocks, so that whatever else the machine does strikes them alike: trust the ratios.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from pyacq_lab.manager.manager import Manager
from pyacq_lab.wire.messages import Ping
from tests.benchmarks.common import Row, fresh_home, goals, head, machine, percentiles, show, summary, write
from tests.benchmarks.peers import Call, cold_kernel, ipyparallel_engine, raw_pair

OURS = "pyacq_lab call"


def timed(call: Call) -> float:
    """Seconds that one call takes."""
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def in_turns(peers: Mapping[str, Call], rounds: int, block: int) -> dict[str, dict[str, float]]:
    """Round trips of all peers, taken in turns."""
    took: dict[str, list[float]] = {name: [] for name in peers}
    for call in peers.values():
        for _ in range(block):
            call()
    for _ in range(rounds):
        for name, call in peers.items():
            took[name] += [timed(call) for _ in range(block)]
    return {name: summary(seconds) for name, seconds in took.items()}


def while_a_cell_runs(
    group: Any, peers: Mapping[str, Call], rounds: int
) -> tuple[dict[str, dict[str, float]], float]:
    """Round trips while a cell does ``while True: pass``, and how much of a core its process took."""
    begun = threading.Event()
    code = "print('on', flush=True)\nwhile True: pass"
    thread = threading.Thread(target=lambda: group.run(code, on_output=lambda _: begun.set()))
    thread.start()
    try:
        if not begun.wait(30):
            raise RuntimeError("the busy cell has not begun")
        process = psutil.Process(group.pid)
        before, begun_at = process.cpu_times().user, time.perf_counter()
        took = in_turns(peers, rounds, 5)
        share = (process.cpu_times().user - before) / (time.perf_counter() - begun_at)
        if not thread.is_alive():
            raise RuntimeError("the busy cell has ended before its time")
        return took, round(share, 2)
    finally:
        group.interrupt()
        thread.join(30)


def starts(manager: Manager, count: int, at_once: int) -> dict[str, Any]:
    """Seconds until a nodegroup can be used: one after the other, and many at once."""
    alone: list[float] = []
    memory: list[int] = []
    for _ in range(count):
        begun = time.perf_counter()
        group = manager.create_nodegroup()
        group.list_nodes()
        alone.append(time.perf_counter() - begun)
        group.close()
    begun = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        groups = list(pool.map(manager.create_nodegroup, [f"many{i}" for i in range(at_once)]))
    together = time.perf_counter() - begun
    for group in groups:
        memory.append(psutil.Process(group.pid).memory_full_info().pss)
    for group in groups:
        group.close()
    return {
        "one after the other": summary(alone),
        f"{at_once} at once, s": round(together, 3),
        "PSS of each of them, MB": round(sorted(memory)[len(memory) // 2] / 1e6, 1),
    }


def measure(rounds: int = 60, block: int = 50, count: int = 10, at_once: int = 32) -> dict[str, Any]:
    """Measure everything; the arguments say how long."""
    result: dict[str, Any] = {"machine": machine()}
    with ExitStack() as stack:
        manager = stack.enter_context(Manager())
        group = manager.create_nodegroup("bench")
        group.list_nodes()
        ours: dict[str, Call] = {
            OURS: partial(group.link.target("group", group.where).call, "any_node_running"),
            "pyacq_lab control lane": lambda: group.client.call(Ping()),
        }
        peers: dict[str, Call] = {
            "raw REQ/REP": stack.enter_context(raw_pair(curve=False)),
            "raw REQ/REP, CURVE": stack.enter_context(raw_pair(curve=True)),
        }
        with ipyparallel_engine() as engine:
            result["ipyparallel"] = "not installed" if engine is None else "there"
            if engine is not None:
                peers["ipyparallel apply_sync"] = engine[0]
                result["ipyparallel engine ready, s"] = round(engine[1], 2)
            result["idle, ms"] = in_turns({**peers, **ours}, rounds, block)
        busy, share = while_a_cell_runs(group, ours, max(2, rounds // 2))
        result["while a cell runs, ms"], result["the cell's share of a core"] = busy, share
        result["start, ms"] = starts(manager, count, at_once)
    result["cold ipykernel ready, s"] = sorted(round(cold_kernel(), 2) for _ in range(min(3, count)))
    return result


def ratios(result: Mapping[str, Any]) -> list[Row]:
    """Rows of figure, value, goal."""
    idle, busy, start = result["idle, ms"], result["while a cell runs, ms"], result["start, ms"]
    p50 = idle[OURS]["p50"]
    cold = result["cold ipykernel ready, s"][len(result["cold ipykernel ready, s"]) // 2]
    together = next(key for key in start if "at once" in key)
    rows = [
        ("call, idle / raw REQ/REP", f"{p50 / idle['raw REQ/REP']['p50']:.2f}", "<= 1.6"),
        ("call, idle / raw REQ/REP with CURVE", f"{p50 / idle['raw REQ/REP, CURVE']['p50']:.2f}", ""),
        ("call while a cell runs, p50", f"{busy[OURS]['p50']:.2f} ms", "<= 5 ms"),
        ("control lane while a cell runs, p50", f"{busy['pyacq_lab control lane']['p50']:.2f} ms", "answers"),
        (
            "nodegroup ready, p50 / cold ipykernel",
            f"{start['one after the other']['p50'] / 1e3 / cold:.3f}",
            "<= 0.1",
        ),
        (
            f"nodegroups, {together.removesuffix(', s')} / cold ipykernel",
            f"{start[together] / cold:.2f}",
            "<= 2",
        ),
        ("PSS per idle nodegroup", f"{start['PSS of each of them, MB']} MB", "<= 30 MB"),
    ]
    parallel = idle.get("ipyparallel apply_sync")
    faster = "ipyparallel is not installed" if parallel is None else f"{parallel['p50'] / p50:.0f}"
    return [*rows[:2], ("ipyparallel apply_sync / call, idle", faster, ">= 50"), *rows[2:]]


def page(result: Mapping[str, Any]) -> str:
    """The page of docs/benchmarks that shows a result."""
    about = [
        "Process to process over tcp on the",
        "loopback interface; all peers of a round trip take turns in one run. Ours are",
        "encrypted and authenticated. Trust the ratios.",
    ]
    lines = head("Remote calls and starts", "tests.benchmarks.calls", about, result) + goals(ratios(result))
    for title in ("idle, ms", "while a cell runs, ms"):
        lines += percentiles(f"Round trip {title}", result[title])
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    with fresh_home():
        result = measure()
    show(ratios(result))
    write("calls", result, page(result))


if __name__ == "__main__":
    main()
