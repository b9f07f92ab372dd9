"""Live views that leave something to look at in the saved notebook."""

from __future__ import annotations

import os
from typing import Any

import ipywidgets
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import publish_display_data

from pyacq_lab.kernel.shim import enable_comms_while_busy

Bundle = tuple[dict[str, Any], dict[str, Any]]
"""What IPython shows: data by MIME type, and metadata by MIME type."""


class Keepsake(ipywidgets.DOMWidget):
    """A widget whose output becomes its still form when it is closed.

    Every display carries the still form beside the live view, for pages without widgets.
    """

    _display_id = ""
    _live = True

    def __init__(self, **kwargs: Any) -> None:
        # Its threads send in the name of the running cell; what the page answers must not wait for that.
        enable_comms_while_busy()
        super().__init__(**kwargs)

    def _still_bundle(self) -> Bundle:
        """Give the still form as it is now: a picture or table where there is one, else a line of text."""
        return {"text/plain": repr(self)}, {}

    def _bundle(self) -> Bundle:
        data, metadata = self._still_bundle()
        if self._live:
            view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
            data = {**data, "application/vnd.jupyter.widget-view+json": view}
        return data, metadata

    def _repr_mimebundle_(self, **_: Any) -> Bundle:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._bundle()

    def _ipython_display_(self, **_: Any) -> None:
        """Show it, under an id by which its output is found again. Called by IPython."""
        self._display_id = self._display_id or f"pyacq-{os.urandom(8).hex()}"
        self._publish(update=False)

    def _publish(self, update: bool) -> None:
        if not InteractiveShell.initialized():
            return
        data, metadata = self._bundle()
        publish_display_data(data, metadata, transient={"display_id": self._display_id}, update=update)

    def _leave_still(self) -> None:
        """Put the still form in place of the live view.

        To be called before the widget is closed: a page hides an output whose widget has gone.
        """
        self._live = False
        if self._display_id:
            self._publish(update=True)
