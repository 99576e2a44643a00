"""The full-screen view of a running query, ``table`` and ``changelog`` mode.

A thread takes rows from the query; the screen is drawn from a snapshot at most 20 times a second. Keys are
those of Flink's SQL client. Leaving the view stops the query; the shell then prints the last page into the
scrollback.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output import ColorDepth, Output

from .engine import Result
from .highlighting import STYLE
from .materialized import MaterializedResult
from .pages import Changes, Page, Pager, RowStore
from .rate import Rate
from .render import RowFormatter
from .screen import (
    FASTEST,
    INTERVALS_MS,
    detail_lines,
    empty_text,
    footer,
    result_counts,
    status_line,
    table_lines,
    title_line,
)
from .settings import Settings

POLL_S = 0.25  # how long the reader waits for rows before it looks whether it should stop
IDLE_REFRESH_S = 0.5  # the status line moves on even when no rows come
APPLY_ROWS = 2048  # rows taken in at once; between two lots the screen can be drawn
HEADER_LINES = 4  # the title, and the three lines of a table header


@dataclass
class Ending:
    """How a view ended: the last page, how many changes came, and the query's failure if it failed."""

    page: Page
    changes: int
    error: BaseException | None


class LiveView:
    """One run of the view. ``run`` blocks until the user quits."""

    def __init__(
        self, result: Result, settings: Settings, mode: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._result = result
        self._mode = mode
        self._zone = settings.zone
        self._clock = clock
        keyed = MaterializedResult(result.upsert_key, settings.rows_max)
        self._store: RowStore = keyed if mode == "table" else Changes()
        self._page = Page(RowFormatter(result.schema, settings.zone), settings.column_width_max)
        self._pager = Pager()
        self._pager.last()  # where a growing result moves; so does Flink's client
        self._interval = FASTEST
        self._first_column = 0
        self._detail = False
        self._typed: str | None = None  # the page number being typed after G
        self._updated = "-"
        self._rate = Rate()
        self._changes = 0
        self._dirty = False
        self._finished = False
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._app: Application[None] | None = None

    # -- the reader ------------------------------------------------------------------------------------------
    def _read(self) -> None:
        """Takes rows until the query ends or the view does."""
        try:
            while not self._stop.is_set():
                rows = self._result.poll(POLL_S)
                if rows is None:
                    self._finished = True
                    break
                for i in range(0, len(rows), APPLY_ROWS):
                    with self._lock:
                        part = rows[i : i + APPLY_ROWS]
                        self._store.apply(part)
                        self._changes += len(part)
                        self._dirty = True
        except BaseException as e:  # shown in the view, reported after it
            self._error = e
        finally:
            self._dirty = True

    # -- what is drawn ---------------------------------------------------------------------------------------
    def refresh(self) -> None:
        """Takes a new snapshot of the page on screen."""
        with self._lock:
            self._dirty = False
            self._pager.resize(self._body_lines(), len(self._store))
            start, stop = self._pager.window()
            self._page.show(self._store.rows(start, stop))
        self._updated = time.strftime("%H:%M:%S", time.localtime(self._clock()))
        if self._app is not None:
            self._app.invalidate()

    def _size(self) -> tuple[int, int]:
        assert self._app is not None
        size = self._app.output.get_size()
        return size.rows, size.columns

    def _body_lines(self) -> int:
        rows, _ = self._size()
        return max(1, rows - HEADER_LINES - 1 - fragment_list_to_text(self._footer()).count("\n"))

    def _title(self) -> StyleAndTextTuples:
        return title_line(self._mode, self._interval, self._pager, self._updated, self._size()[1])

    def _body(self) -> StyleAndTextTuples:
        columns = self._size()[1]
        if self._detail:
            return detail_lines(self._result.schema, self._page, self._pager.selected, columns)
        drawn = table_lines(
            self._page, self._pager.selected, self._first_column, columns, with_op=self._mode == "changelog"
        )
        if not self._page.rows:
            job = self._result.job
            waiting = empty_text(job.metrics() if job is not None else None, self._state(), self._changes)
            drawn.append(("class:view.keys", "\n" + waiting))
        return drawn

    def _footer(self) -> StyleAndTextTuples:
        job = self._result.job
        metrics = job.metrics() if job is not None else None
        state = self._state()
        counts = result_counts(self._mode, len(self._store), self._store.dropped, self._changes)
        rate = self._rate.of(metrics.records_in if metrics else 0)
        now = dt.datetime.fromtimestamp(self._clock(), self._zone)
        status = status_line(metrics, state, counts, rate, now)
        prompt = None if self._typed is None else f"Go to page: {self._typed}"
        error = str(self._error) if self._error is not None else None
        return footer(status, metrics.status_lines if metrics else (), error, prompt, self._size()[1])

    def _state(self) -> str:
        return "failed" if self._error else "finished" if self._finished else "running"

    # -- running ---------------------------------------------------------------------------------------------
    def run(self, input: Input | None = None, output: Output | None = None, *, colour: bool = True) -> Ending:
        """Shows the query until Q or Ctrl-C, then closes it."""
        footer_window = Window(FormattedTextControl(self._footer), dont_extend_height=True)
        self._app = Application(
            layout=Layout(
                HSplit(
                    [
                        Window(FormattedTextControl(self._title), height=1),
                        Window(FormattedTextControl(self._body, focusable=True), wrap_lines=False),
                        footer_window,
                    ]
                )
            ),
            key_bindings=self._bindings(),
            style=STYLE,
            full_screen=True,
            min_redraw_interval=0.05,
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            input=input,
            output=output,
        )
        reader = threading.Thread(target=self._read, name="live-view-reader", daemon=True)
        reader.start()
        try:
            self._app.run(pre_run=self._start_ticking, handle_sigint=True)
        finally:
            self._stop.set()
            self._result.close()
            reader.join(timeout=5)
        self.refresh()
        return Ending(self._page, self._changes, self._error)

    def _start_ticking(self) -> None:
        assert self._app is not None
        self.refresh()
        self._app.create_background_task(self._tick())

    async def _tick(self) -> None:
        """Refreshes when there is something new, not sooner than the chosen interval."""
        refreshed = drawn = time.monotonic()
        while True:
            interval_ms = INTERVALS_MS[self._interval]
            pause_s = IDLE_REFRESH_S if interval_ms is None else min(interval_ms / 1000, IDLE_REFRESH_S)
            await asyncio.sleep(pause_s)
            now = time.monotonic()
            if self._dirty and interval_ms is not None and now - refreshed >= interval_ms / 1000:
                refreshed = drawn = now
                self.refresh()
            elif now - drawn >= IDLE_REFRESH_S and self._app is not None:
                drawn = now
                self._app.invalidate()

    # -- keys ------------------------------------------------------------------------------------------------
    def _bindings(self) -> KeyBindings:
        keys = KeyBindings()

        def bind(action: Callable[[], None], *names: str) -> None:
            def handle(event: KeyPressEvent) -> None:
                if self._typed is None:
                    action()
                    self.refresh()

            for name in names:
                keys.add(name)(handle)

        bind(self._leave, "q", "Q")
        bind(self._pager.next, "n", "N", "pagedown")
        bind(self._pager.previous, "p", "P", "pageup")
        bind(self._pager.last, "l", "L", "end")
        bind(lambda: self._pager.goto(1), "home")
        bind(lambda: self._pager.move(-1), "up")
        bind(lambda: self._pager.move(1), "down")
        bind(lambda: self._scroll(1), "right")
        bind(lambda: self._scroll(-1), "left")
        bind(lambda: self._change_interval(1), "+")
        bind(lambda: self._change_interval(-1), "-")
        bind(lambda: None, "r", "R")
        bind(self._open, "o", "O")
        bind(self._ask_page, "g", "G")

        @keys.add("c-c")
        @keys.add("<sigint>")
        def _interrupt(event: KeyPressEvent) -> None:
            event.app.exit()

        @keys.add("escape", eager=True)
        def _back(event: KeyPressEvent) -> None:
            if self._typed is not None:
                self._typed = None
            elif self._detail:
                self._detail = False

        @keys.add("enter")
        def _enter(event: KeyPressEvent) -> None:
            if self._typed is None:
                self._open()
            else:
                if self._typed:
                    self._pager.goto(int(self._typed))
                self._typed = None
            self.refresh()

        @keys.add("backspace")
        def _erase(event: KeyPressEvent) -> None:
            if self._typed is not None:
                self._typed = self._typed[:-1]

        @keys.add(Keys.Any)
        def _digit(event: KeyPressEvent) -> None:
            if self._typed is not None and event.data.isdigit() and len(self._typed) < 9:
                self._typed += event.data

        return keys

    def _leave(self) -> None:
        if self._detail:
            self._detail = False
        elif self._app is not None:
            self._app.exit()

    def _open(self) -> None:
        self._detail = not self._detail and bool(self._page.rows)

    def _ask_page(self) -> None:
        self._typed = ""

    def _scroll(self, by: int) -> None:
        self._first_column = max(0, min(self._first_column + by, len(self._page.names) - 1))

    def _change_interval(self, by: int) -> None:
        self._interval = max(0, min(self._interval + by, len(INTERVALS_MS) - 1))
