"""The models that are set up, made when they are first asked: their SDKs take a while to load."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from decimal import Decimal

from backend.analysis.scene.vlm.model import ModelMisconfigured, VisionModel
from backend.analysis.scene.vlm.price import Price
from backend.monitoring.analyses import backends
from backend.monitoring.analyses.breakers import Breakers
from backend.monitoring.analyses.handlers.guarded import GuardedModel
from backend.monitoring.analyses.spending import Spending
from backend.settings import ModelSettings, SceneBackend


class ModelShelf:
    """Makes models and keeps them. One a worker."""

    def __init__(self, models: ModelSettings, breakers: Breakers, spending: Spending) -> None:
        self._settings = models
        self._breakers = breakers
        self._spending = spending
        self._made: dict[SceneBackend, VisionModel] = {}
        self._turns: defaultdict[SceneBackend, asyncio.Lock] = defaultdict(asyncio.Lock)

    def guarded(
        self,
        backend: SceneBackend,
        camera_id: str,
        *,
        camera_usd: Decimal | None,
        is_test: bool = False,
    ) -> GuardedModel:
        """A backend's model behind breaker and budget.

        Raises:
            ModelMisconfigured: it lacks a setting.
        """
        missing = backends.missing(backend, self._settings)
        if missing is not None:
            raise ModelMisconfigured("not_configured", missing)
        if backend not in self._made:
            self._made[backend] = self._make(backend)
        return GuardedModel(
            self._made[backend],
            self._price(backend),
            self._breakers,
            self._spending,
            camera_id,
            self._settings.camera_budget_usd if camera_usd is None else camera_usd,
            self._turns[backend],
            is_test=is_test,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for model in self._made.values():
            await model.aclose()

    def _make(self, backend: SceneBackend) -> VisionModel:
        settings = self._settings
        match backend:
            case SceneBackend.GEMINI:
                from backend.analysis.scene.vlm.gemini import GeminiModel  # noqa: PLC0415  slow

                key = settings.gemini_api_key
                return GeminiModel(
                    api_key=key.get_secret_value() if key else None,
                    model=settings.gemini_model,
                    base_url=settings.gemini_base_url,
                    timeout_s=settings.call_timeout_s,
                    price=self._price(backend),
                )
            case SceneBackend.OPENAI:
                from backend.analysis.scene.vlm.openai_compatible import (  # noqa: PLC0415  slow
                    OpenAICompatibleModel,
                )

                key = settings.openai_api_key
                return OpenAICompatibleModel(
                    api_key=key.get_secret_value() if key else None,
                    model=settings.openai_model or "",
                    base_url=settings.openai_base_url or "",
                    timeout_s=settings.call_timeout_s,
                    price=self._price(backend),
                )
            case SceneBackend.LOCAL:
                raise ValueError("local is no model")

    def _price(self, backend: SceneBackend) -> Price:
        price = backends.price(backend, self._settings)
        return Price(Decimal(price.input), Decimal(price.output))
