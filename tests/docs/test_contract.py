"""The sentences of the page on distributed nodes, one small test for each.

The tests share one manager, one host server as on another machine, and one nodegroup on each host; what ends
one of these makes its own.
"""

from __future__ import annotations

import inspect
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import psutil
import pytest

import pyacq_lab as pyacq
from pyacq_lab.errors import PyacqError
from pyacq_lab.manager.manager import Manager  # of other applications: an application has one


def runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Empty Jupyter folders for the whole file; see ``jupyter_home``."""
    folder = tmp_path_factory.mktemp("jupyter")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "CONFIG", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(folder / name.lower()))
        yield folder


@pytest.fixture(scope="module")
def lab(home, start_host):
    """Manager, remote host, local host, a nodegroup on each, and all that is printed of the log."""
    program = start_host("--name", "bench")
    manager = pyacq.create_manager()
    printed = io.StringIO()
    try:
        manager.print_logs(printed)
        host = manager.add_host(program.endpoint, program.key)
        there = manager.create_nodegroup("there", host=host)
        here = manager.create_nodegroup("here")
        yield SimpleNamespace(
            manager=manager, program=program, host=host, there=there, here=here, printed=printed
        )
    finally:
        manager.close()
        program.end()


def found(lab, **wanted):
    """Records of the log that match, once there are any."""
    pyacq.wait_for(lambda: lab.manager.logs(**wanted))
    return lab.manager.logs(**wanted)


# --- what the parts are


def test_the_manager_connects_to_remote_hosts(lab):
    assert lab.manager.list_hosts()[0] is lab.host
    assert lab.host.status().name == "bench"


def test_the_manager_starts_and_stops_processes(lab):
    group = lab.manager.create_nodegroup("short", host=lab.host)
    assert runs(group.pid)
    group.close()
    pyacq.wait_for(lambda: not runs(group.pid))
    assert group not in lab.manager.list_nodegroups()


def test_the_manager_watches_processes(lab):
    status = lab.manager.status()
    seen = {group.name: group.pid for host in status.hosts for group in host.groups}
    assert (seen["there"], seen["here"]) == (lab.there.pid, lab.here.pid)


def test_the_manager_knows_which_node_is_wired_to_which(lab):
    source = lab.there.create_node("SystemMonitor", "wired-source")
    mean = lab.here.create_node("MovingMean", "wired-mean")
    try:
        source.configure()
        mean.configure()
        mean.input.connect(source.outputs["cpu"])
        graph = lab.manager.graph()
        assert ("wired-source", "wired-mean", {"output": "cpu", "input": "in"}) in graph["edges"]
    finally:
        lab.here.remove_node(mean)
        lab.there.remove_node(source)


def test_the_manager_lives_in_this_process_unless_asked_for_in_one_of_its_own(lab, home):
    assert isinstance(lab.manager, Manager)
    with pytest.raises(PyacqError, match="an application has one"):
        pyacq.create_manager(mode="rpc")
    script = """if True:
        import os
        import psutil
        import pyacq_lab as pyacq
        with pyacq.create_manager(mode="rpc") as manager:
            group = manager.create_nodegroup("g")
            node = group.create_node("SystemMonitor")
            node.configure()
            print(manager.pid != os.getpid(), node.state)
        print(psutil.pid_exists(manager.pid))
    """
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.split()[:2] == ["True", "configured"], done.stderr
    assert done.stdout.split()[-1] == "False"


def test_another_jupyter_client_finds_the_kernel_by_its_connection_file(lab):
    file = lab.here.kernel_connection_file()
    assert file.stat().st_mode & 0o777 == 0o600
    assert {"shell_port", "key", "curve_publickey"} <= set(json.loads(file.read_text()))


def test_a_host_lets_a_manager_connect_and_start_processes(lab):
    parent = psutil.Process(lab.program.pid)
    assert lab.there.pid in {child.pid for child in parent.children(recursive=True)}


def test_a_host_server_can_be_left_running(home, start_host):
    program = start_host("--name", "patient")
    try:
        for _ in range(2):  # one application after the other
            with Manager() as manager:
                group = manager.create_nodegroup(host=manager.add_host(program.endpoint, program.key[:40]))
            assert not runs(group.pid)
            assert program.process.poll() is None
    finally:
        program.end()


def test_a_nodegroup_holds_several_nodes_in_one_process(lab):
    nodes = [lab.there.create_node("SystemMonitor") for _ in range(3)]
    try:
        assert set(lab.there.list_nodes()) == {node.name for node in nodes}
        pids = lab.there.run("import os; print({os.getpid() for node in nodes.values()})")
        assert pids.outputs[0]["text"].strip() == f"{{{lab.there.pid}}}"
    finally:
        for node in nodes:
            lab.there.remove_node(node)


def test_each_nodegroup_is_a_newly_started_process(lab):
    assert len({os.getpid(), lab.program.pid, lab.there.pid, lab.here.pid}) == 4


def test_a_nodegroup_can_be_on_any_host(lab):
    assert (lab.there.host.name, lab.here.host.name) == ("bench", "local")


def test_nodes_are_configured_started_and_stopped(lab):
    node = lab.there.create_node("SystemMonitor", "obedient")
    states = [node.state]
    for command in (node.configure, node.initialize, node.start, node.stop, node.configure):
        command()
        states.append(node.state)
    lab.there.remove_node(node)
    assert states == ["created", "configured", "ready", "running", "ready", "configured"]


# --- the manager


def test_an_application_has_one_manager_at_most(lab):
    assert pyacq.create_manager() is lab.manager
    assert pyacq.current_manager() is lab.manager


def test_the_manager_listens_in_the_background_while_this_thread_is_busy(lab):
    done = threading.Event()
    stop = lab.manager.log_server.subscribe(lambda _: done.set())
    lab.there.run("import logging; logging.warning('said in the background')")
    assert done.wait(10)  # this thread calls nothing meanwhile
    stop()


# --- the log server


def test_the_log_server_runs_in_a_thread_of_the_managers_process(lab):
    assert "pyacq-log-server" in {thread.name for thread in threading.enumerate()}


def test_the_log_server_starts_with_the_manager(home):
    with Manager() as manager:
        logging.getLogger("early").error("the first word")
        pyacq.wait_for(lambda: manager.logs(contains="the first word"))


def test_error_messages_arrive(lab):
    lab.there.run("import logging; logging.getLogger('bench').error('an error message')")
    (record,) = found(lab, contains="an error message", level="ERROR")
    assert (record.level_name, record.logger, record.stream) == ("ERROR", "bench", "log")


def test_other_log_records_arrive(lab):
    lab.there.run("import logging; logging.getLogger('bench').info('by the way')")
    (record,) = [r for r in found(lab, contains="by the way") if r.stream == "log"]
    assert record.level_name == "INFO"


def test_uncaught_exceptions_arrive(lab):
    lab.there.run(
        "import threading; t = threading.Thread(target=lambda: 1 / 0, name='doomed'); t.start(); t.join()"
    )
    (record,) = found(lab, contains="ZeroDivisionError")
    assert (record.thread, record.stream) == ("doomed", "exception")
    assert "in <lambda>" in record.traceback


def test_the_exception_of_a_node_arrives_and_names_the_node(lab):
    node = lab.there.create_node("SimulatedDevice", "flaky")
    node.configure(sample_rate=1000, fail_at=10)
    node.initialize()
    node.start()
    pyacq.wait_for(lambda: node.state == "faulted")
    record = found(lab, node="flaky", level="ERROR")[-1]
    assert "Traceback" in record.traceback
    lab.there.remove_node(node)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_printed_arrives(lab, stream):
    lab.there.run(f"import sys; print('printed to {stream}', file=sys.{stream})")
    (record,) = found(lab, contains=f"printed to {stream}")
    assert (record.stream, record.source) == (stream, "bench/there")


def test_what_is_printed_past_python_arrives(lab):
    lab.there.run("import os; os.write(1, b'written by descriptor\\n')")
    lab.there.run("import subprocess; subprocess.run(['echo', 'said by a child process'])")
    for text in ("written by descriptor", "said by a child process"):
        assert found(lab, contains=text)[0].source == "bench/there"


def test_each_record_names_its_host_process_and_thread(lab):
    lab.there.run("import logging; logging.error('from a known place')")
    (record,) = found(lab, contains="from a known place", level="ERROR")
    assert (record.host, record.process, record.pid) == ("bench", "there", lab.there.pid)
    assert record.thread == "MainThread"


def test_each_record_is_printed_with_its_host_process_and_thread(lab):
    lab.here.run("import logging; logging.error('for the printer')")
    pyacq.wait_for(lambda: "for the printer" in lab.printed.getvalue())
    (line,) = [li for li in lab.printed.getvalue().splitlines() if "root: for the printer" in li]
    assert "ERROR" in line
    assert "local/here MainThread" in line


def test_records_are_printed_by_default_outside_a_notebook(home):
    code = (
        "import pyacq_lab, logging\n"
        "m = pyacq_lab.create_manager()\n"
        "logging.getLogger('x').error('printed unasked')\n"
        "m.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "manager MainThread x: printed unasked" in done.stderr


def test_records_of_several_processes_are_sorted_by_time(lab):
    for number in range(6):
        group = (lab.here, lab.there)[number % 2]
        group.run(f"import logging; logging.error('in order {number}')")
    pyacq.wait_for(lambda: len(lab.manager.logs(contains="in order", level="ERROR")) == 6)
    records = lab.manager.logs(contains="in order", level="ERROR")
    assert [r.message for r in records] == [f"in order {number}" for number in range(6)]
    assert [r.corrected_ns for r in records] == sorted(r.corrected_ns for r in records)


def test_the_clock_of_each_host_is_measured_and_nobody_needs_to_synchronize_it(lab):
    assert set(lab.manager.status().clocks) == {"bench", "local"}
    for host in lab.manager.list_hosts():
        assert host.clock.n_probes > 0
        assert 0 < host.clock.uncertainty_ns < 10**9
        assert repr(host.clock).startswith(f"<clock of {host.name}: ")


def test_printed_lines_stand_in_the_order_of_time_too(lab):
    lab.there.run(
        "import logging; print('first line'); print('second line'); logging.error('after both lines')"
    )
    found(lab, contains="after both lines", level="ERROR")
    pyacq.wait_for(lambda: lab.manager.logs(contains="second line"))
    said = [r.message for r in lab.manager.logs(contains="line", source="bench/there")]
    wanted = ["first line", "second line", "after both lines"]
    assert [m for m in said if m in wanted] == wanted


# --- remote hosts


def test_a_host_server_runs_by_the_script_and_prints_what_to_type(lab):
    line = f'manager.add_host("{lab.program.endpoint}", key="{lab.program.key}")'
    assert len(lab.program.key) == 80
    assert eval(line, {"manager": lab.manager}) is lab.host  # as pasted into a cell


@pytest.mark.parametrize(
    "command", ["import pyacq_lab.host.__main__", "from pyacq_lab.cli import main; main(['host'])"]
)
def test_an_address_must_be_given_to_the_host_server(home, command):
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, timeout=60)
    assert run.returncode == 2
    assert "endpoint" in run.stderr


def test_the_port_that_is_given_is_the_one_it_listens_at(lab, home):
    run = subprocess.run(
        [sys.executable, "-m", "pyacq_lab.host", lab.program.endpoint],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 1
    assert f"cannot listen at {lab.program.endpoint}" in run.stderr  # another one is there already


def test_a_manager_needs_a_running_host_server(lab):
    with pytest.raises(pyacq.PyacqError, match="pyacq-lab host"):
        lab.manager.add_host("tcp://127.0.0.1:9", key=lab.program.key[:40])


def test_the_manager_watches_its_resources_on_the_host(lab):
    (group,) = [g for g in lab.host.status().groups if g.name == "there"]
    assert (group.state, group.pid) == ("running", lab.there.pid)
    assert group.usage.rss > 0


def test_the_host_says_when_a_process_dies_unexpectedly(lab):
    group = lab.manager.create_nodegroup("fragile", host=lab.host)
    os.kill(group.pid, signal.SIGKILL)
    pyacq.wait_for(lambda: not group.alive)
    assert "SIGKILL" in group.ending
    (record,) = found(lab, contains="fragile died", level="CRITICAL")
    assert record.source == "bench/fragile"
    with pytest.raises(PyacqError, match="SIGKILL"):
        group.list_nodes()


def test_the_last_words_of_a_process_arrive(lab):
    group = lab.manager.create_nodegroup("talkative", host=lab.host)
    group.run("import os; os.write(2, b'my last words')")  # a line without an end
    os.kill(group.pid, signal.SIGKILL)
    assert found(lab, contains="my last words")[0].source == "bench/talkative"


# --- nodes and the local host


def test_the_manager_has_a_host_on_its_own_machine(lab):
    local = lab.manager.default_host
    assert local.name == "local"
    assert psutil.Process(local.welcome.pid).ppid() == os.getpid()


def test_a_node_is_created_and_used_through_its_handle(lab):
    node = lab.here.create_node("SignalGenerator", "handled")
    assert "amplitude" in (inspect.getdoc(node.configure) or "")
    node.configure(sample_rate=100)
    assert node.status().settings["sample_rate"] == 100
    lab.here.remove_node(node)


# --- the end


def test_closing_the_manager_ends_all_nodegroups_on_all_hosts(home, start_host):
    program = start_host("--name", "last")
    try:
        manager = Manager()
        host = manager.add_host(program.endpoint, program.key)
        groups = [manager.create_nodegroup(host=host), manager.create_nodegroup()]
        local = manager.default_host.welcome.pid
        manager.close()
        assert not [group.pid for group in groups if runs(group.pid)]
        assert not runs(local)
        assert program.process.poll() is None
    finally:
        program.end()


def test_a_closed_manager_says_so_and_another_can_be_made(home):
    manager = Manager()
    manager.close()
    manager.close()
    with pytest.raises(pyacq.PyacqError, match="create_manager"):
        manager.create_nodegroup()
