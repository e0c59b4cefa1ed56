"""The API against its own OpenAPI document: whatever is asked, no fault of ours and nothing undocumented.

CONTRACT_EXAMPLES sets how many requests are made; `make contract` makes 2,000.
"""

import os
from collections.abc import Iterator
from itertools import cycle
from random import uniform
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.outbound import FetchError
from tests.services.api import Api, close, make_api

EXAMPLES: Final = int(os.environ.get("CONTRACT_EXAMPLES", "120"))
CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def quick_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API that does not wait, does not count, and reaches no network."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("api.waiting.MAX_SECONDS", "api.events.LONGEST", "api.events.HEARTBEAT"):
            patch.setattr(name, 0.01)
        patch.setattr("shared.sources.fetch", _no_network)
        folder = tmp_path_factory.mktemp("contract")
        made = make_api(folder / "data", rate_limit="1000000/minute", models_dir=folder / "models")
        yield made
        close(made)


def _no_network(*_: Any, **__: Any) -> None:
    raise FetchError("unreachable", "no network here")


def test_nothing_breaks_and_nothing_is_undocumented(quick_api: Api) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", quick_api.client.application)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 15
    for operation in operations:
        _try(quick_api, operation, max(3, EXAMPLES // len(operations)))


def _try(api: Api, operation: Any, examples: int) -> None:
    known = cycle(_jobs(api))
    strategies = [operation.as_strategy(generation_mode=mode) for mode in GenerationMode]

    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=st.one_of(strategies), real=st.booleans())
    def run(case: Any, real: bool) -> None:
        if real and "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = next(known)  # else nearly all of them would be unknown
        response = case.call(headers=api.headers)
        # `/readyz` says with 503 what is missing here, and its document says so.
        checks = [check for check in CHECKS if check is not not_a_server_error or operation.path != "/readyz"]
        case.validate_response(response, checks=checks)

    run()


def _jobs(api: Api) -> list[str]:
    """A job in each state; some go while they are tried."""
    # Each with a strength of its own, or a stored result would answer it.
    ids = [str(api.submit(options=f'{{"strength": {uniform(0.5, 1.5)}}}').json["id"]) for _ in range(5)]
    api.finish(ids[1])
    api.fail(ids[2])
    api.claim(ids[3])
    api.call("POST", f"/v1/jobs/{ids[4]}/cancel")
    return ids
