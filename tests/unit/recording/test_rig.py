"""What a run says of the set-up that made it, and of the clocks in it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import Event, event_array, event_spec, events_in
from pyacq_lab.model.rig import (
    ClockReading,
    Connection,
    HostEntry,
    NodeEntry,
    NodeGroupEntry,
    NodeTypeEntry,
    Rig,
    plain_settings,
)
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.processing.aligner import StreamAligner
from pyacq_lab.recording import Recorder, open_run
from pyacq_lab.recording.clocks import ClockTable
from pyacq_lab.recording.manifest import CLOCKS
from pyacq_lab.testing import ManualClock

MS = 1_000_000


def node(name, group, role, kind):
    return NodeEntry(name=name, nodegroup=group, role=role, type=NodeTypeEntry(name=kind), settings={})


RIG = Rig(
    hosts=(HostEntry(name="rig1"), HostEntry(name="store")),
    nodegroups=(NodeGroupEntry(name="a", host="rig1"), NodeGroupEntry(name="b", host="store")),
    nodes=(node("amp", "a", "source", "SignalGenerator"), node("rec", "b", "sink", "Recorder")),
    connections=(Connection(source="amp", output="out", target="rec", input="ecg"),),
)


def reading(clock, host, offset_ns, uncertainty_ns=0):
    return ClockReading(time_ns=clock.now_ns(), host=host, offset_ns=offset_ns, uncertainty_ns=uncertainty_ns)


@pytest.fixture
def recorder(tmp_path):
    recorder = Recorder(Recorder.settings_type.checked(path=str(tmp_path / "run")))
    recorder.clock = ManualClock()
    yield recorder
    recorder.close()


def test_the_rig_is_in_the_run_from_the_beginning_and_follows_changes(recorder):
    recorder.take_rig(RIG, "rec")
    recorder.open({"ecg": StreamSpec()})
    run = open_run(recorder.folder)
    assert run.rig == RIG
    assert (run.manifest().recorder, run.manifest().recorded_on) == ("rec", "store")
    changed = Rig(hosts=RIG.hosts, nodegroups=RIG.nodegroups, nodes=RIG.nodes[1:])
    recorder.take_rig(changed, "rec")
    recorder.flush()
    assert run.rig == changed


def test_a_recorder_without_a_manager_has_no_rig(recorder):
    recorder.open({"ecg": StreamSpec()})
    run = open_run(recorder.folder)
    assert run.rig is None
    assert len(run.clocks) == 0
    assert not run.clocks.knows("rig1")


def test_times_are_brought_to_the_recording_hosts_clock(recorder):
    clock = recorder.clock
    recorder.take_rig(RIG, "rec")
    recorder.take_clocks([reading(clock, "rig1", 500 * MS, 3), reading(clock, "store", 100 * MS, 4)])
    recorder.open({"ecg": StreamSpec(sample_rate=10.0)})
    started = clock.now_ns()
    # The producer's clock is 400 ms ahead of the recording host's.
    recorder.write(Chunk(0, np.zeros((5, 1)), time_ns=started + 400 * MS, uncertainty_ns=2), "ecg")
    recorder.flush()
    signal = open_run(recorder.folder)["ecg"]
    assert signal.producer == "rig1"
    assert signal.is_on_one_clock
    np.testing.assert_allclose(signal.times, np.arange(5) / 10, atol=1e-9)
    np.testing.assert_allclose(
        signal.times_between(0, 5, corrected=False), 0.4 + np.arange(5) / 10, atol=1e-9
    )
    assert signal.uncertainty == pytest.approx(9e-9)


def test_events_are_brought_to_it_too(recorder):
    clock = recorder.clock
    recorder.take_rig(RIG, "rec")
    recorder.take_clocks([reading(clock, "rig1", 500 * MS), reading(clock, "store", 100 * MS)])
    recorder.open({"ecg": event_spec(10.0)})
    begin = clock.now_ns()
    events = [Event(begin + 400 * MS, label="now"), Event(0, label="some time"), Event(begin + 900 * MS)]
    recorder.write(Chunk(0, event_array(events), time_ns=begin + 400 * MS), "ecg")
    recorder.close()
    run = open_run(recorder.folder)
    signal = run["ecg"]
    np.testing.assert_allclose(signal.times, [0.0, np.nan, 0.5], atol=1e-9)
    assert [event.time_ns for event in signal.events] == [begin, 0, begin + 500 * MS]
    assert [event.time_ns for event in events_in(signal.raw())] == [event.time_ns for event in events]
    text = run.export(recorder.folder.parent / "ecg.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in text[1:]] == ["0.000000000", "nan", "0.500000000"]


def test_clocks_are_interpolated(recorder):
    clock = recorder.clock
    recorder.take_rig(RIG, "rec")
    recorder.open({"ecg": StreamSpec()})
    for offset in (0, 10 * MS):
        recorder.take_clocks([reading(clock, "rig1", offset, offset), reading(clock, "store", 0)])
        recorder.flush()
        clock.advance(10.0)
    clocks = open_run(recorder.folder).clocks
    assert clocks.hosts == ("rig1", "store")
    first = clocks.readings[0].time_ns
    shown = np.array([-1000, 0, 5005, 10_010, 99_010]) * MS  # by a clock that gains 1 ms a second
    shift, doubt = clocks.shift("rig1", first + shown)
    np.testing.assert_array_equal(shift, np.array([0, 0, -5, -10, -10]) * MS)
    np.testing.assert_array_equal(doubt, -shift)
    own, _ = clocks.shift("store", [first])
    assert own.tolist() == [0]
    assert not clocks.knows("elsewhere")


def test_what_was_told_survives_the_recorder_and_a_cut_line(recorder):
    recorder.take_rig(RIG, "rec")
    recorder.take_clocks([reading(recorder.clock, "rig1", 1), reading(recorder.clock, "store", 2)])
    recorder.open({"ecg": StreamSpec()})
    with (recorder.folder / "clocks.jsonl").open("ab") as file:
        file.write(b'{"time_ns": 1')
    run = open_run(recorder.folder)  # as it would be found after a kill
    assert [r.offset_ns for r in run.clocks.readings] == [1, 2]
    recorder.take_clocks([reading(recorder.clock, "rig1", 3)])
    recorder.close()
    assert [r.offset_ns for r in run.clocks.readings] == [1, 2, 3]


def wired(*pairs):
    return tuple(Connection(source=a, output="out", target=b, input=c) for a, b, c in pairs)


def test_transforms_pass_on_the_times_of_the_source_behind_their_first_input():
    rig = Rig(
        nodegroups=RIG.nodegroups,
        nodes=(
            node("far", "a", "source", "SignalGenerator"),
            node("near", "b", "source", "SignalGenerator"),
            node("filter", "b", "transform", "SosFilter"),
            node("aligner", "b", "transform", "StreamAligner"),
            node("loop", "b", "transform", "SosFilter"),
            node("rec", "b", "sink", "Recorder"),
        ),
        connections=wired(
            ("far", "filter", "in"),
            ("filter", "aligner", "first"),
            ("near", "aligner", "second"),
            ("loop", "loop", "in"),
            ("filter", "rec", "filtered"),
            ("aligner", "rec", "aligned"),
            ("near", "rec", "near"),
            ("loop", "rec", "loop"),
            ("gone", "rec", "gone"),
        ),
    )
    assert rig.producers("rec") == {
        "filtered": "rig1", "aligned": "rig1", "near": "store", "loop": "", "gone": "",
    }  # fmt: skip


@pytest.mark.parametrize("fill", [math.inf, -math.inf, math.nan, 1.5, None])
def test_settings_come_back_from_json_as_they_were(fill):
    settings_type = StreamAligner.settings_type
    settings = settings_type.checked(inputs={"eeg": "reference", "force": "linear"}, fill_value=fill)
    plain = plain_settings(settings.model_dump(mode="json"))
    again = settings_type.checked(**msgspec.json.decode(msgspec.json.encode(plain)))
    assert again.fill_value == pytest.approx(fill, nan_ok=True)


def test_clocks_that_cannot_be_written_are_told_once_and_stop_nothing(recorder, caplog):
    recorder.open({"ecg": StreamSpec.of("<f4", shape=(-1, 1), sample_rate=100.0)})
    (recorder.folder / CLOCKS).mkdir()
    for start in (0, 10):
        recorder.take_clocks([reading(recorder.clock, "rig1", 0)])
        recorder.write(Chunk(start, np.zeros((10, 1), "f4")), "ecg")
        assert recorder.flush() == {"ecg": start + 10}
    assert len([r for r in caplog.records if "clock offsets cannot be written" in r.message]) == 1


def steps(tmp_path, *told):
    """Table of one host's clock by readings (s, offset in s), next to a recorder's that is the manager's."""
    lines = [
        ClockReading(time_ns=round(at * 1e9), host=host, offset_ns=round(offset * 1e9), uncertainty_ns=1000)
        for at, own in told
        for host, offset in (("rig1", own), ("store", 0))
    ]
    (tmp_path / CLOCKS).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    return ClockTable(tmp_path, "store")


@pytest.mark.parametrize("set_by", [3600.0, 5.0, -3600.0])
def test_a_clock_that_was_set_is_not_interpolated(tmp_path, set_by):
    clocks = steps(tmp_path, (100, 1e-3), (110, 2e-3), (120, set_by), (130, set_by + 1e-3))
    true = np.array([95, 105, 110, 111, 114, 121, 125, 140.0])
    offset = np.array([1e-3, 1.5e-3, 2e-3, 2e-3, 2e-3, set_by + 1e-4, set_by + 5e-4, set_by + 1e-3])
    shift, _ = clocks.shift("rig1", np.rint((true + offset) * 1e9).astype(np.int64))
    np.testing.assert_allclose(-shift / 1e9, offset, atol=1e-6)


def test_what_a_clock_showed_twice_is_taken_for_the_first_time(tmp_path):
    clocks = steps(tmp_path, (100, 0), (110, 0), (120, -12), (130, -12), (140, -12))
    shift, _ = clocks.shift("rig1", np.array([105, 109, 120, 130]) * 10**9)
    assert (shift / 1e9).tolist() == [0, 0, 12, 12]


def test_a_recording_host_that_was_set_is_not_interpolated_either(tmp_path):
    lines = [
        ClockReading(time_ns=at * 10**9, host=host, offset_ns=offset * 10**9, uncertainty_ns=0)
        for at, own in ((100, 0), (110, 50))
        for host, offset in (("rig1", 0), ("store", own))
    ]
    (tmp_path / CLOCKS).write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    shift, _ = ClockTable(tmp_path, "store").shift("rig1", np.array([100, 109, 110]) * 10**9)
    assert (shift / 1e9).tolist() == [0, 0, 50]


def with_settings(**settings):
    nodes = tuple(msgspec.structs.replace(n, settings=settings.get(n.name, n.settings)) for n in RIG.nodes)
    return msgspec.structs.replace(RIG, nodes=nodes)


def test_earlier_settings_stay_in_the_run(recorder):
    clock = recorder.clock
    recorder.take_rig(with_settings(amp={"gain": 1, "bits": 8}), "rec")
    recorder.open({"ecg": StreamSpec()})
    first = clock.now_ns()
    clock.advance(1.0)
    recorder.take_rig(with_settings(amp={"gain": 2, "bits": 8}), "rec")
    recorder.take_rig(with_settings(amp={"gain": 3, "bits": 8}), "rec")  # both before the next flush
    recorder.flush()
    recorder.take_rig(with_settings(amp={"gain": 3, "bits": 8}), "rec")
    recorder.close()
    run = open_run(recorder.folder)
    told = [(line.time_ns - first, line.settings["gain"]) for line in run.changes.of("amp")]
    assert told == [(0, 1), (10**9, 2), (10**9, 3)]
    assert len(run.changes.of("rec")) == 1
    assert repr(run.changes).splitlines()[-1].endswith("amp  gain=3")
    assert "<td>gain=3</td>" in run.changes._repr_html_()
    again = Recorder(Recorder.settings_type.checked(path=str(recorder.folder), existing="continue"))
    again.clock = clock
    again.take_rig(with_settings(amp={"gain": 4, "bits": 8}), "rec")
    again.open({"ecg": StreamSpec()})
    again.close()
    assert [line.settings["gain"] for line in run.changes.of("amp")] == [1, 2, 3, 4]
    assert len(run.changes) == 5


def test_the_producer_of_a_stream_stays_known_when_its_node_is_gone(recorder):
    recorder.take_rig(RIG, "rec")
    recorder.open({"ecg": StreamSpec()})
    recorder.take_rig(msgspec.structs.replace(RIG, nodes=RIG.nodes[1:]), "rec")
    recorder.flush()
    assert open_run(recorder.folder).manifest().streams["ecg"].producer == "rig1"


def test_a_rig_shows_itself_in_short():
    rig = msgspec.structs.replace(
        with_settings(amp={"gain": 1, "data": list(range(1000)), "name": "<b>"}),
        hosts=(HostEntry(name="rig1", python="3.12", packages={"numpy": "2.1"}), HostEntry(name="store")),
    )
    assert repr(rig) == "<rig: 2 hosts, 2 nodegroups, 2 nodes, 1 connection: amp, rec>"
    shown = rig._repr_html_()
    for text in ("numpy 2.1", "gain=1", "&lt;b&gt;", "SignalGenerator", "created", "amp.out", "rec.ecg"):
        assert text in shown
    assert len(shown) < 2000
    assert Rig()._repr_html_() == ""
    assert repr(Rig()) == "<rig: 0 hosts, 0 nodegroups, 0 nodes, 0 connections: empty>"
