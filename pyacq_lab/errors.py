"""One error tree for the whole package.

Every error this package raises on purpose derives from `PyacqError`, and from the built-in exception a
caller would expect, so that ``except ValueError`` and ``except TimeoutError`` keep working.
A message says what came, what was wanted, and what to do.
"""

from __future__ import annotations

import os
import traceback
from pathlib import Path

__all__ = [
    "AuthenticationError",
    "CallTimeout",
    "ConfigurationError",
    "EndOfStream",
    "HostUnreachable",
    "LifecycleError",
    "MissingDependency",
    "ProcessDied",
    "ProtocolError",
    "PyacqError",
    "RecordingError",
    "RemoteError",
    "SamplesGone",
    "StreamMismatch",
    "UnknownName",
    "VersionMismatch",
]


class PyacqError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(PyacqError, ValueError):
    """A setting is missing, unknown or out of range. Nothing was changed."""


class LifecycleError(PyacqError, RuntimeError):
    """A command is refused in the present state. Nothing was changed."""


class UnknownName(PyacqError, LookupError):
    """No host, nodegroup, node, port, node type or method has this name."""


class StreamMismatch(PyacqError, ValueError):
    """Two ends of a stream do not fit; the message names both."""


class SamplesGone(PyacqError, LookupError):
    """The ring buffer no longer (or not yet) holds the samples asked for."""


class EndOfStream(PyacqError):
    """A source has nothing more to give; its node stops as if it had been asked to."""


class ProtocolError(PyacqError, ValueError):
    """Bytes from a peer do not decode to a known message."""


class VersionMismatch(PyacqError, RuntimeError):
    """Two programs speak different versions of the protocol; the message names both."""


class HostUnreachable(PyacqError, ConnectionError):
    """Nothing answers at this endpoint."""


class AuthenticationError(PyacqError, PermissionError):
    """A key is missing, malformed, wrong or not authorised."""


class CallTimeout(PyacqError, TimeoutError):
    """A remote call was not answered in time; it may still be running over there."""


class ProcessDied(PyacqError, ConnectionError):
    """The process that should answer has ended."""


class RecordingError(PyacqError, OSError):
    """A run folder cannot be written or read."""


class MissingDependency(PyacqError, ImportError):
    """An optional package is needed for this; the message says how to install it."""


class RemoteError(PyacqError):
    """An exception raised by a remote call, raised again here.

    Where the remote exception's type is known here (built in, or from `pyacq_lab.errors`), what is
    raised is an instance of both `RemoteError` and that type, so ``except ValueError`` catches a
    remote `ValueError`.

    Attributes
    ----------
    type_name : str
        Qualified name of the remote exception's type, such as ``"builtins.ValueError"``.
    remote_message : str
        ``str()`` of the remote exception.
    where : str
        The place, as ``host/nodegroup/node.method``.
    remote_traceback : str
        The formatted remote traceback, without colours.
    """

    type_name: str = ""
    remote_message: str = ""
    where: str = ""
    remote_traceback: str = ""

    def __str__(self) -> str:
        kind = "" if type(self) is not RemoteError else f"{self.type_name.rpartition('.')[2]}: "
        return f"{kind}{self.remote_message} [in {self.where}]"

    def _render_traceback_(self) -> list[str]:
        """Lines shown by IPython: where it was called, without the plumbing, then the remote traceback."""
        plumbing = (str(Path(__file__).parent), f"{os.sep}IPython{os.sep}")
        called = [
            frame
            for frame in traceback.extract_tb(self.__traceback__)
            if not any(part in frame.filename for part in plumbing)
        ]
        here = "".join(traceback.format_list(called)).splitlines()
        there = self.remote_traceback.rstrip().splitlines()
        return [*(["called here:", *here, ""] if here else []), *there, "", f"raised in {self.where}"]
