#!/usr/bin/env python3
"""A known weight pattern must not be found where weights do not belong: not on the disk, not in a
log, not in the memory of front, ledger or keeper, and in the worker by no means that a root shell
has: /proc/PID/mem, process_vm_readv, gdb, gcore."""

import ctypes
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import zlib

import onnx_file
from harness import Server, tensor

# Each 32 bytes are 8 floats; drawn once for this run, so that no file of an earlier one matches.
PATTERN = b"".join(bytes([b, b ^ 0x55, 0x20 | (b & 0x0F), 0x3C]) for b in os.urandom(8))


# The same for a request and its answer: 64 floats of one row.
PAYLOAD = b"".join(bytes([b, b ^ 0x33, 0x20 | (b & 0x0F), 0x3D]) for b in os.urandom(8))


def png(pixels, width, height):
    """An RGB image, its data stored and not compressed."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + pixels[3 * width * y:][:3 * width] for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b""))


def tiff(pixels, width, height):
    """The same as one strip of a little-endian TIFF."""
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2),
            (273, 4, 1, 140), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(pixels)),
            (284, 3, 1, 1)]
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *t) for t in tags)
    return (b"II*\0" + struct.pack("<I", 8) + table + struct.pack("<I", 0)
            + struct.pack("<3H", 8, 8, 8) + pixels)


def regions(pid):
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
        if match and "r" in match[3] and match[4] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
            yield int(match[1], 16), int(match[2], 16), match[4]


def scan_mem(pid, pattern):
    """(bytes read, places) by /proc/PID/mem."""
    read, found = 0, []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end, name in regions(pid):
            at, tail = start, b""
            while at < end:
                try:
                    mem.seek(at)
                    block = mem.read(min(1 << 20, end - at))
                except (OSError, ValueError):
                    block = b""
                if not block:
                    at, tail = (at | 0xFFF) + 1, b""
                    continue
                if pattern in tail + block:
                    found.append((hex(at), name))
                read += len(block)
                tail = block[-len(pattern):]
                at += len(block)
                if name.startswith("/memfd:strongroom-ring") and read > 1 << 28:
                    break
    return read, found


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def scan_vm(pid, pattern):
    """The same by process_vm_readv."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.process_vm_readv.restype = ctypes.c_ssize_t
    read, found = 0, []
    buffer = ctypes.create_string_buffer(1 << 20)
    for start, end, name in regions(pid):
        at = start
        while at < end:
            want = min(len(buffer), end - at)
            local, remote = Iovec(ctypes.addressof(buffer), want), Iovec(at, want)
            n = libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
            if n <= 0:
                break
            read += n
            if pattern in buffer.raw[:n]:
                found.append((hex(at), name))
            at += n
    return read, found


@unittest.skipUnless(os.geteuid() == 0, "looking into other processes takes root")
class Markers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        sealed = cls.server.seal("acme", onnx_file.linear(PATTERN, 256, 256))
        answer = cls.server.upload("acme", "marked", sealed)
        assert answer.status in (200, 201), answer
        for rows in (1, 7, 64):
            x = [((i * 37) % 101) / 50 - 1 for i in range(rows * 256)]
            answer = cls.server.infer("acme", "marked", [tensor("x", [rows, 256], x)])
            assert answer.status == 200, answer
        echo = onnx_file.model([onnx_file.node("Identity", ["x"], ["y"])],
                               [onnx_file.value("x", onnx_file.FLOAT, ["batch", 64])],
                               [onnx_file.value("y", onnx_file.FLOAT, ["batch", 64])])
        assert cls.server.upload("acme", "echo", cls.server.seal("acme", echo)).status // 100 == 2
        for _ in range(3):
            head = json.dumps({"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP32",
                                           "parameters": {"binary_data_size": 256}}],
                               "parameters": {"binary_data_output": True}}).encode()
            answer = cls.server.request(
                "POST", "/v2/models/echo/infer", key="acme", body=head + PAYLOAD * 8,
                headers={"Inference-Header-Content-Length": str(len(head)),
                         "Content-Type": "application/octet-stream"})
            assert answer.status == 200 and answer.body.endswith(PAYLOAD * 8), answer
        decode = onnx_file.model([onnx_file.node("ImageDecoder", ["file"], ["pixels"])],
                                 [onnx_file.value("file", 2, ["n"])],
                                 [onnx_file.value("pixels", 2, ["h", "w", 3])], opset=20)
        assert cls.server.upload("acme", "see", cls.server.seal("acme", decode)).status // 100 == 2
        for make in (png, tiff):
            file = make(PAYLOAD * 3 * 64, 32, 64)
            head = json.dumps({"inputs": [{"name": "file", "shape": [len(file)], "datatype": "UINT8",
                                           "parameters": {"binary_data_size": len(file)}}],
                               "parameters": {"binary_data_output": True}}).encode()
            answer = cls.server.request(
                "POST", "/v2/models/see/infer", key="acme", body=head + file,
                headers={"Inference-Header-Content-Length": str(len(head)),
                         "Content-Type": "application/octet-stream"})
            assert answer.status == 200 and answer.body.endswith(PAYLOAD * 3 * 64), (make, answer)
        cls.roles = cls.server.processes()
        cls.worker = cls.roles["worker"][0]

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_the_scan_finds_what_is_there(self):
        self.assertTrue(scan_mem(os.getpid(), PATTERN)[1])
        self.assertTrue(scan_vm(os.getpid(), PATTERN)[1])

    def test_not_on_the_disk_nor_in_the_log(self):
        for path in self.server.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(PATTERN, path.read_bytes(), path)

    def test_requests_and_answers_leave_no_trace(self):
        """Wiped after each request: the ring, the worker's activations, what front has buffered."""
        for path in self.server.folder.rglob("*"):
            if path.is_file():
                self.assertNotIn(PAYLOAD, path.read_bytes(), path)
        for role in ("worker", "ledger", "keeper", "front"):
            for pid in self.roles[role]:
                self.assertEqual(scan_mem(pid, PAYLOAD)[1], [], role)

    def test_not_in_the_memory_of_the_other_roles(self):
        for role in ("front", "ledger", "keeper"):
            for pid in self.roles[role]:
                read, found = scan_mem(pid, PATTERN)
                self.assertGreater(read, 1 << 20, f"{role} was not read")
                self.assertEqual(found, [], role)
        self.assertEqual(scan_mem(self.server.process.pid, PATTERN)[1], [], "launch")

    def test_not_in_what_can_be_read_of_the_worker(self):
        read, found = scan_mem(self.worker, PATTERN)
        self.assertEqual(found, [], f"of {read} bytes")
        self.assertEqual(scan_vm(self.worker, PATTERN)[1], [])

    @unittest.skipUnless(shutil.which("gdb"), "gdb is not installed")
    def test_no_debugger_attaches(self):
        done = subprocess.run(["gdb", "-p", str(self.worker), "-batch", "-ex", "info threads"],
                              capture_output=True, text=True, timeout=60)
        self.assertRegex(done.stdout + done.stderr, "ptrace: |Operation not permitted|already traced")
        with tempfile.TemporaryDirectory() as folder:
            core = pathlib.Path(folder) / "core"
            subprocess.run(["gcore", "-o", str(core), str(self.worker)], capture_output=True,
                           timeout=60)
            for path in pathlib.Path(folder).iterdir():
                self.assertNotIn(PATTERN, path.read_bytes())

    def test_still_serving(self):
        answer = self.server.infer("acme", "marked", [tensor("x", [1, 256], [0.25] * 256)])
        self.assertEqual(answer.status, 200, answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
