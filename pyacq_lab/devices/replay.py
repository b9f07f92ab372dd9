"""A recording that plays again as if it were a device."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from pyacq_lab.devices.playback import Playback, PlaybackSettings
from pyacq_lab.devices.recordings import Recording, Tracks, load_dataset, load_file
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.settings import setting


class ReplaySettings(PlaybackSettings):
    """Settings of `Replay`: give either `path` or `dataset`."""

    path: str | None = setting(
        None,
        description="recording on the node's machine: .npy, .csv, .wav, .edf, .bdf, .xdf, .h5, .nwb, "
        "or a run folder",
    )
    dataset: Literal["ecg"] | None = setting(None, description="recording that a package ships; 'ecg'")
    sample_rate: float | None = setting(
        None,
        gt=0,
        unit="Hz",
        description="sample rate; needed for .npy, and .csv without times; else the recording's own",
    )
    units: str | None = setting(None, description="units of the samples; None: the recording's own")
    channel_names: tuple[str, ...] = setting(
        (), description="names of the channels; empty: the recording's own"
    )
    streams: tuple[str, ...] = setting(
        (), description="which streams of the recording are played; empty: all that it holds"
    )
    segment: int | None = setting(
        None, ge=0, description="of a run folder: which start, where there were several"
    )

    @model_validator(mode="after")
    def _one_recording(self) -> Self:
        if (self.path is None) == (self.dataset is None):
            raise ValueError("give either path='...' or dataset='ecg'")
        return self


class Replay(Playback):
    """A recording as a device, in the recording's own data type.

    Samples are paced by absolute deadlines: the replay never drifts from its clock. A late wake-up catches
    up with several chunks in one, and no sample is lost. Sample times count from the start at the sample
    rate also at another ``speed`` and with ``realtime=False``, where they run ahead of the clock; then the
    replay waits for lossless readers. Frames of an encoded video have the times that they were recorded with.

    A recording of one stream has the output `out`. One of several has an output for each: run folders, XDF,
    HDF5 and NWB files by their names, EDF and BDF files one for each sample rate and unit, such as ``256 Hz
    uV``, and their annotations as `events`. They are played from a common beginning, each with the delay that
    it had. What was missing in the recording is missing again. HDF5 files are those that `Run.export` writes;
    run folders, HDF5, NWB and NPY files are read as they are played, others as a whole.

    The dataset ``"ecg"`` is the electrocardiogram that PyWavelets ships: see `recordings.load_dataset`.
    """

    settings_type = ReplaySettings
    settings: ReplaySettings

    def __init__(self, settings: ReplaySettings) -> None:
        super().__init__(settings, _load(settings))


def _load(settings: ReplaySettings) -> Tracks:
    if settings.path is not None:
        tracks = load_file(settings.path, settings.sample_rate, settings.segment)
    else:
        tracks = load_dataset(settings.dataset or "", settings.sample_rate)
    unknown = [name for name in settings.streams if name not in tracks]
    if unknown:
        raise ConfigurationError(f"no stream {unknown[0]!r} in the recording: it has {', '.join(tracks)}")
    chosen = {name: tracks[name] for name in settings.streams or tracks}
    if len(chosen) == 1:
        chosen = {"out": next(iter(chosen.values()))}
    if settings.units is None and not settings.channel_names:
        return chosen
    recordings = [name for name, track in chosen.items() if isinstance(track, Recording)]
    if len(recordings) != 1:
        raise ConfigurationError(
            f"units and channel_names for {len(recordings)} streams: choose one with streams=['...']"
        )
    return {
        name: track.relabelled(settings.units, settings.channel_names)
        if isinstance(track, Recording)
        else track
        for name, track in chosen.items()
    }
