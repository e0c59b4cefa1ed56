"""The tables. Times are seconds since 1970 as double precision, so that one comparison serves every database."""

from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

# SQLite counts rows by itself only in an INTEGER column.
_Serial: Final = BigInteger().with_variant(Integer, "sqlite")
# Alembic must be able to name what it changes.
tables: Final = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})

jobs: Final = Table(
    "jobs",
    tables,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("queue", String(16), nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("source_key", String(512), nullable=False),
    Column("source_name", String(255)),
    Column("original_key", String(512)),
    Column("result_key", String(512), nullable=False),
    Column("model", String(64), nullable=False),
    Column("options", JSON, nullable=False),
    Column("metadata", JSON),
    Column("webhook", JSON),
    Column("batch", String(32)),
    Column("stage", String(16)),
    Column("percent", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("expires", Double),
    Column("lease_until", Double),
    Column("holder", String(255)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("deduplicated", Boolean, nullable=False),
    Column("retention", Double),
    Column("result", JSON),
    Column("timings", JSON, nullable=False),
    # Photo, parameters and everything else that was asked; empty once the result is gone.
    Column("fingerprint", String(64)),
    # Published, as far as we know; what the reconciler judges by.
    Column("published", Double),
    Index("ix_jobs_tenant_created", "tenant", "created", "id"),
    Index("ix_jobs_status_published", "status", "published"),
    Index("ix_jobs_expires", "expires"),
    Index("ix_jobs_source_key", "source_key"),
    Index("ix_jobs_result_key", "result_key"),
    # The same submission twice at once is one job.
    Index(
        "ix_jobs_fingerprint",
        "tenant",
        "fingerprint",
        unique=True,
        sqlite_where=text("status in ('queued', 'running', 'succeeded') and fingerprint is not null"),
        postgresql_where=text("status in ('queued', 'running', 'succeeded') and fingerprint is not null"),
    ),
)

outbox: Final = Table(
    "outbox",
    tables,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("job", String(32), nullable=False),
    Column("queue", String(16), nullable=False),
    Column("due", Double, nullable=False),  # not to be published before
    Index("ix_outbox_due", "due"),
    Index("ix_outbox_job", "job"),
)

idempotency: Final = Table(
    "idempotency",
    tables,
    Column("tenant", String(64), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64)),  # unknown while the first request is still being read
    Column("job", String(32)),
    Column("created", Double, nullable=False),
)

uploads: Final = Table(
    "uploads",
    tables,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("key", String(512), nullable=False),
    Column("name", String(255)),
    Column("expires", Double, nullable=False),
    Index("ix_uploads_expires", "expires"),
)

api_keys: Final = Table(
    "api_keys",
    tables,
    Column("id", String(16), primary_key=True),
    Column("hash", String(64), nullable=False),  # SHA-256 of the whole key, which is 256 random bits
    Column("tenant", String(64), nullable=False),
    Column("name", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created", Double, nullable=False),
    Column("revoked", Double),
    Column("daily_quota", Integer),
)

webhook_endpoints: Final = Table(
    "webhook_endpoints",
    tables,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),  # what it wants; an empty list: everything
    Column("description", String(255)),
    Column("secret", String(128), nullable=False),  # as it is: every try is signed with it
    Column("previous_secret", String(128)),  # signs as well until previous_until
    Column("previous_until", Double),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("disabled", Double),
    Column("disabled_reason", Text),
    Column("failing_since", Double),  # the first failure after the last success
    Index("ix_webhook_endpoints_tenant", "tenant"),
)

events: Final = Table(
    "events",
    tables,
    Column("id", String(40), primary_key=True),  # `msg_` and 32 hex digits; what receivers tell copies by
    Column("tenant", String(64), nullable=False),
    Column("type", String(32), nullable=False),
    Column("job", String(32)),
    Column("created", Double, nullable=False),
    Column("data", JSON, nullable=False),
    Index("ix_events_created", "created"),
)

webhook_deliveries: Final = Table(
    "webhook_deliveries",
    tables,
    Column("id", String(32), primary_key=True),
    Column("event", String(40), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("endpoint", String(32)),  # empty: the job's own webhook, whose URL and secret stand here
    Column("url", Text),
    Column("secret", String(128)),
    Column("receiver", String(32), nullable=False),  # the endpoint, or a job's host: what is alive or dead together
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Double),  # of the next try; empty once nothing more will happen
    Column("announced_until", Double),  # a message is on its way
    Column("lease_until", Double),  # a worker is at it
    Column("code", Integer),  # what the receiver answered last
    Column("seconds", Double),
    Column("excerpt", Text),
    Column("error", Text),  # why the last try failed
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Index("ix_webhook_deliveries_due", "status", "due"),
    Index("ix_webhook_deliveries_receiver", "status", "receiver", "due"),
    Index("ix_webhook_deliveries_endpoint", "endpoint", "created", "id"),
    Index("ix_webhook_deliveries_event", "event"),
    Index("ix_webhook_deliveries_created", "created"),
)

batches: Final = Table(
    "batches",
    tables,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("name", String(255)),
    Column("status", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("updated", Double, nullable=False),
    Column("model", String(64), nullable=False),
    Column("options", JSON, nullable=False),
    Column("output", JSON),
    Column("metadata", JSON),
    Column("webhook", JSON),
    Column("retention", Double, nullable=False),
    Column("manifest_key", String(512)),
    Column("manifest_path", Text),
    Column("form", String(8)),
    Column("daily_quota", Integer),
    Column("started", Double),
    Column("finished", Double),
    Column("expires", Double),
    Column("deleted", Double),  # its owner sees it no more; rows and objects are being taken away
    Column("line", Integer, nullable=False),
    Column("position", Text),
    Column("rerunning", Boolean, nullable=False),
    # Changed by the transactions that change rows, so that a million rows need not be counted.
    Column("total", Integer, nullable=False),
    Column("waiting", Integer, nullable=False),
    Column("queued", Integer, nullable=False),
    Column("restored", Integer, nullable=False),
    Column("unchanged", Integer, nullable=False),
    Column("skipped_done", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("canceled", Integer, nullable=False),
    Column("rate", Double),
    Column("rate_since", Double),
    Column("rate_done", Integer, nullable=False),
    Column("told", Double),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Index("ix_batches_tenant_created", "tenant", "created", "id"),
    Index("ix_batches_status", "status"),
    Index("ix_batches_expires", "expires"),
    Index("ix_batches_manifest_key", "manifest_key"),
)

batch_rows: Final = Table(
    "batch_rows",
    tables,
    Column("batch", String(32), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("source", Text, nullable=False),
    Column("original", Text),
    Column("output", Text),
    Column("output_digest", BigInteger),
    Column("options", JSON, nullable=False),
    Column("metadata", JSON(none_as_null=True)),
    Column("runnable", Boolean, nullable=False),
    Column("due", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("job", String(32)),
    Column("result_key", String(512)),
    Column("duplicate_of", Text),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("confidence", Double),
    Column("seconds", Double),
    # The next ones to be fed, and pages of those with an outcome, whose `due` is 0.
    Index("ix_batch_rows_state", "batch", "state", "due", "line"),
    Index(
        "ix_batch_rows_result_key",
        "batch",
        "result_key",
        sqlite_where=text("result_key is not null"),
        postgresql_where=text("result_key is not null"),
    ),
    Index(
        "ix_batch_rows_output_digest",
        "batch",
        "output_digest",
        sqlite_where=text("output_digest is not null"),
        postgresql_where=text("output_digest is not null"),
    ),
)

batch_failures: Final = Table(
    "batch_failures",
    tables,
    Column("batch", String(32), primary_key=True),
    Column("code", String(64), primary_key=True),
    Column("number", Integer, nullable=False),
)

locks: Final = Table(
    "locks",
    tables,
    Column("name", String(64), primary_key=True),
    Column("holder", String(255), nullable=False),
    Column("until", Double, nullable=False),
)

workers: Final = Table(
    "workers",
    tables,
    Column("holder", String(255), primary_key=True),
    Column("seen", Double, nullable=False),
    Column("queues", String(64), nullable=False),
)

counters: Final = Table(
    "counters",
    tables,
    Column("name", String(64), primary_key=True),
    Column("label", String(64), primary_key=True),
    Column("shard", Integer, primary_key=True),  # several rows a counter, so that commits do not queue for one
    Column("value", Double, nullable=False),
)
