"""What watches the service: rules, dashboard and compose services, held against what the service really tells."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from infra.compose import ROOT, Service, read_compose, read_env
from tests.golden.recipe import photo
from tests.services.api import Api
from tests.services.stack import Stack, wait_for
from worker.embedded import free_port

PROMETHEUS = ROOT / "infra" / "prometheus"
GRAFANA = ROOT / "infra" / "grafana"
_SELECTED = re.compile(r"(regain_\w+)(?:\{([^}]*)\})?")


def asked() -> dict[str, set[tuple[str, str]]]:
    """Metric -> the labels by which rules and dashboard select."""
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]
    board = json.loads((GRAFANA / "dashboards" / "regain.json").read_text())
    texts = [rule["expr"] for rule in rules] + [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    found: dict[str, set[tuple[str, str]]] = {}
    for name, labels in (match for text in texts for match in _SELECTED.findall(text)):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="([^"]*)"', labels))
    return found


def test_every_metric_that_is_asked_for_is_told(small_api: Api) -> None:
    text = small_api.get("/metrics").text  # of a service to which nothing has happened yet
    told = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert len(asked()) > 10
    for name, labels in asked().items():
        assert name in told, name
        for label, value in labels:
            assert re.search(rf'^{name}\{{.*{label}="{value}"', text, re.MULTILINE), (name, label, value)


def test_the_age_of_the_queue_and_our_faults_are_told(small_api: Api) -> None:
    small_api.submit(name="waits.jpg")
    folder = small_api.settings.data_dir / "objects" / "temporary"
    folder.rmdir()
    folder.touch()  # no photo can be stored now
    assert small_api.submit(photo() + b" ").status_code == 503
    folder.unlink()
    folder.mkdir()
    assert small_api.client.get("/readyz").status_code == 503  # its verdict, no fault
    text = small_api.get("/metrics").text
    assert 'regain_server_errors_total{status="503"} 0.0' in text  # this request is the first that went well
    text = small_api.get("/metrics").text
    assert 'regain_server_errors_total{status="503"} 1.0' in text
    assert re.search(r'regain_queue_age_seconds\{queue="interactive"\} [0-9.e-]+', text)
    assert 'regain_queue_age_seconds{queue="interactive"} 0.0\n' not in text
    assert 'regain_queue_age_seconds{queue="bulk"} 0.0' in text


@pytest.mark.parametrize(
    "arguments", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")], ids=lambda words: words[0]
)
def test_rules_please_promtool(arguments: tuple[str, ...]) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: make system-deps")
    done = subprocess.run(["promtool", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_a_running_service(tmp_path: Path) -> None:
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: make system-deps")
    port = free_port()
    with Stack(tmp_path) as stack:
        address = stack.start_api().removeprefix("http://")
        key = tmp_path / "metrics-key"
        key.write_text(stack.api_key())
        config = (PROMETHEUS / "prometheus.yml").read_text().replace("api:8000", address).replace("15s", "1s")
        (tmp_path / "prometheus.yml").write_text(config.replace("/tmp/metrics-key", str(key)))
        shutil.copy(PROMETHEUS / "alerts.yml", tmp_path)
        command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb"]
        with subprocess.Popen(
            [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=stack.log, stderr=stack.log
        ) as server:
            try:
                wait_for(lambda: asked_of(port, "query?query=up", "result") == ["1"], 40)
                assert asked_of(port, "query?query=regain_queue_load", "result") == ["0", "0"]
                wait_for(lambda: set(rule_health(port)) == {"ok"}, 20)
            finally:
                server.terminate()


def asked_of(port: int, path: str, part: str) -> list[str]:
    """The values that Prometheus answers with; none while it does not."""
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=5)
        return [found["value"][1] for found in answer.json()["data"][part]]
    except (requests.RequestException, ValueError, KeyError):
        return []


def rule_health(port: int) -> list[str]:
    """How Prometheus got on with each rule."""
    groups = requests.get(f"http://127.0.0.1:{port}/api/v1/rules", timeout=5).json()["data"]["groups"]
    return [rule["health"] for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def watchers() -> dict[str, Service]:
    """The services of the profile."""
    env = {name: value or "secret" for name, value in read_env(ROOT / ".env.example").items()}
    return read_compose(ROOT / "docker-compose.yml", env, "monitoring")


def test_watchers_are_opt_in_pinned_bounded_and_local(watchers: dict[str, Service]) -> None:
    assert set(watchers) == {"prometheus", "grafana"}
    for name, service in watchers.items():
        assert re.search(r":v?\d+\.\d+\.\d+$", service.raw["image"]), name
        assert {"cpus", "memory"} <= service.raw["deploy"]["resources"]["limits"].keys()
        assert service.raw["read_only"] is True
        assert service.raw["cap_drop"] == ["ALL"]
        assert service.healthcheck
        assert all(port.startswith("127.0.0.1:") for port in service.raw["ports"])
        assert "secret" not in " ".join(service.command)
        for volume in service.raw["volumes"]:
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).is_dir(), volume


def test_watchers_find_each_other(watchers: dict[str, Service]) -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": ["api:8000"]}]
    assert config["scrape_configs"][0]["authorization"]["credentials_file"] in watchers["prometheus"].command[0]
    (source,) = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    board = json.loads((GRAFANA / "dashboards" / "regain.json").read_text())
    assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/regain.yml").read_text())["providers"]
    mounted = dict(volume.split(":")[:2] for volume in watchers["grafana"].raw["volumes"])
    assert mounted["./infra/grafana/dashboards"] == provider["options"]["path"]
