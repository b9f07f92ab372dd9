"""What a stream is: its frozen description."""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.lib import format as npformat

from pyacq_lab.errors import ConfigurationError

StreamType = Literal["analogsignal", "digitalsignal", "event", "video"]


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen description of a stream: everything a reader must know before the first sample.

    Parameters
    ----------
    streamtype : {'analogsignal', 'digitalsignal', 'event', 'video'}
        What the samples mean.
    dtype : str or list
        The samples' numpy data type as `numpy.lib.format.dtype_to_descr` gives it; use `of` to pass a
        `numpy.dtype`.
    shape : tuple of int
        Shape of the stream with time first, ``(-1, n_channels)`` for signals, ``(-1, height, width, 3)``
        for video.
    sample_rate : float
        Nominal rate, Hz.
    units : str
        Units of ``raw * scale + offset``.
    channel_names : tuple of str
        One name per channel, or empty for ``("0", "1", ...)``.
    scale, offset : float
        ``physical = raw * scale + offset``.
    group_delay : float
        Delay, s, that processing has added since the samples were acquired.
    buffer_size : int
        Samples that the producer's ring buffer holds; 0 asks for 10 s.
    waits : bool
        Whether the producer waits for lossless readers, as a file replay can; a live device cannot.
    """

    streamtype: StreamType = "analogsignal"
    dtype: Any = "<f8"
    shape: tuple[int, ...] = (-1, 1)
    sample_rate: float = 1.0
    units: str = ""
    channel_names: tuple[str, ...] = ()
    scale: float = 1.0
    offset: float = 0.0
    group_delay: float = 0.0
    buffer_size: int = 0
    waits: bool = False

    def __post_init__(self) -> None:
        dtype = self.np_dtype  # raises where the descriptor is not one
        # Serialisation turns tuples into lists; equal streams must compare equal on both sides.
        msgspec.structs.force_setattr(self, "dtype", npformat.dtype_to_descr(dtype))
        if dtype.hasobject:
            raise ConfigurationError(f"dtype {dtype} holds Python objects; a stream carries plain data only")
        if len(self.shape) < 1 or self.shape[0] != -1 or any(n < 1 for n in self.shape[1:]):
            raise ConfigurationError(
                f"shape {self.shape}: wanted -1 (time) first and positive sizes after it, such as (-1, 16)"
            )
        if not (math.isfinite(self.sample_rate) and self.sample_rate > 0):
            raise ConfigurationError(f"sample_rate {self.sample_rate!r}: wanted a positive number of Hz")
        if self.channel_names and len(self.channel_names) != self.n_channels:
            raise ConfigurationError(
                f"{len(self.channel_names)} channel_names for {self.n_channels} channels: name each"
            )
        if self.buffer_size < 0:
            raise ConfigurationError(f"buffer_size {self.buffer_size}: wanted samples, 0 for 10 seconds")

    @classmethod
    def of(cls, dtype: np.typing.DTypeLike, **fields: Any) -> StreamSpec:
        """Describe a stream of samples of a numpy data type; the other fields as in the class."""
        if isinstance(fields.get("channel_names"), list):
            fields["channel_names"] = tuple(fields["channel_names"])
        return cls(dtype=npformat.dtype_to_descr(np.dtype(dtype)), **fields)

    @property
    def np_dtype(self) -> np.dtype[Any]:
        """The samples' `numpy.dtype`."""
        try:
            return npformat.descr_to_dtype(_as_descr(self.dtype))
        except (TypeError, ValueError, IndexError) as error:
            raise ConfigurationError(f"dtype {self.dtype!r} is not a numpy data type: {error}") from None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample: `shape` without time."""
        return self.shape[1:]

    @property
    def n_channels(self) -> int:
        """Number of channels (columns); 1 for a stream of scalars or pictures."""
        return self.shape[1] if len(self.shape) == 2 else 1

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names, numbered where none were given."""
        return self.channel_names or tuple(str(i) for i in range(self.n_channels))

    @property
    def sample_nbytes(self) -> int:
        """Bytes of one sample."""
        return self.np_dtype.itemsize * math.prod(self.sample_shape)

    @property
    def ring_size(self) -> int:
        """Samples that the producer's ring buffer holds."""
        return self.buffer_size or max(16, math.ceil(10.0 * self.sample_rate))

    def replace(self, **changes: Any) -> StreamSpec:
        """Copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def differences(self, other: StreamSpec) -> str:
        """Name the fields in which two specs differ, with both values; empty where they agree."""
        pairs = ((f, getattr(self, f), getattr(other, f)) for f in self.__struct_fields__)
        return ", ".join(f"{f} {a!r} != {b!r}" for f, a, b in pairs if a != b)


class StreamAddress(msgspec.Struct, frozen=True):
    """Where an output can be read, and by which key it proves itself.

    Attributes
    ----------
    endpoint : str
        ZeroMQ endpoint.
    public_key : str
        The producer's CurveZMQ public key, Z85.
    node, port : str
        Whose output it is.
    """

    endpoint: str
    public_key: str
    node: str
    port: str


def _as_descr(descr: Any) -> Any:
    """Undo what a serialisation does to a structured descriptor: lists where tuples were."""
    if isinstance(descr, str):
        return descr
    fields: list[tuple[Any, ...]] = []
    for name, form, *shape in descr:
        fields.append((_tuple_if_list(name), _as_descr(form), *map(_tuple_if_list, shape)))
    return fields


def _tuple_if_list(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
