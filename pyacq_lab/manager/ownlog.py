"""What the notebook's own process says, where its manager is in another one."""

from __future__ import annotations

import platform

from pyacq_lab.transport.capture import LogCapture
from pyacq_lab.transport.clock import SystemClock
from pyacq_lab.transport.keys import KeyPair
from pyacq_lab.transport.logs import LogOrigin
from pyacq_lab.transport.logship import LogShipper
from pyacq_lab.transport.logsocket import open_log_socket
from pyacq_lab.transport.reactor import Reactor

_PROCESS = "notebook"


class OwnLog:
    """Sends what this process logs, warns and fails with to a log server on this machine, until `close`.

    Parameters
    ----------
    reactor : Reactor
        Whose gatekeeper admits the log server.
    application : KeyPair
        By which the log server proves itself.

    Attributes
    ----------
    endpoint, public_key, source : str
        For `LogServer.connect`.
    capture : LogCapture
        What catches it.
    """

    def __init__(self, reactor: Reactor, application: KeyPair) -> None:
        keys = KeyPair.generate()
        push, self.endpoint = open_log_socket(
            reactor, keys, lambda key: key == application.public, "127.0.0.1"
        )
        self.public_key = keys.public
        origin = LogOrigin(host=platform.node(), process=_PROCESS)
        self.source = f"{origin.host}/{origin.process}"
        self._shipper = LogShipper(push, origin, SystemClock())
        self.capture = LogCapture(self._shipper)
        self.capture.install()

    def close(self, timeout: float = 0.5) -> int:
        """Send what waits, for at most ``timeout`` seconds, and listen no more. Idempotent.

        Returns
        -------
        int
            Records that the log server has not said to have heard.
        """
        self.capture.uninstall()
        return self._shipper.close(timeout)
