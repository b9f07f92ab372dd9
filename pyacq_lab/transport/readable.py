"""What an input can be connected to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import msgspec

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.stream import SERVED, StreamAddress, StreamSpec
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


def check_wanted(wanted: Mapping[str, Any]) -> None:
    """Refuse what is no field of a stream that a reader could ask for.

    Raises
    ------
    ConfigurationError
        Says where such a thing is said instead.
    """
    known = [field for field in StreamSpec.__struct_fields__ if field not in SERVED]
    for field in sorted(set(wanted) - set(known)):
        if field in ("policy", "backfill", "transfermode"):
            raise ConfigurationError(
                f"{field}={wanted[field]!r}: that is said before, InputStream({field}=...)"
            )
        if field in ("buffer_size", "buffer_seconds"):
            raise ConfigurationError(
                f"{field}={wanted[field]!r}: set_buffer(...) has a reader keep samples of its own; the "
                "buffer of the output is what its own configure(...) makes it"
            )
        if field in SERVED:
            raise ConfigurationError(
                f"{field}={wanted[field]!r}: that is said by the output's configure(...)"
            )
        raise ConfigurationError(f"{field}: a reader can ask for {', '.join(known)}")
