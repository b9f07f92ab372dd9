"""The oscilloscope outside a kernel: what it refuses, and the picture it gives without a page."""

from __future__ import annotations

import io
import json
import re
import threading
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from pyacq_lab.errors import ConfigurationError, EndOfStream, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots import Oscilloscope, assets, figure
from pyacq_lab.viewing.display import LIGHT_COLORS


class Recorded:
    """A feed of known items that then ends."""

    name = "recorded"

    def __init__(self, *items, **fields):
        self.spec = StreamSpec(**({"shape": (-1, 1), "sample_rate": 1000.0} | fields))
        self.items = list(items)
        self.closed = threading.Event()

    def recv(self, timeout):
        if not self.items:
            raise EndOfStream
        return self.items.pop(0)

    def close(self):
        self.closed.set()


def sine(start, stop):
    return Chunk(start, np.sin(np.arange(start, stop) * 0.02)[:, np.newaxis])


@pytest.fixture
def scope():
    feed = Recorded(sine(0, 3000), Gap(3000, 3500), sine(3500, 5000), units="mV")
    scope = Oscilloscope(feed, window=5.0, title="A test")
    assert feed.closed.wait(20)
    scope.fit()
    yield scope
    scope.close()


def image(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def of_color(picture, css):
    return (np.abs(picture - np.array(list(bytes.fromhex(css[1:])))) < 8).all(axis=2)


def test_the_picture_shows_trace_and_gap_at_their_places(scope):
    picture = image(scope.snapshot(width=600))
    assert picture.shape[1] == 1200
    trace = np.flatnonzero(of_color(picture, LIGHT_COLORS[0]).any(axis=0))
    left, right = trace[0], trace[-1]
    hole = np.flatnonzero(np.diff(trace) > 20)
    assert len(hole) == 1
    from_gap, to_gap = trace[hole[0]], trace[hole[0] + 1]
    assert (from_gap - left) / (right - left) == pytest.approx(0.6, abs=0.01)
    assert (to_gap - left) / (right - left) == pytest.approx(0.7, abs=0.01)
    hatched = picture[:, from_gap + 4 : to_gap - 4]
    assert ((hatched[..., 0] - hatched[..., 2]) > 30).any(axis=0).all()


def test_the_picture_is_a_file_too(scope, tmp_path):
    scope.save(tmp_path / "scope.png")
    assert (tmp_path / "scope.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_can_be_one_that_stays_sharp(scope, tmp_path):
    scope.save(tmp_path / "scope.svg", width=600)
    root = ElementTree.parse(tmp_path / "scope.svg").getroot()
    ns = {"s": "http://www.w3.org/2000/svg"}
    (path,) = root.findall(".//s:path", ns)
    assert path.get("fill") == LIGHT_COLORS[0]
    before, after = path.get("d").rstrip("Z").split("Z")  # the gap is between two pieces
    frame = root.find(".//s:clipPath/s:rect", ns)
    left, width = float(frame.get("x")), float(frame.get("width"))
    ends = [[float(p.split()[0]) for p in piece.lstrip("M").split("L")] for piece in (before, after)]
    assert (max(ends[0]) - left) / width == pytest.approx(0.6, abs=0.01)
    assert (min(ends[1]) - left) / width == pytest.approx(0.7, abs=0.01)
    assert {"recorded", "0", "A test"} <= {text.text for text in root.findall("s:text", ns)}


def several(n_channels=3):
    t = np.arange(1000)[:, np.newaxis]
    data = np.sin(t * 0.05) * np.arange(1, n_channels + 1)
    names = tuple("abcdef"[:n_channels])
    return Recorded(Chunk(0, data), shape=(-1, n_channels), channel_names=names, units="mV")


@pytest.fixture
def made():
    scopes = []

    def make(*feeds, **options):
        scopes.append(Oscilloscope(*feeds, **options))
        assert all(feed.closed.wait(20) for feed in feeds)
        return scopes[-1]

    yield make
    for scope in scopes:
        scope.close()


def drawn(scope):
    """Names of the lanes, from the top."""
    layout = scope._viewer.panels[0].layout()
    return [layout["names"][c] for c in layout["channels"]]


def test_channels_are_chosen_from_a_cell(made):
    scope = made(several(), window=1.0)
    scope.show("c", 0)
    assert drawn(scope) == ["c", "a"]
    scope.hide("c")
    assert drawn(scope) == ["a"]
    scope.solo("b")
    assert drawn(scope) == ["b"]
    scope.solo()
    assert drawn(scope) == ["a"]
    scope.show()
    assert drawn(scope) == ["a", "b", "c"]
    with pytest.raises(ConfigurationError, match="'x'"):
        scope.hide("x")


def test_what_was_chosen_is_given_to_the_next_plot(made):
    scope = made(several(), window=1.0, mode="scan")
    scope.invert("a")
    scope.gain(2.0, "b")
    scope.shift(0.5, "b")
    scope.filter(low=1.0, high=40.0, average=True, median=True)
    with pytest.raises(ConfigurationError, match="wanted less than 500"):
        scope.filter(high=900.0)
    kept = json.loads(json.dumps(scope.settings))
    assert kept["panels"][0]["lanes"] == {"inverted": ["a"], "gains": {"b": 2.0}, "shifts": {"b": 0.5}}
    again = made(several(), settings=kept)
    assert (again.settings, again.window, again.mode) == (kept, 1.0, "scan")
    assert made(several(), settings=kept, window=2.0).window == 2.0


def test_a_window_or_a_mode_that_is_none_changes_nothing(made):
    scope = made(several(), window=1.0)
    for wrong in (0.001, 601.0, float("nan")):
        with pytest.raises(ConfigurationError, match="window"):
            scope.window = wrong
    with pytest.raises(ConfigurationError, match="mode"):
        scope.mode = "roll"
    assert (scope.window, scope.mode) == (1.0, "scroll")


def test_events_are_lines_where_they_belong(made):
    marks = Recorded()
    marks.spec = event_spec(1000.0)
    first = 1_000_000_000_000
    events = [Event(0, index=250, label="tone"), Event(first + 500_000_000, code=7), Event(0, index=-500)]
    marks.items = [Chunk(0, event_array(events))]
    signal = Recorded(Chunk(0, np.zeros((1000, 1)), time_ns=first))
    wait = signal.closed.wait
    marks.recv = lambda timeout: wait(20) and Recorded.recv(marks, timeout)  # after the signal
    scope = made(signal, markers=marks, window=1.0, columns=100)
    assert marks.closed.wait(20)
    panel = scope._viewer.panels[0]
    assert panel.marks() == [(25.0, "tone"), (50.0, "7")]
    picture = image(scope.snapshot(width=600))
    assert of_color(picture, "#8a5a00").sum() > 300


def test_what_is_no_stream_of_events_is_refused_as_markers():
    feeds = Recorded(), Recorded()
    with pytest.raises(StreamMismatch, match="markers= takes events"):
        Oscilloscope(feeds[0], markers=feeds[1])
    assert all(feed.closed.is_set() for feed in feeds)


def test_a_cell_shows_the_widget_and_falls_back_to_the_picture(scope):
    data, metadata = scope._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == scope.model_id
    assert data["image/png"].startswith("iVBOR")
    assert "recorded: 1 ch at 1000 Hz" in data["text/plain"]
    assert metadata["image/png"]["width"] == 900


def test_a_closed_plot_still_has_its_picture(scope):
    before = scope.snapshot()
    scope.close()
    assert scope.snapshot() == before
    assert "closed" in repr(scope)


def test_a_picture_can_be_asked_for_before_there_is_data():
    feed = Recorded()
    scope = Oscilloscope(feed)
    assert image(scope.snapshot()).size
    scope.close()


def test_what_cannot_be_shown_is_refused_and_closed():
    feed = Recorded(streamtype="video", dtype="|u1", shape=(-1, 4, 4, 3))
    with pytest.raises(StreamMismatch):
        Oscilloscope(feed)
    assert feed.closed.is_set()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 0}, "window=0: .* 0.01"),
        ({"mode": "dance"}, "mode='dance'"),
        ({"settings": {"speed": 1}}, "speed"),
        ({"fps": 1000}, "fps 1000"),
        ({"names": ["a", "b"]}, "2 names for 1 streams"),
        ({"scale": "log"}, "scale 'log'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        Oscilloscope(Recorded(), **settings)


def test_the_pages_modules_become_one():
    source = assets.esm("oscilloscope.js")
    assert re.findall(r"^import ", source, re.MULTILINE) == []
    assert re.findall(r"^export (.*)", source, re.MULTILINE) == ["default {"]
    declared = re.findall(r"^(?:async )?(?:function|class|const) (\w+)", source, re.MULTILINE)
    assert len(declared) == len(set(declared))


def test_the_page_and_the_picture_agree_on_colours():
    assert all(color in assets.esm("oscilloscope.js") for color in LIGHT_COLORS)


def test_the_page_gets_one_figure_per_stream_and_bokeh_without_the_internet(scope):
    (item,) = scope._figures
    assert {"doc", "root_id"} <= set(item)
    assert figure.bokeh_js()[:2] == b"\x1f\x8b"
