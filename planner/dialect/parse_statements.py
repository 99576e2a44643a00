"""Every statement that is not CREATE, ALTER or DROP, and the dispatch on a statement's first word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from .nodes import (
    AddJar,
    AnalyzeTable,
    BeginStatementSet,
    CallStatement,
    CompilePlan,
    DescribeStatement,
    EmitChanges,
    EndStatementSet,
    ExecutePlan,
    ExplainStatement,
    LoadModule,
    RemoveJar,
    ResetStatement,
    SetStatement,
    ShowStatement,
    StatementSet,
    StopJob,
    Subscribe,
    UnloadModule,
    UseStatement,
)
from .parse_alter import AlterParser
from .words import STATEMENT_WORDS

EXPLAIN_DETAILS: tuple[str, ...] = (
    "ESTIMATED_COST", "CHANGELOG_MODE", "PLAN_ADVICE", "JSON_EXECUTION_PLAN", "VERBOSE", "GUARANTEES",
)  # fmt: skip
"""Flink's details, then streamsql's own two."""

_QUERY_WORDS = ("SELECT", "WITH", "VALUES", "TABLE", "(")
_NAMED_OBJECTS = ("TABLE", "VIEW", "CATALOG", "MODEL", "CONNECTION")
_SHOW_IN_DATABASE = ("TABLES", "VIEWS", "FUNCTIONS", "PROCEDURES", "MODELS", "CONNECTIONS")


class StatementParser(AlterParser):
    """The whole grammar."""

    FIRST_WORDS: ClassVar[dict[str, Callable[[Any], exp.Expr]]] = {
        "ADD": lambda self: self._jar(AddJar),
        "ALTER": lambda self: self._parse_alter(),
        "ANALYZE": lambda self: self._analyze_table(),
        "BEGIN": lambda self: self._begin(),
        "CALL": lambda self: self._call_statement(),
        "COMPILE": lambda self: self._compile(),
        "CREATE": lambda self: self._parse_create(),
        "DELETE": lambda self: self._delete(),
        "DESC": lambda self: self._describe(),
        "DESCRIBE": lambda self: self._describe(),
        "DROP": lambda self: self._parse_drop(),
        "END": lambda self: EndStatementSet(),
        "EXECUTE": lambda self: self._execute(),
        "EXPLAIN": lambda self: self._explain(),
        "INSERT": lambda self: self._insert(),
        "LOAD": lambda self: self._load_module(),
        "REMOVE": lambda self: self._jar(RemoveJar),
        "REPLACE": lambda self: self._replace_table(),
        "RESET": lambda self: self._reset_statement(),
        "SET": lambda self: self._set_statement(),
        "SHOW": lambda self: self._show(),
        "STOP": lambda self: self._stop_job(),
        "SUBSCRIBE": lambda self: self._subscribe(),
        "TRUNCATE": lambda self: self._truncate(),
        "UNLOAD": lambda self: self._unload_module(),
        "UPDATE": lambda self: self._update(),
        "USE": lambda self: self._use(),
    }

    def _parse_statement(self) -> exp.Expr | None:
        if not self._curr:
            return None
        token = self._curr
        if token.token_type in self.TEXT_MATCH_EXCLUDED_TOKENS:
            raise self._error("expected a statement")
        word = token.text.upper()
        if word in _QUERY_WORDS:
            return self._query_statement()
        handler = self.FIRST_WORDS.get(word)
        if handler is None:
            raise self._error("expected a statement", candidates=STATEMENT_WORDS)
        self._advance()
        comments = self._prev_comments
        statement = self._span(handler(self), token)
        statement.add_comments(comments, prepend=True)
        return statement

    def _query_statement(self) -> exp.Expr:
        token = self._curr
        query = self._query()
        if self._take("EMIT", "CHANGES"):
            return self._span(EmitChanges(this=query), token)
        return query

    # --- INSERT, UPDATE, DELETE ---

    def _insert(self) -> exp.Insert:
        """After INSERT."""
        start = self._prev
        overwrite = True if self._match(TokenType.OVERWRITE) else None
        if not overwrite and not self._match(TokenType.INTO):
            raise self._error("expected INTO or OVERWRITE")
        if overwrite:
            self._match(TokenType.INTO)
        table = self._object_name()
        self._table_hints(table)
        target: exp.Expr = table
        partition = self._partition_spec() if self._at("PARTITION") else None
        if self._curr.token_type == TokenType.L_PAREN and self._next.token_type not in self._QUERY_TOKENS:
            columns = self._csv_in_parens(self._dotted_name)
            target = self.expression(exp.Schema(this=table, expressions=columns))
        query = self._query("a query or VALUES")
        insert = exp.Insert(
            this=target,
            expression=query,
            overwrite=overwrite,
            partition=partition,
            conflict=self._on_conflict(),
        )
        return self._span(insert, start)

    _QUERY_TOKENS: ClassVar[frozenset[TokenType]] = frozenset(
        {TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.TABLE, TokenType.L_PAREN}
    )

    def _on_conflict(self) -> exp.OnConflict | None:
        token = self._curr
        if not self._take("ON", "CONFLICT"):
            return None
        self._need("DO")
        action = self._need_any("ERROR", "NOTHING", "DEDUPLICATE")
        return self._span(exp.OnConflict(action=exp.var(f"DO {action}")), token)

    def _update(self) -> exp.Update:
        """After UPDATE."""
        table = self._object_name()
        self._need_token(TokenType.SET, "SET")
        items = self._parse_csv(self._assignment)
        return exp.Update(this=table, expressions=items, where=self._parse_where())

    def _assignment(self) -> exp.Expr:
        column = self._name("a column name")
        self._need_token(TokenType.EQ, "=")
        target = exp.Column(this=column).update_positions(column)
        return self._span(exp.EQ(this=target, expression=self._condition()), column)

    def _delete(self) -> exp.Delete:
        """After DELETE."""
        self._need_token(TokenType.FROM, "FROM")
        return exp.Delete(this=self._object_name(), where=self._parse_where())

    def _truncate(self) -> exp.TruncateTable:
        self._need("TABLE")
        return exp.TruncateTable(expressions=[self._object_name()])

    # --- statement sets and plans ---

    def _execute(self) -> exp.Expr:
        """After EXECUTE."""
        start = self._prev
        if self._take("STATEMENT", "SET"):
            self._need("BEGIN")
            return self._statement_set(start)
        if self._take("PLAN"):
            return ExecutePlan(this=self._string("a file name"))
        if self._match(TokenType.INSERT):
            return self._insert()
        if self._curr.text.upper() in _QUERY_WORDS:
            return self._query_statement()
        raise self._error("expected STATEMENT SET, INSERT or PLAN after EXECUTE")

    def _begin(self) -> exp.Expr:
        """After BEGIN: the old form of a statement set; alone it only opens one."""
        start = self._prev
        self._need("STATEMENT", "SET")
        if not self._curr or (self._curr.token_type == TokenType.SEMICOLON and not self._next):
            return BeginStatementSet()
        self._need_token(TokenType.SEMICOLON, ";")
        return self._statement_set(start)

    def _statement_set(self, start: Token) -> exp.Expr:
        """Up to and with END; every statement ends with a semicolon, the last one too."""
        statements: list[exp.Expr] = []
        while not self._match(TokenType.END):
            token = self._curr
            statement = self._parse_statement() if token else None
            if statement is None:
                raise self._error("expected END of the statement set")
            if not isinstance(statement, (exp.Insert, exp.Create)):
                raise self._error("expected INSERT in a statement set", token)
            statements.append(statement)
            self._need_token(TokenType.SEMICOLON, "; after every statement of the set")
        if not statements:
            raise self._error("expected at least one INSERT in the statement set", self._prev)
        return self._span(StatementSet(expressions=statements), start)

    def _explain(self) -> exp.Expr:
        """After EXPLAIN."""
        details: list[str] = []
        if self._take("PLAN"):
            self._need_token(TokenType.FOR, "FOR")
        else:
            more = self._match_texts(EXPLAIN_DETAILS, advance=False)
            while more:
                details.append(self._need_any(*EXPLAIN_DETAILS))
                more = self._match(TokenType.COMMA)
        return ExplainStatement(this=self._explained(), details=details or None)

    def _explained(self) -> exp.Expr:
        token = self._curr
        if self._take("STATEMENT", "SET"):
            self._need("BEGIN")
            return self._statement_set(token)
        statement = self._parse_statement() if token else None
        if isinstance(statement, (exp.Query, exp.Values, exp.Insert, exp.Create, exp.Update, exp.Delete)):
            return statement
        if isinstance(statement, (StatementSet, EmitChanges, exp.Alter)):
            return statement
        raise self._error("expected a query, INSERT or STATEMENT SET to explain", token)

    def _compile(self) -> exp.Expr:
        """After COMPILE."""
        execute = True if self._take("AND", "EXECUTE") else None
        self._need("PLAN")
        path = self._string("a file name")
        exists = True if self._take("IF", "NOT", "EXISTS") else None
        self._need_token(TokenType.FOR, "FOR")
        token = self._curr
        if self._take("STATEMENT", "SET"):
            self._need("BEGIN")
            statement: exp.Expr = self._statement_set(token)
        elif self._match(TokenType.INSERT):
            statement = self._insert()
        else:
            raise self._error("expected INSERT or STATEMENT SET")
        return CompilePlan(this=path, expression=statement, exists=exists, execute=execute)

    # --- SHOW and DESCRIBE ---

    def _show(self) -> ShowStatement:
        """After SHOW."""
        if self._match(TokenType.CREATE):
            return self._show_create()
        if self._take("CURRENT"):
            return ShowStatement(kind=f"CURRENT {self._need_any('CATALOG', 'DATABASE')}")
        if self._take("MATERIALIZED"):
            self._need("TABLES")
            return self._show_list("MATERIALIZED TABLES", True)
        if self._take("FULL"):
            return self._show_list(f"FULL {self._need_any('MODULES')}", False)
        if self._take("USER"):
            return self._show_list(f"USER {self._need_any('FUNCTIONS')}", True)
        word = self._need_any(
            *_SHOW_IN_DATABASE, "CATALOGS", "DATABASES", "COLUMNS", "PARTITIONS", "MODULES", "JARS", "JOBS"
        )
        if word == "PARTITIONS":
            table = self._object_name()
            return ShowStatement(
                kind=word, this=table, partition=self._partition_spec() if self._at("PARTITION") else None
            )
        if word == "COLUMNS" and not (self._at("FROM") or self._at("IN")):
            raise self._error("expected FROM and a table name")
        return self._show_list(word, word in (*_SHOW_IN_DATABASE, "DATABASES", "COLUMNS"))

    def _show_create(self) -> ShowStatement:
        kind = "CREATE"
        if self._take("OR", "ALTER"):
            kind = "CREATE OR ALTER"
            self._need("MATERIALIZED", "TABLE")
            kind += " MATERIALIZED TABLE"
        elif self._take("MATERIALIZED", "TABLE"):
            kind += " MATERIALIZED TABLE"
        else:
            kind += f" {self._need_any(*_NAMED_OBJECTS)}"
        return ShowStatement(kind=kind, this=self._object_name("a name"))

    def _show_list(self, kind: str, inside: bool) -> ShowStatement:
        """``kind [FROM | IN name] [[NOT] LIKE | ILIKE 'pattern']``."""
        show = ShowStatement(kind=kind)
        if inside and self._take_any("FROM", "IN"):
            show.set("from_", self._object_name("a name"))
        negate = self._take("NOT")
        word = self._take_any("LIKE", "ILIKE")
        if word:
            show.set("like", self._string("a pattern"))
            show.set("ilike", True if word == "ILIKE" else None)
            show.set("negate", True if negate else None)
        elif negate:
            raise self._error("expected LIKE or ILIKE")
        return show

    def _describe(self) -> DescribeStatement:
        """After DESCRIBE or DESC."""
        if self._next and (self._next.token_type != TokenType.DOT):
            if self._take("JOB"):
                return DescribeStatement(this=self._string("the id of a job"), kind="JOB")
            kind = (
                self._take_any("CATALOG", "DATABASE", "FUNCTION", "MODEL", "CONNECTION", "TABLE") or "TABLE"
            )
            extended = True if self._next and self._take("EXTENDED") else None
            return DescribeStatement(this=self._object_name("a name"), kind=kind, extended=extended)
        return DescribeStatement(this=self._object_name(), kind="TABLE")

    # --- session and jobs ---

    def _set_statement(self) -> SetStatement:
        """After SET."""
        if not self._curr or self._curr.token_type == TokenType.SEMICOLON:
            return SetStatement()
        key = self._config_key()
        self._need_token(TokenType.EQ, "=")
        return SetStatement(this=key, value=self._config_value())

    def _reset_statement(self) -> ResetStatement:
        """After RESET."""
        if not self._curr or self._curr.token_type == TokenType.SEMICOLON:
            return ResetStatement()
        return ResetStatement(this=self._config_key())

    def _config_key(self) -> exp.Literal:
        """``'a.b-c'`` or the same without quotes: everything up to ``=`` or the end of the statement."""
        if self._curr.token_type in self.STRING_PARSERS:
            return self._string("an option key")
        return self._raw_text("an option key", (TokenType.EQ, TokenType.SEMICOLON))

    def _config_value(self) -> exp.Literal:
        if self._curr.token_type in self.STRING_PARSERS:
            return self._string("the option's value")
        return self._raw_text("the option's value", (TokenType.SEMICOLON,))

    def _raw_text(self, what: str, ends: tuple[TokenType, ...]) -> exp.Literal:
        start = self._curr
        if not start or start.token_type in ends:
            raise self._error(f"expected {what}")
        while self._curr and self._curr.token_type not in ends:
            self._advance()
            if TokenType.EQ in ends and self._curr.token_type not in ends and not self._is_connected():
                break  # a key has no blanks
        text = self.sql[start.start : self._prev.end + 1]
        return self._span(exp.Literal.string(text), start)

    def _use(self) -> UseStatement:
        """After USE; ``USE CATALOG`` alone or with a dot would be a database of that name."""
        if self._next and self._next.token_type not in (TokenType.DOT, TokenType.SEMICOLON):
            if self._take("CATALOG"):
                return UseStatement(kind="CATALOG", this=self._object_name("a catalog name"))
            if self._take("MODULES"):
                return UseStatement(
                    kind="MODULES", expressions=self._parse_csv(lambda: self._name("a module name"))
                )
        return UseStatement(kind="DATABASE", this=self._object_name("a database name"))

    def _stop_job(self) -> StopJob:
        """After STOP."""
        self._need("JOB")
        job = self._string("the id of a job")
        flags: dict[str, bool] = {}
        while self._take_any("WITH", "AND"):
            self._take("WITH")
            flags[self._need_any("SAVEPOINT", "DRAIN").lower()] = True
        return StopJob(this=job, **flags)

    def _jar(self, kind: type[exp.Expr]) -> exp.Expr:
        self._need("JAR")
        return kind(this=self._string("a path"))

    def _load_module(self) -> LoadModule:
        self._need("MODULE")
        name = self._name("a module name")
        options = self._option_list() if self._match(TokenType.WITH) else None
        return LoadModule(this=name, expressions=options)

    def _unload_module(self) -> UnloadModule:
        self._need("MODULE")
        return UnloadModule(this=self._name("a module name"))

    def _call_statement(self) -> CallStatement:
        name = self._object_name("a procedure name")
        self._match_l_paren()
        arguments = self._parse_csv(self._argument)
        self._match_r_paren()
        return CallStatement(this=name, expressions=arguments)

    def _analyze_table(self) -> AnalyzeTable:
        self._need("TABLE")
        table = self._object_name()
        partition = self._partition_spec() if self._at("PARTITION") else None
        self._need("COMPUTE", "STATISTICS")
        columns: list[exp.Identifier] | None = None
        every = None
        if self._take("FOR", "ALL", "COLUMNS"):
            every = True
        elif self._match(TokenType.FOR):
            self._need("COLUMNS")
            columns = self._parse_csv(lambda: self._name("a column name"))
        return AnalyzeTable(this=table, partition=partition, expressions=columns, all_columns=every)

    def _subscribe(self) -> Subscribe:
        self._take("TO")
        if self._curr.token_type == TokenType.L_PAREN:
            return Subscribe(this=self._query())
        return Subscribe(this=self._object_name())
