"""Classes as bytes, for processes that cannot import them."""

from __future__ import annotations

import sys
import threading

import cloudpickle

from pyacq_lab.model.sourcetext import keep_source

_OWN = __name__.partition(".")[0]
_lock = threading.Lock()


def pickle_by_value(kind: type) -> bytes:
    """Pickle a class with its definition, also where it was imported from a module.

    Classes of this package go by name: it is installed on both sides.
    """
    module = sys.modules.get(kind.__module__)
    is_own = kind.__module__.partition(".")[0] == _OWN
    if module is None or kind.__module__ == "__main__" or is_own:
        if not is_own:
            keep_source(kind)
        return cloudpickle.dumps(kind)  # a module that is not imported, or the notebook itself, goes by value
    with _lock:
        keep_source(kind)
        by_value = kind.__module__ in cloudpickle.list_registry_pickle_by_value()
        if not by_value:
            cloudpickle.register_pickle_by_value(module)
        try:
            return cloudpickle.dumps(kind)
        finally:
            if not by_value:
                cloudpickle.unregister_pickle_by_value(module)
