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
  const shots = [];
  for (const headroom of stops) {
    context.globalHDRHeadroom = headroom;
    context.clearRect(0, 0, w, h); context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, w, h, {pixelFormat: 'rgba-float16'}).data;
    const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    let peak = 0, sum = 0;
    const out = new Float32Array(whole ? w * h * 3 : 0);
    for (let i = 0, j = 0; i < data.length; i += 4) for (let c = 0; c < 3; c++, j++) {
      let v = linear(data[i + c]); if (!Number.isFinite(v)) v = 0;
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


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = self.server.files.get(self.path, b"<!doctype html><title>reader</title>")  # type: ignore[attr-defined]
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
        self._stack = contextlib.ExitStack()
        self._profile = self._stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.files = {}  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        path = binary()
        assert path is not None, "Chromium is not installed: make system-deps"
        self._process = subprocess.Popen(
            [path, *FLAGS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DBUS_SESSION_BUS_ADDRESS": "disabled:"},
        )
        self._count = 0
        self._socket = self._connect()
        self._call("Page.navigate", url=f"http://127.0.0.1:{self._server.server_address[1]}/")
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._server.shutdown()
        self._server.server_close()
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
        base, full = self._shots(jpeg, [0.0, FULL])
        return bool(full["mean"] > base["mean"] * ENGAGED and full["peak"] > base["peak"])

    def four_ways(self, jpeg: bytes) -> dict[str, float | None]:
        """The peak by each way to the map, None where that way shows SDR."""
        return {way: self.peak(data) if self.engaged(data) else None for way, data in ways(jpeg).items()}

    def _shots(self, jpeg: bytes, stops: list[float], *, whole: bool = False) -> list[dict[str, Any]]:
        self._count += 1
        path = f"/{self._count}.jpg"
        files = self._server.files  # type: ignore[attr-defined]
        files[path] = jpeg
        try:
            answer = self._call(
                "Runtime.evaluate",
                expression=f"({RENDER})({json.dumps(path)}, {json.dumps(stops)}, {json.dumps(whole)})",
                awaitPromise=True,
                returnByValue=True,
            )
        finally:
            del files[path]
        if "exceptionDetails" in answer:
            raise AssertionError(f"Chromium cannot decode the file: {answer['exceptionDetails']}")
        shots: list[dict[str, Any]] = answer["result"]["value"]
        return shots

    def _connect(self) -> websocket.WebSocket:
        port_file = Path(self._profile) / "DevToolsActivePort"
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if port_file.is_file() and len(lines := port_file.read_text().split()) == 2:
                break
            assert self._process.poll() is None, "Chromium ended at once"
            time.sleep(0.05)
        else:
            raise AssertionError(f"Chromium did not open its port within {START_TIMEOUT:g} s")
        browser = websocket.create_connection(f"ws://127.0.0.1:{lines[0]}{lines[1]}", timeout=START_TIMEOUT)
        self._socket = browser
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        browser.close()
        return websocket.create_connection(f"ws://127.0.0.1:{lines[0]}/devtools/page/{target}", timeout=START_TIMEOUT)

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


def ways(jpeg: bytes) -> dict[str, bytes]:
    """The file with all but one way to the map made unreadable, in place: no byte moves, so no offset changes."""
    no_iso = jpeg.replace(b"urn:iso:std:iso:ts:21496:-1\0", b"urn:xxx:xxx:xxx:xx:xxxxx:xx\0")
    no_xmp = jpeg.replace(b"ns.adobe.com/hdr-gain-map/1.0/", b"ns.xxxxx.xxx/xxx-xxxx-xxx/1.0/")
    no_xmp = _no_container(no_xmp)
    return {
        "all": jpeg,
        "iso": no_xmp,
        "xmp": _no_container(no_iso),
        "container": _broken_mpf(no_iso),
    }


def _no_container(jpeg: bytes) -> bytes:
    return jpeg.replace(b'Item:Semantic="GainMap"', b'Item:Semantic="XxxxXxx"').replace(
        b"Item:Length=", b"Item:Xxxxxx="
    )


def _broken_mpf(jpeg: bytes) -> bytes:
    """The second MP entry's offset overwritten; Chromium still wants a parsable MPF."""
    start = jpeg.find(b"MPF\0")
    if start < 0:
        return jpeg
    order = "big" if jpeg[start + 4 : start + 6] == b"MM" else "little"
    tiff = start + 4
    ifd = tiff + int.from_bytes(jpeg[tiff + 4 : tiff + 8], order)  # type: ignore[arg-type]
    count = int.from_bytes(jpeg[ifd : ifd + 2], order)  # type: ignore[arg-type]
    for i in range(count):
        tag = ifd + 2 + 12 * i
        if int.from_bytes(jpeg[tag : tag + 2], order) == 0xB002:  # type: ignore[arg-type]
            entries = tiff + int.from_bytes(jpeg[tag + 8 : tag + 12], order)  # type: ignore[arg-type]
            where = entries + 16 + 8
            return jpeg[:where] + (7).to_bytes(4, order) + jpeg[where + 4 :]  # type: ignore[arg-type]
    return jpeg
