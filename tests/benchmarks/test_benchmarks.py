"""The benchmarks run, however small: their figures are no tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

SMALL = """
import json, sys
from tests.benchmarks import calls, peers
calls.ipyparallel_engine = peers.no_engine
result = calls.measure(rounds=2, block=3, count=1, at_once=2)
print(json.dumps([result, calls.ratios(result), calls.page(result)]))
"""


def run(code: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_small_form_of_the_call_benchmark_runs(jupyter_home) -> None:
    result, rows, page = run(SMALL)
    assert result["ipyparallel"] == "not installed"
    assert set(result["while a cell runs, ms"]) == {"pyacq_lab call", "pyacq_lab control lane"}
    assert all(name in page for name, _, _ in rows)


SMALL_LOGS = """
import json
from tests.benchmarks import logs
result = logs.measure(rounds=1, senders=2, count=300, said=20, kept=1000)
print(json.dumps([result, logs.ratios(result), logs.page(result)]))
"""


def test_a_small_form_of_the_log_benchmark_runs(jupyter_home) -> None:
    result, rows, page = run(SMALL_LOGS)
    assert result["lost"] == 0
    assert min(result["records/s"].values()) > 0
    assert all(name in page for name, _, _ in rows)


SMALL_STREAMS = """
import json
from tests.benchmarks import streams
streams.PEERS.update(LSL="not_installed", ezmsg="not_installed")
result = streams.measure(rounds=1, n_chunks=40, n_paced=30, readers=[1, 2], channels=[1])
print(json.dumps([result, streams.ratios(result), streams.page(result)]))
"""


def test_a_small_form_of_the_stream_benchmark_runs() -> None:
    result, rows, page = run(SMALL_STREAMS)
    assert min(result["GB/s"].values()) > 0
    assert "pyzmq, tcp encrypted" in result["latency, ms"]
    assert all(name in page for name, _, _ in rows)


SMALL_NODES = """
import json
from tests.benchmarks import nodes
result = nodes.measure(rounds=1, seconds=0.2, chain=1)
print(json.dumps([result, nodes.ratios(result), nodes.page(result)]))
"""


def test_a_small_form_of_the_node_benchmark_runs(jupyter_home) -> None:
    result, rows, page = run(SMALL_NODES)
    assert min(result["real-time factor"].values()) > 0
    assert result["chain"] > 0
    assert all(name in page for name, _, _ in rows)


SMALL_RECORDING = """
import json
from tests.benchmarks import recording
recording.CHUNK_SIZES, recording.LIVE = (2**16,), ("none",)
result = recording.measure(rounds=1, seconds=0.1, live=1, long=1.2, count=2)
print(json.dumps([result, recording.ratios(result), recording.page(result)]))
"""


def test_a_small_form_of_the_recording_benchmark_runs() -> None:
    result, rows, page = run(SMALL_RECORDING)
    assert set(result["written"]) == {"64", "384"}
    assert all(row["MB/s"] > 0 for written in result["written"].values() for row in written.values())
    assert all(name in page for name, _, _ in rows)
