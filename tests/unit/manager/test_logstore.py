import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfile import LogFile, read_log_file
from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord

NOON = 1_700_000_000_000_000_000


def records(start, stop):
    return [LogRecord(time_ns=i, seq=i, message=f"number {i}") for i in range(start, stop)]


@given(st.lists(st.integers(0, 30)), st.integers(1, 20), st.integers(-5, 200), st.integers(-5, 200))
def test_the_ring_reads_as_the_end_of_a_list(sizes, capacity, start, stop):
    store = LogStore(capacity=capacity)
    told = []
    for size in sizes:
        told += (new := records(len(told), len(told) + size))
        store.append(new)

    assert (store.start, store.stop) == (max(0, len(told) - capacity), len(told))
    assert store.read(0) == told[-capacity:]
    assert store.read(start, stop) == told[max(start, store.start) : max(0, stop)]


def test_a_store_that_skips_ahead_counts_on_from_there():
    store = LogStore(capacity=5)
    store.append(records(0, 3))
    store.skip_to(2)  # was reached already
    assert store.start == 0
    store.skip_to(11)
    assert (store.start, store.stop, store.read(0)) == (11, 11, [])
    store.append(records(11, 18))
    assert (store.start, store.stop) == (13, 18)
    assert store.read(0) == records(13, 18)
    assert store.read_from(0, 2) == (13, records(13, 15))
    assert store.newest(LogFilter(), 2) == records(16, 18)


def test_the_newest_that_match_come_oldest_first():
    store = LogStore()
    store.append(records(0, 5000))

    assert [r.seq for r in store.newest(LogFilter.of(contains="NUMBER 12"), 2)] == [1298, 1299]
    assert store.newest(LogFilter(), None) == records(0, 5000)


def test_every_condition_must_be_fulfilled():
    record = LogRecord(
        time_ns=NOON,
        host="Rig",
        process="cam",
        node="view",
        level=logging.WARNING,
        message="Hot",
        thread="T1",
    )
    fits = {"level": "warning", "source": "rig/C", "node": "VIEW", "since": NOON, "contains": "hot"}
    misses = {"level": logging.ERROR, "source": "x", "node": "x", "since": NOON + 1, "contains": "cold"}

    assert LogFilter.of(**fits).matches(record)
    for name, value in misses.items():
        assert not LogFilter.of(**{**fits, name: value}).matches(record)


def test_an_unknown_level_is_refused_with_those_that_are_known():
    with pytest.raises(ConfigurationError, match=r"'LOUD'.*WARNING"):
        LogFilter.of(level="LOUD")


def test_all_records_go_to_disk_in_bounded_files(tmp_path):
    path = tmp_path / "new" / "log.jsonl"
    store = LogStore(LogFile(path, max_bytes=2000, n_files=3), capacity=10)
    for i in range(0, 200, 5):
        store.append(records(i, i + 5))
    store.close()

    files = [path.with_suffix(".2.jsonl"), path.with_suffix(".1.jsonl"), path]
    assert sorted(path.parent.iterdir()) == sorted(files)
    assert all(file.stat().st_size < 4000 for file in files)
    kept = [r for file in files for r in read_log_file(file)]
    assert kept == records(200 - len(kept), 200)


def test_a_file_is_gone_on_with_and_a_cut_line_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    for part in (records(0, 2), records(2, 4)):
        file = LogFile(path)
        file.write(part)
        file.close()
    path.write_bytes(path.read_bytes()[:-3])

    assert read_log_file(path) == records(0, 3)


def test_a_full_disk_is_said_once_memory_goes_on_and_what_is_gone_is_counted(tmp_path):
    class Disk(LogFile):
        full = True

        def write(self, records):
            if self.full:
                raise OSError(28, "No space left on device")
            super().write(records)

    disk = Disk(tmp_path / "log.jsonl")
    store = LogStore(disk, capacity=5, retry_s=0)
    told = []
    store.report = lambda message, *, level: told.append(message)
    store.append(records(0, 2))
    store.append(records(2, 8))
    assert store.read(0) == records(3, 8)
    assert len(told) == 1
    assert "No space left" in store.disk_error

    disk.full = False
    store.append(records(8, 9))
    store.close()
    assert store.disk_error == ""
    assert "4 of them had left memory" in told[1]
    assert read_log_file(disk.path) == records(4, 9)


def test_a_failed_disk_is_not_tried_with_each_record(tmp_path):
    tried = []

    class Full(LogFile):
        def write(self, records):
            tried.append(len(records))
            raise OSError(28, "No space left on device")

    store = LogStore(Full(tmp_path / "log.jsonl"), retry_s=1000)
    for i in range(5):
        store.append(records(i, i + 1))
    assert tried == [1]
    store.close()  # the last chance
    assert tried == [1, 5]
