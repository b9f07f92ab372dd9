"""What each viewer makes of a stream: elements, before anybody draws them."""

from __future__ import annotations

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.viewing.digital import DigitalScene
from pyacq_lab.viewing.eventrows import EventScene
from pyacq_lab.viewing.images import ImageScene
from pyacq_lab.viewing.numbers import NumberScene, rounded
from pyacq_lab.viewing.powerspectrum import PowerSpectrumScene
from pyacq_lab.viewing.spectrogram import SpectrogramScene
from pyacq_lab.viewing.sweeps import SweepScene, Threshold, thin
from pyacq_lab.viewing.xy import XYScene

SPEC = StreamSpec(shape=(-1, 2), sample_rate=1000.0, units="V", channel_names=("a", "b"))
TIME = np.arange(12_000) / 1000
TONES = np.column_stack([np.sin(2 * np.pi * 100 * TIME), np.sin(2 * np.pi * 250 * TIME)])
TONES += 0.01 * np.random.default_rng(1).standard_normal(TONES.shape)


def give(scene, *items, stream=0):
    for item in items:
        scene.add(stream, item, 0)
    return scene.elements(0)


# --- Spectrogram


def test_a_waterfall_is_brightest_at_the_tone_of_each_channel():
    plots = give(SpectrogramScene(SPEC), Chunk(0, TONES))
    for plot, frequency in zip(plots, (100, 250), strict=True):
        raster = plot.layers[0]
        row = raster.levels[-1].argmax()
        step = (raster.top - raster.bottom) / raster.levels.shape[1]
        assert raster.bottom + (row + 0.5) * step == pytest.approx(frequency, abs=step)
    assert [plot.name for plot in plots] == ["a", "b"]


def test_a_gap_in_a_waterfall_is_empty_and_marked_where_it_is():
    scene = SpectrogramScene(SPEC, window=10.0, segment=0.1)
    plot, _ = give(scene, Chunk(0, TONES[:8000]), Gap(8000, 9000), Chunk(9000, TONES[9000:]))
    raster, bands = plot.layers
    assert bands.lefts == [pytest.approx(-4.0, abs=0.05)]
    assert bands.rights == [pytest.approx(-3.0 + 0.1, abs=0.05)]
    empty = (raster.levels == 0).all(axis=1)
    assert empty.sum() / raster.capacity == pytest.approx(0.11, abs=0.01)


def test_the_range_is_fitted_until_it_is_set():
    scene = SpectrogramScene(SPEC)
    give(scene, Chunk(0, TONES))
    low, high = scene.levels
    assert low < -40 < high
    before = scene.elements(0)[0].layers[0].revision
    scene.set("low", -20)
    assert scene.levels == (-20, high)
    assert scene.elements(0)[0].layers[0].revision == before + 1
    assert not next(c.value for c in scene.controls() if c.name == "fitted")
    with pytest.raises(ConfigurationError, match="high -30"):
        scene.set("high", -30)
    with pytest.raises(ConfigurationError, match="palette 'Jet': wanted one of 'Viridis'"):
        scene.set("palette", "Jet")
    with pytest.raises(ConfigurationError, match="no control 'volume'"):
        scene.set("volume", 11)


def test_uneven_frequencies_are_rows_with_names():
    names = tuple(f"C3 {f} Hz" for f in (10, 20, 40, 80))
    scene = SpectrogramScene(StreamSpec(shape=(-1, 4), sample_rate=100.0, channel_names=names))
    (plot,) = give(scene, Chunk(0, np.ones((50, 4))))
    assert [label for _, label in plot.y.ticks] == ["10", "20", "40", "80"]
    assert plot.layers[0].levels.shape == (50, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window 0"),
        ({"channels": ["c"]}, "channel 'c': wanted numbers below 2, or names among 'a', 'b'"),
        ({"channels": []}, "wanted one at least"),
        ({"frequencies": (600, 700)}, "frequencies 600 to 700 Hz: this stream has 0"),
        ({"levels": (3, 1)}, "wanted the lesser first"),
        ({"palette": "Jet"}, "palette 'Jet'"),
    ],
)
def test_a_waterfall_refuses_what_cannot_be_shown(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        SpectrogramScene(SPEC, **settings)


def test_another_stream_begins_anew():
    scene = SpectrogramScene(SPEC)
    give(scene, Chunk(0, TONES))
    shape = scene.shape
    scene.renew(0, StreamSpec(shape=(-1, 1), sample_rate=500.0))
    assert scene.shape > shape
    assert len(scene.elements(0)) == 1


# --- PowerSpectrum


def test_a_spectrum_peaks_at_the_tone_of_each_channel():
    (plot,) = give(PowerSpectrumScene(SPEC, segment=1.0), Chunk(0, TONES))
    _, lines = plot.layers
    peaks = [float(x[y.argmax()]) for x, y in zip(lines.xs, lines.ys, strict=True)]
    assert peaks == [100, 250]
    assert plot.legend == ("a", "b")
    assert plot.y.start < lines.ys[0].min() + 120
    assert plot.y.stop >= lines.ys[0].max()


def test_peak_hold_keeps_what_was_greater():
    scene = PowerSpectrumScene(SPEC, channels=["a"], average=0.5, segment=0.5, hold=True)
    give(scene, Chunk(0, TONES[:3000]))
    (plot,) = give(scene, Chunk(3000, 1e-3 * TONES[3000:6000]))
    held, now = plot.layers
    assert held.ys[0].max() > now.ys[0].max() + 40
    scene.set("hold", False)
    assert scene.elements(0)[0].layers[0].ys == []


def test_a_log_axis_leaves_zero_out_and_is_another_figure():
    scene = PowerSpectrumScene(SPEC)
    shape = scene.shape
    scene.set("log", True)
    (plot,) = give(scene, Chunk(0, TONES))
    assert plot.x.is_log
    assert plot.x.start > 0
    assert scene.shape > shape


# --- ImageViewer


def test_the_newest_frame_its_time_and_the_dropped_ones():
    scene = ImageScene(
        StreamSpec.of("uint8", streamtype="video", shape=(-1, 4, 6, 3), sample_rate=25.0), "cam"
    )
    frames = np.arange(3 * 72, dtype="uint8").reshape(3, 4, 6, 3)
    ns = 1_700_000_000_123_000_000
    (picture,) = give(scene, Chunk(0, frames[:2], ns), Gap(2, 5), Chunk(7, frames[2:], ns + 280_000_000))
    np.testing.assert_array_equal(picture.pixels, frames[2])
    assert scene.lost == 5
    assert "frame 7" in picture.note
    assert ".403" in picture.note
    assert "6 \N{MULTIPLICATION SIGN} 4" in picture.note
    assert "5 dropped" in picture.note


def test_pictures_of_other_numbers_are_stretched():
    scene = ImageScene(StreamSpec.of("uint16", streamtype="image", shape=(-1, 1, 3), sample_rate=1.0))
    (picture,) = give(scene, Chunk(0, np.array([[[100, 150, 200]]], "uint16")))
    assert picture.pixels.tolist() == [[0, 127, 255]]
    assert scene.controls() == []


def test_what_is_no_picture_is_refused():
    with pytest.raises(StreamMismatch, match="is no video"):
        ImageScene(SPEC)


# --- TriggeredOscilloscope

RAMP = np.arange(10_000.0)[:, np.newaxis] % 1000 * np.ones(2)


@pytest.mark.parametrize("size", [1, 7, 333, 10_000])
def test_a_threshold_cuts_the_same_sweeps_however_the_stream_is_cut(size):
    scene = SweepScene(SPEC, threshold=Threshold(500.0), before=0.1, after=0.2, sweeps=4)
    for at in range(0, len(RAMP), size):
        scene.add(0, Chunk(at, RAMP[at : at + size]), 0)
    assert scene.count == 10
    np.testing.assert_array_equal(scene.mean()[:, 0], np.arange(400.0, 700.0))
    plot = scene.elements(0)[0]
    sweeps, _, mean = plot.layers
    assert (len(sweeps.ys), len(mean.ys)) == (4, 1)
    assert "4 of 10 sweeps" in plot.note
    assert "1 per second" in plot.note


def test_events_cut_sweeps_also_when_they_come_late():
    scene = SweepScene(SPEC, event_spec(1000.0), before=0.01, after=0.01, labels=["go"])
    scene.add(0, Chunk(0, RAMP[:3000]), 0)
    marks = [
        Event(0, index=2000, label="go"),
        Event(0, index=2100, label="stop"),
        Event(0, index=2999, label="go"),
    ]
    scene.add(1, Chunk(0, event_array(marks)), 0)
    assert scene.count == 1  # the last is not whole yet
    scene.add(0, Chunk(3000, RAMP[3000:3100]), 0)
    assert scene.count == 2


def test_sweeps_over_a_gap_are_left_out_and_counted():
    scene = SweepScene(SPEC, threshold=Threshold(500.0), before=0.1, after=0.2)
    for item in (Chunk(0, RAMP[:1600]), Gap(1600, 1650), Chunk(1650, RAMP[1650:4000])):
        scene.add(0, item, 0)
    assert (scene.count, scene.missed) == (3, 1)
    assert "1 left out" in scene.elements(0)[0].note
    scene.set("reset", None)
    assert (scene.count, scene.missed) == (0, 0)
    assert "waiting" in scene.elements(0)[0].note


def test_the_threshold_is_set_while_it_runs():
    scene = SweepScene(SPEC, threshold=Threshold(5000.0))
    scene.add(0, Chunk(0, RAMP[:2000]), 0)
    assert scene.count == 0
    scene.set("threshold", 500)
    scene.set("edge", "falling")
    scene.add(0, Chunk(2000, RAMP[2000:6000]), 0)
    assert scene.count == 4
    with pytest.raises(ConfigurationError, match="edge 'both'"):
        scene.set("edge", "both")
    with pytest.raises(ConfigurationError, match="give one of them"):
        SweepScene(SPEC)


def test_a_thinned_line_keeps_every_spike():
    x, y = np.arange(10_000.0), np.zeros(10_000)
    y[1234] = 5.0
    thin_x, thin_y = thin(x, y, 400)
    assert len(thin_x) == len(thin_y) <= 450
    assert thin_y.max() == 5.0
    assert thin_x[thin_y.argmax()] == pytest.approx(1234, abs=60)
    assert thin(x[:10], y[:10], 400)[0] is not None


# --- EventRaster


def test_events_are_rows_by_label_at_their_times():
    scene = EventScene([event_spec(1000.0)], ["trigger"], window=10.0)
    now = 100_000_000_000
    marks = [
        Event(now - 4 * 10**9, label="go"),
        Event(now - 10**9, label="stop", duration=500),
        Event(1, label="go"),
    ]
    scene.add(0, Chunk(0, event_array(marks)), now)
    (plot,) = scene.elements(now)
    assert [label for _, label in plot.y.ticks] == ["go", "stop"]
    _, lines = plot.layers
    assert lines.xs[0][:2].tolist() == [-4, -4]
    assert lines.xs[2][:2].tolist() == [-1, -0.5]  # how long it lasts
    assert "2 events in 10 s" in plot.note
    assert "3 in all" in plot.note


def test_signals_are_no_events():
    with pytest.raises(StreamMismatch, match="EventRaster takes events"):
        EventScene([SPEC], ["x"])


# --- NumberPanel


def test_numbers_have_their_mean_their_range_and_a_warning():
    scene = NumberScene([SPEC], ["s"], window=0.01, limits={"a": (None, 5.0)})
    (tiles,) = give(scene, Chunk(0, np.column_stack([np.arange(20.0), np.full(20, -1.5)])))
    a, b = tiles.tiles
    assert (a.value, a.units, a.tone) == ("19.00", "V", "warn")
    assert a.note == "outside to 5; mean 14.50, 10.00 to 19.00"
    assert (b.value, b.tone) == ("\N{MINUS SIGN}1.50", "")


def test_a_missing_number_is_told():
    scene = NumberScene([SPEC], ["s"])
    assert scene.elements(0)[0].tiles[0].note == "no data yet"
    (tiles,) = give(scene, Chunk(0, TONES[:10]), Gap(10, 12))
    assert {(t.tone, t.note) for t in tiles.tiles} == {("quiet", "missing")}
    with pytest.raises(ConfigurationError, match="limits of"):
        NumberScene([SPEC], ["s"], limits={"c": (0, 1)})


def test_numbers_are_written_as_finely_as_they_differ():
    assert rounded(1234.5678, 0.01) == "1234.5678"
    assert rounded(5e9, 1e9) == "5e+09"
    assert rounded(float(np.pi), 0.0) == "3.14159"


# --- XYView


def test_one_channel_against_another_on_equal_axes():
    circle = np.column_stack([np.cos(TIME), 0.1 * np.sin(TIME)])
    scene = XYScene(SPEC, "b", "a", window=1.0)
    (plot,) = give(scene, Chunk(0, circle))
    trail, head = plot.layers
    np.testing.assert_allclose(trail.xs[-1][-1], circle[-1, 1], rtol=1e-6)
    np.testing.assert_allclose(trail.ys[-1][-1], circle[-1, 0], rtol=1e-6)
    assert plot.x.stop - plot.x.start == pytest.approx(plot.y.stop - plot.y.start)
    assert len(head.xs) == 2
    scene.set("equal", False)
    (plot,) = scene.elements(0)
    assert plot.x.stop - plot.x.start < plot.y.stop - plot.y.start


# --- DigitalOscilloscope

PORT = StreamSpec.of("uint8", streamtype="digitalsignal", sample_rate=1000.0, channel_names=("port",))


def line_of(plot, name):
    _, lines = plot.layers
    number = [label for _, label in plot.y.ticks].index(name)
    return np.asarray(lines.xs[number]), (np.asarray(lines.ys[number]) - plot.y.ticks[number][0]) / 0.72 + 0.5


def test_a_pulse_of_one_sample_is_drawn_where_it_is():
    data = np.zeros((5000, 1), "uint8")
    data[1000] = 4
    (plot,) = give(DigitalScene(PORT, window=5.0), Chunk(0, data))
    x, y = line_of(plot, "port.2")
    assert x[y > 0.9] == pytest.approx(-4.0, abs=0.006)
    assert (line_of(plot, "port.1")[1] < 0.1).all()


def test_a_level_stays_and_a_gap_is_marked():
    data = np.full((3000, 1), 1, "uint8")
    data[1000:] = 0
    (plot,) = give(
        DigitalScene(PORT, bits=[0], window=5.0), Chunk(0, data), Gap(3000, 4000), Chunk(4000, data[:1000])
    )
    x, y = line_of(plot, "port.0")
    assert y[(x > -4.99) & (x < -4.01)] == pytest.approx(1.0)
    assert y[(x > -3.9) & (x < -2.1)] == pytest.approx(0.0)
    assert np.isnan(y[(x > -1.9) & (x < -1.1)]).all()
    bands, _ = plot.layers
    assert (bands.lefts, bands.rights) == ([pytest.approx(-2.0)], [pytest.approx(-1.0)])


def test_a_digital_view_refuses_other_numbers():
    with pytest.raises(StreamMismatch, match="has no lines"):
        DigitalScene(SPEC)
    with pytest.raises(StreamMismatch, match=r"bits \[9\]"):
        DigitalScene(PORT, bits=[9])
