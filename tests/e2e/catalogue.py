#!/usr/bin/env python3
"""Asks every question of catalogue_table.py, byte for byte over TLS, and holds the status, the
message and what becomes of the connection against its row. After each the server must answer a good
request: on the same connection where that stays open, on another where it closes."""

import json
import os
import re
import socket
import ssl
import time
import unittest

import catalogue_table as table
import onnx_file
from harness import Server

TYPES = {"FP32": 1, "UINT8": 2, "INT8": 3, "UINT16": 4, "INT16": 5, "INT32": 6, "INT64": 7,
         "BYTES": 8, "BOOL": 9, "FP16": 10, "FP64": 11, "UINT32": 12, "UINT64": 13, "BF16": 16}
LIMITS = "limits:\n  body_bytes: 65536\n  model_bytes: 131072\n"
PATIENCE = 60.0  # seconds
SWIFT = 0.05  # seconds: the middle row of them all

# What no message may carry: places in the file system, pointers, SQL, source files, the printer's
# own signs, and names that only the project's sources know.
UNFIT = re.compile(
    r"""(^|[\s"'(=])/[\w.-]+/[\w.-]+|0x[0-9a-fA-F]{4,}|\(null\)|\(nil\)|%[sduz]|\b\w+\.[ch](:\d+)?\b
    |\b(SELECT|INSERT|UPDATE|FROM|WHERE)\b|sqlite|constraint|errno|No\ such\ file|Permission\ denied
    |\b(ledger|keeper|worker|slot|ring|ticket|arena|civetweb|libsodium|seccomp|STATUS_\w+)\b
    |\b[a-z]+_[a-z]+_[a-z_]+\(""", re.X)


def identity(tensors):
    """A model that gives back what it gets: (input, output, datatype, shape) of each."""
    o = onnx_file
    return o.model([o.node("Identity", [i], [y]) for i, y, _, _ in tensors],
                   [o.value(i, TYPES[t], shape) for i, _, t, shape in tensors],
                   [o.value(y, TYPES[t], shape) for _, y, t, shape in tensors])


MODELS = {"m": [("x", "y", "FP32", ["n", 4])], "box": [("x", "y", "FP32", [2, 3])],
          "point": [("x", "y", "FP32", [])],
          "pair": [("a", "c", "FP32", ["n"]), ("b", "d", "INT64", ["n"])],
          **{name: [("x", "y", name, ["n"])] for name in TYPES}}


class Wire:
    """One TLS connection, read answer by answer."""

    def __init__(self, server, context):
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.rest = b""

    def close(self):
        self.tls.close()

    def fill(self):
        block = self.tls.recv(65536)
        if not block:
            raise EOFError
        self.rest += block

    def send(self, request):
        try:
            self.tls.sendall(request)
        except OSError:
            pass  # it has closed already: what it said is still to be read

    def end(self):
        """Nothing more comes from this side, which goes on listening."""
        with socket.socket(fileno=os.dup(self.tls.fileno())) as plain:
            plain.shutdown(socket.SHUT_WR)

    def answer(self, method=b"GET"):
        """(status, headers, body); EOFError where the connection ended first."""
        while b"\r\n\r\n" not in self.rest:
            self.fill()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (l.split(":", 1) for l in lines)}
        status = int(first.split()[1])
        if status == 100:
            return self.answer(method)
        size = 0 if method == b"HEAD" else int(headers["content-length"])
        while len(self.rest) < size:
            self.fill()
        body, self.rest = self.rest[:size], self.rest[size:]
        return status, headers, body

    def ended(self):
        """True where nothing more comes but the end."""
        try:
            while True:
                self.fill()
        except (EOFError, ssl.SSLError, ConnectionError):
            return not self.rest


class Catalogue(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server(settings=LIMITS)
        cls.server.start()
        cls.key = cls.server.tenant("acme").encode()
        cls.context = ssl.create_default_context(cafile=str(cls.server.data / "tls" / "cert.pem"))
        for name, tensors in MODELS.items():
            answer = cls.server.upload("acme", name, cls.server.seal("acme", identity(tensors)))
            assert answer.status in (200, 201), answer

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def good(self, wire):
        wire.send(table.GOOD.replace(table.KEY, self.key))
        status, _, body = wire.answer()
        self.assertEqual(status, 200, body)

    def ask(self, row, cut=False):
        """Sends the row's request and holds everything about the answer against it."""
        _, request, status, message, *closes = row
        wire = Wire(self.server, self.context)
        try:
            wire.send(request.replace(table.KEY, self.key))
            if cut:
                wire.end()
            if status is None:
                self.assertTrue(wire.ended(), "an answer to what should have none")
                return
            found, headers, body = wire.answer(request.split(b" ")[0])
            if message is None:
                self.assertEqual((found, body), (status, b""))
            else:
                self.assertEqual(headers["content-type"], "application/json")
                answer = json.loads(body)
                self.assertEqual((found, answer), (status, {"error": message}))
                self.assertIsNone(UNFIT.search(message), message)
            self.assertNotIn(self.key, body)
            closing = headers["connection"] == "close"
            self.assertTrue(closing or not closes, "it must close, since it cannot know what follows")
            if closing:
                self.assertTrue(wire.ended(), "it says that it closes, and answers more")
            else:
                self.good(wire)
        finally:
            wire.close()

    def run_section(self, rows, cut=False):
        times = []
        steady = Wire(self.server, self.context)
        try:
            for row in rows:
                with self.subTest(row[0]):
                    began = time.monotonic()
                    self.ask(row, cut)
                    times.append(time.monotonic() - began)
                    self.good(steady)
        finally:
            steady.close()
        times.sort()
        self.assertLess(times[len(times) // 2] if times else 0, SWIFT)

    def test_names_are_unique(self):
        """A row that stands twice hides that one of the two is missing."""
        requests = [row[1] for rows in table.SECTIONS.values() for row in rows]
        self.assertEqual(len(requests), len(set(requests)))
        print(f"{len(requests)} rows")


def section_test(name, rows):
    def test(self):
        self.run_section(rows, cut=name == "cut")
    return test


for section, section_rows in table.SECTIONS.items():
    setattr(Catalogue, f"test_{section}", section_test(section, section_rows))


if __name__ == "__main__":
    unittest.main(verbosity=2)
