"""What is missing is named, with what brings it."""

from __future__ import annotations

import sys

import pytest

from pyacq_lab.errors import MissingDependency
from pyacq_lab.model.optional import import_optional


def test_gives_the_module():
    assert import_optional("json", "a test", "json").loads("1") == 1


@pytest.mark.parametrize(
    ("extra", "says"), [("lsl", r"pip install 'pyacq_lab\[lsl\]'"), ("", "pip install pylsl$")]
)
def test_missing_module(monkeypatch, extra, says):
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MissingDependency, match=rf"^LSLInlet needs pylsl on this machine .*: {says}"):
        import_optional("pylsl", "LSLInlet", "pylsl", extra)


def test_module_whose_library_is_missing(tmp_path, monkeypatch):
    (tmp_path / "binds_nothing.py").write_text("raise OSError('libthing.so not found')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        MissingDependency, match=r"does not load: libthing.so not found. apt install libthing"
    ):
        import_optional("binds_nothing", "Thing", "binds-nothing", "thing", "apt install libthing")
