"""``pyacq-lab demo``: the quickstart notebook, in JupyterLab or without a browser."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pyacq_lab.errors import PyacqError, UnknownName

NOTEBOOK = "quickstart.ipynb"

CELL_TIMEOUT = 120
"""Seconds that one cell may take in a headless run."""


class DemoFailed(PyacqError):
    """A cell of the notebook failed; the message names it."""


def find_notebook() -> Path:
    """Quickstart notebook as it comes with the package, or beside it in a clone."""
    here = Path(__file__).parent
    for folder in (here / "notebooks", here.parent / "notebooks"):
        if (folder / NOTEBOOK).is_file():
            return folder / NOTEBOOK
    raise UnknownName(f"{NOTEBOOK} is neither in the package at {here} nor beside it: install it again")


def copy_notebook(folder: Path) -> Path:
    """Copy the notebook to work on; the original stays as it is. An earlier copy is kept as it is, too."""
    folder.mkdir(parents=True, exist_ok=True)
    copy = folder / NOTEBOOK
    if not copy.exists():
        shutil.copyfile(find_notebook(), copy)
    return copy


def open_lab(folder: Path, *, browser: bool = True) -> int:
    """Open a copy of the notebook in JupyterLab; returns its exit code when it is closed."""
    command = [sys.executable, "-m", "jupyter", "lab", str(copy_notebook(folder))]
    if not browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:
        return 0


def run_headless(folder: Path) -> list[Path]:
    """Run a copy of the notebook without a browser.

    Parameters
    ----------
    folder : Path
        Where the web page, the executed notebook and the plot's picture go; earlier ones are replaced.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    DemoFailed
        A cell failed, or no plot came out of it.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    folder.mkdir(parents=True, exist_ok=True)
    notebook: Any = nbformat.read(find_notebook(), as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder.resolve())}},
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError) as error:
        raise DemoFailed(f"a cell of {NOTEBOOK} failed: {error}") from None
    page, picture, executed = (folder / f"quickstart.{suffix}" for suffix in ("html", "png", "ipynb"))
    nbformat.write(notebook, executed)
    html, _ = HTMLExporter().from_notebook_node(notebook)
    page.write_text(html, encoding="utf-8")
    picture.write_bytes(last_picture(notebook))
    return [page, picture, executed]


def last_picture(notebook: Any) -> bytes:
    """PNG that the notebook showed last. Raises DemoFailed where it showed none."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    for output in reversed(outputs):
        if "image/png" in output.get("data", {}):
            return base64.b64decode(output["data"]["image/png"])
    raise DemoFailed(f"{NOTEBOOK} ran, but showed no picture")
