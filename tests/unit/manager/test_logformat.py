import io
import logging
import re

from pyacq_lab.manager.logformat import LogPrinter, format_record
from pyacq_lab.model.logs import LogRecord

RECORD = LogRecord(
    time_ns=1_700_000_000_123_000_000,
    host="rig",
    process="cameras",
    thread="pump",
    node="left",
    logger="camera",
    level=logging.WARNING,
    message="hot",
)


def test_a_line_says_when_how_bad_who_and_what():
    line = format_record(RECORD)

    assert re.fullmatch(r"\d\d:\d\d:\d\d\.123 WARNING  rig/cameras \[left\] pump camera: hot", line)


def test_a_traceback_follows_indented():
    record = LogRecord(time_ns=0, message="failed", traceback="Traceback:\n  ValueError\n")

    assert format_record(record).splitlines()[1:] == ["    Traceback:", "      ValueError"]


def test_a_printed_line_names_its_stream():
    assert " stdout " in format_record(LogRecord(time_ns=0, stream="stdout", message="x"))


def test_colours_are_only_for_terminals():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    plain, coloured = io.StringIO(), Terminal()
    for stream in (plain, coloured):
        LogPrinter(stream)([RECORD])

    assert plain.getvalue() == format_record(RECORD) + "\n"
    assert "\x1b[33mWARNING \x1b[0m" in coloured.getvalue()
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured.getvalue()) == plain.getvalue()
