"""Handles of remote nodes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pyacq_lab.manager.ports import InputHandle, OutputHandle, Ports
from pyacq_lab.manager.remote import CALL_TIMEOUT, Sync, Target
from pyacq_lab.model.lifecycle import State
from pyacq_lab.model.remote import MethodInfo, NodeInfo
from pyacq_lab.model.status import NodeStatus

if TYPE_CHECKING:
    from pyacq_lab.manager.groups import NodeGroupHandle


class NodeHandle:
    """A node in a nodegroup: looks and behaves like the node, over there.

    Every public method of the node's class can be called on the handle, with tab completion, signature
    and docstring. Remote methods take two extra keywords: ``_sync`` ('sync', 'async', 'off') and
    ``_timeout`` (s).

    Attributes
    ----------
    group : NodeGroupHandle
        Where it lives.
    info : NodeInfo
        Name, type, role and methods.
    inputs, outputs : Mapping
        Its ports, by name.
    """

    def __init__(self, group: NodeGroupHandle, info: NodeInfo) -> None:
        self.group = group
        self.info = info
        self.inputs: Ports = Ports(self, InputHandle, "inputs")
        self.outputs: Ports = Ports(self, OutputHandle, "outputs")
        self._target = Target(group.client, f"node:{info.name}", self.where)
        self._methods = {m.name: m for m in info.methods}
        self.__doc__ = info.doc

    @property
    def name(self) -> str:
        """The node's name."""
        return self.info.name

    @property
    def where(self) -> str:
        """The node's place, as ``host/nodegroup/node``."""
        return f"{self.group.where}/{self.info.name}"

    @property
    def input(self) -> InputHandle:
        """The first input."""
        return self.inputs.only()

    @property
    def output(self) -> OutputHandle:
        """The first output."""
        return self.outputs.only()

    @property
    def state(self) -> State:
        """Where the node is in its life."""
        return self.status().state

    def status(self) -> NodeStatus:
        """Snapshot of the node; answered while its methods run and while a cell blocks the kernel."""
        return self.group.node_status(self.name)

    def call(
        self, method: str, *args: Any, _sync: Sync = "sync", _timeout: float = CALL_TIMEOUT, **kwargs: Any
    ) -> Any:
        """Call a public method by name; see `pyacq_lab.manager.remote.Target.call`."""
        return self._target.call(method, *args, _sync=_sync, _timeout=_timeout, **kwargs)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        methods: dict[str, MethodInfo] = self.__dict__.get("_methods", {})
        if name.startswith("_") or name not in methods:
            kind = self.__dict__["info"].type if "info" in self.__dict__ else "node"
            raise AttributeError(
                f"a {kind} has no public method {name!r} (it has: {', '.join(sorted(methods))})"
            )
        return _method(self, methods[name])

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._methods})

    def __repr__(self) -> str:
        try:
            status = self.status()
        except Exception as error:
            return f"<{self.info.type} {self.where}: {error}>"
        return (
            f"<{self.info.type} {self.where}: {status.state}{f' ({status.reason})' if status.reason else ''}>"
        )


def _method(node: NodeHandle, info: MethodInfo) -> Callable[..., Any]:
    def remote(*args: Any, **kwargs: Any) -> Any:
        return node.call(info.name, *args, **kwargs)

    remote.__name__ = info.name
    remote.__qualname__ = f"{node.info.type}.{info.name}"
    remote.__doc__ = f"{info.name}{info.signature}\n\n{info.doc}"
    remote.__signature__ = _parse_signature(info.signature)  # pyright: ignore[reportFunctionMemberAccess]
    return remote


def _parse_signature(text: str) -> inspect.Signature:
    """Names, kinds and presence of defaults from the text of a signature, without evaluating it."""
    arguments = ast.parse(f"def f{text}: ...").body[0].args  # pyright: ignore[reportAttributeAccessIssue]
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
