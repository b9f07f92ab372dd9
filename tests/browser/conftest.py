"""A JupyterLab and a Chromium for all browser tests of a run."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that tests can import the helper module `lab`

if TYPE_CHECKING:
    from lab import LabPage, LabServer
    from playwright.sync_api import BrowserContext


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser, or a skip that says how to get it."""
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("no playwright: pip install playwright (its own browsers are not needed)")
    from lab import HOW_TO_GET_CHROMIUM, find_chromium

    return find_chromium() or pytest.skip(HOW_TO_GET_CHROMIUM)


@pytest.fixture(scope="session")
def lab_server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A JupyterLab with an empty folder; tests write their notebooks into ``lab_server.root``."""
    import lab

    with lab.lab_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def browser_context(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A Chromium without a window, with an empty profile."""
    from lab import CHROMIUM_ARGS
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=chromium,
            headless=True,
            args=CHROMIUM_ARGS,
            viewport={"width": 1280, "height": 1000},
        )
        yield context
        context.close()


@pytest.fixture
def open_notebook(
    lab_server: LabServer, browser_context: BrowserContext
) -> Iterator[Callable[[str], LabPage]]:
    """Open a notebook of ``lab_server.root`` by name; pages are closed, and kernels ended, after the test."""
    from lab import LabPage

    opened: list[LabPage] = []

    def open_one(name: str) -> LabPage:
        opened.append(LabPage.open(browser_context, lab_server, name))
        return opened[-1]

    yield open_one
    for page in opened:
        page.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.page.close()


@pytest.fixture
def make(lab_server: LabServer, open_notebook: Callable[[str], LabPage]) -> Callable[..., LabPage]:
    """Open a notebook of these cells, beside which `plot_notebook` lies."""
    from lab import write_notebook

    def make_one(name: str, *cells: str) -> LabPage:
        shutil.copy(Path(__file__).parent / "plot_notebook.py", lab_server.root)
        write_notebook(lab_server.root / name, cells)
        return open_notebook(name)

    return make_one
