"""Node types of installed packages: found by entry points, imported when used, named when broken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pyacq_lab.errors import ConfigurationError, UnknownName
from pyacq_lab.model.roles import Transform
from pyacq_lab.node.registry import BUILT_IN, Registry

MODULE = """
from pyacq_lab import Transform

class Echo(Transform):
    def describe(self, inputs):
        return {"out": inputs["in"]}

    def process(self, chunk, name):
        return chunk.data

class Half(Transform):
    pass
"""


def install(folder: Path, package: str, module: str, text: str, points: dict[str, str]) -> None:
    """Put a module and a distribution's metadata into a folder, as an installer would."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pyacq_lab.nodes]", *lines, ""]))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def modules_as_before():
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("lab_nodes"):
            del sys.modules[name]


def test_a_type_of_an_installed_package_is_found_and_imported_when_it_is_used(folder):
    install(folder, "lab-nodes", "lab_nodes", MODULE, {"LabEcho": "lab_nodes:Echo"})
    registry = Registry()
    assert "LabEcho" in registry.names()
    assert "lab_nodes" not in sys.modules
    assert registry.find("LabEcho").__name__ == "Echo"
    assert registry.find("LabEcho") is registry.find("LabEcho")


def test_a_package_may_be_installed_while_the_nodegroup_runs(folder):
    registry = Registry()
    with pytest.raises(UnknownName, match="LateEcho"):
        registry.find("LateEcho")
    install(folder, "lab-late", "lab_nodes_late", MODULE, {"LateEcho": "lab_nodes_late:Echo"})
    assert registry.find("LateEcho").__name__ == "Echo"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("lab_nodes_gone:Echo", "ModuleNotFoundError"),
        ("lab_nodes_broken:Gone", "AttributeError"),
        ("lab_nodes_broken:Half", "no whole node type: it lacks describe, process"),
        ("lab_nodes_broken:Transform", "no whole node type"),
        ("lab_nodes_raises", "RuntimeError: no driver"),
    ],
)
def test_a_broken_one_is_named_and_the_others_work(folder, value, says):
    (folder / "lab_nodes_raises.py").write_text("raise RuntimeError('no driver')")
    points = {"Broken": value, "Sound": "lab_nodes_broken:Echo"}
    install(folder, "lab-broken", "lab_nodes_broken", MODULE, points)
    registry = Registry()
    with pytest.raises(ConfigurationError, match=f"'Broken' of package lab-broken .*cannot be had: .*{says}"):
        registry.find("Broken")
    assert {"Broken", "Sound"} < set(registry.names())
    assert registry.find("Sound").__name__ == "Echo"


def test_names_that_are_taken_stay_with_who_had_them(folder, caplog):
    points = {"SosFilter": "lab_nodes_taker:Echo"}
    install(folder, "lab-taker", "lab_nodes_taker", MODULE, points)
    registry = Registry()
    assert registry.names() == sorted(BUILT_IN)
    assert registry.find("SosFilter").__module__ == "pyacq_lab.processing.sos"
    assert "node type SosFilter of package lab-taker is left out: this package has it" in caplog.text


def test_settings_of_another_kind_are_refused():
    class Odd(Transform):
        settings_type = dict

        def describe(self, inputs):
            return inputs

        def process(self, chunk, name):
            return chunk.data

    with pytest.raises(
        ConfigurationError, match=r"Odd\.settings_type is <class 'dict'>: wanted a subclass of S"
    ):
        Registry().register(Odd)
