#!/usr/bin/env python3
"""Every subcommand of `strongroom`: with the server stopped, and the same with it running.

Environment: STRONGROOM_BIN (folder with strongroomd and strongroom).
"""

import fcntl
import http.server
import json
import os
import pathlib
import re
import resource
import shutil
import socket
import sqlite3
import ssl
import struct
import subprocess
import tempfile
import threading
import unittest

import onnx_file
from harness import BIN, ROOT, Server

NODES = pathlib.Path("/usr/share/libonnx-testdata/data/node")
RECIPIENT = "age1v0zexmj59qngkxynldcvrzrqwqel9x4qxekdu7lrpceqns5ta90q53fmkf"
KEY = re.compile(r"sr_[a-z2-7]{12}_[a-z2-7]{52}_[a-z2-7]{7}")


def npy(path, shape, values):
    """A float32 .npy file, format 1.0, written by hand."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
    head += " " * (63 - (10 + len(head)) % 64) + "\n"
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head))
                                   + head.encode("latin1")
                                   + struct.pack(f"<{len(values)}f", *values))


def read_npy(path):
    raw = pathlib.Path(path).read_bytes()
    assert raw[:8] == b"\x93NUMPY\x01\x00"
    size = struct.unpack("<H", raw[8:10])[0]
    assert (10 + size) % 64 == 0
    head = eval(raw[10:10 + size].decode("latin1"))  # a dictionary of our own making
    assert head["descr"] == "<f4" and head["fortran_order"] is False
    body = raw[10 + size:]
    return head["shape"], struct.unpack(f"<{len(body) // 4}f", body)


def command(*arguments, environment=None):
    return subprocess.run([str(BIN / "strongroom"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=120, env=dict(os.environ, **(environment or {})))


class Acts:
    """What holds whether a server runs or not; self.server.cli runs a command on its folder."""

    def json(self, *arguments):
        return json.loads(self.server.cli(*arguments, "--json").stdout)

    def fails(self, exit_status, message, *arguments):
        done = self.server.cli(*arguments, check=False)
        self.assertEqual(done.returncode, exit_status, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertTrue(done.stderr.startswith("strongroom: "))
        self.assertEqual(done.stdout, "")

    def test_tenant_life(self):
        made = self.json("tenant", "create", "life")
        self.assertRegex(made["uid"], "^[0-9a-f]{32}$")
        self.assertRegex(made["recipient"], "^age1[a-z0-9]{58}$")
        lines = made["note"].split("\n")
        self.assertEqual(lines[:4], ["strongroom.dev/tenant-recipient", made["uid"], "life",
                                     made["recipient"]])
        self.fails(5, "a tenant of this name exists", "tenant", "create", "life")
        self.fails(2, "name", "tenant", "create", "../etc")
        self.fails(2, "could be taken for a uid", "tenant", "create", made["uid"])
        longest = "n" * 64  # its name is sealed into the identity: the longest must fit, too
        self.assertEqual(self.json("tenant", "create", longest)["name"], longest)
        self.fails(2, "NAME is missing", "tenant", "create")
        self.assertIn("life", [t["name"] for t in self.json("tenant", "list")["tenants"]])
        self.assertEqual(self.json("tenant", "disable", "life")["state"], "disabled")
        self.assertEqual(self.json("tenant", "show", "life")["state"], "disabled")
        self.assertEqual(self.json("tenant", "enable", "life")["state"], "enabled")
        self.fails(4, "no such tenant", "tenant", "show", "nobody")
        self.fails(2, "--yes", "tenant", "delete", "life")
        # What is missing is said before it is asked for a yes, and the question names the owner.
        self.fails(2, "--version is required", "model", "remove", "m", "--tenant", "life")
        self.fails(2, "--tenant is required", "model", "remove", "m", "--version", "1")
        self.fails(2, "m version 1 of tenant life: add --yes", "model", "remove", "m",
                   "--tenant", "life", "--version", "1")
        self.assertEqual(self.json("tenant", "delete", "life", "--yes")["models"], 0)
        self.fails(4, "no such tenant", "tenant", "show", "life")
        again = self.json("tenant", "create", "life")
        self.assertNotEqual(again["uid"], made["uid"])
        self.assertNotEqual(again["recipient"], made["recipient"])
        of_new = self.json("audit", "list", "--tenant", "life")["records"]
        self.assertEqual([r["record"]["action"] for r in of_new], ["tenant.create"])

    def test_the_identity_is_sealed_to_the_root_and_names_its_tenant(self):
        tenant = self.json("tenant", "create", "sealed")
        database = sqlite3.connect(f"file:{self.server.data}/store.db?mode=ro", uri=True)
        wrapped, = database.execute("SELECT wrapped FROM tenants WHERE name = 'sealed'").fetchone()
        database.close()
        if not shutil.which("age"):
            self.skipTest("needs the program age")
        identity = subprocess.run(["age", "-d", "-i", self.server.data / "keys" / "root.txt"],
                                  input=wrapped, capture_output=True, check=True).stdout.decode()
        self.assertIn(f"# tenant: {tenant['uid']}\n# name: sealed\n", identity)
        recipient = subprocess.run(["age-keygen", "-y"], input=identity, text=True,
                                   capture_output=True, check=True).stdout.strip()
        self.assertEqual(recipient, tenant["recipient"])

    def test_key_life(self):
        self.json("tenant", "create", "keys")
        made = self.json("key", "create", "--tenant", "keys", "--scopes", "infer,models:read",
                         "--expires", "30d", "--label", "laptop")
        key = made.pop("key")
        self.assertRegex(key, KEY)
        self.assertEqual(key.split("_")[1], made["id"])
        self.assertEqual(made["scopes"], "models:read,infer")
        self.assertEqual(round((made["expires"] - made["created"]) / 86400e6), 30)
        listed = self.json("key", "list", "--tenant", "keys")["keys"]
        self.assertEqual(listed, [made])
        for name in os.listdir(self.server.data):
            path = self.server.data / name
            if path.is_file():
                self.assertNotIn(key.split("_")[2].encode(), path.read_bytes(), name)
        shown = self.server.cli("key", "create", "--tenant", "keys", "--scopes", "infer").stdout
        self.assertEqual(len(KEY.findall(shown)), 1)
        only = self.server.cli("key", "create", "--tenant", "keys", "--scopes", "infer",
                               "--key-only").stdout
        self.assertRegex(only, f"^{KEY.pattern}\n$")
        path = self.server.folder / "key"
        path.unlink(missing_ok=True)
        shown = self.server.cli("key", "create", "--tenant", "keys", "--scopes", "infer", "-o",
                                str(path)).stdout
        self.assertEqual(KEY.findall(shown), [])
        self.assertRegex(path.read_text(), f"^{KEY.pattern}\n$")
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        before = path.read_text()
        self.fails(5, "File exists", "key", "create", "--tenant", "keys", "--scopes", "infer", "-o",
                   str(path))
        self.assertEqual(path.read_text(), before)
        self.assertEqual(len(self.json("key", "list", "--tenant", "keys")["keys"]), 4)

        self.fails(2, "\"root\" is not a scope", "key", "create", "--tenant", "keys", "--scopes",
                   "root")
        self.fails(2, "--scopes is required", "key", "create", "--tenant", "keys")
        self.fails(2, "label: found \"my key\", expected", "key", "create", "--tenant", "keys",
                   "--scopes", "infer", "--label", "my key")
        self.fails(2, "30d, 12h", "key", "create", "--tenant", "keys", "--scopes", "infer",
                   "--expires", "soon")
        self.fails(4, "no such tenant", "key", "create", "--tenant", "nobody", "--scopes", "infer")
        self.assertGreater(self.json("key", "revoke", made["id"])["revoked"], made["created"])
        self.fails(4, "no such key", "key", "revoke", "aaaaaaaaaaaa")
        self.fails(2, "not a key id", "key", "revoke", key)

    def test_audit_list(self):
        self.json("tenant", "create", "audited")
        self.json("tenant", "disable", "audited")
        result = self.json("audit", "list", "--tenant", "audited", "--limit", "1")
        record, = result["records"]
        self.assertEqual(record["record"]["action"], "tenant.disable")
        self.assertEqual(record["record"]["key"], "operator")
        self.assertEqual(record["record"]["client"], f"uid {os.getuid()}")
        self.assertEqual(sorted(record["record"]), list(record["record"]))
        self.assertRegex(record["leaf"], "^[0-9a-f]{64}$")
        older = self.json("audit", "list", "--tenant", "audited", "--before",
                          str(record["record"]["seq"]))["records"]
        self.assertEqual([r["record"]["action"] for r in older], ["tenant.create"])
        text = self.server.cli("audit", "list", "--tenant", "audited").stdout
        self.assertRegex(text, r"audited +operator +tenant\.disable +audited +ok ")
        uid = record["record"]["tenant"]
        self.assertRegex(uid, "^[0-9a-f]{32}$")
        self.assertNotIn(uid, text)
        self.assertEqual(self.json("audit", "list", "--tenant", uid)["records"],
                         [record] + older)
        self.json("tenant", "delete", "audited", "--yes")
        self.fails(4, "no such tenant", "audit", "list", "--tenant", "audited")
        self.assertEqual([r["record"]["action"] for r in
                          self.json("audit", "list", "--tenant", uid)["records"]],
                         ["tenant.delete", "tenant.disable", "tenant.create"])
        self.assertIn(uid, self.server.cli("audit", "list", "--tenant", uid).stdout)
        self.fails(4, "no records of the uid", "audit", "list", "--tenant", "0" * 32)
        self.fails(2, "--limit", "audit", "list", "--limit", "0")

    def test_models_that_are_not_there(self):
        self.json("tenant", "create", "modelless")
        self.assertEqual(self.json("model", "list", "--tenant", "modelless"), {"models": []})
        self.assertIn("no models", self.server.cli("model", "list", "--tenant", "modelless").stdout)
        self.fails(4, "no such model", "model", "show", "x", "--tenant", "modelless")
        self.fails(2, "--version is required", "model", "remove", "x", "--tenant", "modelless",
                   "--yes")

    def test_doctor(self):
        done = self.server.cli("doctor", "--json", check=False)
        result = json.loads(done.stdout)
        verdicts = {c["check"]: c for c in result["checks"]}
        for check in ("kernel", "landlock", "seccomp", "secret memory", "locked memory limit",
                      "swap", "configuration", "data folder", "root identity", "signing key",
                      "TLS key", "TLS certificate", "disk space", "server", "store"):
            self.assertIn(check, verdicts)
        self.assertEqual(verdicts.get("audit log", {}).get("verdict"),
                         "ok" if self.running else None)
        for check in ("data folder", "root identity", "TLS key", "TLS certificate", "store"):
            self.assertEqual(verdicts[check]["verdict"], "ok", verdicts[check])
        self.assertIn("running, and answers" if self.running else "not running",
                      verdicts["server"]["reason"])
        self.assertEqual(done.returncode, 8 if result["bad"] else 0)
        shared = os.geteuid() != 0
        self.assertEqual(verdicts["user"]["verdict"], "weak" if shared else "ok")
        if shared:
            self.assertIn("all roles share it", verdicts["user"]["reason"])
        self.assertIn("the running server" if self.running else "this command's own process",
                      verdicts["locked memory limit"]["reason"])
        key = self.server.data / "tls" / "key.pem"
        key.chmod(0o644)
        try:
            done = self.server.cli("doctor", check=False)
        finally:
            key.chmod(0o600)
        self.assertEqual(done.returncode, 8)
        self.assertRegex(done.stdout, r"bad +TLS key +.*mode 0644")


class Stopped(Acts, unittest.TestCase):
    running = False

    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_a_store_in_use_is_left_alone(self):
        with open(self.server.data / "store.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.fails(5, "in use by a running server", "tenant", "list")

    def test_a_socket_left_over_does_no_harm(self):
        path = self.server.data / "admin.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        self.json("tenant", "list")
        path.unlink()

    def test_an_act_that_needs_the_root_says_so_and_leaves_nothing(self):
        root = self.server.data / "keys" / "root.txt"
        aside = root.with_suffix(".aside")
        root.rename(aside)
        try:
            self.fails(4, "root identity", "tenant", "create", "rootless")
        finally:
            aside.rename(root)
        self.fails(4, "no such tenant", "tenant", "show", "rootless")

    def test_another_root_cannot_sign(self):
        root = self.server.data / "keys" / "root.txt"
        own = root.read_text()
        with tempfile.TemporaryDirectory() as folder:
            other = pathlib.Path(folder) / "data"
            command("init", other)
            root.write_text((other / "keys" / "root.txt").read_text())
        try:
            self.fails(3, "wrapped identity", "tenant", "create", "otherroot")
        finally:
            root.write_text(own)

    def test_a_removed_model_takes_its_file_along(self):
        self.json("tenant", "create", "files")
        database = sqlite3.connect(self.server.data / "store.db")
        tenant, = database.execute("SELECT id FROM tenants WHERE name = 'files'").fetchone()
        ids = []
        for version in ("9", "10"):
            ids.append(database.execute(
                "INSERT INTO models (tenant, name, version, state, payload_size, created, header)"
                " VALUES (?, 'digits', ?, 2, 7, 1750000000000000, x'00')",
                (tenant, version)).lastrowid)
            (self.server.data / "models" / str(ids[-1])).write_bytes(b"payload")
        database.commit()
        database.close()
        shown = self.json("model", "show", "digits", "--tenant", "files")
        self.assertEqual((shown["version"], shown["state"]), ("10", "pending"))
        self.json("model", "remove", "digits", "--tenant", "files", "--version", "9",
                  "--yes")
        self.assertEqual(os.listdir(self.server.data / "models"), [str(ids[1])])
        self.assertEqual(self.json("tenant", "delete", "files", "--yes")["models"], 1)
        self.assertEqual(os.listdir(self.server.data / "models"), [])


class Running(Acts, unittest.TestCase):
    running = True

    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def test_a_second_server_and_a_wrong_configuration(self):
        config = self.server.data / "strongroom.yaml"
        done = subprocess.run([BIN / "strongroomd", "--config", config], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("another strongroomd serves the data folder", done.stderr)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "wrong.yaml"
            for text, said in ((None, ": No such file or directory"), ("worker:\n  slots: many\n",
                               ': the configuration is wrong: line 2: worker.slots: found "many", '
                               "expected a whole number")):
                if text:
                    path.write_text(text)
                done = subprocess.run([BIN / "strongroomd", "--config", path], capture_output=True,
                                      text=True, timeout=60)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(done.stderr, f"strongroomd: {path}{said}\n")

    def test_seal_to_the_signed_recipient_of_the_server(self):
        self.server.tenant("sealer")
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "key").write_text(self.server.keys["sealer"] + "\n")
            (folder / "model").write_bytes(b"weights")
            arguments = ["seal", folder / "model", "--no-check", "--tenant", "sealer", "--server",
                         f"https://127.0.0.1:{self.server.port}", "--cacert",
                         self.server.data / "tls" / "cert.pem", "--verifier", self.server.verifier]
            done = command(*arguments, "--key-file", folder / "key", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            facts = json.loads(done.stdout)
            self.assertEqual(facts["recipient"], self.server.recipient("sealer"))
            self.assertEqual(facts["tenant"], "sealer")
            self.assertEqual(facts["uid"], self.json("tenant", "show", "sealer")["uid"])
            done = command(*arguments, "-f",
                           environment={"STRONGROOM_KEY": self.server.keys["sealer"]})
            self.assertEqual(done.returncode, 0, done.stderr)
            other = self.server.key("sealer", "infer")
            done = command(*arguments, "-f", environment={"STRONGROOM_KEY": other})
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("403", done.stderr)

    def test_a_revoked_key_stops_at_the_next_request(self):
        self.server.tenant("revoker")
        key = self.server.keys["revoker"]
        self.assertEqual(self.server.request("GET", "/v2", key=key).status, 200)
        self.server.cli("key", "revoke", key.split("_")[1])
        self.assertEqual(self.server.request("GET", "/v2", key=key).status, 401)


class Init(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-cli-"))
        self.data = self.folder / "data"

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_what_is_made(self):
        done = command("init", self.data, "--listen", "[::1]:9443", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        facts = json.loads(done.stdout)
        found = {str(p.relative_to(self.data)): p.stat().st_mode & 0o777
                 for p in self.data.rglob("*")}
        self.assertEqual(self.data.stat().st_mode & 0o777, 0o700)
        self.assertEqual(found, {
            "strongroom.yaml": 0o600, "store.db": 0o600, "store.lock": 0o600, "models": 0o700,
            "keys": 0o700, "keys/root.txt": 0o600, "keys/signing.age": 0o600,
            "keys/verifier.txt": 0o644, "tls": 0o700, "tls/key.pem": 0o600, "tls/cert.pem": 0o644})
        self.assertEqual((self.data / "keys" / "verifier.txt").read_text(),
                         facts["verifier"] + "\n")
        self.assertIn('"[::1]:9443"', (self.data / "strongroom.yaml").read_text())
        self.assertNotIn("AGE-SECRET-KEY", done.stdout + done.stderr)
        text = subprocess.run(["openssl", "x509", "-noout", "-text", "-in",
                               self.data / "tls" / "cert.pem"], capture_output=True, text=True,
                              check=True).stdout
        for part in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1",
                     "prime256v1", "TLS Web Server Authentication"):
            self.assertIn(part, text)

    def test_nothing_that_is_there_is_touched(self):
        self.data.mkdir()
        (self.data / "file").write_text("mine")
        done = command("init", self.data)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertEqual(os.listdir(self.data), ["file"])
        self.assertEqual(command("init", self.folder / "b").returncode, 0)
        self.assertEqual(command("init", self.folder / "b").returncode, 5)

    def test_half_a_folder_is_not_left(self):
        done = command("init", self.data, "--listen", "nowhere")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("listen", done.stderr)
        self.assertEqual(os.listdir(self.data), [])
        self.assertEqual(command("init", self.data).returncode, 0)

    def test_no_folder_is_said_plainly(self):
        for arguments in (["tenant", "list"], ["audit", "list"]):
            done = command(*arguments, "--data", self.data)
            self.assertEqual(done.returncode, 4)
            self.assertIn("strongroom init", done.stderr)
        done = command("doctor", "--data", self.data)
        self.assertEqual(done.returncode, 8)
        self.assertRegex(done.stdout, "bad +configuration")


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
class OrdinaryUser(unittest.TestCase):
    USER = 65534

    def test_doctor_calls_a_user_that_all_roles_share_weak(self):
        with tempfile.TemporaryDirectory(prefix="strongroom-cli-") as folder:
            os.chmod(folder, 0o755)
            program = pathlib.Path(folder) / "strongroom"
            shutil.copy(BIN / "strongroom", program)
            done = subprocess.run(["setpriv", f"--reuid={self.USER}", f"--regid={self.USER}",
                                   "--clear-groups", program, "doctor", "--json", "--data",
                                   "/nowhere"], capture_output=True, text=True, timeout=60)
            verdicts = {c["check"]: c for c in json.loads(done.stdout)["checks"]}
            self.assertEqual(verdicts["user"]["verdict"], "weak")
            self.assertIn(f"uid {self.USER}", verdicts["user"]["reason"])
            self.assertIn("all roles share it", verdicts["user"]["reason"])

    def test_doctor_reads_the_limit_of_the_running_server(self):
        """A server under a limit, looked at by a command without one."""
        server = Server("worker: {allow_unlocked_memory: true}")
        self.addCleanup(server.close)
        drop = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]
        for limit, verdict, said in ((1 << 20, "weak", "1024 KiB for the running server"),
                                     (512 << 20, "ok", "512 MiB for the running server")):
            hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
            if hard != resource.RLIM_INFINITY and hard < limit:
                continue  # not every machine lets its root go above what it was given
            process = subprocess.Popen(
                [*drop, "prlimit", f"--memlock={limit}:{limit}", BIN / "strongroomd", "--config",
                 server.data / "strongroom.yaml"], stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                self.assertTrue(process.stdout.readline().startswith("ready "))
                result = json.loads(server.cli("doctor", "--json", check=False).stdout)
            finally:
                process.terminate()
                process.wait(30)
                process.stdout.close()
            line, = [c for c in result["checks"] if c["check"] == "locked memory limit"]
            self.assertEqual(line["verdict"], verdict)
            self.assertIn(said, line["reason"])
            self.assertIn("activations and the ring between front and workers are not locked",
                          line["reason"])


class Words(unittest.TestCase):
    def test_help_is_everywhere(self):
        done = command("--help")
        self.assertEqual(done.returncode, 0)
        names = [c["name"] for c in json.loads(command("help", "--json").stdout)["commands"]]
        self.assertGreater(len(names), 20)
        for name in names:
            done = command(*name.split(), "--help")
            self.assertEqual(done.returncode, 0, name)
            self.assertTrue(done.stdout.startswith(f"usage: strongroom {name}"), done.stdout)
            for option in ("--json", "--help", "--data"):
                self.assertIn(option, done.stdout)
        self.assertEqual(command("tenant", "--help").returncode, 0)

    def test_wrong_words(self):
        for arguments, message in ((["frobnicate"], "no command"), (["tenant"], "usage"),
                                   (["tenant", "frobnicate"], "no command"),
                                   (["tenant", "list", "--frob"], "--frob is not an option"),
                                   (["tenant", "list", "more"], "one word too many"),
                                   (["tenant", "show", "a", "--json=1"], "takes no value"),
                                   (["tenant", "list", "--data"], "needs a value"),
                                   (["audit", "list", "--limit", "5", "--limit=6"], "twice"),
                                   ([], "usage")):
            done = command(*arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(message, done.stderr)
            self.assertEqual(done.stdout, "")


class Recipient(http.server.BaseHTTPRequestHandler):
    answer = None
    seen = []

    def do_GET(self):
        Recipient.seen.append((self.path, self.headers["Authorization"]))
        code, headers, body = Recipient.answer
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *_):
        pass


class Seal(unittest.TestCase):
    """`seal`: against age itself, and against servers that lie."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()  # only its folder: a stand-in speaks for it
        cls.tenant = json.loads(cls.server.cli("tenant", "create", "acme", "--json").stdout)
        cls.key = cls.server.key("acme")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cls.server.data / "tls" / "cert.pem",
                                cls.server.data / "tls" / "key.pem")
        cls.http = http.server.HTTPServer(("127.0.0.1", 0), Recipient)
        cls.http.socket = context.wrap_socket(cls.http.socket, server_side=True)
        threading.Thread(target=cls.http.serve_forever, daemon=True).start()
        cls.url = f"https://127.0.0.1:{cls.http.server_port}"

    @classmethod
    def tearDownClass(cls):
        cls.http.shutdown()
        cls.http.server_close()
        cls.server.close()

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-seal-"))
        self.model = self.folder / "model.onnx"
        self.model.write_bytes(b"\x08\x07" + os.urandom(200000))
        self.sealed = self.folder / "sealed"
        Recipient.seen = []

    def tearDown(self):
        shutil.rmtree(self.folder)

    def ask(self, answer, url=None, cacert=True, verifier=None, key=None, tenant="acme"):
        Recipient.answer = answer
        more = ["--cacert", self.server.data / "tls" / "cert.pem"] if cacert else []
        return command("seal", self.model, "--no-check", "-o", self.sealed, "--server",
                       url or self.url, "--verifier", verifier or self.server.verifier, *more,
                       *(["--tenant", tenant] if tenant else []), environment={"STRONGROOM_KEY": key or self.key})

    def refused(self, done, exit_status, message):
        self.assertEqual(done.returncode, exit_status, done.stderr)
        self.assertIn(message, done.stderr)
        self.assertNotIn(self.key.split("_")[2], done.stdout + done.stderr)
        self.assertEqual(os.listdir(self.folder), ["model.onnx"])

    def note(self, **changes):
        note = self.tenant["note"]
        for old, new in changes.values():
            note = note.replace(old, new)
        return 200, {}, json.dumps({"tenant": "acme", "recipient": self.tenant["recipient"],
                                    "note": note}).encode()

    def test_age_opens_what_is_sealed(self):
        if not shutil.which("age"):
            self.skipTest("needs the program age")
        identity = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
        (self.folder / "id").write_text(identity)
        recipient = re.search(r"age1[a-z0-9]+", identity)[0]
        done = command("seal", self.model, "--no-check", "-o", self.sealed, "-r", recipient)
        self.assertEqual(done.returncode, 0, done.stderr)
        plain = subprocess.run(["age", "-d", "-i", self.folder / "id", self.sealed],
                               capture_output=True, check=True).stdout
        self.assertEqual(plain, self.model.read_bytes())
        before = self.sealed.read_bytes()
        again = ["seal", self.model, "--no-check", "-o", self.sealed, "-r", recipient]
        done = command(*again)
        self.assertEqual(done.returncode, 5)
        self.assertEqual(self.sealed.read_bytes(), before)
        self.assertEqual(command(*again, "--force").returncode, 0)
        self.assertNotEqual(self.sealed.read_bytes(), before)
        self.assertFalse((self.folder / "sealed.partial").exists())

    def test_wrong_use(self):
        self.refused(command("seal", self.model, "--no-check"), 2, "neither")
        self.refused(command("seal", self.model, "--no-check", "-r", "age1xyz"), 2, "")
        self.refused(command("seal", self.model, "--no-check", "-r", self.tenant["recipient"],
                             "--tenant", "acme"), 2, "--tenant goes with --server")
        self.refused(self.ask(self.note(), tenant=None), 2, "--tenant is required")
        self.refused(command("seal", self.model, "--no-check", "--server", self.url, "--verifier",
                             self.server.verifier, "--tenant", "acme", environment={"STRONGROOM_KEY": "sr_nonsense"}),
                     2, "not an API key")
        self.refused(self.ask(self.note(), url="http://127.0.0.1:1"), 2, "https://")
        self.refused(command("seal", self.model, "-r", self.tenant["recipient"]), 2,
                     "the server would refuse this model")

    def test_a_signed_recipient_is_used(self):
        done = self.ask(self.note())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.tenant["recipient"], done.stdout)
        self.assertEqual(Recipient.seen, [("/v1/recipient", f"Bearer {self.key}")])

    def test_what_is_beside_the_note_is_not_believed(self):
        code, headers, body = self.note()
        answer = json.loads(body)
        answer["recipient"] = "age1" + "q" * 58
        done = self.ask((code, headers, json.dumps(answer).encode()))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.tenant["recipient"], done.stdout)

    def test_a_forged_recipient_is_refused(self):
        identity = subprocess.run([str(BIN / "strongroom"), "init", self.folder / "x", "--json"],
                                  capture_output=True, text=True, check=True).stdout
        shutil.rmtree(self.folder / "x")
        other = json.loads(identity)
        swapped = self.note(a=(self.tenant["recipient"], other["root_recipient"]))
        self.refused(self.ask(swapped), 3, "not signed by the key that --verifier names")
        self.refused(self.ask(self.note(a=("acme", "evil"))), 3, "not signed")
        self.refused(self.ask(self.note(), verifier=other["verifier"]), 3, "not signed")
        self.refused(self.ask(self.note(), verifier="nonsense"), 2, "--verifier")

    def test_a_note_of_another_tenant_is_refused(self):
        other = json.loads(self.server.cli("tenant", "create", "mallory", "--json").stdout)
        answer = json.dumps({"note": other["note"]}).encode()
        for meant in ("acme", self.tenant["uid"]):
            done = self.ask((200, {}, answer), tenant=meant)
            self.refused(done, 3, f'--tenant says "{meant}"')
            self.assertIn(f'"mallory" (uid {other["uid"]})', done.stderr)
        done = self.ask(self.note(), tenant=self.tenant["uid"])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_answers_that_are_no_answer(self):
        self.refused(self.ask((200, {}, b"<html>")), 2, "no signed note")
        self.refused(self.ask((200, {}, b'{"note":5}')), 2, "no signed note")
        self.refused(self.ask((401, {}, b'{"error":"a valid API key is required"}')), 3,
                     "401: a valid API key is required")
        self.refused(self.ask((302, {"Location": self.url + "/v1/recipient"}, b"")), 8, "302")
        self.assertEqual(len([s for s in Recipient.seen]), 4, "a redirect is not followed")
        self.refused(self.ask((200, {}, b" " * 100000)), 2, "too long")

    def test_a_server_that_is_not_known_is_not_spoken_to(self):
        done = self.ask(self.note(), cacert=False)
        self.refused(done, 8, "certificate")
        self.assertEqual(Recipient.seen, [])


@unittest.skipUnless(NODES.is_dir(), "needs Debian's libonnx-testdata")
class Models(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-run-"))
        self.add = NODES / "test_add" / "model.onnx"

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_inspect(self):
        done = command("inspect", self.add, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        facts = json.loads(done.stdout)
        self.assertEqual([(i["name"], i["shape"]) for i in facts["inputs"]],
                         [("x", [3, 4, 5]), ("y", [3, 4, 5])])
        self.assertEqual(facts["operators"], {"Add": 1})
        self.assertIn("x  float32  [3,4,5]", command("inspect", self.add).stdout)
        sealed = self.folder / "sealed.age"
        self.assertEqual(command("seal", self.add, "-o", sealed, "-r", RECIPIENT).returncode, 0)
        done = command("inspect", sealed)
        self.assertEqual(done.returncode, 2)
        self.assertIn("the file is sealed (age)", done.stderr)
        self.assertIn("the file is sealed (age)",
                      command("seal", sealed, "-o", self.folder / "twice", "-r", RECIPIENT).stderr)
        for name in ("trees", "svm"):
            model = ROOT / "examples" / name / "model.onnx"
            facts = json.loads(command("inspect", model, "--json").stdout)
            self.assertGreater(facts["parameters"], 100, name)
            self.assertGreater(facts["tensor_bytes"], 4 * facts["parameters"] - 1, name)
        broken = self.folder / "broken.onnx"
        broken.write_bytes(self.add.read_bytes()[:-20])
        self.assertIn(command("inspect", broken).returncode, (2, 6))
        self.assertEqual(command("inspect", self.folder / "none.onnx").returncode, 4)

    def test_inspect_says_what_a_model_costs(self):
        model = self.folder / "linear.onnx"
        model.write_bytes(onnx_file.linear(bytes(range(1, 33)), 48, 32))
        facts = json.loads(command("inspect", model, "--json").stdout)
        self.assertEqual((facts["multiply_adds"], facts["parameters"]), (48 * 32, 48 * 32))
        self.assertGreater(facts["activation_bytes"], 0)
        self.assertNotIn("not_served", facts)
        self.assertIn("multiply-adds  1536", command("inspect", model).stdout)

    def test_inspect_names_all_that_is_not_served(self):
        def ports(*names, kind=onnx_file.FLOAT):
            return [onnx_file.value(name, kind, ["n", 4]) for name in names]

        int8 = 3
        nodes = [onnx_file.node("Relu", ["x"], ["a"]), onnx_file.node("Cos", ["bytes"], ["b"]),
                 onnx_file.node("Relu", ["b"], ["c"]), onnx_file.node("Sin", ["bytes"], ["d"]),
                 onnx_file.node("MatMul", ["x", "x"], ["e"])]
        model = self.folder / "types.onnx"
        model.write_bytes(onnx_file.model(nodes, ports("x") + ports("bytes", kind=int8), ports("a", "c", "d", "e")))
        done = command("inspect", model, "--json")
        self.assertEqual(done.returncode, 6, done.stderr)
        refused = json.loads(done.stdout)["not_served"]
        self.assertEqual([r.split(":")[0] for r in refused], ["Cos", "Sin", "MatMul"])
        self.assertIn("int8", refused[0])
        self.assertIn("3 nodes are not served", done.stderr)
        self.assertIn("\nnot served\n", command("inspect", model).stdout)
        nodes = [onnx_file.node(name, ["x"], [name]) for name in ("Nonesuch", "Relu", "Nothing")]
        model.write_bytes(onnx_file.model(nodes, ports("x"), ports("Nonesuch", "Nothing")))
        done = command("inspect", model)
        self.assertEqual(done.returncode, 6)
        self.assertRegex(done.stderr, "2 operators are not served: ai.onnx.Nonesuch .*ai.onnx.Nothing ")

    def test_run(self):
        x, y = [i / 4 for i in range(60)], [float(-i) for i in range(60)]
        npy(self.folder / "x.npy", (3, 4, 5), x)
        npy(self.folder / "y.npy", (3, 4, 5), y)
        given = ["--input", f"x={self.folder}/x.npy", "--input", f"y={self.folder}/y.npy"]
        done = command("run", self.add, *given, "--output", self.folder / "out")
        self.assertEqual(done.returncode, 0, done.stderr)
        shape, values = read_npy(self.folder / "out" / "sum.npy")
        self.assertEqual(shape, (3, 4, 5))
        self.assertEqual(list(values), [a + b for a, b in zip(x, y)])

        def fails(message, *arguments):
            done = command("run", self.add, *arguments, "--output", self.folder / "out")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(message, done.stderr)
        fails('input "y" is missing', *given[:2])
        fails('no input "z"', *given, "--input", f"z={self.folder}/x.npy")
        fails("given twice", *given, *given)
        fails("NAME=FILE", "--input", "x")
        npy(self.folder / "bad.npy", (3, 4, 6), x)
        fails("not as long as the header says", "--input", f"x={self.folder}/bad.npy")
        (self.folder / "bad.npy").write_bytes(b"text")
        fails("not a .npy file", "--input", f"x={self.folder}/bad.npy")
        npy(self.folder / "bad.npy", (60,), x)
        fails("x", "--input", f"x={self.folder}/bad.npy", *given[2:])


if __name__ == "__main__":
    unittest.main(verbosity=2)
