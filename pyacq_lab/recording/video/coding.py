"""How pictures become H.264 and pictures again, and the mark that each of them carries."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import MissingDependency, RecordingError
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import StreamSpec

VideoMode = Literal["h264", "lossless"]

TIME_BASE = Fraction(1, 90_000)
"""Of MPEG-TS."""

VIDEO_PID = 0x100
"""Which packets of MPEG-TS hold the video."""

PTS_BITS = 33
"""After which time stamps in MPEG-TS start again from 0: 26.5 hours."""

DEFAULT_QUALITY = 18
"""Of x264: its pictures can hardly be told from the original ones."""

LARGEST_SIDE = 16_384
"""Pixels; H.264 knows no larger pictures."""

MOST_BETWEEN_KEYS = 120
"""Frames to decode at most before the one that was asked for, at whatever frame rate."""

ONE_THREAD_PIXELS = 30_000_000
"""Pixels per second that one thread encodes with ease; a second one costs a fifth more work in all."""

WITHOUT_AV = "Or let the recorder store pictures as plain arrays: video='raw'"

_MARK = b"pyacq_lab frame:"
"""Sixteen bytes, as the UUID that user data in H.264 begins with."""


def can_encode(spec: StreamSpec) -> bool:
    """Whether a stream can be written as H.264: uint8 video, (-1, h, w, 3) or (-1, h, w)."""
    shape = spec.sample_shape
    return (
        spec.streamtype == "video"
        and spec.np_dtype == np.uint8
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
        and max(shape[:2]) <= LARGEST_SIDE
    )


def import_av() -> Any:
    """Import PyAV; MissingDependency says what to do without it."""
    return import_optional("av", "recording and reading of video", "av", "video", WITHOUT_AV)


@dataclass(frozen=True)
class VideoCoding:
    """How a stream's pictures are encoded.

    Colours are stored as yuv420p, which every player knows; shades of grey as such. Without loss, colours
    are stored as they are, red, green and blue (profile High 4:4:4 Predictive: FFmpeg, VLC and mpv play it,
    browsers do not).

    Attributes
    ----------
    spec : StreamSpec
        The stream.
    mode : {'h264', 'lossless'}
        Whether pictures read back nearly equal, or equal.
    quality : int
        Constant rate factor of x264 for ``h264``: 0 to 51, less is better and takes more room.
    """

    spec: StreamSpec
    mode: VideoMode = "h264"
    quality: int = DEFAULT_QUALITY

    @property
    def is_grey(self) -> bool:
        """Whether pictures have no colours."""
        return len(self.spec.sample_shape) == 2

    @property
    def _is_halved(self) -> bool:
        """Whether colours have half the resolution, so that pictures have an even number of pixels."""
        return self.mode == "h264" and not self.is_grey

    @property
    def codec(self) -> str:
        """FFmpeg's name of the encoder."""
        return "libx264" if self.is_grey or self._is_halved else "libx264rgb"

    def check_encoder(self) -> None:
        """Raise MissingDependency where PyAV is not there, or was built without the encoder."""
        av = import_av()
        try:
            av.Codec(self.codec, "w")
        except av.codec.codec.UnknownCodecError as error:
            raise MissingDependency(
                f"recording video needs the encoder {self.codec}, which PyAV {av.__version__} was built "
                "without here: take the wheel of PyAV from PyPI (pip install --force-reinstall av). "
                f"{WITHOUT_AV}"
            ) from error

    def add_stream(self, container: Any) -> Any:
        """Add a stream to a container of PyAV: no frame waits for a later one, a key frame comes each second.

        Raises
        ------
        MissingDependency
            As `check_encoder`.
        """
        self.check_encoder()
        stream = container.add_stream(self.codec)
        height, width = self.spec.sample_shape[:2]
        if self._is_halved:
            height, width = height + height % 2, width + width % 2
        context = stream.codec_context
        context.width, context.height = width, height
        context.time_base = TIME_BASE
        context.gop_size = max(1, min(MOST_BETWEEN_KEYS, round(self.spec.sample_rate)))
        is_easy = height * width * self.spec.sample_rate <= ONE_THREAD_PIXELS
        context.thread_count = 1 if is_easy else 0
        if self.is_grey:
            context.pix_fmt = "gray"
            context.color_range = 2  # from 0 to 255, not from 16 to 235
        else:
            context.pix_fmt = "yuv420p" if self._is_halved else "rgb24"
        # Slower presets take half as much time again to save a fifth of the room.
        rate = {"crf": str(self.quality), "preset": "superfast"}
        stream.options = {
            "tune": "zerolatency",
            **(rate if self.mode == "h264" else {"qp": "0", "preset": "ultrafast"}),
        }
        return stream

    def frame(self, picture: npt.NDArray[np.uint8]) -> Any:
        """Make a frame of PyAV of a picture."""
        frames = import_av().VideoFrame
        if self._is_halved and (picture.shape[0] % 2 or picture.shape[1] % 2):
            height, width = picture.shape[:2]
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        pixels = "gray" if self.is_grey else "rgb24"
        frame = frames.from_ndarray(np.ascontiguousarray(picture), format=pixels)
        return frame.reformat(format="yuv420p") if self._is_halved else frame


def picture_of(frame: Any, spec: StreamSpec) -> npt.NDArray[np.uint8]:
    """Picture of a decoded frame, as large as the stream's are.

    Raises
    ------
    RecordingError
        The frame is of another size.
    """
    height, width = spec.sample_shape[:2]
    if not (0 <= frame.height - height <= 1 and 0 <= frame.width - width <= 1):
        raise RecordingError(
            f"came a picture of {frame.width} x {frame.height}; the stream's are {width} x {height}"
        )
    if len(spec.sample_shape) == 2:
        # The luminance as it is: FFmpeg would take it for one from 16 to 235 and stretch it.
        plane = frame.planes[0]
        rows = np.frombuffer(plane, np.uint8, count=plane.line_size * frame.height)
        return rows.reshape(frame.height, plane.line_size)[:height, :width]
    return frame.to_ndarray(format="rgb24")[:height, :width]


class FrameMark(msgspec.Struct, frozen=True):
    """What a frame says of itself inside the video, so that the table can be made anew from the video.

    Attributes
    ----------
    index, time_ns, uncertainty_ns, pts, is_key : int
        As in the table.
    crc32 : int
        Checksum of the encoded frame, without the mark: one that is cut is told by it.
    """

    index: int
    time_ns: int
    uncertainty_ns: int
    pts: int
    is_key: int
    crc32: int


def marked(encoded: bytes, mark: FrameMark) -> bytes:
    """Put a mark before an encoded frame: "unregistered user data" of H.264, which players leave alone.

    It is text, so that no byte of it needs an escape, and short, so that its size is one byte.
    """
    text = _MARK + msgspec.json.encode(mark)
    return b"\x00\x00\x00\x01\x06\x05" + bytes([len(text)]) + text + b"\x80" + encoded


def mark_in(encoded: bytes) -> FrameMark | None:
    """Mark of an encoded frame; None where there is none or the frame is not whole."""
    at = encoded.find(_MARK)
    if at < 1:
        return None
    end = at + encoded[at - 1]
    try:
        mark = msgspec.json.decode(encoded[at + len(_MARK) : end], type=FrameMark)
    except (msgspec.MsgspecError, ValueError):
        return None
    return mark if zlib.crc32(encoded[end + 1 :]) == mark.crc32 else None


class FrameClock:
    """Time stamps for the video, from the true times of its frames: they always grow.

    Where times are not known, or the clock was set back, time goes on at the nominal rate.

    Parameters
    ----------
    sample_rate : float
        Nominal rate, Hz.
    """

    def __init__(self, sample_rate: float) -> None:
        self._sample_rate = sample_rate
        self._last: tuple[int, int] | None = None
        self._origin_ns: int | None = None

    def resume(self, index: int, time_ns: int, pts: int) -> None:
        """Go on after this frame."""
        self._last = (index, pts)
        self._origin_ns = time_ns - _ns(pts) if time_ns else None

    def stamp(self, index: int, time_ns: int) -> int:
        """Time stamp of the next frame, in units of `TIME_BASE`; 0 for the first one."""
        nominal, least = 0, 0
        if self._last is not None:
            last_index, last_pts = self._last
            least = last_pts + 1
            steps = Fraction(index - last_index) / Fraction(self._sample_rate)
            nominal = max(least, last_pts + math.floor(steps / TIME_BASE + Fraction(1, 2)))
        pts = nominal
        if time_ns and self._origin_ns is not None:
            pts = round((time_ns - self._origin_ns) * 90_000 / 1_000_000_000)
        if time_ns and (self._origin_ns is None or pts < least):
            pts, self._origin_ns = nominal, time_ns - _ns(nominal)
        self._last = (index, pts)
        return pts


def _ns(pts: int) -> int:
    return pts * 1_000_000_000 // 90_000
