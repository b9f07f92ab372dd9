import msgspec
import pytest

from pyacq_lab.model.ledger import HopLedger, PortStatus
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.status import GroupStatus, HostStatus, ManagerStatus, NodeStatus, Usage
from pyacq_lab.notebook.panels.statushtml import manager_html, manager_text
from pyacq_lab.notebook.panels.statusrows import format_bytes, format_clock, format_duration, status_rows

S = 10**9
STATUS = ManagerStatus(
    time_ns=1000 * S,
    hosts=(
        HostStatus(
            name="rig",
            endpoint="tcp://10.0.0.53:8000",
            pid=1,
            cpu_count=8,
            groups=(
                GroupStatus(
                    name="cams",
                    pid=2,
                    state="running",
                    started_ns=935 * S,
                    usage=Usage(cpu_percent=12.4, rss=27_300_000),
                ),
                GroupStatus(name="amp", pid=3, state="died", ending="killed by SIGSEGV"),
            ),
        ),
        HostStatus(name="<b>pc</b>", endpoint="tcp://10.0.0.54:8000"),
    ),
    nodes={
        "cams": (
            NodeStatus(
                name="left",
                type="Camera",
                state=State.RUNNING,
                outputs=(PortStatus(name="out", overruns=3),),
                inputs=(PortStatus(name="in", ledger=HopLedger(sent=9, received=4, dropped=5)),),
            ),
            NodeStatus(
                name="right",
                type="Camera",
                state=State.FAULTED,
                reason="TimeoutError: no frame",
                last_error="Traceback <cell 3>\nTimeoutError: no frame\x07",
            ),
        )
    },
    clocks={"rig": (120_000, 40_000)},
    unreachable={"<b>pc</b>": "no answer for 12 s"},
)


def test_rows_follow_hosts_processes_and_nodes():
    rows = {row.key: row for row in status_rows(STATUS)}

    assert list(rows) == ["rig", "rig/cams", "rig/cams/left", "rig/cams/right", "rig/amp", "<b>pc</b>"]
    assert rows["rig"].cells[-1] == "tcp://10.0.0.53:8000 · 8 cores · clock +0.1 ± 0.1 ms"
    assert rows["rig/cams"].cells == ("cams", "2", "12 %", "27.3 MB", "1 min 5 s", "")
    assert rows["rig/amp"].cells == ("amp", "3", "", "", "", "killed by SIGSEGV")
    assert (rows["rig/amp"].state, rows["rig/amp"].tone) == ("died", "bad")
    assert rows["<b>pc</b>"].state == "unreachable"


@pytest.mark.parametrize(
    ("offset", "uncertainty", "said"),
    [
        (3_214_000, 81_000, "clock +3.2 ± 0.1 ms"),
        (-40_000, 100_000, "clock +0.0 ± 0.1 ms"),
        (-17 * S, 1_250_000, "clock -17.000 s ± 1.3 ms"),
    ],
)
def test_a_clock_is_told_to_a_tenth_of_a_millisecond(offset, uncertainty, said):
    assert format_clock(offset, uncertainty) == said


def test_how_long_a_process_is_up_is_told_by_the_clock_that_started_it():
    ahead = msgspec.structs.replace(
        STATUS, time_ns=STATUS.time_ns - 3600 * S, clocks={"rig": (3600 * S, 1000)}
    )

    assert {row.key: row for row in status_rows(ahead)}["rig/cams"].cells[4] == "1 min 5 s"


def test_trouble_and_losses_are_said():
    rows = {row.key: row for row in status_rows(STATUS)}

    assert "out: 3 samples overrun · in: 5 samples dropped" in rows["rig/cams/left"].cells[-1]
    assert "TimeoutError: no frame" in rows["rig/cams/right"].cells[-1]
    assert manager_text(STATUS) == (
        "<Manager: 2 hosts, 2 processes, 2 nodes (1 running), 1 unreachable, 1 died, 1 faulted>"
    )
    assert manager_text(ManagerStatus()) == "<Manager: 0 hosts, 0 processes, no nodes>"


def test_nodes_of_the_notebooks_own_process_are_shown():
    node = NodeStatus(name="n", type="T", state=State.RUNNING)
    status = ManagerStatus(local=(GroupStatus(name="here", pid=7),), nodes={"here": (node,)})

    rows = {row.key: row for row in status_rows(status)}

    assert list(rows) == ["notebook/here", "notebook/here/n"]
    assert rows["notebook/here"].cells[:2] == ("here", "7")
    assert manager_text(status) == "<Manager: 0 hosts, 0 processes, 1 node (1 running)>"


def test_what_comes_in_is_told_in_words():
    ledger = HopLedger(
        sent=1300, received=1000, dropped=100, repaired=20, rate=999.6, lag=0.2, transfermode="sharedmem"
    )
    assert str(ledger) == ("1000 samples/s by shared memory, 0.2 s behind, 100 samples dropped, 20 repaired")
    assert str(HopLedger(sent=1, received=1, transfermode="plaindata")) == "0 samples/s by socket"
    assert str(HopLedger(sent=1, received=1)) == ""
    node = NodeStatus(name="n", type="T", state=State.RUNNING, inputs=(PortStatus(name="in", ledger=ledger),))
    status = msgspec.structs.replace(STATUS, nodes={"amp": (node,)})
    cells = {row.key: row for row in status_rows(status)}["rig/amp/n"].cells
    assert cells[-1] == f"T · in: {ledger}"


def test_the_static_table_holds_all_rows_and_no_foreign_markup():
    html = manager_html(STATUS)

    assert html.count("<tr") == 1 + 6
    assert "<b>pc</b>" not in html
    assert "&lt;b&gt;pc&lt;/b&gt;" in html


def test_a_faulted_node_shows_its_last_error_folded_up():
    rows = {row.key: row for row in status_rows(STATUS)}

    assert rows["rig/cams/right"].error == "Traceback <cell 3>\nTimeoutError: no frame\\x07"
    assert {row.error for key, row in rows.items() if key != "rig/cams/right"} == {""}
    right = STATUS.nodes["cams"][1]
    for html in (manager_html(STATUS), right._repr_html_()):
        assert html.count("<details><summary>last error</summary>") == 1
        assert "Traceback &lt;cell 3&gt;\nTimeoutError: no frame\\x07</pre>" in html
    assert "(TimeoutError: no frame)" in right._repr_html_()
    mended = msgspec.structs.replace(right, state=State.READY)
    (row,) = (
        r for r in status_rows(msgspec.structs.replace(STATUS, nodes={"cams": (mended,)})) if r.depth == 2
    )
    assert row.error == ""


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (153_000_000, "153 MB"), (2 * 10**12, "2.0 TB")],
)
def test_sizes_are_readable(n, text):
    assert format_bytes(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.9, "59 s"), (65, "1 min 5 s"), (3 * 3600 + 720, "3 h 12 min"), (90_000, "1 d 1 h")],
)
def test_durations_are_readable(seconds, text):
    assert format_duration(seconds) == text
