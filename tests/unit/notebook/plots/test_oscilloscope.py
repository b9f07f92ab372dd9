"""The oscilloscope outside a kernel: what it refuses, and the picture it gives without a page."""

from __future__ import annotations

import io
import re
import threading

import numpy as np
import pytest
from PIL import Image

from pyacq_lab.errors import ConfigurationError, EndOfStream, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
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
