"""The import rules of the house (who may import whom), read from the sources."""

import ast
import functools
import importlib
import os
import subprocess
import sys

import pytest
from support.files import ROOT

SIMULATORS = {"nest", "brian2", "neuron", "pyNN", "spynnaker", "spinnaker"}
# The rooms: one imports only those listed above it.
EXPORT_ROOMS = (
    "description", "samples", "lowering", "interchange", "software", "fixed_point", "spinnaker2",
    "pynn", "boards", "streaming", "verification", "job", "pages", "command",
)
SNN_SSM_ROOMS = ("kinds", "config", "shipped", "results", "tasks", "model", "training", "convert")
TORCH_FREE_ROOMS = tuple(
    f"snn_ssm.{room}" for room in ("kinds", "config", "shipped", "results", "tasks")
)
TORCH_FREE = {
    "snn_ssm", "snn_ssm.__main__", "snn_ssm.checkpoint",
    "snn_ssm.delays", "snn_ssm.files", "snn_ssm.grids", "snn_ssm.levels",
    "snn_ssm.npz", "snn_ssm.poles", "snn_ssm.progress", "snn_ssm.reading", "snn_ssm.settings",
    "snn_ssm.waiting",
}
# Loaded through pynn_models.nest or .spinnaker when one of their names is first used.
IMPORTS_A_SIMULATOR = {
    "pynn_models/brian2/projection.py",
    "pynn_models/nest/egru.py",
    "pynn_models/nest/neuron.py",
    "pynn_models/nest/population.py",
    "pynn_models/nest/projection.py",
    "pynn_models/nest/synapses.py",
    "pynn_models/spinnaker/gated_neuron.py",
    "pynn_models/spinnaker/neuron.py",
}
# The emulated board, whose library is under another licence: loaded with its room alone.
BOARD = "pynn_models/spinnaker/board/"
# The commands that train or compare with the trained model: inside functions only.
REACHES_TRAINING = {"export/command/actions.py", "export/verification/backends/torch.py"}


def sources(package):
    return sorted(
        path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")
    )


def module_of(path):
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def is_type_checking(node):
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def imports(path):
    """(module, whether inside a function) of every import; those for type checkers left out."""
    return imports_of(ROOT / path, path)


@functools.cache
def imports_of(file, path):
    found = set()
    package = path.removesuffix(".py").split("/")[:-1]

    def visit(node, inside):
        if is_type_checking(node):
            for other in node.orelse:
                visit(other, inside)
            return
        if isinstance(node, ast.Import):
            found.update((alias.name, inside) for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.add((module, inside))
            found.update((f"{module}.{alias.name}", inside) for alias in node.names)
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(file.read_text(encoding="utf-8")), False)
    return frozenset(found)


@functools.cache
def modules(path):
    """Imports that are modules of this repository or top-level packages, names resolved."""
    result = set()
    for name, inside in imports(path):
        parts = name.split(".")
        if parts[0] in ("snn_ssm", "export", "pynn_models"):
            while len(parts) > 1 and not (
                (ROOT / "/".join(parts)).is_dir() or (ROOT / ("/".join(parts) + ".py")).is_file()
            ):
                parts.pop()  # a name within a module
        result.add((".".join(parts), inside))
    return result


def roots(path):
    return {(name.split(".")[0], inside) for name, inside in imports(path)}


def test_the_reader_sees_every_kind_of_import(tmp_path, monkeypatch):
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "m.py").write_text(
        "import a.b, c as d\nfrom e import f\nfrom . import g\nfrom .h import i\n"
        "if TYPE_CHECKING:\n    import never\nelse:\n    import j\n"
        "def k():\n    import l\n"
        "class M:\n    import n\n    def o(self):\n        from q import r\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    found = imports("p/m.py")
    outside = {name for name, inside in found if not inside}
    assert outside == {"a.b", "c", "e", "e.f", "p", "p.g", "p.h", "p.h.i", "j", "n"}
    assert {name for name, inside in found if inside} == {"l", "q", "q.r"}


def test_every_package_is_read():
    for package in ("snn_ssm", "export", "pynn_models"):
        assert len(sources(package)) > 4
    assert {module_of(path) for path in sources("snn_ssm")} >= TORCH_FREE


@pytest.mark.parametrize("path", sources("export") + sources("pynn_models"))
def test_only_snn_ssm_imports_torch(path):
    assert "torch" not in {name for name, _ in roots(path)}


@pytest.mark.parametrize("path", sources("export"))
def test_export_uses_only_the_torch_free_part_of_snn_ssm(path):
    used = {m for m in modules(path) if m[0].split(".")[0] == "snn_ssm"}
    for module, inside in used:
        lazily = inside and path in REACHES_TRAINING
        assert is_torch_free(module) or lazily, f"{path} imports {module}"


def is_torch_free(module):
    room = any(module == name or module.startswith(f"{name}.") for name in TORCH_FREE_ROOMS)
    return room or module in TORCH_FREE


@pytest.mark.parametrize(
    "path", [p for p in sources("snn_ssm") if is_torch_free(module_of(p))]
)
def test_the_torch_free_part_imports_no_torch(path):
    assert "torch" not in {name for name, _ in roots(path)}
    for other, _ in modules(path):
        assert not other.startswith("snn_ssm") or is_torch_free(other), f"{path} imports {other}"


@pytest.mark.parametrize("path", sources("snn_ssm"))
def test_snn_ssm_does_not_import_export(path):
    starts = path == "snn_ssm/__main__.py"  # the command line
    assert "export" not in {name for name, _ in roots(path)} or starts


def room_of(module, package):
    """The room that a module of a package is in, or belongs to all (None)."""
    parts = module.split(".")
    in_room = parts[0] == package and len(parts) > 1 and (ROOT / package / parts[1]).is_dir()
    return parts[1] if in_room else None


@pytest.mark.parametrize(
    ("package", "rooms"), [("export", EXPORT_ROOMS), ("snn_ssm", SNN_SSM_ROOMS)]
)
def test_a_room_imports_only_rooms_above_it(package, rooms):
    found = {room_of(module_of(path), package) for path in sources(package)}
    assert found == {*rooms, None}
    for path in sources(package):
        room = room_of(module_of(path), package)
        if room is None:
            continue
        for module, _ in modules(path):
            other = room_of(module, package)
            if other is not None:
                assert rooms.index(other) <= rooms.index(room), f"{path} imports {module}"
            # The package's own names are handed on from its rooms: a room does not go round.
            assert module != "export", f"{path} imports {module}"


@pytest.mark.parametrize(
    "room",
    [f"{p}.{r}" for p, rooms in (("export", EXPORT_ROOMS), ("snn_ssm", SNN_SSM_ROOMS))
     for r in rooms],
)
def test_a_room_says_what_it_is_and_what_it_hands_on(room):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    module = importlib.import_module(room)
    assert module.__doc__ and len(module.__doc__.splitlines()) <= 6
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_no_file_stands_outside_a_room():
    assert {path.name for path in (ROOT / "export").glob("*.py")} == {"__init__.py"}


@pytest.mark.parametrize("path", sources("pynn_models"))
def test_pynn_models_imports_neither_side(path):
    assert not {"snn_ssm", "export"} & {name for name, _ in roots(path)}


@pytest.mark.parametrize(
    "path",
    [
        path
        for package in ("snn_ssm", "export", "pynn_models")
        for path in sources(package)
        if path not in IMPORTS_A_SIMULATOR
    ],
)
def test_simulators_are_imported_inside_functions(path):
    outside = {name for name, inside in roots(path) if not inside}
    assert not outside & SIMULATORS, f"{path} imports {outside & SIMULATORS}"


@pytest.mark.parametrize("path", sources("snn_ssm") + sources("export") + sources("pynn_models"))
def test_only_the_emulated_board_executes_arm_code(path):
    if path.startswith(BOARD):
        assert not SIMULATORS & {name for name, _ in roots(path)}
        return
    assert "unicorn" not in {name for name, _ in roots(path)}
    for module, inside in modules(path):
        assert inside or not module.startswith("pynn_models.spinnaker.board"), path


@pytest.mark.parametrize("path", sources("snn_ssm"))
def test_training_uses_no_simulator(path):
    assert not {name for name, _ in roots(path)} & SIMULATORS


def loaded_after(statement):
    """The top-level modules that a fresh interpreter holds after ``statement``."""
    code = f"{statement}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def test_importing_the_packages_loads_neither_torch_nor_a_simulator():
    loaded = loaded_after(
        "import export.lowering, export.software, export.pynn, export.description, "
        "export.samples, export.verification, snn_ssm, snn_ssm.tasks, pynn_models.nest, "
        "pynn_models.spinnaker"
    )
    assert {"export", "snn_ssm", "pynn_models", "numpy"} <= loaded
    assert not loaded & {"torch", "unicorn", *SIMULATORS}


def test_the_side_that_trains_loads_no_simulator():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    loaded = loaded_after("import snn_ssm.training.loop")
    assert "torch" in loaded and not loaded & {"export", *SIMULATORS}


def test_the_lazy_names_of_snn_ssm_are_all_there():
    pytest.importorskip("torch", reason="PyTorch is not installed")
    import snn_ssm

    for name in snn_ssm.__all__:
        assert getattr(snn_ssm, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = snn_ssm.nothing
