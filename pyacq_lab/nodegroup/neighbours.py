"""Other nodegroups of the application, as far as this one has been told of them."""

from __future__ import annotations

import threading
from typing import Any

from pyacq_lab.model.remote import Reference
from pyacq_lab.remote.links import Link, distant
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.reactor import Reactor


class Neighbours:
    """Connections to nodegroups whose handles came in, made when they are first used.

    Parameters
    ----------
    reactor : Reactor
        Whose thread receives.
    keys : KeyPair
        The application's.
    own_key : str
        Public key of this nodegroup.
    """

    def __init__(self, reactor: Reactor, keys: KeyPair, own_key: str) -> None:
        self._reactor = reactor
        self._keys = keys
        self.own_key = own_key
        self._links: dict[str, Link] = {}
        self._lock = threading.Lock()

    def meet(self, reference: Reference) -> Any:
        """Make a handle; does not wait."""
        return distant(reference, self._locate)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.close()

    def _locate(self, reference: Reference) -> Link:
        with self._lock:
            link = self._links.get(reference.public_key)
            if link is not None and link.client.connected:
                return link
            if link is not None:
                link.close()
            link = Link(
                self._reactor,
                reference.endpoint,
                reference.public_key,
                keys=self._keys,
                where="/".join(reference.where.split("/")[:2]),
                meet=self.meet,
            )
            try:
                link.client.wait_connected()
            except BaseException:
                link.close()
                raise
            self._links[reference.public_key] = link
            return link
