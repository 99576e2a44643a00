"""CREATE: tables with their columns and constraints, views, catalogs, databases, functions, models.

All give ``exp.Create`` (``exp.Create.kind`` names the object) with everything between name and query in
``properties``.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from .nodes import (
    Distribution,
    Freshness,
    FunctionLanguage,
    FunctionResource,
    FunctionResources,
    LikeOption,
    MetadataColumnConstraint,
    ModelInput,
    ModelOutput,
    OrAlter,
    RefreshMode,
    ReplaceTable,
    StartMode,
    TableLike,
    UsingConnection,
    WatermarkConstraint,
    WithOptions,
)
from .parse_queries import QueryParser
from .parse_types import TYPE_NAMES

_LIKE_ANY = ("ALL", "CONSTRAINTS", "DISTRIBUTION", "PARTITIONS")
_LIKE_MERGED = ("GENERATED", "METADATA", "OPTIONS", "WATERMARKS")
_KINDS = ("TABLE", "VIEW", "CATALOG", "DATABASE", "FUNCTION", "MODEL", "CONNECTION", "MATERIALIZED")


class CreateParser(QueryParser):
    """Adds CREATE and REPLACE TABLE."""

    def _parse_create(self) -> exp.Create | exp.Command:
        """After CREATE."""
        start = self._prev
        replace = self._take("OR", "REPLACE")
        properties: list[exp.Expr] = []
        if not replace and self._take("OR", "ALTER"):
            properties.append(OrAlter())
            if not self._at("MATERIALIZED"):
                raise self._error("expected MATERIALIZED TABLE after CREATE OR ALTER")
        if self._take("TEMPORARY"):
            properties.append(exp.TemporaryProperty())
        system = bool(properties) and self._take("SYSTEM")
        kind = self._need_any("FUNCTION") if system else self._need_any(*_KINDS)
        if replace and kind != "TABLE":
            raise self._error("expected TABLE after CREATE OR REPLACE", self._prev)
        if kind == "MATERIALIZED":
            self._need("TABLE")
        exists = True if self._take("IF", "NOT", "EXISTS") else None
        create = exp.Create(kind=kind, exists=exists, replace=True if replace else None)
        if kind == "TABLE":
            self._table_definition(create, properties)
        elif kind == "VIEW":
            self._view_definition(create, properties)
        elif kind == "FUNCTION":
            create.set("kind", "SYSTEM FUNCTION" if system else kind)
            self._function_definition(create, properties)
        elif kind == "MODEL":
            self._model_definition(create, properties)
        elif kind == "MATERIALIZED":
            create.set("kind", "MATERIALIZED TABLE")
            self._materialized_definition(create, properties)
        else:
            self._catalog_definition(create, properties, kind.lower())
        return self._finish(create, properties, start)

    def _replace_table(self) -> exp.Expr:
        """After REPLACE."""
        start = self._prev
        self._need("TABLE")
        create = ReplaceTable(kind="TABLE")
        properties: list[exp.Expr] = []
        self._table_definition(create, properties)
        if not create.expression:
            raise self._error("expected AS and a query (REPLACE TABLE fills the table anew)")
        return self._finish(create, properties, start)

    def _finish(self, create: exp.Create, properties: list[exp.Expr], start: Token) -> exp.Create:
        if properties:
            create.set("properties", exp.Properties(expressions=properties))
        return self._span(create, start)

    # --- one kind each ---

    def _table_definition(self, create: exp.Create, properties: list[exp.Expr]) -> None:
        table = self._object_name()
        create.set("this", table)
        if self._curr.token_type == TokenType.L_PAREN:
            items = self._csv_in_parens(self._table_item)
            create.set("this", self.expression(exp.Schema(this=table, expressions=items)))
        self._table_clauses(properties)
        if self._match(TokenType.LIKE):
            properties.append(self._table_like())
        if self._match(TokenType.ALIAS):
            create.set("expression", self._query("a query after AS"))
        else:
            self._refuse_bare_names(create.this)

    def _refuse_bare_names(self, table: exp.Expr) -> None:
        """A list of names without types only orders the columns of a query."""
        for item in table.expressions:
            if isinstance(item, exp.Identifier):
                following = next(t for t in self._tokens if t.start > item.meta["end"])
                raise self._error("expected a data type", following, candidates=TYPE_NAMES)

    def _table_clauses(self, properties: list[exp.Expr]) -> None:
        """COMMENT, DISTRIBUTED, PARTITIONED BY, USING CONNECTION and WITH, each once, in Flink's order or
        any other.
        """
        seen: set[str] = set()
        while word := self._table_clause_word():
            if word in seen:
                raise self._error(f"{word} is given twice", self._prev)
            seen.add(word)
            if word == "COMMENT":
                properties.append(exp.SchemaCommentProperty(this=self._string("a comment")))
            elif word == "DISTRIBUTED":
                properties.append(self._distribution())
            elif word == "PARTITIONED":
                self._need("BY")
                columns = self._csv_in_parens(lambda: self._name("a column name"))
                properties.append(exp.PartitionedByProperty(this=exp.Tuple(expressions=columns)))
            elif word == "USING":
                self._need("CONNECTION")
                properties.append(UsingConnection(this=self._object_name("a connection name")))
            else:
                properties.append(self.expression(WithOptions(expressions=self._option_list())))

    def _table_clause_word(self) -> str | None:
        return self._take_any("COMMENT", "DISTRIBUTED", "PARTITIONED", "USING", "WITH")

    def _view_definition(self, create: exp.Create, properties: list[exp.Expr]) -> None:
        view = self._object_name("a view name")
        create.set("this", view)
        if self._curr.token_type == TokenType.L_PAREN:
            columns = self._csv_in_parens(self._view_column)
            create.set("this", self.expression(exp.Schema(this=view, expressions=columns)))
        if self._take("COMMENT"):
            properties.append(exp.SchemaCommentProperty(this=self._string("a comment")))
        self._need_token(TokenType.ALIAS, "AS and a query")
        create.set("expression", self._query("a query after AS"))

    def _view_column(self) -> exp.Expr:
        name = self._name("a column name")
        if not self._at("COMMENT"):
            return name
        return self._span(exp.ColumnDef(this=name, constraints=self._column_comment()), name)

    def _catalog_definition(self, create: exp.Create, properties: list[exp.Expr], what: str) -> None:
        create.set("this", self._object_name(f"a {what} name"))
        if self._take("COMMENT"):
            properties.append(exp.SchemaCommentProperty(this=self._string("a comment")))
        if self._match(TokenType.WITH):
            properties.append(WithOptions(expressions=self._option_list()))

    def _function_definition(self, create: exp.Create, properties: list[exp.Expr]) -> None:
        create.set("this", self._object_name("a function name"))
        self._need_token(TokenType.ALIAS, "AS and the function's class or 'module.attribute'")
        create.set("expression", self._string("the function's class or module.attribute"))
        if self._take("LANGUAGE"):
            properties.append(FunctionLanguage(this=self._need_any("JAVA", "SCALA", "PYTHON", "SQL")))
        if self._match(TokenType.USING):
            resources = self._parse_csv(self._function_resource)
            properties.append(FunctionResources(expressions=resources))
        if self._match(TokenType.WITH):
            properties.append(WithOptions(expressions=self._option_list()))

    def _function_resource(self) -> exp.Expr:
        kind = self._need_any("JAR", "FILE", "ARTIFACT", "ARCHIVE")
        return self.expression(FunctionResource(this=self._string("a path"), kind=kind))

    def _model_definition(self, create: exp.Create, properties: list[exp.Expr]) -> None:
        create.set("this", self._object_name("a model name"))
        if self._take("INPUT"):
            properties.append(ModelInput(expressions=self._csv_in_parens(self._table_item)))
        if self._take("OUTPUT"):
            properties.append(ModelOutput(expressions=self._csv_in_parens(self._table_item)))
        if self._take("COMMENT"):
            properties.append(exp.SchemaCommentProperty(this=self._string("a comment")))
        if self._match(TokenType.WITH):
            properties.append(WithOptions(expressions=self._option_list()))
        if self._match(TokenType.ALIAS):
            create.set("expression", self._query("a query after AS"))

    def _materialized_definition(self, create: exp.Create, properties: list[exp.Expr]) -> None:
        table = self._object_name()
        create.set("this", table)
        if self._curr.token_type == TokenType.L_PAREN:
            items = self._csv_in_parens(self._table_item)
            create.set("this", self.expression(exp.Schema(this=table, expressions=items)))
        self._table_clauses(properties)
        while word := self._take_any("FRESHNESS", "REFRESH_MODE", "START_MODE"):
            self._need_token(TokenType.EQ, "=")
            if word == "FRESHNESS":
                properties.append(Freshness(this=self._parse_interval()))
            elif word == "REFRESH_MODE":
                properties.append(RefreshMode(this=self._need_any("CONTINUOUS", "FULL")))
            else:
                properties.append(StartMode(this=self._parse_function() or self._name("a start mode")))
        self._need_token(TokenType.ALIAS, "AS and a query")
        create.set("expression", self._query("a query after AS"))

    # --- what stands in the parentheses of CREATE TABLE ---

    def _table_item(self) -> exp.Expr:
        """A column, WATERMARK, PRIMARY KEY or CONSTRAINT; a bare name in CREATE TABLE (a, b) AS query."""
        token = self._curr
        if self._take("WATERMARK", "FOR"):
            return self._span(self._watermark(), token)
        if self._take("CONSTRAINT"):
            name = self._name("the name of the constraint")
            return self._span(exp.Constraint(this=name, expressions=[self._primary_key()]), token)
        if self._at("PRIMARY", "KEY"):
            return self._primary_key()
        return self._column_definition()

    def _watermark(self) -> WatermarkConstraint:
        column = self._dotted_name("the rowtime column")
        self._need_token(TokenType.ALIAS, "AS and the watermark expression")
        return WatermarkConstraint(this=column, expression=self._condition())

    def _primary_key(self) -> exp.PrimaryKey:
        token = self._curr
        self._need("PRIMARY", "KEY")
        columns = self._csv_in_parens(lambda: self._name("a column name"))
        self._not_enforced()
        return self._span(exp.PrimaryKey(expressions=columns, options=["NOT ENFORCED"]), token)

    def _not_enforced(self) -> None:
        if self._take("NOT", "ENFORCED"):
            return
        if self._take("ENFORCED"):
            raise self._error("Flink cannot enforce a key; expected NOT ENFORCED", self._prev)
        raise self._error("expected NOT ENFORCED after PRIMARY KEY")

    def _column_definition(self) -> exp.Expr:
        name = self._name("a column, WATERMARK, PRIMARY KEY or CONSTRAINT")
        if self._curr.token_type in (TokenType.COMMA, TokenType.R_PAREN):
            return name
        if self._match(TokenType.ALIAS):
            computed = exp.ComputedColumnConstraint(this=self._condition())
            constraints = [self.expression(exp.ColumnConstraint(kind=computed)), *self._column_comment()]
            return self._span(exp.ColumnDef(this=name, constraints=constraints), name)
        kind = self._column_type()
        constraints = self._column_constraints()
        return self._span(exp.ColumnDef(this=name, kind=kind, constraints=constraints or None), name)

    def _column_constraints(self) -> list[exp.ColumnConstraint]:
        """NOT NULL, METADATA, PRIMARY KEY and COMMENT, each at most once."""
        found: dict[str, exp.ColumnConstraint] = {}
        while True:
            token = self._curr
            kind: exp.Expr
            if self._take("NOT", "NULL"):
                word, kind = "NOT NULL", exp.NotNullColumnConstraint()
            elif self._take("NULL"):
                word, kind = "NOT NULL", exp.NotNullColumnConstraint(allow_null=True)
            elif self._take("METADATA"):
                word, kind = "METADATA", self._metadata()
            elif self._take("CONSTRAINT"):
                name = self._name("the name of the constraint")
                self._need("PRIMARY", "KEY")
                self._not_enforced()
                primary_key = exp.PrimaryKeyColumnConstraint(options=["NOT ENFORCED"])
                found["PRIMARY KEY"] = self.expression(exp.ColumnConstraint(this=name, kind=primary_key))
                continue
            elif self._take("PRIMARY", "KEY"):
                self._not_enforced()
                word, kind = "PRIMARY KEY", exp.PrimaryKeyColumnConstraint(options=["NOT ENFORCED"])
            elif self._at("COMMENT"):
                return [*found.values(), *self._column_comment()]
            else:
                return list(found.values())
            if word in found:
                raise self._error(f"{word} is given twice", token)
            found[word] = self.expression(exp.ColumnConstraint(kind=kind))

    def _metadata(self) -> MetadataColumnConstraint:
        source = self._string("a metadata key") if self._match(TokenType.FROM) else None
        virtual = True if self._take("VIRTUAL") else None
        return self.expression(MetadataColumnConstraint(from_=source, virtual=virtual))

    def _column_comment(self) -> list[exp.ColumnConstraint]:
        if not self._take("COMMENT"):
            return []
        comment = exp.CommentColumnConstraint(this=self._string("a comment"))
        return [self.expression(exp.ColumnConstraint(kind=comment))]

    # --- clauses shared with ALTER ---

    def _distribution(self) -> Distribution:
        """After DISTRIBUTED (or the word DISTRIBUTION of ALTER)."""
        kind = None
        columns: list[exp.Identifier] | None = None
        if self._take("BY"):
            kind = self._take_any("HASH", "RANGE")
            columns = self._csv_in_parens(lambda: self._name("a column name"))
        buckets = None
        if self._match(TokenType.INTO):
            buckets = self._integer("a number of buckets")
            self._need("BUCKETS")
        if not columns and not buckets:
            raise self._error("expected BY (columns) or INTO n BUCKETS")
        return self.expression(Distribution(kind=kind, expressions=columns, buckets=buckets))

    def _table_like(self) -> TableLike:
        source = self._object_name()
        options: list[exp.Expr] = []
        if self._match(TokenType.L_PAREN):
            while not self._match(TokenType.R_PAREN):
                options.append(self._like_option())
                self._match(TokenType.COMMA)
        return self.expression(TableLike(this=source, expressions=options))

    def _like_option(self) -> LikeOption:
        strategy = self._need_any("INCLUDING", "EXCLUDING", "OVERWRITING")
        kinds = _LIKE_MERGED if strategy == "OVERWRITING" else (*_LIKE_ANY, *_LIKE_MERGED)
        return self.expression(LikeOption(this=strategy, kind=self._need_any(*kinds)))
