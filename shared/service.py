"""From settings to the service's parts."""

from shared.database import Database
from shared.object_store import ObjectStore, StoreSettings, make_store
from shared.settings import ServiceSettings, StoreKind


def open_database(settings: ServiceSettings) -> Database:
    """The database; nothing is connected yet."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    return Database(settings.sql_url())


def open_store(settings: ServiceSettings, bucket: str | None = None) -> ObjectStore:
    """The object store, or another bucket of the same S3 server; nothing is connected yet."""
    secret_key = settings.s3_secret_key
    return make_store(
        StoreSettings(
            kind="s3" if settings.store is StoreKind.S3 else "filesystem",
            root=settings.data_dir / "objects",
            base_url=settings.public_url,
            secret=settings.signing_secret(),
            bucket=bucket or settings.s3_bucket,
            endpoint=settings.s3_endpoint,
            public_endpoint=settings.s3_public_endpoint,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=None if secret_key is None else secret_key.get_secret_value(),
            path_style=settings.s3_path_style,
            sse=settings.s3_sse,
        )
    )
