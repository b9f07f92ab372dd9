"""Channels of a stream by name, index or slice, and what the spec says of those alone."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StrictInt, StrictStr

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.stream import StreamSpec

_SLICE = re.compile(r"\s*(-?\d*)\s*:\s*(-?\d*)\s*(?::\s*(-?\d*)\s*)?")

Selection = Annotated[tuple[StrictInt | StrictStr, ...], Field(min_length=1)]
"""In settings: channels as `find_channels` takes them."""

Columns = slice | list[int]
"""What picks channels out of an array; numpy takes a slice without a copy."""

PER_CHANNEL = ("scale", "offset")
"""Fields of a spec that hold one value for all channels, or one for each."""


def require_columns(spec: StreamSpec, who: str) -> StreamSpec:
    """Give the spec back if it is one of signals in channels. Raises StreamMismatch where it is not."""
    if len(spec.shape) != 2 or spec.streamtype not in ("analogsignal", "digitalsignal"):
        raise StreamMismatch(
            f"{who} takes an analogsignal or digitalsignal, shape (-1, n_channels); "
            f"came: {spec.streamtype}, shape {spec.shape}"
        )
    return spec


def find_channels(spec: StreamSpec, wanted: Sequence[int | str], where: str) -> list[int]:
    """Indices of the channels that a selection means, in its order.

    Parameters
    ----------
    spec : StreamSpec
        Of a stream of shape ``(-1, n_channels)``.
    wanted : sequence of int or str
        Indices (negative ones count from the end), names, and slices as text, such as ``"0:8"``. A text that
        is a channel's name is that name.
    where : str
        Who asks, for the error.

    Raises
    ------
    ConfigurationError
        A channel does not exist or comes twice, or nothing is selected.
    """
    found = [index for item in wanted for index in _indices(spec, item, where)]
    if not found:
        raise ConfigurationError(f"{where}: {list(wanted)} selects no channel of {_known(spec)}")
    twice = sorted({index for index in found if found.count(index) > 1})
    if twice:
        raise ConfigurationError(
            f"{where}: {list(wanted)} selects {', '.join(repr(spec.names[i]) for i in twice)} "
            "more than once: select each channel once"
        )
    return found


def select_channels(spec: StreamSpec, indices: Sequence[int]) -> StreamSpec:
    """Describe the stream of these channels alone.

    Their names stay: a channel without one keeps the number that it had.
    """
    changes: dict[str, Any] = {
        field: tuple(value[i] for i in indices)
        for field in PER_CHANNEL
        if isinstance(value := getattr(spec, field), Sequence)
    }
    names = tuple(spec.names[i] for i in indices)
    return spec.replace(shape=(-1, len(indices)), channel_names=names, **changes)


def as_columns(indices: list[int]) -> Columns:
    """The same columns as a slice, where that can say it."""
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    stop = indices[-1] + (1 if step > 0 else -1)
    if step == 0 or indices != list(range(indices[0], stop, step)):
        return indices
    return slice(indices[0], None if stop < 0 else stop, step)


def _indices(spec: StreamSpec, item: int | str, where: str) -> Sequence[int]:
    n = spec.n_channels
    if isinstance(item, int):
        if not -n <= item < n:
            raise ConfigurationError(f"{where}: no channel {item} among {_known(spec)}")
        return (item % n,)
    if item in spec.names:
        return (spec.names.index(item),)
    if match := _SLICE.fullmatch(item):
        parts = [int(text) if text else None for text in match.groups()]
        if parts[2] == 0:
            raise ConfigurationError(f"{where}: slice {item!r} has step 0: wanted another")
        return range(n)[slice(*parts)]
    near = difflib.get_close_matches(item, spec.names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigurationError(f"{where}: no channel {item!r}: {hint}There are {_known(spec)}")


def _known(spec: StreamSpec) -> str:
    names = ", ".join(spec.names[:20]) + (", ..." if spec.n_channels > 20 else "")
    return f"{spec.n_channels} channels: {names}"
