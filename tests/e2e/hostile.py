#!/usr/bin/env python3
"""Clients, models and workers that mean harm: whatever they do to themselves, others go on."""

import gzip
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import threading
import time
import unittest
import urllib.request

import onnx_file
from harness import Server, free_port, tensor

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]
PROMPT = 2.0  # seconds, on a machine that is busy with other tests too


def timed(call):
    began = time.monotonic()
    answer = call()
    return answer, time.monotonic() - began


class SilentClients(unittest.TestCase):
    """More connections than there are threads, all from one address, none of which says anything."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        cls.server.upload("acme", "m", cls.server.seal("acme", onnx_file.linear(PATTERN)))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def silent(self, count, first=b"\x16"):
        """Half a handshake each, from 127.0.0.2."""
        sockets = []
        for _ in range(count):
            s = socket.socket()
            s.settimeout(10)
            s.bind(("127.0.0.2", 0))
            s.connect(("127.0.0.1", self.server.port))
            try:
                s.send(first)
            except OSError:
                pass  # it was among those too many
            sockets.append(s)
        self.addCleanup(lambda: [s.close() for s in sockets])
        return sockets

    def good(self):
        return self.server.infer("acme", "m", QUESTION, timeout=10)

    def test_half_handshakes_lock_nobody_out(self):
        self.silent(200)
        for _ in range(3):
            answer, took = timed(self.good)
            self.assertEqual(answer.status, 200)
            self.assertLess(took, PROMPT)

    def test_a_hundred_silent_connections(self):
        self.silent(100)
        answer, took = timed(self.good)
        self.assertEqual(answer.status, 200)
        self.assertLess(took, PROMPT)

    def ends(self, s):
        """Seconds until the server closes."""
        began = time.monotonic()
        try:
            while s.recv(4096):
                pass
        except ConnectionError:
            pass
        return time.monotonic() - began

    def test_a_first_request_must_come_soon(self):
        for first in (b"\x16", b"\x16\x03\x01\x02\x00"):
            took = self.ends(self.silent(1, first)[0])
            self.assertTrue(3 < took < 12, (first, took))
        context = ssl.create_default_context(cafile=str(self.server.data / "tls" / "cert.pem"))
        for head in (b"", b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n"):
            plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(head)
                took = self.ends(tls)
                self.assertTrue(3 < took < 12, (head, took))

    def test_a_connection_that_has_asked_may_wait(self):
        connection = self.server.connect()
        for pause in (7, 0):
            connection.request("GET", "/v2/health/live")
            self.assertEqual(connection.getresponse().read(), b'{"live":true,"ready":true}\n')
            time.sleep(pause)
        connection.close()


class HoardedMemory(unittest.TestCase):
    """Bodies that are small on the wire, large in memory, and never end."""

    BODY, LIMIT = 16 << 20, 64 << 20

    @classmethod
    def setUpClass(cls):
        cls.server = Server(f"limits:\n  body_bytes: {cls.BODY}\n  memory_bytes: {cls.LIMIT}\n"
                            f"metrics:\n  listen: 127.0.0.1:{free_port()}\n")
        cls.server.start()
        for tenant in ("acme", "globex"):
            cls.server.tenant(tenant)
            cls.server.upload(tenant, "m", cls.server.seal(tenant, onnx_file.linear(PATTERN)))
            assert cls.server.infer(tenant, "m", QUESTION).status == 200

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def resident(self):
        """KiB of front."""
        pid, = self.server.processes()["front"]
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1])

    def held(self):
        """Bytes of the budget that are taken."""
        listen = re.search(r"listen: (127.0.0.1:\d+)\n\Z",
                           (self.server.data / "strongroom.yaml").read_text().strip() + "\n")[1]
        with urllib.request.urlopen(f"http://{listen}/metrics", timeout=10) as page:
            return int(re.search(r"^strongroom_payload_memory_bytes (\d+)$", page.read().decode(),
                                 re.M)[1])

    def endless(self, body, *more):
        """A request of acme whose body lacks its last byte."""
        connection = self.server.connect(10)
        connection.connect()
        head = ["POST /v2/models/m/infer HTTP/1.1", "Host: x", *more,
                "Authorization: Bearer " + self.server.keys["acme"],
                f"Content-Length: {len(body) + 1}"]
        connection.sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
        self.addCleanup(connection.close)
        return connection.sock

    def medium(self, tenant):
        """4 MiB of spaces in front of a question; on the wire so little that it is sent whole."""
        body = gzip.compress(b" " * (4 << 20) + json.dumps({"inputs": QUESTION}).encode())
        return self.server.request("POST", "/v2/models/m/infer", body=body, key=tenant,
                                   headers={"Content-Encoding": "gzip"})

    def settled(self, wanted):
        end = time.monotonic() + 10
        while self.held() != wanted and time.monotonic() < end:
            time.sleep(0.05)
        return self.held()

    def hoard(self, body, *more):
        before = self.resident()
        self.assertEqual(self.held(), 0)
        sockets = [self.endless(body, *more) for _ in range(14)]
        refused = []
        end = time.monotonic() + 10
        while len(refused) < 12 and time.monotonic() < end:
            for s in [s for s in sockets if s not in refused]:
                s.settimeout(0.1)
                try:
                    answer = s.recv(4096)
                except (TimeoutError, ConnectionError):
                    continue
                self.assertIn(b" 503 ", answer.split(b"\r\n")[0])
                self.assertIn(b"Retry-After:", answer)
                refused.append(s)
        # Two of them have half of the whole, all that one tenant may have while it is alone.
        self.assertGreaterEqual(len(refused), 12)
        self.assertLessEqual(self.held(), self.LIMIT // 2)
        self.assertGreater(self.held(), self.LIMIT // 4)
        # Each thread's standing buffers may have come to be meanwhile.
        self.assertLess(self.resident() - before, (self.LIMIT >> 10) // 2 + 14 * 2048)
        self.assertEqual(self.server.infer("acme", "m", QUESTION).status, 200)
        self.assertEqual(self.medium("acme").status, 503)
        self.assertEqual(self.medium("globex").status, 200)
        for s in sockets:
            s.close()
        self.assertEqual(self.settled(0), 0)
        self.assertEqual(self.medium("acme").status, 200)
        self.assertEqual(self.settled(0), 0)

    def test_of_compressed_bodies(self):
        # Behind it empty members: more than the piece that is read before any is decompressed.
        self.hoard(gzip.compress(b" " * (self.BODY - 100)) + gzip.compress(b"") * 2000,
                   "Content-Encoding: gzip")

    def test_of_plain_bodies(self):
        before = self.resident()
        sockets = [self.endless(b" " * (self.BODY - 100)) for _ in range(2)]
        answer = self.medium("acme")
        self.assertEqual(answer.status, 503, answer)
        self.assertIn("Retry-After", answer.headers)
        self.assertEqual(self.medium("globex").status, 200)
        self.assertLess(self.resident() - before, self.LIMIT >> 10)
        for s in sockets:
            s.close()
        self.assertEqual(self.settled(0), 0)

    def test_who_is_refused_hears_of_it_before_the_body(self):
        held = [self.endless(b" " * (self.BODY - 100)) for _ in range(2)]
        waiting = self.server.connect(10)
        waiting.connect()
        waiting.sock.sendall(b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                             + self.server.keys["acme"].encode() + b"\r\nContent-Length: 9000000"
                             b"\r\nExpect: 100-continue\r\n\r\n")
        self.assertIn(b" 503 ", waiting.sock.recv(4096).split(b"\r\n")[0])
        waiting.close()
        for s in held:
            s.close()
        self.assertEqual(self.settled(0), 0)


class HostileModels(unittest.TestCase):
    """Models whose signature no request could be made for."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        answer = cls.server.upload("acme", "m", cls.server.seal("acme", onnx_file.linear(PATTERN)))
        assert answer.status in (200, 201), answer

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_unservable_signatures_are_refused_and_cost_nothing_else(self):
        o = onnx_file
        weight = o.tensor("w", o.FLOAT, [1], b"abcd")
        out = o.value("y", o.FLOAT, [1])

        def named(name):
            return o.model([o.node("Identity", [name], ["y"])], [o.value(name, o.FLOAT, [1])], [out])

        cases = {
            "no inputs": (o.model([o.node("Identity", ["w"], ["y"])], [], [out], [weight]), "no inputs"),
            "NUL": (named("a\0b"), "control character 0"),
            "new line": (named("a\nb"), "control character 10"),
            "delete": (named("a\x7fb"), "control character 127"),
            "output": (o.model([o.node("Identity", ["x"], ["y\0"])], [o.value("x", o.FLOAT, [1])],
                               [o.value("y\0", o.FLOAT, [1])]), "output 0"),
            "rank": (o.model([o.node("Identity", ["x"], ["y"])], [o.value("x", o.FLOAT, [1] * 13)],
                             [o.value("y", o.FLOAT, [1] * 13)]), "more than 12 dimensions"),
        }
        worker = self.server.processes()["worker"]
        for name, (model, words) in cases.items():
            with self.subTest(name):
                answer = self.server.upload("acme", "bad", self.server.seal("acme", model))
                self.assertEqual(answer.status, 422, answer)
                self.assertIn(words, answer.error)
                self.assertEqual(self.server.infer("acme", "m", QUESTION).status, 200)
        self.assertEqual(self.server.processes()["worker"], worker, "it was started again")
        self.assertNotIn("is dropped", self.server.log_text())


def big_header(size):
    """Looks like an age file with an enormous header of stanzas that nobody knows."""
    header = b"age-encryption.org/v1\n"
    while len(header) < size:
        header += b"-> grease x\n" + b"A" * 64 + b"\n\n"
    return header + b"--- " + b"A" * 43 + b"\n" + b"p" * 4000


class DeafWorker(unittest.TestCase):
    """A worker that reads nothing must hold up its own tenant alone."""

    def test_others_are_served(self):
        with Server() as server:
            for tenant in ("acme", "globex"):
                server.tenant(tenant)
                sealed = server.seal(tenant, onnx_file.linear(PATTERN))
                self.assertIn(server.upload(tenant, "m", sealed).status, (200, 201))
            acme = min(server.processes()["worker"])
            os.kill(acme, signal.SIGSTOP)

            def upload(i):
                try:
                    server.upload("acme", f"b{i}", big_header(60000), timeout=6)
                except OSError:
                    pass  # nobody answers it: that is the point

            threads = [threading.Thread(target=upload, args=(i,)) for i in range(40)]
            for thread in threads:
                thread.start()
            time.sleep(1.5)
            try:
                for _ in range(5):
                    answer, took = timed(lambda: server.infer("globex", "m", QUESTION, timeout=10))
                    self.assertEqual(answer.status, 200)
                    self.assertLess(took, PROMPT)
                done, took = timed(lambda: server.cli("tenant", "list", check=False))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertLess(took, PROMPT)
            finally:
                try:
                    os.kill(acme, signal.SIGCONT)
                except ProcessLookupError:
                    pass  # it was stopped meanwhile, which is right too
                for thread in threads:
                    thread.join()


class CrashingModel(unittest.TestCase):
    """A model that takes its worker down with each request must wait longer each time."""

    def test_pauses_grow(self):
        side = 700
        body = [tensor("x", [side, side], [1e-3] * (side * side))]
        tiny = [tensor("x", [1, 1], [1.0])]

        def ticks(pid):
            words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(words[11]) + int(words[12])

        with Server() as server:
            server.tenant("acme")
            sealed = server.seal("acme", onnx_file.slow(60))
            self.assertIn(server.upload("acme", "slow", sealed).status, (200, 201))
            for _ in range(6):
                end = time.monotonic() + 30
                while server.infer("acme", "slow", tiny).status != 200:
                    self.assertLess(time.monotonic(), end, "the worker does not come back")
                    time.sleep(0.1)
                worker = server.processes()["worker"][0]
                before, answers = ticks(worker), []
                threads = [threading.Thread(
                    target=lambda: answers.append(server.infer("acme", "slow", body).status))
                    for _ in range(2)]
                for thread in threads:
                    thread.start()
                while ticks(worker) - before < 15:
                    self.assertLess(time.monotonic(), end, "the model does not run")
                    time.sleep(0.02)
                os.kill(worker, signal.SIGKILL)
                for thread in threads:
                    thread.join()
                self.assertEqual(answers, [503, 503])
            # Callers may hear of a death before launch has reaped the worker.
            end = time.monotonic() + 10
            pauses = []
            while len(pauses) < 6 and time.monotonic() < end:
                log = server.log_text()
                pauses = [int(p) for p in re.findall(r" role=worker .* retry_ms=(\d+)", log)]
                time.sleep(0.02)
            self.assertEqual(pauses, [100 << i for i in range(6)], log[-3000:])
            self.assertNotIn("does not return from a request", log)


if __name__ == "__main__":
    unittest.main(verbosity=2)
