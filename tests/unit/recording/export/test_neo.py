"""Neo: a block made of a run, and Neo's own readers on exported files."""

from __future__ import annotations

import sys

import neo
import numpy as np
import pytest

from pyacq_lab.errors import ConfigurationError, MissingDependency
from pyacq_lab.model.chunk import Chunk
from pyacq_lab.model.events import Event, event_array, event_spec
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording.export import ExportWarning

from .conftest import FLOATS, FLOATS_SPEC, RAW


def test_a_block(record, gapped, floats, marks, events, tmp_path):
    run = record({"i": gapped, "f": floats, "marks": marks}, {"f": floats})
    block = run.to_neo()
    assert (block.name, block.rec_datetime) == ("run", run.started)
    first, second = block.segments
    before, after, signal = first.analogsignals
    assert [s.name for s in first.analogsignals] == ["i", "i", "f"]
    assert str(before.units.dimensionality) == "mV"
    np.testing.assert_array_equal(before.magnitude, RAW[:5] * 0.5 + 1.0)
    np.testing.assert_array_equal(after.magnitude, RAW[10:] * 0.5 + 1.0)
    np.testing.assert_allclose([before.t_start.item(), after.t_start.item()], [0.5, 1.5])
    assert (before.sampling_rate.item(), after.annotations["first_index"]) == (10.0, 110)
    assert before.array_annotations["channel_names"].tolist() == ["x", "y", "z"]
    np.testing.assert_array_equal(signal.magnitude, FLOATS)
    np.testing.assert_array_equal(second.analogsignals[0].magnitude, FLOATS)
    lasting, gaps = sorted(first.epochs, key=lambda epoch: epoch.name, reverse=True)
    assert gaps.name == "i gaps"
    np.testing.assert_allclose([*gaps.times.magnitude, *gaps.durations.magnitude], [1.0, 0.5])
    assert gaps.labels.tolist() == ["overrun"]
    np.testing.assert_allclose(lasting.times.magnitude, [0.5, 1.2])
    np.testing.assert_allclose(lasting.durations.magnitude, [0.0, 0.5])
    assert lasting.labels.tolist() == [event.label for event in events]
    assert lasting.array_annotations["code"].tolist() == [-1, 7]


def test_events_that_do_not_last_and_chosen_streams(record, floats, now):
    marks = event_spec(10.0), [Chunk(0, event_array([Event(now, code=3)]), time_ns=now)]
    run = record({"f": floats, "m": marks}, {"f": floats})
    (event,) = run.to_neo("m").segments[0].events
    assert event.array_annotations["code"].tolist() == [3]
    (only,) = run.to_neo("f", segment=1).segments
    assert only.name == "start 1"


ODD_UNITS = {"odd": "adu", "u": "µV"}


def test_units_that_quantities_has_not_are_told(record, now):
    chunks = [Chunk(0, FLOATS, time_ns=now)]
    run = record({name: (FLOATS_SPEC.replace(units=units), chunks) for name, units in ODD_UNITS.items()})
    with pytest.warns(ExportWarning, match="'odd': quantities has no unit 'adu'"):
        odd, micro = run.to_neo().segments[0].analogsignals
    assert (str(odd.units.dimensionality), str(micro.units.dimensionality)) == ("dimensionless", "uV")
    assert odd.annotations["units_as_recorded"] == "adu"


def test_refusals(record, now, monkeypatch):
    video = StreamSpec.of("u1", streamtype="video", shape=(-1, 4, 5, 3), sample_rate=10.0)
    run = record({"v": (video, [Chunk(0, np.zeros((2, 4, 5, 3), "u1"), time_ns=now)])})
    with pytest.raises(ConfigurationError, match="neither a signal nor events, which Neo has no place for"):
        run.to_neo()
    monkeypatch.setitem(sys.modules, "neo", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[neo\]'"):
        run.to_neo()


def test_neo_reads_our_edf(record, gapped, now, tmp_path):
    events = [Event(now + 300_000_000, label="µ-wave"), Event(now + 700_000_000, duration=5, label="long")]
    run = record({"i": gapped, "marks": (event_spec(10.0), [Chunk(0, event_array(events), time_ns=now)])})
    path = run.export(tmp_path / "x.edf")
    segment = neo.io.EDFIO(str(path)).read_segment()
    (signal,) = segment.analogsignals
    assert (signal.sampling_rate.item(), str(signal.units.dimensionality)) == (10.0, "mV")
    kept = np.delete(signal.magnitude, range(5, 10), axis=0)
    # To a digital step: Neo takes the digital range for one more than it is.
    np.testing.assert_allclose(kept, np.delete(RAW, range(5, 10), axis=0) * 0.5 + 1.0, atol=0.5)
    assert [e.labels.tolist() for e in segment.events] == [["µ-wave"]]
    assert [e.labels.tolist() for e in segment.epochs] == [["BAD_ACQ_SKIP i: overrun", "long"]]


def test_neo_reads_our_nwb(record, floats, tmp_path):
    run = record({"f": floats}, {"f": floats})
    reader = neo.io.NWBIO(str(run.export(tmp_path / "x.nwb")), "r")
    (block,) = reader.read_all_blocks()
    assert sorted(segment.name for segment in block.segments) == ["start 0", "start 1"]
    (signal,) = block.segments[0].analogsignals
    np.testing.assert_array_equal(signal.magnitude, FLOATS)
    assert (signal.t_start.item(), signal.sampling_rate.item()) == (0.75, 20.0)
