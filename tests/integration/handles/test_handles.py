"""Handles in a real application: two nodegroups on a local host."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import Field

from pyacq_lab.errors import (
    CallTimeout,
    ConfigurationError,
    LifecycleError,
    ProcessDied,
    RemoteError,
    UnknownName,
)
from pyacq_lab.manager.groups import NodeGroupHandle
from pyacq_lab.manager.manager import Manager
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.remote.objects import RemoteObject
from pyacq_lab.transport.inputs import InputStream

SCALE = 3.0


class ProbeSettings(Settings):
    gain: float = Field(1.0, gt=0, description="amplification, V/V")


class Thing:
    """Cannot travel by value."""

    def __init__(self, number: int) -> None:
        self.number = number

    def add(self, other: int) -> int:
        """Add a number."""
        self.number += other
        return self.number


class Probe(Source):
    """A device with ways of its own."""

    settings_type = ProbeSettings

    def __init__(self, settings: ProbeSettings) -> None:
        super().__init__(settings)
        self.temperature = 21.5
        self.things: dict[int, Any] = {}

    def describe(self) -> Mapping[str, StreamSpec]:
        return {"out": StreamSpec.of("<f8", shape=(-1,), sample_rate=10.0)}

    def open(self) -> None: ...

    def read(self, timeout: float) -> None:
        self.clock.sleep(timeout)

    @property
    def scaled_gain(self) -> float:
        """Uses a name of its module."""
        return self.settings.gain * SCALE

    def echo(self, value: Any, times: int = 1) -> Any:
        """Give a value back.

        Parameters
        ----------
        times : int
            How often.
        """
        return value if times == 1 else [value] * times

    def nap(self, gate: str) -> str:
        import time

        time.sleep(float(gate))
        return "rested"

    def break_down(self) -> None:
        raise ValueError("out of gas")

    def thing(self, number: int) -> Thing:
        return self.things.setdefault(number, Thing(number))

    def use(self, thing: Any) -> tuple[str, int]:
        return type(thing).__name__, thing.add(100)

    def named(self, **names: int) -> dict[str, int]:
        return names

    def use_echo(self, probe: Any, value: Any) -> Any:
        return probe.echo(value)

    def ask(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def keep(self, thing: Any) -> None:
        self.kept = thing

    def drop(self) -> None:
        import gc

        del self.kept
        gc.collect()

    def around(self, other: Any, me: Any, depth: int) -> list[str]:
        """Call the other, which calls back."""
        if depth == 0:
            return ["ground"]
        return [type(other).__name__, *other.around(me, other, depth - 1)]

    def name_of(self, handle: Any) -> str:
        return repr(handle)

    def port_spec(self, port: Any) -> Any:
        return port.spec, port.address

    def serve(self, port: Any, **settings: Any) -> None:
        port.configure(**settings)


@pytest.fixture(scope="module")
def groups(tmp_path_factory) -> Iterator[list[NodeGroupHandle]]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DATA", "CONFIG", "RUNTIME"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path_factory.mktemp(name)))
        with Manager() as manager:
            made = [manager.create_nodegroup("one"), manager.create_nodegroup("two")]
            for group in made:
                assert group.register_node_type(Probe) == "Probe"
            yield made


@pytest.fixture
def probes(groups) -> Iterator[list[Any]]:
    made = [group.create_node("Probe") for group in groups]
    for probe in made:
        probe.configure(gain=2.0)
    yield made
    for probe in made:
        probe.group.remove_node(probe)


def test_what_a_node_offers_once_it_is_configured_is_refused_by_that_name_before(groups) -> None:
    node = groups[0].create_node("Probe")
    try:
        with pytest.raises(LifecycleError, match=r"cannot call echo of a created node.*configure it first"):
            node.echo(1)
        node.configure()
        assert node.echo(1) == 1
    finally:
        groups[0].remove_node(node)


def test_a_class_of_this_file_runs_there_with_its_settings(probes) -> None:
    assert probes[0].scaled_gain == 2.0 * SCALE
    with pytest.raises(ConfigurationError, match="gain=-1"):
        probes[0].configure(gain=-1)


def test_a_handle_looks_like_the_node(probes) -> None:
    probe = probes[0]
    assert {"echo", "configure", "temperature", "scaled_gain", "start"} <= set(dir(probe))
    assert str(inspect.signature(probe.echo)) == "(value, times=1)"
    assert "How often" in probe.echo.__doc__
    assert "amplification, V/V" in probe.configure.__doc__
    assert probe.temperature == 21.5
    assert probe.echo is probe.echo
    with pytest.raises(AttributeError, match=r"no public attribute or method 'colour'.*echo"):
        _ = probe.colour
    with pytest.raises(AttributeError, match="cannot be set from here"):
        probe.temperature = 3


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"bytes",
        (1, (2.5, "three")),
        np.float32(1.5),
        np.datetime64("2026-01-01", "ns"),
        {"a": {1, 2}, 3: [None]},
        np.arange(12, dtype=">i2").reshape(3, 4),
        np.zeros(3, [("a", "<i4"), ("b", ">f8", (2,))]),
        np.array(["a", "bc"]),
        np.random.default_rng(1).normal(size=(500, 1000)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_values_come_back_as_they_went(probes, value) -> None:
    back = probes[0].echo(value)
    assert type(back) is type(value)
    np.testing.assert_equal(back, value)


def test_three_ways_to_call(probes, until) -> None:
    probe = probes[0]
    future = probe.echo(5, _sync="async")
    assert future.result(10) == 5
    assert probe.echo(5, _sync="off") is None
    with pytest.raises(ConfigurationError, match="_sync='maybe'"):
        probe.echo(5, _sync="maybe")
    with pytest.raises(CallTimeout, match=r"did not answer \w+\.nap within"):
        probe.nap("0.5", _timeout=0.05)

    async def gather() -> list[int]:
        return await asyncio.gather(*(p.echo(i, _sync="async") for i, p in enumerate(probes)))

    async def fail() -> None:
        await probe.break_down(_sync="async")

    assert asyncio.run(gather()) == [0, 1]
    with pytest.raises(ValueError, match="out of gas"):
        asyncio.run(fail())


def test_an_error_that_nobody_waits_for_is_logged_over_there(probes, until) -> None:
    probe = probes[0]
    probe.break_down(_sync="off")
    wanted = f"a call that nobody waits for failed: {probe.where}.break_down"
    until(lambda: any(wanted in r.message for r in probe.group.host.manager.logs()))


def test_an_error_has_its_type_its_place_and_its_traceback(probes) -> None:
    probe = probes[0]
    with pytest.raises(ValueError, match="out of gas") as caught:
        probe.break_down()
    assert isinstance(caught.value, RemoteError)
    assert caught.value.where == f"{probe.where}.break_down"
    assert "in break_down" in caught.value.remote_traceback
    with pytest.raises(UnknownName) as unknown:
        probe.group.create_node("Nonesuch")
    assert unknown.value.where == f"{probe.group.where}.create_node"


def test_what_cannot_travel_comes_as_a_proxy_that_keeps_it_alive(probes, until) -> None:
    probe = probes[0]
    thing = probe.thing(5)
    assert isinstance(thing, RemoteObject)
    assert "Thing" in repr(thing)
    assert thing.number == 5
    assert thing.add(2) == 7
    assert {"add", "number"} <= set(dir(thing))
    assert probe.thing(5) == thing
    assert probe.use(thing) == ("Thing", 107)
    assert isinstance(probe.echo([1], _return_type="proxy"), RemoteObject)
    with pytest.raises(RemoteError, match="cannot travel"):
        probe.thing(6, _return_type="value")


def test_a_proxy_passed_on_calls_its_own_nodegroup(probes) -> None:
    thing = probes[0].thing(8)
    assert probes[1].use(thing) == ("RemoteObject", 108)
    probes[1].keep(thing)
    back = probes[1].kept
    assert back == thing
    del thing
    gc.collect()
    assert back.add(1) == 109
    probes[1].drop()
    assert back.add(1) == 110


def test_dropped_proxies_are_released_over_there(groups, probes, until) -> None:
    count = (
        "import gc; from pyacq_lab.remote.exports import Exports\n"
        "print(sum(len(o) for o in gc.get_objects() if isinstance(o, Exports)))"
    )

    def exported() -> int:
        gc.collect()
        said = []
        groups[0].run(count, on_output=said.append)
        return int("".join(o["text"] for o in said if "text" in o))

    before = exported()
    things = [probes[0].thing(i) for i in range(10)]
    assert exported() == before + 10
    things.clear()
    until(lambda: exported() == before)


def test_a_method_outlives_the_proxy_it_was_taken_from(probes) -> None:
    probe = probes[0]
    add = probe.thing(40).add
    gc.collect()
    assert add(1) == 41
    assert probe.thing(50).add(1, _sync="async").result(5) == 51


def test_local_functions_can_be_called_from_there(groups) -> None:
    own = [groups[0].host.manager.create_nodegroup() for _ in range(2)]
    for group in own:
        group.register_node_type(Probe)
    one, two = (group.create_node("Probe") for group in own)
    one.configure()
    two.configure()
    heard: list[Any] = []

    def listen(*args: Any) -> int:
        heard.append((threading.current_thread() is threading.main_thread(), *args))
        return len(heard)

    assert one.ask(listen, 1, np.arange(3)) == 1
    assert heard[0][:2] == (False, 1)
    with pytest.raises(ValueError, match="not today"):
        one.ask(lambda: (_ for _ in ()).throw(ValueError("not today")))
    # the callback itself calls the node that waits for it
    assert one.ask(lambda: one.echo("again")) == "again"
    # a function passed on to another nodegroup still runs here
    assert one.ask(two.ask, listen, 7) == 2
    for group in own:
        group.close()


def test_handles_travel_and_come_back_as_handles(groups, probes) -> None:
    one, two = probes
    assert one.echo(two) is two
    assert one.echo(groups[1]) is groups[1]
    assert one.echo(two.outputs["out"]).node is two
    assert two.where in one.name_of(two)
    two.initialize()
    spec, address = one.port_spec(two.outputs["out"])
    assert spec == two.outputs["out"].spec
    assert address.public_key == two.outputs["out"].address.public_key


def test_how_an_output_is_served_is_said_on_its_handle_wherever_that_is(probes) -> None:
    one, two = probes
    out = two.outputs["out"]
    before = out.address
    out.configure(transfermode="plaindata", buffer_size=77)
    assert (out.spec.buffer_size, out.status().transfermode) == (77, "plaindata")
    assert out.address == before
    one.serve(out, protocol="ipc", transfermode="auto")
    assert out.address.endpoint.startswith("ipc://")
    two.configure(gain=3.0)
    two.initialize()
    assert (out.spec.buffer_size, out.status().transfermode) == (77, "auto")
    with InputStream().connect(out) as stream:
        assert stream.spec == out.spec
        assert stream.transfermode == "sharedmem"
        assert [(r.policy, r.transfermode) for r in out.readers()] == [("lossless", "sharedmem")]
        assert repr(out) == f"<output {two.where}.out: 0 samples, 1 reader, transfermode auto>"
    assert "has no output 'cut' (it has: out)" in repr(two.outputs["cut"])
    assert ("out" in two.outputs, "cut" in two.outputs) == (True, False)
    with pytest.raises(UnknownName, match="has no input 'in'"):
        two.inputs["in"].status()
    for configure in (out.configure, lambda **wanted: one.serve(out, **wanted)):
        with pytest.raises(
            ConfigurationError, match=r"sample_rate of output .*the node says what its stream"
        ):
            configure(sample_rate=3.0)
    with pytest.raises(ConfigurationError, match="is not an output"):
        one.serve(two.inputs["in"], transfermode="auto")


def test_calls_that_come_back_do_not_wait_for_themselves(probes) -> None:
    one, two = probes
    assert one.around(two, one, 4) == ["RemoteObject"] * 4 + ["ground"]


def test_a_call_to_a_dead_process_fails_at_once(groups) -> None:
    group = groups[0].host.manager.create_nodegroup("mortal")
    group.register_node_type(Probe)
    probe = group.create_node("Probe")
    probe.configure()
    future = probe.nap("30", _sync="async")
    group.kill()
    with pytest.raises(ProcessDied):
        future.result(10)
    with pytest.raises(ProcessDied, match="has ended"):
        probe.echo(1)


def test_calls_are_answered_while_a_cell_runs(groups, probes, until) -> None:
    group = groups[0]
    said: list[Any] = []
    thread = threading.Thread(
        target=lambda: group.run("print('on')\nwhile True: pass", on_output=said.append)
    )
    thread.start()
    try:
        until(lambda: said)
        assert [probes[0].echo(i) for i in range(20)] == list(range(20))
        assert [s.name for s in group.statuses()] == [probes[0].name]
    finally:
        group.interrupt()
        thread.join(20)


def test_no_answer_is_lost_however_many_are_asked_for_at_once(probes) -> None:
    probe = probes[0]
    futures = [probe.echo(i, _sync="async", _timeout=100) for i in range(20_000)]
    assert [future.result(100) for future in futures] == list(range(20_000))


def test_calls_that_nobody_waits_for_come_quicker_than_they_are_served_and_all_are_served(probes) -> None:
    probe = probes[0]
    thing = probe.thing(0)
    for _ in range(5000):
        thing.add(1, _sync="off")
    assert thing.add(0) == 5000


def test_calls_within_calls_have_a_limit_and_the_node_lives_on(groups) -> None:
    group = groups[0].host.create_nodegroup("deep")  # its end is also that of the threads this takes
    group.register_node_type(Probe)
    probe = group.create_node("Probe")
    probe.configure()

    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + probe.ask(deep, n - 1)

    assert deep(30) == 30
    with pytest.raises(RecursionError, match="have come back"):
        deep(2000)
    assert probe.echo(1) == 1
    group.close()


@pytest.mark.parametrize("timeout", ["x", None, float("nan"), float("inf"), 0, -1])
def test_a_timeout_that_is_none_is_refused_before_the_call(probes, timeout) -> None:
    thing = probes[0].thing(0)
    with pytest.raises(ConfigurationError, match="_timeout="):
        thing.add(1, _timeout=timeout)
    assert thing.add(0) == 0


def test_a_keyword_may_have_any_name(probes) -> None:
    assert probes[0].named(method=1, name=2) == {"method": 1, "name": 2}


def test_a_cell_may_be_given_a_time(groups) -> None:
    with pytest.raises(CallTimeout):
        groups[0].run("import time; time.sleep(30)", _timeout=0.2)
    groups[0].interrupt()
    with pytest.raises(ConfigurationError, match="3 came"):
        groups[0].run(3)


def test_a_restarted_nodegroup_knows_the_types_that_were_sent_to_it(groups) -> None:
    group = groups[0].host.create_nodegroup("again")
    group.register_node_type(Probe)
    group.restart()
    assert "Probe" in group.list_node_types()
    group.close()


def test_nodes_are_removed_by_name_too(groups) -> None:
    manager = groups[0].host.manager
    groups[0].create_node("SystemMonitor", name="short-lived")
    manager.remove_node("short-lived")
    assert "short-lived" not in groups[0].list_nodes()
    with pytest.raises(UnknownName, match="short-lived"):
        manager.remove_node("short-lived")


@pytest.mark.parametrize("env", [{"A": 3}, {"A=": "x"}, {"": "x"}, {"A": "\0"}, "A=b"])
def test_an_environment_that_is_none_is_refused(groups, env) -> None:
    with pytest.raises(ConfigurationError, match="env"):
        groups[0].host.create_nodegroup("odd", env=env)


def test_a_neighbour_that_is_dead_is_named(groups, probes) -> None:
    group = groups[0].host.create_nodegroup("mortal")
    group.register_node_type(Probe)
    node = group.create_node("Probe")
    node.configure()
    assert probes[1].use_echo(node, 1) == 1
    group.kill()
    with pytest.raises(RemoteError, match="mortal"):
        probes[1].use_echo(node, 1)
