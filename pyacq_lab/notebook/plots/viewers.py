"""Viewers beside the oscilloscope: each is a scene, and what a user may say of it."""

from __future__ import annotations

from collections.abc import Sequence

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.notebook.plots.feed import Feed, FeedHandle
from pyacq_lab.notebook.plots.screen import SceneView
from pyacq_lab.viewing.digital import DigitalScene
from pyacq_lab.viewing.eventrows import EventScene
from pyacq_lab.viewing.images import ImageScene
from pyacq_lab.viewing.numbers import Limits, NumberScene
from pyacq_lab.viewing.powerspectrum import PowerSpectrumScene
from pyacq_lab.viewing.spectrogram import SpectrogramScene
from pyacq_lab.viewing.sweeps import SweepScene, Threshold
from pyacq_lab.viewing.xy import XYScene

Stream = Feed | FeedHandle


class Spectrogram(SceneView):
    """Waterfall: which frequencies are strong at each moment, one plot per channel.

    Colour map and range are set while it runs. A gap is a hatched red band. Streams of `TimeFrequency` and
    `Spectrum` nodes are shown as they are; signals are cut into segments with a Hann window.

    Parameters
    ----------
    source : Feed or FeedHandle
        A node's output, or a feed.
    window : float
        Seconds shown.
    channels : sequence of str or int, optional
        Which; the first four unless given.
    segment : float, optional
        Seconds of signal behind one column; by default 1 s, or 512 samples where that is less.
    frequencies : (float, float), optional
        Lowest and highest shown, Hz.
    levels : (float, float), optional
        What the least and the greatest colour stand for, dB; fitted to what is seen unless given.
    palette : {'Viridis', 'Inferno', 'Cividis', 'Turbo', 'Greys'}
        Colour map.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.

    Examples
    --------
    >>> Spectrogram(node.output, channels=["C3", "C4"], frequencies=(0, 80))      # doctest: +SKIP
    """

    def __init__(
        self,
        source: Stream,
        *,
        window: float = 10.0,
        channels: Sequence[str | int] | None = None,
        segment: float | None = None,
        frequencies: tuple[float, float] | None = None,
        levels: tuple[float, float] | None = None,
        palette: str = "Viridis",
        fps: float = 20.0,
        title: str = "",
    ) -> None:
        self._open(
            (source,),
            lambda specs, _: SpectrogramScene(
                specs[0], window, channels, segment, frequencies, levels, palette
            ),
            fps=fps,
            title=title,
            backfill=window,
        )


class PowerSpectrum(SceneView):
    """Mean power by frequency over the last seconds, a line per channel.

    Parameters
    ----------
    source : Feed or FeedHandle
        A signal's output, that of a `Spectrum` node, or a feed.
    channels : sequence of str or int, optional
        Which; the first 16 unless given.
    average : float
        Seconds over which is averaged.
    segment : float, optional
        Seconds of one spectrum: 1 / segment is the distance of frequencies. By default 2 s, or 2048 samples
        where that is less.
    frequencies : (float, float), optional
        Lowest and highest shown, Hz.
    log_frequency, decibel, hold : bool
        Powers of ten at equal distances; dB rather than power; keep the greatest beside the mean.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.
    """

    def __init__(
        self,
        source: Stream,
        *,
        channels: Sequence[str | int] | None = None,
        average: float = 2.0,
        segment: float | None = None,
        frequencies: tuple[float, float] | None = None,
        log_frequency: bool = False,
        decibel: bool = True,
        hold: bool = False,
        fps: float = 10.0,
        title: str = "",
    ) -> None:
        self._open(
            (source,),
            lambda specs, _: PowerSpectrumScene(
                specs[0], channels, average, segment, frequencies, log_frequency, decibel, hold
            ),
            fps=fps,
            title=title,
            backfill=average + (segment or 2.0),
        )


class ImageViewer(SceneView):
    """The newest frame of a video, its true time, and how many frames never came.

    Frames travel as JPEG, small ones as they are; where the page or the way to it is slow, frames are left
    out, never queued. What is counted as dropped is what did not reach this viewer's kernel.

    Parameters
    ----------
    source : Feed or FeedHandle
        Output of a video source, or a feed: shape (-1, height, width) or (-1, height, width, 3).
    stretch : bool
        Draw the darkest pixel black and the brightest white.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.
    """

    def __init__(self, source: Stream, *, stretch: bool = False, fps: float = 30.0, title: str = "") -> None:
        self._open(
            (source,),
            lambda specs, names: ImageScene(specs[0], names[0], stretch),
            fps=fps,
            title=title,
        )


class TriggeredOscilloscope(SceneView):
    """The last sweeps around events, or around crossings of a threshold, and their mean.

    Parameters
    ----------
    source : Feed or FeedHandle
        Output of a signal, or a feed.
    events : Feed or FeedHandle, optional
        Output of a trigger on the same source. Without it, ``threshold`` triggers.
    threshold : float, optional
        What is crossed, in the units of the stream; can be set while it runs.
    trigger_channel : str or int
        On which channel.
    edge : {'rising', 'falling'}
        Which way.
    before, after : float
        Seconds around the trigger.
    sweeps : int
        How many are kept.
    channels : sequence of str or int, optional
        Which are shown; the first four unless given.
    labels : sequence of str, optional
        Labels of the events that trigger; all unless given.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.

    Examples
    --------
    >>> TriggeredOscilloscope(ecg.output, threshold=0.5, before=0.2, after=0.6)    # doctest: +SKIP
    >>> TriggeredOscilloscope(eeg.output, trigger.output, labels=["target"])       # doctest: +SKIP
    """

    def __init__(
        self,
        source: Stream,
        events: Stream | None = None,
        *,
        threshold: float | None = None,
        trigger_channel: str | int = 0,
        edge: str = "rising",
        before: float = 0.1,
        after: float = 0.4,
        sweeps: int = 20,
        channels: Sequence[str | int] | None = None,
        labels: Sequence[str] | None = None,
        fps: float = 10.0,
        title: str = "",
    ) -> None:
        trigger = None if threshold is None else Threshold(threshold, trigger_channel, edge)
        self._open(
            (source,) if events is None else (source, events),
            lambda specs, _: SweepScene(
                specs[0],
                specs[1] if len(specs) > 1 else None,
                trigger,
                before,
                after,
                sweeps,
                channels,
                labels,
            ),
            fps=fps,
            title=title,
        )

    def reset(self) -> None:
        """Forget all sweeps."""
        self._screen.set("reset", None)


class EventRaster(SceneView):
    """What happened when: events of some streams, a row for each kind.

    Parameters
    ----------
    *sources : Feed or FeedHandle
        Outputs of events, or feeds.
    window : float
        Seconds shown.
    names : sequence of str
        Of the streams; by default the sources' own.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.
    """

    def __init__(
        self,
        *sources: Stream,
        window: float = 10.0,
        names: Sequence[str] = (),
        fps: float = 10.0,
        title: str = "",
    ) -> None:
        _check_names(names, len(sources))
        self._open(
            sources,
            lambda specs, named: EventScene(specs, named, window),
            fps=fps,
            title=title,
            names=names,
            backfill=window,
        )


class NumberPanel(SceneView):
    """The newest values of channels, large, with mean and range of the last second.

    Parameters
    ----------
    *sources : Feed or FeedHandle
        Outputs of signals, or feeds.
    window : float
        Seconds over which mean and range are taken.
    channels : sequence of str or int, optional
        Of each stream; the first 32 unless given.
    limits : dict of str to (float or None, float or None)
        By name of the channel: below the first or above the second, a number is shown as a warning.
    names : sequence of str
        Of the streams; by default the sources' own.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.
    """

    def __init__(
        self,
        *sources: Stream,
        window: float = 1.0,
        channels: Sequence[str | int] | None = None,
        limits: Limits | None = None,
        names: Sequence[str] = (),
        fps: float = 5.0,
        title: str = "",
    ) -> None:
        _check_names(names, len(sources))
        self._open(
            sources,
            lambda specs, named: NumberScene(specs, named, window, channels, limits),
            fps=fps,
            title=title,
            names=names,
            backfill=window,
        )


class XYView(SceneView):
    """One channel against another, the past fading.

    Parameters
    ----------
    source : Feed or FeedHandle
        Output of a signal, or a feed.
    x, y : str or int
        Channels, by name or number.
    window : float
        Seconds shown.
    equal : bool
        Whether both axes have the same ends.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.
    """

    def __init__(
        self,
        source: Stream,
        x: str | int = 0,
        y: str | int = 1,
        *,
        window: float = 2.0,
        equal: bool = True,
        fps: float = 20.0,
        title: str = "",
    ) -> None:
        self._open(
            (source,),
            lambda specs, _: XYScene(specs[0], x, y, window, equal),
            fps=fps,
            title=title,
            backfill=window,
        )


class DigitalOscilloscope(SceneView):
    """Lines of a digital stream, low or high, one above the other.

    A pulse of one sample is always drawn; a gap is a hatched red band.

    Parameters
    ----------
    source : Feed or FeedHandle
        Output of integers of which each bit is a line, or of bool; or a feed.
    bits : sequence of int, optional
        Which bits of each channel, 0 is the lowest; by default the lowest eight at most.
    window : float
        Seconds shown.
    fps : float
        Pictures per second, at most.
    title : str
        Written over it.
    """

    def __init__(
        self,
        source: Stream,
        *,
        bits: Sequence[int] | None = None,
        window: float = 5.0,
        fps: float = 20.0,
        title: str = "",
    ) -> None:
        self._open(
            (source,),
            lambda specs, _: DigitalScene(specs[0], bits, window),
            fps=fps,
            title=title,
            backfill=window,
        )


def _check_names(names: Sequence[str], n_sources: int) -> None:
    if names and len(names) != n_sources:
        raise ConfigurationError(f"{len(names)} names for {n_sources} streams: name each, or none")
