"""Packing samples for their way between machines: the codecs of blosc2 (https://www.blosc.org)."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import Compression

_LEVEL = 5  # the library's own default, a good one for all its codecs


def codec_library() -> ModuleType:
    """Give the library. Raises MissingDependency where it is not installed."""
    return import_optional(
        "blosc2", "a compressed stream (at both ends)", "blosc2", "compression",
        "Or configure the output with compression=''",
    )  # fmt: skip


def pack(samples: Any, codec: Compression, itemsize: int) -> bytes | None:
    """Pack the bytes of samples; None where that makes them no smaller.

    Parameters
    ----------
    samples : buffer
        Contiguous.
    codec : str
        As in `StreamSpec.compression`.
    itemsize : int
        Bytes of one number: their first bytes are packed together, then their second ones, and so on.
    """
    blosc2 = codec_library()
    view = memoryview(samples).cast("B")
    made: bytes = blosc2.compress(
        view, typesize=min(itemsize, 255), clevel=_LEVEL, filter=blosc2.Filter.SHUFFLE,
        codec=blosc2.Codec[codec.upper()],
    )  # fmt: skip
    return made if len(made) < view.nbytes else None


def unpack(packed: Any, nbytes: int) -> bytes:
    """Unpack what `pack` made of ``nbytes`` bytes.

    Raises
    ------
    ProtocolError
        It is damaged, or would become another number of bytes.
    """
    blosc2 = codec_library()
    data = bytes(packed)
    try:
        # Looked at first: a few damaged bytes must not ask for gigabytes.
        found = blosc2.get_cbuffer_sizes(data)[0]
        if found != nbytes:
            raise ProtocolError(f"packed samples would become {found} bytes; wanted {nbytes}")
        made: bytes = blosc2.decompress(data)
    except (RuntimeError, ValueError, TypeError) as error:
        raise ProtocolError(f"packed samples are damaged: {error}") from None
    if len(made) != nbytes:
        raise ProtocolError(f"packed samples became {len(made)} bytes; wanted {nbytes}")
    return made
