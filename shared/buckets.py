"""Buckets beside the service's own: which may be read, which may be written, and the way to each."""

from shared.errors import RestoreError
from shared.object_store import ObjectStore
from shared.service import open_store
from shared.settings import ServiceSettings, StoreKind


class Buckets:
    """Other buckets of the settings' S3 server; a store is made when first needed."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._stores: dict[str, ObjectStore] = {}

    def source(self, path: str) -> tuple[ObjectStore, str]:
        """The store and key of `bucket/key`, to be read.

        Raises:
            RestoreError: `bucket_not_allowed`.
        """
        bucket, _, key = path.partition("/")
        if bucket not in self._settings.source_buckets:
            raise RestoreError(
                "bucket_not_allowed", f"jobs may not read the bucket {bucket!r}: its operator can allow it"
            )
        return self._store(bucket), key

    def output(self, path: str) -> tuple[ObjectStore, str]:
        """The store and key of `bucket/key`, to be written.

        Raises:
            RestoreError: `bucket_not_allowed`.
        """
        bucket, _, key = path.partition("/")
        if bucket not in self._settings.output_buckets:
            raise RestoreError(
                "bucket_not_allowed", f"batches may not write to the bucket {bucket!r}: its operator can allow it"
            )
        return self._store(bucket), key

    def _store(self, bucket: str) -> ObjectStore:
        if bucket not in self._stores:
            settings = self._settings.model_copy(update={"store": StoreKind.S3})
            self._stores[bucket] = open_store(settings, bucket)
        return self._stores[bucket]
