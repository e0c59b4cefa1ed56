"""Traces from real processes, as a collector gets them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from shared.jobs import JobStatus
from tests.golden.recipe import photo
from tests.services.collector import Collector, collector
from tests.services.stack import ROOT, Stack, wait_for


@pytest.fixture
def traced(tmp_path: Path) -> Iterator[tuple[Stack, Collector]]:
    """A stack whose processes send their spans to a collector."""
    with collector() as found:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": found.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        with Stack(tmp_path, environment) as stack:
            yield stack, found


def test_a_request_and_its_job_are_one_trace(traced: tuple[Stack, Collector]) -> None:
    stack, found = traced
    stack.start_worker()
    url, headers = stack.start_api(), {"Authorization": f"Bearer {stack.api_key()}"}
    assert requests.get(f"{url}/healthz", timeout=10).ok
    answers = [
        requests.post(f"{url}/v1/jobs", headers=headers, files={"photo": (name, photo())}, timeout=30)
        for name in ("a.jpg", "b.jpg")
    ]
    ids = [answer.json()["id"] for answer in answers]
    assert {job.status for job in stack.wait_final(ids, 40)} == {JobStatus.SUCCEEDED}
    wait_for(lambda: len(found.named("regain-worker", "run/regain.restore")) == 2, 20)
    wait_for(lambda: len(found.named("regain-api", "POST /v1/jobs")) == 2, 20)
    asked = {span.id: span for span in found.named("regain-api", "POST /v1/jobs")}
    done = found.named("regain-worker", "run/regain.restore")
    assert len({span.trace for span in done}) == 2
    assert {span.parent for span in done} == set(asked)
    assert all(asked[span.parent].trace == span.trace for span in done)
    assert {span.attributes["messaging.message.id"] for span in done} == set(ids)
    assert not found.named("regain-api", "GET /healthz")


def test_a_message_without_a_trace_is_a_trace_of_its_own(traced: tuple[Stack, Collector]) -> None:
    stack, found = traced
    stack.start_control()
    stack.start_worker()
    stack.kill_broker()  # so that the dispatcher sends it, out of any request
    ids = stack.submit("plain")
    stack.start_broker()
    assert [job.status for job in stack.wait_final(ids, 60)] == [JobStatus.SUCCEEDED]
    wait_for(lambda: found.named("regain-worker", "run/regain.restore"), 20)
    (span,) = found.named("regain-worker", "run/regain.restore")
    assert span.parent == ""
    assert span.attributes["messaging.message.id"] == ids[0]


@pytest.mark.parametrize(
    ("installed", "endpoint", "warned"), [(False, True, True), (False, False, False), (True, False, False)]
)
def test_the_api_starts_without_the_extra_and_says_what_is_missing(
    installed: bool, endpoint: bool, warned: bool, tmp_path: Path
) -> None:
    hidden = "" if installed else "import sys; sys.modules['opentelemetry'] = None; "
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "REGAIN_DATA_DIR": str(tmp_path)}
    if endpoint:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:9"
    command = f"{hidden}from api.wsgi import app; print(app.test_client().get('/healthz').status_code)"
    done = subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stdout.strip() == "200", done.stderr
    assert ("requirements/otel.txt" in done.stderr) == warned
