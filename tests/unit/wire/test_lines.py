from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.wire.lines import MAX_LINE, LineAssembler

ME = ("stdout", "MainThread")


@given(st.text(alphabet="ab\n", max_size=60), st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_how_they_are_cut(text, cuts):
    edges = [0, *sorted(cuts), len(text)]
    assembler = LineAssembler()
    lines = []
    for start, stop in pairwise(edges):
        lines += assembler.feed(ME, text[start:stop], 0)
    lines += [line for _, line in assembler.overdue()]

    whole = text.split("\n")
    assert lines == (whole[:-1] if whole[-1] == "" else whole)


def test_threads_do_not_mix_their_lines():
    assembler = LineAssembler()
    assembler.feed(("stdout", "a"), "one ", 0)
    assembler.feed(("stdout", "b"), "two ", 0)

    assert assembler.feed(("stdout", "a"), "end\n", 0) == ["one end"]
    assert assembler.feed(("stdout", "b"), "end\n", 0) == ["two end"]


def test_a_line_without_an_end_is_found_by_its_age():
    assembler = LineAssembler()
    assembler.feed(ME, "prompt> ", 10)
    assembler.feed(ME, "more", 50)

    assert len(assembler) == 1
    assert assembler.overdue(10) == []
    assert assembler.overdue(11) == [(ME, "prompt> more")]
    assert len(assembler) == 0


def test_of_a_progress_bar_only_the_last_state_is_kept():
    assembler = LineAssembler()
    for percent in range(0, 101, 10):
        assert assembler.feed(ME, f"{percent}%\r", 0) == []

    assert assembler.feed(ME, "\n", 0) == ["100%"]


def test_windows_line_ends_are_line_ends():
    assert LineAssembler().feed(ME, "a\r\nb\r\n", 0) == ["a", "b"]


def test_an_endless_line_is_cut():
    assembler = LineAssembler()

    assert assembler.feed(ME, "x" * (2 * MAX_LINE + 1), 0) == ["x" * MAX_LINE] * 2
