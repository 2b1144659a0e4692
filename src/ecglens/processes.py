"""Work shared out among processes, with results in order."""

import math
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import TypeVar

from ecglens.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def spread(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None = None, chunk: int = 16
) -> Iterator[Result]:
    """Yield ``work(item)`` for every item, in their order.

    ``workers`` processes, one a core by default, take ``chunk`` items at a time; a single chunk is done here. ``work``
    and the items must be picklable. Raises what ``work`` raises, and UsageError where a process is killed.
    """
    workers = min(workers or cores(), math.ceil(len(items) / chunk))
    if workers <= 1:
        yield from map(work, items)
        return
    # Spawned: this process may have threads (a progress bar's), and a fork of one that has may hang.
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawning, initializer=_end_with_parent)
    try:
        yield from pool.map(work, items, chunksize=chunk)
    except BrokenProcessPool as error:
        raise UsageError("a process was ended from outside, perhaps for want of memory: use fewer workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """Let this process end when the one that started it is killed; otherwise it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(process: BaseProcess) -> None:
    process.join()
    os._exit(1)
