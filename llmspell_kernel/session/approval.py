"""Asking the user before an effect: one question at a time, no by default.

Rules
- Who cannot be asked has said no: where there is no approver, in the background of a cell that has ended, and where asking fails.
- A call that is stopped while its question is open was not allowed.
- While a question waits, the total time of its cell stands still; its script time does as in every effect.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

from ..errors import DeniedError
from ..journal.events import CallAsked
from ..policy.approval import ApprovalRequest

if TYPE_CHECKING:
    from .cell_run import CellRun


class Approver(Protocol):
    """Who asks the user.  Raises DeniedError where nobody can be asked, saying why; whatever else it raises counts as a no too.

    It is called once for each call, and never while another question is open.  Its task is cancelled when the cell is stopped.
    """

    async def ask(self, request: ApprovalRequest) -> bool:
        """Whether the user allows this one call; `request.text` is the whole question, safe to show."""


class NobodyToAsk:
    """Where a session has no approver."""

    async def ask(self, request: ApprovalRequest) -> bool:
        raise DeniedError("this session has nobody to ask; `approver=` names who asks")


class Desk:
    """One a session: its questions stand in a queue."""

    def __init__(self, approver: Approver | None) -> None:
        self.approver: Approver = approver or NobodyToAsk()
        self._turn = asyncio.Lock()

    async def ask(self, run: CellRun, call: int, request: ApprovalRequest) -> None:
        """Returns where the user says yes, else raises DeniedError; the journal has the answer."""
        allowed, began = False, time.time()
        try:
            with run.total_time.standing_still():
                async with self._turn:
                    began = time.time()
                    allowed = await self._answer(request)
        finally:
            now = time.time()
            run.recorder.record(CallAsked(run.cell, now, call, request.capability, allowed, now - began, request.what))
        if not allowed:
            raise denied(request, "the user was asked, and did not say yes")

    async def _answer(self, request: ApprovalRequest) -> bool:
        try:
            return await self.approver.ask(request) is True
        except DeniedError as error:
            raise denied(request, error.message) from error
        except Exception as error:
            raise denied(request, f"asking failed ({type(error).__name__})") from error


def denied(request: ApprovalRequest, why: str) -> DeniedError:
    step = f" to do this: {request.what}" if request.what else ""
    return DeniedError(f"{request.capability} needs the user's consent{step} ({request.reason}): {why}", capability=request.capability)
