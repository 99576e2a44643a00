"""The project's own source as data, for the tests about layout, packaging and documentation."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINKED = ("catalog", "planner", "repl", "runtime")  # top-level folders installed as streamsql.<name>
OUTSIDE = ("docs", "examples", "tests")  # not installed

# Modules of streamsql/ that every folder may use; the others are the public face, on top of the runtime.
CORE = {
    "changelog",
    "config",
    "config_checkpoints",
    "config_options",
    "datatypes",
    "errors",
    "options",
    "schema",
    "timestamps",
}


@dataclass(frozen=True)
class Module:
    """A source file under the name it is imported by."""

    path: Path
    name: str  # streamsql.planner.binder

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def layer(self) -> str:
        return layer_of(self.name)

    @property
    def tree(self) -> ast.Module:
        return parsed(self.path)


@dataclass(frozen=True)
class Import:
    """One imported module, relative names resolved."""

    module: Module
    line: int
    target: str
    names: tuple[str, ...]  # of `from target import names`; empty for `import target`
    relative: bool

    @property
    def where(self) -> str:
        return f"{self.module.where}:{self.line}: {self.target}"


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(), path.relative_to(ROOT).as_posix())


def layer_of(name: str) -> str:
    """The layer of a module below streamsql, by its dotted name."""
    part = name.split(".")[1] if "." in name else "__init__"
    if part in (*LINKED, "testing"):
        return part
    return "core" if part in CORE else "repl" if part == "__main__" else "face"


@cache
def product_modules() -> list[Module]:
    """Every source file that gets installed; the links are not followed."""
    found = [Module(p, f"streamsql.{p.stem}") for p in (ROOT / "streamsql").glob("*.py")]
    for folder in (*(ROOT / name for name in LINKED), ROOT / "streamsql" / "testing"):
        for path in folder.rglob("*.py"):
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("streamsql.")
            found.append(Module(path, f"streamsql.{dotted}".removesuffix(".__init__")))
    return sorted(found, key=lambda m: m.where)


def all_sources() -> list[Path]:
    """Every Python file of the project."""
    outside = [path for folder in OUTSIDE for path in (ROOT / folder).rglob("*.py")]
    return [m.path for m in product_modules()] + sorted(outside)


def imports(module: Module) -> Iterator[Import]:
    """All imports of a file, those inside functions included."""
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (Import(module, node.lineno, alias.name, (), relative=False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            target = node.module or ""
            if node.level:
                base = package.split(".")[: len(package.split(".")) - node.level + 1]
                target = ".".join([*base, *filter(None, [target])])
            names = tuple(alias.name for alias in node.names)
            yield Import(module, node.lineno, target, names, relative=node.level > 0)


@cache
def all_imports() -> list[Import]:
    """Every import of every file that gets installed."""
    return [found for module in product_modules() for found in imports(module)]
