#!/usr/bin/env python3
"""What goes wrong must end in a clear answer, with nothing half stored and nothing promised lost."""

import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest

import harness
import onnx_file
from harness import Server, tensor

PATTERN = bytes(range(1, 33))


def stored(server):
    return sorted(p.name for p in (server.data / "models").iterdir())


class UploadFaults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        cls.server.tenant("globex")
        cls.plain = onnx_file.linear(PATTERN)
        cls.sealed = cls.server.seal("acme", cls.plain)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def refused(self, sealed, status, *words, tenant="acme"):
        before = stored(self.server)
        answer = self.server.upload(tenant, "broken", sealed)
        self.assertEqual(answer.status, status, answer)
        for word in words:
            self.assertIn(word, answer.error)
        self.assertEqual(stored(self.server), before, "a refused upload left a file")
        index = self.server.request("POST", "/v2/repository/index", body={}, key=tenant).json
        self.assertNotIn("broken", [m["name"] for m in index])
        self.assertEqual(self.server.request("GET", "/v2/models/broken", key=tenant).status, 404)
        record = [r for r in self.server.audit(tenant) if r["action"] == "model.upload"][0]
        self.assertNotEqual(record["outcome"], "ok")

    def test_not_an_age_file(self):
        self.refused(self.plain, 400)

    def test_empty(self):
        self.refused(b"", 400)

    def test_header_alone(self):
        end = self.sealed.index(b"\n---") + 1
        end = self.sealed.index(b"\n", end) + 1
        self.refused(self.sealed[:end], 400)
        for size in (1, 16, 31):
            self.refused(self.sealed[: end + size], 400, "too short")

    def test_corrupt_header(self):
        """A stanza of another kind is well-formed, and nobody's here; a broken MAC is neither."""
        self.refused(self.sealed.replace(b"X25519", b"X25518", 1), 422, "recipient")
        mac = self.sealed.index(b"\n---") + 10
        bad = bytearray(self.sealed)
        bad[mac] = ord("A") if bad[mac] != ord("A") else ord("B")
        self.refused(bytes(bad), 400)

    def test_corrupt_payload(self):
        for place in (len(self.sealed) - 1, len(self.sealed) - 40, len(self.sealed) - 9000):
            bad = bytearray(self.sealed)
            bad[place] ^= 1
            self.refused(bytes(bad), 400)

    def test_truncated_payload(self):
        for size in (1, 16, 5000):
            self.refused(self.sealed[:-size], 400)

    def test_trailing_bytes(self):
        self.refused(self.sealed + b"x", 400)

    def test_wrong_recipient(self):
        self.refused(self.sealed, 422, "recipient", tenant="globex")

    def test_not_a_model(self):
        self.refused(self.server.seal("acme", b"this is not ONNX"), 400)

    def test_unsupported_operators_are_listed_at_once(self):
        nodes = [onnx_file.node("Frobnicate", ["x"], ["t"]),
                 onnx_file.node("Defenestrate", ["t"], ["y"], domain="example.org")]
        plain = onnx_file.model(nodes, [onnx_file.value("x", onnx_file.FLOAT, [1])],
                                [onnx_file.value("y", onnx_file.FLOAT, [1])])
        self.refused(self.server.seal("acme", plain), 422, "Frobnicate", "Defenestrate")

    def test_substituted_payload_is_refused_by_its_commitment(self):
        """Who can write to the store puts another model, sealed to the same tenant, in its place."""
        self.assertIn(self.server.upload("acme", "victim", self.sealed).status, (200, 201))
        other = self.server.seal("acme", onnx_file.linear(bytes(range(101, 133))))
        end = other.index(b"\n", other.index(b"\n---") + 1) + 1
        self.server.stop()
        row = subprocess.run(
            ["sqlite3", str(self.server.data / "store.db"),
             "select id from models where name = 'victim'"],
            capture_output=True, text=True, check=True).stdout.strip()
        (self.server.data / "models" / row).write_bytes(other[end:])
        header = self.server.folder / "header"
        header.write_bytes(other[:end])
        subprocess.run(["sqlite3", str(self.server.data / "store.db"),
                        f"update models set header = readfile('{header}'), "
                        f"payload_size = {len(other) - end} where id = {row}"], check=True)
        self.server.start()
        answer = self.server.infer("acme", "victim", [tensor("x", [1, 64], [0.0] * 64)])
        self.assertEqual(answer.status, 409, answer)
        self.assertIn("not the one", answer.error)
        self.server.stop()
        subprocess.run(["sqlite3", str(self.server.data / "store.db"),
                        f"update models set commitment = null where id = {row}"], check=True)
        self.server.start()
        answer = self.server.infer("acme", "victim", [tensor("x", [1, 64], [0.0] * 64)])
        self.assertEqual(answer.status, 409, answer)
        self.assertEqual(self.server.request(
            "DELETE", "/v2/repository/models/victim/versions/1", key="acme").status, 200)


class Kills(unittest.TestCase):
    def test_worker_killed_in_mid_request(self):
        with Server() as server:
            server.tenant("acme")
            server.tenant("globex")
            n = 900
            slow = onnx_file.slow(60)
            small = onnx_file.linear(PATTERN)
            self.assertIn(server.upload("acme", "slow", server.seal("acme", slow)).status, (200, 201))
            self.assertIn(server.upload("globex", "small", server.seal("globex", small)).status,
                          (200, 201))
            question = [tensor("x", [1, 64], [0.0] * 64)]
            self.assertEqual(server.infer("globex", "small", question).status, 200)
            workers = server.processes()["worker"]
            self.assertEqual(len(workers), 2)
            answers = []
            body = [tensor("x", [n, n], [1e-3] * (n * n))]
            runs = threading.Thread(
                target=lambda: answers.append(server.infer("acme", "slow", body)))
            runs.start()
            busiest = self.busiest(workers)
            os.kill(busiest, signal.SIGKILL)
            runs.join(30)
            self.assertEqual([a.status for a in answers], [503], answers)
            # Nobody else notices, and the one concerned is served again by a new worker.
            self.assertEqual(server.infer("globex", "small", question).status, 200)
            deadline = time.monotonic() + 20
            tiny = [tensor("x", [2, 2], [1.0, 0.0, 0.0, 1.0])]
            while time.monotonic() < deadline:
                again = server.infer("acme", "slow", tiny)
                if again.status == 200:
                    break
                self.assertEqual(again.status, 503)
                self.assertIn("Retry-After", again.headers)
                time.sleep(0.1)
            self.assertEqual(again.status, 200)
            outcomes = [r["outcome"] for r in server.audit("acme") if r["action"] == "model.infer"]
            self.assertIn("unavailable", outcomes)

    @staticmethod
    def busiest(pids):
        """The worker that computes: the one whose CPU time grows."""
        def ticks(pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        start = {pid: ticks(pid) for pid in pids}
        for _ in range(400):
            time.sleep(0.025)
            for pid in pids:
                if ticks(pid) - start[pid] > 20:
                    return pid
        raise AssertionError("no worker computes")

    def test_server_killed_in_mid_upload(self):
        server = Server().start()
        try:
            server.tenant("acme")
            sealed = server.seal("acme", onnx_file.linear(PATTERN, 512, 512))
            self.assertIn(server.upload("acme", "whole", sealed).status, (200, 201))
            promised = {r["seq"]: r for r in server.audit("acme")}
            connection = server.connect()
            connection.putrequest("PUT", "/v2/repository/models/half/versions/1")
            connection.putheader("Authorization", "Bearer " + server.keys["acme"])
            connection.putheader("Content-Length", str(len(sealed)))
            connection.endheaders()
            connection.send(sealed[: len(sealed) // 2])
            time.sleep(0.5)
            self.assertEqual(len(stored(server)), 2, "the upload has begun")
            server.stop(signal.SIGKILL)
            connection.close()
            time.sleep(0.3)
            (server.data / "models" / "4711").write_bytes(b"a row that names this file was deleted")
            server.start()
            self.assertEqual(len(stored(server)), 1, "half an upload stays")
            index = server.request("POST", "/v2/repository/index", body={}, key="acme").json
            self.assertEqual([m["name"] for m in index], ["whole"])
            self.assertEqual(server.infer("acme", "whole", [tensor("x", [1, 512], [1.0] * 512)]).status,
                             200)
            after = {r["seq"]: r for r in server.audit("acme")}
            for seq, record in promised.items():
                self.assertEqual(after.get(seq), record, "a promised record is lost")
            self.assertEqual(server.upload("acme", "half", sealed).status // 100, 2)
        finally:
            server.close()


class DiskFull(unittest.TestCase):
    @staticmethod
    def ready(server, wanted):
        """What readiness says, as soon as it is of that status."""
        end = time.monotonic() + 10
        answer = server.request("GET", "/v2/health/ready", key=None)
        while answer.status != wanted and time.monotonic() < end:
            time.sleep(0.1)
            answer = server.request("GET", "/v2/health/ready", key=None)
        return answer

    @staticmethod
    def doctor(server):
        checks = json.loads(server.cli("doctor", "--json", check=False).stdout)["checks"]
        return {c["check"]: c for c in checks}

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small file system takes root")
    def test_no_answer_without_its_record(self):
        server = Server()
        try:
            why_not = server.on_small_disk(6)
            if why_not:
                self.skipTest(why_not)
            server.start()
            server.tenant("acme")
            sealed = server.seal("acme", onnx_file.linear(PATTERN))
            self.assertEqual(server.upload("acme", "m", sealed).status // 100, 2)
            question = [tensor("x", [1, 64], [1.0] * 64)]
            self.assertEqual(server.infer("acme", "m", question).status, 200)
            count = len(server.audit("acme"))
            filler = server.data / "filler"
            with open(filler, "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(b"\0" * 4096)
                except OSError:
                    pass
            # The write-ahead log may still have room inside what is allocated: ask until it is used.
            for _ in range(2000):
                answer = server.infer("acme", "m", question)
                if answer.status != 200:
                    break
            self.assertEqual(answer.status, 503, answer)
            self.assertNotIn("outputs", answer.json)
            self.assertIn("Retry-After", answer.headers)
            self.assertEqual(server.infer("acme", "m", question).status, 503)
            told = self.ready(server, 503)
            self.assertEqual(told.status, 503, told)
            self.assertIn("recorded", told.error)
            self.assertIn("Retry-After", told.headers)
            verdicts = self.doctor(server)
            self.assertEqual(verdicts["audit log"]["verdict"], "bad", verdicts)
            self.assertIn("503", verdicts["audit log"]["reason"])
            self.assertEqual(verdicts["disk space"]["verdict"], "bad", verdicts)
            filler.unlink()
            # By itself: while it is not ready, nobody asks it anything else.
            self.assertEqual(self.ready(server, 200).status, 200)
            self.assertEqual(self.doctor(server)["audit log"]["verdict"], "ok")
            newest = json.loads(server.cli("audit", "list", "--limit", "9", "--json").stdout)
            actions = [r["record"]["action"] for r in newest["records"]]
            self.assertEqual(actions.count("audit.resumed"), 1, actions)
            self.assertEqual(server.infer("acme", "m", question).status, 200)
            self.assertGreaterEqual(len(server.audit("acme")), count)
            self.assertEqual(server.stop(), 0)
        finally:
            server.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
