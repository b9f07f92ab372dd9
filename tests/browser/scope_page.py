"""What tests of the oscilloscope's page share: its canvas read back, its bins waited for."""

from __future__ import annotations

from typing import Any

from lab import LabPage

SCOPE = "document.querySelector('.pyacq-oscilloscope').oscilloscope"
PANEL = f"{SCOPE}.panels[0]"

# For each column of the canvas: highest row painted in the first two colours, and whether a gap is painted.
READ_CANVAS = (
    """() => {
    const canvas = """
    + SCOPE
    + """.panels[0].canvas.element;
    const { width, height } = canvas;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    const near = (i, [r, g, b]) => pixels[i + 3] > 100 && Math.abs(pixels[i] - r) < 12
        && Math.abs(pixels[i + 1] - g) < 12 && Math.abs(pixels[i + 2] - b) < 12;
    const columns = { width, height, first: [], second: [], gap: [] };
    for (let x = 0; x < width; x++) {
        let [first, second, gap] = [height, height, 0];
        for (let y = height - 1; y >= 0; y--) {
            const i = 4 * (y * width + x);
            if (near(i, [0, 114, 178])) first = y;
            else if (near(i, [213, 94, 0])) second = y;
            else if (pixels[i + 3] > 20 && pixels[i] > 150 && pixels[i + 1] < 110) gap += 1;
        }
        columns.first.push(first);
        columns.second.push(second);
        columns.gap.push(gap > height / 2);
    }
    return columns;
}"""
)

ALL_PAINTED = """() => {
    const scope = document.querySelector('.pyacq-oscilloscope')?.oscilloscope;
    const panel = scope?.panels?.[0];
    return panel?.layout?.revision > 0 && panel.ring.stop >= 3998 / (1000 * panel.layout.bin_seconds) - 1
        && scope.pending === undefined && panel.painter.painted > 0 && panel.painter.right > 0;
}"""

# 4 s at 1 kHz: a sine with peaks at known samples, and a flat line with one spike of one sample.
DRAWN = """
from plot_notebook import *
from pyacq_lab.notebook.plots import Oscilloscope
t = np.arange(4000)
data = np.stack([np.sin(2 * np.pi * 2 * t / 1000), np.where(t == 2600, 1.0, 0.0)], 1)
feed = Script(analog(2, 1000, units="V", channel_names=("sine", "spike")), name="script")
feed.give(Chunk(0, data[:3000]), Gap(3000, 3200), Chunk(3200, data[3200:]))
scope = Oscilloscope(feed, window=2.0, height=300)
scope
"""


def look_at(lab: LabPage, start: float, end: float) -> dict[str, Any]:
    """Show a span of a paused plot, s before its newest sample, and read what is painted then."""
    lab.page.evaluate(f"([start, end]) => {PANEL}.model.x_range.setv({{ start, end }})", [start, end])
    lab.wait_for(
        f"""([start, end]) => {{
            const {{ look, shown, ring }} = {PANEL};
            return look && shown.ring === look && {SCOPE}.pending === undefined
                && -look.origin * look.binSeconds <= start + look.binSeconds
                && (look.stop - look.origin) * look.binSeconds >= end - 2 * look.binSeconds
                && (look.stop - look.start) * look.binSeconds < 3.2 * (end - start) + 0.02;
        }}""",
        30,
        [start, end],
    )
    return lab.page.evaluate(READ_CANVAS)
