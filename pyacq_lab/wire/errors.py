"""Exceptions on the wire: plain text on the way out, the right type again on arrival."""

from __future__ import annotations

import builtins
import traceback as tb
from functools import lru_cache
from typing import cast

import pyacq_lab.errors as own
from pyacq_lab.errors import PyacqError, RemoteError
from pyacq_lab.wire.messages import ErrorInfo


def describe_error(error: BaseException, where: str = "") -> ErrorInfo:
    """Reduce an exception to text, with its traceback."""
    kind = type(error)
    if isinstance(error, RemoteError) and error.where:  # a call that went through several processes
        return ErrorInfo(
            error.type_name, error.remote_message, f"{where} -> {error.where}", error.remote_traceback
        )
    text = "".join(tb.format_exception(error))
    return ErrorInfo(f"{kind.__module__}.{kind.__qualname__}", str(error), where, text)


def rebuild_error(info: ErrorInfo, where: str = "") -> RemoteError:
    """Make the exception to raise here: a `RemoteError` that is also of the remote type, where known."""
    module, _, name = info.type_name.rpartition(".")
    known = getattr(own, name, None) if module == own.__name__ else getattr(builtins, name, None)
    usable = isinstance(known, type) and issubclass(known, Exception) and module in (own.__name__, "builtins")
    error = _remote_type(cast("type[Exception]", known) if usable else None)(info.message)
    error.type_name = info.type_name
    error.remote_message = info.message
    error.where = info.where or where
    error.remote_traceback = info.traceback
    if info.traceback:
        error.add_note(f"remote traceback, in {error.where}:\n{info.traceback.rstrip()}")
    return error


@lru_cache(maxsize=256)
def _remote_type(known: type[Exception] | None) -> type[RemoteError]:
    if known is None or known is RemoteError or known is PyacqError:
        return RemoteError
    try:
        made = type(f"Remote{known.__name__}", (RemoteError, known), {"__module__": __name__})
        made("probe")  # some built-in errors, such as UnicodeDecodeError, take more than a message
    except TypeError:
        return RemoteError
    return made
