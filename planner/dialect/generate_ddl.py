"""Text of CREATE, ALTER, DROP and the statements of `nodes`."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.generator import Generator

from . import nodes

_PROPERTY_ORDER: tuple[type[exp.Expr], ...] = (
    nodes.ModelInput,
    nodes.ModelOutput,
    exp.SchemaCommentProperty,
    nodes.Distribution,
    exp.PartitionedByProperty,
    nodes.UsingConnection,
    nodes.FunctionLanguage,
    nodes.FunctionResources,
    nodes.WithOptions,
    nodes.Freshness,
    nodes.RefreshMode,
    nodes.StartMode,
    nodes.TableLike,
)


class DdlGenerator(Generator):
    """Methods by node; `FlinkGenerator.TRANSFORMS` points at them."""

    # --- small pieces ---

    def _words(self, *parts: str | None) -> str:
        return " ".join(part for part in parts if part)

    def _list(self, node: exp.Expr, key: str = "expressions") -> str:
        return self.expressions(node, key=key, flat=True)

    def _in_parens(self, node: exp.Expr, key: str = "expressions") -> str:
        return f"({self._list(node, key)})"

    def _block(self, node: exp.Expr) -> str:
        """``(a, b)``, one item a line when pretty."""
        return self.wrap(self.expressions(node, indent=False)) if self.pretty else self._in_parens(node)

    def _option(self, node: exp.Property) -> str:
        return f"{self.sql(node, 'this')} = {self.sql(node, 'value')}"

    def _with_options(self, node: exp.Expr) -> str:
        return f"WITH {self._block(node)}" if node.args.get("expressions") is not None else ""

    # --- CREATE ---

    def create_sql(self, expression: exp.Create) -> str:
        kind = expression.args["kind"]
        found = expression.args.get("properties")
        properties: list[exp.Expr] = list(found.expressions) if found else []
        of = {type(node) for node in properties}
        head = self._words(
            "REPLACE" if isinstance(expression, nodes.ReplaceTable) else "CREATE",
            "OR REPLACE" if expression.args.get("replace") else None,
            "OR ALTER" if nodes.OrAlter in of else None,
            "TEMPORARY" if exp.TemporaryProperty in of else None,
            kind,
            "IF NOT EXISTS" if expression.args.get("exists") else None,
        )
        clauses = [self.sql(node) for kind_ in _PROPERTY_ORDER for node in properties if type(node) is kind_]
        body = expression.args.get("expression")
        if isinstance(body, exp.Literal):  # a function's class comes before its properties
            return self._words(head, self.sql(expression, "this"), "AS", self.sql(body), *clauses)
        text = self.sep().join(filter(None, (f"{head} {self.sql(expression, 'this')}", *clauses)))
        return f"{text} AS{self.sep()}{self.sql(body)}" if body else text

    def schema_sql(self, expression: exp.Schema) -> str:
        return f"{self.sql(expression, 'this')} {self._block(expression)}"

    def columndef_sql(self, expression: exp.ColumnDef, sep: str = " ") -> str:
        constraints = expression.args.get("constraints") or []
        # In a ROW type the comment stands alone, in a table it follows the word COMMENT
        in_row = isinstance(expression.parent, exp.DataType)
        parts = [self.sql(c.args["kind"], "this") if in_row else self.sql(c) for c in constraints]
        position = self.sql(expression, "position")
        return self._words(self.sql(expression, "this"), self.sql(expression, "kind"), *parts, position)

    def columnposition_sql(self, expression: exp.ColumnPosition) -> str:
        return self._words(expression.args["position"], self.sql(expression, "this"))

    def _computed_column(self, expression: exp.ComputedColumnConstraint) -> str:
        return f"AS {self.sql(expression, 'this')}"

    def _metadata_column(self, expression: nodes.MetadataColumnConstraint) -> str:
        source = self.sql(expression, "from_")
        virtual = "VIRTUAL" if expression.args.get("virtual") else None
        return self._words("METADATA", f"FROM {source}" if source else None, virtual)

    def _primary_key_column(self, expression: exp.PrimaryKeyColumnConstraint) -> str:
        return "PRIMARY KEY NOT ENFORCED"

    def primarykey_sql(self, expression: exp.PrimaryKey) -> str:
        return f"PRIMARY KEY {self._in_parens(expression)} NOT ENFORCED"

    def constraint_sql(self, expression: exp.Constraint) -> str:
        return f"CONSTRAINT {self.sql(expression, 'this')} {self._list(expression)}"

    def _watermark(self, expression: nodes.WatermarkConstraint) -> str:
        return f"WATERMARK FOR {self.sql(expression, 'this')} AS {self.sql(expression, 'expression')}"

    def _comment_clause(self, expression: exp.SchemaCommentProperty) -> str:
        return f"COMMENT {self.sql(expression, 'this')}"

    def _partitioned_by(self, expression: exp.PartitionedByProperty) -> str:
        return f"PARTITIONED BY {self.sql(expression, 'this')}"

    def _distribution(self, expression: nodes.Distribution) -> str:
        word = (
            "DISTRIBUTION"
            if isinstance(expression.parent, (nodes.AlterAdd, nodes.AlterModify))
            else "DISTRIBUTED"
        )
        by = (
            f"BY {expression.args.get('kind') or ''}{self._in_parens(expression)}"
            if expression.expressions
            else None
        )
        buckets = self.sql(expression, "buckets")
        return self._words(word, by, f"INTO {buckets} BUCKETS" if buckets else None)

    def _table_like(self, expression: nodes.TableLike) -> str:
        options = " ".join(f"{o.args['this']} {o.args['kind']}" for o in expression.expressions)
        return self._words("LIKE", self.sql(expression, "this"), f"({options})" if options else None)

    def _function_resources(self, expression: nodes.FunctionResources) -> str:
        return "USING " + ", ".join(f"{r.args['kind']} {self.sql(r, 'this')}" for r in expression.expressions)

    # --- ALTER and DROP ---

    def alter_sql(self, expression: exp.Alter) -> str:
        exists = "IF EXISTS" if expression.args.get("exists") else None
        actions = ", ".join(self.sql(action) for action in expression.args["actions"])
        return self._words("ALTER", expression.args["kind"], exists, self.sql(expression, "this"), actions)

    def _alter_items(self, expression: exp.Expr) -> str:
        word = "ADD" if isinstance(expression, nodes.AlterAdd) else "MODIFY"
        items = expression.expressions
        if len(items) == 1 and isinstance(items[0], nodes.Distribution):
            return f"{word} {self.sql(items[0])}"
        return f"{word} {self._in_parens(expression)}"

    def _alter_drop(self, expression: nodes.AlterDrop) -> str:
        kind = expression.args["kind"]
        if kind == "COLUMN":
            return f"DROP {self._in_parens(expression)}"
        return self._words("DROP", kind, self._list(expression))

    def _add_partitions(self, expression: nodes.AddPartitions) -> str:
        exists = "IF NOT EXISTS" if expression.args.get("exists") else None
        parts = []
        for partition in expression.expressions:
            options = self.expressions(partition, key="options", flat=True)
            parts.append(self._words(self.sql(partition), f"WITH ({options})" if options else None))
        return self._words("ADD", exists, *parts)

    def _drop_partitions(self, expression: nodes.DropPartitions) -> str:
        return self._words(
            "DROP", "IF EXISTS" if expression.args.get("exists") else None, self._list(expression)
        )

    def _alter_function(self, expression: nodes.AlterFunction) -> str:
        language = expression.args.get("language")
        return self._words("AS", self.sql(expression, "this"), f"LANGUAGE {language}" if language else None)

    def renamecolumn_sql(self, expression: exp.RenameColumn) -> str:
        return f"RENAME {self.sql(expression, 'this')} TO {self.sql(expression, 'to')}"

    def alterrename_sql(self, expression: exp.AlterRename, include_to: bool = True) -> str:
        return f"RENAME TO {self.sql(expression, 'this')}"

    def drop_sql(self, expression: exp.Drop) -> str:
        args = expression.args
        return self._words(
            "DROP",
            "TEMPORARY" if args.get("temporary") else None,
            args["kind"],
            "IF EXISTS" if args.get("exists") else None,
            ", ".join(self.sql(table) for table in args["tables"]),
            "CASCADE" if args.get("cascade") else None,
            "RESTRICT" if args.get("restrict") else None,
        )

    # --- other statements ---

    def _statement_set(self, expression: nodes.StatementSet) -> str:
        body = "".join(f"{self.sep()}{self.sql(statement)};" for statement in expression.expressions)
        parent = expression.parent
        lead = "STATEMENT SET" if isinstance(parent, (nodes.ExplainStatement, nodes.CompilePlan)) else None
        return f"{lead or 'EXECUTE STATEMENT SET'}{self.sep()}BEGIN{body}{self.sep()}END"

    def _show(self, expression: nodes.ShowStatement) -> str:
        args = expression.args
        source = self.sql(expression, "from_")
        like = None
        if args.get("like"):
            word = "ILIKE" if args.get("ilike") else "LIKE"
            like = self._words("NOT" if args.get("negate") else None, word, self.sql(expression, "like"))
        partition = self.sql(expression, "partition")
        return self._words(
            "SHOW",
            args["kind"],
            self.sql(expression, "this"),
            f"FROM {source}" if source else None,
            partition,
            like,
        )

    def _describe(self, expression: nodes.DescribeStatement) -> str:
        kind = expression.args["kind"]
        extended = "EXTENDED" if expression.args.get("extended") else None
        return self._words(
            "DESCRIBE", None if kind == "TABLE" else kind, extended, self.sql(expression, "this")
        )

    def _explain(self, expression: nodes.ExplainStatement) -> str:
        details = ", ".join(expression.args.get("details") or ())
        return self._words("EXPLAIN", details, self.sql(expression, "this"))

    def _set_statement(self, expression: nodes.SetStatement) -> str:
        if not expression.args.get("this"):
            return "SET"
        return f"SET {self.sql(expression, 'this')} = {self.sql(expression, 'value')}"

    def _use(self, expression: nodes.UseStatement) -> str:
        kind = expression.args["kind"]
        names = self.sql(expression, "this") or self._list(expression)
        return self._words("USE", None if kind == "DATABASE" else kind, names)

    def _stop_job(self, expression: nodes.StopJob) -> str:
        return self._words(
            "STOP JOB",
            self.sql(expression, "this"),
            "WITH SAVEPOINT" if expression.args.get("savepoint") else None,
            "WITH DRAIN" if expression.args.get("drain") else None,
        )

    def _load_module(self, expression: nodes.LoadModule) -> str:
        return self._words("LOAD MODULE", self.sql(expression, "this"), self._with_options(expression))

    def _analyze_table(self, expression: nodes.AnalyzeTable) -> str:
        columns = f"FOR COLUMNS {self._list(expression)}" if expression.expressions else None
        every = "FOR ALL COLUMNS" if expression.args.get("all_columns") else None
        partition = self.sql(expression, "partition")
        table = self.sql(expression, "this")
        return self._words("ANALYZE TABLE", table, partition, "COMPUTE STATISTICS", columns, every)

    def _compile_plan(self, expression: nodes.CompilePlan) -> str:
        return self._words(
            "COMPILE",
            "AND EXECUTE" if expression.args.get("execute") else None,
            "PLAN",
            self.sql(expression, "this"),
            "IF NOT EXISTS" if expression.args.get("exists") else None,
            "FOR",
            self.sql(expression, "expression"),
        )
