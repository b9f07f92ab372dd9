"""What an input can be connected to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.stream import StreamAddress
from pyacq_lab.transport.streamcontext import StreamContext


@runtime_checkable
class Readable(Protocol):
    """Anything that says where a stream can be read: an `OutputStream`, or the handle of a node's output."""

    @property
    def address(self) -> StreamAddress:
        """Where."""
        ...

    @property
    def context(self) -> StreamContext | None:
        """Reactor and keys by which this process may read it; None: its own."""
        ...


def look_up(source: Any) -> tuple[StreamAddress, StreamContext | None]:
    """Where a stream is read, and by whose keys.

    Raises
    ------
    ConfigurationError
        ``source`` is nothing that `InputStream.connect` takes.
    """
    if isinstance(source, StreamAddress):
        return source, None
    if isinstance(source, Mapping):
        try:
            return msgspec.convert(source, StreamAddress), None
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{source!r} is not a stream's address: {error}") from None
    if isinstance(source, Readable):
        return source.address, source.context
    raise ConfigurationError(
        f"connect wants an OutputStream, the handle of a node's output, or an address; {source!r} came"
    )
