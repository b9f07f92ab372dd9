"""Matrices of samples over TCP, as Open Ephys' "Ephys Socket" and Bonsai's ``SendMatOverSocket`` speak."""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.tcp import TcpLink
from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_HEADER = struct.Struct("<iihiii")

_DEPTHS = ("u1", "i1", "<u2", "<i2", "<i4", "<f4", "<f8")
"""Data types by OpenCV's number."""

_MAX_NBYTES = 64 << 20


class EphysSocketSettings(Settings):
    """Settings of `EphysSocket`."""

    host: str = setting("localhost", description="machine that sends")
    port: int = setting(9001, ge=1, le=65535, description="port on which it listens")
    sample_rate: float = setting(
        30_000.0, gt=0, unit="Hz", description="sample rate; the protocol does not tell it"
    )
    scale: float = setting(
        1.0, description="units for each raw number; 0.195 for an acquisition board of Open Ephys"
    )
    offset: float = setting(0.0, description="raw number that stands for zero; 32768 for such a board")
    units: str = setting("uV", description="units of the scaled samples")
    channel_names: tuple[str, ...] = setting((), description="names of the channels; empty: their numbers")
    timeout: float = setting(5.0, gt=0, le=60, unit="s", description="how long connecting may take")


class EphysSocket(Source):
    """A program that sends matrices of samples over TCP, output `out`, in the data type that it sends.

    The format is that of the plug-in "Ephys Socket" of the Open Ephys GUI
    (https://open-ephys.github.io/gui-docs/User-Manual/Plugins/Ephys-Socket.html); Bonsai sends it by
    ``SendMatOverSocket``, and a script does so in a few lines. It must be sending when the node is
    configured and started.

    The protocol has neither time stamps nor counters: samples are stamped when they arrive, and what the
    sender left out cannot be known here.
    """

    settings_type = EphysSocketSettings
    settings: EphysSocketSettings

    def __init__(self, settings: EphysSocketSettings) -> None:
        super().__init__(settings)
        self._link: TcpLink | None = None
        self._first: npt.NDArray[Any] | None = None
        self._spec: StreamSpec | None = None

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output, as the first matrix has it; ConfigurationError where none comes."""
        if self._spec is None:
            try:
                link, first = self._connect()
            except ConnectionError as error:
                raise ConfigurationError(str(error)) from error
            link.close()
            self._spec = self._spec_of(first)
        return {"out": self._spec}

    def open(self) -> None:
        """Connect anew; the matrices must have the form that they had at configure."""
        self._link, self._first = self._connect()
        self._check(self._first)

    def read(self, timeout: float) -> Reading | None:
        """Give the matrix that has come."""
        if self._link is None:
            raise ConnectionError("the sender of matrices is not connected")
        first, self._first = self._first, None
        data = first if first is not None else _matrix(self._link, timeout)
        if data is None:
            return None
        self._check(data)
        return Reading(data)

    def close(self) -> None:
        """Disconnect."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _connect(self) -> tuple[TcpLink, npt.NDArray[Any]]:
        s = self.settings
        begin = time.monotonic()
        link = TcpLink(s.host, s.port, s.timeout, "sender of matrices")
        try:
            first = _matrix(link, max(0.0, begin + s.timeout - time.monotonic()))
            if first is None:
                raise ConnectionError(
                    f"{link.where} sent nothing within {s.timeout:g} s: start sending there"
                )
        except BaseException:
            link.close()
            raise
        return link, first

    def _spec_of(self, data: npt.NDArray[Any]) -> StreamSpec:
        s = self.settings
        return StreamSpec.of(
            data.dtype,
            shape=(-1, data.shape[1]),
            sample_rate=s.sample_rate,
            units=s.units,
            scale=s.scale,
            offset=-s.offset * s.scale,
            channel_names=s.channel_names,
        )

    def _check(self, data: npt.NDArray[Any]) -> None:
        spec = self._spec
        if spec is not None and (data.dtype != spec.np_dtype or data.shape[1:] != spec.sample_shape):
            raise ConnectionError(
                f"matrices are of {data.dtype} in {data.shape[1]} channels now, and were of {spec.np_dtype} "
                f"in {spec.n_channels}: configure the node again"
            )


def _matrix(link: TcpLink, timeout: float) -> npt.NDArray[Any] | None:
    """Next matrix as samples, shape (n_samples, n_channels); None where none has come."""
    raw = link.message(_HEADER.size, _size_of, timeout)
    if raw is None:
        return None
    _, _, depth, _, n_channels, n_samples = _HEADER.unpack_from(raw)
    # Channels come one after the other.
    rows = np.frombuffer(raw, _DEPTHS[depth], offset=_HEADER.size).reshape(n_channels, n_samples)
    return np.ascontiguousarray(rows.T)


def _size_of(header: bytes) -> int:
    offset, nbytes, depth, element, n_channels, n_samples = _HEADER.unpack(header)
    is_whole = (
        offset == 0
        and 0 <= depth < len(_DEPTHS)
        and element == np.dtype(_DEPTHS[depth]).itemsize
        and n_channels > 0
        and n_samples > 0
        and nbytes == n_channels * n_samples * element <= _MAX_NBYTES
    )
    if not is_whole:
        raise ProtocolError(
            f"no header of a matrix: offset {offset}, {nbytes} bytes, depth {depth}, {element} bytes each, "
            f"{n_channels} channels, {n_samples} samples"
        )
    return _HEADER.size + nbytes
