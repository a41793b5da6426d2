#!/usr/bin/env python3
"""No answer without its record, and nobody's trouble is another tenant's: races of deletes, a disk
that an upload would fill, a worker that stops reading, models that must not stay in memory."""

import json
import os
import pathlib
import signal
import threading
import time
import unittest

import onnx_file
from harness import Server, tensor

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]


def together(functions):
    threads = [threading.Thread(target=f) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


class Records(unittest.TestCase):
    def test_every_answer_of_a_race_is_recorded(self):
        with Server() as server:
            server.tenant("acme")
            sealed = server.seal("acme", onnx_file.linear(PATTERN))
            answered = []
            for i in range(6):
                self.assertEqual(server.upload("acme", "m", sealed).status // 100, 2)
                together([lambda n=n: answered.append(server.request(
                    "DELETE", "/v2/repository/models/m/versions/1", key="acme",
                    headers={"X-Request-Id": f"delete-{i}-{n}"})) for n in range(6)])
            # An upload that is deleted before it is complete.
            connection = server.connect()
            connection.putrequest("PUT", "/v2/repository/models/half/versions/1")
            for name, value in (("Authorization", "Bearer " + server.keys["acme"]),
                                ("Content-Length", str(len(sealed))), ("X-Request-Id", "half")):
                connection.putheader(name, value)
            connection.endheaders()
            connection.send(sealed[:5000])
            time.sleep(0.3)
            answered.append(server.request("DELETE", "/v2/repository/models/half/versions/1",
                                           key="acme", headers={"X-Request-Id": "delete-half"}))
            connection.send(sealed[5000:])
            half = connection.getresponse()
            half.read()
            wanted = {a.headers["X-Request-Id"] for a in answered} | {"half"}
            self.assertEqual(len(wanted), 38)
            listed = json.loads(server.cli("audit", "list", "--tenant", "acme", "--limit", "500",
                                           "--json").stdout)["records"]
            recorded = [r["record"]["request"] for r in listed]
            for request in wanted:
                self.assertEqual(recorded.count(request), 1, f"{request}: {half.status}")

    def test_deleted_models_leave_the_memory(self):
        if os.geteuid() != 0:
            self.skipTest("looking into a worker takes root")
        with Server() as server:
            server.tenant("acme")
            sealed = server.seal("acme", onnx_file.linear(PATTERN))
            self.assertEqual(server.upload("acme", "stays", sealed).status // 100, 2)
            self.assertEqual(server.infer("acme", "stays", QUESTION).status, 200)
            worker = server.processes()["worker"][0]

            def regions():
                maps = pathlib.Path(f"/proc/{worker}/maps").read_text()
                return maps.count("secretmem")
            before, stop = regions(), threading.Event()

            def ask():
                while not stop.is_set():
                    server.infer("acme", "goes", QUESTION)
            askers = [threading.Thread(target=ask) for _ in range(3)]
            for asker in askers:
                asker.start()
            for _ in range(8):
                self.assertEqual(server.upload("acme", "goes", sealed).status // 100, 2)
                self.assertEqual(server.request(
                    "DELETE", "/v2/repository/models/goes/versions/1", key="acme").status, 200)
            stop.set()
            for asker in askers:
                asker.join(30)
            end = time.monotonic() + 5
            while regions() > before and time.monotonic() < end:
                time.sleep(0.1)
            self.assertLessEqual(regions(), before)

    def test_a_worker_that_does_not_read_stops_nobody_else(self):
        with Server() as server:
            server.tenant("acme")
            server.tenant("globex")
            for tenant in ("acme", "globex"):
                sealed = server.seal(tenant, onnx_file.linear(PATTERN))
                self.assertEqual(server.upload(tenant, "m", sealed).status // 100, 2)
            uid = json.loads(server.cli("tenant", "show", "acme", "--json").stdout)["uid"]
            log = server.log_text()
            line = [l for l in log.splitlines() if "started role=worker" in l and uid in l][-1]
            acme = int(line.rsplit("pid=", 1)[1].split()[0])
            os.kill(acme, signal.SIGSTOP)
            try:
                # Headers of 60 KiB: a few of them fill the socket to a worker that does not read.
                padding = b"-> padding\n" + (b"A" * 64 + b"\n") * 930 + b"\n"
                sealed = server.seal("acme", onnx_file.linear(PATTERN)).replace(
                    b"\n---", b"\n" + padding + b"---", 1)
                uploads = [threading.Thread(
                    target=lambda n=n: self.quiet(lambda: server.upload(
                        "acme", f"m{n}", sealed, timeout=5)), daemon=True) for n in range(8)]
                for upload in uploads:
                    upload.start()
                time.sleep(1)
                began = time.monotonic()
                self.assertEqual(server.infer("globex", "m", QUESTION, timeout=10).status, 200)
                server.cli("tenant", "list")
                self.assertLess(time.monotonic() - began, 5)
                for upload in uploads:
                    upload.join(10)
            finally:
                self.quiet(lambda: os.kill(acme, signal.SIGCONT))

    @staticmethod
    def announce(server, name, size):
        """The head of an upload, and what comes back for it."""
        connection = server.connect(10)
        connection.connect()
        connection.sock.sendall(
            f"PUT /v2/repository/models/{name}/versions/1 HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {server.keys['acme']}\r\nContent-Length: {size}\r\n"
            "Expect: 100-continue\r\n\r\n".encode())
        return connection.sock, connection.sock.recv(65536)

    @staticmethod
    def quiet(call):
        try:
            return call()
        except OSError:
            return None

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small file system takes root")
    def test_an_upload_does_not_take_the_room_of_the_log(self):
        server = Server()
        try:
            why_not = server.on_small_disk(12)
            if why_not:
                self.skipTest(why_not)
            server.start()
            server.tenant("acme")
            server.tenant("globex")
            small = server.seal("globex", onnx_file.linear(PATTERN))
            self.assertEqual(server.upload("globex", "m", small).status // 100, 2)
            # Refused on the headers alone, before a byte of the body was sent.
            connection, answer = self.announce(server, "big", 14 << 20)
            self.assertIn(b"503", answer)
            self.assertIn(b"no room", answer)
            connection.close()
            # Two that fit one by one do not fit together: what the first may take is reserved.
            first, answer = self.announce(server, "first", 7 << 20)
            self.assertEqual(answer, b"HTTP/1.1 100 Continue\r\n\r\n")
            second, answer = self.announce(server, "second", 7 << 20)
            self.assertIn(b"503", answer)
            first.sendall(small[:small.index(b"\n", small.index(b"\n---") + 1) + 1] + bytes(3 << 20))
            self.assertEqual(server.infer("globex", "m", QUESTION).status, 200)
            first.close()
            second.close()
            end = time.monotonic() + 10
            while len(list((server.data / "models").iterdir())) > 1 and time.monotonic() < end:
                time.sleep(0.1)
            self.assertEqual(server.infer("globex", "m", QUESTION).status, 200)
            self.assertEqual(len(list((server.data / "models").iterdir())), 1)
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
