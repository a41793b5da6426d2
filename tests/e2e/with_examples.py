#!/usr/bin/env python3
"""Starts a server with every example model uploaded, runs clients.py against it, and passes on its
exit status. Arguments: the interpreter to run clients.py with (default: this one)."""

import os
import pathlib
import subprocess
import sys

from harness import ROOT, Server


def main():
    interpreter = sys.argv[1] if len(sys.argv) > 1 and pathlib.Path(sys.argv[1]).exists() else sys.executable
    with Server() as server:
        key = server.tenant("demo")
        for model in sorted((ROOT / "examples").glob("*/model.onnx")):
            answer = server.upload("demo", model.parent.name, server.seal("demo", model.read_bytes()))
            if answer.status not in (200, 201):
                print(f"{model.parent.name}: {answer}", file=sys.stderr)
                return 1
        environment = dict(os.environ, STRONGROOM_URL=f"https://127.0.0.1:{server.port}",
                           STRONGROOM_CACERT=str(server.data / "tls" / "cert.pem"),
                           STRONGROOM_KEY=key)
        return subprocess.run([interpreter, "-B", str(pathlib.Path(__file__).with_name("clients.py"))],
                              env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
