"""Settings, and the only reader of the environment: every name is `REGAIN_` and the field's, in capitals."""

import os
import secrets
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRET_BYTES: Final = 32  # of the key that signs links


class Backend(StrEnum):
    """What runs a network."""

    ONNXRUNTIME = "onnxruntime"
    INT8 = "int8"  # ONNX Runtime over 8-bit graphs
    OPENVINO = "openvino"
    TINYGRAD = "tinygrad"


class StoreKind(StrEnum):
    """Where objects are kept."""

    FILESYSTEM = "filesystem"
    S3 = "s3"


def _data_home() -> Path:
    return Path.home() / ".local" / "share" / "regain"


class Settings(BaseSettings):
    """What an operator may set; each default works on a bare machine."""

    model_config = SettingsConfigDict(env_prefix="REGAIN_", frozen=True, extra="ignore", populate_by_name=True)

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
    backend: Backend = Field(
        default=Backend.ONNXRUNTIME,
        description="what computes the network; others than onnxruntime and int8 are extras",
    )
    threads: int = Field(default=0, ge=0, le=256, description="threads of one prediction; 0 = one a core")


class ServiceSettings(Settings):
    """What the API, the workers and the control loop share."""

    data_dir: Path = Field(
        default_factory=lambda: _data_home() / "service", description="where the embedded stack keeps everything"
    )
    database_url: str | None = Field(
        default=None, description="postgresql://… or sqlite:///…; a file in the data folder if unset"
    )
    redis_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("REGAIN_REDIS_URL", "REDIS_URL"),
        description="the broker; `regain up` starts an embedded one if unset",
    )
    secret: SecretStr | None = Field(
        default=None, description="signs links; the same for every process; a file in the data folder if unset"
    )
    public_url: str = Field(default="http://127.0.0.1:8000", description="where callers reach the API")

    store: StoreKind = Field(default=StoreKind.FILESYSTEM, description="where objects are kept")
    s3_bucket: str = Field(default="regain")
    s3_endpoint: str | None = Field(default=None, description="of an S3-compatible store; Amazon's own if unset")
    s3_public_endpoint: str | None = Field(default=None, description="the same store as callers reach it")
    s3_region: str = Field(default="us-east-1")
    s3_access_key: str | None = Field(default=None)
    s3_secret_key: SecretStr | None = Field(default=None)
    s3_path_style: bool = Field(default=True)
    s3_sse: str | None = Field(default=None, description="server-side encryption, for example AES256")
    source_buckets: tuple[str, ...] = Field(default=(), description="buckets that jobs may name as their source")
    output_buckets: tuple[str, ...] = Field(default=(), description="buckets that batches may write results to")
    allow_private_urls: bool = Field(
        default=False, description="let source and webhook URLs lead into private networks"
    )

    max_attempts: int = Field(default=3, ge=1, le=20, description="claims of one job before it is given up")
    lease_seconds: float = Field(default=15.0, ge=2, le=600, description="a silent worker then loses its job")
    reconcile_seconds: float = Field(default=5.0, ge=0.2, le=60, description="between two looks for lost work")
    stranded_seconds: float = Field(default=15.0, ge=1, le=600, description="an unclaimed message is then looked for")
    task_time_limit: int = Field(default=120, ge=5, le=3600, description="seconds after which a job's process is ended")
    retention_hours: float = Field(default=24 * 7, gt=0, description="how long finished jobs' objects are kept")
    link_minutes: float = Field(default=60, gt=0, description="how long a result's link works")
    upload_minutes: float = Field(default=60, gt=0, description="how long a direct upload may take")
    api_processes: int = Field(default=2, ge=1, le=64, description="of the API that `regain up` starts")
    rate_limit: str = Field(default="600/minute", description="requests of one key; polls are not counted")
    otel_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        description="an OpenTelemetry collector; no traces are made if unset",
    )
    max_memory_mb: int = Field(default=1500, ge=200, description="a worker above this is replaced after its job")

    batch_window: int = Field(
        default=50, ge=1, le=10_000, description="rows of a tenant's batches that are jobs at one time"
    )
    batch_fetches: int = Field(default=4, ge=1, le=64, description="photos that the control loop fetches at once")

    webhook_seconds: float = Field(default=10.0, ge=0.5, le=60, description="that a webhook's receiver has to answer")
    webhook_schedule: tuple[float, ...] = Field(
        default=(0, 5, 300, 1800, 7200, 18000, 36000, 36000),
        min_length=1,
        description="seconds before each try of a webhook, the first one counted",
    )
    webhook_concurrency: int = Field(default=8, ge=2, le=64, description="webhooks that one worker sends at once")
    webhook_disable_hours: float = Field(default=72, gt=0, description="an endpoint that only fails is then disabled")
    webhook_history_days: float = Field(default=30, gt=0, description="how long events can be delivered again")

    def sql_url(self) -> str:
        """The database's address."""
        return self.database_url or f"sqlite:///{self.data_dir / 'regain.sqlite3'}"

    def signing_secret(self) -> bytes:
        """The key that signs links; made once and kept in the data folder where none is set."""
        if self.secret is not None:
            return self.secret.get_secret_value().encode()
        path = self.data_dir / "secret"
        if not path.is_file():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            # Whole under another name first: of several processes that start at once, one wins and all read the same.
            mine = path.with_name(f".secret.{os.getpid()}")
            mine.touch(mode=0o600)
            mine.write_text(secrets.token_hex(SECRET_BYTES), encoding="ascii")
            with suppress(FileExistsError):
                os.link(mine, path)
            mine.unlink()
        return path.read_bytes()


class ClientSettings(BaseSettings):
    """Where the client finds a service."""

    model_config = SettingsConfigDict(env_prefix="REGAIN_", frozen=True, extra="ignore", populate_by_name=True)

    url: str = Field(default="http://127.0.0.1:8000", description="the service's address")
    api_key: SecretStr | None = Field(default=None, description="a key that `regain keys create` showed")


def load_settings() -> Settings:
    """Read what a single photo needs from the environment.

    Raises:
        pydantic.ValidationError: a variable holds a value out of its range.
    """
    return Settings()


def load_service_settings() -> ServiceSettings:
    """Read what the service needs from the environment.

    Raises:
        pydantic.ValidationError: a variable holds a value out of its range.
    """
    return ServiceSettings()


def load_client_settings() -> ClientSettings:
    """Read what the client needs from the environment."""
    return ClientSettings()
