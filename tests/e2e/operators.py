#!/usr/bin/env python3
"""What an operator does: check a configuration, give keys to others, recover from losses."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import unittest

import onnx_file
from harness import BIN, ROOT, Server, tensor
from recipient import block

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]
AS_ROOT = os.geteuid() == 0


def strongroomd(*arguments):
    return subprocess.run([BIN / "strongroomd", *arguments], capture_output=True, text=True, timeout=60)


def upload(server, tenant="acme"):
    answer = server.upload(tenant, "m", server.seal(tenant, onnx_file.linear(PATTERN)))
    assert answer.status in (200, 201), answer


class Settings(unittest.TestCase):
    def test_the_reference_is_what_the_program_says(self):
        found, = re.findall(r"^```text settings\n(.*?)^```$",
                            (ROOT / "docs" / "OPERATIONS.md").read_text(), re.M | re.S)
        self.assertEqual(found, strongroomd("--settings").stdout)

    def test_the_defaults_of_a_new_file_are_the_defaults(self):
        """Every commented setting that has a default, uncommented, changes nothing."""
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder=folder)
            config = server.data / "strongroom.yaml"
            text = config.read_text().split("# What else there is")[1].splitlines()[1:]
            lines = [re.sub(r"^# ?", "", line) for line in text]
            used, names = [], set()
            for i, line in enumerate(lines):
                if re.match(r"^\w+:$", line):
                    group = [m for m in lines[i + 1:i + 30]
                             if re.match(r"^  \w+: \S", m)] if line != "admin:" and line != "metrics:" else []
                    if group:
                        used.append(line)
                elif re.match(r"^ *\w+: \S", line):
                    used.append(line)
                    names.add(line.split(":")[0].strip())
            self.assertGreaterEqual(len(names), 15, lines)
            config.write_text(config.read_text() + "\n" + "\n".join(used) + "\n")
            done = strongroomd("--check", "--config", str(config))
            self.assertEqual((done.returncode, done.stderr), (0, ""), config.read_text())


class Check(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.config = cls.server.data / "strongroom.yaml"
        cls.good = cls.config.read_text()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.config.write_text(self.good)

    def line_of(self, words):
        lines = self.config.read_text().splitlines()
        found, = [i for i, line in enumerate(lines, 1) if line.strip().startswith(words)]
        return found

    def check(self, status, *messages):
        done = strongroomd("--check", "--config", str(self.config))
        self.assertEqual(done.returncode, status, done.stderr)
        for message in messages:
            # "line N: ..." is to stand there as FILE:N:COLUMN: ...
            place = re.match(r"line (\d+): ", message)
            wanted = re.escape(message[place.end():] if place else message)
            if place:
                wanted = re.escape(f"{self.config}:{place[1]}:") + r"\d+: " + wanted
            self.assertRegex(done.stderr, wanted)
        return done

    def test_good(self):
        self.assertEqual(self.check(0).stdout.splitlines()[-1], "the configuration is good")

    def test_every_fault_of_the_text_is_told_at_once(self):
        self.config.write_text(
            "listen: [127.0.0.1:1, nowhere]\nworker:\n  slots: many\n  slots: 3\n"
            "  allow_unlocked_memory: yes\nlimits:\n  connections: 10\n"
            "  connections_per_source: 11\nlimit: 3\ntls: [1]\n")
        expected = (
            '1:23: listen: found "nowhere", expected ADDRESS:PORT such as 127.0.0.1:8443 or [::1]:8443',
            '3:10: worker.slots: found "many", expected a whole number from 1 to 256',
            "4:3: worker.slots: stands there twice",
            '5:26: worker.allow_unlocked_memory: found "yes", expected true or false',
            "9:1: limit: there is no such setting; did you mean limits.body_bytes?",
            "10:6: tls: found a list, expected settings (name: value)",
            "8:27: limits.connections_per_source: found 11, expected at most limits.connections, "
            "which is 10")
        done = self.check(2)
        self.assertEqual(done.stderr, "".join(f"strongroomd: {self.config}:{line}\n"
                                              for line in expected))
        for text in ("a: [", "data: &x .\nlisten: [*x]\n"):
            self.config.write_text(text)
            self.assertRegex(self.check(2).stderr, r":\d+:\d+: ")

    def test_the_store(self):
        data = self.server.data
        if not (data / "tenants-made").exists():
            self.server.cli("tenant", "create", "acme")
            (data / "tenants-made").touch()
        done = self.check(0)
        self.assertEqual(done.stdout, "the store is whole: 3 policies understood, 1 tenants' "
                                      "identities opened\nthe configuration is good\n")
        good = (data / "store.db").read_bytes()
        keep = {name: (data / "keys" / name).read_bytes() for name in ("root.txt", "signing.age")}

        def altered(statement, *messages, status=2):
            with sqlite3.connect(data / "store.db") as store:
                store.execute(statement)
            store.close()
            try:
                self.check(status, *messages)
            finally:
                for path in data.glob("store.db-*"):
                    path.unlink()
                (data / "store.db").write_bytes(good)

        altered("UPDATE policies SET text = 'name: trial' || char(10) || 'rates: {}' "
                "WHERE name = 'trial'",
                'data: the stored policy "trial": line 2, column 1: rates: this version does not')
        altered("UPDATE policies SET text = 'name: trial' || char(10) || 'tls: 1.2' "
                "WHERE name = 'trial'",
                'data: the stored policy "trial": line 2, column 6: tls: found "1.2", and the')
        altered("PRAGMA user_version = 999", "data: the store is of version 999", status=5)
        # A root that opens the signing key, and not what is in the store.
        with Server() as other:
            for name in keep:
                (data / "keys" / name).write_bytes((other.data / "keys" / name).read_bytes())
        try:
            self.check(3, 'data: the stored tenant "acme": the tenant\'s identity cannot be opened '
                          "with the root identity")
        finally:
            for name, text in keep.items():
                (data / "keys" / name).write_bytes(text)
        damaged = bytearray(good)
        for at in range(8192, len(damaged), 4096):
            damaged[at:at + 64] = b"\xff" * 64
        (data / "store.db").write_bytes(damaged)
        try:
            self.assertNotEqual(strongroomd("--check", "--config", str(self.config)).returncode, 0)
        finally:
            (data / "store.db").write_bytes(good)
        before = sorted((p.name, p.stat().st_mtime_ns) for p in data.glob("store.db"))
        self.check(0)
        self.assertEqual(sorted((p.name, p.stat().st_mtime_ns) for p in data.glob("store.db")), before)
        os.chmod(data / "store.db", 0o640)
        try:
            self.check(3, "store.db can be read by others (mode 0640)")
        finally:
            os.chmod(data / "store.db", 0o600)

    def test_while_a_server_runs(self):
        with Server() as server:
            done = strongroomd("--check", "--config", str(server.data / "strongroom.yaml"))
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("a server has the store, which was not looked at", done.stdout)

    @unittest.skipUnless(AS_ROOT, "giving files away takes root")
    def test_private_files_of_strangers(self):
        data = self.server.data
        for name, field in (("keys/root.txt", "root.identity"), ("tls/key.pem", "tls.key"),
                            ("store.db", "data")):
            with self.subTest(name):
                os.chown(data / name, 4242, 4242)
                try:
                    self.check(3, f"{field}: {data / name} belongs to uid 4242, expected root's or")
                finally:
                    os.chown(data / name, 0, 0)
        self.check(0)

    def test_messages_name_line_setting_found_and_expected(self):
        rows = (
            ("worker:\n  slots: 0\n", "slots", "worker.slots: found \"0\", expected a whole number from 1 to 256"),
            ("limits:\n  connections: 99999\n", "connections", "limits.connections: found \"99999\", expected a whole number from 1 to 8192"),
            ("limits:\n  connections: 10\n  connections_per_source: 11\n", "connections_per_source",
             "limits.connections_per_source: found 11, expected at most limits.connections, which is 10"),
            ("metrics:\n  listen: '0.0.0.0:9090'\n", "listen: '0.0",
             "metrics.listen: found \"0.0.0.0:9090\", expected a loopback address"),
            ("metrics:\n  listen: '127.0.0.1'\n", "listen: '127",
             "metrics.listen: found \"127.0.0.1\", expected a loopback address and a port"),
            ("drain:\n  time_ms: 5\n", "time_ms", "drain.time_ms: found \"5\", expected a whole number from 1000 to 3600000"),
            ("admin:\n  group: no-such-group-here\n", "group",
             "admin.group: found \"no-such-group-here\", expected the name of a group"),
        )
        for text, key, message in rows:
            with self.subTest(text):
                self.config.write_text(self.good + "\n" + text)
                line = self.line_of(key)
                self.check(2, f"line {line}: {message}")
        self.config.write_text(self.good.replace("tls:\n", "tls:\n  minimum_version: 1.1\n", 1))
        self.check(2, f"line {self.line_of('minimum_version')}: tls.minimum_version: found \"1.1\", "
                      "expected 1.2 or 1.3")
        self.config.write_text(self.good + "\nworker:\n  slos: 1\n")
        self.check(2, "worker.slos: there is no such setting; did you mean worker.slots?")
        self.config.write_text(self.good + "\nlimits:\n  connections: 10\n")
        self.check(0)  # the default of connections_per_source gives way

    def test_every_file_that_is_wrong_is_named_at_once(self):
        data = self.server.data
        with tempfile.TemporaryDirectory() as away:
            for name in ("tls/cert.pem", "keys/root.txt"):
                os.rename(data / name, pathlib.Path(away) / pathlib.Path(name).name)
            try:
                done = self.check(4, f"line {self.line_of('certificate: tls')}: tls.certificate: ",
                                  f"line {self.line_of('identity:')}: root.identity: ")
                self.assertEqual(len(done.stderr.splitlines()), 2, done.stderr)
            finally:
                for name in ("tls/cert.pem", "keys/root.txt"):
                    os.rename(pathlib.Path(away) / pathlib.Path(name).name, data / name)
        self.config.write_text(self.good.replace("data: .\n", "data: nowhere\n"))
        self.check(4, f"line {self.line_of('data:')}: data: the folder ")

    def test_modes_and_what_is_no_certificate(self):
        key, certificate = self.server.data / "tls" / "key.pem", self.server.data / "tls" / "cert.pem"
        os.chmod(key, 0o644)
        try:
            self.check(3, f"line {self.line_of('key: tls')}: tls.key: ", "mode 0644")
        finally:
            os.chmod(key, 0o600)
        good_key, good_certificate = key.read_bytes(), certificate.read_bytes()
        try:
            with Server() as other:
                key.write_bytes((other.data / "tls" / "key.pem").read_bytes())
            self.check(2, f"line {self.line_of('key: tls')}: tls.key: the TLS key does not belong to the certificate")
            certificate.write_bytes(b"nothing\n")
            self.check(2, "tls.certificate: the TLS certificate is not a PEM certificate")
            certificate.write_bytes(good_certificate)
            key.write_bytes(good_key)
            self.config.write_text(self.good.replace("tls:\n", "tls:\n  client_ca: keys/root.txt\n", 1))
            self.check(2, f"line {self.line_of('client_ca')}: tls.client_ca: found no PEM certificate")
        finally:
            key.write_bytes(good_key)
            certificate.write_bytes(good_certificate)

    def test_keys_that_are_none(self):
        keys = self.config.parent / "keys"
        for name, line, message in (("root.txt", "identity: keys", "root.identity: the root identity: "),
                                    ("signing.age", "key: keys", "signing.key: the signing key ")):
            with self.subTest(name):
                good = (keys / name).read_bytes()
                try:
                    (keys / name).write_bytes(b"x\n")
                    self.check(2, f"line {self.line_of(line)}: {message}")
                finally:
                    (keys / name).write_bytes(good)
        self.check(0)

    def test_usage_and_missing_file(self):
        self.assertEqual(strongroomd("--check", "--config", "/nowhere/x.yaml").returncode, 4)
        self.assertEqual(strongroomd("--chek").returncode, 2)


class OperatorKeys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def make(self, scopes, *more, by=None):
        path = pathlib.Path(tempfile.mktemp(dir=self.server.folder))
        done = self.run_as(by, "operator-key", "create", "--scopes", scopes, "-o", str(path), "--json",
                           *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return path, json.loads(done.stdout)["id"]

    def run_as(self, key, *arguments):
        environment = dict(os.environ, STRONGROOM_DATA=str(self.server.data))
        if key:
            environment["STRONGROOM_OPERATOR_KEY"] = str(key)
        return subprocess.run([BIN / "strongroom", *arguments], capture_output=True, text=True,
                              timeout=60, env=environment)

    def records(self):
        done = self.run_as(None, "audit", "list", "--json")
        return [row["record"] for row in json.loads(done.stdout)["records"]]

    def test_scopes_hold(self):
        reader, _ = self.make("tenants:read")
        writer, _ = self.make("tenants:write,keys:write")
        auditor, _ = self.make("audit:read", "--label", "alice", "--expires", "1h")
        rows = (
            (reader, ("tenant", "list"), 0), (reader, ("key", "list"), 0),
            (reader, ("model", "list"), 0), (reader, ("tenant", "disable", "acme"), 3),
            (reader, ("key", "create", "--tenant", "acme", "--scopes", "infer"), 3),
            (reader, ("operator-key", "list"), 3), (reader, ("audit", "list"), 3),
            (writer, ("tenant", "list"), 3), (writer, ("tenant", "disable", "acme"), 0),
            (writer, ("tenant", "enable", "acme"), 0),
            (writer, ("key", "create", "--tenant", "acme", "--scopes", "infer"), 0),
            (auditor, ("audit", "list"), 0), (auditor, ("key", "list"), 3),
            (auditor, ("operator-key", "create", "--scopes", "metrics"), 3),
        )
        for key, command, status in rows:
            with self.subTest(command):
                done = self.run_as(key, *command)
                self.assertEqual(done.returncode, status, done.stderr)
                if status == 3:
                    self.assertIn("the operator key lacks the scope", done.stderr)

    def test_the_audit_log_names_the_key_and_the_user(self):
        key, id = self.make("tenants:write")
        self.assertEqual(self.run_as(key, "tenant", "disable", "acme").returncode, 0)
        self.assertEqual(self.run_as(None, "tenant", "enable", "acme").returncode, 0)
        enabled, disabled = self.records()[:2]
        self.assertEqual((disabled["action"], disabled["key"], disabled["client"]),
                         ("tenant.disable", id, f"uid {os.geteuid()}"))
        self.assertEqual((enabled["action"], enabled["key"]), ("tenant.enable", "operator"))
        made = [r for r in self.records() if r["action"] == "operator.create" and r["target"] == id]
        self.assertEqual(made[0]["tenant"], "")

    def test_a_key_gives_no_more_than_it_has(self):
        maker, id = self.make("operators:write,audit:read")
        weaker, child = self.make("audit:read", by=maker)
        self.assertEqual(self.run_as(weaker, "audit", "list").returncode, 0)
        done = self.run_as(maker, "operator-key", "create", "--scopes", "tenants:write,audit:read")
        self.assertEqual(done.returncode, 3)
        self.assertIn("which is not tenants:write", done.stderr)
        listed = json.loads(self.run_as(maker, "operator-key", "list", "--json").stdout)["keys"]
        makers = {row["id"]: row["created_by"] for row in listed}
        self.assertEqual((makers[id], makers[child]), ("operator", id))
        for text in ("metrics,nothing", "infer", "", "metrics,metrics"):
            self.assertEqual(self.run_as(None, "operator-key", "create", "--scopes", text).returncode, 2, text)
        done = self.run_as(None, "key", "create", "--tenant", "acme", "--scopes", "metrics")
        self.assertEqual(done.returncode, 2, "a tenant's key was given an operator's scope")

    def test_revoked_also_for_an_open_connection(self):
        key, id = self.make("tenants:read")
        with socket.socket(socket.AF_UNIX) as s:
            os.chdir(self.server.data)
            s.connect("admin.sock")
            lines = s.makefile("rwb")

            def ask(line):
                lines.write(line + b"\n")
                lines.flush()
                return json.loads(lines.readline())

            self.assertEqual(ask(b"key " + key.read_bytes().strip())["result"]["key"], id)
            self.assertTrue(ask(b'{"command":"tenant.list"}')["ok"])
            self.assertEqual(self.run_as(None, "operator-key", "revoke", id).returncode, 0)
            answer = ask(b'{"command":"tenant.list"}')
            self.assertEqual((answer["ok"], answer["status"]), (False, "unauthenticated"))
            # Who has shown a bad key is not heard as root on that connection either.
            self.assertEqual(ask(b"key " + key.read_bytes().strip())["status"], "unauthenticated")
            self.assertEqual(ask(b'{"command":"tenant.list"}')["status"], "unauthenticated")
        self.assertEqual(self.run_as(key, "tenant", "list").returncode, 3)
        listed = json.loads(self.run_as(None, "operator-key", "list", "--json").stdout)["keys"]
        self.assertTrue([row for row in listed if row["id"] == id and row["revoked"]])

    def test_many_lines_at_once_end_the_connection(self):
        with socket.socket(socket.AF_UNIX) as s:
            os.chdir(self.server.data)
            s.connect("admin.sock")
            s.settimeout(10)
            s.sendall(b"key x\n" + b"\n" * 5000)
            answers = 0
            try:
                while piece := s.recv(65536):
                    answers += piece.count(b"\n")
            except ConnectionResetError:
                pass
            self.assertLessEqual(answers, 64)
        self.assertEqual(self.run_as(None, "tenant", "list").returncode, 0)

    def test_bad_keys_and_the_other_kind(self):
        path = self.server.folder / "bad"
        for text in (self.server.keys["acme"], "sr_" + "a" * 73):
            path.unlink(missing_ok=True)
            path.touch(0o600)
            path.write_text(text + "\n")
            done = self.run_as(path, "tenant", "list")
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("not a valid operator key", done.stderr)
            self.assertNotIn(text, done.stderr + self.server.log_text())
        path.write_text("short")
        self.assertEqual(self.run_as(path, "tenant", "list").returncode, 2)

    def test_over_https_it_opens_no_route_of_a_tenant(self):
        key, _ = self.make("metrics,tenants:read,audit:read")
        text = key.read_text().strip()
        for method, path in (("GET", "/v2"), ("GET", "/v1/audit"), ("GET", "/v2/models/m"), ("GET", "/nothing")):
            mine = self.server.request(method, path, key=text)
            strange = self.server.request(method, path, key="sr_" + "a" * 73)
            self.assertEqual((mine.status, mine.body), (strange.status, strange.body))
            self.assertEqual(mine.status, 401)

    def test_metrics_over_https(self):
        key, _ = self.make("metrics")
        other, _ = self.make("tenants:read")
        answer = self.server.request("GET", "/metrics", key=key.read_text().strip())
        self.assertEqual(self.server.request("GET", "/metrics", key=None).status, 401)
        if answer.status != 401:  # the page is there: then it is for this key alone
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(self.server.request("GET", "/metrics", key=other.read_text().strip()).status, 403)
            self.assertEqual(self.server.request("GET", "/metrics", key="acme").status, 403)

    def test_with_the_server_stopped(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder=folder)
            id = json.loads(server.cli("operator-key", "create", "--scopes", "metrics", "-o",
                                       folder + "/key", "--json").stdout)["id"]
            listed = json.loads(server.cli("operator-key", "list", "--json").stdout)["keys"]
            self.assertEqual([row["id"] for row in listed], [id])
            self.assertEqual(os.stat(folder + "/key").st_mode & 0o777, 0o600)
            server.cli("operator-key", "revoke", id)


@unittest.skipUnless(AS_ROOT, "needs root, to be other users")
class OtherUsers(unittest.TestCase):
    """A member of admin.group, and somebody who is not."""

    GROUP, GROUP_ID, USER = "operator", 37, 65534

    @classmethod
    def setUpClass(cls):
        import grp
        cls.GROUP_ID = grp.getgrnam(cls.GROUP).gr_gid
        cls.open = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-admin-"))
        os.chmod(cls.open, 0o755)
        cls.server = Server(f"admin:\n  socket: {cls.open}/admin.sock\n  group: {cls.GROUP}\n")
        cls.server.start()
        cls.server.tenant("acme")
        cls.key = cls.open / "key"
        cls.server.cli("operator-key", "create", "--scopes", "tenants:read", "-o", str(cls.key))
        os.chown(cls.key, cls.USER, cls.GROUP_ID)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        shutil.rmtree(cls.open)

    def run_as(self, group, key, *arguments):
        environment = {"PATH": os.environ["PATH"], "STRONGROOM_SOCKET": str(self.open / "admin.sock")}
        if key:
            environment["STRONGROOM_OPERATOR_KEY"] = str(key)
        return subprocess.run([BIN / "strongroom", *arguments], capture_output=True, text=True, timeout=60,
                              env=environment, user=self.USER, group=group, extra_groups=[], cwd="/")

    def test_with_a_key(self):
        done = self.run_as(self.GROUP_ID, self.key, "tenant", "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("acme", done.stdout)
        self.assertEqual(self.run_as(self.GROUP_ID, self.key, "tenant", "disable", "acme").returncode, 3)

    def test_without_a_key(self):
        done = self.run_as(self.GROUP_ID, None, "tenant", "list")
        self.assertEqual(done.returncode, 3)
        self.assertIn("an operator key is needed", done.stderr)

    def test_outside_the_group(self):
        done = self.run_as(self.USER, self.key, "tenant", "list")
        self.assertEqual(done.returncode, 3)
        self.assertIn("admin.group", done.stderr)

    def test_one_user_cannot_keep_the_others_out(self):
        held = subprocess.Popen(
            ["python3", "-c", "import socket, sys, time\ns = []\nfor i in range(40):\n"
             " c = socket.socket(socket.AF_UNIX)\n c.connect(sys.argv[1])\n s.append(c)\n"
             "print('ready', flush=True)\ntime.sleep(30)", str(self.open / "admin.sock")],
            stdout=subprocess.PIPE, user=self.USER, group=self.GROUP_ID, extra_groups=[], cwd="/",
            env={"PATH": "/usr/bin:/bin"})
        try:
            self.assertEqual(held.stdout.readline(), b"ready\n")
            done = subprocess.run([BIN / "strongroom", "tenant", "list", "--data", self.server.data],
                                  capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
        finally:
            held.kill()
            held.wait()
            held.stdout.close()


class Losses(unittest.TestCase):
    """docs/OPERATIONS.md, "When something is lost", sentence by sentence."""

    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.close)

    def shell(self, text, **variables):
        done = subprocess.run(["sh", "-euc", text], capture_output=True, text=True, timeout=60,
                              env=dict(os.environ, **{k: str(v) for k, v in variables.items()}))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_all_keys(self):
        server = self.server
        server.start()
        server.tenant("acme")
        upload(server)
        lost = server.keys["acme"]
        for row in json.loads(server.cli("key", "list", "--tenant", "acme", "--json").stdout)["keys"]:
            server.cli("key", "revoke", row["id"])
        self.assertEqual(server.infer(lost, "m", QUESTION).status, 401)
        server.keys["acme"] = server.key("acme")
        self.assertEqual(server.infer("acme", "m", QUESTION).status, 200)

    def test_every_operator_key(self):
        server = self.server
        for running in (False, True):
            if running:
                server.start()
            path = server.folder / f"key-{running}"
            made = json.loads(server.cli("operator-key", "create", "--scopes", "operators:write", "-o",
                                         str(path), "--json").stdout)
            server.cli("operator-key", "revoke", made["id"])
            server.cli("operator-key", "create", "--scopes", "operators:write", "-o", str(path) + "2")

    @unittest.skipUnless(shutil.which("sqlite3"), "sqlite3 is not there")
    def test_the_data_folder(self):
        server = self.server
        server.start()
        server.tenant("acme")
        upload(server)
        backup, root = server.folder / "backup", server.folder / "root.txt"
        root.write_bytes((server.data / "keys" / "root.txt").read_bytes())
        self.shell(block("backup"), data=server.data, backup=backup)  # while it runs
        self.assertFalse((backup / "keys" / "root.txt").exists())
        server.tenant("later")
        server.stop()
        shutil.rmtree(server.data)
        self.shell(block("restore"), data=server.data, backup=backup, root=root)
        os.chmod(server.data, 0o700)
        server.start()
        self.assertEqual(server.infer("acme", "m", QUESTION).status, 200)
        self.assertEqual(server.request("GET", "/v2", key="later").status, 401)

    def test_the_root_identity(self):
        server = self.server
        server.start()
        server.tenant("acme")
        upload(server)
        server.stop()
        (server.data / "keys" / "root.txt").unlink()
        config = str(server.data / "strongroom.yaml")
        done = strongroomd("--config", config)
        self.assertEqual(done.returncode, 4)
        self.assertIn("root.identity: ", done.stderr)
        with tempfile.TemporaryDirectory() as folder:
            stranger = Server(folder=folder)
            shutil.copy(stranger.data / "keys" / "root.txt", server.data / "keys" / "root.txt")
        done = strongroomd("--config", config)
        self.assertEqual(done.returncode, 1, "another root opened the signing key")
        # What is left: the log, and the list of what was there.
        self.assertIn("model.upload", server.cli("audit", "list", "--tenant", "acme").stdout)
        self.assertIn("acme", server.cli("tenant", "list").stdout)

    def test_the_signing_key(self):
        (self.server.data / "keys" / "signing.age").unlink()
        done = strongroomd("--config", str(self.server.data / "strongroom.yaml"))
        self.assertEqual(done.returncode, 4)
        self.assertIn("signing.key: ", done.stderr)


class Metrics(unittest.TestCase):
    """GET /metrics on its listener, where no key is asked for."""

    @classmethod
    def setUpClass(cls):
        from harness import free_port
        cls.metrics_port = free_port()
        cls.server = Server(f"metrics:\n  listen: '127.0.0.1:{cls.metrics_port}'\n").start()
        cls.uid = {}
        for tenant in ("acme-corp", "globex"):
            cls.server.tenant(tenant)
            cls.uid[tenant] = json.loads(cls.server.cli("tenant", "show", tenant, "--json").stdout)["uid"]

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def page(self):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=20)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode()
            self.assertEqual(answer.status, 200, text)
            return text
        finally:
            connection.close()

    def values(self, text=None):
        lines = (text or self.page()).splitlines()
        return {name: float(value) for name, value in
                (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def test_1_the_ledger_counts_what_it_answers(self):
        import onnx_file
        sealed = self.server.seal("acme-corp", onnx_file.linear(bytes(range(1, 33)), rows=4, columns=4))
        before = self.values()
        self.assertEqual(self.server.upload("acme-corp", "secret-project", sealed).status, 200)
        question = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1] * 4}]}
        path = "/v2/models/{}/infer"
        for _ in range(3):
            self.assertEqual(self.server.request(
                "POST", path.format("secret-project"), question, "acme-corp").status, 200)
        self.assertEqual(self.server.request("POST", path.format("absent-model"), question, "globex").status, 404)
        self.assertEqual(self.server.request("GET", "/v2", key=None).status, 401)
        powerless = self.server.key("globex", "infer")
        self.assertEqual(self.server.request("GET", "/v1/audit", key=powerless).status, 403)
        page = self.page()
        after = self.values(page)

        def grown(name):
            return after[name] - before[name]
        self.assertEqual(grown('strongroom_admissions_total{answer="ok"}'), 4)
        for answer in ("not_found", "unauthenticated", "forbidden"):
            self.assertEqual(grown(f'strongroom_admissions_total{{answer="{answer}"}}'), 1, answer)
        # Three answers, one that is not there and one that may not; what is known by no key is
        # counted by the minute, an upload is recorded with its row.
        self.assertEqual(grown('strongroom_audit_records_total{outcome="written"}'), 5)
        groups = grown("strongroom_audit_commit_duration_seconds_count")
        self.assertTrue(1 <= groups <= 5, groups)
        self.assertGreater(grown("strongroom_audit_commit_duration_seconds_sum"), 0)
        self.assertEqual(after['strongroom_audit_commit_duration_seconds_bucket{le="+Inf"}'],
                         after["strongroom_audit_commit_duration_seconds_count"])
        self.assertEqual(grown("strongroom_worker_starts_total"), 1)
        self.assertEqual(grown('strongroom_model_loads_total{outcome="ok"}'), 1)
        self.assertEqual(after["strongroom_models_loaded"], 1)
        self.assertGreater(after["strongroom_models_loaded_bytes"], 4 * 4 * 4)
        self.assertEqual(after["strongroom_tickets_open"], 0)
        self.assertEqual((after['strongroom_worker_slots{state="free"}'],
                          after['strongroom_worker_slots{state="used"}']), (64, 0))
        self.assertEqual(after["strongroom_audit_queue_records"], 0)
        for name in ("secret-project", "absent-model", powerless.split("_")[1], *self.uid, *self.uid.values(),
                     *(key.split("_")[1] for key in self.server.keys.values())):
            self.assertNotIn(name, page)

    def test_2_a_process_that_ends_is_counted(self):
        before = self.values()["strongroom_worker_restarts_total"]
        for pid in self.server.processes()["worker"]:
            os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.values()["strongroom_worker_restarts_total"] == before:
            time.sleep(0.1)
        now = self.values()
        self.assertEqual(now["strongroom_worker_restarts_total"], before + 1)
        self.assertEqual((now["strongroom_models_loaded"], now["strongroom_models_loaded_bytes"]), (0, 0))

    def test_3_names_are_as_they_should_be_and_are_documented(self):
        page = self.page()
        kinds, helped, seen = {}, [], []
        for line in page.splitlines():
            word = line.split(" ")
            if line.startswith("# TYPE "):
                self.assertNotIn(word[2], kinds, "one TYPE for each")
                kinds[word[2]] = word[3]
            elif line.startswith("# HELP "):
                helped.append(word[2])
                self.assertTrue(line.endswith((".", ").")), line)
            else:
                name = re.match(r"[a-z_]+", line)[0]
                family = next((name[:-len(end)] for end in ("_bucket", "_sum", "_count")
                               if kinds.get(name[:-len(end)]) == "histogram" and name.endswith(end)), name)
                self.assertEqual(family, helped[-1], "below its HELP and TYPE")
                seen.append(line.rsplit(" ", 1)[0])
        self.assertEqual(helped, list(kinds))
        self.assertEqual(len(seen), len(set(seen)), "a series stands there once")
        for name, kind in kinds.items():
            self.assertRegex(name, "^strongroom_[a-z_]+$")
            self.assertEqual(kind == "counter", name.endswith("_total"), name)
            self.assertNotRegex(name, "(milli|micro|nano)seconds|_(ms|us|ns|kib|mib)(_|$)")
        text = (ROOT / "docs" / "OPERATIONS.md").read_text().split("## Metrics")[1].split("\n## ")[0]
        rows = [line.split("|") for line in text.splitlines() if line.startswith("| `strongroom_")]
        documented = {name: row[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row[1])}
        self.assertEqual(documented, kinds)
        tool = shutil.which("promtool")
        if tool:
            done = subprocess.run([tool, "check", "metrics"], input=page, capture_output=True, text=True,
                                  timeout=60)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_4_without_a_ledger_front_still_tells(self):
        [ledger] = self.server.processes()["ledger"]
        os.kill(ledger, signal.SIGSTOP)
        try:
            began = time.monotonic()
            values = self.values()
            self.assertLess(time.monotonic() - began, 15)
            self.assertIn("strongroom_connections_limit", values)
            self.assertNotIn("strongroom_tickets_open", values)
        finally:
            os.kill(ledger, signal.SIGCONT)
        self.assertIn("strongroom_tickets_open", self.values(), "and with it again, all")


class MetricsListener(unittest.TestCase):
    def test_nothing_but_metrics_is_there(self):
        from harness import free_port
        import http.client
        port = free_port()
        with Server(f"metrics:\n  listen: '127.0.0.1:{port}'\n") as server:
            server.tenant("acme")
            for path in ("/v2/health/live", "/v2", "/openapi.json", "/v1/audit"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", path, headers={"Authorization": "Bearer " + server.keys["acme"]})
                answer = connection.getresponse()
                self.assertEqual(answer.status, 404, path)
                self.assertEqual(json.loads(answer.read()), {"error": "only GET /metrics is answered here"})
                self.assertEqual(answer.headers["Connection"], "close")
                connection.close()
            self.assertEqual(server.request("GET", "/v2", key="acme").status, 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
