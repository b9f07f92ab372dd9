"""Values that come back as they went: Python's plain types and numpy's, in msgpack with raw buffers.

msgpack alone turns tuples into lists and knows no sets, complex numbers, naive datetimes or arrays.
`Packer` replaces those by extension types; array data leave as frames of their own, without a copy where
they are contiguous. Nothing in here can name a type to import or code to run.
"""

# Values of any type pass through here, and what is known of them is found out one branch at a time.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from pathlib import PurePath
from typing import Any, Final, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.msgpack import Ext
from numpy.lib import format as npformat

from pyacq_lab.errors import ProtocolError
from pyacq_lab.model import annotation, clock, graph, ledger, logs, recipe, remote, rig, status, stream

Buffer = bytes | bytearray | memoryview

MAX_DEPTH = 64

# A data type's name can be wrong in as many ways as numpy knows to read it.
_DAMAGED = (
    msgspec.DecodeError, ValueError, TypeError, IndexError, KeyError, OverflowError, SyntaxError,
)  # fmt: skip

T = TypeVar("T")


class Code:
    """Extension types; the numbers are part of the protocol."""

    TUPLE: Final = 1
    SET: Final = 2
    FROZENSET: Final = 3
    MAPPING: Final = 4
    ARRAY: Final = 5
    SCALAR: Final = 6
    COMPLEX: Final = 7
    INT: Final = 8
    TIME: Final = 9
    STRUCT: Final = 10
    RANGE: Final = 11
    SLICE: Final = 12
    BYTEARRAY: Final = 13


_STRUCTS: dict[str, type[msgspec.Struct]] = {
    t.__name__: t
    for t in (
        stream.StreamSpec,
        stream.StreamAddress,
        ledger.HopLedger,
        ledger.PortStatus,
        ledger.ReaderStatus,
        status.NodeStatus,
        status.GroupStatus,
        status.HostStatus,
        status.ManagerStatus,
        status.PostMortem,
        status.Usage,
        clock.ClockOffset,
        logs.LogRecord,
        graph.Edge,
        recipe.InputRecipe,
        recipe.OutputRecipe,
        recipe.NodeRecipe,
        annotation.Annotation,
        rig.GroupParts,
        rig.Rig,
        rig.ClockReading,
        remote.Welcome,
        remote.Spawned,
        remote.MethodInfo,
        remote.NodeInfo,
        remote.ObjectInfo,
        remote.Reference,
    )
}

_TIMES: dict[str, Callable[[Any], Any]] = {
    "datetime": dt.datetime.fromisoformat,
    "date": dt.date.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda parts: dt.timedelta(*parts),
}

_PLAIN = (bool, float, str, bytes, type(None))

Export = Callable[[Any], remote.Reference | None]
"""Makes a reference to what cannot travel by value; None where there can be none either."""

Adopt = Callable[[remote.Reference], Any]
"""Makes something useful of a reference that came in; must not wait."""

_encode = msgspec.msgpack.Encoder().encode


class Packer:
    """Turns values into what msgpack can carry, and collects the buffers that travel beside.

    Parameters
    ----------
    export : callable, optional
        Asked about each value of no known type; see `Export`.

    Attributes
    ----------
    buffers : list of buffer
        Frames to send after the header, in order.
    """

    def __init__(self, export: Export | None = None) -> None:
        self._export = export
        self.buffers: list[Any] = []

    def pack(self, value: Any, depth: int = 0) -> Any:
        """Replace what msgpack would lose.

        Raises
        ------
        ProtocolError
            A value of this type cannot travel, or it is nested too deeply.
        """
        kind = type(value)
        if kind in _PLAIN:
            return value
        if depth > MAX_DEPTH:
            raise ProtocolError(f"the value is nested more than {MAX_DEPTH} deep")
        if kind is int:
            return value if -(2**63) <= value < 2**64 else Ext(Code.INT, str(value).encode())
        if kind is list:
            return [self.pack(v, depth + 1) for v in value]
        if kind is dict:
            return self._mapping(value, depth)
        if kind is tuple:
            return self._ext(Code.TUPLE, [self.pack(v, depth + 1) for v in value])
        if isinstance(value, np.ndarray):
            return self._array(cast("npt.NDArray[Any]", value))
        return self._rare(value, depth)

    def _rare(self, value: Any, depth: int) -> Any:
        match value:
            case np.generic():
                if value.dtype.hasobject:
                    raise ProtocolError(f"a numpy scalar of dtype {value.dtype} holds Python objects")
                flat = np.asarray(value).astype(_packed(value.dtype), copy=False)
                return self._ext(Code.SCALAR, [npformat.dtype_to_descr(flat.dtype), flat.tobytes()])
            case PurePath():  # a path is text to another machine
                return str(value)
            case Enum():
                return self.pack(value.value, depth + 1)
            case complex():
                return self._ext(Code.COMPLEX, [value.real, value.imag])
            case set() | frozenset():
                items = [self.pack(v, depth + 1) for v in cast("set[Any]", value)]
                return self._ext(Code.SET if isinstance(value, set) else Code.FROZENSET, items)
            case bytearray():
                return Ext(Code.BYTEARRAY, bytes(value))
            case memoryview():
                return bytes(value)
            case dt.datetime() | dt.date() | dt.time():
                return self._ext(Code.TIME, [type(value).__name__, value.isoformat()])
            case dt.timedelta():
                return self._ext(Code.TIME, ["timedelta", [value.days, value.seconds, value.microseconds]])
            case range():
                return self._ext(Code.RANGE, [value.start, value.stop, value.step])
            case slice():
                parts = [self.pack(v, depth + 1) for v in (value.start, value.stop, value.step)]
                return self._ext(Code.SLICE, parts)
            case msgspec.Struct() if type(value).__name__ in _STRUCTS:
                return self._ext(Code.STRUCT, [type(value).__name__, value])
            case Mapping():
                return self._mapping(cast("Mapping[Any, Any]", value), depth)
            case _:
                reference = None if self._export is None else self._export(value)
                if reference is not None:
                    return self._ext(Code.STRUCT, ["Reference", reference])
                raise ProtocolError(
                    f"a {type(value).__module__}.{type(value).__qualname__} cannot travel between processes; "
                    "send numbers, text, bytes, arrays, containers of them, or handles"
                )

    @staticmethod
    def _ext(code: int, content: Any) -> Ext:
        return Ext(code, _encode(content))

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if all(type(k) is str for k in value):
            return {k: self.pack(v, depth + 1) for k, v in value.items()}
        pairs = [[self.pack(k, depth + 1), self.pack(v, depth + 1)] for k, v in value.items()]
        return self._ext(Code.MAPPING, pairs)

    def _array(self, array: npt.NDArray[Any]) -> Ext:
        if array.dtype.hasobject:
            raise ProtocolError(f"an array of dtype {array.dtype} holds Python objects; convert it first")
        if isinstance(array, np.ma.MaskedArray):
            raise ProtocolError("a masked array would lose its mask: send its data and its mask, or filled()")
        fortran = array.flags.f_contiguous and not array.flags.c_contiguous
        flat = np.ascontiguousarray(array.T if fortran else array)
        flat = flat.astype(_packed(flat.dtype), copy=False)
        head = [npformat.dtype_to_descr(flat.dtype), list(array.shape), fortran, len(self.buffers)]
        # A byte view: memoryview knows no structured or datetime types.
        self.buffers.append(flat.reshape(-1).view(np.uint8).data if flat.nbytes else b"")
        return self._ext(Code.ARRAY, head)


class Unpacker:
    """Turns received messages back into values; for one thread at a time.

    Parameters
    ----------
    adopt : callable, optional
        Asked about each reference; see `Adopt`. A reference stays what it is unless given.
    """

    def __init__(self, adopt: Adopt | None = None) -> None:
        self._adopt = adopt
        self._buffers: Sequence[Buffer] = ()
        self._inner = msgspec.msgpack.Decoder(ext_hook=self._ext)

    def decode(self, decoder: msgspec.msgpack.Decoder[T], header: Buffer, buffers: Sequence[Buffer]) -> T:
        """Decode a header whose arrays lie in ``buffers``. Arrays are writable copies.

        Parameters
        ----------
        decoder : msgspec.msgpack.Decoder
            For the message's type, made with this object's `ext_hook`.

        Raises
        ------
        ProtocolError
            The bytes are not such a message.
        """
        self._buffers = buffers
        try:
            return decoder.decode(header)
        except _DAMAGED as error:
            raise ProtocolError(f"a peer's message does not decode: {error}") from None
        except RecursionError:
            raise ProtocolError("a peer's message is nested too deeply") from None
        finally:
            self._buffers = ()

    def ext_hook(self, code: int, data: memoryview) -> Any:
        """Decode one extension type; given to msgspec."""
        return self._ext(code, data)

    def _ext(self, code: int, data: memoryview) -> Any:
        if code == Code.INT:
            return int(bytes(data[:4096]))
        if code == Code.BYTEARRAY:
            return bytearray(data)
        if code == Code.STRUCT:
            name, _ = self._inner.decode(data)
            struct = msgspec.msgpack.decode(data, type=tuple[str, _STRUCTS[name]], ext_hook=self._ext)[1]
            if self._adopt is not None and isinstance(struct, remote.Reference):
                return self._adopt(struct)
            return struct
        content = self._inner.decode(data)
        match code:
            case Code.TUPLE:
                return tuple(content)
            case Code.SET:
                return set(content)
            case Code.FROZENSET:
                return frozenset(content)
            case Code.MAPPING:
                return dict(content)
            case Code.ARRAY:
                return self._array(*content)
            case Code.SCALAR:
                descr, raw = content
                return np.frombuffer(raw, _dtype(descr), count=1)[0]
            case Code.COMPLEX:
                return complex(*content)
            case Code.TIME:
                name, text = content
                return _TIMES[name](text)
            case Code.RANGE:
                return range(*content)
            case Code.SLICE:
                return slice(*content)
            case _:
                raise ProtocolError(f"unknown extension type {code}")

    def _array(self, descr: Any, shape: list[int], fortran: bool, index: int) -> npt.NDArray[Any]:
        dtype = _dtype(descr)
        count = math.prod(shape)
        buffer = self._buffers[index]
        if (
            min(shape, default=0) < 0
            or index < 0
            or len(memoryview(buffer).cast("B")) != count * dtype.itemsize
        ):
            raise ProtocolError(f"an array of shape {shape} and dtype {dtype} does not fit its buffer")
        flat = np.frombuffer(buffer, dtype, count) if count and dtype.itemsize else np.empty(count, dtype)
        array = np.array(flat.reshape(shape[::-1] if fortran else shape))
        return array.T if fortran else array


def _packed(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype itself, or, where fields overlap or are out of order, one with the same fields in a row."""
    fields: dict[str, tuple[np.dtype[Any], int]] = dict(cast("Any", dtype.fields) or {})
    parts = [(fields[name][1], fields[name][0].itemsize) for name in dtype.names or ()]
    if all(start + size <= following for (start, size), (following, _) in pairwise(parts)):
        return dtype
    return np.dtype([(name, fields[name][0]) for name in dtype.names or ()])


def _dtype(descr: Any) -> np.dtype[Any]:
    dtype = stream.StreamSpec(dtype=descr).np_dtype
    if dtype.hasobject:
        raise ProtocolError("object arrays do not travel")
    return dtype
