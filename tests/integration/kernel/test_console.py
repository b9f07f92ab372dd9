"""Jupyter's console on the kernel of a nodegroup."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pyacq_lab.cli import main
from pyacq_lab.manager.manager import Manager


def console(file: object, typed: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pyacq_lab", "console", str(file), "--simple-prompt"]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=90)


def test_a_terminal_attaches_and_leaves_the_nodegroup_alive(jupyter_home) -> None:
    with Manager() as manager:
        group = manager.create_nodegroup("daq")
        done = console(group.kernel_connection_file(), "print('here', 6 * 7, nodegroup.name)\nexit\n")
        assert "here 42 daq" in done.stdout
        assert done.returncode == 0
        assert group.list_nodes() == []


def test_a_file_that_is_none_is_named(tmp_path, capsys) -> None:
    assert main(["console", str(tmp_path / "nothing.json")]) == 1
    assert "nothing.json" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["host", "console", "demo"])
def test_each_command_explains_itself(command, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"pyacq-lab {command}" in capsys.readouterr().out
