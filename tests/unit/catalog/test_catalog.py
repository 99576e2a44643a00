"""Names: resolution, shadowing, IF EXISTS, what is refused."""

from __future__ import annotations

import pytest

from streamsql.catalog.catalog import CatalogManager
from streamsql.catalog.objects import CatalogDefinition, DatabaseDefinition, FunctionDefinition
from streamsql.catalog.table import Column, ObjectPath, TableDefinition, ViewDefinition
from streamsql.datatypes import INT
from streamsql.errors import CatalogError, ValidationError


def table(
    manager: CatalogManager, *parts: str, temporary: bool = False, comment: str = ""
) -> TableDefinition:
    path = manager.resolve(parts)
    return TableDefinition(path, (Column("a", INT()),), {}, temporary=temporary, comment=comment)


def view(manager: CatalogManager, *parts: str) -> ViewDefinition:
    return ViewDefinition(manager.resolve(parts), "SELECT 1")


@pytest.fixture
def manager() -> CatalogManager:
    manager = CatalogManager()
    manager.create_database(DatabaseDefinition("default_catalog", "shop"))
    manager.create_catalog(
        CatalogDefinition("other", {"type": "generic_in_memory", "default-database": "main"})
    )
    return manager


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        (["t"], "default_catalog.default_database.t"),
        (["shop", "t"], "default_catalog.shop.t"),
        (["other", "main", "t"], "other.main.t"),
        (["jobs", "board"], "jobs.jobs.board"),
        (["jobs", "board", "agg"], "jobs.board.agg"),
    ],
)
def test_resolve(manager: CatalogManager, parts: list[str], path: str) -> None:
    assert str(manager.resolve(parts)) == path


def test_resolve_follows_the_current_catalog_and_database(manager: CatalogManager) -> None:
    manager.use_database(["shop"])
    assert str(manager.resolve(["t"])) == "default_catalog.shop.t"
    manager.use_catalog("other")
    assert str(manager.resolve(["t"])) == "other.main.t"
    manager.use_database(["default_catalog", "shop"])
    assert (manager.current_catalog, manager.current_database) == ("default_catalog", "shop")


def test_a_name_has_at_most_three_parts(manager: CatalogManager) -> None:
    with pytest.raises(ValidationError, match=r"'a\.b\.c\.d' has 4 parts"):
        manager.resolve(["a", "b", "c", "d"])
    with pytest.raises(ValidationError, match="has 3 parts"):
        manager.use_database(["a", "b", "c"])


def test_a_temporary_table_shadows_the_permanent_one(manager: CatalogManager) -> None:
    path = manager.resolve(["t"])
    manager.create(table(manager, "t", comment="permanent"))
    manager.create(table(manager, "t", temporary=True, comment="temporary"))
    found = manager.get(path)
    assert found is not None and found.comment == "temporary"
    with pytest.raises(CatalogError, match="is a temporary table"):
        manager.drop(path, "table")
    assert manager.drop(path, "table", temporary=True)
    found = manager.get(path)
    assert found is not None and found.comment == "permanent"
    assert manager.drop(path, "table")
    assert manager.get(path) is None


def test_create_twice(manager: CatalogManager) -> None:
    assert manager.create(table(manager, "t", comment="first"))
    assert not manager.create(table(manager, "t", comment="second"), if_not_exists=True)
    with pytest.raises(CatalogError, match=r"table 'default_catalog\.default_database\.t' exists already"):
        manager.create(view(manager, "t"))
    assert manager.create(table(manager, "t", comment="third"), replace=True)
    assert manager.require(manager.resolve(["t"])).comment == "third"


def test_create_needs_its_database(manager: CatalogManager) -> None:
    with pytest.raises(
        CatalogError, match=r"database 'default_catalog\.shpo' does not exist\nHint: did you mean 'shop'"
    ):
        manager.create(table(manager, "shpo", "t"))
    with pytest.raises(CatalogError, match="catalog 'othr' does not exist"):
        manager.create(table(manager, "othr", "main", "t"))


def test_drop_checks_the_kind(manager: CatalogManager) -> None:
    manager.create(view(manager, "v"))
    path = manager.resolve(["v"])
    with pytest.raises(CatalogError, match="is a view, not a table\nHint: use DROP VIEW"):
        manager.drop(path, "table", if_exists=True)
    assert manager.drop(path, "view")
    assert not manager.drop(path, "view", if_exists=True)
    with pytest.raises(CatalogError, match="does not exist"):
        manager.drop(path, "view")


def test_require_names_what_is_close(manager: CatalogManager) -> None:
    manager.create(table(manager, "trades"))
    with pytest.raises(
        CatalogError,
        match=r"'default_catalog\.default_database\.trdaes' does not exist\nHint: did you mean 'trades'",
    ):
        manager.require(manager.resolve(["trdaes"]))
    with pytest.raises(CatalogError, match="tables and views here: 'trades'"):
        manager.require(manager.resolve(["xyz"]))


def test_rename_keeps_definition_and_refuses_a_taken_name(manager: CatalogManager) -> None:
    manager.create(table(manager, "a", comment="x"))
    manager.create(table(manager, "b"))
    with pytest.raises(CatalogError, match=r"'default_catalog.default_database.b' exists already"):
        manager.rename(manager.resolve(["a"]), "b")
    path = manager.rename(manager.resolve(["a"]), "c")
    assert manager.require(path).comment == "x"
    assert manager.require(path).path == path
    assert manager.get(manager.resolve(["a"])) is None


def test_alter_changes_the_visible_one(manager: CatalogManager) -> None:
    manager.create(table(manager, "t", comment="permanent"))
    manager.create(table(manager, "t", temporary=True))
    manager.alter(table(manager, "t", comment="changed"))
    changed = manager.require(manager.resolve(["t"]))
    assert changed.comment == "changed" and changed.temporary
    hidden = manager.exact(manager.resolve(["t"]), temporary=False)
    assert hidden is not None and hidden.comment == "permanent"


def test_tables_and_views_are_listed(manager: CatalogManager) -> None:
    manager.create(table(manager, "t"))
    manager.create(table(manager, "t", temporary=True))
    manager.create(view(manager, "v"))
    assert manager.tables("default_catalog", "default_database") == ["t", "v"]
    assert manager.views("default_catalog", "default_database") == ["v"]
    with pytest.raises(CatalogError, match="database"):
        manager.tables("default_catalog", "nope")


def test_databases(manager: CatalogManager) -> None:
    assert manager.databases() == ["default_database", "shop"]
    assert not manager.create_database(DatabaseDefinition("default_catalog", "shop"), if_not_exists=True)
    with pytest.raises(CatalogError, match=r"'default_catalog\.shop' exists already"):
        manager.create_database(DatabaseDefinition("default_catalog", "shop"))
    manager.create(table(manager, "shop", "t"))
    with pytest.raises(CatalogError, match=r"not empty: it holds 't'\nHint: DROP DATABASE … CASCADE"):
        manager.drop_database("default_catalog", "shop")
    with pytest.raises(CatalogError, match="is the current one"):
        manager.drop_database("default_catalog", "default_database", cascade=True)
    assert manager.drop_database("default_catalog", "shop", cascade=True)
    assert manager.get(manager.resolve(["shop", "t"])) is None
    assert not manager.drop_database("default_catalog", "shop", if_exists=True)


def test_alter_database_merges_options(manager: CatalogManager) -> None:
    manager.alter_database("default_catalog", "shop", {"a": "1", "b": "2"})
    manager.alter_database("default_catalog", "shop", {"b": "3"})
    assert manager.database("default_catalog", "shop").options == {"a": "1", "b": "3"}


def test_catalogs(manager: CatalogManager) -> None:
    assert manager.catalogs() == ["default_catalog", "other"]
    manager.create(table(manager, "other", "main", "t"))
    with pytest.raises(CatalogError, match="'default_catalog' is the current one"):
        manager.drop_catalog("default_catalog")
    manager.drop_catalog("other")
    assert manager.get(ObjectPath("other", "main", "t")) is None
    with pytest.raises(CatalogError, match="catalog 'other' does not exist"):
        manager.drop_catalog("other")
    assert not manager.drop_catalog("other", if_exists=True)


def test_jobs_is_reserved(manager: CatalogManager) -> None:
    for change in (
        lambda: manager.create(table(manager, "jobs", "t")),
        lambda: manager.create(table(manager, "jobs", "x", "t", temporary=True)),
        lambda: manager.create_catalog(CatalogDefinition("jobs")),
        lambda: manager.create_database(DatabaseDefinition("default_catalog", "jobs")),
        lambda: manager.drop(manager.resolve(["jobs", "t"]), "table"),
        lambda: manager.alter(table(manager, "jobs", "t")),
        lambda: manager.rename(manager.resolve(["jobs", "t"]), "u"),
        lambda: manager.use_database(["jobs"]),
    ):
        with pytest.raises(CatalogError, match="jobs"):
            change()


def test_tables_of_running_jobs_come_from_the_hook(manager: CatalogManager) -> None:
    with pytest.raises(
        CatalogError, match=r"no running job has a table 'jobs\.board'\nHint: no job is running"
    ):
        manager.require(manager.resolve(["jobs", "board"]))
    made = table(manager, "jobs", "board")
    tables: dict[tuple[str, ...], TableDefinition] = {("board",): made, ("board", "agg"): made}
    manager.virtual, manager.virtual_names = tables.get, lambda: tables
    assert manager.get(manager.resolve(["jobs", "board"])) is made
    assert manager.get(manager.resolve(["jobs", "board", "agg"])) is made
    assert manager.tables("jobs", "jobs") == ["board"]
    assert manager.tables("jobs", "board") == ["agg"]
    with pytest.raises(CatalogError, match=r"did you mean 'board'"):
        manager.require(manager.resolve(["jobs", "bord"]))


def function(
    name: str, path: ObjectPath | None, *, temporary: bool = False, class_id: str = "m.f"
) -> FunctionDefinition:
    return FunctionDefinition(name, path, class_id, temporary=temporary)


def test_functions_shadow_and_ignore_case(manager: CatalogManager) -> None:
    path = manager.resolve(["F"])
    functions = manager.functions
    functions.create(function("F", path, class_id="m.permanent"))
    functions.create(function("F", path, temporary=True, class_id="m.temporary"))
    found = functions.get(manager.resolve(["f"]))
    assert found is not None and found.class_id == "m.temporary"
    functions.drop(function("f", path, temporary=True))
    found = functions.get(path)
    assert found is not None and found.class_id == "m.permanent"
    assert functions.system("f") is None
    functions.create(function("F", None, temporary=True, class_id="m.system"))
    system = functions.system("f")
    assert system is not None and system.class_id == "m.system"
    assert [f.name for f in functions.definitions()] == ["f", "f"]


def test_functions_that_are_there_or_not(manager: CatalogManager) -> None:
    path = manager.resolve(["f"])
    functions = manager.functions
    functions.create(function("f", path))
    assert not functions.create(function("f", path), if_not_exists=True)
    with pytest.raises(CatalogError, match="exists already"):
        functions.create(function("f", path))
    with pytest.raises(
        CatalogError, match=r"temporary function .* does not exist\nHint: use FUNCTION for it"
    ):
        functions.drop(function("f", path, temporary=True))
    assert functions.alter(function("f", path, class_id="m.g"))
    altered = functions.get(path)
    assert altered is not None and altered.class_id == "m.g"
    with pytest.raises(CatalogError, match="is not empty: it holds 'f'"):
        manager.use_database(["shop"])
        manager.drop_database("default_catalog", "default_database")
    manager.drop_database("default_catalog", "default_database", cascade=True)
    assert functions.get(path) is None
