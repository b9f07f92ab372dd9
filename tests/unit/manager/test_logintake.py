from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.manager.logintake import LogIntake
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logmerge import LogMerger


def said(start, stop, process="p"):
    return [LogRecord(time_ns=seq, seq=seq, host="rig", process=process, pid=1) for seq in range(start, stop)]


def test_what_is_put_in_is_taken_out_once_in_order():
    intake = LogIntake()
    intake.put(said(0, 3))
    intake.put(said(3, 5))

    assert intake
    assert [r.seq for run in intake.take().runs for r in run] == [0, 1, 2, 3, 4]
    assert not intake
    assert intake.take().runs == []


def test_who_can_wait_is_called_once_there_is_room():
    calls = []
    intake = LogIntake(enough=2)
    intake.when_free(lambda: calls.append("at once"))
    intake.put(said(0, 3))
    assert intake.full
    intake.when_free(lambda: calls.append("later"))
    assert calls == ["at once"]
    taken = intake.take()
    for function in taken.waiting:
        function()

    assert calls == ["at once", "later"]
    assert taken.full
    assert not intake.full
    assert intake.take().waiting == []


def test_the_oldest_go_and_are_counted_though_nothing_comes_after_them():
    intake = LogIntake(most=10)
    intake.put(said(0, 4))
    intake.put(said(4, 6))
    intake.put(said(0, 9, "q"))

    (hole,), (first, *_) = intake.take().runs
    assert (hole.process, hole.seq, hole.lost, hole.time_ns) == ("p", 0, 6, 5)
    assert first.process == "q"


@given(
    st.lists(st.tuples(st.sampled_from("pq"), st.integers(1, 8), st.integers(0, 12), st.booleans())),
)
def test_whatever_overflows_each_number_is_heard_or_counted_once(puts):
    """Also where records come twice, and the newest of a process are among those that had to go."""
    intake, merger = LogIntake(most=15), LogMerger()
    stops = {"p": 0, "q": 0}

    def sort_in():
        for run in intake.take().runs:
            merger.add_all(run, now_ns=100)

    for process, n, again, taken in puts:
        start = max(0, stops[process] - again)
        stops[process] += n
        intake.put(said(start, stops[process], process))
        if taken:
            sort_in()
    sort_in()
    out = merger.flush()
    for process, stop in stops.items():
        expected = 0
        for record in (r for r in out if r.process == process):
            assert record.seq == expected
            expected += record.lost or 1
        assert expected == stop
