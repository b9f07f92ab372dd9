from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.panel import Panel, default_height
from pyacq_lab.viewing import display, past
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


def test_another_window_shows_what_of_the_past_fits_into_it():
    p = panel()
    feed(p, 0, 500)
    feed(p, 600, 1000)
    p.set_window(2.0)
    assert (p.stop, p.layout()["bin_seconds"], p.status()["lost"]) == (50, 0.02, 100)
    np.testing.assert_array_equal(np.flatnonzero(p.values()[1]), range(25, 30))
    p.set_window(0.1)
    assert p.layout()["bin_seconds"] == 0.001  # raw samples
    assert p.stop >= 100
    assert (p.values()[0] == 0.5).all()
    feed(p, 1000, 1010, value=3.0)
    assert (p.values()[0][-10:] == 3.0).all()


def page(p, **message):
    assert p.handle(message)


def told(p):
    """What of a panel's settings the page is told."""
    return p.layout()["settings"]["lanes"]


def test_channels_that_are_not_drawn_do_not_travel():
    p = panel(n_channels=4)
    feed(p, 0, 100)
    page(p, kind="show", channels=[1, 2], on=False)
    assert p.layout()["channels"] == [0, 3]
    assert p.next_frame().values.shape == (2, 10, 2)
    page(p, kind="solo", channels=[2], on=True)
    assert (p.layout()["channels"], p.layout()["y_limits"]) == ([2], display.y_limits(1))
    page(p, kind="arrange")
    assert p.layout()["channels"] == [0, 1, 2, 3]


def test_more_room_for_fewer_channels_gives_finer_bins():
    spec = StreamSpec(dtype="<i2", shape=(-1, 512), sample_rate=20000.0)
    p = Panel(0, "x", spec, window=1.0, columns=1000, n_panels=1, height=200, scale="shared")
    p.add(Chunk(0, np.arange(4000, dtype="<i2")[:, np.newaxis].repeat(512, axis=1)), 0)
    coarse = p.history.bin_size
    page(p, kind="solo", channels=[3], on=True)
    assert p.history.bin_size == 20 < coarse
    assert p.values()[0][0, 3].tolist() == [0, 19]  # of what had come before


def test_gain_offset_and_inversion_of_a_channel():
    p = panel()
    feed(p, 0, 100, value=0.25)
    page(p, kind="gain", channels=[0], factor=2)
    page(p, kind="shift", channels=[1], lanes=0.25)
    page(p, kind="invert", channels=[1], on=True)
    values = p.next_frame().values
    assert values[0, 0].tolist() == [round(0.5 * FULL_LANE)] * 2
    assert values[1, 0].tolist() == [round(0.25 * FULL_LANE)] * 2  # half a lane up, a quarter down
    assert told(p)["gains"] == {"0": 2.0}
    page(p, kind="move", channels=[0], by=1)
    assert p.layout()["channels"] == [1, 0]


def test_what_no_filter_can_do_is_refused_and_changes_nothing():
    p = panel()
    before = p.settings
    with pytest.raises(ConfigurationError, match="wanted less than 500"):
        p.handle({"kind": "filter", "high": 700.0})
    with pytest.raises(ConfigurationError, match="must lie below"):
        p.handle({"kind": "filter", "low": 40.0, "high": 20.0})
    assert p.settings is before
    assert not p.handle({"kind": "dance"})


def test_a_common_average_and_a_band_are_for_the_picture_only():
    p = panel()
    t = np.arange(1000) / 1000
    hum = np.sin(2 * np.pi * 50 * t)
    data = np.stack([hum + 5, hum + 7], 1)
    p.add(Chunk(0, data), 0)
    page(p, kind="filter", average=True)
    np.testing.assert_allclose(np.unique(p.values()[0].round(9)), [-1, 1])
    page(p, kind="filter", average=False, low=200.0)
    assert np.abs(p.values()[0][50:]).max() < 0.1
    assert "200-500 Hz" in p.layout()["scale"]
    page(p, kind="filter", low=None)
    np.testing.assert_allclose(p.values()[0].max(), 8, atol=0.1)


def test_traces_are_drawn_about_their_median_when_asked():
    p = panel()
    p.add(Chunk(0, np.tile([[1.0, 0.0], [3.0, 0.5]], (500, 1))), 0)
    page(p, kind="median", on=True)
    np.testing.assert_allclose(p.layout()["centre"], [2, 0.25], atol=0.2)


def test_clipping_is_told_by_name():
    p = panel(dtype="<i2", channel_names=("a", "b"))
    data = np.zeros((100, 2), "<i2")
    data[50, 1] = 32767
    p.add(Chunk(0, data), 0)
    p.measure(1.0)
    assert p.status()["clipped"] == ["b"]
    p.add(Chunk(100, np.zeros((500, 2), "<i2")), 0)
    p.measure(2.0)
    assert p.status()["clipped"] == []


def look(p, start, end, columns=100):
    page(p, kind="look", start=start, end=end, columns=columns)
    while (frame := p.next_frame()) is not None:
        if frame.bin_size:
            return frame
    return None


def test_a_paused_plot_is_looked_at_sample_by_sample_also_before_its_window():
    p = panel(n_channels=1)
    p.add(Chunk(0, np.arange(5005.0)[:, np.newaxis] / 5005), 0)
    assert look(p, -0.1, 0.0) is None  # it moves
    p.freeze(True)
    feed(p, 5005, 9000, value=-1.0)
    frame = look(p, -3.0, -2.95, columns=200)
    assert frame.bin_size == 1
    at = round(5000 + frame.start)  # the newest whole bin ends at 5000
    wanted = np.arange(at, at + len(frame.flags)) / 5005 * FULL_LANE
    np.testing.assert_allclose(frame.values[0, :, 0], wanted, atol=0.51)
    assert at <= 2000
    assert at + len(frame.flags) >= 2050
    p.freeze(False)
    assert look(p, -0.1, 0.0) is None


def test_a_look_is_given_once_and_again_when_the_scale_is_another():
    p = panel(n_channels=1)
    feed(p, 0, 1000)
    p.freeze(True)
    assert look(p, -0.5, -0.4).revision == p.revision
    assert p.next_frame() is None
    p.set_scaling(p.scaling.zoomed(2))
    frames = [p.next_frame(), p.next_frame(), p.next_frame()]
    assert [bool(f and f.bin_size) for f in frames] == [False, True, False]
    assert frames[1].values.max() == FULL_LANE


@pytest.mark.parametrize("filtered", [False, True])
def test_a_spike_and_a_gap_are_seen_in_every_look(filtered):
    p = panel(n_channels=2)
    data = np.zeros((3000, 2))
    data[2000, 1] = 1.0
    p.add(Chunk(0, data), 0)
    p.add(Gap(3000, 3100), 0)
    p.add(Chunk(3100, np.zeros((900, 2))), 0)
    if filtered:
        page(p, kind="filter", average=True)
    p.freeze(True)
    for span in (0.004, 0.05, 0.3, 1.0, 1.9):
        frame = look(p, -2 - span / 2, -2 + span / 2, columns=64)
        at = np.argmax(frame.values[1, :, 1] * (frame.values[1, :, 0] <= frame.values[1, :, 1]))
        begin = 4000 + (frame.start + at) * frame.bin_size
        assert begin <= 2000 < begin + frame.bin_size
        assert frame.values[1, at, 1] == round(FULL_LANE * (0.5 if filtered else 1.0))
        frame = look(p, -0.95 - span / 2, -0.95 + span / 2, columns=64)
        assert frame.flags.any()


def test_another_filter_leaves_a_paused_picture_where_it_is():
    p = panel(n_channels=2)
    p.add(Chunk(0, np.tile([5.0, 1.0], (1000, 1))), 0)
    p.mark(700, "here")
    p.freeze(True)
    before = p.marks()
    p.add(Chunk(1000, np.tile([90.0, -20.0], (500, 1))), 0)
    page(p, kind="filter", average=True)
    assert np.unique(p.values()[0]).tolist() == [-2.0, 2.0]
    assert (before, p.marks(), p.stop) == ([(70.0, "here")], [(70.0, "here")], 100)
    assert look(p, -0.1, 0.0).bin_size == 2
    p.freeze(False)
    assert np.unique(p.values()[0][-50:]).tolist() == [-55.0, 55.0]


def test_a_stream_made_anew_is_drawn_without_a_filter_that_does_not_fit_it(caplog):
    p = panel()
    feed(p, 0, 1000)
    page(p, kind="filter", low=100.0)
    page(p, kind="gain", channels=[1], factor=3)
    revision = p.revision
    p.freeze(True)
    p.renew(StreamSpec(shape=(-1, 2), sample_rate=100.0))
    assert "without its filter" in caplog.text
    assert p.settings.filter.low is None
    assert told(p)["gains"] == {"1": 3.0}
    assert p.revision > revision  # frames of the old stream are told apart
    feed(p, 0, 100)
    assert p.stop == 0  # still paused
    p.freeze(False)
    assert (p.stop, p.status()["lost"]) == (100, 0)


def test_bins_are_looked_at_where_samples_do_not_reach(monkeypatch):
    monkeypatch.setattr(past, "MOST_BYTES", 8 * 500)
    p = panel(n_channels=1)
    data = np.zeros((6000, 1))
    data[1234] = 1.0
    p.add(Chunk(0, data), 0)
    p.freeze(True)
    frame = look(p, -5.0, -4.0, columns=64)
    assert frame.bin_size == 10
    at = int(np.argmax(frame.values[0, :, 1]))
    assert frame.values[0, at, 1] == FULL_LANE
    begin = 6000 + (frame.start + at) * frame.bin_size
    assert begin <= 1234 < begin + frame.bin_size
    frame = look(p, -6.0, 0.0, columns=64)
    assert frame.bin_size == 90
    at = int(np.argmax(frame.values[0, :, 1]))
    begin = 6000 + (frame.start + at) * frame.bin_size
    assert begin <= 1234 < begin + frame.bin_size


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
