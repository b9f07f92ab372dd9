"""A manager in a process of its own: the whole way once, and its end."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import psutil
import pytest
from jupyter_client.blocking.client import BlockingKernelClient

import pyacq_lab
from pyacq_lab.errors import ConfigurationError, LifecycleError, ProcessDied, RemoteError
from pyacq_lab.manager.logrecords import LogRecords
from pyacq_lab.manager.managerproxy import ManagerProxy
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.clock import ClockOffset
from pyacq_lab.notebook.application import NotebookManagerProxy

SAME_CLOCK = 1_000_000_000
"""Two processes read the system's clock when they start, ns: it may have been set in between."""

PACKAGE = Path(__file__).parents[3]


@pytest.fixture
def manager(jupyter_home):
    with pyacq_lab.create_manager(mode="rpc") as manager:
        yield manager


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Doubler(pyacq_lab.Transform):
    """Twice every sample."""

    def describe(self, inputs):
        return {"out": inputs["in"]}

    def process(self, chunk, name):
        return np.asarray(chunk.data) * 2


def test_the_whole_way(manager, until) -> None:
    host = manager.default_host
    assert host == manager.get_host("local")
    group = host.create_nodegroup("acquisition")
    assert psutil.Process(group.pid).is_running()
    assert group.host == host
    assert host.manager is manager
    clock = host.clock
    assert isinstance(clock, ClockOffset)  # by value
    assert abs(clock.offset_ns) <= clock.uncertainty_ns + SAME_CLOCK
    assert set(manager.status().clocks) == {"local"}
    assert [g.name for g in manager.list_nodegroups()] == ["acquisition"]

    source = group.create_node("SystemMonitor", name="monitor")
    source.configure(sample_rate=100)
    assert list(source.outputs) == ["cpu", "memory", "network", "disk"]
    assert group.register_node_type(Doubler) == "Doubler"
    doubler = group.create_node("Doubler", name="doubler")
    doubler.configure()
    doubler.input.connect(source.outputs["cpu"])  # handles of handles pass as arguments
    manager.start_all_nodes()
    assert doubler.state == "running"
    assert doubler.status().name == "doubler"
    assert manager.edges()[0].source == "monitor"
    until(lambda: doubler.output.status().samples > 5)

    stream = doubler.output.open_feed()
    try:
        assert any(isinstance(stream.recv(5.0), Chunk) for _ in range(3))
    finally:
        stream.close()

    future = source.stop(_sync="async")
    assert future.result(10) is None
    assert source.state == "ready"
    manager.stop_all_nodes()
    group.close()
    assert not group.alive


def test_outputs_are_served_as_their_handles_are_told(manager) -> None:
    source = manager.create_node("SignalGenerator", name="source")
    source.outputs["out"].configure(transfermode="plaindata", compression="lz4")
    source.configure()
    source.output.configure(protocol="ipc", buffer_seconds=2.0)
    assert source.output.status().transfermode == "plaindata"
    assert source.output.address.endpoint.startswith("ipc://")
    source.initialize()
    with pyacq_lab.InputStream(policy="lossless").connect(source.outputs["out"]) as stream:
        source.start()
        assert stream.recv(5.0).start == 0
        assert (stream.spec.compression, stream.spec.buffer_seconds) == ("lz4", 2.0)
        assert stream.ledger().transfermode == "plaindata"
        with pytest.raises(LifecycleError, match="running"):
            source.output.configure(transfermode="auto")
    source.stop()
    with pytest.raises(ConfigurationError, match=r"units of output source\.out cannot be configured"):
        source.output.configure(units="mV")


def test_errors_come_with_their_type_place_and_traceback(manager) -> None:
    group = manager.create_nodegroup("g")
    node = group.create_node("SystemMonitor", name="monitor")
    with pytest.raises(ConfigurationError) as caught:
        node.configure(sample_rate=-1)
    assert isinstance(caught.value, RemoteError)
    assert "local/g/monitor" in str(caught.value)
    assert "Traceback" in caught.value.remote_traceback
    with pytest.raises(LifecycleError):
        node.start()
    with pytest.raises(AttributeError, match="no public attribute or method 'strat'"):
        _ = node.strat


def test_handles_look_like_what_they_stand_for(manager) -> None:
    node = manager.create_node("SystemMonitor", name="monitor")
    assert {"configure", "start", "status", "outputs", "group", "output_address"} <= set(dir(node))
    assert "sample_rate" in node.configure.__doc__
    assert {"add_host", "create_nodegroup", "status", "graph"} <= set(dir(manager))
    assert "SystemMonitor" not in repr(manager)
    assert "local/group1/monitor" in repr(node)


def test_a_cell_holds_up_neither_status_nor_emergency_stop(manager, until) -> None:
    group = manager.create_nodegroup("g")
    node = group.create_node("SystemMonitor")
    node.configure()
    node.initialize()
    node.start()
    said = []
    cell = manager.get_nodegroup("g").run(
        "import time\nprint('on')\nwhile True: time.sleep(0.01)", said.append, _sync="async"
    )
    until(lambda: said)
    assert said[0]["text"] == "on\n"
    assert group.statuses()[0].state == "running"
    assert manager.emergency_stop() == {"local/g": [node.name]}
    group.interrupt()
    assert not cell.result(10).ok


def test_status_is_a_value_and_is_shown(manager) -> None:
    manager.create_nodegroup("shown")
    assert [g.name for g in manager.status().hosts[0].groups] == ["shown"]
    assert "shown" in manager._repr_html_()


def test_the_log_is_asked_for_and_printed_here(manager, capfd, until) -> None:
    group = manager.create_nodegroup("loud")
    group.run("import logging; logging.getLogger('bench').error('cold coffee')")
    until(lambda: manager.logs(contains="cold coffee"))
    for found in (manager.logs(contains="cold coffee"), group.logs(contains="cold coffee")):
        assert type(found) is LogRecords
        assert found[0].level_name == "ERROR"
    assert manager.get_nodegroup("loud").logs(contains="cold coffee", until=timedelta(hours=1)) == []
    printed = []
    until(lambda: printed.append(capfd.readouterr().err) or "cold coffee" in "".join(printed))


def test_an_application_has_one_manager(manager) -> None:
    assert isinstance(manager, NotebookManagerProxy)
    assert pyacq_lab.create_manager(mode="rpc") is manager
    assert pyacq_lab.current_manager() is manager
    with pytest.raises(LifecycleError, match="mode 'rpc'"):
        pyacq_lab.create_manager()
    manager.close()
    with pyacq_lab.create_manager() as local, pytest.raises(LifecycleError, match="mode 'local'"):
        pyacq_lab.create_manager(mode="rpc")
    assert local.closed


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "remote"}, "mode='remote'"),
        ({"logs": "loud"}, "logs='loud': wanted 'auto', 'show', 'print' or 'off'"),
        ({"mode": "rpc", "lease": 0.1}, r"lease=0\.1"),
    ],
)
def test_other_options_are_refused(jupyter_home, options, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        pyacq_lab.create_manager(**options)


def test_the_lease_is_that_of_the_manager_and_the_log_can_be_silent(jupyter_home, capfd) -> None:
    with pyacq_lab.create_manager(mode="rpc", lease=7.0, logs="off") as manager:
        assert manager.lease == 7.0
        manager.create_nodegroup("quiet").run("print('nothing')")
        pyacq_lab.wait_for(lambda: manager.logs(contains="nothing"))
    with pyacq_lab.create_manager(lease=8.0, logs="off") as local:
        assert local.lease == 8.0
    assert "nothing" not in capfd.readouterr().err


def test_close_ends_everything_and_says_so(manager) -> None:
    group = manager.create_nodegroup("g")
    pids = [manager.pid, group.pid, *(p.pid for p in psutil.Process(manager.pid).children(recursive=True))]
    manager.close()
    manager.close()
    assert not any(map(runs, pids))
    assert manager.closed
    with pytest.raises(ProcessDied, match="this manager is closed"):
        manager.list_hosts()
    with pytest.raises(ProcessDied, match="this manager is closed"):
        group.list_nodes()


def test_a_manager_that_was_killed_is_followed_by_another(manager, until) -> None:
    group = manager.create_nodegroup("g")
    pid = group.pid
    os.kill(manager.pid, signal.SIGKILL)
    until(lambda: manager.closed)
    with pytest.raises(ProcessDied):
        manager.list_hosts()
    until(lambda: not runs(pid))
    with pyacq_lab.create_manager(mode="rpc") as other:
        assert other is not manager
        assert other.list_hosts() == []


def test_the_command_line_holds_no_secrets(manager) -> None:
    assert psutil.Process(manager.pid).cmdline()[1:] == ["-m", "pyacq_lab.manager"]


def test_the_panel_shows_it(manager) -> None:
    manager.create_nodegroup("shown")
    panel = manager.panel()
    assert "1 host" in repr(panel)
    manager.close()
    assert panel.comm is None


def test_the_program_ends_with_its_input(jupyter_home) -> None:
    command = [sys.executable, "-m", "pyacq_lab.manager"]
    assert subprocess.run(command, stdin=subprocess.DEVNULL, timeout=30, check=False).returncode == 0
    done = subprocess.run(command, input="{}\n", capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "application_secret" in done.stderr


def test_a_manager_that_cannot_start_says_why(jupyter_home) -> None:
    key = jupyter_home / "pyacq_lab" / "user.key"
    key.parent.mkdir(parents=True)
    key.write_text("no key\n")
    key.chmod(0o600)
    with pytest.raises(ProcessDied, match="40 characters"):
        ManagerProxy()


SCRIPT = """
import sys
import psutil
import pyacq_lab
manager = pyacq_lab.create_manager(mode="rpc")
group = manager.create_nodegroup("g")
group.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
node = group.create_node("SystemMonitor")
node.configure(); node.initialize(); node.start()
print(manager.pid, group.pid, *(p.pid for p in psutil.Process().children(recursive=True)), flush=True)
print(group.kernel_connection_file(), flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("end", ["SIGKILL", "SIGTERM", "return"])
def test_nothing_outlives_the_notebook(jupyter_home, until, end) -> None:
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE)},
    )
    try:
        pids = [int(word) for word in script.stdout.readline().split()]
        file = Path(script.stdout.readline().strip())
        assert len(set(pids)) >= 4
        assert file.is_file()
        if end == "return":
            script.stdin.close()
        else:
            script.send_signal(getattr(signal, end))
        until(lambda: not any(map(runs, pids)), 5)
        script.wait()
        assert not file.exists()
    finally:
        script.kill()
        script.wait()
        script.stdin.close()
        script.stdout.close()


# --- attaching another Jupyter client


@pytest.fixture(params=["local", "rpc"])
def either_manager(request, jupyter_home):
    with pyacq_lab.create_manager(mode=request.param) as manager:
        yield manager


def test_a_jupyter_client_attaches_by_the_connection_file(either_manager) -> None:
    group = either_manager.create_nodegroup("for consoles")
    path = group.kernel_connection_file()
    assert group.kernel_connection_file() == path
    assert path.parent == Path(os.environ["JUPYTER_RUNTIME_DIR"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    info = json.loads(path.read_text())
    assert info["curve_publickey"]
    client = BlockingKernelClient()
    client.load_connection_file(str(path))
    client.start_channels()
    try:
        client.wait_for_ready(timeout=20)
        said = []
        reply = client.execute_interactive("print(nodegroup.name)", timeout=20, output_hook=said.append)
        assert reply["content"]["status"] == "ok"
        assert [m["content"]["text"] for m in said if m["msg_type"] == "stream"] == ["for consoles\n"]
    finally:
        client.stop_channels()
        client.context.destroy(linger=0)
    group.close()
    assert not path.exists()
    with pytest.raises(LifecycleError, match="has ended"):
        group.kernel_connection_file()


def test_the_connection_file_goes_with_the_nodegroup_or_the_manager(either_manager, until) -> None:
    killed, kept = (either_manager.create_nodegroup(name) for name in ("killed", "kept"))
    files = [killed.kernel_connection_file(), kept.kernel_connection_file()]
    os.kill(killed.pid, signal.SIGKILL)
    until(lambda: not files[0].exists())
    assert files[1].exists()
    either_manager.close()
    assert not files[1].exists()
