import csv
import io
import json
import logging
import pprint
import re
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
        first, second = [json.loads(line) for line in path.read_text().splitlines()]
        assert (first["corrected_ns"], second["corrected_ns"]) == (NOON, NOON + 1 - 10**9)
    elif suffix == ".txt":
        assert re.match(r"2023-11-1\d \d\d:\d\d:\d\d\.123[+-]\d\d:\d\d ", path.read_text())
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

    assert repr(many).startswith("<1,000 log records, of which the last 20>")
    assert len(repr(many).splitlines()) == 21
    assert "950 earlier records of this list are not shown" in many._repr_html_()
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
    stamp = pd.Timestamp(NOON, tz="UTC")
    for when in (stamp, pd.Timestamp(at), pd.Timedelta(seconds=5)):
        assert LogFilter.of(NOON + 5 * 10**9, since=when).since_ns == NOON
    for wrong in ("yesterday", True, 1.5, 5, -1, pd.NaT):
        with pytest.raises(ConfigurationError, match=r"since=.*timedelta.*time_ns"):
            LogFilter.of(since=wrong)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"level": 3.5}, "level=3.5: wanted the lowest level"),
        ({"level": ["ERROR"]}, "WARNING"),
        ({"level": True}, "level=True"),
        ({"source": 5}, "nodegroup's or host's handle"),
        ({"contains": 5}, "contains=5: wanted text"),
        ({"pid": "5"}, "pid='5'"),
        ({"levle": "ERROR"}, "levle: records are found by level, source"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_is(wanted, said):
    with pytest.raises(ConfigurationError, match=said):
        LogFilter.of(**wanted)


def test_no_level_is_every_level_and_extra_fields_are_searched():
    assert LogFilter.of(level=None).matches(record(level=1))
    for text in ("TRIAL", "seven", "12.5"):
        assert LogFilter.of(contains=text).matches(record(extra={"trial": "Seven", "gain": 12.5}))


def test_a_handle_names_its_place_as_a_whole():
    class Handle:
        log_place = "rig/cam"

    class Host:
        log_place = "rig/"

    for there in (Handle(), Host()):
        assert LogFilter.of(source=there).matches(record())
        assert not LogFilter.of(source=there).matches(LogRecord(time_ns=0, host="brig", process="cam"))
    assert not LogFilter.of(source=Handle()).matches(LogRecord(time_ns=0, host="rig", process="cam2"))


def test_slices_and_sums_are_lists_of_records_too(tmp_path):
    for some in (RECORDS[:1], RECORDS[1:] + RECORDS[:1], RECORDS[:0]):
        assert type(some) is LogRecords
        assert some.export(tmp_path / "some.csv").exists()
    assert str(RECORDS[0]) in RECORDS.encode(".txt").decode()


def test_a_table_has_its_columns_also_where_nothing_was_found():
    for found in (RECORDS, LogRecords()):
        assert tuple(found.to_frame().columns) == LOG_COLUMNS
        assert len(found.to_frame()) == len(found)


def test_a_list_that_lacks_records_says_so_wherever_it_is_shown():
    part = LogRecords(RECORDS, earlier=1234, forgotten=5)
    for shown in (
        repr(part),
        part._repr_html_(),
        *(part.encode(s).decode() for s in (".csv", ".txt", ".jsonl")),
    ):
        assert "1,234 earlier ones match, too: limit=None finds all" in shown
        assert "5 older ones are no longer in memory" in shown
    assert "1 earlier" in repr(LogRecords(earlier=1))
    assert "match, too" not in repr(RECORDS) + RECORDS._repr_html_()


def test_a_table_says_what_is_late():
    assert "(late)" in LogRecords([record(late=True)])._repr_html_()
    assert "(late)" not in RECORDS._repr_html_()


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
