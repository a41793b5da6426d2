#!/usr/bin/env python3
"""Ambiguous and malformed requests, byte for byte over TLS: each gets exactly one answer, or the
connection just closes; what follows it is never taken for a second request. And targets in every
form that HTTP has, and clients that stop in the middle of a body."""

import json
import socket
import ssl
import time
import unittest

import onnx_file
from harness import Server, tensor

SECOND = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"


class Wire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.key = cls.server.tenant("acme").encode()
        cls.context = ssl.create_default_context(cafile=str(cls.server.data / "tls" / "cert.pem"))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def send(self, data, wait=3):
        """All that comes back until the server closes or says nothing for a while."""
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=wait) as plain:
            with self.context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(data)
                back, closed = b"", False
                try:
                    while True:
                        block = tls.recv(65536)
                        if not block:
                            closed = True
                            break
                        back += block
                except (TimeoutError, socket.timeout):
                    pass
                except (ssl.SSLError, ConnectionError):
                    closed = True
                return back, closed

    def head(self, *lines, method=b"GET", path=b"/v2", end=b"\r\n"):
        first = method + b" " + path + b" HTTP/1.1"
        fields = [b"Host: x", b"Authorization: Bearer " + self.key, *lines]
        return end.join([first, *fields, b"", b""])

    def test_a_good_pair_gets_two_answers(self):
        back, _ = self.send(self.head() + SECOND, wait=1)
        self.assertEqual(back.count(b"HTTP/1.1 200"), 2, back)

    def test_one_answer_or_a_close(self):
        length = b"Content-Length: %d" % len(SECOND)
        cases = {
            "folded": self.head(b"X-A: b", b" c", length),
            "folded with a tab": self.head(b"X-A: b", b"\tc", length),
            "a line of spaces": self.head(b"X-A: b", b"  ", length),
            "a line that begins with a colon": self.head(b": x", length),
            "a line of bytes that are no letters": self.head(b"\x80a: x", length),
            "control character in a name": self.head(b"X\x01A: x", length),
            "space before the colon": self.head(b"Content-Length : %d" % len(SECOND)),
            "no colon": self.head(b"nonsense", length),
            "bare LF": self.head(length, end=b"\n"),
            "one bare LF": self.head().replace(b"Host: x\r\n", b"Host: x\n" + length + b"\r\n"),
            "NUL in a value": self.head(b"X-A: b\0" + length),
            "NUL in the path": self.head(path=b"/v2\0x"),
            "length and encoding": self.head(length, b"Transfer-Encoding: chunked"),
            "encoding alone": self.head(b"Transfer-Encoding: chunked"),
            "two lengths": self.head(length, b"Content-Length: 0"),
            "a length with a sign": self.head(b"Content-Length: +5"),
            "a length with a tail": self.head(b"Content-Length: 5x"),
            "a negative length": self.head(b"Content-Length: -1"),
            "an endless length": self.head(b"Content-Length: 99999999999999999999"),
            "two hosts": self.head(b"Host: y"),
            "two keys": self.head(b"Authorization: Bearer x"),
            "seventy headers": self.head(*[b"X-%d: y" % i for i in range(70)]),
            "POST without a length": self.head(method=b"POST", path=b"/v2/models/m/infer"),
            "PUT without a length": self.head(method=b"PUT",
                                              path=b"/v2/repository/models/m/versions/1"),
            "no headers at all": b"GET /v2 HTTP/1.1\r\n\r\n",
            "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "no request": b"\x16\x03\x01\x02\x00\r\n\r\n",
        }
        for name, request in cases.items():
            with self.subTest(name):
                back, closed = self.send(request + SECOND)
                self.assertLessEqual(back.count(b"HTTP/1.1 "), 1, back)
                self.assertNotIn(b"HTTP/1.1 200", back)
                self.assertTrue(closed, "stays open")

    def test_head_has_no_body(self):
        back, _ = self.send(self.head(method=b"HEAD") + SECOND, wait=1)
        first, rest = back.split(b"\r\n\r\n", 1)
        self.assertTrue(first.startswith(b"HTTP/1.1 200"), first)
        self.assertGreater(int(first.split(b"Content-Length: ")[1].split(b"\r\n")[0]), 0)
        self.assertTrue(rest.startswith(b"HTTP/1.1 200"), rest[:100])

    def test_a_load_balancer_probes_with_head(self):
        for path in (b"/v2/health/live", b"/v2/health/ready"):
            back, _ = self.send(b"HEAD " + path + b" HTTP/1.0\r\nHost: x\r\n\r\n")
            first, rest = back.split(b"\r\n\r\n", 1)
            self.assertTrue(first.startswith(b"HTTP/1.1 200"), first)
            self.assertEqual(rest, b"")

    def test_targets_that_are_addresses(self):
        """Served whatever the host, with and without a port, in either case; also the listener's
        own port, which the HTTP library takes by itself; a body and all."""
        plain, _ = self.send(self.head(b"Connection: close"))
        body = plain.split(b"\r\n\r\n", 1)[1]
        for host in (b"x", b"x:443", b"127.0.0.1:%d" % self.server.port, b"HTTPS", b"[::1]:8443",
                     b"other.example"):
            with self.subTest(host):
                back, closed = self.send(self.head(path=b"https://" + host + b"/v2"), wait=2)
                first, rest = back.split(b"\r\n\r\n", 1)
                self.assertTrue(first.startswith(b"HTTP/1.1 200"), first)
                self.assertEqual(rest, body)
                self.assertTrue(closed or b"keep-alive" in first)
        answer = self.server.request("POST", "HTTPS://x/v1/keys", key="acme", body={"label": "x"})
        self.assertEqual((answer.status, answer.error), (400, "scopes: missing; name what the key may "
                                                              'do, such as ["infer"]'))
        answer = self.server.request("GET", "https://x/v1/keys?limit=1", key="acme")
        self.assertEqual((answer.status, len(answer.json["keys"])), (200, 1))

    def test_each_is_answered_once(self):
        """Behind answered ones, in front of others, and after an earlier one on the same thread."""
        for _ in range(5):
            for last in (self.head(path=b"*", method=b"OPTIONS"), self.head(path=b"https://x/v2"),
                         self.head(method=b"BREW"), b"nonsense\r\n\r\n", b"nons"):
                back, closed = self.send(self.head() + last + SECOND, wait=1.5)
                self.assertTrue(closed)
                self.assertEqual(back.count(b"HTTP/1.1 "), 2, (last, back))
                self.assertTrue(back.startswith(b"HTTP/1.1 200"), back)
            # A connection that asks nothing gets nothing, at once.
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as plain:
                with self.context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                    self.assertEqual(tls.unwrap().recv(100), b"")
            self.assertLess(time.monotonic() - began, 3)


class Gone(unittest.TestCase):
    """A client that ends in the middle of a body: TLS alone, or TCP with or without it."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server("limits:\n  request_timeout_ms: 20000\n")
        cls.server.start()
        cls.key = cls.server.tenant("acme")
        cls.context = ssl.create_default_context(cafile=str(cls.server.data / "tls" / "cert.pem"))
        model = onnx_file.linear(bytes(range(1, 33)), rows=4, columns=4)
        answer = cls.server.upload("acme", "m", cls.server.seal("acme", model))
        assert answer.status in (200, 201), answer

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def settled(self, request, within=5.0):
        """The outcome of this request in the audit log, once it is there."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            found = [r for r in self.server.audit("acme") if r["request"] == request]
            if found:
                return found[0]["outcome"]
            time.sleep(0.05)
        return None

    def begin(self, request, path, method, size, sent):
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=15)
        tls = self.context.wrap_socket(plain, server_hostname="127.0.0.1",
                                       suppress_ragged_eofs=True)
        tls.sendall((f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n"
                     f"X-Request-Id: {request}\r\nAuthorization: Bearer {self.key}\r\n\r\n"
                     ).encode() + sent)
        return tls

    def test_it_is_noticed_at_once(self):
        tensors = json.dumps({"inputs": [tensor("x", [1, 4], [1.0] * 4)]}).encode()
        routes = {"infer": ("/v2/models/m/infer", "POST", tensors),
                  "upload": ("/v2/repository/models/n/versions/1", "PUT", b"age-encryption.org/v1\n")}
        for route, (path, method, begun) in routes.items():
            for end in ("close_notify", "both", "FIN"):
                for pause in (0.0, 0.3):
                    name = f"{route}-{end}-{int(pause * 10)}"
                    with self.subTest(name):
                        began = time.monotonic()
                        tls = self.begin(name, path, method, 200000, begun)
                        time.sleep(pause)
                        if end == "close_notify":
                            tls.setblocking(False)  # it says so, and waits for nobody
                            try:
                                tls.unwrap()
                            except (ssl.SSLError, OSError):
                                pass
                        elif end == "both":
                            tls.setblocking(False)
                            try:
                                tls.unwrap()
                            except (ssl.SSLError, OSError):
                                pass
                            tls.close()
                        else:
                            tls.shutdown(socket.SHUT_WR)
                        self.assertEqual(self.settled(name), "invalid")
                        self.assertLess(time.monotonic() - began, 4)
                        tls.close()
        answer = self.server.infer("acme", "m", [tensor("x", [1, 4], [1.0] * 4)])
        self.assertEqual(answer.status, 200, answer)

    def test_who_still_listens_is_told(self):
        """After close_notify, and after the whole body: the answer comes all the same."""
        body = json.dumps({"inputs": [tensor("x", [1, 4], [1.0] * 4)]}).encode()
        for size, status in ((len(body), 200), (len(body) + 50, 400)):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = self.context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
            with socket.create_connection(("127.0.0.1", self.server.port), timeout=5) as plain:
                def pump(step):
                    while True:
                        try:
                            return step()
                        except ssl.SSLWantReadError:
                            plain.sendall(outgoing.read())
                            block = plain.recv(65536)
                            if not block:
                                raise EOFError
                            incoming.write(block)
                pump(tls.do_handshake)
                tls.write((f"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {size}"
                           f"\r\nAuthorization: Bearer {self.key}\r\n\r\n").encode() + body)
                began, back = time.monotonic(), b""
                try:
                    tls.unwrap()  # writes close_notify, and would wait for the server's
                except ssl.SSLWantReadError:
                    pass
                plain.sendall(outgoing.read())
                while b"\r\n\r\n" not in back:
                    try:
                        back += tls.read()
                    except ssl.SSLWantReadError:
                        block = plain.recv(65536)
                        self.assertTrue(block, "the connection ended without an answer")
                        incoming.write(block)
                self.assertTrue(back.startswith(b"HTTP/1.1 %d" % status), back)
                self.assertLess(time.monotonic() - began, 4)


if __name__ == "__main__":
    unittest.main(verbosity=2)
