"""Keys typed into the shell and the live view through a pipe; what is drawn is read back as text."""

import io
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.data_structures import Size
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.input.base import PipeInput
from prompt_toolkit.layout.screen import Char
from prompt_toolkit.output.vt100 import Vt100_Output

from streamsql.repl.console import Console
from streamsql.repl.live_view import Ending, LiveView
from streamsql.repl.session_loop import Shell
from streamsql.repl.settings import Settings

from .fake import FakeEnvironment, FakeJob, FakeMetrics, FakeResult, change, done

ENTER, ESCAPE, CONTROL_C, CONTROL_D, TAB, F4 = "\r", "\x1b", "\x03", "\x04", "\t", "\x1bOS"
UP, DOWN, RIGHT = "\x1b[A", "\x1b[B", "\x1b[C"
PATIENCE_S, COLUMNS = 10, 80


# -- the shell ----------
class Session:
    def __init__(self, env: FakeEnvironment, folder: Path) -> None:
        self.env = env
        self.out = io.StringIO()
        self.folder = folder

    def type(self, *texts: str) -> str:
        """Runs a shell that reads ``texts``, then Ctrl-D; what it printed besides the prompt."""
        with create_pipe_input() as keys, create_app_session():
            screen = Vt100_Output(io.StringIO(), lambda: Size(24, 80), enable_cpr=False)
            shell = Shell(self.env, Console(self.out), self.folder / "history", "hello", keys, screen)
            keys.send_text("".join(texts) + CONTROL_D)
            assert shell.run() == 0
        return self.out.getvalue()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(FakeEnvironment({"SELECT\n1": done("first"), "SELECT 2": done("second")}), tmp_path)


def test_enter_runs_only_whole_statements(session: Session) -> None:
    assert "[INFO] first" in session.type("SELECT", ENTER, "1;", ENTER)
    assert session.env.executed == ["SELECT\n1"]


def test_several_statements_at_once(session: Session) -> None:
    session.type("SELECT 2; SELECT 2;", ENTER)
    assert session.env.executed == ["SELECT 2", "SELECT 2"]


def test_the_first_error_ends_a_line_of_statements(session: Session) -> None:
    printed = session.type("SELECT 3; SELECT 2;", ENTER)
    assert session.env.executed == ["SELECT 3"]
    assert "[ERROR] no answer" in printed


def test_commands_need_no_semicolon(session: Session) -> None:
    printed = session.type("help", ENTER, "Quit", ENTER, "SELECT 2;", ENTER)
    assert "Client commands" in printed
    assert session.env.executed == []  # QUIT left before it


def test_control_c_drops_the_text(session: Session) -> None:
    session.type("SELECT 9", CONTROL_C, "SELECT 2;", ENTER)
    assert session.env.executed == ["SELECT 2"]


def test_escape_enter_is_always_a_new_line(session: Session) -> None:
    session.type("SELECT 2;", ESCAPE + ENTER, "SELECT 2;", ENTER)
    assert session.env.executed == ["SELECT 2", "SELECT 2"]


def test_f4_switches_to_vi_keys(session: Session) -> None:
    session.type(F4, "SELECT 22;", ESCAPE, "hx", "A", ENTER)
    assert session.env.executed == ["SELECT 2"]


def test_the_history_is_kept_for_its_owner_only(session: Session) -> None:
    session.type("SELECT 2;", ENTER)
    path = session.folder / "history"
    assert "+SELECT 2;" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    session.type(UP, ENTER)
    assert session.env.executed == ["SELECT 2", "SELECT 2"]


def test_a_failed_job_announces_itself_once(session: Session) -> None:
    session.env.running.append(FakeJob(status="FAILED", error=ValueError("bad record")))
    printed = session.type("SELECT 2;", ENTER)
    assert printed.count("[ERROR] job 'counting' (a1b2) failed: ValueError: bad record") == 1


def test_the_toolbar_counts_jobs(session: Session) -> None:
    session.env.running += [FakeJob("1"), FakeJob("2", status="FAILED"), FakeJob("3", status="FINISHED")]
    with create_pipe_input() as keys, create_app_session(input=keys):
        shell = Shell(session.env, Console(session.out), session.folder / "history", "", keys)
        text = fragment_list_to_text(shell._toolbar())
    assert (
        text == " default_catalog.default_database  │  1 job running  │  1 job failed  │  F4 emacs  │  HELP"
    )


def test_the_toolbar_says_what_a_job_waits_for(session: Session) -> None:
    away = FakeMetrics(status_lines=["broker k:9092 is away since 2 s (connection refused)"])
    session.env.running += [FakeJob("1"), FakeJob("2", numbers=away)]
    with create_pipe_input() as keys, create_app_session(input=keys):
        shell = Shell(session.env, Console(session.out), session.folder / "history", "", keys)
        text = fragment_list_to_text(shell._toolbar())
    assert "2 jobs running  │  1 job waiting: broker k:9092 is away since 2 s  │" in text


def test_an_insert_prints_its_job(session: Session) -> None:
    session.env._answers["INSERT INTO t SELECT 1"] = FakeResult(is_query=False, job=FakeJob())
    printed = session.type("INSERT INTO t SELECT 1;", ENTER)
    assert "[INFO] Submitting SQL update statement...\n" in printed
    assert "Job ID: a1b2" in printed


# -- the live view ----------
class View:
    """A live view that runs in a thread, its keyboard and its screen."""

    def __init__(self, result: FakeResult, keys: PipeInput, mode: str, rows: int) -> None:
        self._bytes = io.StringIO()
        self._keys = keys
        output = Vt100_Output(self._bytes, lambda: Size(rows, COLUMNS), enable_cpr=False)
        self._view = LiveView(result, Settings(FakeEnvironment().config), mode, clock=lambda: 0.0)
        self.ending: Ending | None = None
        self._thread = threading.Thread(target=self._run, args=(output,))

    def _run(self, output: Vt100_Output) -> None:
        with create_app_session(input=self._keys, output=output):
            self.ending = self._view.run(self._keys, output)

    def press(self, text: str) -> None:
        self._keys.send_text(text)

    def sees(self, text: str) -> None:
        """Waits until the text is on the screen."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.screen():
            assert time.monotonic() < end, f"waited in vain for {text!r} on\n{self.screen()}"
            time.sleep(0.01)

    def screen(self) -> str:
        """What the terminal shows now."""
        app = self._view._app
        drawn = app.renderer.last_rendered_screen if app is not None else None
        if drawn is None:
            return ""
        # get() only: looking up a missing cell would add it, under the feet of the thread that draws
        rows: list[dict[int, Char]] = [drawn.data_buffer.get(y) or {} for y in range(drawn.height)]
        cells = [[row.get(x) for x in range(COLUMNS)] for row in rows]
        return "\n".join("".join(cell.char if cell else " " for cell in line).rstrip() for line in cells)

    def written(self) -> int:
        """Characters sent to the terminal."""
        return len(self._bytes.getvalue())

    def quit(self) -> Ending:
        self.press("q")
        self._thread.join(PATIENCE_S)
        assert self.ending is not None
        return self.ending


@contextmanager
def view(result: FakeResult, mode: str = "table", rows: int = 14) -> Generator[View]:
    with create_pipe_input() as keys:
        shown = View(result, keys, mode, rows)
        shown._thread.start()
        try:
            yield shown
        finally:
            result.close()
            if shown._thread.is_alive():
                shown.press(CONTROL_C)
            shown._thread.join(PATIENCE_S)


def words(n: int) -> list[str]:
    return [f"+I w{i:03d} {i}" for i in range(n)]


def test_the_table_holds_the_result_as_of_now() -> None:
    result = FakeResult(
        [[change("+I apple 1"), change("+I pear 1")], [change("-U apple 1"), change("+U apple 2")]]
    )
    with view(result) as shown:
        shown.sees("pear")
        ending = shown.quit()
    assert [list(t) for t in ending.page.texts] == [["apple", "2"], ["pear", "1"]]
    assert ending.changes == 4
    assert result.closed.is_set()


def test_the_status_line_shows_the_job() -> None:
    job = FakeJob(numbers=FakeMetrics(status_lines=["broker localhost:9092 is away, retrying"]))
    with view(FakeResult([[change("+I apple 1")]], job=job)) as shown:
        shown.sees("broker localhost:9092 is away")
        shown.sees(" rows/s │ lag 7")
        shown.sees("watermark 2023-11-14 22:13:20.000")


def test_pages() -> None:
    result = FakeResult([[change(w) for w in words(20)]])
    with view(result) as shown:  # 14 lines: 1 title, 3 header, 2 footer, 8 rows
        shown.sees("w019")
        shown.sees("last of 3")
        shown.press("p")
        shown.sees("w008")
        shown.sees("Page: 2 of 3")
        shown.press("p")
        shown.sees("w007")
        shown.press("n")
        shown.sees("w015")
        shown.press("l")
        shown.sees("last of 3")
        shown.press("g2" + ENTER)
        shown.sees("2 of 3")
        ending = shown.quit()
    assert ending.page.texts[0] == ["w008", "8"]


def test_a_row_in_detail() -> None:
    with view(FakeResult([[change("+I apple 1"), change("+I pear 77")]])) as shown:
        shown.sees("pear")
        shown.press(DOWN + "o")
        shown.sees("Row of kind +I")
        shown.sees("BIGINT")
        shown.press("q")  # back to the table, not out of the view
        shown.sees("apple")
        shown.quit()


def test_columns_move() -> None:
    with view(FakeResult([[change("+I apple 1")]])) as shown:
        shown.sees("apple")
        shown.press(RIGHT)
        shown.sees("| n |")


def test_changelog_mode_shows_the_kinds() -> None:
    result = FakeResult(
        [[change("+I apple 1")], [change("-U apple 1"), change("+U apple 2"), change("-D apple 2")]]
    )
    with view(result, "changelog") as shown:
        shown.sees("-D")
        ending = shown.quit()
    assert [row.kind.short for row in ending.page.rows] == ["+I", "-U", "+U", "-D"]


def test_refresh_intervals() -> None:
    with view(FakeResult([])) as shown:
        shown.sees("Refresh: fastest")
        shown.press("-")
        shown.sees("manual")
        shown.press("++++")
        shown.sees("1 s")


def test_control_c_ends_the_query() -> None:
    result = FakeResult([[change("+I apple 1")]])
    with view(result) as shown:
        shown.sees("apple")
        shown.press(CONTROL_C)
        shown._thread.join(PATIENCE_S)
        assert shown.ending is not None
    assert result.closed.is_set()


def test_a_failing_query_says_so_and_stays_on_screen() -> None:
    with view(FakeResult([[change("+I apple 1")]], fails=ValueError("no such topic"))) as shown:
        shown.sees("no such topic")
        ending = shown.quit()
    assert isinstance(ending.error, ValueError)


def test_drawing_is_limited_to_20_pictures_a_second() -> None:
    result = FakeResult([[change(f"+U apple {i}")] for i in range(3000)])
    with view(result) as shown:
        shown.sees("2999")
        written = shown.written()
    assert written < 200_000  # 3000 pictures would be some megabytes
