"""The quickstart notebook runs, and what it shows is what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from PIL import Image

from pyacq_lab import demo

pytestmark = pytest.mark.timeout(300)


def run_cli(*arguments: str, notebook: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``pyacq-lab`` as a program, with another notebook for the quickstart if one is given."""
    code = "import sys; from pathlib import Path; from pyacq_lab import cli, demo; "
    if notebook is not None:
        code += f"demo.find_notebook = lambda: Path({str(notebook)!r}); "
    code += "sys.exit(cli.main(sys.argv[1:]))"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=250)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``pyacq-lab demo --headless`` leaves."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "out"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "CONFIG", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(home / name))
        run = run_cli("demo", "--headless", "--out", str(folder))
    assert run.returncode == 0, run.stderr
    assert str(folder / "quickstart.png") in run.stdout
    return folder


@pytest.fixture(scope="module")
def shown(made: Path) -> Any:
    """Outputs of the notebook's cells, found by a part of their source."""
    notebook = nbformat.read(made / "quickstart.ipynb", as_version=4)

    def find(source: str) -> str:
        (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
        parts = [o.get("text") or "\n".join(str(v) for v in o.get("data", {}).values()) for o in cell.outputs]
        return "\n".join(parts)

    find.notebook = notebook
    return find


def test_no_cell_ended_in_an_error(shown) -> None:
    outputs = [o for c in shown.notebook.cells for o in c.get("outputs", [])]
    assert outputs
    assert not [o for o in outputs if o.output_type == "error"]


def test_two_hosts_and_all_nodes_are_listed(shown) -> None:
    assert re.search(r"host bench at tcp://127.0.0.1:\d+: connected.*host local", shown("add_host"), re.S)
    table = shown("manager.start_all_nodes()")
    for name in ("bench", "acquisition", "monitor", "processing", "smooth", "ecg", "lowpass", "recorder"):
        assert name in table


def test_the_remote_cell_shows_its_table_and_its_print(shown) -> None:
    remote = shown("%%pyacq run acquisition")
    assert re.search(r"hello from process \d+", remote)
    assert "<table>" in remote
    assert "monitor" not in remote or "cpu" in remote


def test_the_log_holds_the_print_the_warning_and_both_tracebacks(shown) -> None:
    log = shown("manager.log_view()")
    assert "hello from process" in log
    assert "the coffee is getting cold" in log
    assert "ZeroDivisionError" in log
    assert "simulated fault at sample 200" in log
    assert "bench/acquisition" in log


def test_a_broken_node_leaves_its_neighbour_running(shown) -> None:
    text = shown("flaky = ")
    assert "faulted (OSError: simulated fault at sample 200)" in text
    assert "monitor: running" in text


def test_what_was_recorded_is_what_was_sent(shown) -> None:
    text = shown("assert_array_equal")
    assert re.search(r"cpu: [1-9]\d* samples equal", text)
    (count,) = re.findall(r"ecg: all (\d+) samples equal to the source", text)
    assert int(count) > 6 * 360
    accounts = re.findall(r"(\d+) sent, (\d+) received, on disk up to (\d+), 0 lost", text)
    assert len(accounts) == 4
    assert all(sent == received != "0" and int(stop) >= int(sent) for sent, received, stop in accounts)


def test_nothing_is_left_at_the_end(shown) -> None:
    text = shown("manager.close()")
    assert "bench host ended with code 0" in text
    assert "processes left: []" in text


def test_the_picture_shows_traces(made) -> None:
    with Image.open(made / "quickstart.png") as picture:
        assert picture.width >= 900
        colours = picture.convert("RGB").getcolors(maxcolors=2**20)
    assert colours is not None
    blue = sum(n for n, (r, g, b) in colours if b > 120 and r < 90 and g < 150)
    assert blue > 500, "no trace was painted"


def test_the_page_stands_alone(made) -> None:
    page = (made / "quickstart.html").read_text()
    assert "data:image/png" in page
    assert "lowpass" in page


def test_a_failing_notebook_is_named_with_its_cell(tmp_path, jupyter_home) -> None:
    broken = tmp_path / "quickstart.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), broken)
    run = run_cli("demo", "--headless", "--out", str(tmp_path / "out"), notebook=broken)
    assert run.returncode == 1
    assert "ZeroDivisionError" in run.stderr


def test_an_earlier_copy_is_not_overwritten(tmp_path) -> None:
    copy = demo.copy_notebook(tmp_path)
    copy.write_text("mine")
    assert demo.copy_notebook(tmp_path).read_text() == "mine"
