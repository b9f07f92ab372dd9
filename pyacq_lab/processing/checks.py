"""What transforms of signals ask of their input."""

from __future__ import annotations

from pyacq_lab.errors import StreamMismatch
from pyacq_lab.model.stream import StreamSpec


def require_signal(spec: StreamSpec, who: str) -> StreamSpec:
    """Give the spec back if it is one of real numbers in channels.

    Raises
    ------
    StreamMismatch
        The samples are complex, structured, pictures, or not of an analog signal.
    """
    if spec.streamtype != "analogsignal" or len(spec.shape) != 2 or spec.np_dtype.kind not in "iuf":
        raise StreamMismatch(
            f"{who} takes an analogsignal of real numbers, shape (-1, n_channels); "
            f"came: {spec.streamtype} of {spec.np_dtype}, shape {spec.shape}"
        )
    return spec
