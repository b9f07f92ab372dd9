"""What a spill keeps, drops and counts."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.transport import spill as module
from pyacq_lab.transport.spill import LogSpill
from pyacq_lab.wire.logcodec import LogOrigin, Words, decode_batch, encode_batch, encode_words, span_of


def batch(first: int, n: int, process: str = "daq", size: int = 10) -> bytes:
    words = [Words(i, 0, "", "", "log", "", 20, "x" * size, "") for i in range(first, first + n)]
    origin = LogOrigin(host="rig", process=process, pid=1)
    return encode_batch(first, origin, [encode_words(w) for w in words])


def read_all(spill: LogSpill, size: int = 500) -> list[bytes]:
    position, found = 0, []
    while (page := spill.read(position, size))[1]:
        position = page[0]
        found += page[1]
    return found


def numbers(messages: list[bytes], process: str = "daq") -> tuple[list[int], int]:
    """Numbers of the records of a process, and how many are counted as lost; none is there twice."""
    records = [r for m in messages for r in decode_batch(m) if r.process == process]
    expected = records[0].seq if records else 0
    for record in records:
        assert record.seq == expected
        expected += record.lost or 1
    return [r.seq for r in records if not r.lost], sum(r.lost for r in records)


def test_batches_come_back_in_order_and_go_when_they_are_forgotten(tmp_path: Path) -> None:
    spill = LogSpill(tmp_path / "spill", max_bytes=1000)
    messages = [batch(10 * i, 10) for i in range(20)]
    for message in messages:
        spill.append(message)
    assert read_all(spill) == messages
    assert len(spill) == spill.stop == 200
    assert stat.S_IMODE((tmp_path / "spill").stat().st_mode) == 0o700
    files = list((tmp_path / "spill").iterdir())
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)

    spill.forget(spill.position_of(95))
    assert read_all(spill) == messages[9:]
    assert len(list((tmp_path / "spill").iterdir())) < len(files)
    spill.forget(spill.end)
    assert spill.empty
    assert list((tmp_path / "spill").iterdir()) == []
    spill.append(messages[0])
    assert read_all(spill) == messages[:1]
    spill.remove()
    assert not (tmp_path / "spill").exists()


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 20), st.integers(0, 100)), max_size=60),
    st.integers(1, 4),
)
def test_the_oldest_make_room_and_are_counted_of_each_process(tmp_path_factory, told, n_files) -> None:
    spill = LogSpill(tmp_path_factory.mktemp("spill") / "there", max_bytes=500, n_files=n_files)
    stops = {"a": 0, "b": 0}
    for process, n, size in told:
        spill.append(batch(stops[process], n, process, size))
        stops[process] += n
    found = read_all(spill)
    n_lost = 0
    for process, stop in stops.items():
        kept, lost = numbers(found, process)
        assert kept == list(range(lost, stop))
        n_lost += lost
    assert n_lost == spill.lost
    spill.remove()


def test_a_disk_that_is_full_for_a_while_costs_what_came_meanwhile(tmp_path, monkeypatch, caplog) -> None:
    spill = LogSpill(tmp_path / "spill")
    write = os.write
    spill.append(batch(0, 10))

    def half(fd: int, data: memoryview) -> int:
        if len(data) > 100:
            return write(fd, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "write", half)
    spill.append(batch(10, 10))
    spill.append(batch(20, 10))
    spill.append(batch(0, 5, "other"))
    monkeypatch.undo()
    spill.append(batch(30, 10))

    kept, lost = numbers(read_all(spill))
    assert (kept, lost) == ([*range(10), *range(30, 40)], 20)
    assert numbers(read_all(spill), "other") == ([], 5)
    assert spill.lost == 25
    (said,) = caplog.messages
    assert "No space left on device" in said
    spill.close()
    found = read_all(LogSpill(tmp_path / "spill"))
    assert [r.seq for message in found for r in decode_batch(message)] == kept


def test_a_folder_that_cannot_be_made_costs_all_but_the_count(tmp_path: Path) -> None:
    (tmp_path / "spill").write_text("no folder")
    spill = LogSpill(tmp_path / "spill")
    for first in (0, 10):
        spill.append(batch(first, 10))
    assert numbers(read_all(spill)) == ([], 20)
    assert not spill.empty
    assert len(spill) == 0
    spill.forget(spill.end)
    assert spill.empty


def test_the_next_process_finds_what_was_left_but_for_half_a_batch(tmp_path: Path) -> None:
    first = LogSpill(tmp_path, max_bytes=400)
    messages = [batch(10 * i, 10) for i in range(5)]
    for message in messages:
        first.append(message)
    first.close()
    (newest,) = sorted(tmp_path.iterdir())[-1:]
    newest.write_bytes(newest.read_bytes()[:-3])

    again = LogSpill(tmp_path)
    again.append(batch(50, 10))
    assert read_all(again) == [*messages[:-1], batch(50, 10)]
    again.close()


def test_a_file_that_is_gone_is_counted(tmp_path: Path) -> None:
    spill = LogSpill(tmp_path, max_bytes=10)
    for first in (0, 10, 20):
        spill.append(batch(first, 10))
    sorted(tmp_path.iterdir())[1].unlink()
    kept, lost = numbers(read_all(spill))
    assert (kept, lost) == ([*range(10), *range(20, 30)], 10)
    assert spill.lost == 10
    spill.forget(spill.end)
    assert list(tmp_path.iterdir()) == []


def test_a_hole_and_a_time_survive_the_way(tmp_path: Path) -> None:
    spill = LogSpill(tmp_path / "none", max_bytes=10, n_files=1)
    spill.append(batch(0, 10))
    spill.append(batch(10, 10))
    hole, kept = read_all(spill)
    assert span_of(hole) == (LogOrigin(host="rig", process="daq", pid=1), 0, 10, True, 9)
    (record,) = decode_batch(hole, host="rig-2", own_name="rig")
    assert (record.message, record.lost, record.time_ns, record.host) == (
        "10 records lost here",
        10,
        9,
        "rig-2",
    )
    assert decode_batch(kept, host="rig-2", own_name="else")[0].host == "rig"
    other = LogSpill(tmp_path / "other")
    other.append(hole)
    assert read_all(other) == [hole]
    spill.remove()
    other.remove()


def test_sizes_that_hold_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="positive"):
        LogSpill(tmp_path, n_files=0)
