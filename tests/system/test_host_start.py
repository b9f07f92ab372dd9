"""How a host server begins and ends, as its user sees it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from programs import PACKAGE, Program, all_gone

from pyacq_lab.host.runtime import RuntimeFolder

COMMANDS = {
    "module": [sys.executable, "-m", "pyacq_lab.host"],
    "command": [sys.executable, "-c", "import sys; from pyacq_lab.cli import main; sys.exit(main())", "host"],
}


def runtime_folders(jupyter_home: Path) -> list[Path]:
    return list((jupyter_home.parent / "jupyter-runtime" / "pyacq_lab").glob("*/host-*"))


@pytest.mark.parametrize("command", COMMANDS)
def test_it_prints_one_line_to_paste(jupyter_home, tmp_path, stack, command) -> None:
    program = Program([*COMMANDS[command], "tcp://127.0.0.1:0"], tmp_path)
    stack.callback(program.close)
    assert re.fullmatch(r'manager\.add_host\("tcp://127\.0\.0\.1:\d+", key="\S{80}"\)', program.line())
    program.signal(signal.SIGTERM)
    assert program.stdout.read() == ""
    assert program.wait() == 0
    assert program.errors() == ""


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:80", "tcp://127.0.0.1", "tcp://192.0.2.77:0"])
def test_an_endpoint_that_cannot_be_is_an_error_in_words(jupyter_home, endpoint) -> None:
    assert_fails(endpoint, repr(endpoint) if "192" not in endpoint else "cannot listen at")
    assert not runtime_folders(jupyter_home)


def test_a_port_that_is_taken_is_an_error_in_words(jupyter_home, start_host) -> None:
    host = start_host()
    assert_fails(host.endpoint, f"cannot listen at {host.endpoint}: Address already in use")
    assert len(runtime_folders(jupyter_home)) == 1


def assert_fails(endpoint: str, words: str) -> None:
    found = subprocess.run(
        [*COMMANDS["module"], endpoint],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )
    assert found.returncode == 1
    assert found.stdout == ""
    assert words in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_child_ends_with_its_standard_input(start_host) -> None:
    host = start_host("tcp://127.0.0.1:0", "--child")
    host.process.stdin.close()
    assert host.wait(10) == 0


def test_a_killed_hosts_files_are_swept_by_the_next(manager, start_host, jupyter_home, until) -> None:
    neighbour, killed = start_host(), start_host()
    group = manager.add_host(killed.endpoint).create_nodegroup()
    assert len(runtime_folders(jupyter_home)) == 2
    for path in (jupyter_home.parent / "jupyter-runtime" / "pyacq_lab").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    os.kill(group.pid, signal.SIGSTOP)  # it cannot clear up after itself
    killed.signal(signal.SIGKILL)
    killed.wait()
    psutil.Process(group.pid).kill()
    until(lambda: all_gone([group.pid]))
    assert len(runtime_folders(jupyter_home)) == 2
    start_host()
    names = [folder.name for folder in runtime_folders(jupyter_home)]
    assert not any(f"-{killed.pid}-" in name for name in names)
    assert any(f"-{neighbour.pid}-" in name for name in names)


def test_a_sweep_tells_of_each_leftover_before_it_goes(tmp_path) -> None:
    ours = RuntimeFolder(tmp_path)
    leftover = tmp_path / "host-1-1-abcdef"  # process 1 was not born in 1970
    leftover.mkdir()
    (leftover / "file").write_text("x")
    (tmp_path / "something else").mkdir()
    seen: list[str] = []
    assert ours.sweep(lambda folder: seen.append((folder / "file").read_text())) == [leftover]
    assert seen == ["x"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([ours.path.name, "something else"])
    ours.remove()
    ours.remove()
    assert not ours.path.exists()
