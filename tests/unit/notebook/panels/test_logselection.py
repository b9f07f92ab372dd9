from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.manager.logstore import LogStore
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.notebook.panels.logselection import LogSelection


@given(st.lists(st.lists(st.integers(10, 40), max_size=12)), st.integers(1, 30), st.integers(0, 40))
def test_it_is_the_filtered_end_of_all_records_at_positions_that_never_change(batches, capacity, level):
    store = LogStore(capacity=capacity)
    selection = LogSelection(store, LogFilter(level=level))
    told, n_before = [], 0
    for batch in batches:
        store.append(new := [LogRecord(time_ns=0, seq=len(told) + i, level=v) for i, v in enumerate(batch)])
        told += new
        selection.refresh()
        kept = [r for r in told[-capacity:] if r.level >= level]

        found = selection.read(0, 10**6)
        assert [record for _, _, record in found] == kept
        assert [position for position, _, _ in found] == list(range(selection.start, selection.stop))
        assert all(store.read(index, index + 1) == [record] for _, index, record in found)
        assert selection.stop >= n_before
        n_before = selection.stop


def test_reading_takes_only_what_is_asked_for():
    store = LogStore()
    store.append([LogRecord(time_ns=0, seq=i) for i in range(10)])
    selection = LogSelection(store, LogFilter())

    assert [r.seq for _, _, r in selection.read(3, 6)] == [3, 4, 5]
    assert selection.read(-5, 0) == []
    assert selection.read(20, 30) == []
