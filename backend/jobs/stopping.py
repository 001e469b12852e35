"""Ends work that waits for others as soon as its job is called off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from backend.jobs.kinds import HandBack

Done = TypeVar("Done")


async def unless_cancelled(work: Coroutine[Any, Any, Done], cancel: asyncio.Event) -> Done:
    """Do the work; once `cancel` is set, cancel whatever it waits for.

    Raises:
        HandBack: it was stopped.
    """
    async with asyncio.TaskGroup() as group:
        called_off = group.create_task(cancel.wait())
        doing = asyncio.ensure_future(work)
        try:
            await asyncio.wait((doing, called_off), return_when=asyncio.FIRST_COMPLETED)
        finally:
            called_off.cancel()
            if not doing.done():
                doing.cancel()
                await asyncio.wait((doing,))
    if doing.cancelled():
        raise HandBack("the work was stopped")
    return doing.result()
