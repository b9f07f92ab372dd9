"""A client of a nodegroup's kernel, for the notebook: blocking calls, from any thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, cast

from jupyter_client.blocking.client import BlockingKernelClient

from pyacq_lab.errors import CallTimeout, HostUnreachable, LifecycleError, ProcessDied
from pyacq_lab.kernel.outputs import RunResult, as_output

_TICK = 0.05
"""Seconds between two looks for the kernel's death."""
_UNGREETED = 1.0
"""Seconds after which a kernel that has not greeted a new subscriber is asked to say something."""
_LAST_OUTPUTS = 2.0
"""Seconds to wait for the end of the outputs once the reply is here (or the other way round)."""
_FIRST_FENCE, _LONGEST_FENCE = 5.0, 300.0
"""Seconds of silence after which the kernel is asked whether the code has ended unheard."""

OnOutput = Callable[[dict[str, Any]], None]


class KernelClient:
    """Runs code in a kernel.

    It connects at first use. One piece of code runs at a time; other threads wait for their turn, but
    `interrupt` and `tell_died` never wait.

    Parameters
    ----------
    connection_info : dict
        As `pyacq_lab.kernel.process.KernelProcess.connection_info` gives it.
    interrupt : callable or None
        Interrupts the kernel; None: an interrupt request on its control channel.
    connect_timeout : float
        Seconds within which the kernel must answer at first.
    """

    def __init__(
        self,
        connection_info: dict[str, Any],
        *,
        interrupt: Callable[[], None] | None = None,
        connect_timeout: float = 10.0,
    ) -> None:
        self._info = connection_info
        self._interrupt = interrupt
        self._connect_timeout = connect_timeout
        self._client: BlockingKernelClient | None = None
        self._turn = threading.RLock()
        self._control = threading.Lock()
        self._died = threading.Event()
        self._closed = False
        self._why = ""

    def tell_died(self, why: str) -> None:
        """Tell that the kernel's process has ended: who waits for it, or asks it later, is told at once."""
        self._why = why
        self._died.set()

    def run(
        self,
        code: str,
        *,
        on_output: OnOutput | None = None,
        timeout: float | None = None,
        on_stdin: Callable[[str, bool], str] | None = None,
    ) -> RunResult:
        """Run code as a cell and wait for its end.

        KeyboardInterrupt in the calling thread interrupts the code over there, waits a little for its
        last outputs and is then raised.

        Parameters
        ----------
        code : str
            What a cell may hold, magics included.
        on_output : callable or None
            Called in this thread with each output as it comes; see `RunResult.outputs`.
        timeout : float or None
            Seconds to wait for its end; None: as long as the kernel lives.
        on_stdin : callable or None
            Called as ``on_stdin(prompt, is_password)`` for ``input()`` over there, returns the answer;
            None: ``input()`` raises over there.

        Raises
        ------
        ProcessDied
            The kernel's process has ended.
        CallTimeout
            The code has not ended in time; it is still running.
        HostUnreachable
            The kernel cannot be reached.
        """
        with self._turn:
            client = self._connected()
            run = _Run(client, on_output, on_stdin, self._check_alive)
            run.send(code)
            try:
                return run.wait(timeout)
            except KeyboardInterrupt:
                self.interrupt()
                try:
                    run.wait(_LAST_OUTPUTS)
                except CallTimeout:
                    pass  # it does not heed interrupts; the caller's own must not wait for it
                raise

    def interrupt(self) -> None:
        """Interrupt what runs in the kernel; does not wait. From any thread."""
        if self._interrupt is not None:
            self._interrupt()
            return
        with self._control:
            client = self._client
            if client is not None:
                client.control_channel.send(client.session.msg("interrupt_request", {}))

    def complete(self, code: str, cursor: int, timeout: float = 2.0) -> tuple[int, int, list[str]]:
        """Completions at a place in some code.

        Returns
        -------
        start, stop : int
            The part of the code that a completion replaces.
        matches : list of str
            The completions; none where the kernel is busy and does not answer in time.
        """
        with self._turn:
            client = self._connected()
            try:
                reply = self._await_reply(client, client.complete(code, cursor), timeout)
            except CallTimeout:
                return cursor, cursor, []
        content = reply["content"]
        return content["cursor_start"], content["cursor_end"], list(content["matches"])

    def close(self) -> None:
        """Disconnect; what runs over there goes on. Idempotent."""
        self.tell_died("this client is closed")
        with self._turn, self._control:
            self._closed = True
            client, self._client = self._client, None
            if client is not None:
                client.stop_channels()

    def _check_alive(self) -> None:
        if self._died.is_set():
            raise ProcessDied(f"the kernel does not answer any more: {self._why}")

    def _connected(self) -> BlockingKernelClient:
        if self._closed:
            raise LifecycleError("this client is closed; make another one")
        self._check_alive()
        if self._client is not None:
            return self._client
        client = BlockingKernelClient()
        client.load_connection_info(cast(Any, self._info))
        # Subscribed before anything runs; the kernel greets each new subscriber (ipykernel 7).
        client.start_channels(hb=False)
        try:
            self._await_greeting(client)
        except BaseException:
            client.stop_channels()
            raise
        with self._control:
            self._client = client
        return client

    def _await_greeting(self, client: BlockingKernelClient) -> None:
        now = time.monotonic()
        deadline, ask = now + self._connect_timeout, now + _UNGREETED
        while (now := time.monotonic()) < deadline:
            self._check_alive()
            if now > ask:
                # What it answers on the control channel makes it say on this one that it was busy.
                client.control_channel.send(client.session.msg("kernel_info_request", {}))
                ask = now + _UNGREETED
            try:
                client.iopub_channel.get_msg(timeout=_TICK)
            except Empty:
                continue
            return  # whatever came: what is said from now on comes, too
        raise HostUnreachable(
            f"the kernel at {self._info.get('ip')}:{self._info.get('iopub_port')} did not answer within "
            f"{self._connect_timeout:g} s: check that it runs, that nothing blocks its ports, and that the "
            "connection info (its keys) is its own"
        )

    def _await_reply(self, client: BlockingKernelClient, msg_id: str, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            self._check_alive()
            try:
                reply = client.shell_channel.get_msg(timeout=_TICK)
            except Empty:
                continue
            if reply["parent_header"].get("msg_id") == msg_id:
                return reply
        raise CallTimeout(f"the kernel did not answer within {timeout:g} s: it is busy")


class _Run:
    """One piece of code on its way: three channels, whose messages come in no common order."""

    def __init__(
        self,
        client: BlockingKernelClient,
        on_output: OnOutput | None,
        on_stdin: Callable[[str, bool], str] | None,
        check_alive: Callable[[], None],
    ) -> None:
        self._client = client
        self._on_output = on_output
        self._on_stdin = on_stdin
        self._check_alive = check_alive
        self._outputs: list[dict[str, Any]] = []
        self._reply: dict[str, Any] | None = None
        self._idle = False
        self._id = ""
        self._fence = ""
        self._fence_answered = False

    def send(self, code: str) -> None:
        self._id = self._client.execute(
            code, allow_stdin=self._on_stdin is not None, stop_on_error=False, store_history=True
        )

    def wait(self, timeout: float | None) -> RunResult:
        """Wait for the reply and the last output; either may be lost, which must not hang the caller."""
        deadline = None if timeout is None else time.monotonic() + timeout
        heard = time.monotonic()
        silence = _FIRST_FENCE
        while not (self._reply is not None and self._idle):
            self._check_alive()
            now = time.monotonic()
            if self._receive():
                heard, silence = now, _FIRST_FENCE
            elif (
                self._reply is not None or self._idle or self._fence_answered
            ) and now > heard + _LAST_OUTPUTS:
                break
            elif deadline is not None and now > deadline:
                raise CallTimeout(
                    f"the code did not end within {timeout:g} s; it is still running over there: "
                    "interrupt it, or give it more time"
                )
            elif now > heard + silence:
                # The main shell answers in order: this answer means that the code has ended.
                self._fence = self._client.kernel_info()
                silence = min(2 * silence, _LONGEST_FENCE)
        return self._result()

    def _receive(self) -> bool:
        """Take the messages that are there, waiting a tick for what is due next; False where none came."""
        any_came = False
        wait = 0.0 if self._idle else _TICK
        while (message := _get(self._client.iopub_channel, wait)) is not None:
            wait = 0.0
            if message["parent_header"].get("msg_id") == self._id:
                any_came = True
                self._take(message)
            if self._idle:
                break
        wait = _TICK if self._idle and self._reply is None else 0.0
        while (message := _get(self._client.shell_channel, wait)) is not None:
            wait = 0.0
            parent = message["parent_header"].get("msg_id")
            if parent == self._id:
                any_came = True
                self._reply = message["content"]
            elif parent == self._fence:
                any_came = self._fence_answered = True
        if self._on_stdin is not None and (message := _get(self._client.stdin_channel, 0.0)) is not None:
            any_came = True
            asked = message["content"]
            self._client.input(self._on_stdin(asked["prompt"], asked["password"]))
        return any_came

    def _take(self, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "status":
            self._idle = self._idle or content["execution_state"] == "idle"
            return
        output = as_output(message["msg_type"], content)
        if output is not None:
            self._outputs.append(output)
            if self._on_output is not None:
                self._on_output(output)

    def _result(self) -> RunResult:
        reply = self._reply or {}
        error = None
        if reply.get("status") == "error":
            error = (reply["ename"], reply["evalue"], "\n".join(reply["traceback"]))
        return RunResult(
            status=reply.get("status", "unknown"),
            outputs=tuple(self._outputs),
            execution_count=reply.get("execution_count"),
            error=error,
            complete=self._idle,
        )


def _get(channel: Any, timeout: float) -> dict[str, Any] | None:
    try:
        return channel.get_msg(timeout=timeout)
    except Empty:
        return None
