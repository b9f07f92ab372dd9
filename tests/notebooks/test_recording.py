"""The recording notebook runs, and what it shows is what it promises."""

from __future__ import annotations

import re
from pathlib import Path

import nbclient
import nbformat
import pytest

pytestmark = pytest.mark.timeout(300)

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "recording.ipynb"


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory):
    """Outputs of the notebook's cells, found by a part of their source."""
    home = tmp_path_factory.mktemp("recording")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "CONFIG", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(home / name))
        resources = {"metadata": {"path": str(home)}}
        nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()

    def find(source: str) -> str:
        (cell,) = [c for c in notebook.cells if c.cell_type == "code" and source in c.source]
        parts = [o.get("text") or "\n".join(str(v) for v in o.get("data", {}).values()) for o in cell.outputs]
        return "\n".join(parts)

    return find


def test_a_killed_recorder_goes_on_without_a_missing_sample(shown) -> None:
    before, after = re.findall(r"acknowledged before the kill: (\d+), now: (\d+)", shown("os.kill"))[0]
    assert int(after) > int(before) + 2 * 360
    text = shown("assert_array_equal(heart.raw()")
    (count,) = re.findall(r"(\d+) samples, all equal to the source, 0 gaps", text)
    assert int(count) >= int(after)
    assert re.search(r"[3-9] beats, every 0\.\d+ s", text)
    assert text.index("electrodes checked") < text.index("recorder was killed")


def test_damage_is_told_exactly_and_mended(shown) -> None:
    assert re.search(r"damaged: \[1200, \d+\), .*cut short", shown("recording.verify(copy)"))
    mended = shown("recording.recover(copy)")
    assert "(recovered): all is whole" in mended
    assert re.search(r"Gap\(start=1200, stop=\d+, epoch=0, reason='damaged'\)", mended)


def test_the_run_is_exported_and_rehearsed(shown) -> None:
    assert re.search(r"heart_.*\.edf \d{4,} bytes", shown("run.export"))
    assert "the filter gave the same again, bit for bit" in shown("manager.replay_run")
