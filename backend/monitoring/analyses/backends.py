"""Which analysers there are and whether they are set up, as far as settings tell.

Serves both programs: the page says where footage goes, workers make the models. Nothing here calls
anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import urlsplit

from backend.monitoring.analyses.schemas import BackendView, BreakerView
from backend.settings import (
    ModelPrice,
    ModelSettings,
    SceneBackend,
    SceneSettings,
    is_loopback_host,
)

GEMINI_HOST = "generativelanguage.googleapis.com"


def chain(chosen: SceneBackend | None, scene: SceneSettings) -> tuple[SceneBackend, ...]:
    """Who is asked, in this order: the camera's choice or the default, then the fallback."""
    first = chosen or scene.backend
    return (first, *(backend for backend in scene.fallback if backend is not first))


def missing(backend: SceneBackend, models: ModelSettings) -> str | None:
    """What a backend lacks, in words; None when it is set up."""
    match backend:
        case SceneBackend.LOCAL:
            return None
        case SceneBackend.GEMINI:
            if models.gemini_api_key is None and models.gemini_base_url is None:
                return "GEMINI_API_KEY is not set"
            if models.gemini_model not in models.prices:
                return f"MODEL_PRICES has no price for {models.gemini_model}"
            return None
        case SceneBackend.OPENAI:
            if models.openai_base_url is None:
                return "OPENAI_BASE_URL is not set"
            if models.openai_model is None:
                return "OPENAI_MODEL is not set"
            has_cap = models.total_budget_usd is not None or models.camera_budget_usd is not None
            if has_cap and models.openai_model not in models.prices and _is_elsewhere(models):
                return f"a budget needs a price in MODEL_PRICES for {models.openai_model}"
            return None


def model_name(backend: SceneBackend, models: ModelSettings) -> str | None:
    """The model that a backend asks."""
    match backend:
        case SceneBackend.LOCAL:
            return None
        case SceneBackend.GEMINI:
            return models.gemini_model
        case SceneBackend.OPENAI:
            return models.openai_model


def price(backend: SceneBackend, models: ModelSettings) -> ModelPrice:
    """What a backend's model costs; nothing where no price is known."""
    free = ModelPrice(input=Decimal(0), output=Decimal(0))
    return models.prices.get(model_name(backend, models) or "", free)


def endpoint(backend: SceneBackend, models: ModelSettings) -> str | None:
    """The host that footage is sent to; None where it stays in this program."""
    match backend:
        case SceneBackend.LOCAL:
            return None
        case SceneBackend.GEMINI:
            return _host(models.gemini_base_url) or GEMINI_HOST
        case SceneBackend.OPENAI:
            return _host(models.openai_base_url)


def views(
    scene: SceneSettings,
    models: ModelSettings,
    breakers: Mapping[str, BreakerView],
    cameras: Mapping[str, SceneBackend | None],
) -> list[BackendView]:
    """All backends, for people; `cameras` by id with what each has chosen."""
    return [_view(backend, scene, models, breakers, cameras) for backend in SceneBackend]


def _view(
    backend: SceneBackend,
    scene: SceneSettings,
    models: ModelSettings,
    breakers: Mapping[str, BreakerView],
    cameras: Mapping[str, SceneBackend | None],
) -> BackendView:
    host = endpoint(backend, models)
    cost = price(backend, models) if backend.is_model else None
    return BackendView(
        name=backend,
        configured=missing(backend, models) is None,
        missing=missing(backend, models),
        model=model_name(backend, models),
        endpoint=host,
        leaves_machine=host is not None and not is_loopback_host(host),
        is_default=backend is scene.backend,
        fallback=list(chain(backend, scene)[1:]),
        input_usd_per_million=float(cost.input) if cost else None,
        output_usd_per_million=float(cost.output) if cost else None,
        cameras=_looked_at(backend, scene, cameras),
        breaker=breakers.get(backend),
    )


def _looked_at(
    backend: SceneBackend, scene: SceneSettings, cameras: Mapping[str, SceneBackend | None]
) -> list[str]:
    return [id_ for id_, chosen in cameras.items() if (chosen or scene.backend) is backend]


def _is_elsewhere(models: ModelSettings) -> bool:
    return not is_loopback_host(endpoint(SceneBackend.OPENAI, models) or "localhost")


def _host(url: str | None) -> str | None:
    return urlsplit(url).hostname if url else None
