"""SIGTERM ends a script as Ctrl-C does: with everything closed."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import NoReturn


class OrderlyEnd:
    """While it is installed, SIGTERM raises SystemExit in the main thread, so that exit functions run.

    Where the program has a handler of its own, or this is not the main thread, nothing is changed.
    """

    def __init__(self) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        self._installed = in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if self._installed:
            signal.signal(signal.SIGTERM, self._end)

    def uninstall(self) -> None:
        """Give SIGTERM its default meaning back; idempotent. Nothing happens outside the main thread."""
        if self._installed and threading.current_thread() is threading.main_thread():
            self._installed = False
            if signal.getsignal(signal.SIGTERM) == self._end:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)
