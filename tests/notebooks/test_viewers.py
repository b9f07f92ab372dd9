"""The notebook of the viewers runs, and each leaves a picture of what it saw."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

pytestmark = pytest.mark.timeout(300)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "viewers.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[nbformat.NotebookNode]:
    """Cells of the notebook, run as ``nbconvert --execute`` runs them."""
    pytest.importorskip("av")
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "CONFIG", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(home / name))
        notebook = nbformat.read(NOTEBOOK, as_version=4)
        client = NotebookClient(notebook, timeout=120, kernel_name="python3")
        client.execute(cwd=str(home))
    return notebook.cells


def picture(cells: list[nbformat.NotebookNode], maker: str) -> list[tuple[int, tuple[int, int, int]]]:
    """Colours of what the cell that makes a viewer shows in the end, and how many pixels have each."""
    (cell,) = [c for c in cells if c.cell_type == "code" and f"pyacq.{maker}(" in c.source]
    (output,) = cell.outputs
    assert set(output.data) == {"image/png", "text/plain"}
    assert "closed" in output.data["text/plain"]
    image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
    return image.convert("RGB").getcolors(1 << 24) or []


@pytest.mark.parametrize(
    "maker", ["PowerSpectrum", "TriggeredOscilloscope", "EventRaster", "XYView", "DigitalOscilloscope"]
)
def test_lines_are_drawn(cells, maker) -> None:
    assert sum(n for n, (r, g, b) in picture(cells, maker) if b - r > 60 and b > g) > 300


def test_the_waterfall_and_the_video_are_colourful(cells) -> None:
    for maker in ("Spectrogram", "ImageViewer"):
        colours = picture(cells, maker)
        assert len(colours) > 200
        assert max(n for n, colour in colours if colour != (255, 255, 255)) < 0.5 * sum(n for n, _ in colours)


def test_numbers_are_written(cells) -> None:
    assert sum(n for n, colour in picture(cells, "NumberPanel") if max(colour) < 120) > 500


def test_each_was_live_until_it_was_closed(cells) -> None:
    printed = "".join(output.text for output in cells[-1].outputs if output.output_type == "stream")
    assert printed.count("; live>") == 8
