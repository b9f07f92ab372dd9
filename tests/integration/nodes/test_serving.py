"""How a node's output is served is its user's to say; what its stream is, the node's."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import Field

from pyacq_lab.errors import ConfigurationError, HostUnreachable, LifecycleError, UnknownName
from pyacq_lab.model.ledger import HopLedger, PortStatus
from pyacq_lab.model.roles import Source, Transform
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.transport.inputs import InputStream


class RampSettings(Settings):
    n_channels: int = Field(2, gt=0, description="channels")


class Ramp(Source):
    """Some samples, again and again."""

    settings_type = RampSettings

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": StreamSpec.of("<i4", shape=(-1, self.settings.n_channels), sample_rate=1000.0)}

    def open(self) -> None: ...

    def read(self, timeout: float) -> Any:
        self.clock.sleep(0.005)
        return np.zeros((5, self.settings.n_channels), "i4")


class Same(Transform):
    """Passes on what comes."""

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        return {"out": inputs["in"]}

    def process(self, chunk: Any, name: str) -> Any:
        return chunk.data


@pytest.fixture
def make(make_nodes):
    return make_nodes(Ramp, Same)


@pytest.fixture
def ramp(make):
    return make("Ramp", "ramp")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_what_was_said_before_and_after_configuring_stays(ramp) -> None:
    port = free_port()
    ramp.configure_output("out", transfermode="plaindata", compression="zstd", buffer_size=700)
    ramp.configure()
    spec = ramp.output_spec("out")
    assert (spec.compression, spec.buffer_size, spec.ring_size) == ("zstd", 700, 700)
    ramp.configure_output("out", port=port, buffer_seconds=3.0)
    address = ramp.output_address("out")
    assert address.endpoint == f"tcp://127.0.0.1:{port}"
    for channels in (3, 4):
        ramp.configure(n_channels=channels)
        ramp.initialize()
        spec = ramp.output_spec("out")
        assert (spec.compression, spec.buffer_size, spec.ring_size) == ("zstd", 0, 3000)
        assert spec.n_channels == channels
        assert ramp.output_address("out") == address
        assert ramp.status().outputs[0].transfermode == "plaindata"
    ramp.configure_output("out", compression="")
    assert ramp.output_spec("out").compression == ""


def test_another_protocol_lets_go_of_the_port(ramp) -> None:
    ramp.configure()
    for told in ({"port": free_port()}, {"protocol": "ipc"}):
        ramp.configure_output("out", **told)
    assert ramp.output_address("out").endpoint.startswith("ipc:")


@pytest.mark.parametrize("protocol", ["tcp", "ipc", "inproc"])
@pytest.mark.parametrize("transfermode", ["auto", "sharedmem", "plaindata"])
def test_every_protocol_carries_the_samples(make, ramp, server, until, protocol, transfermode) -> None:
    same = make("Same", "same")
    same.configure_output("out", protocol=protocol, transfermode=transfermode)
    ramp.configure()
    ramp.configure_output("out", protocol=protocol, transfermode=transfermode)
    same.configure()
    same.connect("in", ramp.output_address("out"))
    for node in (ramp, same):
        node.initialize()
        assert node.output_address("out").endpoint.startswith(protocol)
        assert node.status().outputs[0].transfermode == transfermode
    for node in (same, ramp):
        node.start()
    until(lambda: same.status().outputs[0].samples > 50)
    mode = "plaindata" if transfermode == "plaindata" else "sharedmem"
    assert same.status().inputs[0].ledger.transfermode == mode
    assert [reader.transfermode for reader in ramp.output_readers("out")] == [mode]
    ramp.stop()
    same.stop()
    assert same.status().inputs[0].ledger.transfermode == mode  # also when it is over
    same.configure()
    assert same.status().inputs[0] == PortStatus(name="in", ledger=HopLedger())


def test_inputs_are_connected_again_after_another_protocol(make, ramp, monkeypatch, caplog) -> None:
    caplog.set_level("INFO")
    same = make("Same", "same")
    ramp.configure()
    same.configure()
    same.connect("in", ramp.output_address("out"))
    same.initialize()
    ramp.configure_output("out", transfermode="plaindata")
    assert "another address" not in caplog.text
    ramp.configure_output("out", protocol="ipc")
    assert "output ramp.out is at another address now (ipc://" in caplog.text
    assert "connect its inputs again" in caplog.text
    same.configure()
    monkeypatch.setattr(type(same.inputs["in"]).probe, "__defaults__", (0.3,))
    with pytest.raises(HostUnreachable, match=r"served at another address by now \(connect again\)"):
        same.initialize()
    same.connect("in", ramp.output_address("out"))
    same.initialize()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dtype": "f4"}, "dtype of output ramp.out cannot be configured here: the node says what its"),
        ({"units": "mV", "shape": (-1, 3)}, "units, shape of output ramp.out cannot"),
        ({"sample_rate": 3.0}, "by its own settings. What can be said here is how it is served: protocol"),
        ({"colour": "red"}, "colour: an output is served by protocol, interface"),
        ({"protocol": "udp"}, "wanted one of 'tcp', 'ipc', 'inproc'"),
        ({"transfermode": "magic"}, "wanted one of 'auto', 'sharedmem', 'plaindata'"),
        ({"compression": "gzip"}, "wanted one of '', 'blosclz'"),
        ({"buffer_size": -1}, "wanted samples"),
        ({"buffer_size": "many"}, "wanted whole numbers"),
        ({"buffer_seconds": float("nan")}, "wanted seconds"),
        ({"buffer_size": 10, "buffer_seconds": 1.0}, "not both"),
        ({"interface": "10.99.0.1"}, "cannot listen"),
        ({"transfermode": "plaindata", "port": 99999}, "port=99999 of output ramp.out: wanted a TCP port"),
        ({"protocol": "ipc", "port": 5000}, "port=5000 of output ramp.out with protocol='ipc'"),
        ({"transfermode": "sharedmem", "compression": "lz4"}, "samples are never packed"),
    ],
)
def test_nonsense_is_refused_and_changes_nothing(ramp, settings, words) -> None:
    if not {"interface", "port"} & set(settings):  # it takes an output to try these
        with pytest.raises(ConfigurationError, match=words):
            ramp.configure_output("out", **settings)
    ramp.configure()
    before = ramp.output_spec("out"), ramp.output_address("out"), ramp.status()
    with pytest.raises(ConfigurationError, match=words):
        ramp.configure_output("out", **settings)
    assert (ramp.output_spec("out"), ramp.output_address("out"), ramp.status()) == before
    ramp.configure()
    assert (ramp.output_spec("out"), ramp.output_address("out")) == before[:2]


def test_it_is_said_while_the_node_does_not_run(ramp) -> None:
    ramp.configure()
    with pytest.raises(UnknownName, match=r"no output 'outt' \(it has: out\)"):
        ramp.configure_output("outt", transfermode="auto")
    ramp.initialize()
    ramp.start()
    with pytest.raises(LifecycleError, match="running"):
        ramp.configure_output("out", transfermode="plaindata")
    ramp.stop()
    ramp.configure_output("out", transfermode="plaindata")
    ramp.start()
    with InputStream(context=ramp._context).connect(ramp.output_address("out")) as stream:
        assert stream.transfermode == "plaindata"
        assert len(stream.recv(5)) == 5
    ramp.close()
    with pytest.raises(LifecycleError, match="closed"):
        ramp.configure_output("out", transfermode="auto")
