"""Pictures from a generator and from files."""

from __future__ import annotations

import sys
from fractions import Fraction

import av
import numpy as np
import pytest

from pyacq_lab.devices import VideoSource
from pyacq_lab.errors import ConfigurationError, EndOfStream, MissingDependency
from pyacq_lab.testing import ManualClock


def source_of(**settings):
    source = VideoSource(VideoSource.settings_type.checked(**settings))
    source.clock = ManualClock()
    return source


def play(source, most=1000):
    source.open()
    readings = []
    try:
        while len(readings) < most:
            if (reading := source.read(0.1)) is not None:
                readings.append(reading)
    except EndOfStream:
        pass
    finally:
        source.close()
    return readings


@pytest.fixture
def film(tmp_path):
    """Ten frames, each of its own brightness, at uneven times (ms)."""
    times = [0, 40, 80, 125, 160, 200, 300, 340, 380, 420]
    with av.open(str(tmp_path / "film.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "gray"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for i, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((16, 32), 20 * i, "u1"), format="gray")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(tmp_path / "film.mkv"), times


def test_generated_pictures():
    source = source_of(source="testsrc2=size=64x48:rate=50")
    (spec,) = source.describe().values()
    assert (spec.streamtype, spec.shape, spec.sample_rate) == ("video", (-1, 48, 64, 3), 50.0)
    begin = source.clock.now_ns()
    readings = play(source, 20)
    assert [r.time_ns - begin for r in readings] == [20_000_000 * i for i in range(20)]
    assert source.clock.now_ns() == readings[-1].time_ns
    assert len({r.data.tobytes() for r in readings}) > 1
    assert {(r.data.dtype, r.data.shape) for r in readings} == {(np.dtype("u1"), (1, 48, 64, 3))}


def test_frames_of_a_file_have_their_own_times(film):
    path, times = film
    source = source_of(source=path, pixels="gray")
    begin = source.clock.now_ns()
    readings = play(source)
    assert [r.time_ns - begin for r in readings] == [time * 1_000_000 for time in times]
    assert [int(r.data[0, 5, 5]) for r in readings] == [20 * i for i in range(10)]
    assert source.describe()["out"].shape == (-1, 16, 32)


def test_a_file_is_played_again(film):
    path, times = film
    source = source_of(source=path, pixels="gray", loops=2, sample_rate=25)
    begin = source.clock.now_ns()
    assert [(r.time_ns - begin) // 1_000_000 for r in play(source)] == times + [460 + t for t in times]


def test_as_fast_as_it_is_taken(film):
    source = source_of(source=film[0], realtime=False)
    assert source.waits
    assert len(play(source)) == 10
    assert source.clock.sleeps == []


def test_opens_again_from_the_start(film):
    source = source_of(source=film[0], pixels="gray")
    assert [play(source, 3)[0].data[0, 0, 0] for _ in range(3)] == [0, 0, 0]


def test_frames_that_a_camera_lost_are_counted(film, monkeypatch):
    source = source_of(source=film[0], pixels="gray", sample_rate=25)
    monkeypatch.setattr(source, "_is_live", True)
    source.open()
    lost = [source.read(0.1).lost for _ in range(10)]
    assert lost == [0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
    with pytest.raises(ConnectionError, match="has ended"):
        source.read(0.1)
    source.close()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"source": "/no/film.mp4"}, r"'/no/film.mp4' cannot be opened"),
        ({"source": "/dev/video99", "format": "v4l2"}, "'/dev/video99' cannot be opened"),
        ({"source": "nosuchsrc", "format": "lavfi"}, "'nosuchsrc' cannot be opened"),
        ({"source": "anullsrc=d=1", "format": "lavfi"}, "holds no video"),
        ({"pixels": "cmyk"}, "pixels='cmyk'"),
    ],
)
def test_refusals(settings, says):
    with pytest.raises(ConfigurationError, match=says):
        source_of(**settings).describe()


def test_missing_pyav_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[video\]'"):
        source_of()
