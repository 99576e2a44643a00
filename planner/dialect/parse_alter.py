"""ALTER and DROP: ``exp.Alter`` with a list of actions, ``exp.Drop``."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from .nodes import (
    AddPartitions,
    AlterAdd,
    AlterComment,
    AlterDrop,
    AlterFunction,
    AlterModify,
    AlterQuery,
    DropPartitions,
    PartitionSpec,
    RefreshTable,
    ResetOptions,
    Resume,
    SetOptions,
    Suspend,
)
from .parse_create import CreateParser

_KINDS = ("TABLE", "VIEW", "DATABASE", "CATALOG", "FUNCTION", "MODEL", "CONNECTION")


class AlterParser(CreateParser):
    """Adds ALTER, DROP and PARTITION (...)."""

    def _parse_alter(self) -> exp.Alter | exp.Command:
        """After ALTER."""
        start = self._prev
        kind = self._kind()
        exists = True if self._take("IF", "EXISTS") else None
        target = self._object_name(f"a {kind.split()[-1].lower()} name")
        if kind.endswith("FUNCTION"):
            action: exp.Expr = self._alter_function()
        elif kind == "VIEW":
            action = self._alter_view()
        elif kind == "MATERIALIZED TABLE" and (own := self._alter_materialized()):
            action = own
        elif kind in ("TABLE", "MATERIALIZED TABLE"):
            action = self._alter_table()
        else:
            action = self._alter_options(kind)
        return self._span(exp.Alter(this=target, kind=kind, exists=exists, actions=[action]), start)

    def _kind(self) -> str:
        """TABLE, MATERIALIZED TABLE, TEMPORARY SYSTEM FUNCTION, ..."""
        if self._take("MATERIALIZED"):
            self._need("TABLE")
            return "MATERIALIZED TABLE"
        if self._take("TEMPORARY"):
            system = "SYSTEM " if self._take("SYSTEM") else ""
            return f"TEMPORARY {system}{self._need_any('FUNCTION')}"
        return self._need_any(*_KINDS)

    def _alter_table(self) -> exp.Expr:
        word = self._need_any("ADD", "MODIFY", "DROP", "RENAME", "SET", "RESET")
        if word == "ADD":
            return self._alter_add()
        if word == "MODIFY":
            return self.expression(AlterModify(expressions=self._altered_items()))
        if word == "DROP":
            return self._alter_drop()
        if word == "RENAME":
            return self._alter_rename()
        return self._set_or_reset(word)

    def _set_or_reset(self, word: str) -> exp.Expr:
        if word == "SET":
            return self.expression(SetOptions(expressions=self._option_list()))
        self._match_l_paren()
        empty = self._curr.token_type == TokenType.R_PAREN
        keys = [] if empty else self._parse_csv(lambda: self._string("an option key"))
        self._match_r_paren()
        return self.expression(ResetOptions(expressions=keys))

    def _alter_add(self) -> exp.Expr:
        if self._at("PARTITION") or self._at("IF", "NOT", "EXISTS"):
            exists = True if self._take("IF", "NOT", "EXISTS") else None
            partitions = []
            while self._at("PARTITION"):
                partition = self._partition_spec()
                if self._match(TokenType.WITH):
                    partition.set("options", self._option_list())
                partitions.append(partition)
            return self.expression(AddPartitions(expressions=partitions, exists=exists))
        return self.expression(AlterAdd(expressions=self._altered_items()))

    def _altered_items(self) -> list[exp.Expr]:
        if self._curr.token_type == TokenType.L_PAREN:
            return self._csv_in_parens(self._altered_item)
        return [self._altered_item()]

    def _altered_item(self) -> exp.Expr:
        if self._take("DISTRIBUTION") or self._take("DISTRIBUTED"):
            return self._distribution()
        self._take("COLUMN")
        item = self._table_item()
        if not isinstance(item, exp.ColumnDef):
            return item
        if self._take("FIRST"):
            item.set("position", self.expression(exp.ColumnPosition(position="FIRST")))
        elif self._take("AFTER"):
            item.set(
                "position", self.expression(exp.ColumnPosition(this=self._dotted_name(), position="AFTER"))
            )
        return item

    def _alter_drop(self) -> exp.Expr:
        if self._take("PRIMARY", "KEY"):
            return self.expression(AlterDrop(kind="PRIMARY KEY"))
        if self._take("CONSTRAINT"):
            return self.expression(
                AlterDrop(kind="CONSTRAINT", expressions=[self._name("a constraint name")])
            )
        for word in ("WATERMARK", "DISTRIBUTION"):
            if self._take(word):
                return self.expression(AlterDrop(kind=word))
        if self._at("PARTITION") or self._at("IF", "EXISTS"):
            exists = True if self._take("IF", "EXISTS") else None
            partitions = self._parse_csv(self._partition_spec)
            return self.expression(DropPartitions(expressions=partitions, exists=exists))
        self._take("COLUMN")
        wrapped = self._curr.token_type == TokenType.L_PAREN
        columns = self._csv_in_parens(self._dotted_name) if wrapped else [self._dotted_name()]
        return self.expression(AlterDrop(kind="COLUMN", expressions=columns))

    def _alter_rename(self) -> exp.Expr:
        if self._take("TO"):
            return self.expression(exp.AlterRename(this=self._object_name("a new name")))
        column = self._dotted_name()
        self._need("TO")
        return self.expression(exp.RenameColumn(this=column, to=self._dotted_name("a new name")))

    def _alter_view(self) -> exp.Expr:
        if self._match(TokenType.ALIAS):
            return self.expression(AlterQuery(this=self._query("a query after AS")))
        self._need_any("RENAME")
        self._need("TO")
        return self.expression(exp.AlterRename(this=self._object_name("a new name")))

    def _alter_materialized(self) -> exp.Expr | None:
        if self._match(TokenType.ALIAS):
            return self.expression(AlterQuery(this=self._query("a query after AS")))
        if self._take("SUSPEND"):
            return self.expression(Suspend())
        if self._take("RESUME"):
            options = self._option_list() if self._match(TokenType.WITH) else None
            return self.expression(Resume(expressions=options))
        if self._take("REFRESH"):
            partition = self._partition_spec() if self._at("PARTITION") else None
            return self.expression(RefreshTable(partition=partition))
        return None

    def _alter_function(self) -> exp.Expr:
        self._need_token(TokenType.ALIAS, "AS and the function's class or 'module.attribute'")
        class_name = self._string("the function's class or module.attribute")
        language = self._need_any("JAVA", "SCALA", "PYTHON", "SQL") if self._take("LANGUAGE") else None
        return self.expression(AlterFunction(this=class_name, language=language))

    def _alter_options(self, kind: str) -> exp.Expr:
        """Of a database, catalog, model or connection."""
        if kind == "CATALOG" and self._take("COMMENT"):
            return self.expression(AlterComment(this=self._string("a comment")))
        if kind in ("MODEL", "CONNECTION") and self._take("RENAME"):
            self._need("TO")
            return self.expression(exp.AlterRename(this=self._object_name("a new name")))
        words = ("SET",) if kind == "DATABASE" else ("SET", "RESET")
        return self._set_or_reset(self._need_any(*words))

    def _parse_drop(self, exists: bool = False, kind: str | None = None) -> exp.Drop | exp.Command:
        """After DROP."""
        start = self._prev
        temporary = True if self._take("TEMPORARY") else None
        if self._take("MATERIALIZED"):
            self._need("TABLE")
            word = "MATERIALIZED TABLE"
        elif temporary and self._take("SYSTEM"):
            word = f"SYSTEM {self._need_any('FUNCTION')}"
        else:
            word = self._need_any(*_KINDS)
        if_exists = True if self._take("IF", "EXISTS") else None
        target = self._object_name(f"a {word.split()[-1].lower()} name")
        behaviour = self._take_any("CASCADE", "RESTRICT") if word == "DATABASE" else None
        drop = exp.Drop(
            kind=word,
            tables=[target],
            exists=if_exists,
            temporary=temporary,
            cascade=True if behaviour == "CASCADE" else None,
            restrict=True if behaviour == "RESTRICT" else None,
        )
        return self._span(drop, start)

    def _partition_spec(self) -> PartitionSpec:
        token = self._curr
        self._need("PARTITION")
        return self._span(PartitionSpec(expressions=self._csv_in_parens(self._partition_item)), token)

    def _partition_item(self) -> exp.Expr:
        name = self._name("a partition column")
        if not self._match(TokenType.EQ):
            return name
        return self._span(exp.EQ(this=name, expression=self._operand()), name)
