"""Waiting for several descriptors at once, by the best means of the system."""

from __future__ import annotations

import select
import selectors
import socket
import threading
from typing import ClassVar, Protocol


class Bell:
    """A descriptor that one thread waits on and any other thread can make readable."""

    def __init__(self) -> None:
        self._pair = socket.socketpair()
        for end in self._pair:
            end.setblocking(False)
        self.fd = self._pair[0].fileno()

    def ring(self) -> None:
        """Make it readable; any thread, also after `close`."""
        try:
            self._pair[1].send(b"x")
        except OSError:
            return  # full rings as well; closed means that nobody waits any more

    def hush(self) -> None:
        """Make it quiet again; the waiting thread."""
        try:
            while len(self._pair[0].recv(4096)) == 4096:
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        """Release it."""
        for end in self._pair:
            end.close()


class Watch(Protocol):
    """Tells which of its descriptors can be read. One thread waits, any may change what is watched.

    Attributes
    ----------
    lends : bool
        Whether `pause` and `resume` are possible, and take effect at once.
    """

    lends: ClassVar[bool]

    def add(self, fd: int) -> None:
        """Watch a descriptor."""
        ...

    def remove(self, fd: int) -> None:
        """Watch it no more; it may be closed from now on."""
        ...

    def pause(self, fd: int) -> None:
        """Do not report it until `resume`."""
        ...

    def resume(self, fd: int) -> None:
        """Report it again, also what came meanwhile."""
        ...

    def wait(self, timeout: float | None) -> list[int]:
        """Wait for descriptors to be readable, ``timeout`` seconds at most; the waiting thread."""
        ...

    def rouse(self) -> None:
        """Make `wait` return now; any thread, also after `close`."""
        ...

    def close(self) -> None:
        """Release everything; the waiting thread has ended."""
        ...


class EpollWatch:
    """Linux: the system takes changes from any thread while another waits."""

    lends: ClassVar[bool] = True

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._bell = Bell()
        self._epoll.register(self._bell.fd, select.EPOLLIN)

    def add(self, fd: int) -> None:
        """Watch a descriptor."""
        self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Watch it no more."""
        self._epoll.unregister(fd)

    def pause(self, fd: int) -> None:
        """Do not report it until `resume`."""
        self._epoll.modify(fd, 0)

    def resume(self, fd: int) -> None:
        """Report it again; level-triggered, so also what came meanwhile."""
        self._epoll.modify(fd, select.EPOLLIN)

    def wait(self, timeout: float | None) -> list[int]:
        """Wait for descriptors to be readable."""
        found = [fd for fd, _ in self._epoll.poll(timeout)]
        if self._bell.fd in found:
            found.remove(self._bell.fd)
            self._bell.hush()
        return found

    def rouse(self) -> None:
        """Make `wait` return now."""
        self._bell.ring()

    def close(self) -> None:
        """Release everything."""
        self._epoll.close()
        self._bell.close()


class SelectorWatch:
    """Everywhere: changes wait until the waiting thread has been roused."""

    lends: ClassVar[bool] = False

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._changes: list[tuple[bool, int]] = []
        self._lock = threading.Lock()
        self._bell = Bell()
        self._selector.register(self._bell.fd, selectors.EVENT_READ)

    def add(self, fd: int) -> None:
        """Watch a descriptor."""
        self._change(True, fd)

    def remove(self, fd: int) -> None:
        """Watch it no more."""
        self._change(False, fd)

    def pause(self, fd: int) -> None:
        """Refuse: it would take effect too late."""
        raise NotImplementedError("this watch does not lend its descriptors")

    def resume(self, fd: int) -> None:
        """Refuse, as `pause` does."""
        raise NotImplementedError("this watch does not lend its descriptors")

    def wait(self, timeout: float | None) -> list[int]:
        """Wait for descriptors to be readable."""
        self._apply()
        found = [key.fd for key, _ in self._selector.select(timeout)]
        if self._bell.fd in found:
            found.remove(self._bell.fd)
            self._bell.hush()
        return found

    def rouse(self) -> None:
        """Make `wait` return now."""
        self._bell.ring()

    def close(self) -> None:
        """Release everything."""
        self._selector.close()
        self._bell.close()

    def _change(self, added: bool, fd: int) -> None:
        with self._lock:
            self._changes.append((added, fd))
        self.rouse()

    def _apply(self) -> None:
        with self._lock:
            changes, self._changes = self._changes, []
        for added, fd in changes:
            watched = fd in self._selector.get_map()
            if added and not watched:
                self._selector.register(fd, selectors.EVENT_READ)
            elif watched and not added:
                self._selector.unregister(fd)


def best_watch() -> Watch:
    """Make the watch that suits this system."""
    return EpollWatch() if hasattr(select, "epoll") else SelectorWatch()
