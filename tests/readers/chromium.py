"""Headless Chromium as a reader: what its compositor would put on an HDR screen, pixel by pixel.

A canvas with `globalHDRHeadroom` renders for a screen of a given headroom without any such screen at hand.
"""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import numpy as np
import websocket
from numpy.typing import NDArray

from tests.readers.ways import ways

FULL = 12.0  # stops: above any file's alternate headroom, so the map is applied in full
START_TIMEOUT = 60.0  # seconds
ENGAGED = 1.02  # mean brightness at full application against none

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-blink-features=CanvasGlobalHDRHeadroom",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)

RENDER = """
(async (path, stops, whole) => {
  if (!('globalHDRHeadroom' in CanvasRenderingContext2D.prototype)) throw new Error('no globalHDRHeadroom');
  const image = new Image(); image.src = path; await image.decode();
  const [w, h] = [image.naturalWidth, image.naturalHeight];
  const canvas = document.createElement('canvas'); canvas.width = w; canvas.height = h;
  const context = canvas.getContext('2d', {colorType: 'float16'});
  // A half float has 65,536 values: extended sRGB to linear light by table, what is not finite to 0.
  const curve = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const halves = new Float16Array(Uint16Array.from({length: 65536}, (_, i) => i).buffer);
  const table = Float32Array.from(halves, v => Number.isFinite(v) ? Math.sign(v) * curve(Math.abs(v)) : 0);
  const shots = [];
  for (const headroom of stops) {
    context.globalHDRHeadroom = headroom;
    context.clearRect(0, 0, w, h); context.drawImage(image, 0, 0);
    const data = new Uint16Array(context.getImageData(0, 0, w, h, {pixelFormat: 'rgba-float16'}).data.buffer);
    let peak = 0, sum = 0;
    const out = new Float32Array(whole ? w * h * 3 : 0);
    for (let i = 0, j = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++, j++) {
      const v = table[data[i + c]];
      sum += v; if (v > peak) peak = v; if (whole) out[j] = v;
    }
    const bytes = new Uint8Array(out.buffer); let text = '';
    for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    shots.push({width: w, height: h, peak, mean: sum / (w * h * 3), pixels: btoa(text)});
  }
  return shots;
})
"""


def binary() -> str | None:
    """Chromium's path, None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class _Server(ThreadingHTTPServer):
    """Pictures by path, from memory; a page for everything else. A picture from file:// would taint the canvas."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        data = self.server.files.get(self.path, b"<!doctype html><title>reader</title>")
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg" if self.path.endswith(".jpg") else "text/html")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


class Chromium:
    """One browser and one page for a whole test session; use as a context manager."""

    def __enter__(self) -> Self:
        self._count = 0
        with contextlib.ExitStack() as stack:  # unwinds at once where the start fails
            profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
            self._server = _Server()
            stack.callback(self._server.server_close)
            threading.Thread(target=self._server.serve_forever, daemon=True).start()
            stack.callback(self._server.shutdown)
            process = _start(profile)
            stack.callback(_end, process)
            self._socket = self._connect(process, Path(profile) / "DevToolsActivePort")
            stack.callback(self._socket.close)
            self._call("Page.navigate", url=f"http://127.0.0.1:{self._server.server_address[1]}/")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def render(self, jpeg: bytes, headroom: float) -> NDArray[np.float32]:
        """What a screen with `headroom` stops shows: (H, W, 3) float32, linear light, 1.0 = SDR white, upright."""
        shot = self._shots(jpeg, [headroom], whole=True)[0]
        flat = np.frombuffer(base64.b64decode(shot["pixels"]), np.float32)
        return flat.reshape(int(shot["height"]), int(shot["width"]), 3)

    def peak(self, jpeg: bytes, headroom: float = FULL) -> float:
        """The brightest value at this headroom, linear light."""
        return float(self._shots(jpeg, [headroom])[0]["peak"])

    def engaged(self, jpeg: bytes) -> bool:
        """Whether the gain map is applied: brighter with headroom than without.

        A change that does not brighten is a fault in the metadata, not HDR.
        """
        return self._engaged_peak(jpeg) is not None

    def four_ways(self, jpeg: bytes) -> dict[str, float | None]:
        """The peak by each way to the map, None where that way shows SDR."""
        return {way: self._engaged_peak(data) for way, data in ways(jpeg).items()}

    def _engaged_peak(self, jpeg: bytes) -> float | None:
        base, full = self._shots(jpeg, [0.0, FULL])
        brighter = full["mean"] > base["mean"] * ENGAGED and full["peak"] > base["peak"]
        return float(full["peak"]) if brighter else None

    def _shots(self, jpeg: bytes, stops: list[float], *, whole: bool = False) -> list[dict[str, Any]]:
        self._count += 1
        path = f"/{self._count}.jpg"
        self._server.files[path] = jpeg
        try:
            answer = self._call(
                "Runtime.evaluate",
                expression=f"({RENDER})({json.dumps(path)}, {json.dumps(stops)}, {json.dumps(whole)})",
                awaitPromise=True,
                returnByValue=True,
            )
        finally:
            del self._server.files[path]
        if "exceptionDetails" in answer:
            raise AssertionError(f"Chromium cannot decode the file: {answer['exceptionDetails']}")
        shots: list[dict[str, Any]] = answer["result"]["value"]
        return shots

    def _connect(self, process: subprocess.Popen[bytes], port_file: Path) -> websocket.WebSocket:
        address = f"ws://127.0.0.1:{_port(process, port_file)}/devtools"
        browser_id = port_file.read_text().split()[1].rsplit("/", 1)[-1]
        self._socket = websocket.create_connection(f"{address}/browser/{browser_id}", timeout=START_TIMEOUT)
        with contextlib.closing(self._socket):
            target = self._call("Target.createTarget", url="about:blank")["targetId"]
        return websocket.create_connection(f"{address}/page/{target}", timeout=START_TIMEOUT)

    def _call(self, method: str, **params: object) -> dict[str, Any]:
        self._count += 1
        number = self._count
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result


def _start(profile: str) -> subprocess.Popen[bytes]:
    path = binary()
    assert path is not None, "Chromium is not installed: make system-deps"
    # TMPDIR: Chromium leaves its lock folders there, and they must go with the profile.
    environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:", "TMPDIR": profile}
    command = [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _port(process: subprocess.Popen[bytes], port_file: Path) -> int:
    """The port Chromium chose; its file has the port and the browser's path, and may be seen half written."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if port_file.is_file() and len(lines := port_file.read_text().split()) == 2:
            return int(lines[0])
        assert process.poll() is None, "Chromium ended at once"
        time.sleep(0.05)
    raise AssertionError(f"Chromium did not open its port within {START_TIMEOUT:g} s")
