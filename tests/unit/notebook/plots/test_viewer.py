from __future__ import annotations

import threading

import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, EndOfStream, HostUnreachable, StreamMismatch
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots.feed import open_all
from pyacq_lab.notebook.plots.panel import Panel
from pyacq_lab.notebook.plots.viewer import Viewer
from pyacq_lab.viewing.frames import Frame

SPEC = StreamSpec(shape=(-1, 1), sample_rate=1000.0)


class HandFeed:
    """Gives what the test hands it; an exception is raised."""

    def __init__(self, *items):
        self.spec, self.name, self.closed = SPEC, "hand", False
        self._items, self._some = list(items), threading.Condition()

    def hand(self, item):
        with self._some:
            self._items.append(item)
            self._some.notify()

    def recv(self, timeout):
        with self._some:
            self._some.wait_for(lambda: self._items, timeout)
            if not self._items:
                return None
            item = self._items.pop(0)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self):
        self.closed = True


class Ear:
    """A link that keeps what was sent, and waits for what a test wants to hear."""

    def __init__(self):
        self.sent = []
        self._more = threading.Condition()

    def send(self, content, buffers=()):
        with self._more:
            self.sent.append((dict(content), [Frame.from_bytes(b) for b in buffers]))
            self._more.notify_all()

    def wait_for(self, wanted):
        with self._more:
            assert self._more.wait_for(lambda: wanted(self.sent), 20), self.sent
            return list(self.sent)

    @property
    def bins(self):
        return sum(len(frame.flags) for _, frames in self.sent for frame in frames)


def chunk(start, stop):
    return Chunk(start, np.zeros((stop - start, 1)))


@pytest.fixture
def make():
    viewers = []

    def make_one(*feeds):
        panels = [
            Panel(i, "x", f.spec, window=1.0, columns=100, n_panels=len(feeds), height=200, scale="shared")
            for i, f in enumerate(feeds)
        ]
        ear = Ear()
        viewers.append(Viewer(feeds, panels, ear, fps=100.0))
        viewers[-1].auto_scale = False
        viewers[-1].start()
        return viewers[-1], ear

    yield make_one
    for viewer in viewers:
        viewer.close()


def test_a_page_is_told_the_layout_before_the_first_frame(make):
    feed = HandFeed(chunk(0, 100))
    viewer, ear = make(feed)
    viewer.handle({"kind": "hello", "view": "a"})
    sent = ear.wait_for(lambda sent: any(frames for _, frames in sent))
    assert sent[0][0]["kind"] == "layout"
    assert next(content["frame"] for content, frames in sent if frames) == 1


def test_nothing_is_sent_before_a_page_asks(make):
    feed = HandFeed(chunk(0, 100))
    viewer, ear = make(feed)
    ticked = threading.Event()
    viewer._on_tick = lambda _now: ticked.set()
    assert ticked.wait(20)
    assert ear.sent == []


def test_a_reloaded_page_gets_the_whole_window_again(make):
    feed = HandFeed(chunk(0, 500))
    viewer, ear = make(feed)
    viewer.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda _: ear.bins == 50)
    viewer.handle({"kind": "hello", "view": "b"})
    sent = ear.wait_for(lambda _: ear.bins == 100)
    resets = [frame.start for _, frames in sent for frame in frames if frame.reset]
    assert len(resets) >= 2


def test_several_streams_share_messages(make):
    viewer, ear = make(HandFeed(chunk(0, 100)), HandFeed(chunk(0, 200)))
    viewer.handle({"kind": "hello", "view": "a"})
    sent = ear.wait_for(lambda _: ear.bins == 30)
    assert {frame.panel for _, frames in sent for frame in frames} == {0, 1}


def test_a_paused_plot_sends_nothing_new_and_goes_on_after(make):
    feed = HandFeed(chunk(0, 100))
    viewer, ear = make(feed)
    viewer.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda _: ear.bins == 10)
    viewer.handle({"kind": "pause", "view": "a", "paused": True})
    feed.hand(chunk(100, 200))
    ear.wait_for(lambda sent: any(content.get("paused") for content, _ in sent))
    assert ear.bins == 10
    viewer.handle({"kind": "pause", "view": "a", "paused": False})
    ear.wait_for(lambda _: ear.bins == 20)


def test_fitting_and_zooming_change_the_lanes(make):
    feed = HandFeed(chunk(0, 100))
    viewer, ear = make(feed)
    viewer.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda _: ear.bins == 10)
    viewer.handle({"kind": "zoom", "view": "a", "factor": 2})
    ear.wait_for(lambda sent: any(f.revision == 1 for _, frames in sent for f in frames))
    assert viewer.panels[0].scaling.half[0] == 0.5
    viewer.handle({"kind": "fit", "view": "a"})
    assert viewer.auto_scale


def test_an_ended_stream_is_told_as_ended(make):
    feed = HandFeed(chunk(0, 100), EndOfStream("over"))
    viewer, ear = make(feed)
    viewer.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda sent: any(c.get("status", [{}])[0].get("state") == "ended" for c, _ in sent))
    assert viewer.ended
    assert feed.closed


def test_a_broken_feed_is_logged_and_told(make, caplog):
    feed = HandFeed(ValueError("torn cable"))
    viewer, ear = make(feed)
    viewer.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda sent: any(c.get("status", [{}])[0].get("state") == "failed" for c, _ in sent))
    assert "torn cable" in caplog.text
    assert feed.closed


def test_closing_ends_all_threads_and_closes_the_feeds(make):
    feed = HandFeed()
    viewer, _ = make(feed)
    viewer.close()
    viewer.close()
    assert feed.closed
    assert not any(t.name.startswith("scope-") for t in threading.enumerate())


def test_handles_are_opened_and_feeds_taken_as_they_are():
    feed = HandFeed()

    class Handle:
        def open_feed(self):
            return feed

    opened, same = open_all((Handle(), feed))
    assert (opened.spec, opened.name, same) == (SPEC, "hand", feed)
    feed.hand(chunk(0, 10))
    assert opened.recv(20).stop == 10
    opened.close()
    assert feed.closed


def test_a_stream_that_was_configured_anew_is_followed(make):
    other = StreamSpec(shape=(-1, 3), sample_rate=500.0)
    feeds = [HandFeed(chunk(0, 100), StreamMismatch("another stream now")), HandFeed()]
    feeds[1].spec = other
    feeds[1].hand(Chunk(0, np.ones((50, 3)), epoch=1))
    opening = iter([feeds[0], HostUnreachable("not described yet"), feeds[1]])

    class Handle:
        def open_feed(self):
            opened = next(opening)
            if isinstance(opened, Exception):
                raise opened
            return opened

    viewer, ear = make(*open_all((Handle(),)))
    viewer.handle({"kind": "hello", "view": "a"})
    ear.wait_for(lambda sent: any(f.values.shape[0] == 3 for _, frames in sent for f in frames))
    assert viewer.panels[0].spec == other
    assert feeds[0].closed
    layouts = [content for content, _ in ear.sent if content["kind"] == "layout"]
    assert layouts[-1]["panels"][0]["n_channels"] == 3


def test_what_a_panel_refuses_is_told_to_the_page(make, monkeypatch):
    viewer, ear = make(HandFeed())

    def refuse(message):
        raise ConfigurationError("no such channel")

    monkeypatch.setattr(viewer.panels[0], "handle", refuse)
    viewer.handle({"kind": "solo", "view": "a", "panel": 0})
    assert ear.sent[-1][0] == {"kind": "refused", "message": "no such channel"}


def test_what_is_no_stream_is_refused_before_anything_is_opened():
    opened = []

    class Handle:
        def open_feed(self):
            opened.append(self)
            return HandFeed()

    with pytest.raises(ConfigurationError, match="int is not a stream"):
        open_all((Handle(), 3))
    assert opened == []
    with pytest.raises(ConfigurationError, match="no stream to show"):
        open_all(())


def test_a_handle_that_cannot_be_opened_leaves_none_open():
    first = HandFeed()

    class Good:
        def open_feed(self):
            return first

    class Bad:
        def open_feed(self):
            raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        open_all((Good(), Bad()))
    assert first.closed
