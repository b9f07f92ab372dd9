"""What ends of streams refuse, and that they say what came, what was wanted and what to do."""

from __future__ import annotations

import copy
import gc
import pickle
import socket
import subprocess
import sys

import msgspec
import numpy as np
import pytest

from pyacq_lab import InputStream, OutputStream
from pyacq_lab.errors import (
    AuthenticationError,
    ConfigurationError,
    EndOfStream,
    LifecycleError,
    StreamMismatch,
)

FIELDS = {"dtype": "int16", "shape": (-1, 2), "sample_rate": 1000.0, "buffer_size": 400}


def samples(start: int, count: int) -> np.ndarray:
    return (np.arange(start, start + count)[:, None] * 2 + np.arange(2)).astype("int16")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def output():
    with OutputStream("raw") as made:
        yield made


@pytest.fixture
def reader(output):
    output.configure(**FIELDS)
    with InputStream().connect(output) as stream:
        yield stream


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"buffer_size": 1.5}, r"buffer_size 1\.5.*wanted whole numbers"),
        ({"buffer_size": "many"}, "'many'.*wanted whole numbers"),
        ({"buffer_seconds": 1.0}, "buffer_size 400 and buffer_seconds 1: give one of them"),
        ({"buffer_size": 1 << 45}, "would take 1.31e\\+05 GiB.*give a smaller buffer_size"),
        ({"buffer_size": 1 << 70}, "more than 2\\*\\*60 bytes.*give a smaller buffer_size"),
        ({"buffer_size": 0, "buffer_seconds": 1e200}, "give a smaller buffer_size or buffer_seconds"),
        ({"buffer_size": 0, "buffer_seconds": 1e308}, "wanted seconds"),
        ({"sample_rate": "fast"}, "sample_rate 'fast': wanted a number"),
        ({"shape": (-1, 2.5)}, "wanted whole numbers"),
        ({"channel_names": "ab"}, "wanted a tuple of names"),
        ({"channel_names": [1, 2]}, "wanted a tuple of names"),
        ({"units": 5}, "units 5: wanted a name"),
        ({"interface": 5}, "interface=5: wanted an IP address"),
        ({"port": 70000}, "port=70000: wanted a TCP port"),
        ({"port": "http"}, "port='http': wanted a TCP port"),
        ({"port": 1.5}, "port=1.5: wanted a TCP port"),
        (
            {"protocol": "ipc", "port": 5000},
            "port=5000 with protocol='ipc': only 'tcp' listens at an address",
        ),
        ({"protocol": "inproc", "interface": "127.0.0.1"}, "only 'tcp' listens at an address"),
        ({"transfermode": "sharedmem", "compression": "lz4"}, "in shared memory samples are never packed"),
    ],
)
def test_settings_that_are_none_or_do_not_go_together(output, fields, words) -> None:
    output.configure(**FIELDS)
    before = output.spec, output.address
    with pytest.raises(ConfigurationError, match=words):
        output.configure(**(FIELDS | fields))
    assert (output.spec, output.address) == before


@pytest.mark.parametrize(
    "given",
    [
        {"lost": 1.5},
        {"lost": None},
        {"time_ns": 1e18},
        {"time_ns": 2**63},
        {"uncertainty_ns": 0.5},
        {"index": 7.0},
        {"lost": 3, "reason": 5},
        {"lost": 3, "index": 7},
        {"index": 7, "lost": -1},
    ],
    ids=str,
)
def test_places_of_samples_that_are_none(reader, output, given) -> None:
    with pytest.raises(ConfigurationError, match=f"{list(given)[-1]}=.*wanted "):
        output.send(samples(0, 5), **given)
    output.send(samples(0, 5), index=np.int64(3), time_ns=np.int64(7), uncertainty_ns=np.int32(1))
    chunk = reader.recv(5)
    assert (chunk.start, chunk.time_ns, chunk.uncertainty_ns) == (3, 7, 1)


def test_a_chunk_without_a_physical_value_is_not_taken(output) -> None:
    output.configure(**FIELDS | {"dtype": "complex64"})
    with InputStream().connect(output) as stream:
        output.send(np.full((3, 2), 1 + 2j, "complex64"))
        with pytest.raises(ConfigurationError, match="complex64 have no physical value: read them raw"):
            stream.recv(5, physical=True)
        assert stream.recv(5).data[0, 0] == 1 + 2j
        assert stream.ledger().dropped == 0


def test_numbers_of_numpys_are_numbers(output) -> None:
    output.configure(
        dtype="f4", shape=(-1, np.int64(3)), sample_rate=np.float32(100), buffer_size=np.int32(50)
    )
    with InputStream().connect(output, shape=(-1, 3), sample_rate=100.0) as stream:
        assert stream.spec == output.spec


def test_waits_that_are_none(reader, output) -> None:
    for nonsense in ("a", float("nan"), [1]):
        for wait in (reader.recv, reader.poll):
            with pytest.raises(ConfigurationError, match=r"timeout=.*wanted seconds, or None"):
                wait(timeout=nonsense)
        for ask in (
            lambda: output.wait_room(1, nonsense),  # noqa: B023  asked for at once
            lambda: reader.offered(nonsense),  # noqa: B023
            lambda: reader.get_data(0, 1, timeout=nonsense),  # noqa: B023
            lambda: InputStream().connect(output, timeout=nonsense),  # noqa: B023
        ):
            with pytest.raises(ConfigurationError, match=r"timeout=.*wanted seconds"):
                ask()
    assert reader.recv(timeout=np.float32(0)) is None


def test_what_is_no_number_no_name_and_no_array(reader, output) -> None:
    for nonsense in ("a", 1.5):
        with pytest.raises(ConfigurationError, match=r"count=.*wanted a whole number"):
            output.wait_room(nonsense, 1)
        with pytest.raises(ConfigurationError, match=r"epoch=.*wanted a whole number"):
            reader.get_data(0, 1, epoch=nonsense)
        for end in (OutputStream, InputStream):
            with pytest.raises(ConfigurationError, match=r"1\.5 came as the name"):
                end(1.5)
    with pytest.raises(StreamMismatch, match="no array of samples"):
        output.send([[1, 2], [3]])


def test_how_it_is_served_can_be_said_alone(output) -> None:
    output.configure(**FIELDS)
    spec = output.spec
    output.configure(protocol="ipc")
    assert output.spec is spec


def test_buffers_of_ones_own_that_are_none(reader, output) -> None:
    for given in ({"size": float("nan")}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"size": -3}):
        with pytest.raises(ConfigurationError, match="wanted a number of samples, or of seconds"):
            reader.set_buffer(**given)
    with pytest.raises(ConfigurationError, match="wanted a number of samples, or of seconds"):
        reader.set_buffer(5, seconds=1)
    with pytest.raises(ConfigurationError, match="are free: give a smaller"):
        reader.set_buffer(seconds=1e15)
    output.send(samples(0, 5))
    reader.set_buffer(10)
    reader.recv(5)
    reader.set_buffer(20)
    np.testing.assert_array_equal(reader[0:5], samples(0, 5))


def test_an_epoch_that_was_ended_takes_no_more(reader, output) -> None:
    output.send(samples(0, 5))
    output.end()
    with pytest.raises(LifecycleError, match="not running: begin\\(\\) starts its next epoch"):
        output.send(samples(5, 5))
    output.begin(7)
    output.send(samples(0, 5))
    assert [(item.epoch, item.start) for item in (reader.recv(5), reader.recv(5))] == [(0, 0), (1, 7)]


def test_ends_stay_in_their_process(reader, output) -> None:
    for send in (pickle.dumps, copy.copy):
        with pytest.raises(ConfigurationError, match=r"output raw belongs to this process.*send its address"):
            send(output)
        with pytest.raises(ConfigurationError, match=r"input in belongs to this process.*send the address"):
            send(reader)
    assert pickle.loads(pickle.dumps(output.address)) == output.address


def test_what_a_reader_cannot_ask_for(output) -> None:
    output.configure(**FIELDS)
    for field, words in {
        "buffer_size": "set_buffer",
        "policy": r"InputStream\(policy=",
        "compression": "output's configure",
        "colour": "a reader can ask for streamtype",
        "dtype": "nonsense",
    }.items():
        with InputStream() as stream, pytest.raises(ConfigurationError, match=words):
            stream.connect(output, **{field: "nonsense"})


def test_closed_ends_say_so(reader, output) -> None:
    reader.close()
    output.close()
    assert repr(reader) == "<InputStream in: closed>"
    assert repr(output) == "<OutputStream raw: int16[-1, 2] at 1000 Hz, closed>"


def test_a_view_does_not_show_its_guard(reader, output) -> None:
    output.send(samples(0, 5))
    assert "guard" not in repr(reader.recv(5, copy=False))


def test_a_damaged_key_is_the_streams(output) -> None:
    output.configure(**FIELDS)
    address = msgspec.structs.replace(output.address, public_key=output.address.public_key[:-1])
    with pytest.raises(AuthenticationError, match=r"39 characters came.*the address of a stream"):
        InputStream().connect(address)


OTHER_PROCESS = """
import json, sys
from pyacq_lab import InputStream
try:
    InputStream().connect(json.loads(sys.argv[1]), timeout=600)
except ValueError as error:
    print(error)
"""


def test_an_address_within_a_process_is_refused_elsewhere_at_once(output) -> None:
    output.configure(protocol="inproc", **FIELDS)
    given = msgspec.json.encode(output.address).decode()
    command = [sys.executable, "-c", OTHER_PROCESS, given]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "only, and this is process" in said
    assert "configure the output with protocol='ipc' or 'tcp'" in said
    endpoint = "inproc://somewhere"
    with pytest.raises(ConfigurationError, match="is no address of an output"):
        InputStream().connect(msgspec.structs.replace(output.address, endpoint=endpoint))


def test_an_output_that_nobody_has_any_more_ends(until) -> None:
    held = [OutputStream("forgotten")]
    held[0].configure(**FIELDS)
    with InputStream().connect(held[0]) as stream:
        with pytest.warns(ResourceWarning, match="output forgotten was never closed"):
            held.clear()  # counted references, or what follows
        gc.collect()
        until(lambda: stream.ended)
        with pytest.raises(EndOfStream):
            stream.recv(5)


def test_a_port_that_was_just_closed_is_free_again() -> None:
    port = free_port()
    for _ in range(30):
        with OutputStream() as output:
            output.configure(port=port, **FIELDS)
            assert output.address.endpoint == f"tcp://127.0.0.1:{port}"


def test_the_same_port_can_be_served_otherwise(output) -> None:
    port = free_port()
    for encrypted in (True, False, True):
        output.configure(port=port, encrypted=encrypted, **FIELDS)
        with InputStream().connect(output) as stream:
            output.send(samples(0, 5))
            assert len(stream.recv(5)) == 5
        output.end()
    with OutputStream("other") as other, pytest.raises(ConfigurationError, match="in use"):
        other.configure(port=port, **FIELDS)


def test_an_address_of_version_6(output) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    output.configure(interface="::1", **FIELDS)
    assert output.address.endpoint.startswith("tcp://[::1]:")
    with InputStream().connect(output) as stream:
        output.send(samples(0, 5))
        assert len(stream.recv(5)) == 5


@pytest.mark.parametrize("transfermode", ["sharedmem", "plaindata"])
def test_a_stream_that_is_served_otherwise_is_the_same_stream(output, transfermode) -> None:
    output.configure(**FIELDS)
    with InputStream(transfermode=transfermode).connect(output) as stream:
        output.send(samples(0, 5))
        output.end()
        output.configure(**(FIELDS | {"buffer_size": 300, "compression": "lz4"}))
        output.send(samples(5, 5))
        taken = [stream.recv(5), stream.recv(5)]
        np.testing.assert_array_equal(np.concatenate([c.data for c in taken]), samples(0, 10))
        assert taken[0].epoch < taken[1].epoch
        assert stream.spec == output.spec
        ledger = stream.ledger()
        assert (ledger.received, ledger.dropped, ledger.pending) == (10, 0, 0)


def test_indices_that_are_none(reader, output) -> None:
    output.send(samples(0, 20))
    for nonsense in (1.5, "a", slice(0.5, 3), slice(0, "b"), slice(0, 9, 1.5), (1, 2), None):
        with pytest.raises(ConfigurationError, match=r"wanted an absolute index, or a slice"):
            reader[nonsense]
    np.testing.assert_array_equal(reader[np.int32(3)], samples(3, 1)[0])
