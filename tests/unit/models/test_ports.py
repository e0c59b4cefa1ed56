"""GMNet's ports: the three traps, seams, and every port against torch, on small random networks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models.export import ConstantPool, export_gmnet, load_weights, widths
from models.gmnet import THUMBNAIL, GMNet, initialise
from models.tinygrad_backend import pooling_rows
from models.verify import LEAST, verify
from shared.options import Options
from shared.registry import Model, ModelFile, ModelKind, find_model, read_manifest, sha256_of, shipped_folder
from shared.settings import Backend
from worker.pipeline import restore
from worker.predictors import make_predictor
from worker.predictors.engine import GraphEngine, Planes
from worker.predictors.gmnet import HALO, GMNetPredictor, spans

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    """A narrow network with lively weights in every layer."""
    torch.manual_seed(3)
    net = GMNet(features=8, blocks=2)
    initialise(net, mean_map=0.3, mean_qmax=0.5)
    for parameter in net.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return net.state_dict()


@pytest.fixture(scope="module")
def predictor(state: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> GMNetPredictor:
    """That network in ONNX Runtime."""
    paths = export_gmnet(state, tmp_path_factory.mktemp("model"))
    files = {path.stem: ModelFile(path, sha256_of(path)) for path in paths}
    model = Model("test", ModelKind.GMNET, files, 3.0, 512, None, "", "", default=False)
    return GMNetPredictor(model, GraphEngine(model, 1), None)


def picture(height: int, width: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Noise with structure, (height, width, 3)."""
    rng = np.random.default_rng(height * width)
    smooth = np.kron(rng.random((height // 8 + 1, width // 8 + 1, 3)), np.ones((8, 8, 1)))[:height, :width]
    return np.asarray(smooth * 230 + rng.random((height, width, 3)) * 25, np.uint8)


@pytest.mark.parametrize("size", [1, 3])
def test_trap_pooling_bins_overlap(size: int) -> None:
    """64 does not divide by 3: adaptive pooling takes bins 0..21, 21..42 and 42..63."""
    x = torch.randn(1, 5, THUMBNAIL // 4, THUMBNAIL // 4)
    expected = F.adaptive_avg_pool2d(x, size)
    assert torch.allclose(ConstantPool(size)(x), expected, atol=1e-6)
    rows = torch.from_numpy(pooling_rows(size))
    assert torch.allclose(rows @ x @ rows.T, expected, atol=1e-6)


def test_trap_pixel_shuffle_is_channel_major(predictor: GMNetPredictor) -> None:
    """CRD, not DCR: the graph must not be exported as a DepthToSpace of the other order."""
    import onnx  # noqa: PLC0415

    path = Path(predictor._engine._local._session._model_path)  # type: ignore[attr-defined]
    modes = [
        attribute.s
        for node in onnx.load(path).graph.node
        if node.op_type == "DepthToSpace"
        for attribute in node.attribute
        if attribute.name == "mode"
    ]
    assert modes == [b"CRD"]


def test_trap_the_dynamic_kernel_is_realised(state: dict[str, torch.Tensor], predictor: GMNetPredictor) -> None:
    """Another thumbnail means another kernel: what the first picture gave must not be baked in."""
    net = GMNet(*widths(state)).eval()
    net.load_state_dict(state)
    outputs = []
    for seed in (1, 2):
        thumbnail = np.random.default_rng(seed).random((1, 3, THUMBNAIL, THUMBNAIL)).astype(np.float32)
        image = np.random.default_rng(9).random((1, 3, 32, 48)).astype(np.float32)
        with torch.no_grad():
            expected, _ = net(torch.from_numpy(image), torch.from_numpy(thumbnail))
        kernel, attention, _ = predictor._engine.global_branch(thumbnail)
        found = predictor._engine.local_branch(image, kernel, attention)
        # Random weights give any scale, and each CPU's kernels round in another order: what counts is the share.
        scale = float(expected.abs().max())
        assert np.allclose(found / scale, expected.numpy() / scale, rtol=0, atol=1e-5)
        outputs.append(found / scale)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


def test_batches_and_single_pictures_agree(state: dict[str, torch.Tensor]) -> None:
    """Training folds the batch into channels, the export does not: both must be the same network."""
    net = GMNet(*widths(state)).eval()
    net.load_state_dict(state)
    images, thumbnails = torch.rand(3, 3, 32, 48), torch.rand(3, 3, THUMBNAIL, THUMBNAIL)
    with torch.no_grad():
        together = net(images, thumbnails)[1]
        apart = torch.cat([net(images[i : i + 1], thumbnails[i : i + 1])[1] for i in range(3)])
    assert torch.allclose(together, apart, atol=1e-5)


def test_every_port_of_the_shipped_weights_reaches_the_bar() -> None:
    try:
        results = verify(load_weights(shipped_folder() / "weights" / "gmnet" / "weights.npz"))
    except RuntimeError as error:
        pytest.skip(f"tinygrad has no compiler here ({error}): make system-deps")
    assert {row.port for row in results} >= {"onnxruntime", "onnxruntime tiled", "tinygrad"}
    assert min(row.psnr for row in results) >= LEAST
    assert all(row.close and row.ssim > 0.9999 for row in results)


def test_tinygrad_is_one_setting_away() -> None:
    """The product with the other backend: the same map."""
    model = read_manifest(shipped_folder())["gmnet"]
    image = picture(96, 128)
    try:
        tiny = make_predictor(model, backend=Backend.TINYGRAD).predict(image, (128, 96))
    except RuntimeError as error:
        pytest.skip(f"tinygrad has no compiler here ({error}): make system-deps")
    assert np.abs(tiny - make_predictor(model, threads=1).predict(image, (128, 96))).max() < 1e-4


@pytest.mark.parametrize(("height", "width"), [(64, 64), (61, 97), (130, 258)])
def test_tiles_leave_no_seam(height: int, width: int, predictor: GMNetPredictor) -> None:
    image = picture(height, width)
    whole, qmax = predictor.normalised(image)
    tiled, same = predictor.normalised(image, tile=32)
    assert whole.shape == (height, width)
    assert qmax == same
    assert np.abs(whole - tiled).max() < 1e-5


def test_tiles_cover_each_pixel_once() -> None:
    for length in (2, 32, 100, 1024, 1026, 3000):
        kept = [i for span in spans(length, 1024) for i in range(span.keep_from, span.keep_to)]
        assert kept == list(range(length))
        assert all(span.start % 2 == 0 and span.stop - span.start <= 1024 + 2 * HALO for span in spans(length, 1024))


def test_output_is_stops_within_the_law_and_repeats(predictor: GMNetPredictor) -> None:
    image = picture(96, 128)
    stops = predictor.predict(image, (64, 48))
    assert stops.shape == (48, 64)
    assert stops.dtype == np.float32
    assert 0 <= stops.min() <= stops.max() <= 3
    assert np.array_equal(stops, predictor.predict(image, (64, 48)))


def test_the_authors_shape_is_theirs() -> None:
    """The width and depth of the paper, and the names by which the released checkpoints load."""
    net = GMNet()
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_921_827
    names = net.state_dict().keys()
    assert {
        "down1.conv.0.weight",
        "res1.0.conv1.weight",
        "sq_qmax.conv.4.bias",
        "mask_est.2.weight",
        "HRconv.bias",
    } <= names
    assert widths(net.state_dict()) == (64, 5)


def test_weights_load_from_arrays_as_from_checkpoints(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save(state, tmp_path / "a.pt")
    np.savez(tmp_path / "a.npz", **{key: value.numpy() for key, value in state.items()})  # type: ignore[arg-type]
    first, second = load_weights(tmp_path / "a.pt"), load_weights(tmp_path / "a.npz")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_share_of_the_photo_is_taken_once(tmp_path: Path) -> None:
    """The authors' real-world weights see half of the photo's sides, not half of the copy that was decoded for them."""
    folder = tmp_path / "half"
    paths = export_gmnet(GMNet(16, 1).state_dict(), folder)
    lines = ["[models.half]", 'kind = "gmnet"', "peak = 3.0", "scale = 0.5", 'licence = "MIT"', 'provenance = "test"']
    for path in paths:
        lines += [f"[models.half.files.{path.stem}]", f'path = "half/{path.name}"', f'sha256 = "{sha256_of(path)}"']
    (tmp_path / "manifest.toml").write_text("\n".join(lines), encoding="utf-8")
    predictor = make_predictor(find_model("half", tmp_path), 1)
    assert isinstance(predictor, GMNetPredictor)
    sizes: list[tuple[int, ...]] = []
    engine = predictor._engine

    class Watching:
        """The real engine, and the sizes that it was given."""

        def global_branch(self, thumbnail: Planes) -> tuple[Planes, Planes, Planes]:
            return engine.global_branch(thumbnail)

        def local_branch(self, image: Planes, kernel: Planes, attention: Planes) -> Planes:
            sizes.append(image.shape[2:])
            return engine.local_branch(image, kernel, attention)

    predictor._engine = Watching()
    data = cv2.imencode(".jpg", np.full((480, 640, 3), 90, np.uint8))[1].tobytes()
    restore(data, predictor, Options())
    assert sizes == [(240, 320)]
