"""docker-compose.yml as values: read, its .env filled in, each service's part picked out."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[1]
# $$, ${NAME}, ${NAME:-default}, ${NAME:?what to do}
_VARIABLE: Final = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\})")


class ComposeError(Exception):
    """The compose file or its .env cannot be used."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the file; `waits_for`: services by the condition that they must meet first."""

    name: str
    command: tuple[str, ...]  # empty: the image's own
    environment: Mapping[str, str]
    healthcheck: tuple[str, ...]  # empty: none
    waits_for: Mapping[str, str]
    raw: Mapping[str, Any]


def read_env(path: Path) -> dict[str, str]:
    """The variables of a .env file.

    Raises:
        ComposeError: there is no such file.
    """
    if not path.is_file():
        raise ComposeError(f"{path}: no such file; make it with infra/make-env.sh > {path.name}")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_compose(path: Path, env: Mapping[str, str], profile: str | None = None) -> dict[str, Service]:
    """Every service of the file that starts without being asked for, or with `profile` that profile's; `env` filled in.

    Raises:
        ComposeError: a variable that must be set is not.
    """
    document = _filled(yaml.safe_load(path.read_text(encoding="utf-8")), env)
    profiles = {name: part.get("profiles", [None]) for name, part in document["services"].items()}
    return {name: _service(name, part) for name, part in document["services"].items() if profile in profiles[name]}


def image_command(dockerfile: Path) -> tuple[str, ...]:
    """The command that a Dockerfile gives its image.

    Raises:
        ComposeError: it gives none as JSON.
    """
    text = dockerfile.read_text(encoding="utf-8").replace("\\\n", " ")
    found = re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)
    if not found:
        raise ComposeError(f"{dockerfile}: has no CMD as a JSON list")
    return tuple(json.loads(found[-1]))


def _service(name: str, part: Mapping[str, Any]) -> Service:
    test = part.get("healthcheck", {}).get("test", [])
    return Service(
        name=name,
        command=tuple(part.get("command", ())),
        environment={key: str(value) for key, value in part.get("environment", {}).items()},
        healthcheck=tuple(test[1:]),
        waits_for={other: wish["condition"] for other, wish in part.get("depends_on", {}).items()},
        raw=part,
    )


def _filled(value: Any, env: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(part, env) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part, env) for part in value]
    return _VARIABLE.sub(lambda match: _one(match, env), value) if isinstance(value, str) else value


def _one(match: re.Match[str], env: Mapping[str, str]) -> str:
    if match["dollar"]:
        return "$"
    found = env.get(match["name"], "")
    if found or match["kind"] is None:
        return found
    if match["kind"] == "?":
        raise ComposeError(f"{match['name']} is not set: {match['rest']}")
    return str(match["rest"])
