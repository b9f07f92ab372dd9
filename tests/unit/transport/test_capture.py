import asyncio
import gc
import io
import logging
import sys
import threading
import types
import warnings
from logging.handlers import MemoryHandler

import pytest

from pyacq_lab.errors import LifecycleError
from pyacq_lab.transport.capture import LogCapture, prints_a_record
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.logs import LogOrigin, current_node, make_words
from pyacq_lab.wire.logcodec import decode_batch, encode_batch, encode_words


class Notes:
    """A sink that keeps what was said."""

    def __init__(self):
        self.said = []

    def say(self, message, **said):
        self.said.append({"message": message, "node": current_node.get(), **said})


@pytest.fixture
def notes(monkeypatch):
    # pytest's own hooks would report what these tests provoke.
    for module, name in ((sys, "excepthook"), (threading, "excepthook"), (sys, "unraisablehook")):
        monkeypatch.setattr(module, name, lambda *args: None)
    return Notes()


@pytest.fixture
def capture(notes):
    capture = LogCapture(notes)
    capture.install(logging.DEBUG)
    yield capture
    capture.uninstall()


@pytest.mark.usefixtures("capture")
def test_a_log_record_is_said_with_all_that_belongs_to_it(notes):
    current_node.set("camera")
    try:
        raise ValueError("too hot")
    except ValueError:
        logging.getLogger("rig").exception("reading %d failed", 3)
    finally:
        current_node.set("")

    (said,) = notes.said
    assert said["message"] == "reading 3 failed"
    assert (said["logger"], said["level"], said["node"]) == ("rig", logging.ERROR, "camera")
    assert said["thread"] == "MainThread"
    assert "ValueError: too hot" in said["traceback"]


@pytest.mark.usefixtures("capture")
def test_arguments_that_do_not_fit_are_said_as_they_are(notes, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])  # pytest's would raise
    logging.getLogger("rig").info("%d samples", "many")

    assert "%d samples" in notes.said[0]["message"]
    assert "many" in notes.said[0]["message"]


def test_users_handlers_and_basic_config_work_as_without(notes, monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [])
    capture = LogCapture(notes)
    capture.install()
    stream = io.StringIO()
    logging.basicConfig(stream=stream, format="%(message)s")
    logging.getLogger("rig").warning("hello")
    capture.uninstall()
    logging.getLogger("rig").warning("bye")

    assert stream.getvalue() == "hello\nbye\n"
    assert [said["message"] for said in notes.said] == ["hello"]


class Tee(io.StringIO):
    """A stream of which lines are kept beside, but those that print a captured record."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def write(self, text):
        if not prints_a_record(sys._getframe(1), text):
            self.kept.append(text)
        return super().write(text)


@pytest.fixture
def tee(monkeypatch):
    tee = Tee()
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler(tee)])
    return tee


class Shouting(logging.StreamHandler):
    def handle(self, record):
        return super().handle(record)

    def emit(self, record):
        self.stream.write("attention!\n")
        super().emit(record)


@pytest.mark.usefixtures("capture")
def test_a_record_that_a_handler_prints_is_known_by_it(notes, tee, monkeypatch):
    log = logging.getLogger("rig")
    log.warning("hello")
    print("hello", file=tee)
    tee.write("hello\n")
    direct = tee.write

    def write(text):
        return direct(text)

    monkeypatch.setattr(tee, "write", write)  # as IPython listens in while a cell runs
    log.addHandler(shouting := Shouting(tee))
    try:
        log.warning("loud")
    finally:
        log.removeHandler(shouting)

    assert tee.getvalue() == "hello\nhello\nhello\nattention!\nloud\nloud\n"
    assert "".join(tee.kept) == "hello\nhello\nattention!\n"
    assert [said["message"] for said in notes.said] == ["hello", "loud"]


def test_what_only_a_handler_tells_is_kept(notes, tee, monkeypatch, capture):
    log = logging.getLogger("rig")
    log.addHandler(own := logging.StreamHandler(tee))
    monkeypatch.setattr(log, "propagate", False)
    log.warning("printed and said")
    monkeypatch.setattr(log, "propagate", True)
    log.removeHandler(own)
    own.handle(logging.makeLogRecord({"name": "rig", "msg": "by hand"}))
    # Records that a buffer hands on come in the course of another one.
    buffer = MemoryHandler(2, target=own)
    buffer.emit(logging.makeLogRecord({"msg": "buffered", "levelno": 20}))
    monkeypatch.setattr(logging.root, "handlers", [buffer])
    log.warning("last drop")
    buffer.target = None
    buffer.close()
    monkeypatch.setattr(logging.root, "handlers", [own])
    own.setFormatter(logging.Formatter("%(name)s"))
    log.warning("said in other words")
    own.setFormatter(None)
    capture.uninstall()
    log.warning("nobody captures")

    assert "".join(tee.kept) == "by hand\nbuffered\nrig\nnobody captures\n"
    assert [said["message"] for said in notes.said] == [
        "printed and said",
        "last drop",
        "said in other words",
    ]


@pytest.mark.usefixtures("capture")
def test_without_handlers_warnings_are_still_printed_as_without(monkeypatch, capsys, notes):
    monkeypatch.setattr(logging.root, "handlers", [])
    logging.getLogger("rig").warning("hello")
    logging.getLogger("rig").info("quiet")

    assert capsys.readouterr().err == "hello\n"
    assert [said["message"] for said in notes.said] == ["hello", "quiet"]


@pytest.mark.usefixtures("capture")
def test_an_uncaught_exception_of_the_main_thread_is_said(notes):
    error = ValueError("gone")
    sys.excepthook(ValueError, error, None)

    (said,) = notes.said
    assert (said["stream"], said["level"]) == ("exception", logging.ERROR)
    assert said["message"] == "ValueError: gone"
    assert said["traceback"] == "ValueError: gone\n"


@pytest.mark.usefixtures("capture")
def test_an_uncaught_exception_of_a_thread_is_said(notes):
    def fail():
        raise ValueError("gone")

    thread = threading.Thread(target=fail, name="pump")
    thread.start()
    thread.join()

    (said,) = notes.said
    assert (said["message"], said["thread"]) == ("ValueError: gone", "pump")
    assert "in fail" in said["traceback"]


@pytest.mark.usefixtures("capture")
def test_the_end_of_a_thread_by_system_exit_is_no_error(notes):
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()

    assert notes.said == []


@pytest.mark.usefixtures("capture")
def test_an_exception_nobody_can_catch_is_said(notes):
    class Careless:
        def __del__(self):
            raise ValueError("in the grave")

    Careless()
    gc.collect()

    assert "in the grave" in notes.said[0]["message"]


def test_a_warning_is_said_and_shown(notes):
    capture = LogCapture(notes)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        capture.install()
        warnings.warn("old cable", UserWarning, stacklevel=1)
        capture.uninstall()

    assert [str(w.message) for w in shown] == ["old cable"]
    (said,) = notes.said
    assert (said["level"], said["logger"]) == (logging.WARNING, "py.warnings")
    assert said["message"].startswith("UserWarning: old cable (")


def test_what_nobody_awaits_in_a_loop_is_said_once(notes, capture):
    async def main():
        capture.watch_loop(asyncio.get_running_loop())

        async def fail():
            raise ValueError("unawaited")

        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(main())

    (said,) = [s for s in notes.said if "unawaited" in s["message"]]
    assert said["stream"] == "exception"
    assert "in fail" in said["traceback"]


def test_hooks_are_chained_and_put_back(notes, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *args: seen.append(args[1]))
    before = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning
    capture = LogCapture(notes)
    capture.install()
    error = ValueError()
    sys.excepthook(ValueError, error, None)
    capture.uninstall()
    capture.uninstall()

    assert seen == [error]
    assert before == (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning)
    assert logging.root.parent is None


def test_a_hook_that_was_put_over_ours_stays(notes, monkeypatch):
    capture = LogCapture(notes)
    capture.install()
    ours = sys.excepthook
    theirs = lambda *args: ours(*args)  # noqa: E731
    monkeypatch.setattr(sys, "excepthook", theirs)
    capture.uninstall()
    sys.excepthook(ValueError, ValueError(), None)

    assert sys.excepthook is theirs
    assert notes.said == []


def test_the_root_level_is_put_back(notes):
    before = logging.root.level
    capture = LogCapture(notes)
    capture.install(logging.DEBUG)
    assert logging.root.level == logging.DEBUG
    capture.uninstall()

    assert logging.root.level == before


def test_it_cannot_be_installed_twice(capture):
    with pytest.raises(LifecycleError, match="already"):
        capture.install()


def test_what_a_chained_hook_logs_is_not_said_twice(notes, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", lambda *args: logging.getLogger("theirs").error("the same"))
    capture = LogCapture(notes)
    capture.install()
    sys.excepthook(ValueError, ValueError("once"), None)
    capture.uninstall()

    assert [said["message"] for said in notes.said] == ["ValueError: once"]


@pytest.mark.usefixtures("capture")
def test_extra_fields_of_a_record_are_said(notes):
    logging.getLogger("rig").warning("open", extra={"valve": 7})
    logging.getLogger("rig").warning("shut")

    assert notes.said[0]["extra"] == {"valve": 7}
    assert "extra" not in notes.said[1]


def test_where_stderr_leads_to_the_log_the_last_resort_does_not_print(notes, capture, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])
    capture.last_resort = False
    logging.getLogger("rig").warning("once")

    assert capsys.readouterr().err == ""
    assert [said["message"] for said in notes.said] == ["once"]


class Nameless:
    """Whatever is asked of it, it raises."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def test_a_logging_call_never_raises_and_what_can_be_said_is_said(notes, monkeypatch, capture):
    monkeypatch.setattr(logging.root, "handlers", [logging.NullHandler()])
    log = logging.getLogger("rig")
    log.warning(Nameless())
    log.warning("%s and %d", Nameless(), 7)
    log.log(10**20, "loud")
    log.handle(logging.makeLogRecord({"msg": "by hand", "levelno": 30}))
    log.handle(logging.makeLogRecord({"msg": "no level", "levelno": float("nan")}))
    monkeypatch.setattr(capture._hooks[-1], "_before", None)  # pytest cannot show it
    warnings.showwarning(Nameless(), Nameless, "rig.py", 1)

    said = [s["message"] for s in notes.said]
    assert said[0].startswith("<Nameless, whose str raised RuntimeError> (cannot be formatted")
    assert said[1].startswith("%s and %d % (<Nameless, whose repr raised RuntimeError>, 7) (cannot be")
    assert said[2:4] == ["loud", "by hand"]
    assert said[4].startswith("a record that cannot be told: ValueError")
    assert said[5].startswith("Nameless: <Nameless, whose str raised")
    for words in (
        make_words(SystemClock(), s["message"], {k: v for k, v in s.items() if k not in ("message", "node")})
        for s in notes.said
    ):
        assert decode_batch(encode_batch(0, LogOrigin(host="h", process="p"), [encode_words(words)]))


def test_loggers_that_do_not_propagate_are_heard(notes, monkeypatch, capture, capsys):
    log = logging.getLogger("rig.quiet")
    monkeypatch.setattr(log, "propagate", False)
    log.error("without a handler", extra={"valve": 7})
    log.addHandler(own := logging.StreamHandler(file := io.StringIO()))
    log.error("with one")
    own.setLevel(logging.ERROR)
    log.debug("that its handler does not want")
    log.removeHandler(own)
    capture.uninstall()
    log.error("nobody listens")

    assert [(s["message"], s["logger"]) for s in notes.said] == [
        ("without a handler", "rig.quiet"),
        ("with one", "rig.quiet"),
    ]
    assert notes.said[0]["extra"] == {"valve": 7}
    assert file.getvalue() == "with one\n"
    assert capsys.readouterr().err == "without a handler\nnobody listens\n"


@pytest.mark.usefixtures("capture")
def test_a_reloaded_pages_question_for_a_widget_that_is_gone_is_not_said(notes):
    logging.getLogger("Comm").warning("No such comm: %s", "abc")
    logging.getLogger("Comm").warning("something else")

    assert [s["message"] for s in notes.said] == ["something else"]


class Result:
    def __init__(self, error=None):
        self.error_before_exec = None
        self.error_in_exec = error


def test_what_a_cell_fails_with_is_said_unless_it_was_interrupted(notes, capture):
    events = {}
    shell = types.SimpleNamespace(register=events.__setitem__, unregister=lambda name, _: events.pop(name))
    capture.watch_cells(shell)
    for error in (None, ValueError("x"), KeyboardInterrupt(), asyncio.CancelledError(), SystemExit(5)):
        events["post_run_cell"](Result(error))
    events["post_run_cell"](None)
    capture.uninstall()

    assert [(s["message"], s["stream"]) for s in notes.said] == [
        ("ValueError: x", "exception"),
        ("SystemExit: 5", "exception"),
    ]
    assert events == {}
