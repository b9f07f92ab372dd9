"""Cells of notebooks whose plots are measured, and what counts their frames in the page."""

from __future__ import annotations

WINDOW = 4.0
"""Seconds that a plot shows."""

FEED = """
import sys, time
sys.path.insert(0, {here!r})
import numpy as np
from plot_notebook import PacedFeed, analog

N, RATE = {n_channels}, 30_000
block = (np.random.default_rng(0).standard_normal((RATE, N)) * 50).astype("<i2")

class Looped(PacedFeed):
    def __init__(self, name):
        # A second of noise, over and over: cheap, so that what is measured is the plot.
        spec = analog(N, RATE, dtype="<i2", units="uV")
        super().__init__(spec, lambda index: block[index % RATE], 600, name=name)
        self.begun = time.time()
"""

OURS = """
from pyacq_lab.notebook.plots import Oscilloscope
feeds = [Looped(f"feed {{i}}") for i in range({n_plots})]
scopes = [Oscilloscope(feed, window={window}, fps={fps}) for feed in feeds]
from ipywidgets import VBox
print("begun", [feed.begun for feed in feeds])
"""

SHOW_OURS = "\nfor scope in scopes: display(scope)\n"

PLAIN = """
import asyncio
from bokeh.io import output_notebook
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure
from bokeh.resources import INLINE
from jupyter_bokeh import BokehModel

output_notebook(INLINE, hide_banner=True)
columns = 1000
source = ColumnDataSource({{"xs": [], "ys": []}})
ranges = {{"x_range": (-{window}, 0), "y_range": (-1, N)}}
plot = figure(width=1000, height=600, title="", toolbar_location=None, **ranges)
plot.multi_line("xs", "ys", source=source, line_width=1)
x = np.repeat(np.linspace(-{window}, 0, columns), 2)
feed = Looped("plain")
history = np.zeros((round({window} * RATE), N), "<i2")

async def run():
    while True:
        begin = time.monotonic()
        while (chunk := feed.recv(0.0)) is not None:
            history[:-len(chunk.data)] = history[len(chunk.data):]
            history[-len(chunk.data):] = chunk.data
            newest = chunk.time_ns / 1e9 + len(chunk.data) / RATE
        bins = history[: len(history) // columns * columns].reshape(columns, -1, N)
        both = np.stack([bins.min(1), bins.max(1)], 1).reshape(-1, N) / 400 + np.arange(N)
        source.data = {{"xs": [x] * N, "ys": list(both.T)}}
        plot.title.text = f"stamp {{newest:.3f}}"
        await asyncio.sleep(max(0.001, 1 / {fps} - (time.monotonic() - begin)))
"""

SHOW_PLAIN = "\nBokehModel(plot)\n"

RUN_PLAIN = "\ntask = asyncio.create_task(run())\n"

COUNT_STROKES = """() => {
    // Frames in which something was stroked, and how late what they say they show was painted.
    window.strokes = new Set();
    window.lags = [];
    const proto = CanvasRenderingContext2D.prototype;
    const { stroke, fillText } = proto;
    proto.stroke = function (...args) {
        window.strokes.add(document.timeline.currentTime);
        return stroke.apply(this, args);
    };
    proto.fillText = function (text, ...args) {
        const found = /^stamp ([0-9.]+)$/.exec(text);
        if (found) window.lags.push(Date.now() / 1000 - Number(found[1]));
        return fillText.call(this, text, ...args);
    };
}"""

WATCH_OURS = """(begun) => {
    // When a frame has been painted: how old the newest sample in it is.
    window.lags = [];
    window.painted = () => [...document.querySelectorAll(".pyacq-oscilloscope")]
        .map((root) => root.oscilloscope.panels[0].painter.painted);
    [...document.querySelectorAll(".pyacq-oscilloscope")].forEach((root, index) => {
        const panel = root.oscilloscope.panels[0];
        const paint = panel.painter.paint.bind(panel.painter);
        panel.painter.paint = (ring, scene) => {
            const before = panel.painter.painted;
            paint(ring, scene);
            if (panel.painter.painted === before) return;
            window.lags.push(Date.now() / 1000 - begun[index] - ring.stop * scene.binSeconds);
        };
    });
}"""
