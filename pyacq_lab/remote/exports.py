"""Objects of this process that its clients hold handles of."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import Any

from pyacq_lab.errors import UnknownName
from pyacq_lab.model.remote import Reference


class Exports:
    """Keeps each object as long as a client counts on it. Any thread.

    Parameters
    ----------
    where : str
        Place of this process, as ``host/nodegroup``.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._objects: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._holders: dict[str, Counter[bytes]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def reference(self, thing: Any, routing_id: bytes, place: str = "") -> Reference:
        """Reference to an object for a client, which lets go of it by `Release`.

        ``place`` is what errors and reprs name; this process unless given.
        """
        with self._lock:
            target = self._names.get(id(thing))
            if target is None:
                target = f"object:{next(self._numbers)}"
                self._names[id(thing)] = target
                self._objects[target] = thing
                self._holders[target] = Counter()
            self._holders[target][routing_id] += 1
        return Reference("", "", target, place or self._where, type(thing).__name__)

    def find(self, target: str) -> Any:
        """Object of a reference. Raises UnknownName where it was let go of."""
        try:
            return self._objects[target]
        except KeyError:
            raise UnknownName(
                f"{self._where} no longer has {target}: the last handle of it was dropped"
            ) from None

    def hold(self, target: str, routing_id: bytes) -> None:
        """Keep an object for one more client. Raises UnknownName where it was let go of."""
        with self._lock:
            self.find(target)
            self._holders[target][routing_id] += 1

    def release(self, target: str, routing_id: bytes, count: int) -> None:
        """Let go of an object as often as a client says."""
        with self._lock:
            holders = self._holders.get(target)
            if holders is None:
                return
            holders[routing_id] -= count
            if holders[routing_id] <= 0:
                del holders[routing_id]
            self._drop_unheld([target])

    def forget_client(self, routing_id: bytes) -> None:
        """Let go of all that a client held; it is gone."""
        with self._lock:
            for holders in self._holders.values():
                holders.pop(routing_id, None)
            self._drop_unheld(list(self._holders))

    def clients(self) -> set[bytes]:
        """Clients that hold something."""
        with self._lock:
            return {routing_id for holders in self._holders.values() for routing_id in holders}

    def __len__(self) -> int:
        return len(self._objects)

    def _drop_unheld(self, targets: list[str]) -> None:
        for target in targets:
            if not self._holders[target]:
                del self._holders[target]
                self._names.pop(id(self._objects.pop(target)), None)
