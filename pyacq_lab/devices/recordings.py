"""Recordings that can be replayed: files in common formats, and one that a package ships."""

from __future__ import annotations

import csv
import struct
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.optional import import_optional
from pyacq_lab.model.stream import StreamSpec


@dataclass(frozen=True, eq=False)
class Recording:
    """Samples and what is known about them.

    Attributes
    ----------
    data : ndarray, shape (n_samples, n_channels) or (n_samples, height, width, ...)
        Raw samples; may be mapped from a file. At least one.
    sample_rate : float
        Hz.
    units : str
        Units of ``raw * scale``.
    scale : float
        Factor from raw samples to units.
    channel_names : tuple of str
        Names, or empty.
    """

    data: npt.NDArray[Any]
    sample_rate: float
    units: str = ""
    scale: float = 1.0
    channel_names: tuple[str, ...] = ()

    def relabelled(self, units: str | None, channel_names: tuple[str, ...]) -> Recording:
        """Copy with the user's labels where they were given."""
        names = channel_names or self.channel_names
        return replace(self, units=self.units if units is None else units, channel_names=names)

    def spec(self) -> StreamSpec:
        """Describe the samples as a stream."""
        return StreamSpec.of(
            self.data.dtype,
            streamtype="analogsignal" if self.data.ndim == 2 else "video",
            shape=(-1, *self.data.shape[1:]),
            sample_rate=self.sample_rate,
            units=self.units,
            scale=self.scale,
            channel_names=self.channel_names,
        )


def load_file(path: str, sample_rate: float | None) -> Recording:
    """Load a .npy, .csv or .wav file.

    Raises
    ------
    ConfigurationError
        The file is missing, empty, damaged or of another kind, or its sample rate is not known.
    """
    loaders = {".npy": _load_npy, ".csv": _load_csv, ".wav": _load_wav}
    file = Path(path).expanduser()
    loader = loaders.get(file.suffix.lower())
    if loader is None:
        raise ConfigurationError(f"path={path!r}: wanted a file that ends in {', '.join(loaders)}")
    try:
        recording = loader(file, sample_rate)
    except ConfigurationError:
        raise
    except (OSError, ValueError, EOFError, UserWarning) as error:
        raise ConfigurationError(f"path={path!r} cannot be read as {file.suffix}: {error}") from error
    data = recording.data
    if data.ndim < 1 or not data.size:
        raise ConfigurationError(f"path={path!r} holds an array of shape {data.shape}: wanted samples")
    return replace(recording, data=data[:, np.newaxis] if data.ndim == 1 else data)


def load_dataset(name: str, sample_rate: float | None) -> Recording:
    """Load a recording that an installed package ships.

    ``"ecg"`` is `pywt.data.ecg` of PyWavelets: 1024 samples of a human electrocardiogram in one channel.
    PyWavelets states neither its origin nor its sample rate nor its calibration. It is taken at 360 Hz, the
    rate of the MIT-BIH Arrhythmia Database (Moody & Mark, IEEE Eng. Med. Biol. 20(3):45-50, 2001), from
    which it is commonly held to come and at which its heart beats 66 times a minute. Its samples are left
    as they are, in units of the analog-to-digital converter (``adu``). Played in a loop it has a step
    where its end meets its beginning.
    """
    if name != "ecg":
        raise ConfigurationError(f"dataset={name!r}: wanted 'ecg'")
    data = import_optional("pywt.data", "dataset='ecg'", "PyWavelets").ecg()
    return Recording(data[:, np.newaxis], sample_rate or 360.0, units="adu", channel_names=("ecg",))


def _load_npy(file: Path, sample_rate: float | None) -> Recording:
    # Mapped, not read: a recording may be larger than memory.
    return Recording(np.load(file, mmap_mode="r", allow_pickle=False), _needed(sample_rate, file))


def _load_csv(file: Path, sample_rate: float | None) -> Recording:
    with file.open(newline="", encoding="utf-8-sig") as lines:
        first = next(csv.reader(lines), [])
    if not first:
        raise ValueError("its first line is empty")
    is_header = any(not _is_number(cell) for cell in first)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no line after the header
        data = np.loadtxt(
            file,
            delimiter=",",
            ndmin=2,
            skiprows=int(is_header),
            encoding="utf-8-sig",
            comments=None,
            converters=lambda cell: float(cell.strip() or "nan"),
        )
    names = tuple(cell.strip() for cell in first) if is_header else ()
    return Recording(data, _needed(sample_rate, file), channel_names=names)


def _load_wav(file: Path, sample_rate: float | None) -> Recording:
    from scipy.io import wavfile

    try:
        rate, data = wavfile.read(file)
    except struct.error as error:
        raise ValueError(f"cut short: {error}") from error
    if sample_rate is not None and sample_rate != rate:
        raise ConfigurationError(
            f"sample_rate={sample_rate}: {file.name} was recorded at {rate} Hz; leave the setting out"
        )
    if data.dtype == np.uint8:  # the one unsigned kind of the format, with silence at 128
        data = data.astype(np.int16) - 128
        scale = 1 / 128
    else:
        scale = 1 / (np.iinfo(data.dtype).max + 1) if data.dtype.kind == "i" else 1.0
    return Recording(data, float(rate), units="FS", scale=scale)


def _needed(sample_rate: float | None, file: Path) -> float:
    if sample_rate is None:
        raise ConfigurationError(f"{file.name} does not say its sample rate: give sample_rate, Hz")
    return sample_rate


def _is_number(cell: str) -> bool:
    """Whether a cell holds a sample; an empty one stands for NaN."""
    try:
        float(cell.strip() or "nan")
    except ValueError:
        return False
    return True
