"""Handles that look like what they stand for."""

from __future__ import annotations

import ast
import inspect
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from pyacq_lab.errors import ConfigurationError, PyacqError, UnknownName
from pyacq_lab.model.ledger import ReaderStatus
from pyacq_lab.model.remote import MethodInfo, ObjectInfo, Reference
from pyacq_lab.model.stream import StreamAddress, StreamSpec
from pyacq_lab.remote.calls import Target
from pyacq_lab.wire.messages import Describe


class Lookalike:
    """Base of handles: public methods and attributes of the remote object, with completion and help.

    A subclass has ``_target`` and ``_methods``. Attributes can be read but not set: what may change over
    there is changed by its methods.
    """

    _own: ClassVar[frozenset[str]] = frozenset()
    """Public attributes of the handle itself, which may be set."""

    _target: Target
    _methods: dict[str, MethodInfo]

    @property
    def _title(self) -> str:
        return self._target.where

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name in self._methods:
            made = remote_method(self._target, self._methods[name])
            self.__dict__[name] = made
            return made
        try:
            return self._target.get(name)
        except UnknownName:
            known = ", ".join(dir_of(self))
            raise AttributeError(
                f"{self._title} has no public attribute or method {name!r} (it has: {known})"
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name.startswith("_") or name in self._own):
            raise AttributeError(
                f"{name!r} of {self._title} cannot be set from here: configure it or call a method of it"
            )
        object.__setattr__(self, name, value)

    def __dir__(self) -> list[str]:
        try:
            offered = dir_of(self)
        except PyacqError:  # completion must work on what has died, too
            offered = list(self.__dict__.get("_methods", ()))
        return sorted({*super().__dir__(), *offered})

    def _pyacq_described_(self, own: ObjectInfo) -> ObjectInfo:
        """What a handle of this handle needs to know, in yet another process; may wait."""
        there = describe(self._target)
        mine = {m.name for m in own.methods}
        methods = (
            *own.methods,
            *(m for m in {**self._methods, **_by_name(there)}.values() if m.name not in mine),
        )
        return ObjectInfo(there.type, there.doc, methods, tuple(sorted({*own.attributes, *there.attributes})))


class RemoteObject(Lookalike):
    """Handle of any object in a nodegroup; the object lives as long as handles of it do.

    Parameters
    ----------
    target : Target
        Where it is.
    reference : Reference
        Its address, for others.
    release : callable, optional
        Called once when ``target`` is gone, which this handle and its methods share; must hold no
        reference to it.
    """

    def __init__(
        self, target: Target, reference: Reference, release: Callable[[], None] | None = None
    ) -> None:
        self._target = target
        self._reference = reference
        self._info: ObjectInfo | None = None
        if release is not None:
            # A method that was taken from this handle outlives it: as in ``node.input.connect(...)``.
            weakref.finalize(target, release).atexit = False

    def __repr__(self) -> str:
        return f"<remote {self._reference.type} in {self._reference.where}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, where it is callable; takes ``_sync``, ``_timeout`` and ``_return_type`` as methods do."""
        return self._target.call("__call__", *args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteObject) and _key(self._reference) == _key(other._reference)

    def __hash__(self) -> int:
        return hash(_key(self._reference))

    def _pyacq_reference_(self) -> Reference:
        return self._reference

    def _described(self) -> ObjectInfo:
        info = self._info
        if info is None:
            info = self._info = describe(self._target)
        return info

    @property
    def _methods(self) -> dict[str, MethodInfo]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _by_name(self._described())


class RemotePort:
    """An input or output of a node in another nodegroup.

    Attributes
    ----------
    node : RemoteObject
        Whose port it is.
    name : str
        Its name.
    """

    def __init__(self, node: RemoteObject, name: str, reference: Reference) -> None:
        self.node = node
        self.name = name
        self._reference = reference

    def __repr__(self) -> str:
        return f"<remote port {self._reference.where}>"

    def _pyacq_reference_(self) -> Reference:
        return self._reference

    @property
    def address(self) -> StreamAddress:
        """Where an output can be read."""
        return self.node.output_address(self.name)

    @property
    def spec(self) -> StreamSpec | None:
        """What an output's stream is; None while its node is not initialised."""
        return self.node.output_spec(self.name)

    def readers(self) -> tuple[ReaderStatus, ...]:
        """Accounts of an output's readers, as it has them."""
        return tuple(self.node.output_readers(self.name))

    def configure(self, **settings: Any) -> None:
        """Say how this output is served, as `OutputHandle.configure` does."""
        if not self._reference.target.startswith("output:"):
            raise ConfigurationError(f"{self!r} is not an output: only how an output is served can be said")
        self.node.configure_output(self.name, **settings)

    def connect(
        self,
        output: RemotePort,
        policy: str | None = None,
        backfill: float = 0.0,
        transfermode: str = "auto",
    ) -> None:
        """Wire this input to an output."""
        if not self._reference.target.startswith("input:"):
            raise ConfigurationError(f"{self!r} is not an input")
        self.node.connect(self.name, output.address, policy, backfill, transfermode)


def describe(target: Target) -> ObjectInfo:
    """Ask what a remote object offers now; answered whatever runs over there."""
    return target.channel.client.call(Describe(target.name), 5.0)


def dir_of(handle: Any) -> list[str]:
    """Public methods and attributes of the remote object, as it is now."""
    target: Target = handle._target  # noqa: SLF001  a part of Lookalike
    info = describe(target)
    return sorted({*(m.name for m in info.methods), *info.attributes})


def remote_method(target: Target, info: MethodInfo) -> Callable[..., Any]:
    """Make a function that calls a remote method and looks like it."""

    def remote(*args: Any, **kwargs: Any) -> Any:
        return target.call(info.name, *args, **kwargs)

    remote.__name__ = info.name
    remote.__qualname__ = f"{target.where}.{info.name}"
    remote.__doc__ = f"{info.name}{info.signature}\n\n{info.doc}"
    remote.__signature__ = parse_signature(info.signature)  # pyright: ignore[reportFunctionMemberAccess]
    return remote


def parse_signature(text: str) -> inspect.Signature:
    """Names, kinds and presence of defaults from the text of a signature, without evaluating it."""
    try:
        arguments = ast.parse(f"def f{text}: ...").body[0].args  # pyright: ignore[reportAttributeAccessIssue]
    except SyntaxError:  # a default whose repr is no Python
        return parse_signature("(*args, **kwargs)")
    kinds = inspect.Parameter
    made: list[inspect.Parameter] = []
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    for i, a in enumerate(positional):
        kind = kinds.POSITIONAL_ONLY if i < len(arguments.posonlyargs) else kinds.POSITIONAL_OR_KEYWORD
        default = (
            _Shown(ast.unparse(arguments.defaults[i - first_default])) if i >= first_default else kinds.empty
        )
        made.append(inspect.Parameter(a.arg, kind, default=default))
    if arguments.vararg:
        made.append(inspect.Parameter(arguments.vararg.arg, kinds.VAR_POSITIONAL))
    for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        shown = kinds.empty if default is None else _Shown(ast.unparse(default))
        made.append(inspect.Parameter(a.arg, kinds.KEYWORD_ONLY, default=shown))
    if arguments.kwarg:
        made.append(inspect.Parameter(arguments.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(made)


class _Shown:
    """A default value that is only ever shown."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _by_name(info: ObjectInfo) -> dict[str, MethodInfo]:
    return {m.name: m for m in info.methods}


def _key(reference: Reference) -> tuple[str, str]:
    return reference.public_key, reference.target
