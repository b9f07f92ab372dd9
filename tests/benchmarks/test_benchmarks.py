"""The benchmarks run, however small: their figures are no tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

SMALL = """
import json, sys
from tests.benchmarks import calls, peers
calls.ipyparallel_engine = peers.no_engine
result = calls.measure(rounds=2, block=3, count=1, at_once=2)
print(json.dumps([result, calls.ratios(result), calls.page(result)]))
"""


def test_a_small_form_of_the_call_benchmark_runs(jupyter_home) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SMALL], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    result, rows, page = json.loads(done.stdout.splitlines()[-1])
    assert result["ipyparallel"] == "not installed"
    assert set(result["while a cell runs, ms"]) == {"pyacq_lab call", "pyacq_lab control lane"}
    assert all(name in page for name, _, _ in rows)
