import io
import logging
import re

from pyacq_lab.manager.logformat import LogPrinter
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.logtext import format_record, shown

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
    assert "\x1b[1;33mWARNING \x1b[0m" in coloured.getvalue()
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured.getvalue()) == plain.getvalue()


def test_what_a_message_does_to_a_terminal_is_shown_instead():
    message = "\x1b[31mred\x1b[0m \x1b[2Jgone\x07 a\rb\r\nnext\ttab \x00 \u202eback \u2028 é 🔥"
    record = LogRecord(
        time_ns=0, message=message, traceback="\x1b[1mValueError\x1b[0m: \x08", logger="a\nb\x1b[H"
    )
    head, *rest = format_record(record).split("\n")

    assert head.endswith("a")
    assert "\n".join(rest).endswith(
        "b\\x1b[H: red \\x1b[2Jgone\\x07 a\\rb\n    next\ttab \\x00 \\u202eback \\u2028 é 🔥\n"
        "    ValueError: \\x08"
    )


def test_colours_that_a_process_printed_end_with_its_text():
    record = LogRecord(time_ns=0, message="\x1b[31mred", traceback="\x1b[1mbold")
    coloured = format_record(record, colour=True)

    assert "\x1b[31mred\x1b[0m\n" in coloured
    assert coloured.endswith("\x1b[1mbold\x1b[0m")
    assert "\x1b" not in format_record(record)
    assert shown("\x1b[31mred", colour=True) == "\x1b[31mred\x1b[0m"
