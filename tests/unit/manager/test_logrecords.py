import csv
import io
import logging
import pprint
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfile import read_log_file
from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.model.logs import LOG_COLUMNS, LogRecord

NOON = 1_700_000_000_123_456_000


def record(i=0, **said):
    return LogRecord(time_ns=NOON + i, host="rig", process="cam", message=f"number {i}", **said)


RECORDS = LogRecords(
    [record(level=logging.ERROR, traceback='Traceback,\n  "x"\n'), record(1, offset_ns=10**9)]
)


def test_pandas_makes_a_table_with_timestamps_of_them():
    table = pd.DataFrame(RECORDS)

    assert tuple(table.columns) == LOG_COLUMNS
    assert isinstance(table["time"].dtype, pd.DatetimeTZDtype)
    assert table["time"][1] == pd.Timestamp(NOON - 10**9, tz="UTC")
    assert list(table["level_name"]) == ["ERROR", "INFO"]
    assert list(table[table.level >= logging.ERROR].message) == ["number 0"]


def test_plain_data_hold_every_field():
    first = RECORDS.to_dicts()[0]

    assert set(LogRecord.__struct_fields__) < set(first)
    assert first["time"] == datetime.fromtimestamp(NOON // 1000 / 1e6, UTC)
    assert "number 0" in pprint.pformat(RECORDS[0])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".txt", ".CSV"])
def test_a_file_is_written_as_its_suffix_says(tmp_path, suffix):
    path = tmp_path / f"log{suffix}"
    path.write_text("old")

    assert RECORDS.export(str(path)) == path
    assert list(tmp_path.iterdir()) == [path]
    if suffix == ".jsonl":
        assert read_log_file(path) == RECORDS
    elif suffix == ".txt":
        assert path.read_text().startswith("2023-11-1")
        assert "number 1" in path.read_text()
    else:
        rows = list(csv.DictReader(io.StringIO(path.read_text(), newline="")))
        assert [row["message"] for row in rows] == ["number 0", "number 1"]
        assert rows[0]["traceback"] == RECORDS[0].traceback


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ConfigurationError, match=r"'\.xlsx'.*\.jsonl, \.csv, \.txt"):
        RECORDS.export(tmp_path / "log.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_many_records_are_shown_in_part():
    many = LogRecords(record(i) for i in range(1000))

    assert repr(many).startswith("<1000 log records, of which the last 20:>")
    assert len(repr(many).splitlines()) == 21
    assert "950 earlier records are not shown" in many._repr_html_()
    assert many._repr_html_().count("<tr>") < 60
    assert repr(LogRecords()) == "<no log records>"
    assert "no records" in LogRecords()._repr_html_()


def test_times_are_given_as_people_think_of_them():
    at = datetime.fromtimestamp(NOON // 1000 / 1e6)  # local, as people type it
    for when in (at, at.astimezone(UTC), NOON, timedelta(seconds=5)):
        wanted = LogFilter.of(NOON + 5 * 10**9, since=when, until=when)
        assert (wanted.since_ns, wanted.until_ns) == (NOON, NOON)
    assert LogFilter.of(until=NOON).matches(record())
    assert not LogFilter.of(until=NOON).matches(record(1))
    for wrong in ("yesterday", True, 1.5):
        with pytest.raises(ConfigurationError, match=r"since=.*timedelta"):
            LogFilter.of(since=wrong)


def test_a_process_is_named_as_a_whole_and_a_logger_in_part():
    assert LogFilter.of(process="cam").matches(record())
    assert not LogFilter.of(process="ca").matches(record())
    assert LogFilter.of(logger="BEN").matches(record(logger="bench"))
    assert not LogFilter.of(logger="BEN").matches(record())


def test_a_table_in_a_notebook_is_bounded_and_breaks_long_words():
    records = LogRecords([LogRecord(time_ns=0, message="x" * 30_000, traceback="y" * 30_000)])
    html = records._repr_html_()

    assert len(html) < 30_000
    assert "29,000 more characters" in html
    assert "22,000 more characters" in html
    assert "overflow-wrap:anywhere" in html
