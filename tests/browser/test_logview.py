"""The views of the log in JupyterLab: a hundred thousand records, few of them in the page."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from lab import LabPage, LabServer, write_notebook

N = 100_000

SPOKEN = f"""
import logging, time
import pyacq_lab
from pyacq_lab.model.logs import LogRecord
manager = pyacq_lab.create_manager()
start = time.time_ns() - 3600 * 10**9
levels = [logging.INFO] * 17 + [logging.WARNING, logging.ERROR, logging.DEBUG]
manager.log_server.store.append([
    LogRecord(time_ns=start + i * 10**7, seq=i, host="rig", process=("camera", "disk")[i % 2],
              pid=40 + i % 2, thread="pump", logger="driver", level=levels[i % 20], message=f"frame {{i}}",
              traceback="Traceback (most recent call last):\\nOSError: cable pulled\\n" * (i % 20 == 18),
              late=i == {N - 3}, lost=7 if i == {N - 2} else 0)
    for i in range({N})
])
"""

SHOWN = "view = manager.log_view()\nview"
ENDED = """
import os, signal
group = manager.create_nodegroup("lens")
group.run("print('the lens is cold')")
pyacq_lab.wait_for(lambda: group.logs(contains="cold"))
os.kill(group.pid, signal.SIGKILL)
pyacq_lab.wait_for(lambda: not group.alive)
panel = manager.panel()
panel
"""

LIST = ".pq-log .pq-list"
ROWS = "[...document.querySelectorAll('.pq-log .pq-row')]"
IN_SIGHT = f"""(text) => {{
    const list = document.querySelector('{LIST}')?.getBoundingClientRect();
    return list !== undefined && {ROWS}.some((row) => {{
        const box = row.getBoundingClientRect();
        return row.textContent.includes(text) && box.top >= list.top - 1 && box.bottom <= list.bottom + 1;
    }});
}}"""
SCROLL = f"""(part) => {{
    const list = document.querySelector('{LIST}');
    list.scrollTop = part * (list.scrollHeight - list.clientHeight);
}}"""
TAIL = (
    "[...window.jupyterapp.shell.currentWidget.content.widgets[0].node"
    ".querySelectorAll('.jp-OutputArea .jp-OutputArea')]"
)
SHOWS = f"(text) => {TAIL}.length === 1 && {TAIL}[0].textContent.includes(text)"
IS_SAVED = (
    "(text) => window.jupyterapp.shell.currentWidget.content.model.cells.get(0).outputs.toJSON()"
    ".some((output) => (output.data?.['text/plain'] ?? '').includes(text))"
)
COUNT = "(text) => document.querySelector('.pq-log .pq-count')?.textContent === text"


ACTIVE = "() => window.jupyterapp.shell.currentWidget.content.activeCellIndex"


def say_more(page: LabPage, word: str) -> None:
    """Say something from no cell."""
    page.page.evaluate(
        "(code) => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({ code }).done.then(() => null)",
        f"logging.getLogger('bench').warning({word!r})",
    )


def follow_button(page: LabPage):
    return page.page.locator(".pq-log .pq-follow")


@pytest.fixture(scope="module")
def spoken(lab_server: LabServer) -> str:
    write_notebook(lab_server.root / "log.ipynb", [SPOKEN, SHOWN, "1"])
    return "log.ipynb"


def test_a_hundred_thousand_records_are_looked_through(
    spoken: str, lab_server: LabServer, open_notebook: Callable[[str], LabPage]
) -> None:
    page = open_notebook(spoken)
    page.run_all()
    page.show_cell(1)
    page.wait_for(IN_SIGHT, 30, f"frame {N - 1}")

    # What is late or lost says so in words.
    marks = page.page.evaluate(f"() => {ROWS}.slice(-3).map((row) => row.textContent)")
    assert "late" in marks[0]
    assert "lost" in marks[1]

    # Top, middle, end: the rows come, and the page never holds more than those around.
    page.page.evaluate("() => { window.most = 0; window.watch = setInterval(() => { window.most = "
                       f"Math.max(window.most, {ROWS}.length); }}, 10); }}")  # fmt: skip
    session = page.page.context.new_cdp_session(page.page)
    session.send("HeapProfiler.collectGarbage")
    before = session.send("Runtime.getHeapUsage")["usedSize"]
    for part, frame in ((0, 0), (0.5, N // 2), (1, N - 1), (0.25, N // 4), (0, 0)):
        page.page.evaluate(SCROLL, part)
        page.wait_for(IN_SIGHT, 20, f"frame {frame}")
    for part in range(100):
        page.page.evaluate(SCROLL, part / 100)
    page.page.evaluate(SCROLL, 0.9)
    page.wait_for(IN_SIGHT, 20, f"frame {int(0.9 * N)}")
    session.send("HeapProfiler.collectGarbage")
    after = session.send("Runtime.getHeapUsage")["usedSize"]
    assert after - before < 20e6
    assert page.page.evaluate("() => { clearInterval(window.watch); return window.most; }") < 80

    # Paused where one looks, while others come; then following again.
    assert follow_button(page).inner_text() == "Follow"
    say_more(page, "said later")
    page.wait_for("() => document.querySelector('.pq-log .pq-follow')?.textContent === 'Follow (1 new)'", 20)
    assert page.page.evaluate(IN_SIGHT, f"frame {int(0.9 * N)}")
    follow_button(page).click()
    page.wait_for(IN_SIGHT, 20, "said later")
    assert follow_button(page).inner_text() == "Pause"

    # The kernel filters.
    page.page.get_by_label("lowest level").select_option("40")
    page.wait_for(COUNT, 20, f"{N // 20:,} records")
    page.page.get_by_label("part of host/process").fill("rig/camera")
    page.page.get_by_label("text to find").fill("FRAME 777")
    page.wait_for(COUNT, 20, "6 records")

    # A click, or the keyboard, shows the whole record.
    page.page.locator(".pq-log .pq-row").filter(has_text="frame 77798").click()
    detail = page.page.locator(".pq-log .pq-detail")
    detail.filter(has_text="cable pulled").wait_for()
    fields = detail.inner_text()
    assert all(name in fields for name in ("pid", "seq", "thread", "time_ns", "channel"))
    active = page.page.evaluate(ACTIVE)
    page.page.locator(LIST).press("ArrowUp")
    assert page.page.evaluate(ACTIVE) == active  # the key was not the notebook's
    detail.filter(has_text="frame 77778").wait_for()
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.page.locator(".pq-copy").click()
    page.page.locator(".pq-copy", has_text="Copied").wait_for()
    assert "OSError: cable pulled" in page.page.evaluate("() => navigator.clipboard.readText()")
    page.page.locator(LIST).press("Escape")
    assert not detail.is_visible()

    # The file holds what is listed.
    page.page.locator(".pq-export").select_option(".jsonl")
    page.page.locator(".pq-log .pq-badge", has_text="exported to").wait_for()
    (file,) = lab_server.root.glob("log_*.jsonl")
    messages = [json.loads(line)["message"] for line in file.read_text().splitlines()]
    assert messages.pop(0).startswith("this is not all")  # more was said than memory holds
    assert len(messages) == 6
    assert "frame 77798" in messages

    # After a reload of the page the same filters and records are there.
    page.reload()
    page.show_cell(1)
    page.wait_for(COUNT, 30, "6 records")
    page.wait_for(IN_SIGHT, 20, "frame 77798")
    assert page.page.get_by_label("text to find").input_value() == "FRAME 777"

    page.page.get_by_label("text to find").fill("")
    page.set_theme("JupyterLab Dark")
    page.wait_for(COUNT, 20, f"{N // 20:,} records")
    page.page.get_by_label("lowest level").select_option("0")
    page.page.get_by_label("part of host/process").fill("")
    say_more(page, "said after the reload")
    page.wait_for(IN_SIGHT, 20, "said after the reload")
    page.set_theme("JupyterLab Light")
    assert page.errors() == page.complaints == []


@pytest.mark.parametrize("mode", ["local", "rpc"])
def test_the_newest_records_are_below_the_cell_that_makes_the_manager_and_are_saved(
    lab_server: LabServer, open_notebook: Callable[[str], LabPage], mode: str
) -> None:
    cell = f"import logging\nimport pyacq_lab\nmanager = pyacq_lab.create_manager({mode!r})\n"
    write_notebook(
        lab_server.root / "tail.ipynb",
        [cell, "for i in range(100): logging.getLogger('bench').warning('word %d', i)"],
    )
    page = open_notebook("tail.ipynb")
    page.run_all()
    page.wait_for(SHOWS, 20, "word 99")
    assert "word 87" not in page.page.evaluate(f"() => {TAIL}[0].textContent")
    page.wait_for(IS_SAVED, 20, "word 99")
    (output,) = page.outputs(0)
    assert len(output["data"]["text/plain"].splitlines()) == 12
    page.wait_for(SHOWS, 20, "word 99")

    # After a reload it goes on; what is saved is what was there, until the cell runs again.
    page.reload()
    page.wait_for(SHOWS, 20, "word 99")
    say_more(page, "said after the reload")
    page.wait_for(SHOWS, 20, "said after the reload")
    assert "word 99" in page.outputs(0)[0]["data"]["text/plain"]
    page.start_cell(0)
    page.wait_for(IS_SAVED, 20, "said after the reload")
    page.wait_for(SHOWS, 20, "said after the reload")
    say_more(page, "said after the cell")
    page.wait_for(SHOWS, 20, "said after the cell")
    assert len(page.outputs(0)) == 1
    assert page.errors() == page.complaints == []


def test_a_dead_process_says_how_it_ended_and_what_it_said(
    lab_server: LabServer, open_notebook: Callable[[str], LabPage]
) -> None:
    cell = "import pyacq_lab\nmanager = pyacq_lab.create_manager(logs='off')" + ENDED
    write_notebook(lab_server.root / "panel.ipynb", [cell])
    page = open_notebook("panel.ipynb")
    page.run_all()
    page.page.get_by_label("log of lens").click()
    page.page.locator(".pq-log-bar", has_text="SIGKILL").wait_for()
    page.page.locator(".pq-log .pq-row", has_text="the lens is cold").wait_for()
    page.reload()
    page.page.locator(".pq-log .pq-row", has_text="the lens is cold").wait_for()
    page.page.locator(".pq-log-bar button").click()
    page.page.locator(".pq-log").wait_for(state="detached")
    assert page.errors() == page.complaints == []


def test_views_of_a_kernel_that_was_killed_say_so(
    lab_server: LabServer, open_notebook: Callable[[str], LabPage]
) -> None:
    cells = [
        "import logging, os, signal\nimport pyacq_lab\nmanager = pyacq_lab.create_manager(logs='off')",
        "logging.getLogger('bench').warning('before')\nmanager.log_view()",
        "manager.panel()",
    ]
    write_notebook(lab_server.root / "killed.ipynb", cells)
    page = open_notebook("killed.ipynb")
    page.run_all()
    page.wait_for(IN_SIGHT, 20, "before")
    page.page.evaluate(
        "() => void window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({ code: 'os.kill(os.getpid(), signal.SIGKILL)' })"
    )
    for view in (".pq-log", ".pq-manager"):
        page.page.locator(f"{view} .pq-badge", has_text="no answer: the kernel is busy or gone").wait_for()
    page.page.locator(".jp-Dialog button").click()
    assert page.page.evaluate(IN_SIGHT, "before")
    assert page.complaints == []
