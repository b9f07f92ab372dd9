"""What handles of nodes have in common, wherever the node is: ports, and how they show themselves."""

from __future__ import annotations

from html import escape

from pyacq_lab.manager.ports import InputHandle, OutputHandle, PortOwner, Ports


class NodeLook(PortOwner):
    """Ports of a node's handle, and its looks in a notebook.

    Attributes
    ----------
    inputs, outputs : Mapping
        Its ports, by name.
    """

    inputs: Ports
    outputs: Ports

    def _make_ports(self) -> None:
        self.inputs = Ports(self, InputHandle, "inputs")
        self.outputs = Ports(self, OutputHandle, "outputs")

    @property
    def input(self) -> InputHandle:
        """The first input."""
        return self.inputs.only()

    @property
    def output(self) -> OutputHandle:
        """The first output."""
        return self.outputs.only()

    @property
    def _type_name(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        try:
            status = self.status()
        except Exception as error:
            return f"<{self._type_name} {self.where}: {error}>"
        why = f" ({status.reason})" if status.reason else ""
        return f"<{status.type} {self.where}: {status.state}{why}>"

    def _repr_html_(self) -> str:
        try:
            return self.status().html(self.where)
        except Exception as error:
            return f"<div><b>{escape(self.where)}</b>: {escape(str(error))}</div>"
