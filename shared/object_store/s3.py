"""An object store that speaks S3."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BufferedReader
from typing import Any, BinaryIO, cast

import boto3.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from shared.object_store.errors import StoreError, StoreUnavailable
from shared.object_store.keys import attachment, check_content_type, check_key, expiry
from shared.object_store.protocol import ObjectInfo, UploadTarget
from shared.object_store.s3_errors import AnswerReader, translated
from shared.object_store.streams import BLOCK_BYTES, BoundedReader

CONNECT_SECONDS = 3
READ_SECONDS = 15  # between two bytes of an answer
ATTEMPTS = 3  # the first one included
PART_BYTES = 8 * 1024 * 1024  # one part of a multipart upload, and all that one put holds in memory


class S3Store:
    """Objects in one bucket, which must exist.

    `public_endpoint` is the address that browsers reach, where it is not `endpoint`: the host is part of what is
    signed, so links are made for it. Without keys boto3 finds the machine's own role.
    """

    def __init__(  # noqa: PLR0913 - one argument a setting
        self,
        bucket: str,
        endpoint: str | None = None,
        region: str = "us-east-1",
        access_key: str | None = None,
        secret_key: str | None = None,
        *,
        path_style: bool = True,
        sse: str | None = None,
        public_endpoint: str | None = None,
    ) -> None:
        self._bucket = bucket
        self._endpoint = endpoint
        self._public_endpoint = public_endpoint or endpoint
        self._region = region
        self._keys = {"aws_access_key_id": access_key, "aws_secret_access_key": secret_key}
        self._path_style = path_style
        self._encryption = {"ServerSideEncryption": sse} if sse else {}
        self._clients: dict[tuple[int, str | None], Any] = {}

    def put(self, key: str, stream: BinaryIO, content_type: str, limit: int) -> ObjectInfo:
        """Store what the stream still holds: whole, or not at all; in parts if it is long.

        Raises:
            ObjectTooLarge: the stream holds more than `limit` bytes.
        """
        extra = {"ContentType": check_content_type(content_type), **self._encryption}
        # Without threads: one part in memory, and nothing that a fork could break.
        config = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False)
        with translated(check_key(key)):
            self._client().upload_fileobj(
                BoundedReader(stream, limit), self._bucket, key, ExtraArgs=extra, Config=config
            )
        return self.head(key)

    def get(self, key: str) -> bytes:
        """Every byte of an object."""
        with self.open(key) as stream:
            return stream.read()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Read an object as a stream."""
        with translated(check_key(key)):
            body = self._client().get_object(Bucket=self._bucket, Key=key)["Body"]
        with BufferedReader(AnswerReader(body, key), BLOCK_BYTES) as stream:
            yield cast(BinaryIO, stream)

    def head(self, key: str) -> ObjectInfo:
        """Size, type and time of an object."""
        with translated(check_key(key)):
            found = self._client().head_object(Bucket=self._bucket, Key=key)
        return ObjectInfo(key, found["ContentLength"], found["ContentType"], found["LastModified"])

    def copy(self, source: str, target: str) -> None:
        """Copy bytes and content type inside the store."""
        if source == target:  # S3 refuses this one
            self.head(source)
            return
        origin = {"Bucket": self._bucket, "Key": check_key(source)}
        check_key(target)
        with translated(source):
            self._client().copy_object(Bucket=self._bucket, Key=target, CopySource=origin, **self._encryption)

    def delete(self, key: str) -> None:
        """Delete an object; a key without one is no error."""
        with translated(check_key(key)):
            self._client().delete_object(Bucket=self._bucket, Key=key)

    def list(self, prefix: str, after: str = "") -> Iterator[ObjectInfo]:
        """Every object whose key starts with `prefix` and stands behind `after`, a page of at most 1000 at a time."""
        asked = {"Bucket": self._bucket, "Prefix": prefix} | ({"StartAfter": after} if after else {})
        pages = iter(self._client().get_paginator("list_objects_v2").paginate(**asked))
        while True:
            with translated(prefix):
                page = next(pages, None)
            if page is None:
                return
            for found in page.get("Contents", ()):
                yield ObjectInfo(found["Key"], found["Size"], "", found["LastModified"])

    def url(self, key: str, expires: timedelta, filename: str | None = None) -> str:
        """A presigned link to GET an object."""
        expiry(expires)
        params = {"Bucket": self._bucket, "Key": check_key(key)}
        if filename is not None:
            params["ResponseContentDisposition"] = attachment(filename)
        with translated(key):
            signer = self._client(public=True)
            return str(signer.generate_presigned_url("get_object", params, int(expires.total_seconds())))

    def upload_target(self, key: str, content_type: str, limit: int, expires: timedelta) -> UploadTarget:
        """A presigned POST: of S3's two ways, the one that can bound a size."""
        until = expiry(expires)
        fields = {"Content-Type": check_content_type(content_type)}
        if self._encryption:
            fields["x-amz-server-side-encryption"] = self._encryption["ServerSideEncryption"]
        conditions = [{name: value} for name, value in fields.items()]
        with translated(check_key(key)):
            form = self._client(public=True).generate_presigned_post(
                self._bucket,
                key,
                Fields=fields,
                Conditions=[*conditions, ["content-length-range", 0, limit]],
                ExpiresIn=int(expires.total_seconds()),
            )
        return UploadTarget("POST", form["url"], form["fields"], {}, until)

    def check(self) -> None:
        """Ask for the bucket.

        Raises:
            StoreUnavailable: the store is not reachable, or the bucket not ours.
        """
        try:
            with translated(self._bucket):
                self._client().head_bucket(Bucket=self._bucket)
        except StoreUnavailable:
            raise
        except StoreError as error:
            raise StoreUnavailable(
                f"the bucket {self._bucket!r} at {self._endpoint or 'AWS'} is not there or not ours ({error.code}): "
                "create it, or correct its name and keys"
            ) from error

    def _client(self, *, public: bool = False) -> Any:
        """A client of this process, made at its first use: a connection must never be shared over a fork."""
        endpoint = self._public_endpoint if public else self._endpoint
        name = (os.getpid(), endpoint)
        if name not in self._clients:
            # A session of its own, for making clients from the shared one is not safe in threads.
            self._clients[name] = boto3.session.Session().client(
                "s3", endpoint_url=endpoint, region_name=self._region, config=self._config(), **self._keys
            )
        return self._clients[name]

    def _config(self) -> Config:
        return Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            s3={"addressing_style": "path" if self._path_style else "virtual"},
            # Trailing checksums, boto3's default since 2025, are beyond many servers that speak S3.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
