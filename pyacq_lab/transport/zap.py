"""The gatekeeper: answers ZeroMQ's authentication requests (ZAP, https://rfc.zeromq.org/spec/27/).

Deny is the default: a domain that nobody opened lets nobody in, and so does any mechanism but CURVE.
(pyzmq's `Authenticator` lets every unencrypted peer in and cannot say a refused peer's address.)
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from zmq.utils import z85

log = logging.getLogger(__name__)

Allow = Callable[[str], bool]
"""Says whether a client's public key (Z85) may connect. Called in the reactor's thread."""


class Zap:
    """Decides which client keys may connect to which domain of server sockets."""

    def __init__(self) -> None:
        self._domains: dict[str, Allow] = {}

    def open_domain(self, domain: str, allow: Allow) -> None:
        """Let those keys in for which ``allow`` returns True."""
        self._domains[domain] = allow

    def close_domain(self, domain: str) -> None:
        """Let nobody in any more; idempotent."""
        self._domains.pop(domain, None)

    def answer(self, request: list[bytes]) -> list[bytes]:
        """Answer one ZAP request: version, request id, domain, address, identity, mechanism, credentials."""
        if len(request) < 6 or request[0] != b"1.0":
            log.warning("malformed authentication request of %d frames", len(request))
            return [b"1.0", request[1] if len(request) > 1 else b"", b"500", b"malformed", b"", b""]
        _, request_id, domain, address, _, mechanism, *credentials = request
        key = z85.encode(credentials[0]).decode() if mechanism == b"CURVE" and len(credentials) == 1 else ""
        allow = self._domains.get(domain.decode(errors="replace"))
        if key and allow is not None and self._allows(allow, key):
            return [b"1.0", request_id, b"200", b"OK", key.encode(), b""]
        log.warning(
            "refused a connection from %s to %s: %s",
            address.decode(errors="replace"),
            domain.decode(errors="replace"),
            f"key {key} is not authorised" if key else f"mechanism {mechanism!r} is not CURVE",
        )
        return [b"1.0", request_id, b"400", b"not authorised", b"", b""]

    @staticmethod
    def _allows(allow: Allow, key: str) -> bool:
        try:
            return allow(key)
        except Exception:  # a key file that cannot be read lets nobody in, and says why
            log.exception("could not find out whether key %s is authorised: it is refused", key)
            return False
