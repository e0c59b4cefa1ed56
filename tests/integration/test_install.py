"""Installing the authors' weights, against a loopback server and a checkpoint of the same shape."""

import hashlib
import pickle
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from models.gmnet import GMNet, initialise
from shared.options import Options
from shared.registry import ModelError, find_model, known_models
from tests.golden.recipe import photo
from worker.installer import Source, install, sources
from worker.pipeline import Outcome, restore
from worker.predictors import make_predictor


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GMNet checkpoint with the authors' names, narrow so that the export is quick."""
    torch.manual_seed(1)
    net = GMNet(features=8, blocks=1)
    initialise(net, 0.3, 0.5)
    path = tmp_path_factory.mktemp("checkpoint") / "G.pth"
    torch.save(net.state_dict(), path)
    return path


def source_of(path: Path, url: str = "http://127.0.0.1:9/none") -> Source:
    """What the manifest would say of this file."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source("gmnet-test", url, digest, 2.25, 0.5, "MIT", "a test")


def ignore(done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


class Served:
    """A loopback server for one file; `cut` bytes are promised and not sent."""

    def __init__(self, data: bytes, cut: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/G.pth" else 404)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) - cut])

            def log_message(self, *args: object) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path: str = "/G.pth") -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}{path}"


@pytest.fixture
def served(checkpoint: Path) -> Iterator[Served]:
    """The checkpoint, whole."""
    running = Served(checkpoint.read_bytes(), 0)
    yield running
    running.server.shutdown()
    running.server.server_close()


def untouched(folder: Path) -> bool:
    """Nothing registered, nothing left behind."""
    return known_models(folder).keys() == known_models(folder / "none").keys() and not list(folder.glob("*"))


def test_the_shipped_manifest_names_the_authors_files() -> None:
    known = sources()
    assert known["gmnet-realworld"].sha256.startswith("83bf27bc")
    assert known["gmnet-synthetic"].sha256.startswith("887c940d")
    assert known["gmnet-realworld"].peak == pytest.approx(np.log2(5))
    assert (known["gmnet-realworld"].scale, known["gmnet-synthetic"].scale) == (0.5, 1.0)
    assert known["gmnet-synthetic"].peak == pytest.approx(3)


def test_from_the_network(served: Served, checkpoint: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    install(source_of(checkpoint, served.url()), tmp_path, None, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (checkpoint.stat().st_size,) * 2
    model = find_model("gmnet-test", tmp_path)
    assert (model.peak, model.scale) == (2.25, 0.5)
    predictor = make_predictor(model, threads=1)
    assert predictor.input_size(4000, 3000) == (2000, 1500)
    assert restore(photo(), predictor, Options()).outcome is Outcome.RESTORED


def test_from_a_file_and_again(checkpoint: Path, tmp_path: Path) -> None:
    for _ in range(2):
        install(source_of(checkpoint), tmp_path, checkpoint, ignore)
    assert "gmnet-test" in known_models(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gmnet-test", "manifest.toml"]


def test_a_corrupted_file(checkpoint: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pth"
    data = bytearray(checkpoint.read_bytes())
    data[len(data) // 2] ^= 1
    bad.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        install(source_of(checkpoint), tmp_path / "models", bad, ignore)
    assert caught.value.code == "wrong_checkpoint"
    assert untouched(tmp_path / "models")


class Bomb:
    """Unpickling this would write a file."""

    def __init__(self, target: str) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.target, "w")


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_bomb_with_the_right_hash(how: str, tmp_path: Path) -> None:
    """Even a file that the manifest trusts runs no code: weights alone are loaded."""
    mark, bomb = tmp_path / "boom", tmp_path / "bomb.pth"
    if how == "torch":
        torch.save({"down1.conv.0.weight": Bomb(str(mark))}, bomb)
    else:
        bomb.write_bytes(pickle.dumps(Bomb(str(mark))))
    with pytest.raises(ModelError) as caught:
        install(source_of(bomb), tmp_path / "models", bomb, ignore)
    assert caught.value.code == "export_failed"
    assert not mark.exists()
    assert untouched(tmp_path / "models")


def test_a_checkpoint_of_something_else(tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(3)}, other)
    with pytest.raises(ModelError) as caught:
        install(source_of(other), tmp_path / "models", other, ignore)
    assert caught.value.code == "export_failed"
    assert untouched(tmp_path / "models")


def test_a_truncated_download(checkpoint: Path, tmp_path: Path) -> None:
    running = Served(checkpoint.read_bytes(), 1000)
    with pytest.raises(ModelError) as caught:
        install(source_of(checkpoint, running.url()), tmp_path, None, ignore)
    running.server.shutdown()
    running.server.server_close()
    assert caught.value.code in {"truncated_download", "no_network"}
    assert untouched(tmp_path)


@pytest.mark.parametrize("path", ["/missing", None])
def test_no_network(path: str | None, served: Served, checkpoint: Path, tmp_path: Path) -> None:
    url = served.url(path) if path else "http://127.0.0.1:9/G.pth"
    with pytest.raises(ModelError, match="--from") as caught:
        install(source_of(checkpoint, url), tmp_path, None, ignore)
    assert caught.value.code == "no_network"
    assert untouched(tmp_path)


def test_a_missing_training_extra(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where only the run-time dependencies are installed: torch cannot be imported."""
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        install(source_of(checkpoint), tmp_path / "models", checkpoint, ignore)
    assert caught.value.code == "no_training_extra"
    assert untouched(tmp_path / "models")


def test_a_model_whose_file_was_changed_does_not_load(checkpoint: Path, tmp_path: Path) -> None:
    folder = install(source_of(checkpoint), tmp_path, checkpoint, ignore)
    with (folder / "local.onnx").open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelError) as caught:
        make_predictor(find_model("gmnet-test", tmp_path))
    assert caught.value.code == "model_changed"
