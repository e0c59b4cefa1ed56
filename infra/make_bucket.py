"""Make the bucket that the settings name, where it is not there yet: `python -m infra.make_bucket`."""

import sys
from typing import Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared.settings import ServiceSettings, load_service_settings

THERE: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})
_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=15, retries={"max_attempts": 5}, s3={"addressing_style": "path"}
)


def make_bucket(settings: ServiceSettings) -> str:
    """Make it; says what was done.

    Raises:
        BotoCoreError, ClientError: the store does not answer, or refuses.
    """
    secret = settings.s3_secret_key
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=None if secret is None else secret.get_secret_value(),
        config=_CONFIG,
    )
    try:
        client.create_bucket(Bucket=settings.s3_bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in THERE:
            raise
        return f"{settings.s3_bucket}: is there"
    finally:
        client.close()
    return f"{settings.s3_bucket}: made"


def main() -> int:
    """0 once the bucket is there."""
    settings = load_service_settings()
    try:
        sys.stdout.write(make_bucket(settings) + "\n")
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"{settings.s3_endpoint}: the bucket cannot be made ({error}); check REGAIN_S3_*\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
