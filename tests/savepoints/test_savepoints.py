"""Every recorded savepoint, of this version and of those before it: its job goes on and ends with the right rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamsql.runtime.build import OPERATORS
from streamsql.runtime.checkpoint.savepoints import load_savepoint

from .fixture import FOLDER, SAVEPOINT, Case, amount_to, batch_answer, differences, session, unpacked
from .record import next_folder

RECORDED = sorted(path.parent for path in FOLDER.glob(f"v*/*/{SAVEPOINT}"))
NEWEST = FOLDER / f"v{int(next_folder(FOLDER).name[1:]) - 1}"
STATELESS = {"Calc", "Correlate", "Expand", "Union", "ToChangelog", "FromChangelog"}
OF_BOUNDED_TABLES = {"Sort"}


def test_there_are_some() -> None:
    assert RECORDED and NEWEST.is_dir()


@pytest.mark.parametrize("folder", RECORDED, ids=lambda p: f"{p.parent.name} {p.name}")
def test_its_job_goes_on(folder: Path, tmp_path: Path) -> None:
    case = Case.read(folder)
    before, after = (json.loads((folder / f"{name}.json").read_text()) for name in ("before", "after"))
    with session(case, late=True) as made:
        made.env.execute_sql(f"SET 'execution.state-recovery.path' = '{unpacked(folder, tmp_path)}'")
        job = made.start()
        assert [note for note in job.notes if "new" in note or "lost" in note] == []
        made.feed()
        job.wait(60)
        found = amount_to(before, made.changes(), case.parsed)
    assert differences(found, after) == ""
    if folder.name != "forgotten":
        assert differences(found, batch_answer(case)) == ""
    assert before != after


def test_the_newest_has_the_state_of_every_operator(tmp_path: Path) -> None:
    saved = {
        operator.description.split("(")[0]
        for number, folder in enumerate(p for p in RECORDED if p.parent == NEWEST)
        for operator in load_savepoint(str(unpacked(folder, tmp_path / str(number)))).operators
        if operator.states
    }
    missing = {node.__name__ for node in OPERATORS} - saved - STATELESS - OF_BOUNDED_TABLES
    assert missing == set(), "python -m tests.savepoints.record, and keep the older folders"
