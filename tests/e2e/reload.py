#!/usr/bin/env python3
"""Certificates are renewed while the server answers, and SIGTERM lets what is under way finish."""

import hashlib
import http.client
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import onnx_file
from harness import Server, tensor

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]
LOOKS_SOON = 4.0  # seconds; without notices from the kernel the server looks every 5


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_pair(certificate, key, name="server"):
    """A fresh self-signed pair for 127.0.0.1, as two files; returns the certificate's SHA-256."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", str(key), "-out", str(certificate), "-days", "30", "-subj", f"/CN={name}",
            "-addext", "subjectAltName=IP:127.0.0.1")
    os.chmod(key, 0o600)
    return digest(certificate)


def digest(certificate):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pathlib.Path(certificate).read_text())).hexdigest()


def flip(link, target):
    """Turn a symbolic link at once, as renewal programs do."""
    new = link.with_name(link.name + ".new")
    new.symlink_to(target)
    os.replace(new, link)


def anything():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shown(port):
    """SHA-256 of the certificate that a new connection is shown."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with anything().wrap_socket(plain) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()


class Load:
    """Clients that ask without a pause: half on one connection each, half on a new one each time."""

    def __init__(self, server, clients=4):
        self.server, self.stopping = server, False
        self.answered, self.wrong = 0, []
        self.threads = [threading.Thread(target=self.ask, args=(i % 2 == 0,)) for i in range(clients)]

    def ask(self, keep):
        context, connection = anything(), None
        headers = {"Authorization": "Bearer " + self.server.keys["acme"]}
        while not self.stopping:
            try:
                if not connection:
                    connection = http.client.HTTPSConnection("127.0.0.1", self.server.port,
                                                             context=context, timeout=20)
                connection.request("GET", "/v2", headers=headers)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.wrong.append(answer.status)
                self.answered += 1
            except Exception as e:  # whatever it is, a request has failed
                self.wrong.append(repr(e))
                connection = None
            if not keep and connection:
                connection.close()
                connection = None

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        for thread in self.threads:
            thread.join()


class Renewal(unittest.TestCase):
    """data/tls is a link to a folder, and the files in it are links into an archive: Let's Encrypt's
    layout and that of mounted secrets at once."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        data = cls.server.data
        (data / "archive").mkdir()
        (data / "versions" / "1").mkdir(parents=True)
        for name in ("cert", "key"):
            os.rename(data / "tls" / f"{name}.pem", data / "archive" / f"{name}1.pem")
            (data / "versions" / "1" / f"{name}.pem").symlink_to(f"../../archive/{name}1.pem")
        os.rmdir(data / "tls")
        (data / "tls").symlink_to("versions/1")
        cls.server.start()
        cls.server.tenant("acme")
        cls.front = cls.server.processes()["front"]

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def becomes(self, wanted, within=LOOKS_SOON):
        end = time.monotonic() + within
        while shown(self.server.port) != wanted:
            self.assertLess(time.monotonic(), end, self.server.log_text()[-1500:])
            time.sleep(0.02)

    def log_gains(self, words, before, within=LOOKS_SOON):
        end = time.monotonic() + within
        while self.server.log_text().count(words) <= before:
            self.assertLess(time.monotonic(), end, f"{words}: {self.server.log_text()[-1500:]}")
            time.sleep(0.05)

    def test_renewed_in_every_way_under_load(self):
        data = self.server.data
        archive, live = data / "archive", data / "tls"
        with Load(self.server) as load:
            # Links turned one after the other, as certbot does.
            wanted = make_pair(archive / "cert2.pem", archive / "key2.pem")
            flip(live / "key.pem", "../../archive/key2.pem")
            flip(live / "cert.pem", "../../archive/cert2.pem")
            self.becomes(wanted)
            # The folder turned, as kubelet does.
            (data / "versions" / "2").mkdir()
            wanted = make_pair(data / "versions" / "2" / "cert.pem", data / "versions" / "2" / "key.pem")
            flip(data / "tls", "versions/2")
            self.becomes(wanted)
            # Files written anew in place, with a pause in which they do not belong together.
            failed = self.server.log_text().count("the old one stays")
            make_pair(archive / "cert3.pem", archive / "key3.pem")
            (live / "cert.pem").write_bytes((archive / "cert3.pem").read_bytes())
            self.log_gains("the old one stays", failed)
            self.assertIn("does not belong to the certificate", self.server.log_text())
            self.assertEqual(shown(self.server.port), wanted, "half a pair was taken")
            (live / "key.pem").write_bytes((archive / "key3.pem").read_bytes())
            self.becomes(digest(archive / "cert3.pem"))
            # Other files renamed over them.
            wanted = make_pair(archive / "cert4.pem", archive / "key4.pem")
            os.replace(archive / "key4.pem", live / "key.pem")
            os.replace(archive / "cert4.pem", live / "cert.pem")
            self.becomes(wanted)
            # By hand, with nothing changed.
            renewed = self.server.log_text().count("the certificate was renewed")
            self.server.process.send_signal(signal.SIGHUP)
            self.log_gains("the certificate was renewed", renewed)
        self.assertEqual(load.wrong, [])
        self.assertGreater(load.answered, 100)
        self.assertEqual(self.server.processes()["front"], self.front, "front was started again")

    def test_a_broken_pair_changes_nothing(self):
        live = self.server.data / "tls"
        before = shown(self.server.port)
        good = {name: (live / name).read_bytes() for name in ("cert.pem", "key.pem")}
        for name, broken in (("cert.pem", b"no certificate\n"), ("key.pem", b"no key\n"),
                             ("cert.pem", b"")):
            with self.subTest(name, broken=broken):
                failed = self.server.log_text().count("the old one stays")
                (live / name).write_bytes(broken)
                self.log_gains("the old one stays", failed)
                self.assertEqual(shown(self.server.port), before)
                renewed = self.server.log_text().count("the certificate was renewed")
                (live / name).write_bytes(good[name])
                self.log_gains("the certificate was renewed", renewed)
        refused = self.server.log_text().count("the certificate is not renewed")
        os.chmod(live / "key.pem", 0o644)
        self.log_gains("the certificate is not renewed", refused)
        self.assertIn("can be read by others", self.server.log_text())
        os.chmod(live / "key.pem", 0o600)
        self.assertEqual(shown(self.server.port), before)
        if os.geteuid() == 0:  # only root can give a file to someone else, and read it then
            self.a_key_of_someone_else_is_refused(live, before)
        self.assertEqual(self.server.processes()["front"], self.front)


    def a_key_of_someone_else_is_refused(self, live, before):
        refused = self.server.log_text().count("the certificate is not renewed")
        archive = self.server.data / "archive"
        wanted = make_pair(archive / "cert9.pem", archive / "key9.pem")
        os.chown(archive / "key9.pem", 4242, 4242)
        os.replace(archive / "key9.pem", live / "key.pem")
        os.replace(archive / "cert9.pem", live / "cert.pem")
        self.log_gains("the certificate is not renewed", refused)
        self.assertIn("belongs to uid 4242, expected root's", self.server.log_text())
        self.assertEqual(shown(self.server.port), before)
        os.chown(live / "key.pem", 0, 0)
        self.becomes(wanted)

    def test_the_folder_turned_under_load(self):
        """The link `live -> archive-1` turned to archive-2 and back, the pairs in them plain files:
        one step brings both, and no half of a pair is ever looked at."""
        data = self.server.data
        wanted = {}
        for n in (1, 2):
            (data / f"archive-{n}").mkdir()
            wanted[n] = make_pair(data / f"archive-{n}" / "cert.pem", data / f"archive-{n}" / "key.pem")
        before = os.readlink(data / "tls")
        text = self.server.log_text()
        with Load(self.server) as load:
            for n in (1, 2, 1, 2, 1):
                flip(data / "tls", f"archive-{n}")
                self.becomes(wanted[n])
            # Turned without a pause: what it was turned to last is what counts.
            for n in (2, 1) * 10 + (2,):
                flip(data / "tls", f"archive-{n}")
            self.becomes(wanted[2])
        self.assertEqual(load.wrong, [])
        self.assertGreater(load.answered, 50)
        self.assertEqual(self.server.processes()["front"], self.front, "front was started again")
        self.assertNotIn("the old one stays", self.server.log_text()[len(text):])
        flip(data / "tls", before)
        self.becomes(digest(data / "tls" / "cert.pem"))


class Handshakes(unittest.TestCase):
    """The TLS floor, and certificates of clients."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.folder = cls.server.folder
        make_pair(cls.folder / "ca.pem", cls.folder / "ca.key", "authority")
        for name, signer in (("good", "ca"), ("stranger", "other")):
            make_pair(cls.folder / f"{signer}.pem", cls.folder / f"{signer}.key", signer)
            openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", str(cls.folder / f"{name}.key"), "-out",
                    str(cls.folder / f"{name}.csr"), "-subj", f"/CN={name}")
            openssl("x509", "-req", "-in", str(cls.folder / f"{name}.csr"), "-CA",
                    str(cls.folder / f"{signer}.pem"), "-CAkey", str(cls.folder / f"{signer}.key"),
                    "-CAcreateserial", "-days", "5", "-out", str(cls.folder / f"{name}.pem"))
        config = cls.server.data / "strongroom.yaml"
        config.write_text(config.read_text().replace(
            "tls:\n", f"tls:\n  client_ca: {cls.folder}/ca.pem\n  minimum_version: 1.2\n", 1))
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def live(self, name=None, version=None):
        context = anything()
        if name:
            context.load_cert_chain(self.folder / f"{name}.pem", self.folder / f"{name}.key")
        if version:
            context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, context=context,
                                                 timeout=10)
        try:
            connection.request("GET", "/v2/health/live")
            return connection.getresponse().status, connection.sock.version()
        finally:
            connection.close()

    def test_with_without_and_with_a_strange_certificate(self):
        self.assertEqual(self.live(), (200, "TLSv1.3"))
        self.assertEqual(self.live("good"), (200, "TLSv1.3"))
        with self.assertRaises(OSError):
            self.live("stranger")
        # And after a renewal, which keeps the authorities.
        wanted = make_pair(self.server.data / "tls" / "cert.pem", self.server.data / "tls" / "key.pem")
        end = time.monotonic() + 10
        while shown(self.server.port) != wanted:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.assertEqual(self.live("good")[0], 200)
        with self.assertRaises(OSError):
            self.live("stranger")

    def test_the_floor(self):
        self.assertEqual(self.live(version=ssl.TLSVersion.TLSv1_2), (200, "TLSv1.2"))
        with Server() as strict:
            context = anything()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            with socket.create_connection(("127.0.0.1", strict.port), timeout=10) as plain:
                with self.assertRaises(ssl.SSLError):
                    context.wrap_socket(plain)


class Drain(unittest.TestCase):
    """SIGTERM: not ready, what runs is finished, what comes is told when to come back."""

    def slow_server(self, settings):
        server = Server(settings)
        self.addCleanup(server.close)
        server.start()
        server.tenant("acme")
        answer = server.upload("acme", "slow", server.seal("acme", onnx_file.slow(60)))
        self.assertIn(answer.status, (200, 201), answer)
        side = 16
        while True:  # a request of about a second, whatever the machine
            body = [tensor("x", [side, side], [1e-3] * (side * side))]
            began = time.monotonic()
            self.assertEqual(server.infer("acme", "slow", body).status, 200)
            if time.monotonic() - began > 0.8 or side >= 1500:
                return server, body
            side = int(side * 1.5)

    def test_running_requests_finish_and_new_ones_are_sent_away(self):
        server, body = self.slow_server("drain:\n  time_ms: 20000\n")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(server.infer("acme", "slow", body)))
                   for _ in range(4)]
        # Connections that are open already, as a client with a pool has them.
        early = [server.connect() for _ in range(4)]
        for connection in early:
            connection.request("GET", "/v2/health/ready")
            self.assertEqual(connection.getresponse().read(), b'{"live":true,"ready":true}\n')
        for thread in threads:
            thread.start()
        time.sleep(0.4)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.25)
        seen = []
        for connection, path in zip(early, ("/v2/health/ready", "/v2", "/v2/models/slow/infer", "/v2")):
            method = "POST" if path.endswith("infer") else "GET"
            connection.request(method, path, body=b"{}" if method == "POST" else None,
                               headers={"Authorization": "Bearer " + server.keys["acme"]})
            answer = connection.getresponse()
            seen.append((answer.status, answer.headers.get("Retry-After"),
                         answer.headers.get("Connection")))
            answer.read()
        fresh = server.request("GET", "/v2/health/ready", key=None)
        for thread in threads:
            thread.join()
        self.assertEqual([a.status for a in answers], [200] * 4, "a running request was lost")
        for status, retry, connection in seen:
            self.assertEqual((status, connection), (503, "close"))
            self.assertGreater(int(retry), 0)
        self.assertEqual(fresh.status, 503)
        self.assertEqual(fresh.error, "the server is shutting down")
        self.assertEqual(server.process.wait(20), 0)
        self.assertLess(time.monotonic() - began, 20)
        loud = [line for line in server.log_text().splitlines()
                if re.search(r"\b(warn|error)\b", line)]
        self.assertEqual(loud, [], "an orderly stop is nothing to warn of")

    def last_moments(self, server, pause, outcomes):
        """Connects anew all the time; says what became of each that got through."""
        context = anything()
        while True:
            try:
                plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            except OSError:
                return  # nobody is there any more
            try:
                with context.wrap_socket(plain) as tls:
                    tls.sendall(b"GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                                + server.keys["acme"].encode() + b"\r\n\r\n")
                    answer = http.client.HTTPResponse(tls)
                    answer.begin()
                    answer.read()
                    outcomes.append((answer.status, answer.headers["Connection"]))
            except OSError as e:
                outcomes.append(repr(e))
            except http.client.HTTPException as e:
                outcomes.append(repr(e))
            time.sleep(pause)

    def test_who_connects_in_the_last_moments_is_told(self):
        """Some ask so rarely that the server takes it for quiet, others so often that it never is:
        everyone gets an answer, or is not let in at all."""
        for pause, clients in ((0.3, 2), (0.0, 6)):
            with self.subTest(pause):
                server = Server("drain:\n  time_ms: 2500\n")
                self.addCleanup(server.close)
                server.start()
                server.tenant("acme")
                outcomes = []
                threads = [threading.Thread(target=self.last_moments,
                                            args=(server, pause, outcomes)) for _ in range(clients)]
                for thread in threads:
                    thread.start()
                time.sleep(0.3)
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(20), 0)
                for thread in threads:
                    thread.join(30)
                told = [o for o in outcomes if o == (503, "close")]
                wrong = [o for o in outcomes if o not in ((200, "keep-alive"), (200, "close"),
                                                          (503, "close"))]
                self.assertEqual(wrong, [])
                self.assertTrue(told or pause, "nobody was told")
                self.assertGreater(len(outcomes), clients)

    def test_it_ends_within_its_time(self):
        server, _ = self.slow_server("drain:\n  time_ms: 1000\n")
        # A body that never comes keeps a request under way.
        plain = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        with anything().wrap_socket(plain) as tls:
            tls.sendall((f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n"
                         f"Authorization: Bearer {server.keys['acme']}\r\n\r\n{{").encode())
            time.sleep(0.3)
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(20), 0)
            took = time.monotonic() - began
        self.assertTrue(0.9 < took < 6, took)

    def test_readiness_is_false_before_the_port_closes(self):
        server = Server("drain:\n  notice_ms: 1500\n")
        self.addCleanup(server.close)
        server.start()
        server.tenant("acme")
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        self.assertEqual(server.request("GET", "/v2/health/ready", key=None).status, 503)
        self.assertEqual(server.request("GET", "/v2", key="acme").status, 200,
                         "what is asked in the time of notice is answered")
        self.assertEqual(server.process.wait(20), 0)
        self.assertTrue(1.4 < time.monotonic() - began < 8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
