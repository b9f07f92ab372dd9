"""Video in a run folder: encoded, found by index, and whole up to where it was cut."""

from __future__ import annotations

import errno
import sys
import zlib
from contextlib import suppress

import av
import msgspec
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from pyacq_lab.devices import Replay
from pyacq_lab.errors import EndOfStream, MissingDependency, RecordingError, SamplesGone, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.stream import StreamSpec
from pyacq_lab.recording import Recorder, open_run
from pyacq_lab.recording.evidence import salvage
from pyacq_lab.recording.manifest import GapLine, SegmentEntry, SegmentLine
from pyacq_lab.recording.recovery import recover
from pyacq_lab.recording.verification import verify
from pyacq_lab.recording.video import (
    VideoCoding,
    VideoReader,
    VideoWriter,
    can_encode,
    recover_video,
    verify_video,
)
from pyacq_lab.recording.video import reader as reader_module
from pyacq_lab.recording.video import writer as writer_module
from pyacq_lab.recording.video.coding import FrameClock, FrameMark, mark_in, marked
from pyacq_lab.recording.video.repair import known_frames
from pyacq_lab.recording.video.table import ROW_NBYTES, VIDEO, read_table, table_path
from pyacq_lab.testing import ManualClock

FIRST = 100
T0 = 1_700_000_000_000_000_000
PERIOD = 100_000_000


def spec_of(*shape, rate=10.0):
    return StreamSpec.of(np.uint8, streamtype="video", shape=(-1, *shape), sample_rate=rate)


def pictures(start, stop, shape=(16, 24, 3)):
    """Smooth ones that tell their index."""
    rows, columns = np.indices(shape[:2])
    index = np.arange(start, stop).reshape(-1, 1, 1)
    grey = ((rows * 3 + columns * 2 + 5 * index) % 240).astype(np.uint8)
    return grey if len(shape) == 2 else np.stack([grey, grey // 2, 255 - grey], axis=-1)


def chunk_of(start, stop, shape=(16, 24, 3), **fields):
    fields.setdefault("time_ns", T0 + (start - FIRST) * PERIOD)
    return Chunk(start, pictures(start, stop, shape), **fields)


def writer_of(folder, shape=(16, 24, 3), mode="lossless", rows=None, **fields):
    coding = VideoCoding(spec_of(*shape), mode)
    return VideoWriter(folder, coding, FIRST, **{"sync_end": False, "sync_rows": False, **fields}, rows=rows)


def reader_of(folder, shape=(16, 24, 3)):
    return VideoReader(folder, spec_of(*shape), FIRST)


def no_gap(start, stop):
    return False


def write_video(folder, n_frames=35, **fields):
    writer = writer_of(folder, **fields)
    writer.append(chunk_of(FIRST, FIRST + n_frames, fields.get("shape", (16, 24, 3))))
    writer.finish()


def entry_of(stop, gaps=()):
    return SegmentEntry(
        folder="0",
        kind="video",
        spec=spec_of(16, 24, 3),
        epoch=0,
        start=FIRST,
        acknowledged=stop,
        gaps=[GapLine(a, b, "dropped") for a, b in gaps],
    )


# --- there and back


@pytest.mark.parametrize("shape", [(16, 24, 3), (17, 25, 3), (16, 24), (17, 25), (1, 1), (2, 3, 3)])
def test_without_loss_pictures_read_back_equal(tmp_path, shape):
    write_video(tmp_path / "0", shape=shape)
    got = reader_of(tmp_path / "0", shape).read(0, 35, no_gap)
    np.testing.assert_array_equal(got, pictures(FIRST, FIRST + 35, shape))


@pytest.mark.parametrize("shape", [(48, 64, 3), (49, 65, 3), (48, 64), (49, 65)])
def test_with_h264_they_read_back_nearly_equal(tmp_path, shape):
    write_video(tmp_path / "0", shape=shape, mode="h264")
    got = reader_of(tmp_path / "0", shape).read(0, 35, no_gap)
    wanted = pictures(FIRST, FIRST + 35, shape)
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).mean() < 5
    nearest = [np.abs(picture.astype(int) - wanted).mean(axis=(1, 2)) for picture in got]
    nearest = [away.reshape(35, -1).mean(axis=1).argmin() for away in nearest]
    assert nearest == list(range(35))


def test_any_window_is_read(tmp_path):
    write_video(tmp_path / "0")
    reader = reader_of(tmp_path / "0")
    wanted = pictures(FIRST, FIRST + 35)
    for start, stop in [(30, 35), (0, 1), (9, 12), (20, 20), (12, 13), (13, 14), (5, 35), (34, 35)]:
        np.testing.assert_array_equal(reader.read(start, stop, no_gap), wanted[start:stop])


def test_pictures_in_their_order_are_decoded_once(tmp_path, monkeypatch):
    write_video(tmp_path / "0")
    begun = []
    decoding = reader_module._Decoding

    def counted(path, table, key):
        begun.append(key)
        return decoding(path, table, key)

    monkeypatch.setattr(reader_module, "_Decoding", counted)
    reader = reader_of(tmp_path / "0")
    for row in range(35):
        reader.read(row, row + 1, no_gap)
    assert begun == [0]
    reader.read(3, 4, no_gap)
    reader.read(25, 27, no_gap)
    assert begun == [0, 0, 20]  # a key frame each second, here every ten frames


def test_gaps_take_no_room_and_are_black(tmp_path):
    writer = writer_of(tmp_path / "0")
    writer.append(chunk_of(100, 103))
    writer.skip(10**9)
    writer.append(chunk_of(100 + 10**9 + 3, 100 + 10**9 + 5))
    assert writer.finish() == 10**9 + 5
    reader = reader_of(tmp_path / "0")
    np.testing.assert_array_equal(reader.read(0, 3, no_gap), pictures(100, 103))
    got = reader.read(10**9, 10**9 + 5, lambda start, stop: 3 <= start < stop <= 10**9 + 3)
    assert not got[:3].any()
    np.testing.assert_array_equal(got[3:], pictures(100 + 10**9 + 3, 100 + 10**9 + 5))
    with pytest.raises(RecordingError, match=r"frames \[105, 110\), which are not in a gap"):
        reader.read(5, 10, no_gap)


def test_a_reader_follows_what_is_acknowledged(tmp_path):
    writer = writer_of(tmp_path / "0")
    reader = reader_of(tmp_path / "0")
    for stop in range(101, 116):
        writer.append(chunk_of(stop - 1, stop))
        with pytest.raises(RecordingError, match="cut short"):
            reader.read(stop - 101, stop - 100, no_gap)
        assert (writer.is_dirty, writer.acknowledge(), writer.is_dirty) == (True, stop - 100, False)
        np.testing.assert_array_equal(reader.read(stop - 101, stop - 100, no_gap), pictures(stop - 1, stop))
    writer.finish()


def test_any_player_plays_it_and_zarr_reads_the_table(tmp_path):
    write_video(tmp_path / "0", mode="h264")
    with av.open(str(tmp_path / "0" / VIDEO)) as container:
        frames = list(container.decode(video=0))
    assert [frame.pts for frame in frames] == [9000 * i for i in range(35)]
    table = zarr.open_group(tmp_path / "0", mode="r")["frames"]
    assert table.attrs["columns"][:2] == ["index", "time_ns"]
    np.testing.assert_array_equal(table[:, 0], np.arange(FIRST, FIRST + 35))
    np.testing.assert_array_equal(table[:, 1], T0 + PERIOD * np.arange(35))


def test_pictures_of_another_shape_are_refused(tmp_path):
    writer = writer_of(tmp_path / "0")
    with pytest.raises(StreamMismatch, match=r"shape \(1, 16, 25, 3\)"):
        writer.append(chunk_of(100, 101, (16, 25, 3)))
    writer.append(chunk_of(100, 102))
    assert writer.finish() == 2


@pytest.mark.parametrize(
    ("dtype", "shape", "streamtype", "can"),
    [
        ("u1", (480, 640, 3), "video", True),
        ("u1", (480, 640), "video", True),
        ("u1", (480, 640, 4), "video", False),
        ("u1", (480, 20_000), "video", False),
        ("<u2", (480, 640), "video", False),
        ("<f4", (480, 640), "video", False),
        ("u1", (480, 640), "image", False),
        ("u1", (16,), "video", False),
    ],
)
def test_what_can_be_encoded(dtype, shape, streamtype, can):
    assert can_encode(StreamSpec.of(dtype, streamtype=streamtype, shape=(-1, *shape))) is can


# --- times


def test_frames_keep_their_own_times(tmp_path):
    writer = writer_of(tmp_path / "0")
    wobble = np.cumsum([0, 90, 130, 100, 80, 1000, 77]) * 1_000_000
    for number, late in enumerate(wobble):
        writer.append(chunk_of(100 + number, 101 + number, time_ns=T0 + int(late), uncertainty_ns=7))
    writer.skip(2)
    writer.append(chunk_of(109, 110, time_ns=0))
    writer.finish()
    reader = reader_of(tmp_path / "0")
    times = reader.frame_times(0, 7)
    np.testing.assert_array_equal(times[:, 1] - T0, wobble)
    assert set(times[:, 2]) == {7}
    np.testing.assert_array_equal(reader.frame_times(6, 10)[:, 0], [106, 109])
    nominal = wobble[-1] + PERIOD * np.arange(1, 4)
    np.testing.assert_array_equal(reader.times(0, 10) - T0, [*wobble, *nominal])
    with av.open(str(tmp_path / "0" / VIDEO)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    np.testing.assert_allclose(np.array(stamps[:7]) / 90e3, wobble / 1e9, atol=1 / 90e3)
    assert stamps[7] == stamps[6] + 3 * 9000


def test_time_stamps_grow_whatever_the_clock_does():
    clock = FrameClock(10.0)
    times = [T0, T0 + PERIOD, T0 + PERIOD, T0 - 10**12, T0 - 10**12 + PERIOD, 0, T0]
    stamps = [clock.stamp(index, time_ns) for index, time_ns in enumerate(times)]
    assert stamps[:2] == [0, 9000]
    assert stamps[2:6] == [18_000, 27_000, 36_000, 45_000]
    assert stamps[6] > stamps[5]


@given(st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 2**62)), min_size=1, max_size=20))
def test_time_stamps_always_grow(steps):
    clock, index, last = FrameClock(29.97), 0, -1
    for step, time_ns in steps:
        index += step
        stamp = clock.stamp(index, time_ns)
        assert stamp > last
        last = stamp


def test_a_day_and_more_is_read_back(tmp_path):
    """Time stamps in MPEG-TS begin again after 26.5 hours."""
    writer = writer_of(tmp_path / "0")
    for number in range(6):
        writer.append(chunk_of(100 + number, 101 + number, time_ns=T0 + number * 10**13 * 4))
    writer.finish()
    np.testing.assert_array_equal(reader_of(tmp_path / "0").read(0, 6, no_gap), pictures(100, 106))
    assert read_table(tmp_path / "0")["pts"][-1] > 2**33


# --- going on, and breaking


def test_another_process_goes_on(tmp_path):
    first = writer_of(tmp_path / "0")
    first.append(chunk_of(100, 113))
    first.acknowledge()
    first.append(chunk_of(113, 115))
    first.acknowledge()  # in the table, but run.json was not written any more
    first.append(chunk_of(115, 117))
    first.close()
    second = writer_of(tmp_path / "0", rows=13)
    second.append(chunk_of(113, 130))
    assert second.finish() == 30
    reader = reader_of(tmp_path / "0")
    np.testing.assert_array_equal(reader.read(0, 30, no_gap), pictures(100, 130))
    np.testing.assert_array_equal(reader_of(tmp_path / "0").read(12, 15, no_gap), pictures(112, 115))
    np.testing.assert_array_equal(read_table(tmp_path / "0")["pts"], 9000 * np.arange(30))
    assert verify_video(tmp_path / "0", entry_of(130)).problems == ()


def test_what_was_written_and_not_acknowledged_is_taken_over(tmp_path):
    first = writer_of(tmp_path / "0")
    first.append(chunk_of(100, 113))
    first.acknowledge()
    first.append(chunk_of(113, 117))
    first.close()
    assert len(read_table(tmp_path / "0")) == 13
    entry = entry_of(113)
    journal = tmp_path / "0" / "journal.jsonl"
    journal.write_bytes(msgspec.json.encode(SegmentLine("cam", entry)) + b"\n")
    salvage(tmp_path, entry)
    assert entry.acknowledged == 117
    second = writer_of(tmp_path / "0", rows=entry.rows)
    second.append(chunk_of(117, 120))
    second.finish()
    np.testing.assert_array_equal(reader_of(tmp_path / "0").read(0, 20, no_gap), pictures(100, 120))


def test_a_video_that_lacks_what_was_acknowledged_is_not_gone_on_with(tmp_path):
    write_video(tmp_path / "0")
    path = tmp_path / "0" / VIDEO
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RecordingError, match=r"video\.ts is cut short"):
        writer_of(tmp_path / "0", rows=35)


@pytest.mark.parametrize("junk", [b"\xff" * 64, b"\x7f" * 200, bytes(range(256)) * 2])
def test_rows_that_say_nonsense_are_not_believed(tmp_path, junk):
    write_video(tmp_path / "0")
    (tmp_path / "0" / "frames" / "zarr.json").unlink()
    with table_path(tmp_path / "0").open("ab") as table:
        table.write(junk)
    for acknowledged in (FIRST, FIRST + 20, FIRST + 35):
        assert known_frames(tmp_path / "0", acknowledged)["index"].tolist() == [*range(FIRST, FIRST + 35)]
    assert writer_of(tmp_path / "0", rows=35).finish() == 35
    assert len(read_table(tmp_path / "0")) == 35


def test_a_row_that_is_damaged_is_made_anew_from_the_video(tmp_path):
    write_video(tmp_path / "0")
    before = read_table(tmp_path / "0")
    damaged = before.copy()
    damaged["index"][30] ^= 1 << 40
    table_path(tmp_path / "0").write_bytes(damaged.tobytes())
    np.testing.assert_array_equal(known_frames(tmp_path / "0", FIRST + 25), before)


def test_a_full_disk_keeps_what_was_written(tmp_path, monkeypatch):
    writer = writer_of(tmp_path / "0")
    writer.append(chunk_of(100, 105))
    whole = writer_module.write_all

    def full(file, data):
        if file.name == tmp_path / "0" / VIDEO:
            whole(file, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(file, data)

    monkeypatch.setattr(writer_module, "write_all", full)
    for _ in range(2):  # nothing comes behind a hole, even where there is room again
        with pytest.raises(OSError, match="No space left"):
            writer.append(chunk_of(105, 107))
        monkeypatch.setattr(writer_module, "write_all", whole)
    assert writer.finish() == 5
    np.testing.assert_array_equal(reader_of(tmp_path / "0").read(0, 5, no_gap), pictures(100, 105))
    assert verify_video(tmp_path / "0", entry_of(105)).problems == ()


def test_a_cut_or_damaged_video_says_so(tmp_path):
    write_video(tmp_path / "0")
    path, table = tmp_path / "0" / VIDEO, read_table(tmp_path / "0")
    content = path.read_bytes()
    path.write_bytes(content[: table["offset"][23] + 188])
    reader = reader_of(tmp_path / "0")
    np.testing.assert_array_equal(reader.read(15, 23, no_gap), pictures(115, 123))
    with pytest.raises(RecordingError, match="frame 123 cannot be read"):
        reader.read(20, 24, no_gap)
    np.testing.assert_array_equal(reader.read(0, 3, no_gap), pictures(100, 103))
    path.write_bytes(b"")
    with pytest.raises(RecordingError, match="frame 100 cannot be read"):
        reader_of(tmp_path / "0").read(0, 1, no_gap)
    path.unlink()
    with pytest.raises(RecordingError, match="frame 100 cannot be read"):
        reader_of(tmp_path / "0").read(0, 1, no_gap)
    begin, end = table["offset"][5], table["offset"][6]
    path.write_bytes(content[:begin] + content[end:])
    with pytest.raises(RecordingError, match="frame 105 cannot be read"):
        reader_of(tmp_path / "0").read(4, 8, no_gap)


# --- verify and recover


def test_verify_says_what_is_damaged(tmp_path):
    write_video(tmp_path / "0")
    assert verify_video(tmp_path / "0", entry_of(135)).problems == ()
    path, table = tmp_path / "0" / VIDEO, read_table(tmp_path / "0")
    content = bytearray(path.read_bytes())
    content[int(table["offset"][14]) - 1] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="frame 113 cannot be read"):
        reader_of(tmp_path / "0").read(16, 17, no_gap)
    state = verify_video(tmp_path / "0", entry_of(135))
    # What follows until the next key frame cannot be decoded without it.
    assert (state.lost, state.stop) == (((113, 120),), 135)
    assert "[113, 120)" in state.problems[0]
    assert recover_video(tmp_path / "0", entry_of(135)).lost == ((113, 120),)
    reader = reader_of(tmp_path / "0")
    got = reader.read(10, 25, lambda start, stop: 13 <= start < stop <= 20)
    np.testing.assert_array_equal(got[:3], pictures(110, 113))
    np.testing.assert_array_equal(got[10:], pictures(120, 125))
    assert verify_video(tmp_path / "0", entry_of(135, [(113, 120)])).problems == ()


def test_a_lost_table_is_made_anew(tmp_path):
    writer = writer_of(tmp_path / "0")
    writer.append(chunk_of(100, 113))
    writer.skip(4)
    writer.append(chunk_of(117, 123, uncertainty_ns=5))
    writer.finish()
    before = read_table(tmp_path / "0")
    table_path(tmp_path / "0").unlink()
    assert verify_video(tmp_path / "0", entry_of(123, [(113, 117)])).lost == ((100, 113), (117, 123))
    state = recover_video(tmp_path / "0", entry_of(110, [(113, 117)]))
    assert (state.problems, state.stop) == ((), 123)  # also what was never acknowledged
    np.testing.assert_array_equal(read_table(tmp_path / "0"), before)
    assert zarr.open_group(tmp_path / "0", mode="r")["frames"].shape == (19, 8)


@pytest.fixture(scope="module")
def whole_video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("video") / "0"
    write_video(folder)
    return (folder / VIDEO).read_bytes(), table_path(folder).read_bytes()


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_a_cut_at_any_byte_is_mended(whole_video, tmp_path_factory, video_left, table_left):
    video, table = whole_video
    video_cut, table_cut = round(video_left * len(video)), round(table_left * len(table))
    folder = tmp_path_factory.mktemp("cut") / "0"
    write_video(folder, n_frames=0)
    (folder / VIDEO).write_bytes(video[:video_cut])
    table_path(folder).write_bytes(table[:table_cut])
    ends = np.frombuffer(table, "<i8").reshape(-1, 8)[:, 4:6].sum(axis=1)
    n_whole = int((ends <= video_cut).sum())
    n_told = min(n_whole, table_cut // ROW_NBYTES)
    state = verify_video(folder, entry_of(135))
    assert state.stop == FIRST + n_told
    state = recover_video(folder, entry_of(135))
    assert state.stop == FIRST + n_whole
    assert state.lost == (() if n_whole == 35 else ((FIRST + n_whole, 135),))
    got = reader_of(folder).read(0, n_whole, no_gap)
    np.testing.assert_array_equal(got, pictures(FIRST, FIRST + n_whole))
    assert verify_video(folder, entry_of(FIRST + n_whole)).problems == ()
    writer = writer_of(folder, rows=n_whole)
    writer.append(chunk_of(FIRST + n_whole, FIRST + n_whole + 3))
    writer.finish()
    got = reader_of(folder).read(0, n_whole + 3, no_gap)
    np.testing.assert_array_equal(got[n_whole:], pictures(FIRST + n_whole, FIRST + n_whole + 3))


def test_a_mark_tells_a_frame_that_is_cut():
    mark = FrameMark(1, 2, -1, 0, 1, zlib.crc32(b"picture"))
    full = b"\x00\x00\x00\x01\x09\xf0" + marked(b"picture", mark)
    assert mark_in(full) == mark
    assert all(mark_in(full[:n]) is None for n in range(len(full)))
    assert mark_in(b"something else") is None


# --- in a recorder


def recorder_of(path, **fields):
    recorder = Recorder(Recorder.settings_type.checked(path=str(path), min_free=0.0, **fields))
    recorder.clock = ManualClock()
    return recorder


@pytest.mark.parametrize("video", ["h264", "lossless", "raw"])
def test_a_recorder_stores_video_as_its_settings_say(tmp_path, video):
    recorder = recorder_of(tmp_path / "run", video=video)
    deep = StreamSpec.of("<u2", streamtype="video", shape=(-1, 4, 4), sample_rate=10.0)
    recorder.open({"cam": spec_of(16, 24, 3), "deep": deep})
    recorder.write(chunk_of(100, 112), "cam")
    recorder.gap(Gap(112, 115, reason="overrun"), "cam")
    recorder.write(chunk_of(115, 120), "cam")
    recorder.write(Chunk(0, np.full((2, 4, 4), 40_000, "<u2")), "deep")
    assert recorder.flush() == {"cam": 120, "deep": 2}
    recorder.close()
    run = open_run(tmp_path / "run")
    signal = run["cam"]
    assert (signal.start, signal.stop, signal.gaps) == (100, 120, (Gap(112, 115, reason="overrun"),))
    assert (signal.folder / VIDEO).exists() is (video != "raw")
    assert (f"encoded as {video}" in repr(signal)) is (video != "raw")
    masked = signal.masked()
    assert masked.mask[12:15].all()
    assert not masked.mask[:12].any()
    wanted = pictures(100, 120)
    wanted[12:15] = 0
    assert np.abs(signal.raw().astype(int) - wanted).max() <= (40 if video == "h264" else 0)
    assert np.isnan(signal[110:116][2:5]).all()
    np.testing.assert_array_equal(signal.frame(117), signal.raw(117, 118)[0])
    assert signal.frame(117).dtype == np.uint8
    with pytest.raises(SamplesGone, match=r"frame 113 of 'cam' never came: \[112, 115\) .*overrun"):
        signal.frame(113)
    with pytest.raises(SamplesGone, match=r"recorded are \[100, 120\)"):
        signal.frame(120)
    np.testing.assert_array_equal(run["deep"].raw(), 40_000)


def test_a_signal_has_the_times_of_its_frames(tmp_path):
    recorder = recorder_of(tmp_path / "run", video="lossless")
    recorder.open({"cam": spec_of(16, 24, 3)})
    origin = open_run(tmp_path / "run").manifest().started_ns
    wobble = [0.0, 0.13, 0.2, 0.29]
    for number, late in enumerate(wobble):
        recorder.write(chunk_of(number, number + 1, time_ns=origin + round(late * 1e9)), "cam")
    recorder.close()
    signal = open_run(tmp_path / "run")["cam"]
    np.testing.assert_allclose(signal.times, wobble, atol=1e-9)
    assert signal.sample_times.shape == (4, 3)
    assert (signal.index_at(0.2), round(signal.time_at(2), 9)) == (2, 0.2)
    pytest.importorskip("xarray")
    np.testing.assert_array_equal(signal.to_xarray()["time"].values, signal.times)


def test_without_pyav_a_recorder_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    recorder = recorder_of(tmp_path / "run")
    with pytest.raises(MissingDependency, match=r"pip install 'pyacq_lab\[video\]'.*video='raw'"):
        recorder.open({"cam": spec_of(16, 24, 3)})
    recorder.close()
    raw = recorder_of(tmp_path / "raw", video="raw")
    raw.open({"cam": spec_of(16, 24, 3)})
    raw.write(chunk_of(0, 3), "cam")
    raw.close()
    np.testing.assert_array_equal(open_run(tmp_path / "raw")["cam"].raw(), pictures(0, 3))


def test_an_encoder_that_pyav_lacks_is_named(monkeypatch):
    monkeypatch.setattr(VideoCoding, "codec", property(lambda self: "libx264-not-built"))
    with pytest.raises(MissingDependency, match=r"libx264-not-built.*wheel of PyAV"):
        VideoCoding(spec_of(4, 4)).check_encoder()


def test_a_recorded_video_is_replayed_with_the_times_of_its_frames(tmp_path):
    recorder = recorder_of(tmp_path / "run", video="lossless")
    recorder.open({"cam": spec_of(16, 24, 3)})
    recorder.write(chunk_of(100, 108), "cam")
    recorder.gap(Gap(108, 110), "cam")
    recorder.write(chunk_of(110, 114), "cam")
    recorder.write(chunk_of(114, 115, time_ns=T0 + 15 * PERIOD), "cam")
    recorder.close()
    replay = Replay(
        Replay.settings_type.checked(path=str(tmp_path / "run"), realtime=False, chunk_size=1, loops=2)
    )
    replay.clock = ManualClock()
    assert replay.describe()["out"].shape == (-1, 16, 24, 3)
    replay.open()
    begin = replay.clock.now_ns()
    readings = []
    with suppress(EndOfStream):
        while len(readings) < 40:
            readings += [reading for reading in [replay.read(0.0)] if reading is not None]
    replay.close()
    wanted = np.concatenate([pictures(100, 108), pictures(110, 115)] * 2)
    np.testing.assert_array_equal(np.concatenate([r.data for r in readings]), wanted)
    assert sum(r.lost for r in readings) == 4
    late = [*range(8), *range(10, 14), 15]
    times = [r.time_ns - begin for r in readings]
    np.testing.assert_allclose(np.array(times) / PERIOD, late + [15 + at for at in late], atol=1e-5)


@pytest.mark.parametrize("lost", ["table", "tail", "run.json", "all"])
def test_a_run_with_video_is_verified_and_recovered(tmp_path, lost):
    recorder = recorder_of(tmp_path / "run", video="lossless")
    recorder.open({"cam": spec_of(16, 24, 3)})
    recorder.write(chunk_of(100, 113), "cam")
    recorder.gap(Gap(113, 115), "cam")
    recorder.write(chunk_of(115, 135), "cam")
    recorder.close()
    folder = open_run(tmp_path / "run")["cam"].folder
    assert verify(tmp_path / "run").ok
    offset = int(read_table(folder)["offset"][-4])
    if lost in ("table", "all"):
        path = table_path(folder)
        path.write_bytes(path.read_bytes()[:700])
    if lost in ("tail", "all"):
        path = folder / VIDEO
        path.write_bytes(path.read_bytes()[: offset + 100])
    if lost in ("run.json", "all"):
        (tmp_path / "run" / "run.json").write_bytes(b"")
        (tmp_path / "run" / "run.backup.json").unlink()
    assert not verify(tmp_path / "run").ok
    assert recover(tmp_path / "run").after.ok
    signal = open_run(tmp_path / "run")["cam"]
    stop = 131 if lost in ("tail", "all") else 135
    gaps = [(gap.start, gap.stop) for gap in signal.gaps]
    assert gaps == [(113, 115), *([(131, 135)] if stop < 135 else [])]
    wanted = pictures(100, 135)
    wanted[13:15] = wanted[stop - 100 :] = 0
    np.testing.assert_array_equal(signal.raw(), wanted)
    assert recover(tmp_path / "run").actions == ()
