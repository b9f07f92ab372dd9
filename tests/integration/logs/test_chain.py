import io
import logging
import os
import stat
import threading
from datetime import UTC, datetime

import pytest

from pyacq_lab.errors import AuthenticationError, ConfigurationError
from pyacq_lab.manager.logfile import LogFile
from pyacq_lab.manager.logintake import LogIntake
from pyacq_lab.manager.logserver import LogServer
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin
from pyacq_lab.transport.logship import LogShipper
from pyacq_lab.transport.logsocket import SENT_AHEAD, open_log_socket
from pyacq_lab.wire.spool import SIZE, SpoolWriter


def test_two_processes_are_heard_in_order_with_all_they_say(patient_server, talker, until):
    server = patient_server
    talkers = [talker(name, "everything", 200) for name in ("one", "two")]
    for t in talkers:
        server.connect(t.endpoint, t.key, t.name)
        t.go()
    for t in talkers:
        out, err = t.finish()
        assert "unsent 0 threads 1" in out
        assert err.count("in the main thread") >= 1  # hooks that were there before still print
    server.disconnect("one", "two", timeout=30)
    until(lambda: len(server.query(contains="no end")) == 2)  # given out at the end, so the last of all

    records = server.query(limit=None)
    assert not any(r.lost or r.late for r in records)
    times = [r.corrected_ns for r in records]
    assert times == sorted(times)
    for t in talkers:
        mine = server.query(source=f"rig/{t.name}", limit=None)
        assert [r.seq for r in mine] == list(range(len(mine)))
        assert [r.message for r in mine[:200]] == [f"record {i}" for i in range(200)]
        rest = {r.message: r for r in mine[200:]}
        assert rest["printed text"].stream == "stdout"
        assert "no end" in rest
        (warning,) = [r for r in mine if r.logger == "py.warnings"]
        assert (warning.level, warning.pid) == (logging.WARNING, t.process.pid)
        failures = [r for r in mine if r.stream == "exception"]
        assert [r.message.rpartition("ValueError: ")[2] for r in failures] == [
            "in a thread",
            "in a loop",
            "in the main thread",
        ]
        assert [r.thread for r in failures] == ["pump", "MainThread", "MainThread"]
        assert all("Traceback" in r.traceback for r in failures)
        assert len(mine) == 200 + 2 + 1 + 3  # and nothing is said twice


def test_a_burst_beyond_the_bound_counts_the_rest_exactly(server, talker, until):
    talking = talker("one", "burst", 5000, size=50_000)
    _, dropped = talking.line().split()
    assert 2000 < int(dropped) < 5000
    server.connect(talking.endpoint, talking.key, "one")
    talking.go()
    out, _ = talking.finish()
    assert "unsent 0" in out
    server.disconnect("one", timeout=30)
    until(lambda: server.query(contains="record 4999"))

    hole, *heard = server.query(source="rig/one", limit=None)
    assert hole.lost == int(dropped)
    assert [r.message for r in heard] == [f"record {i}" for i in range(hole.lost, 5000)]


def test_a_say_never_waits_for_anybody(server, talker, until):
    """Nobody listens: the spool takes what it holds, the caller goes on."""
    talking = talker("one", "flood", 50_000, size=50_000)
    talking.go()
    assert int(talking.line().split()[1]) >= 45_000  # it has said all, and nobody has heard anything
    server.connect(talking.endpoint, talking.key, "one")
    until(lambda: server.query(contains="the end"))
    mine = server.query(source="rig/one", limit=None)
    assert sum(r.lost for r in mine) + sum(not r.lost for r in mine) == 50_001
    talking.finish()


def test_what_a_killed_process_had_sent_is_kept(server, talker, until):
    talking = talker("one", "killed", 300)
    server.connect(talking.endpoint, talking.key, "one")
    talking.go()
    talking.process.wait(60)
    until(lambda: server.query(contains="record 299"))
    server.disconnect("one")

    assert [r.message for r in server.query(limit=None)] == [f"record {i}" for i in range(300)]


@pytest.fixture
def shipper_of(reactor, keys):
    """Make a shipper in this process; gives where it listens, too, and anybody may listen."""
    made = []

    def make(**options):
        socket, endpoint = open_log_socket(reactor, keys, lambda key: True, "127.0.0.1")
        made.append(LogShipper(socket, LogOrigin(host="rig", process="one"), SystemClock(), **options))
        return made[-1], endpoint

    yield make
    for shipper in made:
        shipper.close(0)


def small_spool(size, n_segments=2):
    return SpoolWriter(memoryview(bytearray(SIZE)), n_segments, size)


def test_what_nobody_hears_is_counted_at_the_end(shipper_of):
    shipper, _ = shipper_of(spool=small_spool(200))
    for i in range(100):
        shipper.say(str(i))

    assert shipper.waiting + shipper.dropped == 100
    assert 0 < shipper.waiting < 50
    assert shipper.heard == 0
    assert shipper.close(timeout=0.05) == shipper.waiting
    assert shipper.close() == shipper.waiting


def test_what_nobody_hears_goes_to_disk_and_is_heard_in_order(shipper_of, keys, server, until, tmp_path):
    shipper, endpoint = shipper_of(spool=small_spool(100_000, 8), spill=tmp_path / "spill")
    for i in range(50_000):
        shipper.say(str(i))
        if i % 1000 == 0:  # no faster than the disk: what is overwritten before is counted, and lost
            until(lambda: shipper._spool.fullness < 0.8)
    assert shipper.dropped == 0
    assert stat.S_IMODE((tmp_path / "spill").stat().st_mode) == 0o700
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in (tmp_path / "spill").iterdir())
    server.connect(endpoint, keys.public, "one")
    until(lambda: server.query(contains="49999", process="one"))

    assert [r.message for r in server.query(limit=None)] == [str(i) for i in range(50_000)]
    until(lambda: shipper.waiting == 0)
    assert shipper.close() == 0
    assert not list((tmp_path / "spill").iterdir())


def test_where_the_disk_takes_nothing_the_loss_is_counted(shipper_of, keys, server, until, tmp_path):
    (tmp_path / "spill").write_text("this is no folder")
    shipper, endpoint = shipper_of(spool=small_spool(20_000), spill=tmp_path / "spill")
    for i in range(5000):
        shipper.say(str(i))
    shipper.say("the end")
    server.connect(endpoint, keys.public, "one")
    until(lambda: server.query(contains="the end"))
    until(lambda: shipper.waiting == 0)

    said = server.query(limit=None, process="one")
    heard = [r.seq for r in said if not r.lost]
    assert heard == sorted(set(heard))
    assert len(heard) + sum(r.lost for r in said) == 5001
    assert sum(r.lost for r in said) == shipper.dropped > 2000
    assert shipper.close() == 0


def test_the_last_listener_goes_on_where_the_one_before_stopped(reactor, shipper_of, keys, server, until):
    shipper, endpoint = shipper_of()
    server.connect(endpoint, keys.public, "one")
    shipper.say("to the first")
    until(lambda: shipper.heard == 1)
    other = LogServer(reactor, KeyPair.generate(), SystemClock(), LogOrigin(host="y", process="y"))
    other.connect(endpoint, keys.public, "one")

    def taken_over():
        shipper.say("to either")
        return shipper._listener == other._receiver._id

    until(taken_over)
    for i in range(100):
        shipper.say(f"to the second {i}")
    assert shipper.close(20) == 0
    other.close(20)

    hole, *heard = other.query(process="one", limit=None)
    assert hole.message.endswith("lost, or heard by another log server, before this one")
    assert [r.seq for r in heard] == list(range(hole.lost, hole.lost + len(heard)))
    assert [r.message for r in heard[-100:]] == [f"to the second {i}" for i in range(100)]
    until(lambda: len(server.query(process="one", limit=None)) >= hole.lost)
    first = [r.seq for r in server.query(process="one", limit=None)]
    assert first == list(range(len(first)))


def test_a_goodbye_waits_for_a_log_server_that_hangs(reactor, shipper_of, keys, server, until):
    shipper, endpoint = shipper_of()
    server.connect(endpoint, keys.public, "one")
    shipper.say("heard")
    until(lambda: shipper.heard == 1)
    hanging, go_on = threading.Event(), threading.Event()
    reactor.call_soon(lambda: (hanging.set(), go_on.wait(30)))
    assert hanging.wait(10)
    for i in range(40_000):  # more than may be under way
        shipper.say(f"unheard {i}")
    closing = threading.Thread(target=shipper.close, args=(30,))
    closing.start()
    until(lambda: len(shipper._on_way) == SENT_AHEAD)
    go_on.set()
    closing.join()
    assert shipper.waiting == 0
    assert server._receiver._lines["one"].goodbye.wait(10)
    until(lambda: server.query(contains="unheard 39999"))
    assert not any(r.lost for r in server.query(limit=None))


def test_while_a_view_hangs_processes_keep_what_they_say(shipper_of, keys, server, until):
    server._intake = LogIntake(enough=500, most=20_000)
    hanging, go_on = threading.Event(), threading.Event()
    end = server.subscribe(lambda records: (hanging.set(), go_on.wait(60)))
    shipper, endpoint = shipper_of()
    server.connect(endpoint, keys.public, "one")
    shipper.say("heard")
    assert hanging.wait(10)
    for i in range(40_000):  # more than may wait for the server
        shipper.say(f"record {i}")
    until(lambda: server._intake.full and len(shipper._on_way) == SENT_AHEAD)
    end()
    go_on.set()
    until(lambda: server.query(contains="record 39999"))
    until(lambda: shipper.waiting == 0)

    assert [r.seq for r in server.query(process="one", limit=None)] == list(range(40_001))
    assert not any(r.lost for r in server.query(limit=None))


def test_an_end_that_fitted_nowhere_is_counted_by_the_goodbye(shipper_of, keys, server, until):
    shipper, endpoint = shipper_of(spool=small_spool(1000))
    server.connect(endpoint, keys.public, "one")
    shipper.say("short")
    for _ in range(3):
        shipper.say("x" * 2000)
    assert shipper.close(20) == 0
    server.disconnect("one", timeout=20)
    until(lambda: len(server.query(process="one")) == 2)

    assert [(r.message, r.lost, r.seq) for r in server.query(process="one")] == [
        ("short", 0, 0),
        ("3 records lost here", 3, 1),
    ]


def test_a_stranger_hears_nothing(reactor, talker, until):
    stranger = LogServer(reactor, KeyPair.generate(), SystemClock(), LogOrigin(host="x", process="x"))
    talking = talker("one", "burst", 10)
    talking.line()
    stranger.connect(talking.endpoint, talking.key, "one")
    stranger.disconnect("one", timeout=1)
    stranger.close()

    assert stranger.query() == []


def test_records_that_come_another_way_are_sorted_in(server, until):
    for i in (3, 1, 2):
        server.add(LogRecord(time_ns=i * 10**9, host=f"h{i}", channel="host", message=str(i)))

    until(lambda: len(server.query()) == 3)
    assert [r.message for r in server.query()] == ["1", "2", "3"]


def test_its_own_process_is_captured_until_it_closes(reactor, server, until, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    server.capture_own()
    logging.getLogger("mine").warning("from here")

    def fail():
        raise ValueError("gone")

    thread = threading.Thread(target=fail, name="pump")
    thread.start()
    thread.join()
    until(lambda: len(server.query()) == 2)
    server.close()
    logging.getLogger("mine").warning("after the end")

    assert [(r.source, r.message, r.seq) for r in server.query()] == [
        ("lab/manager", "from here", 0),
        ("lab/manager", "ValueError: gone", 1),
    ]
    assert server.query()[1].thread == "pump"


def test_records_that_come_twice_count_once(server, until):
    records = [LogRecord(time_ns=i, seq=i, host="rig", process="p", message=str(i)) for i in range(10)]
    server.add(*records[:6])
    server.add(*records[3:])
    server.add(*records)
    until(lambda: server.query(contains="9"))

    assert [r.message for r in server.query()] == [str(i) for i in range(10)]


def test_records_of_a_host_are_corrected_by_its_clock(server, until):
    server.set_offset("ahead", 5 * 10**9)
    server.add(LogRecord(time_ns=6 * 10**9, host="ahead", message="first"))
    server.add(LogRecord(time_ns=2 * 10**9, host="right", message="second"))

    until(lambda: len(server.query()) == 2)
    assert [(r.message, r.corrected_ns) for r in server.query()] == [("first", 10**9), ("second", 2 * 10**9)]
    assert server.query(since=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC))[0].message == "second"


def test_the_servers_own_records_are_right_whatever_a_host_of_its_name_is(server, until):
    server.set_offset("lab", 5 * 10**9)
    server.say("mine")

    until(lambda: server.query())
    assert server.query()[0].offset_ns == 0


def test_subscribers_get_every_record_once_in_batches(server, until):
    batches = []
    end = server.subscribe(batches.append, interval=0)
    for i in range(1000):
        server.say(str(i))
    until(lambda: sum(map(len, batches)) == 1000)
    end()
    server.say("unheard")
    until(lambda: server.query(contains="unheard"))

    assert [r.message for batch in batches for r in batch] == [str(i) for i in range(1000)]


def test_a_subscriber_that_fails_is_dropped_and_said(server, until):
    calls = []

    def view(records):
        calls.append(records)
        raise ValueError("broken view")

    server.subscribe(view)
    server.say("hello")
    (failure,) = until(lambda: server.query(contains="broken view"))
    server.say("again")
    until(lambda: server.query(contains="again"))

    assert len(calls) == 1
    assert failure.level == logging.ERROR
    assert "in view" in failure.traceback


def test_it_prints_who_said_what(server, until):
    stream = io.StringIO()
    server.print_to(stream)
    server.say("hello", thread="pump", node="left")
    until(lambda: stream.getvalue())

    assert stream.getvalue().endswith("lab/manager [left] pump hello\n")


def test_what_is_still_held_at_the_end_is_kept(reactor, keys):
    heard = []
    server = LogServer(reactor, keys, SystemClock(), LogOrigin(host="lab", process="m"), watermark=3600)
    server.subscribe(heard.extend)
    server.say("last words")
    server.close()
    server.close()

    assert [r.message for r in heard] == ["last words"]


def test_a_name_is_taken_once_and_keys_and_endpoints_are_checked(server, keys):
    server.connect("tcp://127.0.0.1:1", keys.public, "one")
    with pytest.raises(ConfigurationError, match="'one'"):
        server.connect("tcp://127.0.0.1:2", keys.public, "one")
    with pytest.raises(AuthenticationError):
        server.connect("tcp://127.0.0.1:2", "not a key", "two")
    with pytest.raises(ConfigurationError, match="endpoint"):
        server.connect("nowhere", keys.public, "two")

    assert server.sources == ("one",)
    server.disconnect("one", "never heard", timeout=0)
    assert server.sources == ()


def test_a_disk_that_fails_is_told_by_the_manager_itself(reactor, keys, until, tmp_path):
    class Full(LogFile):
        def write(self, records):
            raise OSError(28, "No space left on device")

    store = LogStore(Full(tmp_path / "log.jsonl"))
    server = LogServer(
        reactor, keys, SystemClock(), LogOrigin(host="lab", process="manager"), store=store, watermark=0.01
    )
    try:
        server.say("the first word")
        until(lambda: server.query(contains="No space left"))
        (record,) = server.query(contains="No space left")
        assert (record.source, record.pid, record.level_name) == ("lab/manager", os.getpid(), "ERROR")
        assert record.mono_ns
    finally:
        server.close()
