"""Who understands an archive: rules on this machine, or models behind an API."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from backend.settings.group import Group, split_names

Backends = Annotated[tuple["SceneBackend", ...], NoDecode]


class SceneBackend(StrEnum):
    """Who understands an archive: rules on this machine, or a vision-language model."""

    LOCAL = "local"
    GEMINI = "gemini"
    OPENAI = "openai"

    @property
    def is_model(self) -> bool:
        """Whether it is a model behind an API, which costs money and may be away."""
        return self is not SceneBackend.LOCAL


class ModelPrice(BaseModel):
    """What a model costs, in US dollars per million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)


PRICES = {
    "gemini-3.5-flash-lite": ModelPrice(input=Decimal("0.30"), output=Decimal("2.50")),
    "gemini-3.5-flash": ModelPrice(input=Decimal("1.50"), output=Decimal("9.00")),
}
"""As published in October 2026."""


class SceneSettings(Group):
    """The scene analysis of each archive."""

    backend: SceneBackend = Field(
        SceneBackend.LOCAL,
        alias="SCENE_BACKEND",
        description="Scene analyser of cameras that name none: local, gemini or openai. Footage"
        " leaves this machine for gemini, and for openai where OPENAI_BASE_URL is elsewhere.",
    )
    fallback: Backends = Field(
        (SceneBackend.LOCAL,),
        alias="SCENE_FALLBACK",
        description="Comma-separated analysers that take over, in this order, where the chosen one"
        " cannot answer or the day's budget is spent; `none` lets jobs wait instead.",
    )
    wait_s: float = Field(
        900,
        alias="SCENE_WAIT_SECONDS",
        ge=0,
        description="Seconds that a job waits for a model that is busy, away or wrongly set up"
        " before the fallback takes over.",
    )
    detector_weights: str | None = Field(
        None,
        alias="DETECTOR_WEIGHTS",
        description="YOLO weights (.pt, .onnx, an OpenVINO folder, .engine) for all cameras but the"
        " demo camera; `none` for motion only (default: yolo11n.pt where ultralytics can"
        " fetch it).",
    )
    detector_device: str = Field(
        "auto",
        alias="DETECTOR_DEVICE",
        description="auto, cpu, or a CUDA device such as cuda:0.",
    )
    detector_confidence: float = Field(
        0.35,
        alias="DETECTOR_CONFIDENCE",
        gt=0,
        lt=1,
        description="Least confidence of a detection, 0 to 1.",
    )
    sample_fps: float = Field(
        5,
        alias="SCENE_SAMPLE_FPS",
        gt=0,
        le=30,
        description="Pictures per second that are looked at.",
    )
    job_timeout_s: float = Field(
        1800,
        alias="SCENE_JOB_TIMEOUT_SECONDS",
        gt=0,
        description="Seconds after which the analysis of one archive is stopped.",
    )

    @field_validator("fallback", mode="before")
    @classmethod
    def _parse_fallback(cls, value: object) -> object:
        return () if value == "none" else split_names(value)


class ModelSettings(Group):
    """Vision-language models: where they are, how much they are shown, what they may cost."""

    gemini_api_key: SecretStr | None = Field(
        None, alias="GEMINI_API_KEY", description="Key of the Gemini API."
    )
    gemini_model: str = Field(
        "gemini-3.5-flash-lite",
        alias="GEMINI_MODEL",
        min_length=1,
        max_length=200,
        description="Model that backend gemini asks.",
    )
    gemini_base_url: str | None = Field(
        None,
        alias="GEMINI_BASE_URL",
        description="Where the Gemini API is (default: the vendor's address).",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        alias="OPENAI_API_KEY",
        description="Key of the OpenAI-compatible endpoint, where it wants one.",
    )
    openai_model: str | None = Field(
        None,
        alias="OPENAI_MODEL",
        max_length=200,
        description="Model that backend openai asks.",
    )
    openai_base_url: str | None = Field(
        None,
        alias="OPENAI_BASE_URL",
        description="An OpenAI-compatible endpoint (vLLM, Ollama, llama.cpp), such as"
        " http://127.0.0.1:11434/v1.",
    )
    call_timeout_s: float = Field(
        120,
        alias="MODEL_TIMEOUT_SECONDS",
        gt=0,
        le=3600,
        description="Seconds after which a model's answer is given up.",
    )
    window_s: float = Field(
        30,
        alias="SCENE_WINDOW_SECONDS",
        ge=5,
        le=600,
        description="Seconds of video that a model is shown at a time.",
    )
    windows_at_once: int = Field(
        3,
        alias="SCENE_WINDOWS_AT_ONCE",
        ge=1,
        le=32,
        description="Windows of one archive that a model is asked about at the same time.",
    )
    frames_per_second: float = Field(
        1,
        alias="SCENE_WINDOW_FPS",
        gt=0,
        le=5,
        description="Pictures a second that a model is shown.",
    )
    longest_side: int = Field(
        768,
        alias="SCENE_WINDOW_PIXELS",
        ge=128,
        le=1920,
        description="Longest side in pixels of what a model is shown.",
    )
    camera_budget_usd: Decimal | None = Field(
        None,
        alias="SCENE_CAMERA_BUDGET_USD",
        ge=0,
        description="US dollars a day that a camera's analysis may cost, for cameras that set"
        " none (default: no limit).",
    )
    total_budget_usd: Decimal | None = Field(
        None,
        alias="SCENE_BUDGET_USD",
        ge=0,
        description="US dollars a day that all analyses together may cost (default: no limit).",
    )
    prices: dict[str, ModelPrice] = Field(
        PRICES,
        alias="MODEL_PRICES",
        description="US dollars per million tokens of further models, or other prices, as JSON:"
        ' `{"name": {"input": 0.3, "output": 2.5}}`. Gemini models need an entry; a model of'
        " backend openai without one costs nothing.",
    )

    @field_validator("prices")
    @classmethod
    def _add_known(cls, value: dict[str, ModelPrice]) -> dict[str, ModelPrice]:
        return {**PRICES, **value}
