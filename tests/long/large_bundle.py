#!/usr/bin/env python3
"""A model of more than 2 GB, whole: its weights in one external file with a tensor of 2.4 GB, sealed
from a folder, uploaded, loaded and asked; with times and peak memory of each step.

By hand, with about 8 GB of disk and 6 GB of memory:  python3 tests/long/large_bundle.py
(STRONGROOM_BIN is the folder with the programs.) The weights are zeros but for some rows, the last
one among them, so that the file is sparse and an answer still shows that offsets past 2^31 are right.

Then a model of 1 GB of matrix products, whose weights are packed: with the originals given back as
they are packed, the worker must never hold both in whole.
"""

import json
import os
import pathlib
import resource
import struct
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import bundle_file  # noqa: E402
import onnx_file  # noqa: E402
from harness import BIN, Server, tensor  # noqa: E402
from onnx_file import FLOAT, INT64, _field  # noqa: E402

ROWS, WIDTH, CLASSES = 600000, 1024, 8
TABLE = ROWS * WIDTH * 4
MARKED = {0: 0.5, 1234: -1.0, 524288: 2.0, ROWS - 1: 3.0}  # row -> value of its first element


def make(folder):
    model = onnx_file.model(
        [onnx_file.node("Gather", ["table", "ids"], ["rows"]),
         onnx_file.node("MatMul", ["rows", "W"], ["scores"])],
        [onnx_file.value("ids", INT64, ["n"])], [onnx_file.value("scores", FLOAT, ["n", CLASSES])],
        [bundle_file.external("table", FLOAT, [ROWS, WIDTH], [
            ("location", "model.data"), ("offset", 0), ("length", TABLE)]),
         bundle_file.external("W", FLOAT, [WIDTH, CLASSES], [
             ("location", "model.data"), ("offset", TABLE), ("length", WIDTH * CLASSES * 4)])])
    (folder / "model.onnx").write_bytes(model)
    (folder / "labels.txt").write_text("".join(f"class {i}\n" for i in range(CLASSES)))
    (folder / "manifest.yaml").write_text(
        "labels:\n  - output: scores\n    file: labels.txt\n")
    with open(folder / "model.data", "wb") as f:
        for row, value in MARKED.items():
            f.seek(row * WIDTH * 4)
            f.write(struct.pack("<f", value))
        f.seek(TABLE)
        f.write(struct.pack(f"<{CLASSES}f", *range(1, CLASSES + 1)))
        f.truncate(TABLE + WIDTH * CLASSES * 4)


def peak(pid, field="VmHWM"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0


def timed(what, seconds, more=""):
    print(f"{what:42s} {seconds:7.1f} s  {more}", flush=True)


LAYERS, SIDE = 16, 4096  # of 64 MiB each


def packed(server):
    folder = server.folder / "packed"
    folder.mkdir()
    size = SIDE * SIDE * 4
    names = ["x", *(f"t{i}" for i in range(1, LAYERS)), "y"]
    (folder / "model.onnx").write_bytes(onnx_file.model(
        [onnx_file.node("MatMul", [names[i], f"W{i}"], [names[i + 1]]) for i in range(LAYERS)],
        [onnx_file.value("x", FLOAT, ["n", SIDE])], [onnx_file.value("y", FLOAT, ["n", SIDE])],
        [bundle_file.external(f"W{i}", FLOAT, [SIDE, SIDE], [
            ("location", "model.data"), ("offset", i * size), ("length", size)])
         for i in range(LAYERS)]))
    with open(folder / "model.data", "wb") as f:
        for i in range(LAYERS):  # each passes element i on to i + 1, doubled
            f.seek(i * size + (i * SIDE + i + 1) * 4)
            f.write(struct.pack("<f", 2.0))
        f.truncate(LAYERS * size)
    sealed = server.folder / "packed.age"
    server.cli("seal", str(folder), "-o", str(sealed), "--no-check", "--recipient",
               server.recipient("packer"))
    start = time.monotonic()
    with open(sealed, "rb") as f:
        answer = server.request(
            "PUT", "/v2/repository/models/packed/versions/1", body=f, key="packer", timeout=600,
            headers={"Content-Length": str(sealed.stat().st_size)})
    assert answer.status in (200, 201), answer
    timed("1 GiB of matrix products: upload, load", time.monotonic() - start)
    answer = server.infer("packer", "packed", [tensor("x", [1, SIDE], [1.0] + [0.0] * (SIDE - 1))])
    assert answer.json["outputs"][0]["data"][LAYERS] == 2.0 ** LAYERS, answer
    worker = max(server.processes()["worker"], key=lambda pid: peak(pid))
    weights = LAYERS * size / 2 ** 20
    print(f"worker: {peak(worker):.0f} MiB resident at its peak, {peak(worker, 'VmRSS'):.0f} MiB "
          f"after, for {weights:.0f} MiB of weights")
    assert peak(worker) < 1.3 * weights, "the originals were not given back"


def main():
    with Server() as server:
        server.tenant("packer")
        packed(server)
    with Server() as server:
        server.tenant("acme")
        folder = server.folder / "large"
        folder.mkdir()
        make(folder)
        sealed = server.folder / "large.age"
        for what, flags in (("seal, checked as the server would", []),
                            ("seal, not checked", ["--no-check"])):
            before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            start = time.monotonic()
            pid = os.spawnv(os.P_NOWAIT, str(BIN / "strongroom"), [
                "strongroom", "seal", str(folder), "-o", str(sealed), "--force", "--json",
                "--recipient", server.recipient("acme"), *flags])
            _, code, usage = os.wait4(pid, 0)
            assert code == 0, code
            timed(what, time.monotonic() - start,
                  f"peak {usage.ru_maxrss / 1024:.0f} MiB resident, mapped pages of files counted")
            del before
        size = sealed.stat().st_size
        print(f"sealed: {size} bytes")
        start = time.monotonic()
        with open(sealed, "rb") as f:
            answer = server.request(
                "PUT", "/v2/repository/models/large/versions/1", body=f, key="acme", timeout=600,
                headers={"Content-Length": str(size)})
        assert answer.status in (200, 201), answer
        timed("upload, decrypt, load", time.monotonic() - start)
        ids = list(MARKED)
        wanted = [v * (c + 1) for v in MARKED.values() for c in range(CLASSES)]

        def ask(what):
            start = time.monotonic()
            answer = server.request("POST", "/v2/models/large/infer", key="acme", timeout=600, body={
                "inputs": [tensor("ids", [len(ids)], ids, "INT64")]})
            assert answer.status == 200, answer
            assert answer.json["outputs"][0]["data"] == wanted, answer
            timed(what, time.monotonic() - start)

        ask("first answer")
        ask("second answer")
        worker = server.processes()["worker"][0]
        print(f"worker: {peak(worker):.0f} MiB resident at its peak, {peak(worker, 'VmSize'):.0f} MiB "
              "mapped")
        for line in server.log_text().splitlines():
            if "secret_bytes=" in line:
                print(line)
        server.request("POST", "/v2/repository/models/large/unload", key="acme", body={})
        start = time.monotonic()
        ask("loaded again and asked")
        for pid in server.processes()["front"]:
            print(f"front: {peak(pid):.0f} MiB resident at its peak")
    return 0


if __name__ == "__main__":
    sys.exit(main())
