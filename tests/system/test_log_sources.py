"""Who is heard in the log, and how loud: nodegroups, their forks, the host itself."""

from __future__ import annotations

import logging
import os
import signal
import stat
import threading

import psutil
import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.wire import logmerge

LONELY = """
import asyncio, gc
async def lonely():
    raise ValueError("nobody awaits this")
task = asyncio.ensure_future(lonely())
await asyncio.sleep(0)
del task
gc.collect()
"""


def test_each_way_to_say_something_is_heard_once(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    code = """
import logging, multiprocessing, os, threading, warnings
log = logging.getLogger("rig")
def work(name):
    log.warning("a warning from %s", name, extra={"valve": 7, "open": True, "who": object})
    warnings.warn(f"an old cable in {name}")
    raise ValueError(f"failed in {name}")
for name in ("pump", "valve"):
    thread = threading.Thread(target=work, args=(name,), name=name)
    thread.start()
    thread.join()
class Careless:
    def __del__(self):
        raise ValueError("in the grave")
Careless()
print("printed")
os.write(1, b"written\\n")
os.system("echo from a shell")
pid = os.fork()
if not pid:
    log.error("from a fork")
    print("printed in a fork", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert group.run(code).ok
    assert group.run(LONELY).ok
    wanted = {
        "a warning from pump": "log",
        "a warning from valve": "log",
        "an old cable in pump": "log",
        "failed in pump": "exception",
        "nobody awaits this": "exception",
        "in the grave": "exception",
        "printed": "stdout",
        "written": "stdout",
        "from a shell": "stdout",
        "from a fork": "stderr",
        "printed in a fork": "stdout",
    }
    until(lambda: all(manager.logs(source="daq", contains=text) for text in wanted))
    said = manager.logs(source="daq", limit=None)
    for text, stream in wanted.items():
        found = [r for r in said if r.message.endswith(text) or f"{text} (" in r.message]
        if text == "printed":
            found = [r for r in found if r.message == text]
        assert [r.stream for r in found] == [stream], text
    (record,) = [r for r in said if r.message == "a warning from pump"]
    assert record.thread == "pump"
    assert record.extra == {"valve": 7, "open": True, "who": "<class 'object'>"}
    monos = [r.mono_ns for r in said if r.pid == group.pid and r.channel == "process"]
    assert monos == sorted(monos)
    assert monos[0] > 0


def test_a_record_that_a_handler_prints_too_is_in_the_log_once(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    code = """
import logging, sys, threading
logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
thread = threading.Thread(target=logging.getLogger("rig").warning, args=("in a thread",))
thread.start()
thread.join()
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("rig").exception("in a cell")
logging.getLogger("rig").warning("bad %d", "x")
quiet = logging.getLogger("quiet")
quiet.propagate = False
quiet.addHandler(logging.StreamHandler())
quiet.warning("only printed")
print("that is all", file=sys.stderr)
"""
    shown = []
    assert group.run(code, on_output=shown.append).ok
    until(lambda: manager.logs(source="daq", contains="that is all"))
    said = [(r.stream, r.message) for r in manager.logs(source="daq", limit=None)]
    assert [stream for stream, text in said if "in a thread" in text] == ["log"]
    assert [stream for stream, text in said if "in a cell" in text] == ["log"]
    assert [text for _, text in said if "ZeroDivisionError" in text] == []
    assert ("stderr", "--- Logging error ---") in said
    assert [stream for stream, text in said if text == "only printed"] == ["log"]
    text = "".join(output["text"] for output in shown if output["output_type"] == "stream")
    assert "rig: in a cell\nTraceback" in text  # a cell shows what it prints


def test_levels_are_set_while_a_cell_runs_and_kept_by_a_restart(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    say = (
        "import logging; logging.getLogger('third.party').debug({!r}); logging.getLogger('other').debug('no')"
    )
    running = threading.Event()
    busy = "print('on', flush=True)\nwhile True: pass"
    thread = threading.Thread(target=lambda: group.run(busy, on_output=lambda _: running.set()))
    thread.start()
    assert running.wait(20)
    assert group.set_log_level("debug", "third") == "NOTSET"
    group.interrupt()
    thread.join()
    group.run(say.format("heard"))
    until(lambda: manager.logs(contains="heard"))
    group.restart()
    group.run(say.format("heard again"))
    until(lambda: manager.logs(contains="heard again"))
    assert manager.logs(level="DEBUG", source="daq", contains="no") == []

    assert group.set_log_level(logging.DEBUG) == "INFO"
    group.run("logging.getLogger('anybody').debug('from the root')")
    until(lambda: manager.logs(contains="from the root"))
    assert group.set_log_level("NOTSET", "third") == "DEBUG"
    for level, name in (("LOUD", ""), (True, ""), (-1, ""), ("INFO", "a..b"), ("INFO", 7), ("INFO", "a\nb")):
        with pytest.raises(ConfigurationError, match="wanted"):
            group.set_log_level(level, name)


def test_a_host_tells_all_what_is_its_own_and_one_what_is_about_him(make_manager, start_host, until) -> None:
    host = start_host("tcp://127.0.0.1:0", "--name", "rig")
    one, two = make_manager(), make_manager()
    mine, theirs = [m.add_host(host.endpoint, key=host.key) for m in (one, two)]
    assert mine.set_log_level("DEBUG", "pyacq_lab") == "NOTSET"
    groups = [handle.create_nodegroup("daq") for handle in (mine, theirs)]
    os.kill(
        groups[0].pid, signal.SIGSTOP
    )  # it does not end when it is told to, is killed, and the host says so
    groups[0].close(grace=0.2)
    until(lambda: one.logs(source="rig/host", contains="did not end"))
    (record,) = one.logs(source="rig/host", contains="did not end")
    assert (record.process, record.pid, record.channel) == ("host", host.pid, "process")
    assert record.mono_ns > 0
    assert mine.set_log_level("INFO", "pyacq_lab") == "DEBUG"

    (template,) = [p for p in psutil.Process(host.pid).children() if "template" in " ".join(p.cmdline())]
    template.kill()
    for manager in (one, two):
        until(lambda m=manager: m.logs(source="rig/host", contains="template"))
        assert len(manager.logs(source="rig/host", contains="template")) == 1
    assert two.logs(source="rig/host", contains="did not end") == []
    assert host.invitation not in str(one.logs(limit=None))
    assert not any(r.lost for m in (one, two) for r in m.logs(limit=None))


def test_a_manager_keeps_its_log_on_disk(manager, jupyter_home, until) -> None:
    group = manager.create_nodegroup("daq")
    group.run("print('to be kept')")
    file = manager.log_folder / "log.jsonl"
    assert file.is_relative_to(jupyter_home / "pyacq_lab" / "logs")
    until(lambda: "to be kept" in file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_what_is_known_of_a_process_is_forgotten_after_its_end(manager, until, monkeypatch) -> None:
    monkeypatch.setattr(logmerge, "FORGET_NS", 0)
    for i in range(3):
        group = manager.create_nodegroup(f"short-{i}")
        assert group.run("print('hello')").ok
        group.close()
    known = manager.log_server._merger._heard

    def forgotten() -> bool:
        manager.log_server.say("still here")  # it looks when it has something to do
        return not any(process.startswith("short-") for _, process, *_ in list(known))

    until(forgotten)
    until(lambda: len(manager.logs(contains="hello")) == 3)
    assert not any(r.lost for r in manager.logs(limit=None))


def test_what_fails_in_a_cell_is_told_once_and_an_interrupt_is_not(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    for code in (
        "def f():\n    raise ValueError('no light')\nf()",
        "1 +",
        "await g()",
        "import sys; sys.exit(5)",
    ):
        assert not group.run(code).ok
    running = threading.Event()
    busy = "print('on', flush=True)\nwhile True: pass"
    thread = threading.Thread(target=lambda: group.run(busy, on_output=lambda _: running.set()))
    thread.start()
    assert running.wait(20)
    group.interrupt()
    thread.join()
    group.run("print('that is all')")
    until(lambda: manager.logs(source="daq", contains="that is all"))
    said = [r for r in manager.logs(source="daq", limit=None) if r.stream == "exception"]
    assert [r.message.partition(":")[0] for r in said] == [
        "ValueError",
        "SyntaxError",
        "NameError",
        "SystemExit",
    ]
    assert "in f" in said[0].traceback
    assert "IPython" not in said[0].traceback


def test_text_that_no_encoder_takes_is_printed_and_hangs_nothing(manager, until) -> None:
    group = manager.create_nodegroup("daq")
    shown = []
    assert group.run("print('a\\ud800\\udc80b'); '\\ud800'", on_output=shown.append, _timeout=20).ok
    assert "".join(o["text"] for o in shown if o["output_type"] == "stream") == "a\\ud800\\udc80b\n"
    failed = group.run("raise ValueError('\\ud800')", _timeout=20)
    assert failed.error is not None
    assert failed.error[1] == "\\ud800"
    assert group.run("print(float('nan'))", _timeout=20).ok
    until(lambda: manager.logs(source="daq", contains="a\\ud800\\udc80b"))
    until(lambda: manager.logs(source="daq", contains="ValueError: \\ud800"))


NOTEBOOK = """
import logging, sys
from IPython.core.interactiveshell import InteractiveShell
import pyacq_lab
shell = InteractiveShell.instance()
for mode in ("local", "rpc"):
    manager = pyacq_lab.create_manager(mode, logs="off")
    shell.run_cell("raise ValueError('no light')")
    pyacq_lab.wait_for(lambda: manager.logs(contains="no light"))
    print(*[(r.stream, r.message) for r in manager.logs(contains="no light")])
    manager.close()
"""


def test_what_fails_in_the_notebook_is_told_by_both_kinds_of_manager(start_script) -> None:
    script = start_script(NOTEBOOK)
    assert script.wait(60) == 0, script.errors()
    text = script.stdout.read()
    assert text.count("('exception', 'ValueError: no light')") == 2


PRINTED = """
import logging, sys, pyacq_lab
manager = pyacq_lab.create_manager(sys.argv[1])
logging.getLogger("rig").warning("the valve is open")
pyacq_lab.wait_for(lambda: manager.logs(contains="valve"))
manager.close()
logging.getLogger("rig").warning("as without us")
"""


@pytest.mark.parametrize("mode", ["local", "rpc"])
def test_a_script_has_on_its_standard_error_once_what_no_handler_takes(start_script, mode) -> None:
    script = start_script(PRINTED, mode)
    assert script.wait(60) == 0, script.errors()
    errors = script.errors()
    assert errors.count("the valve is open") == 1
    assert errors.count("as without us") == 1
