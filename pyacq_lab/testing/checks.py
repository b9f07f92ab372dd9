"""How the contracts fail: in words that the author of a node understands."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pyacq_lab.model.stream import StreamSpec


def check(condition: bool, message: str) -> None:
    """Raise AssertionError with this message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def check_samples(data: npt.NDArray[Any], spec: StreamSpec, where: str) -> None:
    """Raise AssertionError where samples are not what their stream's spec says."""
    check(
        data.dtype == spec.np_dtype and data.shape[1:] == spec.sample_shape,
        f"{where}: came {data.dtype} of shape {data.shape}; "
        f"the spec says {spec.np_dtype} of shape (n_samples, {', '.join(map(str, spec.sample_shape))})",
    )


def is_same(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    """Whether two arrays are equal in type, shape and every bit, NaN included."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def random_samples(rng: np.random.Generator, spec: StreamSpec, n_samples: int) -> npt.NDArray[Any]:
    """Random samples of any data type, for a stream of this spec; finite where the type knows finite."""
    shape = (n_samples, *spec.sample_shape)
    dtype = spec.np_dtype
    if dtype.kind in "fc":
        return (100.0 * rng.standard_normal(shape)).astype(dtype)
    raw = rng.integers(0, 256, (n_samples, spec.sample_nbytes), dtype=np.uint8)
    if dtype.kind == "b":
        raw &= 1
    return raw.reshape(-1).view(dtype).reshape(shape)


def random_cuts(rng: np.random.Generator, n_samples: int) -> list[slice]:
    """Cut ``n_samples`` into consecutive slices, some of them empty and some of one sample."""
    sizes = [0, 1, 1, 0]
    while sum(sizes) < n_samples:
        longest = (1, 2, 3, 64, max(2, n_samples // 2))[rng.integers(5)]
        sizes.append(int(rng.integers(0, longest)))
    stops = np.minimum(np.cumsum(sizes), n_samples).tolist()
    return [slice(a, b) for a, b in zip([0, *stops], [*stops, n_samples], strict=True)]
