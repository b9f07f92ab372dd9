"""What a stream is: its frozen description."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any, Literal, cast, get_args

import msgspec
import numpy as np
import numpy.typing as npt
from numpy.lib import format as npformat

from pyacq_lab.errors import ConfigurationError

StreamType = Literal["analogsignal", "digitalsignal", "event", "image", "video"]
Compression = Literal["", "blosclz", "lz4", "lz4hc", "zlib", "zstd"]

DEFAULT_SECONDS = 10.0
"""What a ring buffer holds unless told otherwise, s, as long as it stays below `DEFAULT_NBYTES`."""

DEFAULT_NBYTES = 256 << 20

SERVED = frozenset({"buffer_size", "buffer_seconds", "compression", "waits"})
"""Fields that say how a stream is served: whatever they are, its samples are the same."""


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen description of a stream: everything a reader must know before the first sample.

    Parameters
    ----------
    streamtype : {'analogsignal', 'digitalsignal', 'event', 'image', 'video'}
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
    scale, offset : float or tuple of float
        ``physical = raw * scale + offset``: one number, or one for each channel; see `to_physical`.
    group_delay : float
        Delay, s, that processing has added since the samples were acquired.
    buffer_size : int
        Samples that the producer's ring buffer holds; 0 leaves it to `buffer_seconds`.
    buffer_seconds : float
        The same as a time, s; 0 asks for 10 s, or less where that were over 256 MiB.
    compression : {'', 'blosclz', 'lz4', 'lz4hc', 'zlib', 'zstd'}
        Codec of blosc2 by which samples are packed on their way to another machine; in shared memory they
        never are. Wants the extra ``pyacq_lab[compression]`` at both ends.
    waits : bool
        Whether the producer waits for lossless readers, as a file replay can; a live device cannot.
    """

    streamtype: StreamType = "analogsignal"
    dtype: Any = "<f8"
    shape: tuple[int, ...] = (-1, 1)
    sample_rate: float = 1.0
    units: str = ""
    channel_names: tuple[str, ...] = ()
    scale: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0
    group_delay: float = 0.0
    buffer_size: int = 0
    buffer_seconds: float = 0.0
    compression: Compression = ""
    waits: bool = False

    def __post_init__(self) -> None:
        dtype = self.np_dtype  # raises where the descriptor is not one
        self._check_kinds()
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
        self._check_physical()
        if self.sample_nbytes < 1:
            raise ConfigurationError(f"dtype {dtype} has no bytes: samples must be something")
        if self.buffer_size < 0:
            raise ConfigurationError(f"buffer_size {self.buffer_size}: wanted samples, 0 for 10 seconds")
        if not (math.isfinite(self.buffer_seconds * self.sample_rate) and self.buffer_seconds >= 0):
            raise ConfigurationError(f"buffer_seconds {self.buffer_seconds!r}: wanted seconds, 0 for 10")
        if self.buffer_size and self.buffer_seconds:
            raise ConfigurationError(
                f"buffer_size {self.buffer_size} and buffer_seconds {self.buffer_seconds:g}: give one of them"
            )
        for field, known in (("streamtype", StreamType), ("compression", Compression)):
            if (value := getattr(self, field)) not in get_args(known):
                choices = ", ".join(repr(choice) for choice in get_args(known))
                raise ConfigurationError(f"{field} {value!r}: wanted one of {choices}")

    def _check_kinds(self) -> None:
        """Make plain numbers of numpy's, which no message carries; refuse what is none."""
        for field in ("sample_rate", "group_delay", "buffer_seconds"):
            if not isinstance(value := getattr(self, field), Real):
                raise ConfigurationError(f"{field} {value!r}: wanted a number")
            msgspec.structs.force_setattr(self, field, float(value))
        if not isinstance(self.units, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"units {self.units!r}: wanted a name, such as 'mV'")
        if isinstance(self.channel_names, str) or not all(isinstance(n, str) for n in self.channel_names):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError(f"channel_names {self.channel_names!r}: wanted a tuple of names")
        try:
            msgspec.structs.force_setattr(self, "buffer_size", operator.index(self.buffer_size))
            msgspec.structs.force_setattr(self, "shape", tuple(map(operator.index, self.shape)))
        except TypeError:
            raise ConfigurationError(
                f"buffer_size {self.buffer_size!r}, shape {self.shape!r}: wanted whole numbers"
            ) from None

    def _check_physical(self) -> None:
        for field in ("scale", "offset"):
            value: Any = getattr(self, field)
            if isinstance(value, np.ndarray):
                value = value.tolist()
            one = not isinstance(value, list | tuple)
            numbers = (value,) if one else tuple(cast("list[float]", value))
            if not one and len(numbers) != self.n_channels:
                raise ConfigurationError(
                    f"{len(numbers)} numbers as {field} for {self.n_channels} channels: give one, or one each"
                )
            for number in numbers:
                if not _is_finite(number) or (field == "scale" and number == 0):
                    raise ConfigurationError(f"{field} {number!r}: wanted a finite number, and a scale not 0")
            plain = tuple(map(float, numbers))
            msgspec.structs.force_setattr(self, field, plain[0] if one else plain)

    @classmethod
    def of(cls, dtype: np.typing.DTypeLike, **fields: Any) -> StreamSpec:
        """Describe a stream of samples of a numpy data type; the other fields as in the class."""
        for field in ("channel_names", "shape"):
            if isinstance(fields.get(field), np.ndarray):
                fields[field] = fields[field].tolist()
            if isinstance(fields.get(field), list):
                fields[field] = tuple(fields[field])
        try:
            if dtype is None:  # pyright: ignore[reportUnnecessaryComparison]
                raise TypeError("give one")  # numpy would make float64 of it
            described = np.dtype(dtype)
        except (TypeError, ValueError, SyntaxError) as error:
            raise ConfigurationError(f"dtype {dtype!r} is not a numpy data type: {error}") from None
        return cls(dtype=npformat.dtype_to_descr(described), **fields)

    @property
    def np_dtype(self) -> np.dtype[Any]:
        """The samples' `numpy.dtype`."""
        try:
            return npformat.descr_to_dtype(_as_descr(self.dtype))
        except (TypeError, ValueError, IndexError, SyntaxError) as error:
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
    def is_scaled(self) -> bool:
        """Whether raw samples are something else than their physical values."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def sample_nbytes(self) -> int:
        """Bytes of one sample."""
        return self.np_dtype.itemsize * math.prod(self.sample_shape)

    @property
    def ring_size(self) -> int:
        """Samples that the producer's ring buffer holds."""
        if self.buffer_size:
            return self.buffer_size
        if self.buffer_seconds:
            return max(1, math.ceil(self.buffer_seconds * self.sample_rate))
        most = DEFAULT_NBYTES // self.sample_nbytes
        return max(16, math.ceil(min(most, DEFAULT_SECONDS * self.sample_rate)))

    def shares_indices(self, other: StreamSpec) -> bool:
        """Whether sample ``k`` of both is of the same moment; not at another rate, and not for events."""
        return self.sample_rate == other.sample_rate and "event" not in (self.streamtype, other.streamtype)

    def to_physical(self, data: npt.NDArray[Any], dtype: npt.DTypeLike = np.float64) -> npt.NDArray[Any]:
        """Samples in the stream's `units`: ``raw * scale + offset``, a copy.

        Parameters
        ----------
        data : ndarray, shape (n_samples, ...)
            Raw samples of this stream.
        dtype : numpy.dtype
            In which to reckon, and of the result.

        Raises
        ------
        ConfigurationError
            The samples are no real numbers, such as structured ones, or not of all of this stream's channels.
        """
        check_has_physical(data.dtype)
        for numbers in (self.scale, self.offset):
            if isinstance(numbers, tuple) and len(numbers) > 1 and data.shape[1:] != (len(numbers),):
                raise ConfigurationError(
                    f"samples {list(data.shape)} have no physical value by the scale and offset of "
                    f"{len(numbers)} channels: read them raw, or leave all channels in"
                )
        physical = data.astype(dtype)
        physical *= np.asarray(self.scale, dtype)
        physical += np.asarray(self.offset, dtype)
        return physical

    def replace(self, **changes: Any) -> StreamSpec:
        """Copy with some fields changed. Of the two sizes of the buffer the one that is given counts."""
        if bool(changes.get("buffer_size")) != bool(changes.get("buffer_seconds")):
            other = "buffer_seconds" if changes.get("buffer_size") else "buffer_size"
            changes[other] = 0
        return msgspec.structs.replace(self, **changes)

    def differences(self, other: StreamSpec) -> str:
        """Name the fields in which two streams differ, with both values; empty where they are the same.

        How they are served (`SERVED`) is no difference.
        """
        fields = (f for f in self.__struct_fields__ if f not in SERVED)
        pairs = ((f, getattr(self, f), getattr(other, f)) for f in fields)
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
    secret_key : str
        Secret key by which a reader may prove itself; empty where it has one of its own. Whoever is given
        such an address may read, so `repr` leaves it out.
    """

    endpoint: str
    public_key: str
    node: str
    port: str
    secret_key: str = ""

    @property
    def name(self) -> str:
        """Whose output it is, in one word."""
        return f"{self.node}.{self.port}" if self.node else self.port

    @property
    def tcp_port(self) -> int:
        """TCP port of its endpoint; 0 where that is of another kind."""
        return int(self.endpoint.rpartition(":")[2]) if self.endpoint.startswith("tcp://") else 0

    def __repr__(self) -> str:
        return f"StreamAddress({self.endpoint!r}, {self.public_key!r}, {self.node!r}, {self.port!r})"


def _is_finite(number: Any) -> bool:
    return isinstance(number, Real) and math.isfinite(number)


def check_has_physical(dtype: np.dtype[Any]) -> None:
    """Refuse, by a ConfigurationError, samples of a dtype that ``raw * scale + offset`` has no float for."""
    if dtype.kind not in "biuf":
        raise ConfigurationError(f"samples of dtype {dtype} have no physical value: read them raw")


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
