"""The template and the host may die; nobody is left behind, and nothing is lost that need not be."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyacq_lab.kernel.client import KernelClient

HOST = """
import asyncio, sys
from pathlib import Path
from pyacq_lab.kernel.launcher import Launcher, LaunchRequest

async def main(folder, use_template, outlive):
    options = {"program": "tiny_program:main", "preload": ("tiny_program",), "use_template": use_template}
    launcher = Launcher(folder / "run", **options)
    await launcher.start()
    bootstrap = {"diary": str(folder / "diary"), "outlive": outlive}
    process = await launcher.launch(
        LaunchRequest("group", bootstrap), on_output=lambda *line: None, on_exit=lambda ending: None
    )
    print(launcher.template_pid or 0, process.pid, process.connection_file, flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "True", sys.argv[3] == "True"))
"""


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("use_template", [True, False])
@pytest.mark.parametrize("outlive", [False, True])
def test_a_killed_host_leaves_only_what_should_outlive_it(
    tmp_path: Path, wait_until: Callable[..., None], use_template: bool, outlive: bool
) -> None:
    arguments = [sys.executable, "-c", HOST, str(tmp_path), str(use_template), str(outlive)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as host:
        try:
            assert host.stdout is not None
            template, group, file = host.stdout.readline().split()
        finally:
            host.kill()
    diary = tmp_path / "diary"
    if use_template:
        wait_until(lambda: gone(int(template)))
    if not outlive:
        wait_until(lambda: gone(int(group)))
        assert diary.read_text().splitlines() == ["started", "closing"]
        assert not Path(file).exists()
        return
    wait_until(lambda: "host gone" in diary.read_text())
    client = KernelClient(json.loads(Path(file).read_text()))
    assert client.run("print('nobody reads this'); os.write(1, b'nor this')", timeout=20).ok
    client.close()
    psutil.Process(int(group)).terminate()
    wait_until(lambda: gone(int(group)))
    assert sorted(diary.read_text().splitlines()) == [
        "closing",
        "host gone",
        "print stdout 1 nobody reads this",
        "started",
    ]


def test_a_killed_template_is_replaced_and_its_children_live_on(
    in_lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(lab: Any) -> None:
        with caplog.at_level(logging.WARNING):
            before = await lab.launch("before")
            first = lab.launcher.template_pid
            psutil.Process(first).kill()
            await lab.until(lambda: "died" in caplog.text)
            meanwhile = await lab.launch("meanwhile")
        assert psutil.Process(meanwhile.pid).ppid() == os.getpid()
        assert "fresh interpreter" in caplog.text
        await lab.until(lambda: lab.launcher.template_pid not in (None, first))
        assert (await before.run("1")).ok

        async def forked_again() -> bool:
            group = await lab.launch("after")
            parent = psutil.Process(group.pid).ppid()
            await group.process.shutdown(10)
            return parent == lab.launcher.template_pid

        while not await forked_again():
            pass  # bounded by the scenario's own timeout
        # Its status went with the template, its end is noticed all the same.
        psutil.Process(before.pid).kill()
        ending = await before.process.ended()
        assert (ending.exit_code, ending.signal, ending.expected) == (None, "", False)
        assert "not known" in ending.description

    in_lab(scenario)


def test_a_template_that_cannot_import_still_serves(in_lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        assert psutil.Process(group.pid).ppid() == lab.launcher.template_pid
        assert "could not import no_such_module_at_all" in caplog.text

    in_lab(scenario, preload=("no_such_module_at_all", "tiny_program"))


def test_the_first_launch_waits_for_the_template_and_frees_what_it_took(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        await (await lab.launch("first")).process.shutdown(10)  # by then ZeroMQ has connected to `group`, too
        open_before = psutil.Process().num_fds()
        template = psutil.Process(lab.launcher.template_pid)
        fds_before = template.num_fds()
        for i in range(3):
            other = await lab.launch(f"other {i}")
            await other.process.shutdown(10)
        await lab.until(lambda: psutil.Process().num_fds() <= open_before)
        await lab.until(lambda: template.num_fds() == fds_before)
        await lab.until(lambda: [p.pid for p in template.children()] == [group.pid])
        assert template.num_threads() <= os.cpu_count()  # none of Python's; OpenBLAS has its own

    in_lab(scenario)


def test_cancelling_a_launch_leaves_nothing(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        await lab.launch("warm")
        template = psutil.Process(lab.launcher.template_pid)
        launch = asyncio.create_task(lab.launch("cancelled", wait=True))
        await lab.until(lambda: len(template.children()) == 2)
        launch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launch
        await lab.until(lambda: len(template.children()) == 1)
        assert len(list((lab.folder / "run").iterdir())) == 1

    in_lab(scenario)
