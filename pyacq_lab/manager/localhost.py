"""The manager's own host: a host server on this machine that lives and dies with the manager."""

from __future__ import annotations

import re

from pyacq_lab.errors import HostUnreachable
from pyacq_lab.manager.childprogram import START_TIMEOUT, ChildProgram

_INVITATION = re.compile(r'add_host\("(?P<endpoint>[^"]+)", key="(?P<key>[^"]+)"\)')


class LocalHost(ChildProgram):
    """A host server in a process of its own, started on a free port of the loopback interface.

    Attributes
    ----------
    endpoint, key : str
        For `Manager.add_host`.
    """

    def __init__(self, name: str = "local") -> None:
        super().__init__("pyacq_lab.host", "tcp://127.0.0.1:0", "--child", "--no-pairing", "--name", name)
        try:
            self.endpoint, self.key = self._invitation()
        except BaseException:
            self.close()
            raise

    def _invitation(self) -> tuple[str, str]:
        match = _INVITATION.search(self.first_line())
        if match is None:
            raise HostUnreachable(
                f"the local host server did not start within {START_TIMEOUT:g} s; it said: {self.last_words}"
            )
        return match["endpoint"], match["key"]
