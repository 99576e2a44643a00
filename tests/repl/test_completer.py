"""Which names are offered, and how they go into the text."""

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from streamsql.repl.completer import SqlCompleter

from .fake import FakeNames

COMPLETER = SqlCompleter(FakeNames)


def texts(marked: str, *, asked: bool = True) -> list[str]:
    cursor = marked.index("|")
    document = Document(marked.replace("|", ""), cursor)
    return [c.text for c in COMPLETER.get_completions(document, CompleteEvent(completion_requested=asked))]


def test_tables_and_views() -> None:
    assert texts("SELECT * FROM |")[:4] == ["bananas", "`fruit stand`", "orders", "best"]
    assert texts("SELECT * FROM b|") == ["bananas", "best"]


def test_a_quoted_name_is_closed() -> None:
    assert texts("SELECT * FROM `fr|") == ["fruit stand`"]


def test_columns_of_an_alias() -> None:
    assert texts("SELECT o.| FROM orders o JOIN bananas b ON o.id = b.id") == ["id", "price", "`placed at`"]


def test_columns_of_a_subquery_and_its_star() -> None:
    assert texts("SELECT s.| FROM (SELECT b.*, 1 AS one FROM bananas b) s") == ["one", "id", "ripe"]


def test_keywords_follow_the_typed_case() -> None:
    assert texts("sel|")[0] == "select"
    assert texts("SEL|")[0] == "SELECT"


def test_the_whole_word_comes_first() -> None:
    assert texts("SELECT COUNT|")[0] == "COUNT("
    assert texts("SELECT a FROM orders ORDER BY a LIMIT 1; SET|")[0] == "SET"
    assert texts("SELECT id as|")[0] == "as"


def test_functions_open_their_parenthesis() -> None:
    assert "COUNT(" in texts("SELECT CO| FROM orders")


def test_options_of_the_connector_without_those_given() -> None:
    begin = "CREATE TABLE t (a INT) WITH ('connector' = 'kafka', 'topic' = 'x', "
    assert texts(begin + "'|") == ["scan.startup.mode"]
    assert texts(begin + "|") == ["'scan.startup.mode'"]


def test_a_name_can_be_found_by_its_middle() -> None:
    assert texts("SET 'result|") == ["sql-client.execution.result-mode"]


def test_typing_alone_offers_nothing_before_the_first_letter() -> None:
    assert texts("SELECT * FROM |", asked=False) == []
    assert texts("SELECT * FROM b|", asked=False) == ["bananas", "best"]
