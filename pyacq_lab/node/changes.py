"""Changes of live settings, from the thread that asks to the thread that runs the component."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future

from pyacq_lab.errors import ConfigurationError, LifecycleError, StreamMismatch
from pyacq_lab.model.settings import Settings

CHANGE_TIMEOUT = 15.0
"""Seconds within which a component comes back from what it is called for, so that its settings can change."""


class Changes:
    """At most one change of settings that waits for the node's thread to be between two chunks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: tuple[Settings, Future[int]] | None = None
        self._open = False

    # --- who asks

    def ask(self, settings: Settings, ring: Callable[[], None]) -> int | None:
        """Have the node's thread take over settings; returns what that gives, None where it has ended.

        Raises
        ------
        LifecycleError
            It did not come to it in time; nothing was changed.
        Exception
            What the component raised.
        """
        future: Future[int] = Future()
        with self._lock:
            if not self._open:
                return None
            self._waiting = settings, future
        ring()
        try:
            return future.result(CHANGE_TIMEOUT)
        except CancelledError:
            return None
        except TimeoutError:
            if not future.cancel():
                return future.result()  # it has just begun
            raise LifecycleError(
                f"nothing was changed: the node's thread has not been between two chunks for "
                f"{CHANGE_TIMEOUT:g} s"
            ) from None

    # --- the node's thread

    def open(self) -> None:
        """Take changes from now on. Called before the thread runs."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """Take none any more; who waits is told that nobody will."""
        with self._lock:
            self._open = False
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting[1].cancel()

    @property
    def waiting(self) -> bool:
        """Whether somebody waits; costs nothing to ask before each chunk."""
        return self._waiting is not None

    def serve(self, apply: Callable[[Settings], int]) -> None:
        """Let ``apply`` take over what waits. Who asks gets refusals; other errors are raised here, too."""
        with self._lock:
            waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        settings, future = waiting
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(apply(settings))
        except (ConfigurationError, StreamMismatch) as refusal:
            future.set_exception(refusal)
        except BaseException as error:
            future.set_exception(error)
            raise


def in_words(indices: Mapping[str, int]) -> str:
    """Indices of the next sample of some ports, such as ``sample 1200 of 'in'``."""
    return ", ".join(f"sample {index} of {name!r}" for name, index in indices.items())
