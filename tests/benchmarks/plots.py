"""Measure live plots in a real JupyterLab: ``python -m tests.benchmarks.plots``.

Writes docs/benchmarks/results/plots.json and, from it, docs/benchmarks/plots.md. Needs what the browser tests
need, and jupyter_bokeh for the peer (extra ``benchmark``).
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from lab import (
    CHROMIUM_ARGS,
    HOW_TO_GET_CHROMIUM,
    LabPage,
    LabServer,
    find_chromium,
    lab_server,
    write_notebook,
)
from playwright.sync_api import BrowserContext, sync_playwright

from tests.benchmarks import plotcells
from tests.benchmarks.common import Row, goals, head, machine, median, show, write

TESTS = Path(__file__).parents[1]
CHANNELS = (8, 64, 256)
ASKED = 60


@contextmanager
def jupyterlab() -> Iterator[tuple[BrowserContext, LabServer]]:
    """A JupyterLab and a Chromium without a window."""
    chromium = find_chromium()
    if chromium is None:
        raise SystemExit(HOW_TO_GET_CHROMIUM)
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        lab_server(Path(folder) / "lab") as server,
    ):
        context = playwright.chromium.launch_persistent_context(
            Path(folder) / "chromium",
            executable_path=chromium,
            headless=True,
            args=CHROMIUM_ARGS,
            viewport={"width": 1280, "height": 1000},
        )
        try:
            yield context, server
        finally:
            context.close()


def kernel_of(page: LabPage) -> psutil.Process:
    """The process of a notebook's kernel."""
    name = page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
    (found,) = [p for p in psutil.process_iter(["cmdline"]) if name in " ".join(p.info["cmdline"] or [])]
    return found


def watch(page: LabPage, count: Callable[[], int], seconds: float) -> dict[str, float]:
    """What happens while the plot moves: painted frames, their age, what the kernel and the server use."""
    kernel = kernel_of(page)
    page.page.evaluate("() => { window.lags.length = 0; }")
    used, painted, begun = _cpu(kernel), count(), time.perf_counter()
    page.page.wait_for_timeout(seconds * 1000)
    elapsed, painted, used = time.perf_counter() - begun, count() - painted, _cpu(kernel) - used
    lags = sorted(page.page.evaluate("() => window.lags"))
    if not painted or not lags:
        raise RuntimeError("nothing was painted")
    return {
        "painted fps": round(painted / elapsed, 1),
        "p50, ms": round(1e3 * median(lags), 1),
        "p95, ms": round(1e3 * lags[int(0.95 * (len(lags) - 1))], 1),
        "kernel, ms": round(1e3 * used / painted, 2),
    }


def ours(
    context: BrowserContext,
    server: LabServer,
    n_channels: int,
    n_plots: int,
    seconds: float,
    busy: bool = False,
) -> dict[str, float]:
    """Our oscilloscope, over the notebook's own channel; ``busy``: while a cell runs."""
    cells = [
        _feed(n_channels),
        plotcells.OURS.format(n_plots=n_plots, window=plotcells.WINDOW, fps=ASKED),
        plotcells.SHOW_OURS,
        f"begin = time.time()\nwhile time.time() < begin + {seconds + 12}: pass" if busy else "pass",
    ]
    name = f"ours-{n_channels}-{n_plots}-{busy}.ipynb"
    with _opened(context, server, name, cells) as page:
        if n_plots > 1:  # what is out of sight is not painted
            page.page.set_viewport_size({"width": 1280, "height": 700 * n_plots})
        page.start_above(3)
        page.wait_cell(2)
        (text,) = [o["text"] for o in page.outputs(1) if o["output_type"] == "stream"]
        begun = [float(value) for value in re.findall(r"\d+\.\d+", "".join(text))]
        is_painted = f"""() => {{
            const roots = [...document.querySelectorAll('.pyacq-oscilloscope')];
            return roots.length === {n_plots}
                && roots.every((root) => root.oscilloscope?.panels[0]?.painter.painted > 5);
        }}"""
        page.show_cell(2)
        page.wait_for(is_painted, 60)
        if busy:
            page.start_from(3)
        page.page.wait_for_timeout(3000)
        page.page.evaluate(plotcells.WATCH_OURS, begun)
        found = watch(page, lambda: page.page.evaluate("() => Math.min(...window.painted())"), seconds)
        found["kernel, ms"] = float("nan") if busy else round(found["kernel, ms"] / n_plots, 2)
        return found


def plain(context: BrowserContext, server: LabServer, n_channels: int, seconds: float) -> dict[str, float]:
    """A bokeh figure of stock glyphs that gets whole windows, through jupyter_bokeh."""
    cells = [
        _feed(n_channels),
        plotcells.PLAIN.format(window=plotcells.WINDOW, fps=ASKED),
        plotcells.SHOW_PLAIN,
        plotcells.RUN_PLAIN,
        "pass",
    ]
    with _opened(context, server, f"plain-{n_channels}.ipynb", cells) as page:
        page.page.evaluate(plotcells.COUNT_STROKES)
        page.start_above(4)
        page.wait_cell(3)
        page.show_cell(2)
        page.page.wait_for_timeout(5000)
        return watch(page, lambda: page.page.evaluate("() => window.strokes.size"), seconds)


@contextmanager
def _opened(context: BrowserContext, server: LabServer, name: str, cells: list[str]) -> Iterator[LabPage]:
    write_notebook(server.root / name, cells)
    page = LabPage.open(context, server, name)
    try:
        yield page
    finally:
        page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.page.close()


def _feed(n_channels: int) -> str:
    return plotcells.FEED.format(here=str(TESTS / "browser"), n_channels=n_channels)


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return used.user + used.system


def measure(seconds: float = 10.0, channels: tuple[int, ...] = CHANNELS) -> dict[str, Any]:
    """Take all figures.

    Parameters
    ----------
    seconds : float
        How long each plot is watched.
    channels : tuple of int
        Numbers of channels.
    """
    result: dict[str, Any] = {"machine": machine(), "seconds": seconds, "asked": ASKED}
    result |= {"ours": {}, "plain": {}}
    with jupyterlab() as (context, server):
        for n in channels:
            result["ours"][f"{n} channels"] = ours(context, server, n, 1, seconds)
        result["ours"]["64 channels, 4 plots"] = ours(context, server, 64, 4, seconds)
        result["ours"]["64 channels, while a cell runs"] = ours(context, server, 64, 1, seconds, busy=True)
        for n in channels:
            result["plain"][f"{n} channels"] = plain(context, server, n, seconds)
    return result


def ratios(result: Mapping[str, Any]) -> list[Row]:
    """Figures beside their goals."""
    rows: list[Row] = []
    for what, figures in result["ours"].items():
        is_busy = "cell" in what
        age = f"{figures['p50, ms']:g}"
        rows += [
            (f"{what}: painted frames/s", f"{figures['painted fps']:g}", ">= 12" if is_busy else ">= 40"),
            (f"{what}: age of the newest sample, p50, ms", age, "" if is_busy else "<= 30"),
        ]
        if not is_busy:
            rows.append((f"{what}: kernel CPU per frame, ms", f"{figures['kernel, ms']:g}", "<= 3"))
    return rows


ABOUT = f"""Noise of int16 at 30 kHz, {plotcells.WINDOW:g} s in view, {ASKED} frames a second asked for,
in JupyterLab in a Chromium without a window and without a GPU, over the notebook's own channel. The age of
the newest sample is taken when it has been painted. *Plain* is a bokeh figure of stock lines that gets
whole windows of min/max pairs through jupyter_bokeh.""".splitlines()


def page(result: Mapping[str, Any]) -> str:
    """The page for the documentation."""
    lines = head("Plots", "tests.benchmarks.plots", ABOUT, result) + goals(ratios(result))
    for title, rows in (("Oscilloscope", result["ours"]), ("Plain bokeh", result["plain"])):
        columns = list(next(iter(rows.values())))
        lines += ["", f"{title}:", "", f"| | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for what, row in rows.items():
            lines.append(f"| {what} | {' | '.join(f'{row[column]:g}' for column in columns)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print, write."""
    result = measure()
    show(ratios(result))
    write("plots", result, page(result))


if __name__ == "__main__":
    main()
