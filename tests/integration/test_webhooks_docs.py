"""What receivers are told to do works: the manual's snippets, and `regain webhooks listen`."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from shared.events import SUBSCRIBABLE
from shared.settings import ServiceSettings
from shared.signing import new_secret, signed_headers

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
EVENT = {"type": "job.failed", "data": {"id": "0193", "status": "dead", "error": {"code": "worker_lost"}, "ü": "ö"}}
BODY = json.dumps(EVENT, ensure_ascii=False).encode()
SECRET = new_secret()
OTHER = new_secret()


def snippet(language: str) -> str:
    """The manual's code that verifies."""
    (code,) = (found for found in re.findall(rf"```{language}\n(.*?)```", MANUAL, re.DOTALL) if "receive" in found)
    return str(code)


def cases() -> list[tuple[str, dict[str, str], bytes, bool]]:
    """Name, headers, body, and whether it is to be believed."""
    now = time.time()
    good = signed_headers("msg_1", BODY, (SECRET,), now)
    return [
        ("good", good, BODY, True),
        ("two secrets", signed_headers("msg_1", BODY, (OTHER, SECRET), now), BODY, True),
        ("another secret", signed_headers("msg_1", BODY, (OTHER,), now), BODY, False),
        ("another body", good, BODY.replace(b"dead", b"live"), False),
        ("another id", {**good, "webhook-id": "msg_2"}, BODY, False),
        ("old", signed_headers("msg_1", BODY, (SECRET,), now - 400), BODY, False),
        ("from the future", signed_headers("msg_1", BODY, (SECRET,), now + 400), BODY, False),
        ("no signature", {name: value for name, value in good.items() if name != "webhook-signature"}, BODY, False),
        ("nonsense", {**good, "webhook-signature": "v1"}, BODY, False),
    ]


def test_python_receivers() -> None:
    names: dict[str, Any] = {}
    exec(snippet("python"), names)  # what the manual says is what is tested
    for name, headers, body, believed in cases():
        assert names["receive"](SECRET, headers, body) == (EVENT if believed else None), name


def test_javascript_receivers(tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed: make system-deps")
    script = tmp_path / "receiver.mjs"
    harness = """
        const [, , cases, secret] = process.argv;
        for (const [headers, body] of JSON.parse(cases)) console.log(JSON.stringify(receive(secret, headers, body)));
    """
    script.write_text(snippet("js") + harness, encoding="utf-8")
    given = cases()
    argument = json.dumps([[headers, body.decode()] for _, headers, body, _ in given])
    done = subprocess.run(["node", str(script), argument, SECRET], capture_output=True, text=True, check=True)
    answers = [json.loads(answer) for answer in done.stdout.splitlines()]
    assert answers == [EVENT if believed else None for *_, believed in given]


def test_listen() -> None:
    command = [sys.executable, "-m", "worker.cli.main", "webhooks", "listen", "--port", "0", "--secret", SECRET]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[2]
            for name, headers, body, believed in cases():
                answer = requests.post(url, body, headers=headers, timeout=10)
                assert answer.status_code == (204 if believed else 401), name
                said = process.stdout.readline()
                assert ("job.failed  0193  dead  worker_lost  msg_1" in said) == believed, said
                assert ("again" in said) == (name == "two secrets"), said
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_listen_refuses_what_is_no_secret() -> None:
    command = [sys.executable, "-m", "worker.cli.main", "webhooks", "listen", "--secret", "hunter2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    assert "copy it as it was shown" in done.stderr


def test_the_manual_names_every_event_and_default() -> None:
    assert set(re.findall(r"`((?:job|batch)\.\w+)`", MANUAL)) == {kind.value for kind in SUBSCRIBABLE}
    rows = dict(re.findall(r"^\| `REGAIN_(WEBHOOK_\w+)` \| `?(.+?)`? \|", MANUAL, re.MULTILINE))
    fields = ServiceSettings.model_fields
    known = {name: field.default for name, field in fields.items() if name.startswith("webhook_")}
    assert {name.lower(): json.loads(value) for name, value in rows.items()} == {
        name: list(value) if isinstance(value, tuple) else value for name, value in known.items()
    }
