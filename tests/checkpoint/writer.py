"""Processes that write checkpoints until they are killed: ``python -m tests.checkpoint.writer <folder> [hold]``.

Each line of the input starts one, without loading the program anew, and ``dead`` says that it was killed. It goes on
from what it finds, after checking that it is what that checkpoint must hold. With ``hold`` it writes nothing.
"""

from __future__ import annotations

import os
import random
import sys
import time
import traceback

from streamsql.runtime.checkpoint.store import CheckpointStore
from tests.checkpoint.model import ModelJob, plain


class Replay:
    """The job up to a checkpoint depends on its number alone, so any process knows what each must hold."""

    def __init__(self) -> None:
        self.job = ModelJob(run="any")
        self.steps = 0

    def reach(self, number: int) -> None:
        """Steps until the cut of this checkpoint."""
        while self.steps < number:
            self.steps += 1
            for operator in self.job.operators:
                operator.put(self.steps, ("step", self.steps))
                operator.step(random.Random(self.steps))

    def restored(self, number: int) -> None:
        """What changed before is not to be given again."""
        self.reach(number)
        self.job.number = number
        for operator in self.job.operators:
            operator.changed = {}

    def must_hold(self, number: int) -> tuple[object, ...]:
        self.restored(number)
        return plain(self.job.whole())


def opened(folder: str) -> CheckpointStore:
    return CheckpointStore(folder, "orders", run=f"{os.getpid()}", retained=2, now_ms=lambda: 0)


def write(folder: str, option: str = "") -> None:
    """Says its process id, then a line for each checkpoint that is complete."""
    store, replay = opened(folder), Replay()
    store.take_over()
    print(os.getpid(), flush=True)
    if option == "hold":
        time.sleep(3600)
    found = store.candidates()
    if found:
        loaded = plain(store.load(found[0]))
        assert loaded == replay.must_hold(found[0].number), f"checkpoint {found[0].number} is another"
    number = store.next_number()
    assert number == (found[0].number + 1 if found else 1) or store.problems
    while True:
        replay.reach(number)
        store.write(replay.job.cut(changes=not store.wants_full, number=number))
        store.complete(number)
        store.compact()
        print(number, flush=True)
        number += 1


def main(*arguments: str) -> None:
    """Answers the lines of the input."""
    ModelJob().whole()  # pyarrow loads pandas with the first table, if it is there
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                write(*arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.waitpid(child, 0)
        print("dead", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
