"""The project as a whole: nobody else owns its package names, and what ships has no torch."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["api", "worker", "shared", "models"])
def test_no_other_distribution_owns_our_names(name: str) -> None:
    assert set(packages_distributions().get(name, ["regain"])) == {"regain"}
    module = __import__(name)
    assert Path(str(module.__file__)).is_relative_to(ROOT)


def test_what_ships_names_no_training_library() -> None:
    pinned = re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert {"onnxruntime", "numpy", "pillow"} <= set(pinned)
    assert not {"torch", "onnx", "tinygrad", "pytest"} & set(pinned)


def test_restoring_loads_no_training_library() -> None:
    """Import-linter reads imports; this sees what is really loaded."""
    script = (
        "import sys, worker.cli.main; from worker.cli.commands import Commands; assert list(Commands().values());"
        "print([m for m in ('torch', 'onnx', 'tinygrad') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_command_pays_for_its_own_libraries_alone() -> None:
    """What a stranger to it loads is most of a short command's time: restoring needs no service, a key no picture."""
    loads = "import sys, worker.cli.main; from worker.cli.commands import Commands; Commands()[{!r}];"
    asks = "print([m for m in {} if m in sys.modules])"
    for name, strangers in {
        "restore": ("celery", "redis", "sqlalchemy", "alembic", "boto3", "requests", "flask"),
        "audit": ("cv2", "numpy", "PIL", "onnxruntime", "sqlalchemy", "boto3", "requests"),
        "keys": ("cv2", "PIL", "onnxruntime", "alembic", "boto3", "celery"),
        "submit": ("cv2", "PIL", "onnxruntime", "sqlalchemy", "boto3", "celery"),
    }.items():
        script = (loads + asks).format(name, strangers)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
        assert (name, done.stdout.strip()) == (name, "[]")
