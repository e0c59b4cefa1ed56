"""Settings, and the only reader of the environment: every name is `REGAIN_` and the field's, in capitals."""

from enum import StrEnum
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Backend(StrEnum):
    """What runs a network."""

    ONNXRUNTIME = "onnxruntime"
    TINYGRAD = "tinygrad"


def _data_home() -> Path:
    return Path.home() / ".local" / "share" / "regain"


class Settings(BaseSettings):
    """What an operator may set; each default works on a bare machine."""

    model_config = SettingsConfigDict(env_prefix="REGAIN_", frozen=True, extra="ignore")

    model: str | None = Field(default=None, description="model to predict with; the manifest's default if unset")
    models_dir: Path = Field(
        default_factory=lambda: _data_home() / "models", description="where `regain model install` puts models"
    )
    network_long_side: int | None = Field(
        default=None,
        ge=128,
        le=4096,
        description="long side of the network's input in pixels; the model's own if unset",
    )
    backend: Backend = Field(default=Backend.ONNXRUNTIME, description="what runs GMNet; tinygrad is an optional extra")
    threads: int = Field(default=0, ge=0, le=256, description="threads of one prediction; 0 = one a core")


def load_settings() -> Settings:
    """Read the environment once.

    Raises:
        pydantic.ValidationError: a variable holds a value out of its range.
    """
    return Settings()
