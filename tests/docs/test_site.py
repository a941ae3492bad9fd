"""The site that `make docs` built, opened in Debian's Chromium as a desktop and as a phone has it.

Skipped where there is no Chromium or no site. The screenshots lie in build/screenshots afterwards, to be looked at.
"""

import contextlib
import functools
import json
import queue
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build/site"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
PAGES = ["", "networks/", "networks/alexnet/", "networks/resnet50/", "networks/zfnet/", "claims/", "claims/A3/"]
PAGES += ["reproductions/vgg_ideas_cifar10/", "results/", "guides/serve/", "guides/clusters/", "api/ops/"]
LIMIT = 300  # seconds that a browser may take

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
    pytest.mark.skipif(not (SITE / "index.html").exists(), reason="there is no site: make docs"),
]

# A page of a frame as wide as the screen, which opens the pages one after another and tells what it saw.
LOOK = """<!doctype html><meta charset="utf-8"><body style="margin: 0"><iframe style="border: 0"></iframe><script>
const frame = document.querySelector("iframe"), seen = {}
const wait = milliseconds => new Promise(done => setTimeout(done, milliseconds))
const opened = page => new Promise(done => { frame.onload = done; frame.src = "/" + page })
async function look() {
  [frame.width, frame.height] = SIZE
  for (const page of PAGES) {
    await opened(page)
    const shown = frame.contentDocument
    for (const image of shown.images) image.loading = "eager"
    await Promise.all([...shown.images].map(image => image.decode().catch(() => {})))
    seen[page] = {
      title: shown.querySelector("h1")?.innerText ?? "",
      too_wide: shown.documentElement.scrollWidth - frame.clientWidth,
      broken: [...shown.images].filter(image => !image.naturalWidth).map(image => image.src),
      covered: shown.querySelector(".md-content").getBoundingClientRect().width / frame.clientWidth,
    }
  }
  await opened("")
  const shown = frame.contentDocument
  shown.querySelector("label[for=__search]").click()
  const field = shown.querySelector(".md-search__input")
  field.focus()
  field.value = "selective search"
  field.dispatchEvent(new frame.contentWindow.Event("input", {bubbles: true}))
  field.dispatchEvent(new frame.contentWindow.KeyboardEvent("keyup", {bubbles: true, key: "h"}))
  const found = () => [...shown.querySelectorAll(".md-search-result__item a")].map(link => link.href)
  for (let tries = 0; tries < 300 && !found().length; tries++) await wait(200)
  return {seen, found: found()}
}
look().catch(error => ({error: String(error)}))
  .then(told => fetch("/told", {method: "POST", body: JSON.stringify(told)}))
</script>"""


class Handler(SimpleHTTPRequestHandler):
    """The site, and /look, the page above; what it tells is put into `told`, what is not found into `missing`."""

    size, told, missing = SIZES["desktop"], None, None

    def do_GET(self):
        if self.path != "/look":
            super().do_GET()
            return
        page = LOOK.replace("SIZE", json.dumps(self.size)).replace("PAGES", json.dumps(PAGES)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(page)

    def do_POST(self):
        self.told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def send_error(self, code, *arguments):
        self.missing.append((code, self.path))
        super().send_error(code, *arguments)

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def served(size):
    """The site on the loopback interface: its address, and what a browser told and did not find."""
    handler = type("Here", (Handler,), {"size": size, "told": queue.Queue(), "missing": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()


def chromium(tmp_path, *arguments):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={tmp_path / 'user'}"]
    flags += ["--disable-background-networking", "--no-first-run", "--force-prefers-reduced-motion"]
    return [CHROMIUM, *flags, *arguments]


@pytest.mark.parametrize("screen", SIZES)
def test_pages_as_a_person_sees_them(screen, tmp_path):
    size = SIZES[screen]
    with served(size) as (address, handler):
        command = chromium(
            tmp_path, f"--window-size={size[0]},{size[1]}", "--remote-debugging-port=0", f"{address}/look"
        )
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told = handler.told.get(timeout=LIMIT)
        finally:
            browser.terminate()
            browser.wait()
        assert "error" not in told, told
        assert set(told["seen"]) == set(PAGES)
        for page, seen in told["seen"].items():
            assert seen["title"], page
            assert seen["too_wide"] <= 0, (page, seen)
            assert not seen["broken"], (page, seen)
            assert seen["covered"] > {"desktop": 0.4, "phone": 0.95}[screen], (page, seen)
        assert any("selective_search" in link for link in told["found"])
        assert not [path for _, path in handler.missing if path != "/favicon.ico"]


@pytest.mark.parametrize("screen", SIZES)
def test_screenshots(screen, tmp_path):
    """A page is not blank: text, a picture and the heading's colour make many colours."""
    folder = ROOT / "build/screenshots"
    folder.mkdir(exist_ok=True)
    width, height = SIZES[screen]
    with served((width, height)) as (address, _):
        for page in ("", "networks/alexnet/"):
            file = folder / f"{screen}-{page.replace('/', '-') or 'home'}.png"
            file.unlink(missing_ok=True)
            options = [f"--window-size={width},{height}", "--virtual-time-budget=8000", f"--screenshot={file}"]
            subprocess.run(
                chromium(tmp_path, *options, f"{address}/{page}"), check=True, timeout=LIMIT, capture_output=True
            )
            with Image.open(file) as picture:
                assert picture.width == width
                assert len(picture.convert("RGB").getcolors(2**24)) > 100
