"""Compose file and images, as far as they can be judged without an engine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.compose import ROOT, ComposeError, Service, image_command, read_compose, read_env
from infra.run_compose_processes import in_order
from shared.settings import ServiceSettings
from tests.golden.recipe import photo

COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILES = sorted((ROOT / "infra").glob("*.Dockerfile"))
JOBS = {"migrate", "bucket"}  # they end, and restart only if they failed
OURS = {"api", "worker", "webhooks", "control", *JOBS}


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What infra/make-env.sh writes."""
    path = tmp_path_factory.mktemp("env") / ".env"
    made = subprocess.run([ROOT / "infra" / "make-env.sh"], check=True, capture_output=True, text=True)
    path.write_text(made.stdout)
    return read_env(path)


@pytest.fixture(scope="module")
def services(env: dict[str, str]) -> dict[str, Service]:
    """The compose file's services with that .env."""
    return read_compose(COMPOSE, env)


def test_env_example_is_what_the_compose_file_reads(env: dict[str, str]) -> None:
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", COMPOSE.read_text()))
    assert used == set(env)
    secrets = [env[name] for name, value in read_env(ROOT / ".env.example").items() if not value]
    assert len(secrets) == len(set(secrets)) == 6
    assert all(re.fullmatch("[0-9a-f]{48}", secret) for secret in secrets)


def test_a_missing_secret_is_an_error_that_says_what_to_do(env: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="VALKEY_PASSWORD is not set: run infra/make-env"):
        read_compose(COMPOSE, {**env, "VALKEY_PASSWORD": ""})
    with pytest.raises(ComposeError, match="no such file; make it with"):
        read_env(tmp_path / ".env")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("$$HOME $${A}", "$HOME ${A}"),
        ("${A}:${B:-other}:${A:-x}", "1:other:1"),
        ("${B}", ""),
        ("${A:?say why}", "1"),
        ("${B:-http://host:1/}", "http://host:1/"),
    ],
)
def test_variables_are_filled_in_as_compose_does(text: str, filled: str, tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    path.write_text(yaml.safe_dump({"services": {"one": {"environment": {"X": text}}}}))
    assert read_compose(path, {"A": "1"})["one"].environment == {"X": filled}


def test_every_image_is_pinned(services: dict[str, Service]) -> None:
    froms = [line.split()[1] for file in DOCKERFILES for line in file.read_text().splitlines() if line[:5] == "FROM "]
    images = [service.raw["image"] for service in services.values()]
    for image in [*froms, *images]:
        assert re.search(r":\d+\.\d+[\w.-]*$", image), image


def test_every_service_is_bounded_watched_and_confined(services: dict[str, Service]) -> None:
    for name, service in services.items():
        limits = service.raw["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys(), name
        assert service.raw["restart"] == ("on-failure" if name in JOBS else "unless-stopped"), name
        assert bool(service.healthcheck) != (name in JOBS), name
        if name in OURS:
            assert service.raw["read_only"] is True, name
            assert service.raw["cap_drop"] == ["ALL"], name
            assert "user" not in service.raw, name
    published = {name: service.raw["ports"] for name, service in services.items() if "ports" in service.raw}
    assert published == {"api": ["127.0.0.1:8000:8000"], "seaweedfs": ["127.0.0.1:8333:8333"]}


def test_all_wait_for_what_they_need(services: dict[str, Service]) -> None:
    order = [service.name for service in in_order(services)]
    assert order.index("postgres") < order.index("migrate") < order.index("api")
    assert order.index("seaweedfs") < order.index("bucket") < order.index("worker")
    for service in services.values():
        for other, condition in service.waits_for.items():
            wanted = "service_completed_successfully" if other in JOBS else "service_healthy"
            assert condition == wanted, (service.name, other)


@pytest.mark.parametrize("name", sorted(OURS))
def test_settings_are_ones_that_the_code_reads(
    name: str, services: dict[str, Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {f"REGAIN_{field}".upper() for field in ServiceSettings.model_fields}
    found = services[name].environment
    assert found.keys() <= known
    for variable, value in found.items():
        monkeypatch.setenv(variable, value)
    settings = ServiceSettings()
    assert settings.sql_url().startswith("postgresql://regain:")
    assert settings.s3_endpoint == "http://seaweedfs:8333"
    assert settings.redis_url is not None
    assert len(settings.signing_secret()) >= 32


def test_no_secret_is_on_a_command_line(services: dict[str, Service], env: dict[str, str]) -> None:
    secrets = [env[name] for name, value in read_env(ROOT / ".env.example").items() if not value]
    for service in services.values():
        words = " ".join([*service.command, *service.healthcheck, str(service.raw.get("entrypoint"))])
        assert not any(secret in words for secret in secrets), service.name


def test_a_worker_is_replaced_before_its_container_is_killed(services: dict[str, Service]) -> None:
    limit = services["worker"].raw["deploy"]["resources"]["limits"]
    assert limit["memory"] == "2g"
    assert int(services["worker"].environment["REGAIN_MAX_MEMORY_MB"]) <= 0.8 * 2048
    assert services["worker"].environment["REGAIN_THREADS"] == limit["cpus"].removesuffix(".0")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_images_are_small_and_without_root(file: Path) -> None:
    text = file.read_text()
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    users = re.findall(r"^USER (\S+)", stages[-1], re.MULTILINE)
    assert users == ["10001:10001"]
    assert "--require-hashes" in stages[0]
    assert "requirements/runtime.txt" in stages[0]
    assert not re.search(r"torch|train\.txt|dev\.txt|apt-get|gcc|\bADD\b", text)
    assert "pip" not in stages[-1]
    assert image_command(file)[0] in {"gunicorn", "regain"}


def test_dockerfiles_please_hadolint() -> None:
    binary = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if binary is None:
        pytest.skip("hadolint is not installed: make setup")
    done = subprocess.run([binary, *DOCKERFILES], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("image", "imports"),
    [
        ("api", "import api.wsgi, infra.healthcheck"),
        (
            "worker",
            "import worker.cli.main, worker.tasks, worker.control, infra.healthcheck, infra.make_bucket\n"
            "from worker.cli.commands import Commands\n"
            "assert list(Commands().values())",
        ),
    ],
)
def test_an_image_holds_what_its_processes_import(image: str, imports: str, tmp_path: Path) -> None:
    stage = staged(ROOT / "infra" / f"{image}.Dockerfile", tmp_path / "app")
    script = f"""
import sys
{imports}
roots = {{"api", "worker", "shared", "models", "infra"}}
ours = [m for name, m in sys.modules.items() if name.split(".")[0] in roots and getattr(m, "__file__", None)]
print(sorted(m.__file__ for m in ours if not m.__file__.startswith({str(stage)!r})))
"""
    done = run_in(stage, tmp_path, "-c", script)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert (stage / "worker").exists() == (image == "worker")
    assert not (stage / "models" / "training").exists()
    assert not list(stage.rglob("*.npz"))


def test_the_worker_image_restores_a_photo(tmp_path: Path) -> None:
    stage = staged(ROOT / "infra" / "worker.Dockerfile", tmp_path / "app")
    (tmp_path / "photo.jpg").write_bytes(photo())
    files = [str(tmp_path / "photo.jpg"), "-o", str(tmp_path / "out.jpg")]
    done = run_in(stage, tmp_path, "-m", "worker.cli.main", "restore", *files)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.jpg").is_file()


def run_in(stage: Path, data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python as the image starts it."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=stage,
        env={
            **os.environ,
            "PYTHONPATH": str(stage),
            "REGAIN_DATA_DIR": str(data / "data"),
            "REGAIN_REDIS_URL": "redis://127.0.0.1:9/0",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def staged(dockerfile: Path, folder: Path) -> Path:
    """The folder that an image's COPY lines make of what .dockerignore lets through."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    for line in dockerfile.read_text().splitlines():
        if not line.startswith("COPY ") or "--from=" in line or "requirements/" in line:
            continue
        *sources, target = [word for word in line.split()[1:] if not word.startswith("--")]
        for source in sources:
            _copy(ROOT / source, folder / target.lstrip("/"), rules, into=target.endswith("/"))
    return folder


def _copy(source: Path, target: Path, rules: list[str], *, into: bool) -> None:
    files = [path for path in source.rglob("*") if path.is_file()] if source.is_dir() else [source]
    for file in files:
        if _sent(file.relative_to(ROOT), rules):
            place = target / file.relative_to(source) if source.is_dir() else target / file.name if into else target
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)


def _sent(path: Path, rules: list[str]) -> bool:
    """Whether .dockerignore lets a file through: the last rule that fits it or a folder above it decides."""
    names = [path.as_posix(), *(above.as_posix() for above in path.parents)]
    sent = True
    for rule in rules:
        pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, name) for name in names):
            sent = rule.startswith("!")
    return sent


def test_the_file_is_plain_yaml_without_doubled_keys() -> None:
    class Strict(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
        """Refuses a key that is there twice, which YAML would silently drop."""

    def mapping(loader: Any, node: Any, deep: bool = False) -> Any:
        names = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(names) == len(set(names)), f"a key is there twice in {names}"
        return yaml.SafeLoader.construct_mapping(loader, node, deep)

    Strict.add_constructor("tag:yaml.org,2002:map", mapping)
    assert yaml.load(COMPOSE.read_text(), Strict)["services"].keys() >= OURS
