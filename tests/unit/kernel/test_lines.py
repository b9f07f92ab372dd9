"""Bytes into lines, prints into lines, whatever the pieces."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from queue import SimpleQueue

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.kernel.lines import MAX_LINE, LineAssembler, as_seen
from pyacq_lab.kernel.prints import Printed, PrintLines, QuietLines


@given(st.text(st.characters(exclude_characters="\r", codec="utf-8")), st.lists(st.integers(0, 400)))
def test_lines_do_not_depend_on_the_pieces(text: str, cuts: list[int]) -> None:
    data = text.encode()
    assembler = LineAssembler()
    edges = [0, *sorted(min(c, len(data)) for c in cuts), len(data)]
    lines = [line for a, b in pairwise(edges) for line in assembler.feed(data[a:b])]
    lines += assembler.finish()
    expected = text.split("\n")
    assert lines == (expected if expected[-1] else expected[:-1])


def test_what_is_not_utf8_is_replaced() -> None:
    assert LineAssembler().feed(b"a\xff\xfeb\n") == ["a\ufffd\ufffdb"]


def test_a_line_without_an_end_is_given_out_at_last() -> None:
    assembler = LineAssembler()
    assert assembler.feed(b"x" * (MAX_LINE + 1)) == ["x" * (MAX_LINE + 1)]
    assert assembler.finish() == []


def test_a_progress_bar_leaves_what_was_seen_last() -> None:
    assert as_seen("10 %\r20 %") == "20 %"
    assert as_seen("windows\r") == "windows"


def collector() -> tuple[PrintLines, list[tuple[str, str, bool]]]:
    came: list[tuple[str, str, bool]] = []
    return PrintLines("stdout", lambda line: came.append(line[:3])), came


def test_lines_of_two_threads_never_mix() -> None:
    prints, came = collector()
    prints.write("ma", True)
    other = threading.Thread(target=lambda: [prints.write(piece, False) for piece in ("th", "read\nrest")])
    other.start()
    other.join()
    prints.write("in\n", True)
    # The rest of a thread's line comes when the thread has ended.
    assert came == [("stdout", "thread", False), ("stdout", "rest", False), ("stdout", "main", True)]


def test_unfinished_lines_come_when_asked_for() -> None:
    prints, came = collector()
    prints.write("cell", True)
    prints.write("other", False)
    prints.finish_line()
    prints.finish_all()
    assert came == [("stdout", "cell", True), ("stdout", "other", False)]


def test_a_print_survives_a_callback_that_fails_or_prints(capfd: object) -> None:
    def on_print(line: Printed) -> None:
        prints.write("echo\n", line.in_cell)
        raise RuntimeError("the log is full")

    prints = PrintLines("stderr", on_print)
    prints.write("kept\n", False)
    text = capfd.readouterr().err  # type: ignore[attr-defined]
    assert text.startswith("echo\nkept\n")
    assert "RuntimeError: the log is full" in text


def test_each_print_tells_what_its_unfinished_line_holds() -> None:
    told: list[tuple[str, str, str]] = []
    prints = PrintLines("stdout", lambda _: None, lambda *line: told.append(line[:3]))
    prints.write("whole\n", in_cell=False)
    assert told == []
    thread = threading.Thread(target=prints.write, args=("theirs", False), name="pump")
    thread.start()
    thread.join()
    prints.write("10 %\r20 %", in_cell=False)
    prints.write("\n", in_cell=False)
    assert told == [("stdout", "theirs", "pump"), ("stdout", "20 %", "MainThread")]


def test_a_line_that_stays_without_an_end_is_given_out_by_whoever_looks_after_it() -> None:
    came: SimpleQueue[Printed] = SimpleQueue()
    prints = PrintLines("stdout", came.put)
    prints.write("before", in_cell=False)
    quiet = QuietLines(prints)
    try:
        assert came.get(timeout=20).text == "before"
        assert prints.n_unfinished == 0
        prints.write("after", in_cell=True)
        line = came.get(timeout=20)
    finally:
        quiet.close()
    assert (line.text, line.in_cell, line.thread) == ("after", True, "MainThread")
    prints.write("\nnew\n", in_cell=True)  # the end of what was given out is no line
    assert came.get(timeout=20).text == "new"


def test_a_line_that_still_grows_is_not_given_out() -> None:
    prints, came = collector()
    prints.write("grows", False)
    prints.finish_quiet(time.monotonic() - 100)
    assert came == []
    prints.finish_quiet(time.monotonic())
    assert came == [("stdout", "grows", False)]


def test_a_long_line_is_one_and_its_end_none() -> None:
    prints, came = collector()
    prints.write("x" * 200_000, False)
    prints.write("\n", False)
    prints.write("\n", False)
    assert [len(text) for _, text, _ in came] == [200_000, 0]
