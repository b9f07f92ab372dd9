"""Bytes into lines, prints into lines, whatever the pieces."""

from __future__ import annotations

import threading
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.kernel.lines import MAX_LINE, LineAssembler, as_seen
from pyacq_lab.kernel.prints import PrintLines


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
    return PrintLines("stdout", lambda *line: came.append(line)), came


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
    def on_print(stream: str, line: str, in_cell: bool) -> None:
        prints.write("echo\n", in_cell)
        raise RuntimeError("the log is full")

    prints = PrintLines("stderr", on_print)
    prints.write("kept\n", False)
    text = capfd.readouterr().err  # type: ignore[attr-defined]
    assert text.startswith("echo\nkept\n")
    assert "RuntimeError: the log is full" in text


def test_a_flush_tells_what_all_unfinished_lines_hold() -> None:
    told: list[tuple[str, dict[str, str]]] = []
    prints = PrintLines("stdout", lambda *_: None, lambda stream, lines: told.append((stream, lines)))
    prints.flush()
    prints.write("whole\n", in_cell=False)
    prints.flush()
    assert told == []
    done = threading.Event()

    def other() -> None:
        prints.write("theirs", in_cell=False)
        prints.flush()
        done.wait(10)

    thread = threading.Thread(target=other, name="pump")
    thread.start()
    while not told:
        done.wait(0.001)
    prints.write("10 %\r20 %", in_cell=False)
    prints.flush()
    assert told == [("stdout", {"pump": "theirs"}), ("stdout", {"pump": "theirs", "MainThread": "20 %"})]
    done.set()
    thread.join()
