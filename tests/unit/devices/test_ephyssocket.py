"""Matrices over TCP, from loopback."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from pyacq_lab.devices import EphysSocket
from pyacq_lab.errors import ConfigurationError, ProtocolError
from pyacq_lab.testing import LoopbackServer, ManualClock

DEPTHS = {"u1": 0, "i1": 1, "<u2": 2, "<i2": 3, "<i4": 4, "<f4": 5, "<f8": 6}


def packet(data):
    """A matrix of samples, shape (n_samples, n_channels), as the documentation of the plug-in has it."""
    n_samples, n_channels = data.shape
    depth = DEPTHS[data.dtype.str.lstrip("|")]
    head = struct.pack("<iihiii", 0, data.nbytes, depth, data.dtype.itemsize, n_channels, n_samples)
    return head + data.T.tobytes()


@pytest.fixture
def server():
    with LoopbackServer() as server:
        yield server


def source_of(server, **settings):
    settings = {"host": "127.0.0.1", "port": server.port, **settings}
    source = EphysSocket(EphysSocket.settings_type.checked(**settings))
    source.clock = ManualClock()
    return source


@pytest.mark.parametrize("dtype", DEPTHS)
def test_matrices_become_samples(server, dtype):
    data = np.arange(60).astype(dtype).reshape(20, 3)
    server.greeting = packet(data[:8])
    source = source_of(server, scale=0.195, offset=32768, channel_names=("a", "b", "c"))
    (spec,) = source.describe().values()
    assert (spec.np_dtype, spec.shape, spec.units) == (data.dtype, (-1, 3), "uV")
    np.testing.assert_allclose(spec.to_physical(np.full((1, 3), 32768)), 0, atol=1e-9)
    source.open()
    server.wait_client()
    server.send(packet(data[8:9]) + packet(data[9:]))
    got = [source.read(5.0) for _ in range(3)]
    source.close()
    np.testing.assert_array_equal(np.concatenate([r.data for r in got]), data)


def test_is_gone_and_comes_back(server):
    server.greeting = packet(np.zeros((5, 2), "<i2"))
    source = source_of(server)
    source.describe()
    for _ in range(2):
        source.open()
        assert len(source.read(5.0).data) == 5
        assert source.read(0.0) is None
        server.wait_client()
        server.disconnect()
        with pytest.raises(
            ConnectionError, match=r"sender of matrices at 127.0.0.1:\d+ closed the connection"
        ):
            source.read(5.0)
        source.close()
    server.greeting = packet(np.zeros((5, 3), "<i2"))
    with pytest.raises(ConnectionError, match=r"in 3 channels now, .* in 2: configure"):
        source.open()
    source.close()


def test_nothing_is_sent(server):
    with pytest.raises(ConfigurationError, match=r"sent nothing within 0\.05 s: start sending"):
        source_of(server, timeout=0.05).describe()


@pytest.mark.parametrize(
    "fields",
    [(1, 4, 3, 2, 1, 2), (0, 4, 7, 2, 1, 2), (0, 5, 3, 2, 1, 2), (0, 4, 3, 4, 1, 2), (0, 0, 3, 2, 0, 2)],
)
def test_foreign_bytes_are_refused(server, fields):
    server.greeting = struct.pack("<iihiii", *fields) + b"...."
    with pytest.raises(ProtocolError, match="no header of a matrix"):
        source_of(server).describe()
