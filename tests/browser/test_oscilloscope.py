"""The oscilloscope in JupyterLab: what is painted is what was sampled, whatever the kernel is doing."""

from __future__ import annotations

import re

import numpy as np
import pytest
from lab import LabPage
from scope_page import ALL_PAINTED, DRAWN, READ_CANVAS, SCOPE

MOVING = """
from plot_notebook import *
from pyacq_lab.notebook.plots import Oscilloscope
spec = analog(4, 1000, units="µV", channel_names=("Fp1", "Fp2", "O1", "O2"))
eeg = PacedFeed(spec, eeg_like(4, 1000), 20, name="EEG")
scope = Oscilloscope(eeg, window=4.0, title="EEG, live")
scope
"""


def painted(lab: LabPage) -> int:
    return lab.page.evaluate(f"() => {SCOPE}.panels[0].painter.painted")


def wait_painted(lab: LabPage, more_than: int) -> None:
    lab.wait_for(
        "(n) => document.querySelector('.pyacq-oscilloscope')?.oscilloscope.panels[0]?.painter.painted > n",
        60,
        more_than,
    )


def check_drawing(lab: LabPage) -> None:
    """The script's sine, spike and gap lie where their samples say."""
    lab.wait_for(ALL_PAINTED)
    drawn = lab.page.evaluate(READ_CANVAS)
    width = drawn["width"]
    first, second, gap = (np.array(drawn[key]) for key in ("first", "second", "gap"))

    def column(sample: float) -> float:
        return (sample - 2000) / 2000 * width

    near = 0.01 * width
    # Peaks of a 2 Hz sine lie 125 ms after each half second; those in the gap are not drawn.
    for peak in (2125, 2625, 3625):
        around = slice(round(column(peak - 100)), round(column(peak + 100)))
        highest = np.flatnonzero(first[around] == first[around].min()).mean() + around.start
        assert abs(highest - column(peak)) < near
    trough = first[round(column(2375))]
    assert trough - first.min() > 0.3 * drawn["height"]
    # The spike is one or two columns wide, and as high as its lane lets it be.
    flat = np.median(second)
    high = np.flatnonzero(second < flat - 0.1 * drawn["height"])
    assert 1 <= len(high) <= 5
    assert abs(high.mean() - column(2600)) < near
    hatched = np.flatnonzero(gap)
    assert abs(hatched[0] - column(3000)) < near
    assert abs(hatched[-1] - column(3200)) < near
    assert (first[hatched[2:-2]] == drawn["height"]).all()


def test_what_is_painted_is_what_was_sampled_also_after_a_reload(make, tmp_path):
    lab = make("drawn.ipynb", DRAWN)
    lab.run_all()
    assert lab.errors() == []
    check_drawing(lab)
    light = lab.screenshot(".pyacq-oscilloscope", tmp_path / "light.png")
    lab.set_theme("JupyterLab Dark")
    lab.wait_for(f"() => {SCOPE}.dark === true")
    assert lab.screenshot(".pyacq-oscilloscope", tmp_path / "dark.png") != light
    lab.set_theme("JupyterLab Light")
    lab.reload()
    lab.wait_for("() => document.querySelector('.pyacq-oscilloscope')?.oscilloscope !== undefined")
    check_drawing(lab)
    assert lab.errors() == []
    assert lab.complaints == []


def test_it_moves_while_a_cell_runs(make, lab_server, tmp_path):
    stop = lab_server.root / "stop.txt"
    busy = "import pathlib\nwhile not pathlib.Path('stop.txt').exists():\n    pass"
    lab = make("moving.ipynb", MOVING, busy)
    lab.start_all()
    wait_painted(lab, 5)
    before = lab.screenshot(".pyacq-traces", tmp_path / "before.png")
    # More frames than may be on their way without a word from the page: its words are heard.
    wait_painted(lab, painted(lab) + 100)
    assert not lab.has_run(1)
    assert lab.screenshot(".pyacq-traces", tmp_path / "after.png") != before
    stop.touch()
    lab.wait_done()
    assert lab.errors() == []
    assert lab.complaints == []


def test_pause_freezes_the_picture_and_close_leaves_one(make):
    lab = make("pause.ipynb", MOVING, "print(scope.paused)", "scope.close()")
    lab.start_cell(0)
    wait_painted(lab, 5)
    lab.page.get_by_role("button", name="Pause").click()
    lab.page.get_by_role("button", name="Resume").wait_for()
    lab.start_cell(1)
    lab.wait_cell(1)
    frozen = lab.page.evaluate(f"() => {SCOPE}.panels[0].ring.stop")
    assert lab.outputs(1)[0]["text"] == "True\n"
    assert lab.page.evaluate(f"() => {SCOPE}.panels[0].ring.stop") == frozen
    lab.page.get_by_role("button", name="Resume").click()
    lab.wait_for(f"(stop) => {SCOPE}.panels[0].ring.stop > stop", 30, frozen)
    lab.start_cell(2)
    lab.page.wait_for_selector(".jp-RenderedImage img", timeout=30_000)
    assert set(lab.outputs(0)[0]["data"]) == {"image/png", "text/plain"}
    assert lab.page.locator(".pyacq-oscilloscope").count() == 0
    assert lab.errors() == []
    assert lab.complaints == []


def test_out_of_sight_it_rests(make):
    filler = "from IPython.display import HTML\nHTML('<div style=\"height: 3000px\">far</div>')"
    lab = make("hidden.ipynb", MOVING, filler)
    lab.run_all()
    lab.show_cell(0)
    wait_painted(lab, 5)
    lab.page.evaluate("() => { window.seen = " + SCOPE + "; }")
    lab.page.evaluate("() => document.querySelector('.jp-WindowedPanel-outer').scrollTo(0, 2500)")
    lab.wait_for("() => window.seen.visible === false")
    # A frame may have been on its way; then the number of the newest stands still.
    lab.wait_for("""() => new Promise((resolve) => {
        const before = window.seen.frame;
        setTimeout(() => resolve(window.seen.frame === before), 400);
    })""")  # fmt: skip
    lab.show_cell(0)
    before = lab.page.evaluate("() => window.seen.frame")
    lab.wait_for("(before) => window.seen.frame > before + 5", 30, before)
    assert lab.complaints == []


def test_several_streams_share_one_widget_and_one_time_axis(make):
    two = MOVING.replace(
        "scope = Oscilloscope(eeg,",
        "ecg = PacedFeed(analog(1, 250, units='mV'), eeg_like(1, 250), 5, name='ECG')\n"
        "scope = Oscilloscope(eeg, ecg,",
    )
    lab = make("two.ipynb", two)
    lab.run_all()
    wait_painted(lab, 5)
    lab.wait_for(f"() => {SCOPE}.panels[1].painter.painted > 5")
    captions = lab.page.locator(".pyacq-caption").all_inner_texts()
    assert [re.match(r"\w+", text).group() for text in captions] == ["EEG", "ECG"]
    lab.page.evaluate(f"() => {SCOPE}.panels[0].plotView.model.x_range.setv({{ start: -2, end: 0 }})")
    assert lab.page.evaluate(f"() => {SCOPE}.panels[1].plotView.model.x_range.start") == -2
    frames = lab.page.evaluate(
        f"() => {SCOPE}.panels.map((p) => [p.plotView.frame.bbox.left, p.plotView.frame.bbox.width])"
    )
    assert frames[0] == pytest.approx(frames[1], abs=1)
    assert lab.complaints == []


def test_another_scale_repaints_what_is_already_there(make) -> None:
    lab = make("scaled.ipynb", DRAWN, "scope.zoom(0.5)")
    lab.start_cell(0)
    lab.wait_for(ALL_PAINTED)
    before = lab.page.evaluate(READ_CANVAS)
    generation = lab.page.evaluate(f"() => {SCOPE}.panels[0].ring.generation")
    lab.start_cell(1)
    lab.wait_for(
        f"(n) => {SCOPE}.panels[0].ring.generation > n && {SCOPE}.pending === undefined", 30, generation
    )
    after = lab.page.evaluate(READ_CANVAS)
    assert after["first"] != before["first"]
    lab.page.evaluate(f"() => {{ {SCOPE}.panels[0].painter.key = ''; {SCOPE}.panels[0].paint(); }}")
    assert lab.page.evaluate(READ_CANVAS) == after
