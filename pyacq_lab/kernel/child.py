"""The first steps of every nodegroup process, forked or fresh, until its program takes over.

The host writes one line of JSON to the process's stdin and then keeps that pipe open: secrets are on no
command line and in no environment, and the end of the pipe is the end of the host. The program answers by
a file beside the connection file, in the host's folder that this user alone can enter.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import importlib
import io
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyacq_lab.kernel.hostwatch import HostWatch

_ROOM = 512


@dataclass(frozen=True)
class Launched:
    """What a nodegroup's program is called with: ``main(launched) -> int``, the exit code.

    Attributes
    ----------
    name : str
        The nodegroup's name.
    connection_file : str
        For `pyacq_lab.kernel.app.run_kernel`.
    bootstrap : dict
        What the caller of the launcher passed, as it came.
    spool : str
        Where it keeps its last words, for `pyacq_lab.transport.spool.open_spool`; empty: nowhere.
    spill : str
        Folder for what the spool does not hold while nobody listens.
    host : HostWatch
        Say there what should happen when the host is gone.
    """

    name: str
    connection_file: str
    bootstrap: dict[str, Any]
    spool: str
    spill: str
    host: HostWatch

    def report(self, told: dict[str, Any]) -> None:
        """Say that the kernel has bound its ports, and what else the host must know; called once, any thread.

        Parameters
        ----------
        told : dict
            JSON-plain values; `pyacq_lab.kernel.process.KernelProcess.report` over there.
        """
        path = report_file(self.connection_file)
        half = path.with_suffix(".half")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(told, file)
        half.replace(path)  # the host sees all of it or nothing


def report_file(connection_file: str | Path) -> Path:
    """File by which a process reports to its host."""
    return Path(connection_file).with_suffix(".report")


def main() -> None:
    """Read the request, run its program, end the process; never returns."""
    # The pipe moves away from 0, where a subprocess would inherit it and wait for its end.
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    _make_room(nothing)
    os.close(nothing)
    host = HostWatch(pipe)
    code = 1
    try:
        code = _run(pipe, host)
    except SystemExit as leaving:
        code = _exit_code(leaving)
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        _leave(code, host)


def _make_room(fd: int) -> None:
    """Have room for many descriptors before there are threads.

    Linux enlarges the table of descriptors when the 65th is opened, and where threads share it that waits
    10 to 20 ms for all processors first (``expand_fdtable`` in fs/file.c): a third of a start.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the user may have fewer; then it is as slow as it was
            os.close(os.dup2(fd, _ROOM - 1))


def _run(pipe: int, host: HostWatch) -> int:
    faulthandler.enable(file=2)  # the stacks at a segfault are the best last words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    request = json.loads(_read_line(pipe))
    host.start()
    os.environ.update(request["env"])
    if "TZ" in request["env"] and hasattr(time, "tzset"):
        time.tzset()  # the template has read the host's
    if request["cwd"] is not None:
        os.chdir(request["cwd"])
    sys.argv = [request["name"]]
    launched = Launched(
        request["name"],
        request["connection_file"],
        request["bootstrap"],
        request["spool"],
        request["spill"],
        host,
    )
    try:
        return _find(request["program"])(launched)
    finally:
        # The host removes them, too; this is for a host that is gone.
        for path in (Path(launched.connection_file), report_file(launched.connection_file)):
            with contextlib.suppress(OSError):
                path.unlink()


def _read_line(fd: int) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        data = os.read(fd, 65_536)
        if not data:
            raise SystemExit("the host has gone before it said what to run")
        line += data
    return line


def _find(program: str) -> Callable[[Launched], int]:
    module, _, name = program.partition(":")
    return getattr(importlib.import_module(module), name)


def _exit_code(leaving: SystemExit) -> int:
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    os.write(2, f"{leaving.code}\n".encode())
    return 1


def _leave(code: int, host: HostWatch) -> None:
    """End at once: no interpreter shutdown, which would wait for a user's threads."""
    try:
        atexit._run_exitfuncs()  # noqa: SLF001  hardware libraries release their devices there
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        traceback.print_exc(file=sys.__stderr__)
    finally:
        host.take_session_along()
        os._exit(code & 0xFF)


if __name__ == "__main__":
    main()
