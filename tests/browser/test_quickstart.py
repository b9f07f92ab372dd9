"""The quickstart notebook in a real JupyterLab: it moves, it shows the log, it ends clean."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import LabPage, LabServer
from PIL import Image, ImageChops

from pyacq_lab.demo import find_notebook

SCOPE = ".pyacq-oscilloscope"

PAINTED = """(selector) => {
    const scope = document.querySelector(selector)?.oscilloscope;
    return scope?.panels.length === 4 && scope.panels.every((panel) => panel.painter.painted > 20);
}"""

CELLS = """() => Array.from(window.jupyterapp.shell.currentWidget.content.model.cells)
    .map((cell) => cell.sharedModel.source)"""

SAID = """([index, words]) => {
    const cell = window.jupyterapp.shell.currentWidget.content.widgets[index];
    return words.every((word) => cell.node.textContent.includes(word));
}"""


@pytest.fixture
def quickstart(lab_server: LabServer, open_notebook: Callable[[str], LabPage]) -> LabPage:
    shutil.copyfile(find_notebook(), lab_server.root / "quickstart.ipynb")
    return open_notebook("quickstart.ipynb")


def test_quickstart_in_jupyterlab(quickstart: LabPage, tmp_path: Path) -> None:
    page = quickstart
    sources = page.page.evaluate(CELLS)

    def cell(words: str) -> int:
        (index,) = [i for i, source in enumerate(sources) if words in source]
        return index

    def picture(name: str) -> Image.Image:
        return Image.open(io.BytesIO(page.screenshot(SCOPE, tmp_path / name))).convert("RGB")

    # What comes after it ends all within seconds, in which a busy browser may have painted nothing yet.
    page.start_above(cell("Oscilloscope(") + 1)
    page.wait_cell(cell("Oscilloscope("), 90)
    page.show_cell(cell("Oscilloscope("))
    page.wait_for(PAINTED, 60, SCOPE)
    before = picture("before.png")
    painted = page.page.evaluate(
        f"() => document.querySelector('{SCOPE}').oscilloscope.panels[2].painter.painted"
    )
    page.wait_for(
        f"(n) => document.querySelector('{SCOPE}').oscilloscope.panels[2].painter.painted > n + 10",
        20,
        painted,
    )
    box = ImageChops.difference(before, picture("after.png")).getbbox()
    assert box is not None, "the oscilloscope does not move"
    assert box[2] - box[0] > 100, "only a corner of the oscilloscope moves"  # it has just begun to fill

    page.start_from(cell("Oscilloscope(") + 1)
    page.wait_cell(cell("flaky = "), 60)
    log = cell("manager.log_view()")
    page.show_cell(log)
    page.wait_for(SAID, 30, [log, ["the coffee is getting cold", "hello from process", "ZeroDivisionError"]])

    page.wait_cell(cell("host_program.terminate()"), 90)
    assert page.errors() == []
    ending = "".join(str(output.get("text", "")) for output in page.outputs(cell("host_program.terminate()")))
    assert "processes left: []" in ending
    shown = page.outputs(cell("Oscilloscope("))
    assert "image/png" in shown[0]["data"], "no picture stays in the saved notebook"
    assert page.complaints == []
