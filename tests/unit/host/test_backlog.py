"""For whom a host keeps what nobody heard."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from pyacq_lab.host.backlog import ANYBODY, Backlog
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.wire.logcodec import Words, decode_batch


def words(text: str) -> Words:
    return Words(1, 1, "", "", "log", "", 20, text, "")


def record(seq: int, text: str, process: str = "daq") -> LogRecord:
    return LogRecord(time_ns=5, seq=seq, host="rig", process=process, pid=7, message=text, channel="host")


def hear(backlog: Backlog, key: str, reader: str = "me", present: tuple[str, ...] = ("me",)) -> list[str]:
    since, heard = 0, []
    while (page := backlog.read(key, reader, present, since))[1]:
        since = page[0]
        heard += [r.message for message in page[1] for r in decode_batch(message)]
    return heard


@pytest.fixture
def backlog(tmp_path: Path) -> Backlog:
    return Backlog("rig", tmp_path / "unheard")


def test_each_key_hears_its_own_and_the_first_what_is_nobodys(backlog, tmp_path) -> None:
    backlog.keep_records("one", [record(3, "for one"), record(4, "for one, too")])
    backlog.keep_records("two", [record(0, "for two")])
    backlog.keep_own(ANYBODY, words("for anybody"))
    for path in (tmp_path / "unheard", *(tmp_path / "unheard").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert hear(backlog, "three") == ["for anybody"]
    assert hear(backlog, "one") == ["for one", "for one, too"]
    assert hear(backlog, "one") == []
    assert hear(backlog, "two") == ["for two"]
    backlog.close()
    assert list((tmp_path / "unheard").iterdir()) == []


def test_two_managers_of_one_key_do_not_hear_it_twice(backlog) -> None:
    backlog.keep_records("key", [record(0, "once")])
    position, _ = backlog.read("key", "first", ["first", "second"], 0)
    assert hear(backlog, "key", "second", ("first", "second")) == []
    # The first is gone before it said that it has heard.
    assert hear(backlog, "key", "second", ("second",)) == ["once"]
    assert backlog.read("key", "first", ["first", "second"], position) == (position, [])


def test_what_is_kept_meanwhile_is_not_forgotten_by_an_old_place(backlog) -> None:
    backlog.keep_records("key", [record(0, "one"), record(1, "two")])
    position, messages = backlog.read("key", "me", ["me"], 0)
    assert len(messages) == 2
    backlog.read("key", "me", ["me"], position)
    backlog.keep_records("key", [record(2, "three")])
    assert len(backlog.read("key", "me", ["me"], position)[1]) == 1


def test_the_next_host_of_the_name_takes_over_from_one_that_is_gone(tmp_path) -> None:
    gone = Backlog("rig", tmp_path)
    gone.keep_records("key", [record(0, "kept")])
    gone.close()
    (folder,) = tmp_path.iterdir()
    neighbour = Backlog("rig", tmp_path)
    neighbour.take_over()
    assert hear(neighbour, "key") == []  # it still runs

    folder.rename(tmp_path / "1-1-abcd")  # a process that is none of ours
    after = Backlog("rig", tmp_path)
    after.take_over()
    assert hear(after, "key") == ["kept"]
    after.close()
    assert list(tmp_path.iterdir()) == []
    after.take_over()
    Backlog("rig", tmp_path / "never").take_over()
