"""Real processes: birth, output, endings."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from pyacq_lab.errors import CallTimeout, ConfigurationError, HostUnreachable, LifecycleError, ProcessDied
from pyacq_lab.kernel.client import KernelClient
from pyacq_lab.kernel.launcher import LaunchRequest


def parent_of(pid: int) -> int:
    return psutil.Process(pid).ppid()


@pytest.mark.parametrize("use_template", [True, False])
def test_a_nodegroup_runs_code_and_ends_as_asked(in_lab: Any, use_template: bool) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        assert (parent_of(group.pid) == lab.launcher.template_pid) == use_template
        result = await group.run("6 * 7")
        assert result.outputs[0]["data"]["text/plain"] == "42"
        file = group.process.connection_file
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.parent.stat().st_mode & 0o077 == 0
        assert group.process.usage().rss > 1_000_000
        json.dumps(group.process.connection_info())
        ending = await group.process.shutdown(10)
        assert (ending.exit_code, ending.signal, ending.expected) == (0, "", True)
        assert ending.description == "ended, as asked"
        assert group.endings == [ending]
        assert group.process.ending == ending
        assert group.diary()[-1] == "closing"
        assert not file.exists()
        assert not lab.alive(group.pid)

    in_lab(scenario, use_template=use_template)


@pytest.mark.parametrize("use_template", [True, False])
@pytest.mark.parametrize(
    ("code", "exit_code", "signal", "words"),
    [
        ("os.abort()", None, "SIGABRT", "Fatal Python error: Aborted"),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", None, "SIGKILL", ""),
        ("os._exit(3)", 3, "", ""),
        ("import ctypes; ctypes.string_at(0)", None, "SIGSEGV", "Fatal Python error: Segmentation fault"),
        ("quit()", 0, "", ""),
    ],
)
def test_an_ending_is_told_with_its_last_words(
    in_lab: Any, use_template: bool, code: str, exit_code: int | None, signal: str, words: str
) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()

        def work() -> None:
            client = KernelClient(group.process.connection_info())
            try:
                client.run(f"os.write(1, b'last words')\n{code}", timeout=0.5)
            except CallTimeout:
                pass  # it is dead: nobody told the client
            finally:
                client.close()

        task = asyncio.create_task(asyncio.to_thread(work))
        ending = await group.process.ended()
        await task
        assert (ending.exit_code, ending.signal, ending.expected) == (exit_code, signal, False)
        assert "last words" in ending.output
        assert words in "\n".join(ending.output)
        assert group.endings == [ending]
        with pytest.raises(LifecycleError, match="has ended"):
            group.process.interrupt()
        assert await group.process.shutdown(1) == ending

    in_lab(scenario, use_template=use_template)


def test_a_program_that_fails_says_so_in_the_error(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        with pytest.raises(
            ProcessDied, match=r"(?s)exit code 1 while it was starting.*RuntimeError: no luck"
        ):
            await lab.launch(fail="no luck")

    in_lab(scenario)


def test_a_request_that_cannot_be_met_is_refused(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        for wrong in ({"cwd": "/no/such"}, {"python": "/no/such"}, {"bootstrap": {"a": object()}}):
            with pytest.raises(ConfigurationError, match=r"no/such|plain data"):
                await lab.launcher.launch(LaunchRequest("x", **wrong), on_output=print, on_exit=print)

    in_lab(scenario)


def test_folder_environment_and_interpreter_are_as_asked(in_lab: Any, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()

    async def scenario(lab: Any) -> None:
        bootstrap = {"diary": str(tmp_path / "x.diary"), "secret": "s3cret"}
        for python in (None, sys.executable):
            process = await lab.launcher.launch(
                LaunchRequest("x", bootstrap, python=python, cwd=str(folder), env={"RIG": "7"}),
                on_output=lambda *_: None,
                on_exit=lambda _: None,
            )
            assert (parent_of(process.pid) == lab.launcher.template_pid) == (python is None)
            client = KernelClient(process.connection_info())
            asked = "print(os.getcwd(), os.environ['RIG'], launched.bootstrap['secret'])"
            result = await asyncio.to_thread(client.run, asked)
            client.close()
            assert result.outputs[0]["text"] == f"{folder} 7 s3cret\n"
            assert os.getsid(process.pid) == process.pid
            assert "s3cret" not in Path(f"/proc/{process.pid}/cmdline").read_text()
            assert "s3cret" not in Path(f"/proc/{process.pid}/environ").read_text()

    in_lab(scenario)


def test_variables_that_only_a_fresh_interpreter_reads_get_one(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch(env={"OMP_NUM_THREADS": "1"})
        assert parent_of(group.pid) != lab.launcher.template_pid

    in_lab(scenario)


def test_children_of_one_template_draw_different_random_numbers(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        groups = [await lab.launch(name) for name in "ab"]
        code = "import random, numpy; print(random.random(), numpy.random.rand())"
        first, second = [(await group.run(code)).outputs[0]["text"].split() for group in groups]
        assert first[0] != second[0]
        assert first[1] != second[1]

    in_lab(scenario, preload=("tiny_program", "numpy.random"))


def test_prints_go_where_they_belong(in_lab: Any) -> None:
    code = """
import subprocess, sys
def work():
    print("of a thread")
    print("unfinished", end="")
thread = threading.Thread(target=work); thread.start(); thread.join()
print("of the cell")
print("trouble", file=sys.stderr)
print("10 %", end="\\r"); print("100 %")
os.write(1, b"by descriptor \\xff\\n")
echo = subprocess.run(["echo", "of a subprocess"], stdout=sys.stdout)
"""

    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        result = await group.run(code)
        assert result.ok, result.error
        texts = {"stdout": "", "stderr": ""}
        for output in result.outputs:
            texts[output["name"]] += output["text"]
        assert texts == {"stdout": "of the cell\n10 %\r100 %\n", "stderr": "trouble\n"}
        prints = [line.removeprefix("print ") for line in group.diary() if line.startswith("print")]
        assert sorted(prints) == sorted(
            [
                "stdout 0 of a thread",
                "stdout 0 unfinished",
                "stdout 1 of the cell",
                "stderr 1 trouble",
                "stdout 1 100 %",
            ]
        )
        await lab.until(lambda: len(group.lines) == 2)
        assert group.lines == [("stdout", "by descriptor \ufffd"), ("stdout", "of a subprocess")]
        assert group.process.output_tail() == ("by descriptor \ufffd", "of a subprocess")

    in_lab(scenario)


def test_the_tail_keeps_the_last_200_lines_and_a_flood_hangs_nobody(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        await group.run("for i in range(20_000): os.write(2, b'line %d\\n' % i)")
        ending = await group.process.shutdown(10)
        assert ending.output == tuple(f"line {i}" for i in range(19_800, 20_000))
        assert len(group.lines) == 20_000

    in_lab(scenario)


def test_the_whole_tree_ends(in_lab: Any) -> None:
    code = """
import subprocess
nested = "import subprocess, time; print(subprocess.Popen(['sleep', '999']).pid, flush=True); time.sleep(999)"
child = subprocess.Popen(["python3", "-c", nested], stdout=subprocess.PIPE)
background = subprocess.Popen(["sleep", "1000"], process_group=0)
print(child.pid, int(child.stdout.readline()), background.pid)
"""

    async def scenario(lab: Any) -> None:
        for end in ("shutdown", "kill", "died"):
            group = await lab.launch(end)
            pids = [int(word) for word in (await group.run(code)).outputs[0]["text"].split()]
            assert all(map(lab.alive, pids))
            if end == "shutdown":
                await group.process.shutdown(10)
            elif end == "kill":
                group.process.kill()
            else:
                psutil.Process(group.pid).kill()
            await group.process.ended()
            await lab.until(lambda pids=pids: not any(map(lab.alive, pids)))

    in_lab(scenario)


def test_a_busy_cell_does_not_delay_the_end(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        for name, code in {"sleeps": "import time; time.sleep(1000)", "spins": "while True: pass"}.items():
            group = await lab.launch(name)
            run = asyncio.create_task(group.run("note('busy')\n" + code))
            await lab.until(lambda g=group: "busy" in g.diary())
            ending = await group.process.shutdown(20)
            assert (ending.exit_code, ending.signal) == (0, "")
            assert group.diary()[-1] == "closing"
            await asyncio.gather(run, return_exceptions=True)

    in_lab(scenario)


def test_one_that_heeds_nothing_is_killed(in_lab: Any) -> None:
    code = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
note("deaf")
while True: pass
"""

    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        run = asyncio.create_task(group.run(code, timeout=3))
        await lab.until(lambda: "deaf" in group.diary())
        ending = await group.process.shutdown(1.0)
        assert (ending.signal, ending.expected) == ("SIGKILL", True)
        await asyncio.gather(run, return_exceptions=True)

    in_lab(scenario)


def test_sigterm_closes_cleanly(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        psutil.Process(group.pid).terminate()
        ending = await group.process.ended()
        assert (ending.exit_code, ending.expected) == (143, False)
        assert group.diary()[-1] == "closing"

    in_lab(scenario)


def test_an_interrupt_ends_the_cell_and_spares_helper_processes(in_lab: Any) -> None:
    code = """
import subprocess, time
helper = subprocess.Popen(["sleep", "1000"])
note("busy")
"""

    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        for wait in ("time.sleep(1000)", "import asyncio; await asyncio.sleep(1000)"):
            before = group.diary().count("busy")
            run = asyncio.create_task(group.run(code + wait))
            await lab.until(lambda n=before: group.diary().count("busy") > n)
            await asyncio.sleep(0.2)  # the note is written a moment before the cell waits
            group.process.interrupt()
            result = await run
            assert result.error[0] in ("KeyboardInterrupt", "CancelledError")
            assert (await group.run("helper.poll() is None")).outputs[0]["data"]["text/plain"] == "True"
        for _ in range(20):
            group.process.interrupt()  # nothing runs: nothing happens
        assert (await group.run("1")).ok

    in_lab(scenario)


def test_eight_at_once(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        groups = await asyncio.gather(*(lab.launch(f"g{i}") for i in range(8)))
        results = await asyncio.gather(*(g.run("print(launched.name)") for g in groups))
        assert [r.outputs[0]["text"] for r in results] == [f"g{i}\n" for i in range(8)]
        assert len({g.pid for g in groups}) == 8
        endings = await asyncio.gather(*(g.process.shutdown(20) for g in groups))
        assert [e.description for e in endings] == ["ended, as asked"] * 8

    in_lab(scenario)


def test_a_client_without_the_keys_gets_nowhere(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        group = await lab.launch()
        info = group.process.connection_info()
        other = (await lab.launch("other")).process.connection_info()
        without = {k: v for k, v in info.items() if not k.startswith("curve")}
        foreign = {
            **info,
            "curve_publickey": other["curve_publickey"],
            "curve_secretkey": other["curve_secretkey"],
        }
        for wrong in (without, foreign):
            client = KernelClient(wrong, connect_timeout=0.5)
            with pytest.raises(HostUnreachable, match="keys"):
                await asyncio.to_thread(client.run, "note('intruder')")
            client.close()
        assert (await group.run("1")).ok
        assert "intruder" not in group.diary()

    in_lab(scenario)


def test_a_closed_launcher_refuses(in_lab: Any) -> None:
    async def scenario(lab: Any) -> None:
        await lab.launch()
        await lab.launcher.close()
        with pytest.raises(LifecycleError, match="closed"):
            await lab.launch("late")

    in_lab(scenario)
