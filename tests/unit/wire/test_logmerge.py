import itertools
import logging

from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logmerge import FORGET_NS, LogMerger

MS = 1_000_000


def record(time_ns, seq, host="rig", **fields):
    return LogRecord(time_ns=time_ns, seq=seq, host=host, process="p", pid=1, **fields)


def test_what_another_log_server_had_heard_is_no_loss():
    merger = LogMerger()
    merger.add(record(1, seq=50, late=True), now_ns=9)
    merger.add(record(2, seq=53, late=True), now_ns=9)
    merger.add(record(3, seq=7, host="live"), now_ns=9)
    out = merger.flush()
    assert [(r.host, r.lost) for r in out if r.lost] == [("rig", 2), ("live", 7)]
    assert all(r.late for r in out if r.host == "rig" and not r.lost)


@st.composite
def sources(draw):
    """Records of several sources, each with increasing times, a clock offset and numbers that are missing."""
    told = {}
    for i in range(draw(st.integers(1, 4))):
        steps = draw(st.lists(st.integers(0, 50), min_size=1, max_size=20))
        kept = draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
        offset = draw(st.integers(-1000, 1000)) * MS
        times = itertools.accumulate(steps)
        told[f"host{i}"] = (
            offset,
            [
                record(t * MS + offset, seq, f"host{i}")
                for seq, (t, keep) in enumerate(zip(times, kept, strict=True))
                if keep
            ],
        )
    return told


@given(sources(), st.randoms())
def test_any_interleaving_comes_out_sorted_and_complete(told, random):
    merger = LogMerger()
    for host, (offset, _) in told.items():
        merger.set_offset(host, offset)
    turns = [host for host, (_, records) in told.items() for _ in records]
    random.shuffle(turns)
    queues = {host: iter(records) for host, (_, records) in told.items()}
    for host in turns:
        merger.add(next(queues[host]), now_ns=0)

    out = merger.flush()

    times = [r.corrected_ns for r in out]
    assert times == sorted(times)
    assert not any(r.late for r in out)
    for host, (_, records) in told.items():
        mine = [r for r in out if r.host == host]
        assert [r.seq for r in mine if not r.lost] == [r.seq for r in records]
        missing = (records[-1].seq + 1 - len(records)) if records else 0
        assert sum(r.lost for r in mine) == missing
        # Every hole stands right before the record after it, and the numbers are whole again.
        expected = 0
        for r in mine:
            assert r.seq == expected
            expected += r.lost or 1


def test_a_record_is_held_for_the_watermark_and_no_longer():
    merger = LogMerger(watermark_ns=100)
    merger.add(record(1000, 0), now_ns=1020)

    assert merger.due_ns() == 1100
    assert merger.take(1099) == []
    assert [r.seq for r in merger.take(1100)] == [0]
    assert merger.due_ns() is None
    assert len(merger) == 0


def test_a_record_behind_the_watermark_is_let_through_as_late():
    merger = LogMerger(watermark_ns=100)
    merger.add(record(1000, 0, "a"), now_ns=1000)
    merger.take(1100)
    merger.add(record(900, 0, "b"), now_ns=1200)

    (late,) = merger.take(1200)

    assert (late.host, late.late) == ("b", True)


def test_a_clock_that_is_ahead_does_not_hide_its_records():
    merger = LogMerger(watermark_ns=100)
    merger.add(record(10**18, 0), now_ns=1000)

    assert [r.seq for r in merger.take(1100)] == [0]


def test_a_hole_says_how_many_and_where():
    merger = LogMerger()
    for seq in (0, 4):
        merger.add(record(seq, seq), now_ns=0)

    first, hole, _ = merger.flush()

    assert first.lost == 0
    assert (hole.lost, hole.seq, hole.level) == (3, 1, logging.WARNING)
    assert hole.message == "3 records lost here"


def test_a_source_heard_in_the_middle_says_that_another_server_may_have_heard_the_rest():
    merger = LogMerger()
    merger.add(record(0, 7), now_ns=0)

    hole, _ = merger.flush()

    assert hole.lost == 7
    assert "another log server" in hole.message


def test_channels_and_processes_are_numbered_apart():
    merger = LogMerger()
    merger.add(record(0, 0), now_ns=0)
    merger.add(record(1, 0, channel="host"), now_ns=0)
    merger.add(record(2, 0, "other"), now_ns=0)

    assert [r.lost for r in merger.flush()] == [0, 0, 0]


def test_a_recycled_process_id_begins_again():
    merger = LogMerger()
    for seq in (5, 0, 1):
        merger.add(record(seq, seq), now_ns=0)

    assert sum(r.lost for r in merger.flush()) == 5  # only those before number 5


def test_an_ended_process_is_known_for_a_while_and_then_forgotten():
    merger = LogMerger()
    merger.add(record(0, 0), now_ns=0)
    merger.add(record(0, 0, channel="host"), now_ns=0)
    merger.add(record(0, 0, "other"), now_ns=0)
    merger.end("rig", "p", 1, now_ns=0)
    merger.take(FORGET_NS - 1)
    merger.add(record(1, 2), now_ns=0)
    assert [r.message for r in merger.flush() if r.lost] == ["1 record lost here"]
    assert merger.n_sources == 3
    merger.take(FORGET_NS)
    assert merger.n_sources == 1
    merger.add(record(2, 3), now_ns=0)
    assert "another log server" in merger.flush()[0].message


def test_a_process_that_took_an_ended_ones_id_is_not_forgotten():
    merger = LogMerger()
    for seq in (0, 1):
        merger.add(record(seq, seq), now_ns=0)
    merger.end("rig", "p", 1, now_ns=0)
    merger.add(record(5, 0), now_ns=5)
    merger.take(FORGET_NS)
    merger.add(record(6, 1), now_ns=6)
    assert not any(r.lost for r in merger.flush())


def test_a_hole_that_is_told_is_no_hole_beside():
    merger = LogMerger()
    merger.add_all([record(0, 0)], now_ns=0)
    merger.add_all([record(1, 1, lost=4)], now_ns=0)
    merger.add_all([record(2, 5), record(3, 6)], now_ns=0)
    merger.add_all([record(1, 1, lost=4)], now_ns=0)
    assert [(r.seq, r.lost) for r in merger.flush()] == [(0, 0), (1, 4), (5, 0), (6, 0)]


def test_of_a_hole_that_was_known_in_part_the_rest_counts():
    merger = LogMerger()
    merger.add_all([record(1, 0), record(2, 1)], now_ns=0)
    merger.add_all([record(3, 2, lost=4)], now_ns=0)
    merger.add_all([record(5, 1, lost=9)], now_ns=0)  # it has grown since it was told
    merger.add_all([record(6, 10)], now_ns=0)

    assert [(r.seq, r.lost) for r in merger.flush()] == [(0, 0), (1, 0), (2, 4), (6, 4), (10, 0)]


def test_a_batch_that_came_in_part_before_is_taken_once():
    merger = LogMerger()
    said = [record(i, i) for i in range(10)]
    for first, stop in ((0, 4), (2, 7), (0, 7), (5, 10)):
        merger.add_all(said[first:stop], now_ns=100)
    assert [r.seq for r in merger.flush()] == list(range(10))


@given(st.data())
def test_two_records_of_a_host_are_never_turned_around(data):
    """However the offset moves, whichever process they are of, in whatever order the processes are heard."""
    merger = LogMerger()
    now, stamps, seqs = 0, [0, 0, 0], [0, 0, 0]
    clock = data.draw(st.integers(-5, 5)) * MS
    for _ in range(data.draw(st.integers(1, 30))):
        now += data.draw(st.integers(0, 50)) * MS
        merger.set_offset("rig", clock + data.draw(st.integers(-20, 20)) * MS)
        which = data.draw(st.integers(0, 2))  # what the others say meanwhile comes later
        n = data.draw(st.integers(1, 4))
        times = sorted(
            data.draw(st.integers(stamps[which], max(stamps[which], now + clock))) for _ in range(n)
        )
        stamps[which] = times[-1]
        batch = [
            LogRecord(time_ns=t, seq=seqs[which] + i, host="rig", process=str(which))
            for i, t in enumerate(times)
        ]
        seqs[which] += n
        merger.add_all(batch, now)
        assert all(r.corrected_ns <= now for *_, r in merger._held[-n:])
    out = merger.flush()
    assert [r.time_ns for r in out] == sorted(r.time_ns for r in out)
    assert [r.corrected_ns for r in out] == sorted(r.corrected_ns for r in out)


def test_an_offset_that_is_measured_anew_keeps_the_order_of_a_source():
    merger = LogMerger()
    merger.set_offset("rig", 1000)
    merger.add(record(5000, 0), now_ns=10_000)
    merger.set_offset("rig", 1200)
    merger.add(record(5100, 1), now_ns=10_000)

    assert [(r.seq, r.corrected_ns) for r in merger.flush()] == [(0, 4000), (1, 4000)]


def test_a_clock_that_was_set_back_is_not_held_to_its_old_order():
    merger = LogMerger()
    merger.add(record(50_000 * MS, 0), now_ns=100_000 * MS)
    merger.set_offset("rig", -40_000 * MS)
    merger.add(record(11_000 * MS, 1), now_ns=100_000 * MS)

    assert [r.corrected_ns for r in merger.flush()] == [50_000 * MS, 51_000 * MS]


def test_a_clock_that_jumped_ahead_makes_no_other_record_late():
    merger = LogMerger(watermark_ns=100)
    merger.add(record(10**18, 0, "jumped"), now_ns=1000)
    merger.take(1100)
    merger.add(record(1150, 0, "rig"), now_ns=1200)

    (other,) = merger.take(1250)

    assert (other.host, other.late) == ("rig", False)


def test_processes_of_hosts_of_one_name_have_their_own_offsets():
    merger = LogMerger()
    merger.set_offset("rig", 500)
    merger.set_offset("rig", 3000, process="p")
    merger.add(record(4000, 0), now_ns=10_000)
    merger.add(LogRecord(time_ns=4000, host="rig", process="other"), now_ns=10_000)

    assert [(r.process, r.offset_ns) for r in merger.flush()] == [("p", 3000), ("other", 500)]
