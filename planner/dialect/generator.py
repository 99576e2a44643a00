"""Syntax tree to Flink SQL text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.generator import Generator

from . import nodes
from .generate_queries import NO_PAREN_NAMES, QueryGenerator


def _prefixed(text: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: f"{text} {self.sql(node, 'this')}"


def _constant(text: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: text


def _sequence(separator: str) -> Callable[[Any, exp.Expr], str]:
    return lambda self, node: separator.join(self.sql(part) for part in node.expressions)


class FlinkGenerator(QueryGenerator):
    """Generates text that parses to the same tree again: back-ticks where needed, canonical forms
    elsewhere.
    """

    LIMIT_FETCH = "ALL"
    VALUES_AS_TABLE = True
    WRAP_DERIVED_VALUES = False
    SUPPORTS_BETWEEN_FLAGS = True
    AGGREGATE_FILTER_SUPPORTED = True
    UNNEST_WITH_ORDINALITY = True
    QUERY_HINTS = True
    TABLE_HINTS = True
    INTERVAL_ALLOWS_PLURAL_FORM = False
    NULL_ORDERING_SUPPORTED: bool | None = True
    TYPE_MAPPING: ClassVar[dict[exp.DType, str]] = {
        exp.DType.TEXT: "STRING",
        exp.DType.BLOB: "BYTES",
        exp.DType.TIMESTAMPLTZ: "TIMESTAMP_LTZ",
        exp.DType.TIMESTAMPNTZ: "TIMESTAMP",
        exp.DType.DATETIME: "TIMESTAMP",
        exp.DType.NCHAR: "CHAR",
        exp.DType.NVARCHAR: "VARCHAR",
        exp.DType.UUID: "STRING",
        exp.DType.JSON: "STRING",
    }
    TRANSFORMS: ClassVar[dict[type[exp.Expr], Any]] = {
        **Generator.TRANSFORMS,
        **dict.fromkeys(NO_PAREN_NAMES, lambda self, node: self._no_paren(node)),
        exp.ComputedColumnConstraint: lambda self, node: self._computed_column(node),
        exp.PrimaryKeyColumnConstraint: lambda self, node: self._primary_key_column(node),
        exp.SchemaCommentProperty: lambda self, node: self._comment_clause(node),
        exp.PartitionedByProperty: lambda self, node: self._partitioned_by(node),
        exp.Map: lambda self, node: self._map(node),
        exp.Ceil: lambda self, node: self.ceil_floor(node),
        exp.Floor: lambda self, node: self.ceil_floor(node),
        nodes.AddJar: _prefixed("ADD JAR"),
        nodes.AddPartitions: lambda self, node: self._add_partitions(node),
        nodes.AlterAdd: lambda self, node: self._alter_items(node),
        nodes.AlterComment: _prefixed("COMMENT"),
        nodes.AlterDrop: lambda self, node: self._alter_drop(node),
        nodes.AlterFunction: lambda self, node: self._alter_function(node),
        nodes.AlterModify: lambda self, node: self._alter_items(node),
        nodes.AlterQuery: _prefixed("AS"),
        nodes.AnalyzeTable: lambda self, node: self._analyze_table(node),
        nodes.BeginStatementSet: _constant("BEGIN STATEMENT SET"),
        nodes.CallStatement: lambda self, node: f"CALL {self.sql(node, 'this')}({self._list(node)})",
        nodes.CompilePlan: lambda self, node: self._compile_plan(node),
        nodes.DescribeStatement: lambda self, node: self._describe(node),
        nodes.Descriptor: lambda self, node: f"DESCRIPTOR({self._list(node)})",
        nodes.Distribution: lambda self, node: self._distribution(node),
        nodes.DropPartitions: lambda self, node: self._drop_partitions(node),
        nodes.EmitChanges: lambda self, node: f"{self.sql(node, 'this')} EMIT CHANGES",
        nodes.EndStatementSet: _constant("END"),
        nodes.ExecutePlan: _prefixed("EXECUTE PLAN"),
        nodes.ExplainStatement: lambda self, node: self._explain(node),
        nodes.Freshness: _prefixed("FRESHNESS ="),
        nodes.FunctionLanguage: _prefixed("LANGUAGE"),
        nodes.FunctionResources: lambda self, node: self._function_resources(node),
        nodes.JsonQuery: lambda self, node: self._json_query(node),
        nodes.LoadModule: lambda self, node: self._load_module(node),
        nodes.MatchedTable: lambda self, node: self._matched_table(node),
        nodes.MetadataColumnConstraint: lambda self, node: self._metadata_column(node),
        nodes.ModelArgument: _prefixed("MODEL"),
        nodes.ModelInput: lambda self, node: f"INPUT {self._in_parens(node)}",
        nodes.ModelOutput: lambda self, node: f"OUTPUT {self._in_parens(node)}",
        nodes.Multiset: lambda self, node: f"MULTISET[{self._list(node)}]",
        nodes.PartitionSpec: lambda self, node: f"PARTITION {self._in_parens(node)}",
        nodes.PatternAlternation: _sequence(" | "),
        nodes.PatternGroup: lambda self, node: f"({self.sql(node, 'this')})",
        nodes.PatternRepeat: lambda self, node: self._pattern_repeat(node),
        nodes.PatternSequence: _sequence(" "),
        nodes.PatternVariable: lambda self, node: self.sql(node, "this"),
        nodes.RefreshMode: _prefixed("REFRESH_MODE ="),
        nodes.RefreshTable: lambda self, node: self._words("REFRESH", self.sql(node, "partition")),
        nodes.RemoveJar: _prefixed("REMOVE JAR"),
        nodes.ReplaceTable: lambda self, node: self.create_sql(node),
        nodes.ResetOptions: lambda self, node: f"RESET {self._in_parens(node)}",
        nodes.ResetStatement: lambda self, node: self._words("RESET", self.sql(node, "this")),
        nodes.Resume: lambda self, node: self._words("RESUME", self._with_options(node)),
        nodes.RowPattern: lambda self, node: self._row_pattern(node),
        nodes.SetOptions: lambda self, node: f"SET {self._in_parens(node)}",
        nodes.SetStatement: lambda self, node: self._set_statement(node),
        nodes.ShowStatement: lambda self, node: self._show(node),
        nodes.StartMode: _prefixed("START_MODE ="),
        nodes.StatementSet: lambda self, node: self._statement_set(node),
        nodes.StopJob: lambda self, node: self._stop_job(node),
        nodes.Subscribe: _prefixed("SUBSCRIBE"),
        nodes.Suspend: _constant("SUSPEND"),
        nodes.TableArgument: lambda self, node: self._table_argument(node),
        nodes.TableLike: lambda self, node: self._table_like(node),
        nodes.UnloadModule: _prefixed("UNLOAD MODULE"),
        nodes.UseStatement: lambda self, node: self._use(node),
        nodes.UsingConnection: _prefixed("USING CONNECTION"),
        nodes.WatermarkConstraint: lambda self, node: self._watermark(node),
        nodes.WithOptions: lambda self, node: self._with_options(node),
    }
