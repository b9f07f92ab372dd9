"""What the page on distributed nodes says of finding and showing log records; see test_contract.py."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pandas
import pytest

import pyacq_lab as pyacq
from pyacq_lab.errors import PyacqError


@pytest.fixture
def manager(tmp_path, monkeypatch):
    for name in ("DATA", "CONFIG", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    with pyacq.create_manager(logs="off") as manager:
        yield manager


def test_the_log_is_shown_printed_or_neither_as_asked(manager):
    code = (
        "import pyacq_lab, logging\n"
        "m = pyacq_lab.create_manager(logs='off')\n"
        "logging.getLogger('x').error('not printed')\n"
        "m.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "manager MainThread x: not printed" not in done.stderr
    with pytest.raises(PyacqError, match="'auto', 'show', 'print' or 'off'"):
        pyacq.create_manager(logs="loud")


def test_records_are_found_by_time_and_go_into_a_table_and_a_file(manager, tmp_path):
    here, there = manager.create_nodegroup("here"), manager.create_nodegroup("there")
    there.run("import logging; logging.getLogger('bench').error('to be found')")
    wanted = {"contains": "to be found", "logger": "BENCH", "level": "ERROR"}
    pyacq.wait_for(lambda: manager.logs(**wanted))
    records = manager.logs(since=timedelta(minutes=5), **wanted)
    assert [r.message for r in records] == ["to be found"]
    assert manager.logs(until=timedelta(minutes=5), **wanted) == []
    assert there.logs(**wanted) == records
    assert here.logs(**wanted) == []
    table = pandas.DataFrame(records)
    assert table["time"][0].timestamp() == pytest.approx(records[0].corrected_ns / 1e9)
    for suffix in ("jsonl", "csv", "txt"):
        assert "to be found" in records.export(tmp_path / f"found.{suffix}").read_text()
