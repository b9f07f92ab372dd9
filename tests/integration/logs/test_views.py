"""The kernel's half of the views; the test plays the page, whose own half is for tests/browser."""

import logging
import threading

import pytest

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.manager.logfilter import LogFilter
from pyacq_lab.model.logs import LogRecord
from pyacq_lab.model.status import GroupStatus, HostStatus, ManagerStatus
from pyacq_lab.notebook.panels.logoutput import LogOutput
from pyacq_lab.notebook.panels.logview import LogView
from pyacq_lab.notebook.panels.managerpanel import ManagerPanel


@pytest.fixture
def page(monkeypatch):
    """Messages that a widget sends to its page."""

    def listen(widget):
        sent = []
        monkeypatch.setattr(widget, "send", sent.append)
        return sent

    return listen


def say(widget, **message):
    widget._handle_custom_msg(message, [])


@pytest.fixture
def view(server):
    view = LogView(server)
    yield view
    view.close()


def texts(message):
    return [row[7] for row in message["rows"]]


def test_a_page_gets_the_tail_and_then_what_is_new(server, view, page, until):
    sent = page(view)
    for i in range(200):
        server.say(f"old {i}")
    until(lambda: server.store.stop == 200)
    assert sent == []  # nobody looks
    say(view, type="hello")
    server.say("new")
    until(lambda: len(sent) > 1 and texts(sent[-1])[-1:] == ["new"])

    assert (sent[0]["type"], sent[0]["start"], sent[0]["stop"]) == ("tail", 0, 200)
    assert texts(sent[0])[-1] == "old 199"
    assert 0 < len(sent[0]["rows"]) < 200


def test_a_burst_is_pushed_as_few_rows_and_the_rest_is_asked_for(server, view, page, until):
    sent = page(view)
    say(view, type="hello")
    for i in range(5000):
        server.say(str(i))
    until(lambda: sent and sent[-1]["stop"] == 5000)
    assert all(len(message["rows"]) <= 80 for message in sent)

    say(view, type="rows", start=1000, stop=1003)
    assert (sent[-1]["type"], texts(sent[-1])) == ("rows", ["1000", "1001", "1002"])
    say(view, type="rows", start=0, stop=5000)
    assert len(sent[-1]["rows"]) == 400


def test_filters_are_set_from_either_side(server, view, page, until):
    for level in (logging.INFO, logging.ERROR):
        server.add(LogRecord(time_ns=level, host="rig", process="cam", level=level, message=f"level {level}"))
    until(lambda: server.store.stop == 2)
    sent = page(view)
    view.level = "ERROR"
    assert texts(sent[-1]) == ["level 40"]
    view.set_state({"level": 0, "contains": "LEVEL 2"})
    assert texts(sent[-1]) == ["level 20"]
    view.source = "nobody"
    assert texts(sent[-1]) == []
    versions = [message["version"] for message in sent]
    assert versions == sorted(versions)
    assert versions[-1] > 0

    with pytest.raises(ConfigurationError, match="LOUD"):
        view.level = "LOUD"


@pytest.fixture
def slow_search(monkeypatch):
    """Searches for the word "slow" begin, and wait until they may go on."""
    begun, go_on = threading.Event(), threading.Event()
    matches = LogFilter.matches

    def wait(wanted, record):
        if wanted.contains == "slow":
            begun.set()
            assert go_on.wait(30)
        return matches(wanted, record)

    monkeypatch.setattr(LogFilter, "matches", wait)
    yield begun, go_on
    go_on.set()


def test_a_long_search_holds_up_neither_the_log_nor_the_page(server, view, page, until, slow_search):
    begun, go_on = slow_search
    server.say("slow snail")
    until(lambda: server.store.stop == 1)
    sent = page(view)
    say(view, type="hello")
    search = threading.Thread(target=setattr, args=(view, "contains", "slow"))
    search.start()
    assert begun.wait(30)
    server.say("said meanwhile")
    until(lambda: texts(sent[-1]) == ["said meanwhile"])
    say(view, type="rows", start=0, stop=1)
    assert (texts(sent[-1]), sent[-1]["version"]) == (["slow snail"], 0)

    go_on.set()
    search.join()
    assert (texts(sent[-1]), sent[-1]["version"]) == (["slow snail"], 1)


def test_of_two_searches_the_later_one_counts(server, view, page, until, slow_search):
    begun, go_on = slow_search
    server.say("slow snail")
    server.say("fast hare")
    until(lambda: server.store.stop == 2)
    sent = page(view)
    search = threading.Thread(target=setattr, args=(view, "contains", "slow"))
    search.start()
    assert begun.wait(30)
    view.contains = "fast"
    go_on.set()
    search.join()
    assert [texts(message) for message in sent] == [["fast hare"]]
    assert [record.message for record in view.records()] == ["fast hare"]


def test_one_process_is_shown_by_its_whole_name(server, page, until):
    for process in ("cam", "cam2"):
        server.add(LogRecord(time_ns=1, host="rig", process=process, message=process))
    until(lambda: server.store.stop == 2)
    view = LogView(server, process="cam")
    sent = page(view)
    say(view, type="hello")
    view.close()

    assert texts(sent[0]) == ["cam"]


def test_what_is_listed_is_exported_and_the_page_told_where(server, view, page, until, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in ("hot", "cold"):
        server.say(word)
    until(lambda: server.store.stop == 2)
    view.contains = "cold"
    assert [record.message for record in view.records()] == ["cold"]
    view.contains = "hot"  # what stands in the page counts, though it is not here yet
    sent = page(view)
    filters = {"level": 0, "source": "", "contains": "cold"}
    say(view, type="export", suffix=".txt", filters=filters)
    until(lambda: sent)
    (file,) = tmp_path.iterdir()
    assert (sent[0]["ok"], sent[0]["title"]) == (True, str(file))
    assert file.name in sent[0]["text"]
    assert file.read_text().rstrip().endswith("cold")

    say(view, type="export", suffix="/../x", filters=filters)  # only what is offered
    monkeypatch.chdir("/proc")
    say(view, type="export", suffix=".csv", filters=filters)
    until(lambda: len(sent) > 1)
    assert not sent[1]["ok"]
    assert "not exported" in sent[1]["text"]


def test_a_record_shows_every_field(server, view, page, until):
    server.say("x")
    until(lambda: server.store.stop == 1)
    sent = page(view)
    say(view, type="record", index=0)
    assert set(LogRecord.__struct_fields__) < set(sent[0]["fields"])


def test_what_is_late_or_lost_is_said_in_its_row(server, view, page, until):
    server.store.append([LogRecord(time_ns=1, late=True), LogRecord(time_ns=2, lost=3)])
    sent = page(view)
    say(view, type="hello")
    assert [row[-2:] for row in sent[0]["rows"]] == [[True, 0], [False, 3]]


def test_a_page_whose_greeting_waits_behind_a_running_cell_is_fed_too(server, view, page, until):
    sent = page(view)
    view._repr_mimebundle_()
    server.say("one")
    until(lambda: sent)
    server.say("two")
    until(lambda: len(sent) > 1)

    assert texts(sent[-1]) == ["one", "two"]


def test_a_click_gets_the_whole_record(server, view, page, until):
    server.say("first line\nsecond", traceback="Traceback: all of it\n")
    until(lambda: server.store.stop == 1)
    sent = page(view)
    say(view, type="hello")
    row = sent[-1]["rows"][0]
    say(view, type="record", index=row[1])

    assert (row[7], row[8]) == ("first line", True)
    assert "second" in sent[-1]["text"]
    assert "all of it" in sent[-1]["text"]
    assert sent[-1]["fields"]["host"] == "lab"
    say(view, type="of another version")
    say(view, type="record", index=10**6)
    assert "made room" in sent[-1]["fields"]["message"]


def test_without_widgets_the_tail_is_shown(server, view, until):
    assert "no records" in view._repr_mimebundle_()[0]["text/html"]
    server.say("<script>hello</script>", traceback="Traceback\n", level=logging.ERROR)
    until(lambda: server.store.stop == 1)
    data, _ = view._repr_mimebundle_()

    assert "&lt;script&gt;hello" in data["text/html"]
    assert "<script>" not in data["text/html"]
    assert "ERROR" in data["text/plain"]
    assert "Traceback" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert repr(view) == "<LogView: 1 records, 1 errors among the newest>"


def test_a_closed_view_is_no_longer_fed(server, view, page, until):
    sent = page(view)
    say(view, type="hello")
    view.close()
    n = len(sent)
    server.say("unseen")
    until(lambda: server.query(contains="unseen"))

    assert len(sent) == n


def test_the_plain_output_shows_the_tail(server, until):
    output = LogOutput(server, level="INFO", n_records=3)
    for i in range(10):
        server.say(str(i))
    server.say("too quiet", level=logging.DEBUG)
    until(lambda: output.outputs and "9\n" in output.outputs[0]["text"])
    output.close()

    (only,) = output.outputs
    assert [line[-1] for line in only["text"].splitlines()] == ["7", "8", "9"]


def test_the_plain_output_is_bounded_whatever_is_said(server, until):
    output = LogOutput(server, n_records=50, max_height="16em")
    for i in range(50):
        server.say(f"begin {i} " + "x" * 20_000, traceback="y\n" * 1000 + f"end {i}\n")
    until(lambda: "end 49" in output.outputs[0]["text"])
    text = output.outputs[0]["text"]
    output.close()

    assert len(text) < 40_000
    assert "begin 49" in text
    assert "18,009 more characters" in text
    assert text.count("    y\n    y\n") > 0
    assert "\n    … 971 more lines\n    y\n" in text
    assert "begin 0 " not in text


def test_rows_and_details_show_no_control_characters(server, view, page, until):
    server.say("\x1b[31mred\x1b[0m\x07\r\nmore\x00", traceback="\x1b[1mbold", logger="\x08")
    until(lambda: server.store.stop == 1)
    sent = page(view)
    say(view, type="hello")
    say(view, type="record", index=0)
    row, detail = sent[0]["rows"][0], sent[1]["fields"]

    assert (row[6], row[7]) == ("\\x08", "red\\x07")
    assert (detail["message"], detail["traceback"]) == ("red\\x07\nmore\\x00", "bold")
    assert "\x1b" not in sent[1]["text"]
    data, _ = view._repr_mimebundle_()
    assert "red\\x07\nmore\\x00" in data["text/html"]


class Rig:
    """What a panel asks for its status."""

    def __init__(self):
        self.groups = (GroupStatus(name="cams", state="running"),)
        self.asked = 0
        self.error = None

    def status(self):
        self.asked += 1
        if self.error is not None:
            raise self.error
        return ManagerStatus(hosts=(HostStatus(name="rig", endpoint="tcp://1.1.1.1:1", groups=self.groups),))


@pytest.fixture
def rig():
    return Rig()


@pytest.fixture
def panel(rig):
    called = threading.Event()

    def fail():
        raise ValueError("stuck")

    panel = ManagerPanel(rig, actions={"Stop all": called.set, "Start all": fail}, interval=0.2)
    panel.called = called
    yield panel
    panel.close()


def rows(sent):
    return [message for message in sent if message["type"] == "rows"]


def test_a_panel_asks_only_while_it_is_seen_and_sends_only_what_changed(rig, panel, page, until):
    sent = page(panel)
    assert rig.asked == 0
    say(panel, type="hello")
    until(lambda: rows(sent))
    until(lambda: rig.asked >= 3)
    assert len(rows(sent)) == 1

    rig.groups = (GroupStatus(name="cams", state="died"),)
    until(lambda: len(rows(sent)) == 2)
    assert [row.key for row in rows(sent)[1]["changed"]] == ["rig/cams"]
    assert panel.columns == ["Name", "State", "PID", "CPU", "Memory", "Up", "Notes"]
    assert panel.buttons == ["Stop all", "Start all"]

    say(panel, type="hidden")
    until(lambda: not panel._wanted.is_set())
    asked = rig.asked
    say(panel, type="visible")
    until(lambda: rig.asked > asked)


def test_a_panel_shows_the_log_of_one_process_at_a_time(rig, server):
    opened = []

    def open_log(process):
        opened.append(LogView(server, process=process))
        return opened[-1]

    panel = ManagerPanel(rig, open_log=open_log)
    assert panel.has_logs
    for name in ("cams", "disks"):
        say(panel, type="log", process=name)
        assert (panel.log_of, panel.log_model) == (name, opened[-1].model_id)
    assert opened[0].comm is None
    say(panel, type="log", process="")
    assert (panel.log_of, panel.log_model) == ("", "")
    say(panel, type="log", process="cams")
    panel.close()
    assert all(view.comm is None for view in opened)


def test_buttons_act_and_say_how_it_went(panel, page, until):
    sent = page(panel)
    say(panel, type="action", name="Stop all")
    until(lambda: panel.called.is_set() and sent and sent[-1]["text"] == "Stop all: done")
    say(panel, type="action", name="Start all")
    until(lambda: sent[-1]["text"] == "Start all failed: stuck")
    say(panel, type="action", name="rm -rf")

    assert sent[-1]["tone"] == "bad"


def test_a_status_that_cannot_be_asked_is_said_and_asked_again(rig, panel, page, until):
    sent = page(panel)
    rig.error = ConnectionError("no route")
    say(panel, type="hello")
    until(lambda: sent and sent[-1].get("text") == "no status: no route")
    rig.error = None
    until(lambda: rows(sent))


def test_a_panel_shows_itself_without_widgets(rig, panel):
    data, _ = panel._repr_mimebundle_()

    assert "<table" in data["text/html"]
    assert data["text/plain"] == repr(panel) == "<Manager: 1 host, 1 process, no nodes>"


def test_a_panel_is_fed_while_its_greeting_waits_behind_a_running_cell(panel, page, until):
    sent = page(panel)
    panel._repr_mimebundle_()
    until(lambda: len(rows(sent)) > 2)

    assert all(len(message["changed"]) == 2 for message in rows(sent))


def test_a_panel_that_would_ask_too_often_is_refused(rig):
    with pytest.raises(ConfigurationError, match=r"0\.2 s"):
        ManagerPanel(rig, interval=0.01)


@pytest.mark.parametrize("view", [LogView, LogOutput])
def test_an_unknown_level_is_refused(server, view):
    with pytest.raises(ConfigurationError, match="LOUD"):
        view(server, level="LOUD")
