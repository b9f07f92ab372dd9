"""A notebook that runs without any page, as ``nbconvert --execute`` runs it, keeps pictures of its plots."""

from __future__ import annotations

import base64
import io

import nbformat
from nbclient import NotebookClient
from PIL import Image

CELLS = [
    """
import threading, numpy as np
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.notebook.plots import Oscilloscope
class Once:
    name = "once"
    spec = StreamSpec(shape=(-1, 1), sample_rate=1000.0, channel_names=("sine",), units="V")
    def __init__(self):
        self.items = [Chunk(0, np.sin(np.arange(5000) * 0.01)[:, None])]
        self.read = threading.Event()
    def recv(self, timeout):
        if self.items:
            return self.items.pop()
        self.read.set()
        threading.Event().wait(timeout)
    def close(self):
        pass
feed = Once()
scope = Oscilloscope(feed, window=5.0)
scope
""",
    "assert feed.read.wait(30)\nscope.still()",
    "scope.close()",
]


def picture(output: nbformat.NotebookNode) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))


def blue(image: Image.Image) -> int:
    """Pixels of the first lane's colour."""
    return sum(count for count, color in image.getcolors(1 << 20) or [] if color == (0, 114, 178))


def test_pictures_stay_in_the_notebook():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    NotebookClient(notebook, timeout=90, kernel_name="python3").execute()
    shown, still, _ = (cell["outputs"] for cell in notebook["cells"])
    assert blue(picture(still[0])) > 1000
    # The plot itself was shown before there was data; closing it put its last picture in its place.
    assert set(shown[0]["data"]) == {"image/png", "text/plain"}
    assert blue(picture(shown[0])) > 1000
