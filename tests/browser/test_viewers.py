"""The viewers beside the oscilloscope in JupyterLab: what is shown is what was streamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from lab import LabPage, write_notebook

CELLS = {
    "prepare": """
from plot_notebook import *
import pyacq_lab as pyacq
from pyacq_lab.model.events import Event, event_array, event_spec
rng = np.random.default_rng(1)
t = np.arange(12_000) / 1000
chirp = np.stack([np.sin(2 * np.pi * 100 * t), np.sin(2 * np.pi * (40 + 12 * t) * t)], 1)
chirp += 0.1 * rng.standard_normal(chirp.shape)
def signal(*parts, **fields):
    feed = Script(analog(2, 1000, units="µV", channel_names=("tone", "chirp"), **fields), name="signal")
    feed.give(*parts or (Chunk(0, chirp[:7000]), Gap(7000, 7800), Chunk(7800, chirp[7800:])))
    return feed
""",
    "spectrogram": "waterfall = pyacq.Spectrogram(signal(), title='Spectrogram')\nwaterfall",
    "power": "power = pyacq.PowerSpectrum(signal(), average=3, title='Power spectrum')\npower",
    "image": """
video = Script(
    StreamSpec.of("uint8", streamtype="video", shape=(-1, 240, 320, 3), sample_rate=25.0), name="camera"
)
def frame(red):
    pixels = np.zeros((1, 240, 320, 3), "uint8")
    pixels[..., 0], pixels[:, :120, :, 2] = red, 200
    return pixels
video.give(Chunk(0, frame(250), time.time_ns()), Chunk(3, frame(120), time.time_ns()))
image = pyacq.ImageViewer(video, title="Camera")
image
""",
    "sweeps": """
pulses = np.where(np.arange(8000)[:, None] % 1000 < 100, 1.0, 0.0) * np.array([1.0, -0.5])
pulses = pulses + 0.05 * rng.standard_normal(pulses.shape)
sweeps = pyacq.TriggeredOscilloscope(
    signal(Chunk(0, pulses)), threshold=0.5, before=0.05, after=0.2, title="Sweeps"
)
sweeps
""",
    "events": """
now = time.time_ns()
marks = event_array(Event(now - k * 10**8, code=k % 3, label=f"kind {k % 3}") for k in range(60, 0, -1))
events = Script(event_spec(1000.0), "trigger")
events.give(Chunk(0, marks))
raster = pyacq.EventRaster(events, window=120, title="Events")
raster
""",
    "numbers": """
numbers = pyacq.NumberPanel(signal(), limits={"tone": (2.0, None)}, title="Now")
numbers
""",
    "xy": """
circle = np.stack([np.cos(9 * t[:4000]), np.sin(9 * t[:4000])], 1)
xy = pyacq.XYView(signal(Chunk(0, circle)), title="XY")
xy
""",
    "digital": """
port = Script(StreamSpec.of("uint8", streamtype="digitalsignal", sample_rate=1000.0, channel_names=("port",)))
ticks = (np.arange(5000) // 300).astype("uint8")[:, None]
ticks[2500] |= 128
port.give(Chunk(0, ticks[:3000]), Gap(3000, 3400), Chunk(3400, ticks[3400:]))
digital = pyacq.DigitalOscilloscope(port, title="Digital")
digital
""",
    "busy": """
import pathlib
n = 4
while not pathlib.Path("stop-viewers.txt").exists():
    video.give(Chunk(n, frame(n % 250), time.time_ns()))
    n += 1
    pause = time.monotonic() + 0.03
    while time.monotonic() < pause:
        pass
""",
    "close": "xy.close()",
}
NUMBER = {name: number for number, name in enumerate(CELLS)}
SHOWN = list(CELLS)[1:-2]

VIEWER = """(i) => {
    const cell = window.jupyterapp.shell.currentWidget.content.widgets[i].node;
    return cell.querySelector(".pyacq-oscilloscope")?.viewer;
}"""


class Viewers:
    """The notebook with all of them, and the way to each."""

    def __init__(self, lab: LabPage) -> None:
        self.lab = lab

    def show(self, name: str, until: str = "viewer.drawn > 0") -> None:
        """Scroll to a viewer, and wait until it has drawn."""
        self.lab.show_cell(NUMBER[name])
        self.lab.wait_for(
            f"(i) => {{ const viewer = ({VIEWER})(i); return viewer && {until}; }}", 60, NUMBER[name]
        )

    def look(self, name: str, expression: str):
        """Evaluate an expression with ``viewer`` and the first ``pane`` of it."""
        return self.lab.page.evaluate(
            f"(i) => {{ const viewer = ({VIEWER})(i); const pane = viewer.panes[0]; return {expression}; }}",
            NUMBER[name],
        )

    def cell(self, name: str):
        return self.lab.page.locator(".jp-CodeCell").nth(NUMBER[name])


@pytest.fixture(scope="module")
def viewers(lab_server, browser_context):
    shutil.copy(Path(__file__).parent / "plot_notebook.py", lab_server.root)
    write_notebook(lab_server.root / "viewers.ipynb", list(CELLS.values()))
    lab = LabPage.open(browser_context, lab_server, "viewers.ipynb")
    for number in range(NUMBER["busy"]):
        lab.start_cell(number)
        lab.wait_cell(number)
    assert lab.errors() == []
    yield Viewers(lab)
    lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    lab.page.close()


@pytest.mark.parametrize("name", SHOWN)
def test_each_is_drawn_in_light_and_dark(viewers, name, tmp_path):
    viewers.show(name)
    target = viewers.cell(name).locator(".pyacq-oscilloscope")
    light = viewers.lab.screenshot(target, tmp_path / f"{name}-light.png")
    viewers.lab.set_theme("JupyterLab Dark")
    viewers.lab.wait_for(f"(i) => ({VIEWER})(i).dark === true", 30, NUMBER[name])
    assert viewers.lab.screenshot(target, tmp_path / f"{name}-dark.png") != light
    viewers.lab.set_theme("JupyterLab Light")
    viewers.lab.wait_for(f"(i) => ({VIEWER})(i).dark === false", 30, NUMBER[name])
    assert viewers.lab.complaints == []


# --- what is painted is what was streamed

PIXEL = """(() => {
    const { width, height } = pane.canvas;
    const at = (y) => Array.from(pane.canvas.getContext("2d").getImageData(width / 2, y, 1, 1).data);
    return { width, height, upper: at(height / 4), lower: at(3 * height / 4) };
})()"""


def test_the_brightest_row_of_a_waterfall_is_the_tone(viewers):
    viewers.show("spectrogram")
    levels = np.array(viewers.look("spectrogram", "Array.from(pane.layers[0].levels)"), "uint8")
    rows, width = viewers.look("spectrogram", "[pane.entry.layers[0].rows, pane.entry.layers[0].capacity]")
    levels = levels.reshape(rows, width)
    brightest = levels[:, -100:].mean(axis=1).argmax()
    assert brightest * 1000 / 512 == pytest.approx(100, abs=3)
    empty = (levels == 0).all(axis=0)
    assert empty[: width // 2].sum() == 0
    assert empty.sum() / width == pytest.approx(0.13, abs=0.02)  # the gap, and the segment after it
    # It is on the screen, too: as bokeh has it in its frame.
    shown = viewers.look("spectrogram", "pane.plotView.model.renderers.length")
    assert shown == 2


def test_the_newest_frame_is_painted_and_the_others_counted(viewers):
    viewers.show("image", "viewer.panes[0].painted > 0")
    picture = viewers.look("image", PIXEL)
    assert (picture["width"], picture["height"]) == (320, 240)
    assert picture["upper"] == pytest.approx([120, 0, 200, 255], abs=6)
    assert picture["lower"] == pytest.approx([120, 0, 0, 255], abs=6)
    assert "2 dropped" in viewers.look("image", "pane.note.textContent")


def test_lines_carry_the_numbers_of_the_stream(viewers):
    viewers.show("power")
    peak = """(() => {
        const { xs, ys } = pane.layers[1].source.data;
        return xs[0][ys[0].indexOf(Math.max(...ys[0]))];
    })()"""
    assert viewers.look("power", peak) == 100
    viewers.show("xy")
    reach = "Math.max(...pane.layers[0].source.data.xs.flatMap((x) => Array.from(x)))"
    assert viewers.look("xy", reach) == pytest.approx(1.0, abs=0.01)
    viewers.show("sweeps")
    assert viewers.look("sweeps", "pane.layers[0].source.data.xs.length") == 7
    viewers.show("events")
    assert viewers.look("events", "pane.layers[1].source.data.xs.map((x) => x.length)") == [60, 60, 60]
    viewers.show("digital")
    assert viewers.look("digital", "pane.layers[0].source.data.x0.length") == 1
    viewers.show("numbers")
    tiles = viewers.cell("numbers").locator(".pyacq-tile")
    assert tiles.count() == 2
    assert "outside from 2" in tiles.first.inner_text()
    assert viewers.lab.complaints == []


def test_controls_change_what_is_shown(viewers):
    viewers.show("spectrogram")
    cell = viewers.cell("spectrogram")
    cell.get_by_label("Colours").select_option("Inferno")
    viewers.lab.wait_for(
        f"(i) => ({VIEWER})(i).panes[0].layers[0].palette === 'Inferno'", 30, NUMBER["spectrogram"]
    )
    cell.get_by_label("from").fill("-30")
    cell.get_by_label("from").press("Enter")
    viewers.lab.wait_for(
        f"(i) => ({VIEWER})(i).panes[0].note.textContent.startsWith('\u221230')", 30, NUMBER["spectrogram"]
    )
    cell.get_by_label("from").fill("300")
    cell.get_by_label("from").press("Enter")
    cell.locator(".pyacq-refusal", has_text="low 300").wait_for()
    viewers.show("power")
    viewers.cell("power").get_by_role("button", name="Log frequency").click()
    viewers.lab.wait_for(
        f"(i) => ({VIEWER})(i).panes[0]?.plotView.model.x_scale.type === 'LogScale'", 30, NUMBER["power"]
    )
    viewers.show("sweeps")
    viewers.cell("sweeps").get_by_role("button", name="Reset").click()
    viewers.cell("sweeps").locator(".pyacq-note", has_text="waiting for a trigger").wait_for()
    assert viewers.lab.complaints == []


def test_frames_go_on_while_a_cell_runs_and_rest_out_of_sight(viewers, lab_server):
    lab = viewers.lab
    viewers.show("image", "viewer.panes[0].painted > 0")
    lab.start_cell(NUMBER["busy"])
    lab.show_cell(NUMBER["image"])
    before = viewers.look("image", "pane.painted")
    lab.wait_for(f"([i, n]) => ({VIEWER})(i)?.panes[0].painted > n + 10", 60, [NUMBER["image"], before])
    assert not lab.has_run(NUMBER["busy"])
    lab.page.evaluate(f"(i) => {{ window.seen = ({VIEWER})(i); }}", NUMBER["image"])
    lab.show_cell(NUMBER["digital"])
    lab.wait_for("() => window.seen.visible === false")
    lab.wait_for("""() => new Promise((resolve) => {
        const before = window.seen.frame;
        setTimeout(() => resolve(window.seen.frame === before), 500);
    })""")  # fmt: skip
    (lab_server.root / "stop-viewers.txt").touch()
    lab.wait_cell(NUMBER["busy"])
    assert lab.complaints == []


def test_closing_leaves_a_picture(viewers):
    viewers.lab.start_cell(NUMBER["close"])
    viewers.lab.wait_for(
        "(i) => window.jupyterapp.shell.currentWidget.content.model.cells.get(i).outputs.toJSON()"
        ".some((output) => output.data && Object.keys(output.data).sort().join() === 'image/png,text/plain')",
        30,
        NUMBER["xy"],
    )
    assert viewers.lab.errors() == []


def test_a_reloaded_page_gets_everything_again(viewers):
    viewers.lab.reload()
    viewers.show("spectrogram")
    assert viewers.look("spectrogram", "pane.layers[0].levels.some((level) => level > 0)")
    viewers.show("image", "viewer.panes[0].painted > 0")
    viewers.show("numbers")
