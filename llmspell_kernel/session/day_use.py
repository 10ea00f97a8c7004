"""The day's use, which all sessions of a user share: the ledger in a thread of its own, so that no event loop waits for another process.

Where nobody else uses the ledger, a reservation is written at once, on the event loop: that takes a twentieth of a millisecond, and the way to
the thread and back a whole one, which every call of a model would wait for.  What would have to wait goes to the thread: the first use, another
process's transaction, and the writing of sqlite's log into the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from ..journal.ledger import Ledger, LedgerError, Sums
from ..policy.budgets import Amounts
from .faults import report

T = TypeVar("T")
LOOK_S = 1.0
"""How long a report waits for another process."""
SETTLE_S = 0.1
"""How long a settlement waits for the next reservation, to be written with it: who asks a model again at once has half the writing."""
CLOSE_S = 5.0
"""How long the end of a session does."""


class Reserved(NamedTuple):
    """What a day gave to one call; `others` is what other sessions had used and reserved of it until then.

    `in_ledger` says whether all sessions know of it: of what this one counted alone, the ledger has nothing to give back.  `set_aside` is the
    name under which an unreadable ledger was just put aside.
    """

    day: str
    amounts: Amounts
    others: Amounts
    in_ledger: bool
    set_aside: str = ""


class _Asked(NamedTuple):
    decide: Callable[[Amounts], Amounts]
    answer: asyncio.Future[Reserved]


class DayUse:
    """Its thread starts with the first reservation.  Reservations and settlements reach the ledger in the order in which they were made."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._ledger = Ledger(folder, Amounts._fields, clock)
        self._thread: ThreadPoolExecutor | None = None
        self._own: tuple[str, Amounts] = "", Amounts()
        """The day, and what this session has added to its sums; with the ledger, his who has the turn."""
        self._turn = Lock()
        self._last: Future[Any] | None = None
        """What the thread was last given to do."""
        self._is_first = True
        """Has nobody reserved since the loop turned?  Many at once are written together, which is less work for each."""
        self._asked: list[_Asked] = []
        """Who waits to be written next."""
        self._is_asking = False
        self._owed: dict[str, Amounts] = {}
        """Settlements by day, "" for this one, that are not on their way yet."""
        self._paying: asyncio.TimerHandle | None = None

    async def reserve(self, decide: Callable[[Amounts], Amounts]) -> Reserved:
        """`decide` gets what everybody has used and reserved, and is asked in the thread.

        Raises LedgerError, and what `decide` raises.  Who is cancelled meanwhile has reserved nothing.
        """
        if self._is_first and not self._is_asking:
            self._is_first = False
            asyncio.get_running_loop().call_soon(self._turned)
            if (reserved := self._reserve_here(decide)) is not None:
                return reserved
        asked = _Asked(decide, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if not self._is_asking:  # whoever asks before the loop turns, or while the thread writes, is written with the others
            self._is_asking = True
            asyncio.get_running_loop().call_soon(self._ask_all)
        return await asked.answer

    def _turned(self) -> None:
        self._is_first = True

    def _reserve_here(self, decide: Callable[[Amounts], Amounts]) -> Reserved | None:
        """None where that would have to wait, or come before what the thread was given.  Raises what `decide` raises."""
        if self._last is None or not self._last.done() or not self._turn.acquire(blocking=False):
            return None
        try:
            (outcome,) = self._reserve([decide], self._owed, wait=False)
        except LedgerError:  # the thread waits, or finds the same and says so
            return None
        finally:
            self._turn.release()
        self._take_owed()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _ask_all(self) -> None:
        asked, self._asked = [one for one in self._asked if not one.answer.cancelled()], []
        self._is_asking = bool(asked)
        if asked:
            loop, owed = asyncio.get_running_loop(), self._take_owed()
            writing = self._do(lambda: self._reserve([one.decide for one in asked], owed))
            writing.add_done_callback(lambda done: loop.is_closed() or loop.call_soon_threadsafe(self._answer, asked, done))

    def _answer(self, asked: Sequence[_Asked], done: Future[list[Reserved | Exception]]) -> None:
        failure = CancelledError() if done.cancelled() else done.exception()
        outcomes = [failure] * len(asked) if failure is not None else done.result()
        for one, outcome in zip(asked, outcomes, strict=True):
            if not one.answer.cancelled():
                if isinstance(outcome, Reserved):
                    one.answer.set_result(outcome)
                else:
                    one.answer.set_exception(outcome)
            elif isinstance(outcome, Reserved):  # nobody waits for it any more
                self.settle(outcome.day, Amounts().minus(outcome.amounts))
        self._ask_all()

    def settle(self, day: str, by: Amounts) -> None:
        """Adds a difference to that day, "" for this one.  Does not wait; where it fails, the day goes on counting what was reserved."""
        if not any(by):
            return
        self._owed[day] = self._owed.get(day, Amounts()).plus(by)
        if self._paying is None:
            self._paying = asyncio.get_running_loop().call_later(SETTLE_S, self._pay)

    def _pay(self) -> None:
        for day, by in self._take_owed().items():
            self._later(partial(self._change, day, by))

    def _take_owed(self) -> dict[str, Amounts]:
        if self._paying is not None:
            self._paying.cancel()
        owed, self._owed, self._paying = self._owed, {}, None
        return owed

    async def others(self) -> tuple[str, Amounts]:
        """This day, and what other sessions have used and reserved of it; waits a moment.  Raises LedgerError, TimeoutError."""
        self._pay()
        async with asyncio.timeout(LOOK_S):
            return await asyncio.wrap_future(self._do(self._others))

    async def close(self) -> None:
        """Waits for the last settlements, but not for ever: another process may hold the ledger."""
        self._pay()
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        closed = asyncio.wrap_future(thread.submit(self._alone, self._ledger.close))
        _, late = await asyncio.wait({closed}, timeout=CLOSE_S)
        thread.shutdown(wait=False, cancel_futures=bool(late))

    def _later(self, work: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._do(work).add_done_callback(lambda done: _tell_failure(done, loop))

    def _do(self, work: Callable[[], T]) -> Future[T]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="llmspell-budgets")
        self._last = given = self._thread.submit(self._alone, work)
        return given

    def _alone(self, work: Callable[[], T]) -> T:
        with self._turn:
            return work()

    def _reserve(
        self, decides: Sequence[Callable[[Amounts], Amounts]], owed: Mapping[str, Amounts], *, wait: bool = True
    ) -> list[Reserved | Exception]:
        """Where the ledger fails, the day goes on counting what was owed, as who asks is told of that."""
        day, outcomes = self._ledger.reserve_all([partial(_decided, decide) for decide in decides], owed, wait=wait)
        for settled, by in owed.items():
            self._add(settled or day, by)
        return [outcome if isinstance(outcome, Exception) else self._reserved(day, *outcome) for outcome in outcomes]

    def _reserved(self, day: str, added: Sums, before: Sums) -> Reserved:
        others = Amounts(*before).minus(self._added(day))
        self._add(day, Amounts(*added))
        set_aside, self._ledger.set_aside = self._ledger.set_aside, ""
        return Reserved(day, Amounts(*added), others, True, set_aside)

    def _change(self, day: str, by: Amounts) -> None:
        self._add(self._ledger.change(day, by), by)

    def _others(self) -> tuple[str, Amounts]:
        day, sums = self._ledger.today()
        return day, Amounts(*sums).minus(self._added(day))

    def _added(self, day: str) -> Amounts:
        return self._own[1] if self._own[0] == day else Amounts()

    def _add(self, day: str, by: Amounts) -> None:
        if day >= self._own[0]:  # a settlement of yesterday's changes nothing of today
            self._own = day, self._added(day).plus(by)


def _decided(decide: Callable[[Amounts], Amounts], sums: Sums) -> Amounts:
    return decide(Amounts(*sums))


def _tell_failure(done: Future[None], loop: asyncio.AbstractEventLoop) -> None:
    if not done.cancelled() and (error := done.exception()) is not None and not loop.is_closed():
        what = "the day's budget goes on counting what a call had reserved, not what it used"
        loop.call_soon_threadsafe(report, what, error)
