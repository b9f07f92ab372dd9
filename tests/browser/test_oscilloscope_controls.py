"""Every control of the oscilloscope in JupyterLab, used as a user does, and what is painted then."""

from __future__ import annotations

import numpy as np
import pytest
from lab import LabPage
from scope_page import ALL_PAINTED, DRAWN, PANEL, READ_CANVAS, SCOPE, look_at

LANES = """
from plot_notebook import *
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.notebook.plots import Oscilloscope
spec = analog(3, 1000, units="mV", channel_names=("a", "b", "c"), dtype="<i2", scale=0.001)
t = np.arange(2000)
data = np.stack([1000 * np.sin(2 * np.pi * 5 * t / 1000), 500 + 0 * t, np.where(t < 1500, -1000, 1000)], 1)
feed = Script(spec, name="three")
marks = Script(event_spec(1000.0), name="marks")
feed.give(Chunk(0, data.astype("<i2")))
scope = Oscilloscope(feed, markers=marks, window=2.0, height=300, scale="each")
scope
"""


def wait_shown(lab: LabPage, condition: str) -> None:
    """Wait until the plot has its layout and bins, and until something holds for its first panel."""
    scope = "document.querySelector('.pyacq-oscilloscope')?.oscilloscope"
    lab.wait_for(
        f"() => {{ const panel = {scope}?.panels?.[0]; return panel?.ring?.stop > 0 && {condition}; }}"
    )


def wait_settings(lab: LabPage, condition: str) -> None:
    lab.wait_for(f"() => {{ const now = {PANEL}.layout; const s = now.settings; return {condition}; }}", 30)


def frame_point(lab: LabPage, x: float, y: float) -> tuple[float, float]:
    """A place in the frame in pixels of the page; parts of its width and height."""
    box = lab.page.locator(".pyacq-traces").first.bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_paused_a_spike_and_a_gap_are_seen_at_every_zoom_and_far_back(make, tmp_path):
    lab = make("look.ipynb", DRAWN)
    lab.run_all()
    lab.wait_for(ALL_PAINTED)
    lab.page.get_by_role("button", name="Pause").click()
    lab.page.get_by_role("button", name="Resume").wait_for()
    for span in (1.6, 0.4, 0.05, 0.008):
        drawn = look_at(lab, -1.4 - 0.4 * span, -1.4 + 0.6 * span)  # sample 2600 is 1.4 s before the newest
        second = np.array(drawn["second"])
        high = np.flatnonzero(second < second.min() + 0.1 * drawn["height"])
        # A bin and its lines to both neighbours: some columns, or one sample's share of the picture.
        assert 1 <= len(high) <= max(6, 2 * drawn["width"] * 0.001 / span)
        assert abs(high.mean() / drawn["width"] - 0.4) < 0.01 + 0.001 / span
        drawn = look_at(lab, -1.0 - 0.5 * span, -1.0 + 0.5 * span)  # the gap begins
        hatched = np.flatnonzero(drawn["gap"])
        assert abs(hatched[0] / drawn["width"] - 0.5) < 0.01 + 0.001 / span
    assert lab.page.evaluate(f"() => {PANEL}.look.binSeconds") == 0.001  # raw samples
    lab.screenshot(".pyacq-oscilloscope", tmp_path / "raw.png")
    # Before the window: the sine goes on there, with its peaks 125 ms after each half second.
    lab.page.evaluate(f"() => {PANEL}.model.x_range.setv({{ start: -2, end: 0 }})")
    lab.page.get_by_role("button", name="earlier").click()
    drawn = look_at(lab, -3.0, -1.0)
    first = np.array(drawn["first"])
    for peak in (1125, 1625, 2125):
        at = (peak - 1000) / 2000 * drawn["width"]
        around = slice(round(at - 0.05 * drawn["width"]), round(at + 0.05 * drawn["width"]))
        highest = np.flatnonzero(first[around] == first[around].min()).mean() + around.start
        assert abs(highest - at) < 0.01 * drawn["width"]
    lab.page.get_by_role("button", name="later").click()
    lab.wait_for(f"() => {PANEL}.model.x_range.end === 0")
    lab.page.get_by_role("button", name="Resume").click()
    lab.wait_for(f"() => !{SCOPE}.layout.paused && {PANEL}.shown.ring === {PANEL}.ring")
    assert lab.errors() == []
    assert lab.complaints == []


def test_a_scan_writes_over_the_oldest(make):
    lab = make("scan.ipynb", DRAWN.replace("window=2.0", "window=3.0"))
    lab.run_all()
    lab.page.get_by_label("How traces move").select_option("scan")
    lab.wait_for(f"() => {SCOPE}.scans && {PANEL}.painter.scanColumn > 0 && {SCOPE}.pending === undefined")
    drawn = lab.page.evaluate(READ_CANVAS)
    width = drawn["width"]
    first, second = np.array(drawn["first"]), np.array(drawn["second"])
    # 4 s in scans of 3 s: the second scan is at 1 s, and the spike of the first stands at 2.6 s.
    assert abs(lab.page.evaluate(f"() => {PANEL}.painter.scanColumn") / width - 1 / 3) < 0.01
    assert (first[round(0.335 * width) : round(0.343 * width)] == drawn["height"]).all()  # the bar
    high = np.flatnonzero(second < np.median(second) - 0.1 * drawn["height"])
    assert abs(high.mean() / width - 2.6 / 3) < 0.01
    # The gap from 3.0 s to 3.2 s is that of the second scan.
    hatched = np.flatnonzero(drawn["gap"]) / width
    assert hatched[0] < 0.01
    assert abs(hatched[-1] - 0.2 / 3) < 0.01
    lab.page.get_by_label("How traces move").select_option("scroll")
    lab.wait_for(f"() => !{SCOPE}.scans && {PANEL}.model.x_range.end === 0")
    assert lab.complaints == []


def test_channels_are_chosen_ordered_inverted_and_scaled_by_menu_and_gesture(make, tmp_path):
    lab = make("lanes.ipynb", LANES, "print(scope.settings)")
    lab.start_cell(0)
    lab.wait_for(
        "() => document.querySelector('.pyacq-oscilloscope')?.oscilloscope?.panels?.[0]?.ring?.stop > 0"
    )
    page = lab.page
    page.locator("summary", has_text="Channels").click()
    page.get_by_label("b", exact=True).uncheck()
    wait_settings(lab, "now.channels.join() === '0,2'")
    page.get_by_label("c one lane up").click()
    wait_settings(lab, "now.channels.join() === '2,0'")
    page.get_by_label("a upside down").click()
    wait_settings(lab, "s.lanes.inverted.join() === 'a' && now.half[1] < 0")
    page.get_by_label("c twice as high").click()
    wait_settings(lab, "s.lanes.gains.c === 2")
    lab.screenshot(".pyacq-oscilloscope", tmp_path / "menu.png")
    page.get_by_label("c alone").click()
    wait_settings(lab, "now.channels.join() === '2' && now.n_channels === 1")
    lab.wait_for(
        f"() => {PANEL}.ring.nChannels === 1 && {PANEL}.ring.stop > 0 && {PANEL}.model.y_range.end === 0.55"
    )
    page.get_by_role("button", name="Reset").first.click()
    wait_settings(lab, "now.channels.join() === '0,1,2'")
    page.locator("summary", has_text="Channels").click()

    # Shift and wheel: all; the wheel over a label: that channel; a drag of it: its offset; two clicks: alone.
    half = page.evaluate(f"() => {PANEL}.layout.half[0]")
    page.mouse.move(*frame_point(lab, 0.5, 0.5))
    page.keyboard.down("Shift")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Shift")
    lab.wait_for(f"(half) => {PANEL}.layout.half[0] < half", 30, half)
    page.mouse.move(*frame_point(lab, -0.03, 0.5))
    page.mouse.wheel(0, -100)
    wait_settings(lab, "s.lanes.gains.b > 1 && Object.keys(s.lanes.gains).length === 1")
    page.mouse.down()
    page.mouse.move(*frame_point(lab, -0.03, 0.4), steps=4)
    page.mouse.up()
    wait_settings(lab, "s.lanes.shifts.b > 0.15 && s.lanes.shifts.b < 0.5")
    page.mouse.dblclick(*frame_point(lab, -0.03, 0.5))
    wait_settings(lab, "s.lanes.solo.join() === 'b'")
    page.mouse.dblclick(*frame_point(lab, -0.03, 0.5))
    wait_settings(lab, "s.lanes.solo.length === 0")
    page.get_by_role("button", name="Auto-scale").click()
    lab.wait_for(f"() => {SCOPE}.layout.auto_scale")
    lab.start_cell(1)
    lab.wait_cell(1)
    assert "'gains': {'b':" in lab.outputs(1)[0]["text"]
    assert lab.errors() == []
    assert lab.complaints == []


def test_filters_cursors_values_markers_and_windows(make, tmp_path):
    marked = "marks.give(Chunk(0, event_array([Event(0, 1500, label='step')])))"
    lab = make("measure.ipynb", LANES, marked, "scope.filter()")
    lab.start_cell(0)
    lab.wait_cell(0)
    lab.start_cell(1)
    lab.wait_for(
        "() => document.querySelector('.pyacq-oscilloscope')?.oscilloscope?.panels?.[0]?.markers?.length > 0"
    )
    page = lab.page
    (marker,) = page.evaluate(f"() => {PANEL}.markerTimes()")
    assert marker == [pytest.approx(-0.5, abs=0.005), "step"]

    page.get_by_role("button", name="Cursors").click()
    page.mouse.move(*frame_point(lab, 1 / 3, 0.83))
    page.mouse.down()
    page.mouse.move(*frame_point(lab, 0.25, 0.83), steps=3)
    page.mouse.up()
    page.mouse.move(*frame_point(lab, 2 / 3, 0.83))
    page.mouse.down()
    page.mouse.move(*frame_point(lab, 0.9, 0.83), steps=3)
    page.mouse.up()
    readout = page.locator(".pyacq-readout").inner_text()
    assert "\N{GREEK CAPITAL LETTER DELTA} c 2 mV" in readout
    assert float(readout.split()[1]) == pytest.approx(1.3, abs=0.02)
    page.mouse.move(*frame_point(lab, 0.5, 0.5))
    hint = page.locator(".pyacq-hint").inner_text()
    assert hint.startswith("b  0.5 mV  at \N{MINUS SIGN}")
    lab.screenshot(".pyacq-oscilloscope", tmp_path / "cursors.png")
    page.get_by_role("button", name="Cursors").click()
    assert page.locator(".pyacq-readout").inner_text() == ""

    page.locator("summary", has_text="Filter").click()
    page.get_by_label("low corner, Hz").fill("600")
    page.get_by_label("low corner, Hz").press("Enter")
    page.locator(".pyacq-refusal", has_text="wanted less than 500").wait_for()
    page.get_by_label("low corner, Hz").fill("50")
    page.get_by_label("low corner, Hz").press("Enter")
    wait_settings(lab, "s.filter.low === 50 && now.scale.includes('50-500 Hz')")
    page.get_by_label("Common average").check()
    wait_settings(lab, "s.filter.average")
    page.get_by_label("Median offset").check()
    wait_settings(lab, "s.median")
    page.locator("summary", has_text="Filter").click()

    lab.start_cell(2)
    lab.wait_cell(2)
    page.get_by_label("Window").select_option("0.5")
    lab.wait_for(f"() => {PANEL}.model.x_range.start === -0.5 && {PANEL}.ring.stop > 0")
    lab.wait_for(f"() => {PANEL}.layout.bin_seconds === 0.001")
    # What bokeh's save tool saves has the traces in it: those of channel b are orange.
    n_orange = page.evaluate(f"""async () => {{
        const {{ canvas, ctx }} = {PANEL}.plotView.export();
        const {{ data }} = ctx.getImageData(0, 0, canvas.width, canvas.height);
        let n = 0;
        const orange = (i) => data[i] === 213 && data[i + 1] === 94 && data[i + 2] === 0;
        for (let i = 0; i < data.length; i += 4) n += orange(i);
        return n;
    }}""")
    assert n_orange > 300
    assert lab.errors() == []
    assert lab.complaints == []
