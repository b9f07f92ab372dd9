"""The first steps of every nodegroup process, forked or fresh, until its program takes over.

The host writes one line of JSON to the process's stdin and then keeps that pipe open: secrets are on no
command line and in no environment, and the end of the pipe is the end of the host.
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
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pyacq_lab.kernel.hostwatch import HostWatch


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
    host : HostWatch
        Say there what should happen when the host is gone.
    """

    name: str
    connection_file: str
    bootstrap: dict[str, Any]
    host: HostWatch


def main() -> None:
    """Read the request, run its program, end the process; never returns."""
    # The pipe moves away from 0, where a subprocess would inherit it and wait for its end.
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
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


def _run(pipe: int, host: HostWatch) -> int:
    faulthandler.enable(file=2)  # the stacks at a segfault are the best last words
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, encoding="utf-8", errors="backslashreplace")
    request = json.loads(_read_line(pipe))
    host.start()
    os.environ.update(request["env"])
    if request["cwd"] is not None:
        os.chdir(request["cwd"])
    sys.argv = [request["name"]]
    launched = Launched(request["name"], request["connection_file"], request["bootstrap"], host)
    try:
        return _find(request["program"])(launched)
    finally:
        # The host removes it, too; this one is for a host that is gone.
        with contextlib.suppress(OSError):
            os.unlink(launched.connection_file)


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
