"""The smallest nodegroup program: a kernel, and a diary of what its callbacks were called with."""

from __future__ import annotations

import os
import threading

from pyacq_lab.kernel.app import run_kernel
from pyacq_lab.kernel.child import Launched


def main(launched: Launched) -> int:
    """Run as every nodegroup does; what happens goes to ``bootstrap["diary"]``, one event a line."""
    diary = os.open(launched.bootstrap["diary"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(*words: object) -> None:
        os.write(diary, (" ".join(map(str, words)) + "\n").encode())

    if launched.bootstrap.get("outlive"):
        launched.host.outlive = True
        launched.host.on_host_gone = lambda: note("host gone")
    if "wait" in launched.bootstrap:
        threading.Event().wait()  # never ready
    if "fail" in launched.bootstrap:
        raise RuntimeError(launched.bootstrap["fail"])

    def started() -> None:
        note("started")
        launched.report({"tiny": True})

    return run_kernel(
        launched.connection_file,
        namespace={"launched": launched, "note": note, "threading": threading, "os": os},
        banner=f"nodegroup {launched.name}",
        on_started=started,
        on_print=lambda p: note("print", p.stream, int(p.in_cell), p.text),
        on_closing=lambda: note("closing"),
    )
