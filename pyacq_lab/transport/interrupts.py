"""Ctrl-C that comes while a thread holds what others need is heard a moment later."""

from __future__ import annotations

import _signal  # pyright: ignore[reportMissingImports]  what `signal` wraps, without 5 us of enums each
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_MAIN = threading.main_thread().ident
_SIGINT = int(signal.SIGINT)


class HeldInterrupts:
    """Hold Ctrl-C back inside a ``with`` block; it strikes at the block's end.

    Between any two of its bytecodes Python's main thread can raise KeyboardInterrupt: half a message would
    be sent, or one that belongs to another thread be lost. In other threads this does nothing.

    Parameters
    ----------
    heard : callable, optional
        Called when Ctrl-C comes, so that the block can end early; must not raise.
    """

    __slots__ = ("_came", "_handler", "_heard")

    def __init__(self, heard: Callable[[], None] | None = None) -> None:
        self._heard = heard
        self._came: tuple[int, FrameType | None] | None = None
        self._handler: Any = None

    def __enter__(self) -> HeldInterrupts:
        if threading.get_ident() == _MAIN:
            handler = _signal.getsignal(_SIGINT)
            if callable(handler):  # else it is ignored, or ends the process: nothing is raised
                self._handler = handler
                _signal.signal(_SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._handler is not None:
            _signal.signal(_SIGINT, self._handler)
            if self._came is not None:
                self._handler(*self._came)

    @property
    def came(self) -> bool:
        """Whether Ctrl-C came inside the block."""
        return self._came is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = number, frame
        if self._heard is not None:
            self._heard()
