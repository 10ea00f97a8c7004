"""The budgets of one session: reserved before a call, settled after it, in the cell, the session and the day at once.

Rules
- Nothing that a bridge reserves passes a cap, however many calls run at once: cell and session are counted before anything is awaited, the day
  in one transaction of the ledger that all sessions share; a call that the day refuses gives back what it had of cell and session.
- A reservation is settled or released once, however its call ends; what nobody settled when its call ends is released.  The ledger is given
  back only what it had reserved, whatever became of it meanwhile.
- A ledger that cannot be used ends no call, except in the preset strict: elsewhere the day is then counted for this session alone, which is
  said once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from weakref import WeakMethod

from ..errors import BridgeError, LimitError
from ..journal.ledger import LedgerError
from ..policy.budgets import NO_LIMIT, Amounts, Budgets, Line, Tally, admitted, check_model, check_price, lines, may_be_near, out_of_time
from ..policy.tables import table_of
from ..settings import Settings
from .day_use import DayUse, Reserved


class Account:
    """What one cell has used.

    `tell` shows a line of ours in its output, and `near` is told of a budget that is nearly used up, both as long as somebody holds the cell.
    """

    def __init__(self, tell: Callable[[str], None], near: Callable[[Line], None]) -> None:
        self._tell, self._near = WeakMethod(tell), WeakMethod(near)
        self.tally = Tally()
        self.warned: set[str] = set()

    def tell(self, text: str) -> None:
        if (tell := self._tell()) is not None:
            tell(text)

    def near(self, line: Line) -> None:
        if (near := self._near()) is not None:
            near(line)


class Reservation:
    """bridges._bridge.Reservation: what one call may use, until it is settled."""

    def __init__(self, budgets: SessionBudgets, account: Account, day: Reserved) -> None:
        self._budgets = budgets
        self._account = account
        self._day = day
        self.is_open = True
        self.outlives_call = False

    @property
    def seconds(self) -> float:
        return self._day.amounts.ms / 1_000

    def keep(self) -> None:
        self.outlives_call = True

    def settle(self) -> None:
        self._close(self._day.amounts)

    def settle_with(self, told: Amounts) -> None:
        """With what the call is known to have used.  A cost that nobody knows afterwards counts as it was reserved."""
        reserved = self._day.amounts
        if told.unpriced and not reserved.unpriced:
            told = told._replace(nano_usd=reserved.nano_usd, unpriced=0)
        self._close(told._replace(steps=reserved.steps))

    def release(self) -> None:
        self._close(Amounts())

    def out_of_time(self) -> LimitError:
        return self._budgets.out_of_time(self._account, self._day.amounts.ms)

    def _close(self, used: Amounts) -> None:
        if self.is_open:
            self.is_open = False
            self._budgets.settle(self._account, self._day, used)


class SessionBudgets:
    """`clock` gives Unix seconds; the ledger of days lies in `folder`."""

    def __init__(self, settings: Settings, folder: Path, clock: Callable[[], float]) -> None:
        self._day_use = DayUse(folder, clock)
        self._session = Tally()
        self._today = self._first_day = ""
        """As the ledger says; "" until it was first asked, and what is counted until then is of the first day."""
        self._others = Amounts()
        """What other sessions had used of this day, when the ledger was last asked."""
        self._own = Tally()
        """This session's part of it."""
        self._last_cell = Tally()
        """Of the cell that last asked for something or used it."""
        self._warned: set[str] = set()
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Other caps from now on; what was used stays used."""
        self.caps = table_of(settings, Budgets)
        self._models_place = settings.place("budgets.models")
        self._is_strict = settings.preset == "strict"
        self._ledger_failed = False  # what hindered it may be over, and strict may not go on without
        self._warned.clear()

    async def reserve(self, account: Account, asked: Amounts, model: str = "") -> Reservation:
        """Raises LimitError naming the budget, DeniedError for a model that is not allowed; then nothing is reserved."""
        self._last_cell = account.tally
        if model:
            check_model(self.caps, model, self._models_place)
        if asked.unpriced:
            check_price(self.caps, model)
        asked = admitted(self.caps, "cell", account.tally, asked)
        asked = admitted(self.caps, "session", self._session, asked)
        self._take(account, asked)
        try:
            reserved = await self._of_the_day(account, asked)
        except BaseException:
            self._put_back(account, asked, Amounts())
            raise
        if reserved.amounts != asked:  # the day has less time left than the cell
            self._put_back(account, asked, Amounts())
            self._take(account, reserved.amounts)
        return Reservation(self, account, reserved)

    def settle(self, account: Account, reserved: Reserved, used: Amounts) -> None:
        self._put_back(account, reserved.amounts, used)
        if (reserved.day or self._first_day) == self._today:
            self._own = self._own.settle(reserved.amounts, used)
        if reserved.in_ledger:
            self._day_use.settle(reserved.day, used.minus(reserved.amounts))
        elif not self._ledger_failed:
            self._day_use.settle(reserved.day, used)
        self._warn(account)

    def count(self, account: Account, used: Amounts) -> None:
        """What was used without a reservation: the next call meets the cap."""
        self.settle(account, Reserved(self._today, Amounts(), Amounts(), False), used)

    def out_of_time(self, account: Account, granted_ms: int) -> LimitError:
        return out_of_time(self.caps, {"cell": account.tally, "session": self._session, "day": self._day}, granted_ms)

    async def report(self) -> list[Line]:
        """Every budget with its cap and what is used of it; a cell's are those of the one that last asked for something."""
        if not self._ledger_failed:
            with suppress(LedgerError, TimeoutError):  # told where it stops counting; here the last known numbers remain
                self._see(*await self._day_use.others())
        return list(self._lines(self._last_cell))

    async def close(self) -> None:
        await self._day_use.close()

    @property
    def _day(self) -> Tally:
        return Tally(self._others.plus(self._own.used), self._own.reserved)

    def _take(self, account: Account, asked: Amounts) -> None:
        account.tally, self._session = account.tally.reserve(asked), self._session.reserve(asked)
        self._last_cell = account.tally

    def _put_back(self, account: Account, asked: Amounts, used: Amounts) -> None:
        account.tally, self._session = account.tally.settle(asked, used), self._session.settle(asked, used)
        self._last_cell = account.tally

    async def _of_the_day(self, account: Account, asked: Amounts) -> Reserved:
        caps, pending = self.caps, self._session.reserved.minus(asked)
        # an agent's step costs nothing itself, and its model call asks the ledger at once
        needs_ledger = asked != Amounts(steps=asked.steps) or caps.day_steps < NO_LIMIT
        if needs_ledger and not self._ledger_failed:
            try:
                reserved = await self._day_use.reserve(lambda sums: admitted(caps, "day", Tally(sums.minus(pending), pending), asked))
            except LedgerError as error:
                self._lose_ledger(account, error)
            else:
                self._see(reserved.day, reserved.others)
                self._own = self._own.reserve(reserved.amounts)
                self._tell_set_aside(account, reserved.set_aside)
                return reserved
        reserved = Reserved(self._today, admitted(caps, "day", self._day, asked), self._others, False)
        self._own = self._own.reserve(reserved.amounts)
        return reserved

    def _see(self, day: str, others: Amounts) -> None:
        if day != self._today:
            self._own = Tally() if self._today else self._own
            self._first_day = self._first_day or day
            self._today = day
            self._warned = {key for key in self._warned if not key.startswith("budgets.day_")}
        self._others = others

    def _lose_ledger(self, account: Account, error: LedgerError) -> None:
        if self._is_strict:
            raise BridgeError(
                f"the day's budgets cannot be kept ({error}), and the preset strict asks no model without them; "
                "see that the folder of llmspell's state can be written",
                code="budgets",
            ) from error
        if not self._ledger_failed:
            self._ledger_failed = True
            account.tell(f"the day's budgets cannot be kept ({error}): until its end, this session counts its own use alone")

    def _tell_set_aside(self, account: Account, name: str) -> None:
        if name:
            account.tell(f"the record of the days' budgets could not be read; it is kept as {name}, and today is counted anew")

    def _lines(self, cell: Tally) -> Iterator[Line]:
        yield from lines(self.caps, "cell", cell)
        yield from lines(self.caps, "session", self._session)
        yield from lines(self.caps, "day", self._day)

    def _warn(self, account: Account) -> None:
        """Once for each budget: a cell's in the cell, the others in the cell that comes near them."""
        spans = {"cell": account.tally, "session": self._session, "day": self._day}
        if not any(may_be_near(self.caps, span, tally) for span, tally in spans.items()):
            return
        for line in self._lines(account.tally):
            warned = account.warned if line.key.startswith("budgets.cell_") else self._warned
            if line.is_near and line.key not in warned:
                warned.add(line.key)
                account.near(line)
