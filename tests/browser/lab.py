"""JupyterLab in Chromium, for tests: start the server, open notebooks, run them, look at them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page

CHROMIUM_ARGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip

HOW_TO_GET_CHROMIUM = (
    "no Chromium: install it (Debian and Ubuntu: apt-get install chromium), "
    "or name one with the environment variable PYACQ_LAB_CHROMIUM"
)

_QUIET_SETTINGS = {
    "apputils-extension/notification": {
        "fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True,
    },
}  # fmt: skip

_HARMLESS = ("favicon.ico", "Failed to load resource: the server responded with a status of 404")


def find_chromium() -> str | None:
    """The browser to use: what PYACQ_LAB_CHROMIUM names, else a Chromium or Chrome of the system."""
    named = os.environ.get("PYACQ_LAB_CHROMIUM")
    if named:
        return named if Path(named).is_file() else None
    for candidate in ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(candidate):
            return found
    return None


@dataclass(frozen=True)
class LabServer:
    """A running JupyterLab. Its kernels are this interpreter with this process's environment."""

    url: str
    root: Path
    runtime: Path


@contextmanager
def lab_server(folder: Path, notebooks: Sequence[Path] = (), timeout: float = 60.0) -> Iterator[LabServer]:
    """Run JupyterLab on loopback, in folders of its own, with copies of notebooks."""
    places = {name: folder / name for name in ("config", "data", "runtime", "settings", "workspaces", "root")}
    for place in places.values():
        place.mkdir(parents=True)
    for notebook in notebooks:
        shutil.copy(notebook, places["root"])
    _write_kernelspec(places["data"])
    for name, settings in _QUIET_SETTINGS.items():
        path = places["settings"] / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    python_path = os.environ.get("PYTHONPATH", "")
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(places["config"]),
        "JUPYTER_DATA_DIR": str(places["data"]),
        "JUPYTER_RUNTIME_DIR": str(places["runtime"]),
        "JUPYTERLAB_SETTINGS_DIR": str(places["settings"]),
        "JUPYTERLAB_WORKSPACES_DIR": str(places["workspaces"]),
        "IPYTHONDIR": str(folder / "ipython"),
        # Kernels run in another folder than the tests.
        "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, python_path.split(os.pathsep)))),
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password=",
        f"--ServerApp.root_dir={places['root']}", "--ServerApp.allow_root=True",
        "--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True",
        "--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly", "--KernelSpecManager.ensure_native_kernel=False",
    ]  # fmt: skip
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, url, log, timeout)
        yield LabServer(url, places["root"], places["runtime"])
    finally:
        _end(process)


def _write_kernelspec(data: Path) -> None:
    """A ``python3`` kernel that is this interpreter, wherever the notebook's own kernelspec would point."""
    path = data / "kernels" / "python3" / "kernel.json"
    path.parent.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    path.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(f"{url}/api/status", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not come up ({error}):\n{log.read_text()}") from error
            time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server and the kernels it started."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
    _, alive = psutil.wait_procs(family, timeout=5)
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=5)


def write_notebook(path: Path, cells: Sequence[str]) -> None:
    """Make a notebook of code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


@dataclass
class LabPage:
    """One notebook, open in JupyterLab in a page of its own.

    Attributes
    ----------
    complaints : list of str
        Errors of the browser's console and uncaught exceptions of the page, so far.
    """

    page: Page
    server: LabServer
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, context: BrowserContext, server: LabServer, name: str) -> LabPage:
        """Open a notebook and wait until its kernel is idle."""
        page = context.new_page()
        lab = cls(page, server)
        page.on("console", lab._on_console)
        page.on("pageerror", lambda error: lab.complaints.append(f"uncaught: {error}"))
        page.goto(f"{server.url}/lab/tree/{name}?reset")
        lab.wait_ready()
        return lab

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in _HARMLESS):
            self.complaints.append(f"console: {message.text}")

    def wait_ready(self, timeout: float = 90.0) -> None:
        """Wait until the notebook is drawn and its kernel is idle."""
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=1e3 * timeout)
        self.wait_for("""() => {
            const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.sessionContext?.session?.kernel?.status === "idle";
        }""", timeout)  # fmt: skip

    def wait_for(self, predicate: str, timeout: float = 60.0, arg: Any = None) -> Any:
        """Wait until a JavaScript function gives something true, and give it."""
        return self.page.wait_for_function(predicate, arg=arg, timeout=1e3 * timeout).json_value()

    def run_all(self, timeout: float = 120.0) -> None:
        """Run all cells and wait until the last is done."""
        self.start_all()
        self.wait_done(timeout)

    def start_all(self) -> None:
        """Begin to run all cells."""
        self.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def start_cell(self, index: int) -> None:
        """Begin to run one cell."""
        self._start_at(index, "notebook:run-cell")

    def start_above(self, index: int) -> None:
        """Begin to run all cells before one."""
        self._start_at(index, "notebook:run-all-above")

    def start_from(self, index: int) -> None:
        """Begin to run one cell and all after it."""
        self._start_at(index, "notebook:run-all-below")

    def _start_at(self, index: int, command: str) -> None:
        self.page.evaluate(
            """([index, command]) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = index;
            content.deselectAll();
            void window.jupyterapp.commands.execute(command);
        }""",
            [index, command],
        )

    def wait_done(self, timeout: float = 120.0) -> None:
        """Wait until every code cell has run and the kernel is idle."""
        self.wait_for("""() => {
            const panel = window.jupyterapp.shell.currentWidget;
            const cells = Array.from(panel.content.model.cells).filter((cell) => cell.type === "code");
            return cells.every((cell) => cell.executionCount > 0 || cell.sharedModel.source.trim() === "")
                && panel.sessionContext.session.kernel.status === "idle";
        }""", timeout)  # fmt: skip

    def wait_cell(self, index: int, timeout: float = 60.0) -> None:
        """Wait until one cell has run."""
        self.wait_for(
            "(i) => window.jupyterapp.shell.currentWidget.content.model.cells.get(i).executionCount > 0",
            timeout,
            index,
        )

    def has_run(self, index: int) -> bool:
        """Whether a cell is done. (A subshell calls the kernel idle while a cell still runs.)"""
        return self.page.evaluate(
            "(i) => window.jupyterapp.shell.currentWidget.content.model.cells.get(i).executionCount > 0",
            index,
        )

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Outputs of one cell, as the notebook would save them."""
        return self.page.evaluate(
            "(i) => window.jupyterapp.shell.currentWidget.content.model.cells.get(i).outputs.toJSON()", index
        )

    def errors(self) -> list[str]:
        """Tracebacks and messages of all cells that failed."""
        found = self.page.evaluate("""() => {
            const cells = Array.from(window.jupyterapp.shell.currentWidget.content.model.cells);
            return cells.filter((cell) => cell.type === "code").flatMap((cell) => cell.outputs.toJSON())
                .filter((output) => output.output_type === "error");
        }""")
        return [f"{error['ename']}: {error['evalue']}\n" + "\n".join(error["traceback"]) for error in found]

    def show_cell(self, index: int) -> None:
        """Scroll a cell into sight; off-screen cells of a long notebook may have no elements."""
        self.page.evaluate(
            "(i) => window.jupyterapp.shell.currentWidget.content.widgets[i].node.scrollIntoView()", index
        )

    def save(self) -> None:
        """Save the notebook."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def reload(self) -> None:
        """Save, and load the page again; the kernel goes on."""
        self.save()
        self.page.reload()
        self.wait_ready()

    def set_theme(self, theme: str) -> None:
        """Choose a theme of JupyterLab, such as ``JupyterLab Dark``, and wait until the page wears it."""
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
        )
        light = "false" if "Dark" in theme else "true"
        self.wait_for("(light) => document.body.dataset.jpThemeLight === light", 30, light)

    def screenshot(self, target: str | Locator, path: Path) -> bytes:
        """Take a picture of an element (a selector or a locator) into a file; give the PNG."""
        locator = self.page.locator(target).first if isinstance(target, str) else target
        return locator.screenshot(path=path)
