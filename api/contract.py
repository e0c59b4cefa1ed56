"""What the OpenAPI document says that cannot be read off a function's arguments."""

from collections.abc import Mapping
from typing import Any, Final

from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.schema import Schema
from pydantic import BaseModel

from api.answers import ProblemView
from api.problems import CONTENT_TYPE

_REFERENCE: Final = "#/components/schemas/"
_TEXT: Final = {"type": "string"}
PROBLEM: Final = {
    "description": "A refusal (RFC 9457); `code` is in the table at /problems",
    "content": {CONTENT_TYPE: {"schema": {"$ref": f"{_REFERENCE}{ProblemView.__name__}"}}},
}
# Every answer that is not listed at its call has this shape.
REFUSALS: Final[dict[str, Any]] = {"422": PROBLEM, "default": PROBLEM}
KEY: Final[list[dict[str, list[Any]]]] = [{"key": []}]


def group(name: str, prefix: str = "/v1", *, key: bool = True) -> APIBlueprint:
    """The calls of one resource."""
    made = APIBlueprint(
        name,
        __name__,
        url_prefix=prefix or None,
        abp_security=KEY if key else None,
        abp_responses={status: dict(answer) for status, answer in REFUSALS.items()},
    )
    register(made, ProblemView)
    return made


def register(blueprint: APIBlueprint, model: type[BaseModel]) -> dict[str, str]:
    """Put a model and what it is made of into the document; how to refer to it."""
    schema = model.model_json_schema(ref_template=f"{_REFERENCE}{{model}}")
    for name, part in schema.pop("$defs", {}).items():
        blueprint.components_schemas[name] = Schema(**part)
    blueprint.components_schemas[model.__name__] = Schema(**schema)
    return {"$ref": f"{_REFERENCE}{model.__name__}"}


def body(content: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A request body of one of several content types, by its schemas."""
    return {
        "requestBody": {"required": True, "content": {kind: {"schema": schema} for kind, schema in content.items()}}
    }


def headers(**described: str) -> list[dict[str, Any]]:
    """Request headers that a call looks at, all of them optional."""
    return [
        {"name": name.replace("_", "-"), "in": "header", "required": False, "description": text, "schema": _TEXT}
        for name, text in described.items()
    ]


def file(description: str, *kinds: str) -> dict[str, Any]:
    """An answer that is a file."""
    schema = {"type": "string", "format": "binary"}
    return {"description": description, "content": {kind: {"schema": schema} for kind in kinds}}


def empty(description: str) -> dict[str, Any]:
    """An answer without a body."""
    return {"description": description}
