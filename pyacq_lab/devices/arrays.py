"""Arrays in, stream out."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from pyacq_lab.devices.playback import Playback, PlaybackSettings
from pyacq_lab.devices.recordings import Recording
from pyacq_lab.errors import ConfigurationError
from pyacq_lab.model.settings import setting


def _as_samples(value: Any) -> npt.NDArray[Any]:
    array = np.array(value)  # a copy: what is played does not change with what the caller does to it
    if array.dtype.hasobject:
        raise ValueError(f"an array of {array.dtype} holds Python objects: wanted numbers")
    if array.dtype.kind not in "biufcV":
        raise ValueError(f"an array of {array.dtype}: wanted numbers")
    if array.ndim < 1 or not array.size:
        raise ValueError(f"an array of shape {array.shape}: wanted samples, time first")
    array.flags.writeable = False
    return array[:, np.newaxis] if array.ndim == 1 else array


def _in_words(array: npt.NDArray[Any]) -> str:
    return f"array of {array.dtype}, shape {array.shape}"


SampleArray = Annotated[
    Any,
    BeforeValidator(_as_samples),
    PlainSerializer(_in_words, when_used="json"),
    WithJsonSchema({"type": "array", "description": "samples, time first"}),
]
"""An array as a setting; in a node's status it is told in words, not in numbers."""


class ArraySourceSettings(PlaybackSettings):
    """Settings of `ArraySource`."""

    data: SampleArray = setting(description="samples, shape (n_samples, n_channels), or (n_samples,) for one")
    sample_rate: float = setting(1000.0, gt=0, unit="Hz", description="sample rate")
    units: str = setting("", description="units of the samples")
    channel_names: tuple[str, ...] = setting((), description="names of the channels; empty: their numbers")


class ArraySource(Playback):
    """An array as a device, output `out`, in the array's own data type; what Pyacq calls NumpyDeviceBuffer.

    It is played once, or several times without a pause (`loops`): at its sample rate, several times as fast
    (`speed`), or as fast as the samples are taken (``realtime=False``). Arrays of more than two dimensions
    are video.

    Examples
    --------
    >>> source.configure(data=np.random.randn(10_000, 16), sample_rate=1000, loops=0)
    """

    settings_type = ArraySourceSettings
    settings: ArraySourceSettings

    def __init__(self, settings: ArraySourceSettings) -> None:
        s = settings
        try:
            recording = Recording(s.data, s.sample_rate, units=s.units, channel_names=s.channel_names)
            super().__init__(s, {"out": recording})
        except ConfigurationError as error:
            raise ConfigurationError(f"data of shape {s.data.shape}: {error}") from None
