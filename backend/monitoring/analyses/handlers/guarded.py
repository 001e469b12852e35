"""Stands in front of a model: asks the shared breaker and the day's budget first, tells them after.

A call that is cancelled, or whose answer did not come, may be charged all the same: what was
reserved for it stays counted.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from backend.analysis.scene.vlm.model import (
    Answer,
    BudgetSpent,
    ModelBusy,
    ModelError,
    ModelMisconfigured,
    Question,
    Usage,
    VisionModel,
)
from backend.analysis.scene.vlm.price import Price, most_microusd
from backend.monitoring.analyses.breakers import Admission, Breakers
from backend.monitoring.analyses.schemas import Spent
from backend.monitoring.analyses.spending import CapReached, Reservation, Spending

MAY_BE_CHARGED = frozenset({"timeout", "connection_lost"})
"""Errors of calls that were made, and whose costs nobody has told."""


@dataclass(frozen=True, slots=True)
class GuardedModel:
    """A `VisionModel`, for one camera. A test is asked although the breaker is open."""

    model: VisionModel
    price: Price
    breakers: Breakers
    spending: Spending
    camera_id: str
    camera_usd: Decimal | None
    turns: asyncio.Lock
    """Of all who ask this model in this worker: while one is on trial the others wait."""
    is_test: bool = False

    @property
    def backend(self) -> str:
        """As the model's."""
        return self.model.backend

    @property
    def name(self) -> str:
        """As the model's."""
        return self.model.name

    @property
    def takes_video(self) -> bool:
        """As the model's."""
        return self.model.takes_video

    async def ask(self, question: Question) -> Answer:
        """Ask once, if breaker and budget allow it; see `VisionModel.ask`."""
        if self.is_test:
            return await self._ask(question, await self.breakers.now())
        async with self.turns:
            admission = await self._admitted()
            if admission.on_trial:
                return await self._ask(question, admission.asked_at)
        return await self._ask(question, admission.asked_at)

    async def aclose(self) -> None:
        """The model goes on: others ask it too."""

    async def _ask(self, question: Question, asked_at: datetime | None) -> Answer:
        reservation = await self._reserve(question)
        spent = Spent(cost_microusd=reservation.microusd, calls=1)
        try:
            answer = await self.model.ask(question)
        except ModelError as error:
            if error.code not in MAY_BE_CHARGED:
                spent = _spent(error.usage)
            await self._note(error, asked_at)
            raise
        else:
            spent = _spent(answer.usage)
            await self.breakers.succeeded(self.backend, asked_at=asked_at)
            return answer
        finally:
            await self.spending.settle(reservation, spent)

    async def _admitted(self) -> Admission:
        """That a question may be asked now; on trial it decides if the model is asked again."""
        admission = await self.breakers.admit(self.backend)
        if admission.wait_s > 0:
            known = (await self.breakers.views()).get(self.backend)
            why = "It failed of late" if known is None else known.reason
            raise ModelBusy(
                "breaker_open",
                f"{why}; it is left alone for {admission.wait_s:.0f} s",
                retry_after_s=admission.wait_s,
            )
        return admission

    async def _reserve(self, question: Question) -> Reservation:
        most = most_microusd(self.price, question)
        try:
            return await self.spending.reserve(self.camera_id, most, camera_usd=self.camera_usd)
        except CapReached as reached:
            raise BudgetSpent(
                "budget_spent", f"{reached.whose} budget of the day is spent"
            ) from reached

    async def _note(self, error: ModelError, asked_at: datetime | None) -> None:
        if isinstance(error, ModelBusy):
            await self.breakers.failed(
                self.backend,
                error.code,
                error.message,
                hint_s=error.retry_after_s,
                is_lasting=False,
            )
        elif isinstance(error, ModelMisconfigured):
            await self.breakers.failed(
                self.backend, error.code, error.message, hint_s=None, is_lasting=True
            )
        else:  # it said something: it is there
            await self.breakers.succeeded(self.backend, asked_at=asked_at)


def _spent(usage: Usage) -> Spent:
    return Spent(
        cost_microusd=usage.cost_microusd,
        calls=usage.calls,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
