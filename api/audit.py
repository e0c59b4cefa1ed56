"""What each reader will make of a file; no job, nothing stored."""

from flask import Response, jsonify, request

from api import contract
from api.answers import AuditView
from api.intake import uploaded
from api.problems import TABLE, ProblemError
from api.schemas import AuditForm
from shared.imaging.limits import MAX_BYTES
from shared.ultrahdr import Severity, UltraHdrError, audit

JPEG = "image/jpeg"
audits = contract.group("audit")
_BODY = contract.body(
    {
        "multipart/form-data": contract.register(audits, AuditForm),
        JPEG: {"type": "string", "format": "binary"},
    }
)


@audits.post("/audit", responses={"200": AuditView}, openapi_extensions=_BODY)
def audit_file() -> Response:
    """Say what is wrong with an Ultra HDR file, for whom, and how to mend it."""
    data = _file()
    if not data:
        raise ProblemError("empty", "the file is empty: send an Ultra HDR JPEG")
    if len(data) > MAX_BYTES:
        raise ProblemError("too_many_bytes", f"the file is larger than {MAX_BYTES >> 20} MiB: send a smaller one")
    try:
        findings = audit(data)
    except UltraHdrError as error:
        raise ProblemError(error.code if error.code in TABLE else "damaged", str(error)) from error
    broken = any(finding.severity is Severity.ERROR for finding in findings)
    return jsonify({"ok": not broken, "findings": [finding.to_json() for finding in findings]})


def _file() -> bytes:
    if request.mimetype == JPEG:
        return request.stream.read(MAX_BYTES + 1)
    if request.mimetype == "multipart/form-data":
        AuditForm.model_validate({**request.form, "photo": b""})  # of text fields there are none
        return uploaded("photo").stream.read(MAX_BYTES + 1)
    raise ProblemError("unsupported_media_type", "send the file as image/jpeg, or as multipart in the field `photo`")
