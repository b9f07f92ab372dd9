"""The viewers beside the oscilloscope outside a kernel: what they refuse, and the picture they give."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from PIL import Image

from pyacq_lab.errors import ConfigurationError, EndOfStream, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook import plots
from pyacq_lab.notebook.plots import assets, glyphs
from pyacq_lab.notebook.plots.screen import Intake, Screen
from pyacq_lab.viewing.display import DARK_COLORS, LIGHT_COLORS
from pyacq_lab.viewing.numbers import NumberScene
from pyacq_lab.viewing.scene import PALETTES
from pyacq_lab.viewing.spectrogram import SpectrogramScene

SPEC = StreamSpec(shape=(-1, 2), sample_rate=1000.0, units="V")
EVENTS = event_spec(1000.0)
VIDEO = StreamSpec.of("uint8", streamtype="video", shape=(-1, 24, 32, 3), sample_rate=25.0)
PORT = StreamSpec.of("uint8", streamtype="digitalsignal", sample_rate=1000.0)
DATA = np.sin(np.arange(6000) * 0.3)[:, np.newaxis] * [1.0, 0.5]


class Recorded:
    """A feed of known items that then ends."""

    name = "recorded"

    def __init__(self, spec, *items):
        self.spec, self.items = spec, list(items)
        self.closed = threading.Event()

    def recv(self, timeout):
        if not self.items:
            raise EndOfStream
        return self.items.pop(0)

    def close(self):
        self.closed.set()


def signal():
    return Recorded(SPEC, Chunk(0, DATA[:3000]), Gap(3000, 3200), Chunk(3200, DATA[3200:]))


def marks():
    return Recorded(EVENTS, Chunk(0, event_array([Event(1, index=1000, label="go")])))


MAKERS = {
    "Spectrogram": lambda: (plots.Spectrogram, [signal()], {}),
    "PowerSpectrum": lambda: (plots.PowerSpectrum, [signal()], {}),
    "ImageViewer": lambda: (
        plots.ImageViewer,
        [Recorded(VIDEO, Chunk(0, np.full((1, 24, 32, 3), 77, "u1")))],
        {},
    ),
    "TriggeredOscilloscope": lambda: (plots.TriggeredOscilloscope, [signal()], {"threshold": 0.5}),
    "TriggeredOscilloscope of events": lambda: (plots.TriggeredOscilloscope, [signal(), marks()], {}),
    "EventRaster": lambda: (plots.EventRaster, [marks()], {}),
    "NumberPanel": lambda: (plots.NumberPanel, [signal()], {}),
    "XYView": lambda: (plots.XYView, [signal()], {}),
    "DigitalOscilloscope": lambda: (
        plots.DigitalOscilloscope,
        [Recorded(PORT, Chunk(0, np.ones((99, 1), "u1")))],
        {},
    ),
}


def colors(png):
    return Image.open(io.BytesIO(png)).convert("RGB").getcolors(1 << 24) or []


@pytest.mark.parametrize("name", MAKERS)
def test_each_leaves_a_picture_and_closes_what_it_opened(name):
    make, feeds, settings = MAKERS[name]()
    viewer = make(*feeds, title="A test", **settings)
    try:
        assert all(feed.closed.wait(20) for feed in feeds)
        data, metadata = viewer._repr_mimebundle_()
        assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == viewer.model_id
        assert metadata["image/png"]["width"] == 900
        assert len(colors(viewer.snapshot())) > 3
    finally:
        viewer.close()
    assert repr(viewer) == f"<{make.__name__} of {', '.join(['recorded'] * len(feeds))}; closed>"
    assert not any(t.name.startswith("scope-") for t in threading.enumerate())


def test_the_picture_of_a_video_has_its_colours():
    make, feeds, _ = MAKERS["ImageViewer"]()
    viewer = make(*feeds)
    assert feeds[0].closed.wait(20)
    assert max(colors(viewer.snapshot()))[1] in ((255, 255, 255), (77, 77, 77))
    assert any(color == (77, 77, 77) and n > 100_000 for n, color in colors(viewer.snapshot()))
    viewer.close()


@pytest.mark.parametrize(
    ("make", "spec", "settings", "message"),
    [
        (plots.Spectrogram, VIDEO, {}, "cannot be drawn as traces"),
        (plots.ImageViewer, SPEC, {}, "is no video"),
        (plots.EventRaster, SPEC, {}, "EventRaster takes events"),
        (plots.NumberPanel, SPEC, {"names": ["a", "b"]}, "2 names for 1 streams"),
        (plots.TriggeredOscilloscope, SPEC, {}, "wants events or a threshold"),
        (plots.XYView, SPEC, {"x": "nose"}, "channel 'nose'"),
        (plots.DigitalOscilloscope, SPEC, {}, "has no lines"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_closed(make, spec, settings, message):
    feed = Recorded(spec)
    with pytest.raises((ConfigurationError, StreamMismatch), match=message):
        make(feed, **settings)
    assert feed.closed.is_set() == ("names" not in settings)


def test_a_paused_view_keeps_its_picture_and_controls_are_set_by_name():
    feed = signal()
    viewer = plots.PowerSpectrum(feed)
    assert feed.closed.wait(20)
    viewer.pause()
    before = viewer.snapshot()
    assert viewer.snapshot() == before
    assert "paused" in repr(viewer)
    viewer.set(decibel=False)
    assert viewer.snapshot() != before
    with pytest.raises(ConfigurationError, match="no control 'volume'"):
        viewer.set(volume=11)
    viewer.resume()
    assert not viewer.paused
    viewer.close()


def test_the_page_of_viewers_is_one_module_with_the_colours_of_the_pictures():
    source = assets.esm("viewer.js")
    lines = source.splitlines()
    assert not [line for line in lines if line.startswith("import ")]
    assert [line for line in lines if line.startswith("export ")] == ["export default {"]
    assert all(color in source for color in LIGHT_COLORS + DARK_COLORS)


def test_every_colour_map_exists():
    assert all(len(glyphs.palette(name)) == 256 for name in PALETTES)
    assert glyphs.palette("Greys")[0] == "#000000"


class Ear:
    """A link that keeps what was sent, and waits for what a test wants to hear."""

    def __init__(self):
        self.sent = []
        self._more = threading.Condition()

    def send(self, content, buffers=()):
        with self._more:
            self.sent.append((dict(content), list(buffers)))
            self._more.notify_all()

    def wait_for(self, wanted):
        with self._more:
            assert self._more.wait_for(lambda: any(wanted(c) for c, _ in self.sent), 20), self.sent
            return next(c for c, _ in reversed(self.sent) if wanted(c))


@pytest.fixture
def screen():
    made = []

    def make(scene, feed):
        ear = Ear()
        engine = Screen([feed], [Intake(0, "x", feed.spec, scene)], scene, ear, fps=50.0)
        made.append(engine)
        engine.start()
        return engine, ear

    yield make
    for engine in made:
        engine.close()


def test_a_page_gets_layout_elements_and_account(screen):
    feed = signal()
    engine, ear = screen(SpectrogramScene(SPEC), feed)
    assert feed.closed.wait(20)
    engine.handle({"kind": "hello", "view": "a"})
    frame = ear.wait_for(lambda c: "elements" in c)
    assert [entry["layers"][0]["reset"] for entry in frame["elements"]] == [True, True]
    layout = ear.wait_for(lambda c: c["kind"] == "layout")
    assert [control["name"] for control in layout["controls"]] == ["palette", "fitted", "low", "high"]
    status = ear.wait_for(lambda c: c.get("status", [{}])[0].get("state") == "ended")["status"][0]
    assert status["lost"] == 200


def test_what_a_page_asks_for_is_done_or_refused_in_words(screen, caplog):
    engine, ear = screen(SpectrogramScene(SPEC), signal())
    engine.handle({"kind": "hello", "view": "a"})
    engine.handle({"kind": "control", "view": "a", "name": "palette", "value": "Inferno"})
    ear.wait_for(lambda c: c["kind"] == "layout" and c["controls"][0]["value"] == "Inferno")
    engine.handle({"kind": "control", "view": "a", "name": "low", "value": "much"})
    assert "low 'much'" in ear.wait_for(lambda c: c["kind"] == "refused")["message"]
    engine.handle({"kind": "pause", "view": "a", "paused": True})
    ear.wait_for(lambda c: c["kind"] == "layout" and c["paused"])
    engine.handle({"kind": "dance", "view": "a"})
    assert "unknown kind 'dance'" in caplog.text


def test_nothing_is_sent_where_nothing_changes(screen):
    feed = Recorded(SPEC, Chunk(0, DATA))
    engine, ear = screen(NumberScene([SPEC], ["s"]), feed)
    assert feed.closed.wait(20)
    engine.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda c: "elements" in c)
    ear.wait_for(lambda c: c.get("status", [{}])[0].get("state") == "ended")
    with engine.lock:
        assert engine._next_frame() == ({}, [])
