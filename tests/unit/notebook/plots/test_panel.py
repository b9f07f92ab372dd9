from __future__ import annotations

import numpy as np

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.panel import Panel, default_height
from pyacq_lab.viewing import display
from pyacq_lab.viewing.frames import FULL_LANE


def panel(n_channels=2, sample_rate=1000.0, **fields):
    spec = StreamSpec(shape=(-1, n_channels), sample_rate=sample_rate, **fields)
    return Panel(
        0, "x", spec, window=1.0, columns=100, n_panels=1, height=200, scale="shared"
    )  # bins of 10 samples


def feed(p, start, stop, value=0.5):
    p.add(Chunk(start, np.full((stop - start, p.spec.n_channels), value)), 0)


def test_frames_go_on_where_the_last_one_ended():
    p = panel()
    feed(p, 0, 50)
    first = p.next_frame()
    feed(p, 50, 95)
    second = p.next_frame()
    assert (first.start, first.reset, len(first.flags)) == (0, True, 5)
    assert (second.start, second.reset, len(second.flags)) == (5, False, 4)
    assert p.next_frame() is None
    np.testing.assert_array_equal(second.values[0], round(0.5 * FULL_LANE))


def test_a_page_that_fell_behind_by_more_than_a_window_begins_anew():
    p = panel()
    feed(p, 0, 50)
    p.next_frame()
    feed(p, 50, 5000)
    frame = p.next_frame()
    assert (frame.start, frame.reset) == (400, True)
    assert p.next_frame() is None


def test_a_wide_history_goes_in_pieces():
    p = panel(n_channels=1024, sample_rate=100.0)
    feed(p, 0, 100)
    pieces = []
    while (frame := p.next_frame()) is not None:
        pieces.append(frame)
    assert all(len(frame.to_bytes()) < 300_000 for frame in pieces)
    assert [frame.reset for frame in pieces] == [True] + [False] * (len(pieces) - 1)
    assert sum(len(frame.flags) for frame in pieces) == p.stop


def test_another_scale_makes_what_was_sent_stale():
    p = panel()
    feed(p, 0, 100)
    p.next_frame()
    assert p.rescale()
    frame = p.next_frame()
    assert (frame.revision, frame.reset, len(frame.flags)) == (1, True, 10)
    assert not p.rescale()


def test_a_frozen_panel_keeps_its_window_while_the_history_goes_on():
    p = panel()
    feed(p, 0, 1000, value=1.0)
    p.freeze(True)
    feed(p, 1000, 9000, value=7.0)
    assert p.stop == 100
    assert (p.values()[0] == 1.0).all()
    p.forget_sent()  # a page was loaded again
    assert len(p.next_frame().flags) == 100
    assert p.next_frame() is None
    p.freeze(False)
    assert (p.values()[0] == 7.0).all()
    assert p.next_frame().reset


def test_another_window_starts_anew_and_tells_its_bins():
    p = panel()
    feed(p, 0, 500)
    feed(p, 600, 1000)
    p.set_window(2.0)
    assert p.stop == 0
    assert p.status()["lost"] == 100
    assert p.layout()["bin_seconds"] == 0.02


def test_the_page_is_told_units_names_and_scale():
    p = panel(units="mV", channel_names=("a", "b"), scale=2.0)
    feed(p, 0, 100, value=4.0)
    p.rescale()
    layout = p.layout()
    assert layout["scale"].endswith("mV")
    assert {"a", "b"} <= {label for _, label in layout["ticks"]}
    assert float(p.values()[0].max()) == 8.0
    assert layout["y_limits"] == display.y_limits(2)


def test_rate_and_loss_are_told():
    p = panel()
    p.measure(10.0)
    feed(p, 0, 500)
    p.measure(10.5)
    feed(p, 600, 700)
    status = p.status()
    assert (status["rate"], status["lost"], status["state"]) == (1000.0, 100, "live")


def test_panels_grow_with_their_channels_up_to_a_screen():
    assert default_height(1, 1) < default_height(8, 1) < default_height(64, 1) == default_height(256, 1)
