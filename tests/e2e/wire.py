#!/usr/bin/env python3
"""Ambiguous and malformed requests, byte for byte over TLS: each gets exactly one answer, or the
connection just closes; what follows it is never taken for a second request."""

import socket
import ssl
import unittest

from harness import Server

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
        self.assertTrue(first.startswith(b"HTTP/1.1 405"), first)
        self.assertTrue(rest == b"" or rest.startswith(b"HTTP/1.1 200"), rest[:100])


if __name__ == "__main__":
    unittest.main(verbosity=2)
