"""Functions as nodes: what they take besides samples becomes the settings of a node type.

Sources that are functions stand in `pyacq_lab.devices.function`, since they are paced.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast, get_type_hints

import numpy as np
import numpy.typing as npt
from pydantic import PydanticUserError, create_model
from pydantic.fields import FieldInfo

from pyacq_lab.errors import ConfigurationError, StreamMismatch
from pyacq_lab.model.chunk import Chunk, Gap
from pyacq_lab.model.roles import Component, Sink, Transform
from pyacq_lab.model.settings import Settings, setting
from pyacq_lab.model.stream import StreamSpec

Function = Callable[..., Any]

N = TypeVar("N", bound="FunctionNode")


class FunctionNode(Component):
    """Common part of node types that are made of a function.

    Attributes
    ----------
    function : callable
        What the author wrote; called with samples, and the settings by name.
    fields : mapping
        What the author says of the stream that comes out; see `StreamSpec`.
    """

    function: ClassVar[Function]
    fields: ClassVar[Mapping[str, Any]] = {}

    def _call(self, samples: npt.NDArray[Any]) -> Any:
        """Call the function with the settings in force."""
        values = {name: getattr(self.settings, name) for name in self.settings_type.model_fields}
        return type(self).function(samples, **values)

    def _array(self, samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Call it, and refuse what is not one row for each sample; one number for each is one channel."""
        made = np.asarray(self._call(samples))
        if made.ndim < 1 or len(made) != len(samples):
            raise StreamMismatch(
                f"{type(self).__name__} took {len(samples)} samples and gave an array of shape {made.shape}: "
                "wanted one row for each sample; write a class where that does not fit"
            )
        is_channel = made.ndim == 1 and made.dtype.names is None and len(self.fields.get("shape", ())) != 1
        return made[:, np.newaxis] if is_channel else made

    def _described(self, made: npt.NDArray[Any], spec: StreamSpec) -> StreamSpec:
        """Spec of a stream of such arrays, with what the author says of it."""
        shape = (-1, *made.shape[1:])
        changes: dict[str, Any] = {"dtype": made.dtype.str, "shape": shape}
        if shape != spec.shape:
            changes["channel_names"] = ()
        return spec.replace(**changes | dict(self.fields))


class FunctionTransform(FunctionNode, Transform):
    """A transform that is a function of samples."""

    at_gap = "hold"
    _spec = StreamSpec()

    def describe(self, inputs: Mapping[str, StreamSpec]) -> Mapping[str, StreamSpec]:
        """Find out what it makes of a sample of zeros."""
        self._spec = spec = inputs["in"]
        plain = spec.replace(scale=1.0, offset=0.0) if spec.is_scaled else spec
        with np.errstate(all="ignore"):
            made = self._array(self._physical(np.zeros((1, *spec.sample_shape), spec.np_dtype)))
        return {"out": self._described(made, plain)}

    def process(self, chunk: Chunk, name: str) -> npt.NDArray[Any]:
        """Call it with the samples of one chunk."""
        return self._array(self._physical(chunk.data))

    def _physical(self, data: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._spec.to_physical(data) if self._spec.is_scaled else data


class FunctionSink(FunctionNode, Sink):
    """A sink that is a function of samples."""

    _spec = StreamSpec()

    def open(self, inputs: Mapping[str, StreamSpec]) -> None:
        """Know the input."""
        self._spec = inputs["in"]

    def write(self, chunk: Chunk, name: str) -> None:
        """Call it with the samples of one chunk."""
        self._call(self._spec.to_physical(chunk.data) if self._spec.is_scaled else chunk.data)

    def gap(self, gap: Gap, name: str) -> None:
        """Leave out what is not there: a function sees samples only."""


def transform(function: Function | None = None, /, **fields: Any) -> Any:
    """Make a node type of a function that turns samples into as many others.

    It is called with an array (n_samples, n_channels), in the stream's physical units, and gives one row
    for each, or one number, which is one channel: it must not depend on how the stream is cut, and keep no
    state. Its other arguments are settings of the node, all of which may change while it runs.

    Parameters
    ----------
    function : callable
        What is decorated; the node type has its name and docstring, and is what the decorator gives.
    **fields
        What is other in the stream that comes out, such as ``units="dB"``; see `StreamSpec`.

    Examples
    --------
    >>> @transform
    ... def rectify(data, gain: float = 1.0):
    ...     return gain * abs(data)
    >>> rectify.settings_type.checked(gain=2)
    rectifySettings(gain=2.0)
    """
    return _decorator(FunctionTransform, function, fields)


def sink(function: Function | None = None, /) -> Any:
    """Make a node type of a function that does something with samples.

    It is called with the samples of each chunk, an array (n_samples, n_channels) in the stream's physical
    units, in order; gaps are left out. Its other arguments are settings, as those of `transform`.
    """
    return _decorator(FunctionSink, function, {})


def _decorator(base: type[N], function: Function | None, fields: Mapping[str, Any]) -> Any:
    if function is None:
        return lambda decorated: node_type_of(base, decorated, fields)  # pyright: ignore[reportUnknownLambdaType, reportUnknownVariableType]
    return node_type_of(base, function, fields)


def node_type_of(base: type[N], function: Any, fields: Mapping[str, Any]) -> type[N]:
    """Make a node type of a function.

    Raises
    ------
    ConfigurationError
        It is no function, takes no samples, or has arguments that cannot be settings.
    """
    if not inspect.isfunction(function):
        raise ConfigurationError(f"{function!r} is no function: decorate a def, or write a class")
    if unknown := [name for name in fields if name not in StreamSpec.__struct_fields__]:
        known = ", ".join(StreamSpec.__struct_fields__)
        raise ConfigurationError(f"{', '.join(unknown)}: a stream is described by {known}")
    namespace = {
        "__module__": function.__module__,
        "__qualname__": function.__qualname__,
        "__doc__": function.__doc__,
        "function": staticmethod(function),
        "fields": dict(fields),
        "settings_type": _settings_of(function),
    }
    return cast("type[N]", type(function.__name__, (base,), namespace))


def _settings_of(function: Function) -> type[Settings]:
    signature = inspect.signature(function)
    where = f"{function.__name__}{signature}"
    parameters = list(signature.parameters.values())
    samples, others = parameters[:1], parameters[1:]
    kinds = inspect.Parameter
    if not samples or samples[0].kind not in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD):
        raise ConfigurationError(f"{where}: wanted samples as its first argument")
    if any(p.kind not in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY) for p in others):
        raise ConfigurationError(f"{where}: each setting is an argument with a name, which * and ** have not")
    try:
        hints = get_type_hints(function, include_extras=True)
    except Exception as error:  # an annotation can be any expression
        raise ConfigurationError(f"{where}: an annotation means nothing here: {error}") from error
    made: dict[str, Any] = {p.name: (_type_of(p, hints), _field_of(p)) for p in others}
    try:
        return create_model(
            f"{function.__name__}Settings", __base__=Settings, __module__=function.__module__, **made
        )
    except (PydanticUserError, NameError) as error:
        raise ConfigurationError(f"{where}: {error}") from error


def _type_of(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    if parameter.name in hints:
        return hints[parameter.name]
    default: object = parameter.default
    tells_nothing = default is parameter.empty or default is None or isinstance(default, FieldInfo)
    return Any if tells_nothing else type(default)


def _field_of(parameter: inspect.Parameter) -> Any:
    if isinstance(parameter.default, FieldInfo):  # it says itself whether it is live
        return parameter.default
    given = () if parameter.default is parameter.empty else (parameter.default,)
    return setting(*given, live=True)
