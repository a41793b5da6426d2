#!/usr/bin/env python3
"""Many connections that do little, and some that mean to: the 99th percentile of a good client's
answers stays under twice what it is without them.

Here that has a slack: other processes of the machine cost a millisecond now and then, while a client
that waits for a held thread waits for seconds. STRONGROOM_STRICT=1 takes it away, for a machine with
nothing else to do. tests/long/idle_connections.py holds thousands, and is strict.
"""

import concurrent.futures
import http.client
import json
import os
import resource
import select
import socket
import ssl
import sys
import threading
import time
import unittest

import onnx_file
from harness import Server, tensor

PATTERN = bytes(range(1, 33))
BODY = json.dumps({"inputs": [tensor("x", [1, 64], [1.0] * 64)]})
REQUESTS = 400
SLACK_MS = 0 if os.environ.get("STRONGROOM_STRICT") else 20
TRIES = 3  # others use the machine too: the best of so many counts, with and without the crowd


def context_of(server):
    context = ssl.create_default_context(cafile=str(server.data / "tls" / "cert.pem"))
    return context


def served(settings):
    server = Server(settings)
    server.start()
    server.tenant("acme")
    answer = server.upload("acme", "m", server.seal("acme", onnx_file.linear(PATTERN)))
    assert answer.status in (200, 201), answer
    return server


def p99(server, requests=REQUESTS):
    """Milliseconds, of a client with one connection from 127.0.0.1."""
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context_of(server), timeout=30)
    headers = {"Authorization": "Bearer " + server.keys["acme"], "Content-Type": "application/json"}
    took = []
    for i in range(requests + 50):
        began = time.perf_counter()
        connection.request("POST", "/v2/models/m/infer", body=BODY, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        if i >= 50:
            took.append((time.perf_counter() - began) * 1000)
        if answer.headers.get("Connection") == "close":
            connection.close()
    connection.close()
    return sorted(took)[int(len(took) * 0.99)]


def bound(baseline):
    return 2 * baseline + SLACK_MS


def holds(server, baseline):
    """The best of a few tries that ends as soon as one is good."""
    best = None
    for _ in range(TRIES):
        found = p99(server)
        best = found if best is None else min(best, found)
        if best < bound(baseline):
            break
    return best


def memory_mib(server):
    pid, = server.processes()["front"]
    with open(f"/proc/{pid}/status") as f:
        rows = dict(line.split(":", 1) for line in f)
    return int(rows["VmRSS"].split()[0]) / 1024, int(rows["Threads"])


class Idle:
    """Keep-alive connections that have asked once, from several addresses of loopback."""

    def __init__(self, server, count, sources=8):
        self.server = server
        context = context_of(server)

        def connect(i):
            plain = socket.socket()
            plain.settimeout(60)
            plain.bind((f"127.0.1.{1 + i % sources}", 0))
            plain.connect(("127.0.0.1", server.port))
            tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
            self.ask(tls)
            return tls

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.sockets = list(pool.map(connect, range(count)))

    def ask(self, tls):
        tls.sendall((f"GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                     f"{self.server.keys['acme']}\r\n\r\n").encode())
        answer = tls.recv(4096)
        assert answer.startswith(b"HTTP/1.1 200 ") and b"keep-alive" in answer, answer

    def all_open(self):
        """Every one of them still answers."""
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            return len(list(pool.map(self.ask, self.sockets)))

    def close(self):
        for tls in self.sockets:
            tls.close()


def idle(count):
    """-> baseline, p99 with the crowd, MiB without and with, threads, seconds to connect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    # Near their number the server closes connections after each answer, to keep places free.
    places = count + count // 4 + 64
    server = served(f"limits:\n  connections: {places}\n  connections_per_source: {places}\n"
                    f"  idle_timeout_ms: 600000\n")
    try:
        baseline = min(p99(server) for _ in range(TRIES))
        before, _ = memory_mib(server)
        began = time.monotonic()
        crowd = Idle(server, count)
        connected = time.monotonic() - began
        found = holds(server, baseline)
        after, threads = memory_mib(server)
        assert crowd.all_open() == count
        crowd.close()
        if found >= bound(baseline):  # the machine may have become busier meanwhile: is it the crowd?
            time.sleep(1)
            baseline = max(baseline, min(p99(server) for _ in range(TRIES)))
        return {"connections": count, "baseline_p99_ms": baseline, "p99_ms": found,
                "front_mib_before": before, "front_mib": after, "threads": threads,
                "seconds_to_connect": connected}
    finally:
        server.close()


class IdleConnections(unittest.TestCase):
    def test_three_hundred(self):
        found = idle(300)
        print(found, file=sys.stderr)
        self.assertLess(found["p99_ms"], bound(found["baseline_p99_ms"]), found)
        self.assertLess(found["front_mib"] - found["front_mib_before"], 300 * 0.25, found)


class BadClients(unittest.TestCase):
    """From 127.0.0.2: who says nothing, who drips, and who sends half a body."""

    @classmethod
    def setUpClass(cls):
        cls.server = served("limits:\n  connections: 256\n  connections_per_source: 64\n"
                            "  request_timeout_ms: 4000\n")
        cls.baseline = min(p99(cls.server) for _ in range(TRIES))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.sockets, self.stopping = [], threading.Event()
        self.addCleanup(self.end)

    def end(self):
        self.stopping.set()
        for s in self.sockets:
            s.close()

    def plain(self):
        s = socket.socket()
        s.settimeout(10)
        s.bind(("127.0.0.2", 0))
        s.connect(("127.0.0.1", self.server.port))
        self.sockets.append(s)
        return s

    def tls(self):
        s = context_of(self.server).wrap_socket(self.plain(), server_hostname="127.0.0.1")
        self.sockets.append(s)
        return s

    def head(self, length):
        return (f"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n"
                f"Authorization: Bearer {self.server.keys['acme']}\r\n\r\n").encode()

    def drip(self, sockets, text):
        def run():
            for i in range(200):
                for s in sockets:
                    try:
                        s.send(text[i % len(text):i % len(text) + 1])
                    except OSError:
                        pass  # ended by the server: that is the point
                if self.stopping.wait(0.1):
                    return

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.stopping.set)

    def others_are_served(self):
        found, baseline = holds(self.server, self.baseline), self.baseline
        if found >= bound(baseline):  # the machine may have become busier meanwhile: is it they?
            for s in self.sockets:
                s.close()
            time.sleep(1)
            baseline = max(baseline, min(p99(self.server) for _ in range(TRIES)))
        self.assertLess(found, bound(baseline))

    def closed(self, sockets, within):
        """All of them are ended by the server."""
        end = time.monotonic() + within
        left = [s for s in sockets if s.fileno() >= 0]  # others_are_served may have ended them
        while left:
            self.assertLess(time.monotonic(), end, f"{len(left)} are still open")
            for s in list(left):
                readable, _, _ = select.select([s], [], [], 0.05)
                if readable:
                    try:
                        while s.recv(4096):
                            pass
                    except OSError:
                        pass
                    left.remove(s)

    def test_silent(self):
        silent = [self.plain() for _ in range(60)]
        self.others_are_served()
        half = [self.plain() for _ in range(60)]
        for s in half:
            s.send(b"\x16\x03\x01")
        self.others_are_served()
        self.assertTrue(silent)
        self.closed(half, 12)

    def test_dripping_heads(self):
        dripping = [self.tls() for _ in range(60)]
        self.drip(dripping, b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100)
        self.others_are_served()
        self.closed(dripping, 12)

    def test_dripping_bodies(self):
        dripping = [self.tls() for _ in range(60)]
        for s in dripping:
            s.sendall(self.head(1000) + b"{")
        self.drip(dripping, b" ")
        self.others_are_served()
        self.closed(dripping, 12)

    def test_half_bodies(self):
        half = [self.tls() for _ in range(60)]
        for s in half:
            s.sendall(self.head(len(BODY)) + BODY.encode()[:len(BODY) // 2])
        self.others_are_served()
        self.closed(half, 12)

    def test_a_silent_connection_does_not_reach_the_server(self):
        """TCP_DEFER_ACCEPT: until its first byte it is not among those that the server has taken."""
        pid, = self.server.processes()["front"]

        def descriptors():
            return len(os.listdir(f"/proc/{pid}/fd"))

        time.sleep(0.5)
        before = descriptors()
        silent = [self.plain() for _ in range(20)]
        time.sleep(1)
        self.assertLess(descriptors(), before + 5)
        for s in silent:
            s.send(b"\x16")
        end = time.monotonic() + 5
        while descriptors() < before + 15:
            self.assertLess(time.monotonic(), end, "they do not arrive")
            time.sleep(0.05)


class Door(unittest.TestCase):
    """Limits before authentication, and the screen of heads."""

    @classmethod
    def setUpClass(cls):
        cls.server = served("limits:\n  connections: 64\n  connections_per_source: 8\n"
                            "  failures_per_source: 20\n")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def tls(self, source="127.0.0.1"):
        plain = socket.socket()
        plain.settimeout(10)
        plain.bind((source, 0))
        plain.connect(("127.0.0.1", self.server.port))
        s = context_of(self.server).wrap_socket(plain, server_hostname="127.0.0.1")
        self.addCleanup(s.close)
        return s

    def send(self, head, source="127.0.0.1"):
        """-> status, text, whether the server has closed."""
        s = self.tls(source)
        s.sendall(head if isinstance(head, bytes) else head.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            more = s.recv(65536)
            if not more:
                break
            answer += more
        s.settimeout(1)
        closed = False
        try:
            while True:
                more = s.recv(65536)
                if not more:
                    closed = True
                    break
                answer += more
        except (TimeoutError, OSError):
            pass
        return int(answer.split()[1]) if answer else 0, answer.decode(), closed

    def test_heads_that_are_refused_close_the_connection(self):
        key = self.server.keys["acme"]
        good = f"Host: x\r\nAuthorization: Bearer {key}\r\n"
        post = "POST /v2/models/m/infer HTTP/1.1\r\n"
        heads = {
            "length and transfer encoding": post + good + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "the other order": post + good + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
            "two lengths": post + good + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            "two different lengths": post + good + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "a list of lengths": post + good + "Content-Length: 2, 2\r\n\r\n{}",
            "a length with a sign": post + good + "Content-Length: +2\r\n\r\n{}",
            "a negative length": post + good + "Content-Length: -2\r\n\r\n{}",
            "a hexadecimal length": post + good + "Content-Length: 0x2\r\n\r\n{}",
            "an empty length": post + good + "Content-Length: \r\n\r\n{}",
            "a length that overflows": post + good + "Content-Length: 99999999999999999999999\r\n\r\n{}",
            "two hosts": "GET /v2 HTTP/1.1\r\nHost: y\r\n" + good + "\r\n",
            "no host": f"GET /v2 HTTP/1.1\r\nAuthorization: Bearer {key}\r\n\r\n",
            "two authorisations": "GET /v2 HTTP/1.1\r\n" + good + f"Authorization: Bearer {key}\r\n\r\n",
            "both kinds of key": "GET /v2 HTTP/1.1\r\n" + good + f"X-Api-Key: {key}\r\n\r\n",
            "61 headers": "GET /v2 HTTP/1.1\r\n" + good + "".join(f"X-{i}: 1\r\n" for i in range(59)) + "\r\n",
            "hundreds of headers": "GET /v2 HTTP/1.1\r\n" + good + "".join(f"X-{i}: 1\r\n" for i in range(400)) + "\r\n",
        }
        for name, head in heads.items():
            with self.subTest(name):
                status, text, closed = self.send(head)
                self.assertEqual((status, closed), (400, True), text)
        status, text, closed = self.send("GET /v2 HTTP/1.1\r\n" + good
                                         + "".join(f"X-{i}: 1\r\n" for i in range(58)) + "\r\n")
        self.assertEqual((status, closed), (200, False), "60 headers are taken")

    def test_who_has_no_valid_key_too_often_is_turned_away(self):
        source = "127.0.0.9"
        bad = "GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sr_nothing\r\n\r\n"
        good = f"GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.server.keys['acme']}\r\n\r\n"
        for _ in range(20):
            status, answer, closed = self.send(bad, source)
            self.assertEqual((status, closed), (401, True), answer)
        for text in (bad, good):
            status, answer, closed = self.send(text, source)
            self.assertEqual((status, closed), (429, True), answer)
            wait = int(answer.split("Retry-After: ")[1].split("\r\n")[0])
            self.assertTrue(1 <= wait <= 60, wait)
        self.assertEqual(self.send(good)[0], 200, "other sources are not concerned")
        self.assertIn(f"source={source}", self.server.log_text())

    def test_connections_of_one_source(self):
        held = [self.tls("127.0.0.7") for _ in range(8)]
        for s in held:
            s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 200 "))
        status, answer, closed = self.send("GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.7")
        self.assertEqual((status, closed), (429, True), answer)
        self.assertEqual(self.send("GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n", "127.0.0.8")[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
