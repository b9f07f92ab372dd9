"""Packages that only some nodes need: imported where they are used, one message where they are missing."""

from __future__ import annotations

import importlib
from typing import Any

from pyacq_lab.errors import MissingDependency


def import_optional(module: str, who: str, package: str, extra: str = "", hint: str = "") -> Any:
    """Import a module that is not a dependency of ours.

    Parameters
    ----------
    module : str
        What to import.
    who : str
        What needs it, as the message says it: ``"LSLInlet"``.
    package : str
        What the package index calls it.
    extra : str
        Extra of pyacq_lab that brings it; empty where there is none.
    hint : str
        What else to know: how the library or driver comes that the module loads, or what to do without it.

    Raises
    ------
    MissingDependency
        It is not installed, or cannot be loaded, on this machine.
    """
    more = f". {hint}" if hint else ""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        wanted = f"'pyacq_lab[{extra}]'" if extra else package
        raise MissingDependency(
            f"{who} needs {package} on this machine (no module {error.name!r}): pip install {wanted}{more}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        # Bindings say in one of these ways that the library they bind is not there.
        raise MissingDependency(
            f"{who} needs {package}, which is installed but does not load: {error}{more}"
        ) from error
