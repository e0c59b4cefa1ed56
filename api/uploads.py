"""Direct uploads: a photo or a manifest goes straight to the store, within the terms of a signed permission."""

import time
from datetime import timedelta

from flask import Response, jsonify

from api import contract
from api.answers import UploadView
from api.auth import tenant
from api.intake import json_body
from api.schemas import UploadBody
from api.services import services
from shared.batches import MANIFEST_BYTES
from shared.database import job_store, request_store
from shared.database.request_store import Upload
from shared.imaging.limits import MAX_BYTES
from shared.job_view import stamp

uploads = contract.group("uploads")
_BODY = contract.body({"application/json": contract.register(uploads, UploadBody)})


@uploads.post("/uploads", responses={"201": UploadView}, openapi_extensions=_BODY)
def create_upload() -> Response:
    """Announce a direct upload; send the file as told, then submit a job or a batch with its id."""
    wanted = UploadBody.model_validate(json_body())
    life = timedelta(minutes=services().settings.upload_minutes)
    most = MAX_BYTES if wanted.content_type.startswith("image/") else MANIFEST_BYTES
    limit = min(wanted.size or most, most)
    upload_id = job_store.new_id()
    upload = Upload(upload_id, tenant(), f"incoming/{upload_id}", wanted.name, time.time() + life.total_seconds())
    target = services().store.upload_target(upload.key, wanted.content_type, limit, life)
    with services().database.begin() as connection:
        request_store.add_upload(connection, upload)
    response = jsonify(
        {
            "id": upload.id,
            "method": target.method,
            "url": target.url,
            "fields": target.fields,
            "headers": target.headers,
            "limit": limit,
            "expires": stamp(upload.expires),
        }
    )
    response.status_code = 201
    return response
