"""The notebook's side: running code, streaming its outputs, never hanging."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from jupyter_client.channels import ZMQSocketChannel

from pyacq_lab.errors import CallTimeout, LifecycleError, ProcessDied
from pyacq_lab.kernel.client import KernelClient


@pytest.fixture
def with_client(in_lab: Any) -> Callable[..., None]:
    """``with_client(work)`` calls ``work(client, group)`` in a thread, beside the host's event loop."""

    def run(work: Callable[[KernelClient, Any], None]) -> None:
        async def scenario(lab: Any) -> None:
            group = await lab.launch()
            client = KernelClient(group.process.connection_info())
            try:
                await asyncio.to_thread(work, client, group)
            finally:
                client.close()

        in_lab(scenario)

    return run


def test_rich_outputs_come_in_order_and_as_they_are_made(with_client: Any) -> None:
    code = """
from IPython.display import HTML, clear_output, display
print("one")
display(HTML("<b>two</b>"), display_id="here")
display(HTML("<b>three</b>"), display_id="here", update=True)
clear_output(wait=True)
6 * 7
"""

    def work(client: KernelClient, group: Any) -> None:
        came: list[dict[str, Any]] = []
        result = client.run(code, on_output=came.append)
        assert result.ok
        assert result.complete
        assert tuple(came) == result.outputs
        kinds = [o["output_type"] for o in result.outputs]
        assert kinds == ["stream", "display_data", "update_display_data", "clear_output", "execute_result"]
        assert result.outputs[1]["data"]["text/html"] == "<b>two</b>"
        assert result.outputs[1]["transient"] == {"display_id": "here"}
        assert result.outputs[4] == {
            "output_type": "execute_result",
            "data": {"text/plain": "42"},
            "metadata": {},
            "execution_count": result.execution_count,
        }

    with_client(work)


def test_an_error_comes_with_its_traceback_and_later_code_runs(with_client: Any) -> None:
    def work(client: KernelClient, group: Any) -> None:
        result = client.run("1 / 0")
        assert result.status == "error"
        assert result.error is not None
        assert result.error[:2] == ("ZeroDivisionError", "division by zero")
        assert result.outputs[0]["ename"] == "ZeroDivisionError"
        assert client.run("1").ok

    with_client(work)


def test_input_is_answered_where_somebody_answers(with_client: Any) -> None:
    def work(client: KernelClient, group: Any) -> None:
        asked = []

        def answer(prompt: str, is_password: bool) -> str:
            asked.append((prompt, is_password))
            return "Ada"

        result = client.run("print('hello ' + input('who? '))", on_stdin=answer)
        assert result.outputs[0]["text"] == "hello Ada\n"
        assert asked == [("who? ", False)]
        assert client.run("input()").error[0] == "StdinNotImplementedError"

    with_client(work)


def test_a_timeout_leaves_the_code_running_until_it_is_interrupted(with_client: Any) -> None:
    def work(client: KernelClient, group: Any) -> None:
        with pytest.raises(CallTimeout, match="still running"):
            client.run("import time\ntry: time.sleep(1000)\nfinally: note('interrupted')", timeout=0.3)
        client.interrupt()
        assert client.run("1", timeout=20).ok
        assert "interrupted" in group.diary()

    with_client(work)


def test_death_is_told_at_once_and_remembered(with_client: Any) -> None:
    def work(client: KernelClient, group: Any) -> None:
        told = threading.Timer(0.2, client.tell_died, ["killed by SIGKILL"])
        told.start()
        with pytest.raises(ProcessDied, match="killed by SIGKILL"):
            client.run("import time; time.sleep(1000)")
        with pytest.raises(ProcessDied, match="killed by SIGKILL"):
            client.run("1")
        told.join()

    with_client(work)


def test_completions(with_client: Any) -> None:
    def work(client: KernelClient, group: Any) -> None:
        start, stop, matches = client.complete("os.getpi", 8)
        assert (start, stop, matches) == (3, 8, ["getpid"])

    with_client(work)


def test_a_closed_client_refuses_and_wakes_who_waits(with_client: Any) -> None:
    def work(client: KernelClient, group: Any) -> None:
        client.run("1")
        closing = threading.Timer(0.2, client.close)
        closing.start()
        with pytest.raises(ProcessDied, match="closed"):
            client.run("import time; time.sleep(1000)")
        closing.join()
        with pytest.raises(LifecycleError, match="closed"):
            client.run("1")

    with_client(work)


@pytest.mark.parametrize("lost", ["idle", "reply", "both"])
def test_a_lost_end_hangs_nobody(with_client: Any, monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    monkeypatch.setattr("pyacq_lab.kernel.client._FIRST_FENCE", 0.3)
    monkeypatch.setattr("pyacq_lab.kernel.client._LAST_OUTPUTS", 0.3)

    def work(client: KernelClient, group: Any) -> None:
        client.run("1")

        def losing(channel: Any, lose: Callable[[dict[str, Any]], bool]) -> None:
            receive = channel.get_msg

            def get_msg(timeout: float | None = None) -> Any:
                message = receive(timeout=timeout)
                return {**message, "parent_header": {}} if lose(message) else message

            channel.get_msg = get_msg

        if lost in ("idle", "both"):
            losing(client._client.iopub_channel, lambda m: m["content"].get("execution_state") == "idle")
        if lost in ("reply", "both"):
            losing(client._client.shell_channel, lambda m: m["msg_type"] == "execute_reply")
        result = client.run("import time; time.sleep(0.5); print('done')")
        assert result.outputs[0]["text"] == "done\n"
        assert result.status == ("ok" if lost == "idle" else "unknown")
        assert result.complete == (lost == "reply")

    with_client(work)


def test_ctrl_c_interrupts_the_remote_cell_and_is_raised(in_lab: Any) -> None:
    """The client waits in the main thread, as in a notebook; the host's loop runs in another."""
    ready, done = threading.Event(), threading.Event()
    groups: list[Any] = []

    def host() -> None:
        async def scenario(lab: Any) -> None:
            groups.append(await lab.launch())
            ready.set()
            await lab.until(done.is_set)

        in_lab(scenario)

    thread = threading.Thread(target=host)
    thread.start()
    try:
        assert ready.wait(30)
        client = KernelClient(groups[0].process.connection_info())

        def press() -> None:
            while "busy" not in groups[0].diary():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)

        presser = threading.Thread(target=press)
        presser.start()
        with pytest.raises(KeyboardInterrupt):
            client.run("import time\nnote('busy')\ntry: time.sleep(1000)\nfinally: note('interrupted')")
        presser.join()
        assert client.run("1").ok
        assert "interrupted" in groups[0].diary()
        client.close()
    finally:
        done.set()
        thread.join()


def test_a_kernel_whose_greeting_was_lost_is_asked_to_say_something(
    with_client: Any, monkeypatch: Any
) -> None:

    get_msg, withheld = ZMQSocketChannel.get_msg, []

    def without_greeting(self: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        message = get_msg(self, *args, **kwargs)
        if message["msg_type"] == "iopub_welcome":
            withheld.append(message)
            raise queue.Empty
        return message

    monkeypatch.setattr(ZMQSocketChannel, "get_msg", without_greeting)

    def work(client: KernelClient, group: Any) -> None:
        assert client.run("1 + 1").ok
        assert withheld

    with_client(work)
