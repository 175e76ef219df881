#!/usr/bin/env python3
"""Builds the page, opens it in headless Chromium and lets its demos train there: on WebGPU (SwiftShader, in software) and on the CPU.

    web/test.py [--install] [--no-build] [--shots FOLDER] [--save FOLDER] [--only NAME ...]

Checks that digits are learned to 95 %, that the other losses fall, and that the weights that the page offers arrive. They are left in
target/page-weights (or --save), where the crate's tests find them: `WGRAD_WEB_WEIGHTS=FOLDER cargo test -p wgrad-web`.
Says "skipped" where there is no browser or no compiler for WebAssembly; then all is well, unless WGRAD_REQUIRE_WEB is set.
"""

import argparse
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
MISSING = 77

WEBGPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
NO_WEBGPU = ["--disable-features=WebGPU", "--disable-gpu"]

# Name, the page's query, and what must be true of its report. Those without WebGPU find that out by themselves, unless the query says so.
CASES = [
    ("digits on WebGPU", "demo=digits&seed=1&seconds=90", lambda r: not r["cpu"] and r["accuracy"] >= 0.95),
    ("painting on WebGPU", "demo=painting&seed=1&seconds=60", lambda r: not r["cpu"] and r["last"] < 0.5 * r["first"]),
    ("writing on WebGPU", "demo=writing&seed=1&seconds=75", lambda r: not r["cpu"] and r["last"] < 0.8 * r["first"] and r["text"]),
    ("digits without WebGPU", "demo=digits&seed=1&seconds=60", lambda r: r["cpu"] and r["accuracy"] >= 0.95),
    ("writing on the CPU", "demo=writing&seed=1&seconds=20&device=cpu", lambda r: r["cpu"] and r["last"] < 0.9 * r["first"] and r["text"]),
]


def skip(why):
    print(f"skipped: {why}")
    sys.exit(1 if os.environ.get("WGRAD_REQUIRE_WEB") else 0)


class Server:
    """Serves the page, and takes what it reports."""

    def __init__(self, folder, save):
        self.done = threading.Event()
        self.report = None
        server = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".wasm": "application/wasm", ".js": "text/javascript"}

            def __init__(self, *arguments):
                super().__init__(*arguments, directory=str(folder))

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                if self.path != "/hold":
                    return super().do_GET()
                # The page is loaded, and its picture taken, when the report is here.
                server.done.wait(300)
                time.sleep(0.5)
                self.send_error(404)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path.startswith("/weights/"):
                    save.mkdir(parents=True, exist_ok=True)
                    (save / pathlib.PurePosixPath(self.path).name).write_bytes(body)
                elif server.report is None:
                    server.report = json.loads(body)
                self.send_response(204)
                self.end_headers()
                if self.path == "/result":
                    server.done.set()

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def address(self, query):
        return f"http://127.0.0.1:{self.http.server_port}/index.html?auto=1&report=1&{query}"


def browse(chromium, flags, server, query, shot, seconds):
    """Opens the page and returns what it reports, or None."""
    flags = [*flags, "--headless=new", "--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--hide-scrollbars", "--window-size=1280,900"]
    if shot:
        flags += [f"--screenshot={shot}", f"--timeout={1000 * seconds}"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium, *flags, f"--user-data-dir={profile}", server.address(query)]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        arrived = server.done.wait(seconds)
        try:
            if shot and arrived:
                browser.wait(20)
        except subprocess.TimeoutExpired:
            print(f"no picture: {shot}")
        browser.terminate()
        browser.wait()
    return server.report if arrived else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="install what is missing, on Debian")
    parser.add_argument("--no-build", action="store_true", help="take the page that was built last")
    parser.add_argument("--shots", type=pathlib.Path, help="pictures of the page after each case")
    parser.add_argument("--save", type=pathlib.Path, default=TARGET / "page-weights", help="where weights are written")
    parser.add_argument("--only", nargs="*", default=[], help="cases whose names have one of these words")
    options = parser.parse_args()

    page = TARGET / "page"
    if not options.only:
        # Those of an older page prove nothing.
        shutil.rmtree(options.save, ignore_errors=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium and options.install and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], env=environment, check=False, **quiet)
        chromium = shutil.which("chromium")
    if not chromium:
        skip("there is no Chromium")
    if not options.no_build:
        arguments = ["--install"] if options.install else []
        code = subprocess.run([ROOT / "web" / "build.sh", *arguments, page], check=False).returncode
        if code == MISSING:
            skip("there is no compiler for WebAssembly")
        if code != 0:
            sys.exit(code)

    failed = []
    cases = [case for case in CASES if not options.only or any(word in case[0] for word in options.only)]
    for name, query, holds in cases:
        server = Server(page, options.save)
        shot = None
        if options.shots:
            options.shots.mkdir(parents=True, exist_ok=True)
            shot = (options.shots / f"{name.replace(' ', '-')}.png").resolve()
        report = browse(chromium, NO_WEBGPU if "without WebGPU" in name else WEBGPU, server, query, shot, 150)
        good = report is not None and "error" not in report and bool(holds(report))
        if report and report.get("text"):
            report["text"] = report["text"][-80:]
        print(f"{'ok    ' if good else 'FAILED'} {name}: {json.dumps(report)}", flush=True)
        if not good:
            failed.append(name)
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
