#!/usr/bin/env python3
"""Who edits the store, and whoever has only the root, the store and the files.

Environment: STRONGROOM_BIN (folder with strongroomd and strongroom).
"""

import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

import onnx_file
from harness import BIN, ROOT, Server, tensor

PROGRAMS = all(shutil.which(name) for name in ("age", "sqlite3"))


def block(name):
    """The commands of docs/OPERATIONS.md that stand under this name."""
    text = (ROOT / "docs" / "OPERATIONS.md").read_text()
    found, = re.findall(rf"^```sh {name}\n(.*?)^```$", text, re.M | re.S)
    return found


class Swap(unittest.TestCase):
    """A note of another tenant, put in place by SQL: signed by the server, and refused."""

    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)
        self.uids = {}
        for name in ("acme", "mallory"):
            self.server.tenant(name)
            shown = json.loads(self.server.cli("tenant", "show", name, "--json").stdout)
            self.uids[name] = shown["uid"]

    def seal(self, tenant):
        plain, sealed = self.server.folder / "plain", self.server.folder / "sealed"
        plain.write_bytes(b"weights")
        sealed.unlink(missing_ok=True)
        done = subprocess.run(
            [BIN / "strongroom", "seal", plain, "-o", sealed, "--no-check", "--json", "--server",
             f"https://127.0.0.1:{self.server.port}", "--cacert",
             self.server.data / "tls" / "cert.pem", "--verifier", self.server.verifier,
             "--tenant", tenant],
            capture_output=True, text=True, timeout=60,
            env=dict(os.environ, STRONGROOM_KEY=self.server.keys["acme"]))
        self.assertEqual(sealed.exists(), done.returncode == 0)
        return done

    def edit(self, statement):
        database = sqlite3.connect(self.server.data / "store.db")
        self.assertEqual(database.execute(statement).rowcount, 1)
        database.commit()
        database.close()

    def test_a_swapped_note_is_refused(self):
        self.server.start()
        for meant in ("acme", self.uids["acme"]):
            done = self.seal(meant)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["recipient"], self.server.recipient("acme"))
        self.server.stop()
        self.edit("UPDATE tenants SET (note, recipient) = (SELECT note, recipient FROM tenants "
                  "WHERE name = 'mallory') WHERE name = 'acme'")
        self.server.start()
        for meant in ("acme", self.uids["acme"]):
            done = self.seal(meant)
            self.assertEqual(done.returncode, 3, done.stderr)
            for part in (meant, "mallory", self.uids["mallory"], "nothing is sealed"):
                self.assertIn(part, done.stderr)

    def test_a_tenant_renamed_by_sql_is_refused_by_uid(self):
        """The names exchanged, notes and all: the signed texts still say whose they are."""
        self.edit("UPDATE tenants SET name = 'gone' WHERE name = 'acme'")
        self.edit("UPDATE tenants SET name = 'acme' WHERE name = 'mallory'")
        self.server.start()
        self.server.keys["acme"] = self.server.keys["mallory"]  # which is now acme's, it seems
        for meant in ("acme", self.uids["acme"]):
            self.assertEqual(self.seal(meant).returncode, 3)


@unittest.skipUnless(PROGRAMS, "needs the programs age and sqlite3")
class Recovery(unittest.TestCase):
    """docs/OPERATIONS.md: its commands, run as they stand there."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.addClassCleanup(cls.server.close)
        cls.plain = {}
        for tenant in ("acme", "globex"):
            cls.server.tenant(tenant)
            cls.plain[tenant] = onnx_file.linear(tenant.encode() + b"-weights", 200, 200)
            sealed = cls.server.seal(tenant, cls.plain[tenant])
            answer = cls.server.upload(tenant, "m", sealed)
            if answer.status not in (200, 201):
                raise RuntimeError(repr(answer))

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-recovery-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def run_block(self, commands, **variables):
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        return subprocess.run(["sh", "-eu", "-c", commands], cwd=work, capture_output=True,
                              text=True, timeout=60,
                              env={"PATH": os.environ["PATH"],
                                   **{name: str(v) for name, v in variables.items()}})

    def recovered(self, data, root):
        done = self.run_block(block("list"), data=data)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split("|") for line in done.stdout.splitlines()]
        self.assertEqual(sorted(row[1:] for row in rows),
                         [["acme", "m", "1"], ["globex", "m", "1"]])
        for model, tenant, *_ in rows:
            done = self.run_block(block("recover"), data=data, root=root, id=model)
            self.assertEqual(done.returncode, 0, done.stderr)
            work = self.folder / "work"
            self.assertEqual((work / "model.onnx").read_bytes(), self.plain[tenant])
            self.assertEqual(done.stdout, "")
            self.assertEqual((work / "model.onnx").stat().st_mode & 0o077, 0)
            self.assertFalse((work / "identity.txt").exists())
            shutil.rmtree(work)
        return rows

    def test_from_a_backup_of_a_running_server(self):
        backup = self.folder / "backup"
        done = self.run_block(block("backup"), data=self.server.data, backup=backup)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse((backup / "keys" / "root.txt").exists())
        root = self.server.data / "keys" / "root.txt"
        rows = self.recovered(backup, root)
        payload = backup / "models" / rows[0][0]
        changed = bytearray(payload.read_bytes())
        changed[-40] ^= 1
        payload.write_bytes(changed)
        done = self.run_block(block("recover"), data=backup, root=root, id=rows[0][0])
        self.assertNotEqual(done.returncode, 0)

    def test_from_the_folder_itself(self):
        self.recovered(self.server.data, self.server.data / "keys" / "root.txt")

    def test_a_backup_serves_again(self):
        other = Server()
        self.addCleanup(other.close)
        shutil.rmtree(other.data)
        done = self.run_block(block("backup"), data=self.server.data, backup=other.data)
        self.assertEqual(done.returncode, 0, done.stderr)
        shutil.copy(self.server.data / "keys" / "root.txt", other.data / "keys" / "root.txt")
        config = other.data / "strongroom.yaml"
        config.write_text(config.read_text().replace(f":{self.server.port}", f":{other.port}"))
        other.keys = self.server.keys
        other.start()
        answer = other.infer("globex", "m", [tensor("x", [1, 200], [0.0] * 200)])
        self.assertEqual(answer.status, 200, answer)


if __name__ == "__main__":
    unittest.main(verbosity=2)
