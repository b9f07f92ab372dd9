"""Pictures of cameras, files and generators, by PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pyacq_lab.devices.pacing import NS_PER_S
from pyacq_lab.errors import ConfigurationError, EndOfStream
from pyacq_lab.model.chunk import Reading
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.roles import Source
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

_DEVICES = {"v4l2", "dshow", "avfoundation", "gdigrab", "x11grab"}


class VideoSourceSettings(Settings):
    """Settings of `VideoSource`."""

    source: str = setting(
        "testsrc2=size=320x240:rate=25",
        description="file, device such as '/dev/video0', URL, or a generator of FFmpeg with format='lavfi'",
    )
    format: str = setting(
        "", description="FFmpeg's name of the format: 'v4l2', 'lavfi', ...; empty: found by itself"
    )
    options: dict[str, str] = setting({}, description="options of FFmpeg, such as {'framerate': '30'}")
    pixels: Literal["rgb24", "gray"] = setting("rgb24", description="colours, or shades of grey")
    sample_rate: float | None = setting(
        None, gt=0, unit="Hz", description="nominal frame rate where the source says none"
    )
    realtime: bool = setting(
        True, description="pace files by their frame times; False: as fast as frames are taken"
    )
    loops: int = setting(1, ge=0, description="times that a file is played; 0: endlessly")
    timeout: float = setting(5.0, gt=0, unit="s", description="how long a network source may be silent")


class VideoSource(Source):
    """Video, output `out`: uint8, shape (-1, height, width, 3), or (-1, height, width) in shades of grey.

    Each frame is a chunk with a time of its own, as the source stamped it: the first one is at the moment
    when it came, the others as far from it as their time stamps say. Frames of a camera that never came are
    lost samples, by the time stamps. A file may have frames at uneven times: its indices count frames.
    """

    settings_type = VideoSourceSettings
    settings: VideoSourceSettings

    def __init__(self, settings: VideoSourceSettings) -> None:
        super().__init__(settings)
        self._av = import_optional("av", "VideoSource", "av", "video")
        self._is_generated = settings.source.startswith("testsrc") or settings.format == "lavfi"
        self._is_live = settings.format in _DEVICES or "://" in settings.source
        self.waits = not settings.realtime and not self._is_live
        self._container: Any = None
        self._spec: StreamSpec | None = None
        self._next: tuple[npt.NDArray[np.uint8], int] | None = None

    def describe(self) -> Mapping[str, StreamSpec]:
        """One output of pictures, as the source says; ConfigurationError where it cannot be opened."""
        if self._spec is None:
            try:
                container = self._opened()
            except OSError as error:
                raise ConfigurationError(str(error)) from error
            try:
                self._spec = self._spec_of(container)
            finally:
                container.close()
        return {"out": self._spec}

    def open(self) -> None:
        """Open the source; the first frame that comes is at that time."""
        self._container = self._opened()
        spec = self._spec_of(self._container)
        if self._spec is not None and spec != self._spec:
            raise ConnectionError(
                f"{self.settings.source} is another one now ({spec.differences(self._spec)}): configure again"
            )
        self._frames = self._container.decode(video=0)
        self._loop, self._origin, self._first, self._last = 1, None, 0, None
        self._next = None

    def read(self, timeout: float) -> Reading | None:
        """Give the next frame."""
        if self._next is None:
            self._next = self._decoded()
        picture, time_ns = self._next
        if self.settings.realtime and not self._is_live:
            left = time_ns - self.clock.now_ns()
            self.clock.sleep(min(max(0, left) / NS_PER_S, timeout))
            if self.clock.now_ns() < time_ns:
                return None
        self._next = None
        lost = self._lost(time_ns)
        self._last = time_ns
        return Reading(picture[np.newaxis], lost, time_ns)

    def close(self) -> None:
        """Close the source."""
        container, self._container = self._container, None
        self._frames: Iterator[Any] = iter(())
        if container is not None:
            container.close()

    # ---

    def _opened(self) -> Any:
        s = self.settings
        form = s.format or ("lavfi" if self._is_generated else None)
        try:
            container = self._av.open(s.source, format=form, options=dict(s.options), timeout=s.timeout)
        except (self._av.error.FFmpegError, ValueError) as error:
            raise ConnectionError(f"video source {s.source!r} cannot be opened: {error}") from error
        if not container.streams.video:
            container.close()
            raise ConnectionError(f"{s.source!r} holds no video")
        return container

    def _spec_of(self, container: Any) -> StreamSpec:
        stream, s = container.streams.video[0], self.settings
        rate = s.sample_rate or float(stream.average_rate or stream.guessed_rate or 0)
        if not rate:
            raise ConfigurationError(f"{s.source!r} says no frame rate: give sample_rate, Hz")
        colours = (3,) if s.pixels == "rgb24" else ()
        shape = (-1, stream.height, stream.width, *colours)
        return StreamSpec.of(np.uint8, streamtype="video", shape=shape, sample_rate=rate)

    def _decoded(self) -> tuple[npt.NDArray[np.uint8], int]:
        """Next frame and its time."""
        frame = self._frame()
        picture = frame.to_ndarray(format=self.settings.pixels)
        stamp = round(frame.pts * frame.time_base * NS_PER_S)
        if self._origin is None:
            # A file that is played again goes on one period after its last frame.
            period = round(NS_PER_S / self.describe()["out"].sample_rate)
            self._origin = self.clock.now_ns() if self._last is None else self._last + period
            self._first = stamp
        return picture, self._origin + stamp - self._first

    def _frame(self) -> Any:
        while True:
            try:
                frame = next(self._frames)
                if frame.pts is not None:
                    return frame
            except (StopIteration, self._av.error.EOFError):
                if self._is_live:
                    raise ConnectionError(f"video source {self.settings.source!r} has ended") from None
                if self._loop == self.settings.loops:
                    raise EndOfStream(f"{self.settings.source!r} is at its end") from None
                self._again()
            except self._av.error.FFmpegError as error:
                raise ConnectionError(f"video source {self.settings.source!r} is lost: {error}") from error

    def _again(self) -> None:
        self._container.close()
        self._container = self._opened()
        self._frames = self._container.decode(video=0)
        self._loop, self._origin = self._loop + 1, None

    def _lost(self, time_ns: int) -> int:
        if not self._is_live or self._last is None:
            return 0
        periods = (time_ns - self._last) * self.describe()["out"].sample_rate / NS_PER_S
        return max(0, round(periods) - 1)
