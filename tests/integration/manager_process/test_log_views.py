"""The views of the log where the manager is in a process of its own."""

from __future__ import annotations

import logging
import os
import signal
import threading

import pytest

import pyacq_lab
from pyacq_lab.errors import LifecycleError

MIRROR = "pyacq-log-mirror"


@pytest.fixture
def manager(jupyter_home):
    with pyacq_lab.create_manager(mode="rpc", logs="off") as manager:
        yield manager


def say(group, *words):
    group.run(f"import logging\nfor word in {words!r}: logging.getLogger('bench').warning(word)")


def mirrors() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == MIRROR]


def texts(view) -> list[str]:
    return [record.message for record in view.records()]


def test_a_view_shows_what_was_said_before_and_after(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    say(group, "before")
    until(lambda: manager.logs(contains="before"))
    view = manager.log_view(source="loud", level="WARNING")
    assert texts(view) == ["before"]
    sent = []
    view.send = sent.append
    view._handle_custom_msg({"type": "hello"}, [])
    assert [row[7] for row in sent[-1]["rows"]] == ["before"]
    say(group, "after")
    until(lambda: [row[7] for row in sent[-1]["rows"]] == ["after"])
    assert texts(view) == ["before", "after"]
    assert view.records()[0].logger == "bench"
    assert view.records() == manager.logs(source="loud", level="WARNING")


def test_the_tail_is_fed(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    output = manager.log_output(n_records=2, source="loud")
    say(group, "one", "two", "three")
    until(lambda: "three" in output.outputs[0]["text"])
    assert [line.split()[-1] for line in output.outputs[0]["text"].splitlines()] == ["two", "three"]


def test_nothing_is_asked_while_no_view_is_open(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    assert mirrors() == []
    views = [manager.log_view(), manager.log_output()]
    assert len(mirrors()) == 1
    views.pop().close()
    say(group, "still heard")
    until(lambda: "still heard" in texts(views[0]))
    views.pop().close()
    until(lambda: not mirrors())
    say(group, "meanwhile")
    until(lambda: manager.logs(contains="meanwhile"))
    assert "meanwhile" not in [record.message for record in manager.log_mirror.store.read(0)]
    assert "meanwhile" in texts(manager.log_view())


def test_indices_are_those_of_the_manager_also_where_it_has_forgotten_some(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    n = 101_000
    manager.log_view().close()  # has seen the beginning
    group.run(f"import logging\nfor i in range({n}): logging.getLogger('bench').info('%d', i)", _timeout=120)
    until(lambda: manager.logs(contains=str(n - 1)))
    view = manager.log_view(source="loud")
    store = manager.log_mirror.store
    assert store.start > 0
    assert store.stop - store.start == store.capacity
    assert texts(view)[-1] == str(n - 1)
    (index,) = [
        i for i in range(store.stop - 50, store.stop) if store.read(i, i + 1)[0].message == str(n - 1)
    ]
    assert index >= n - 1


def test_what_has_come_stays_when_the_managers_process_dies(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    view = manager.log_view()
    say(group, "last words")
    until(lambda: "last words" in texts(view))
    os.kill(manager.pid, signal.SIGKILL)
    until(lambda: view.records()[-1].level_name == "CRITICAL")
    assert "nothing more comes from the manager's process" in view.records()[-1].message
    assert "last words" in texts(view)
    until(lambda: not mirrors())
    assert "last words" in texts(manager.log_view())  # one more, of what is here


def test_the_panel_opens_the_log_of_a_process(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    say(group, "listed")
    until(lambda: manager.logs(contains="listed"))
    panel = manager.panel()
    assert panel.has_logs
    panel._handle_custom_msg({"type": "log", "process": "loud"}, [])
    assert texts(panel._log_view)[-1] == "listed"


def test_records_are_printed_to_any_stream(manager, until, tmp_path) -> None:
    group = manager.create_nodegroup("loud")
    with (tmp_path / "log.txt").open("w+") as file:
        end = manager.print_logs(file)
        say(group, "on paper")
        until(lambda: "on paper" in (tmp_path / "log.txt").read_text())
        end()
    until(lambda: not mirrors())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_the_notebook_itself_says_is_in_the_log_in_its_place(manager, until) -> None:
    group = manager.create_nodegroup("loud")
    log = logging.getLogger("experiment")
    log.warning("before it", extra={"run": 3})
    say(group, "in between")
    log.warning("after it")

    def fail():
        raise ValueError("in a thread of the notebook")

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    until(lambda: manager.logs(contains="in a thread of the notebook"))
    until(lambda: manager.logs(contains="in between"))
    words = ("before it", "in between", "after it")
    assert [r.message for r in manager.logs() if r.message in words] == list(words)
    (record,) = manager.logs(contains="before it")
    assert (record.process, record.pid, record.extra) == ("notebook", os.getpid(), {"run": 3})
    manager.close()
    assert logging.root.parent is None  # nothing listens any more


# --- create_manager, called again


@pytest.fixture(params=["local", "rpc"])
def mode(request, jupyter_home):
    yield request.param
    pyacq_lab.current_manager().close()


@pytest.fixture
def displayed(monkeypatch):
    """What was displayed in a notebook."""
    shown = []
    monkeypatch.setattr("pyacq_lab.notebook.application.in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    return shown


def test_each_call_shows_the_tail_below_its_cell(mode, displayed) -> None:
    manager = pyacq_lab.create_manager(mode)
    assert pyacq_lab.create_manager(mode) is manager
    first, again = displayed
    assert first is again
    assert pyacq_lab.create_manager(mode, logs="off") is manager
    assert first.comm is None
    assert pyacq_lab.create_manager(mode) is manager  # it stays off
    assert len(displayed) == 2
    pyacq_lab.create_manager(mode, logs="auto")
    assert displayed[2].comm is not None
    displayed[2].close()  # by the user
    pyacq_lab.create_manager(mode)
    assert displayed[3].comm is not None


def test_printing_can_be_turned_on_and_off_later(mode, until, capfd) -> None:
    printed = []

    def is_printed(word):
        printed.append(capfd.readouterr().err)
        return word in "".join(printed)

    manager = pyacq_lab.create_manager(mode, logs="off")
    group = manager.create_nodegroup("loud")
    say(group, "unheard")
    until(lambda: manager.logs(contains="unheard"))
    pyacq_lab.create_manager(mode, logs="print")
    say(group, "heard")
    until(lambda: is_printed("heard"))
    pyacq_lab.create_manager(mode, logs="off")
    say(group, "too late")
    until(lambda: manager.logs(contains="too late"))
    pyacq_lab.create_manager(mode, logs="print")
    say(group, "once more")
    until(lambda: is_printed("once more"))
    assert not is_printed("unheard")
    assert not is_printed("too late")
    assert "".join(printed).count("once more") == 1


def test_another_lease_is_refused(mode) -> None:
    manager = pyacq_lab.create_manager(mode, logs="off", lease=7.0)
    assert pyacq_lab.create_manager(mode) is manager
    assert pyacq_lab.create_manager(mode, lease=7.0) is manager
    with pytest.raises(LifecycleError, match=r"lease of 7 s.*create_manager\(lease=8\)"):
        pyacq_lab.create_manager(mode, lease=8.0)
    assert not manager.closed
