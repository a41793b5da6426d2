#!/usr/bin/env python3
"""Policies: every field is set on a running server and acts at the next request; what is refused is
refused with its place; every change is in the audit log with old and new values."""

import json
import os
import pathlib
import stat
import sys
import tempfile
import time
import unittest

import harness
import onnx_file
from harness import Server, tensor

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]

# Answers ENOSYS to memfd_secret, as a kernel without it does, then becomes the server.
WITHOUT_SECRET_MEMORY = """#!{python}
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def op(code, true, false, value):
    return struct.pack("HBBI", code, true, false, value)
program = (op(0x20, 0, 0, 0)             # load the number of the system call
           + op(0x15, 0, 1, 447)         # memfd_secret, on every architecture
           + op(0x06, 0, 0, 0x50000 | 38)  # ENOSYS
           + op(0x06, 0, 0, 0x7fff0000))   # allow
code = ctypes.create_string_buffer(program, len(program))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
filter = Program(4, ctypes.cast(code, ctypes.c_void_p))
if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(filter), 0, 0) != 0:
    sys.exit("no filter can be set: " + os.strerror(ctypes.get_errno()))
os.execv("{server}", ["{server}"] + sys.argv[1:])
"""


def of_three_domains():
    """y = Normalizer(FusedMatMul(x, W)): com.microsoft and ai.onnx.ml beside ai.onnx's Identity."""
    raw = (PATTERN * 512)[: 64 * 64 * 4]
    nodes = [onnx_file.node("FusedMatMul", ["x", "W"], ["a"], "com.microsoft"),
             onnx_file.node("Normalizer", ["a"], ["b"], "ai.onnx.ml"),
             onnx_file.node("Identity", ["b"], ["y"])]
    plain = onnx_file.model(nodes, [onnx_file.value("x", onnx_file.FLOAT, ["n", 64])],
                            [onnx_file.value("y", onnx_file.FLOAT, ["n", 64])],
                            [onnx_file.tensor("W", onnx_file.FLOAT, [64, 64], raw)])
    for domain, version in (("com.microsoft", 1), ("ai.onnx.ml", 3)):
        plain += onnx_file._field(8, onnx_file._field(1, domain) + onnx_file._field(2, version))
    return plain


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().start()
        cls.server.tenant("demo")
        cls.sealed = cls.server.seal("demo", onnx_file.linear(PATTERN))
        assert cls.server.upload("demo", "m", cls.sealed).status // 100 == 2

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def tearDown(self):
        self.server.cli("tenant", "set-policy", "demo", "standard")
        self.assertEqual(self.infer().status, 200, "the standard policy lets it through again")

    def file(self, text):
        path = self.server.folder / "policy.yaml"
        path.write_text(text)
        return str(path)

    def set(self, fields, name="mine", give=True):
        """Store a policy with these fields and give it to the tenant."""
        self.server.cli("policy", "set", self.file(f"name: {name}\n{fields}\n"))
        if give:
            self.server.cli("tenant", "set-policy", "demo", name)

    def infer(self, **more):
        return self.server.infer("demo", "m", QUESTION, **more)

    def refused(self, answer, status, message):
        self.assertEqual((answer.status, answer.error), (status, message))

    def records(self, limit=20):
        listed = json.loads(self.server.cli("audit", "list", "--limit", str(limit),
                                            "--json").stdout)
        return [entry["record"] for entry in listed["records"]]

    # --- what is stored ---

    def test_check_names_line_and_column(self):
        for text, message in (
                ("name: x\nlimits:\n  models: many\n",
                 'line 3, column 11: limits.models: found "many", expected a whole number from 1 '
                 "to 1000000"),
                ("name: x\nlimit: {}\n", 'line 2, column 1: there is no field "limit"'),
                ("name: x\nrates: {requests_per_second: 5}\n",
                 "line 2, column 1: rates: this version does not enforce limits of requests per "
                 "time, so the field is refused"),
                ("name: [\n", "line 2, column 1: did not find expected node content"),
                ("name: x\ntls: 1.2\n", 'line 2, column 6: tls: found "1.2", and the listener takes 1.3 at least: a '
                                        "policy may only raise that")):
            path = self.file(text)
            for command in ("check", "set"):
                done = self.server.cli("policy", command, path, check=False)
                self.assertEqual((done.returncode, done.stderr),
                                 (2, f"strongroom: {path}: {message}\n"))
        good = self.server.cli("policy", "check", str(harness.ROOT / "policies" / "strict.yaml"))
        self.assertIn("limits.models        32", good.stdout)
        none = self.server.cli("policy", "check", "/nonexistent", check=False)
        self.assertEqual(none.returncode, 4)

    def test_life_of_a_policy(self):
        shown = self.server.cli("policy", "show", "trial").stdout
        self.assertEqual(shown, (harness.ROOT / "policies" / "trial.yaml").read_text())
        self.set("limits: {models: 3}", "life", give=False)
        self.set("limits: {models: 5}\naudit: {client: plain}", "life", give=False)
        done = [(r["action"], r["target"]) for r in self.records(3)]
        self.assertEqual(done, [("policy.set", "life audit.client: - -> plain"),
                                ("policy.set", "life limits.models: 3 -> 5"),
                                ("policy.set", "life")])
        values = json.loads(self.server.cli("policy", "show", "life", "--json").stdout)["values"]
        self.assertEqual((values["limits.models"], values["tls"]), ("5", "-"))
        self.server.cli("tenant", "set-policy", "demo", "life")
        record = self.records(1)[0]
        self.assertEqual((record["action"], record["target"]),
                         ("tenant.set-policy", "demo: standard -> life"))
        self.assertIn("policy     life", self.server.cli("tenant", "show", "demo").stdout)
        used = self.server.cli("policy", "remove", "life", "--yes", check=False)
        self.assertEqual((used.returncode, used.stderr),
                         (5, "strongroom: a tenant has this policy\n"))
        self.server.cli("tenant", "set-policy", "demo", "standard")
        self.server.cli("policy", "remove", "life", "--yes")
        gone = self.server.cli("policy", "show", "life", check=False)
        self.assertEqual(gone.returncode, 4)
        listed = json.loads(self.server.cli("policy", "list", "--json").stdout)["policies"]
        self.assertEqual([p["name"] for p in listed][:3], ["standard", "strict", "trial"])
        kept = self.server.cli("policy", "remove", "standard", "--yes", check=False)
        self.assertEqual(kept.returncode, 5)

    def test_a_tenant_is_made_with_a_policy(self):
        self.server.cli("tenant", "create", "globex", "--policy", "trial")
        shown = json.loads(self.server.cli("tenant", "show", "globex", "--json").stdout)
        self.assertEqual(shown["policy"], "trial")
        none = self.server.cli("tenant", "create", "other", "--policy", "none", check=False)
        self.assertEqual((none.returncode, none.stderr), (4, "strongroom: there is no such policy\n"))
        refused = self.server.cli("key", "create", "--tenant", "globex", "--scopes",
                                  "infer,keys:write", check=False)
        self.assertEqual((refused.returncode, refused.stderr),
                         (3, 'strongroom: scopes: the tenant\'s policy "trial" does not allow '
                             "keys:write\n"))

    # --- what is enforced ---

    def test_scopes(self):
        self.set("scopes: [models:read]")
        self.refused(self.infer(), 403, "the tenant's policy does not allow the scope infer")
        record = self.records(1)[0]
        self.assertEqual((record["action"], record["outcome"]), ("model.infer", "forbidden"))
        self.assertEqual(self.server.request("GET", "/v2/models/m").status, 200)

    def test_scopes_of_new_keys(self):
        maker = self.server.key("demo")
        self.set("scopes: [models:read, keys:write]", "narrow")
        self.refused(self.server.request("POST", "/v1/keys", {"scopes": ["models:read", "infer"]},
                                         key=maker), 403,
                     'scopes: the tenant\'s policy "narrow" does not allow infer')
        done = self.server.cli("key", "create", "--tenant", "demo", "--scopes", "infer",
                               check=False)
        self.assertEqual((done.returncode, done.stderr),
                         (3, 'strongroom: scopes: the tenant\'s policy "narrow" does not allow '
                             "infer\n"))
        made = self.server.request("POST", "/v1/keys", {"scopes": ["models:read"]}, key=maker)
        self.assertEqual(made.status // 100, 2)
        # What narrows later bounds keys that are there.
        self.set("scopes: [infer]", "narrow", give=False)
        self.refused(self.server.request("GET", "/v2/models/m", key=made.json["key"]), 403,
                     "the tenant's policy does not allow the scope models:read")

    def test_networks(self):
        self.set("networks: [10.0.0.0/8, 2001:db8::/32]")
        self.refused(self.infer(), 403, "the API key may not be used from this network")
        record = self.records(1)[0]
        self.assertEqual((record["action"], record["outcome"]), ("model.infer", "forbidden"))
        self.refused(self.server.request("GET", "/v2"), 403,
                     "the API key may not be used from this network")
        self.set('networks: ["::/0"]', give=False)
        self.refused(self.server.request("GET", "/v2"), 403,
                     "the API key may not be used from this network")
        self.set('networks: [0.0.0.0/0, "::/0"]', give=False)
        self.assertEqual(self.server.request("GET", "/v2").status, 200)
        self.set("networks: [127.0.0.0/8]", give=False)
        self.assertEqual(self.infer().status, 200)

    def test_tls(self):
        # A connection whose version had been lost on the way would be refused.
        self.set('tls: "1.3"')
        self.assertEqual(self.infer().status, 200)

    def test_certificates(self):
        self.set("certificates: required")
        self.refused(self.infer(), 403, "the tenant's policy takes only API keys that were made "
                                        "for a client certificate")
        bound = self.server.key("demo", "infer", "--certificate", str(self.server.data / "tls" /
                                                                       "cert.pem"))
        self.refused(self.server.request("POST", "/v2/models/m/infer", {"inputs": QUESTION},
                                         key=bound), 403,
                     "the API key works only with the client certificate that it was made for")
        self.server.cli("tenant", "set-policy", "demo", "standard")
        self.refused(self.server.request("POST", "/v2/models/m/infer", {"inputs": QUESTION},
                                         key=bound), 403,
                     "the API key works only with the client certificate that it was made for")
        listed = json.loads(self.server.cli("key", "list", "--tenant", "demo", "--json").stdout)
        self.assertEqual(len(listed["keys"][-1]["certificate"]), 64)

    def test_body_bytes(self):
        self.set("limits: {body_bytes: 2000}")
        self.assertEqual(self.infer().status, 200)
        body = json.dumps({"inputs": QUESTION}) + " " * 2000
        self.refused(self.server.request("POST", "/v2/models/m/infer", body), 413,
                     f"the body has {len(body)} bytes, the limit is 2000")
        self.set("limits: {body_bytes: 4000}", give=False)
        self.assertEqual(self.server.request("POST", "/v2/models/m/infer", body).status, 200)

    def test_model_bytes(self):
        self.set("limits: {model_bytes: 5000}")
        self.refused(self.server.upload("demo", "large", self.sealed), 413,
                     f"the sealed model has {len(self.sealed)} bytes, at most 5000 are taken")

    def test_models(self):
        self.set("limits: {models: 2}")
        self.assertEqual(self.server.upload("demo", "second", self.sealed).status // 100, 2)
        self.refused(self.server.upload("demo", "third", self.sealed), 403,
                     "2 model versions are stored, the tenant's policy allows 2: delete one first")
        record = self.records(1)[0]
        self.assertEqual((record["action"], record["target"], record["outcome"]),
                         ("model.upload", "third/1", "forbidden"))
        self.assertEqual(self.server.request(
            "DELETE", "/v2/repository/models/second/versions/1").status, 200)
        self.assertEqual(self.server.upload("demo", "third", self.sealed).status // 100, 2)
        self.server.request("DELETE", "/v2/repository/models/third/versions/1")

    def test_deadline(self):
        sealed = self.server.seal("demo", onnx_file.slow(200))
        self.assertEqual(self.server.upload("demo", "slow", sealed).status // 100, 2)
        side = 400
        question = [tensor("x", [side, side], [0.0] * (side * side))]
        self.set("limits: {deadline_ms: 100}")
        began = time.monotonic()
        self.assertEqual(self.server.infer("demo", "slow", question).status, 504)
        self.assertLess(time.monotonic() - began, 20)
        self.server.request("DELETE", "/v2/repository/models/slow/versions/1")

    def test_domains(self):
        sealed = self.server.seal("demo", of_three_domains())
        self.set("models: {domains: [ai.onnx]}")
        named = ("com.microsoft.FusedMatMul (opset 1), ai.onnx.ml.Normalizer (opset 3)")
        message = f"2 operators are of a domain that is not allowed here: {named}"
        self.refused(self.server.upload("demo", "three", sealed), 422, message)
        self.assertEqual(self.server.request("GET", "/v2/models/three").status, 404)
        self.assertEqual(self.infer().status, 200, "one of ai.onnx alone is served")
        self.set("models: {domains: [ai.onnx, ai.onnx.ml, com.microsoft]}", give=False)
        self.assertEqual(self.server.upload("demo", "three", sealed).status // 100, 2)
        self.assertEqual(self.server.infer("demo", "three", QUESTION).status, 200)
        # It is in memory now, and is opened anew under what the policy then says.
        self.set("models: {domains: [ai.onnx, com.microsoft]}", give=False)
        self.refused(self.server.infer("demo", "three", QUESTION), 422,
                     "1 operator is of a domain that is not allowed here: "
                     "ai.onnx.ml.Normalizer (opset 3)")
        self.server.cli("tenant", "set-policy", "demo", "standard")
        self.assertEqual(self.server.infer("demo", "three", QUESTION).status, 200)
        self.server.request("DELETE", "/v2/repository/models/three/versions/1")

    def last(self):
        """The record of the request that was just answered."""
        self.assertEqual(self.infer(headers={"X-Request-Id": "policy-test"}).status, 200)
        return next(r for r in self.records(3) if r["action"] == "model.infer")

    def test_audit(self):
        record = self.last()
        first = record["client"]
        self.assertRegex(first, "^h:[0-9a-f]{32}$")
        self.assertEqual((record["request"], record["target"]), ("policy-test", "m/1"))
        self.assertEqual(self.last()["client"], first, "one address has one hash")
        self.set("audit: {client: plain}")
        self.assertEqual(self.last()["client"], "127.0.0.1")
        self.set("audit: {client: none}", give=False)
        self.assertEqual(self.last()["client"], "")
        self.set("audit: {detail: minimal}", give=False)
        record = self.last()
        self.assertEqual((record["request"], record["target"], record["client"]), ("", "", first))
        self.assertEqual(self.server.upload("demo", "kept", self.sealed).status // 100, 2)
        record = self.records(1)[0]
        self.assertEqual((record["action"], record["target"], record["request"]),
                         ("model.upload", "kept/1", ""))
        self.server.request("DELETE", "/v2/repository/models/kept/versions/1")


class Restarted(unittest.TestCase):
    def test_hashes_and_policies_outlive_the_server(self):
        server = Server()
        try:
            server.start()
            server.tenant("demo")
            server.request("GET", "/v2")
            before = server.audit("demo")[0]["client"]
            path = server.folder / "policy.yaml"
            path.write_text("name: mine\nlimits: {models: 3}\n")
            server.stop()
            server.cli("policy", "set", str(path))  # with the server stopped
            server.cli("tenant", "set-policy", "demo", "mine")
            server.start()
            server.request("GET", "/v2")
            self.assertEqual(server.audit("demo")[0]["client"], before)
            server.tenant("globex")
            server.request("GET", "/v2", key="globex")
            self.assertNotEqual(server.audit("globex")[0]["client"], before)
            shown = json.loads(server.cli("tenant", "show", "demo", "--json").stdout)
            self.assertEqual(shown["policy"], "mine")
        finally:
            server.close()


class Addresses(unittest.TestCase):
    def failed(self, server):
        server.request("GET", "/v2", key="sr_x")
        server.stop()  # what was counted so far is recorded
        listed = json.loads(server.cli("audit", "list", "--json").stdout)["records"]
        return next(r["record"]["client"] for r in listed
                    if r["record"]["action"] == "authentication.failed")

    def client(self, server):
        self.assertEqual(server.request("GET", "/v2").status, 200)
        return server.audit("demo")[0]["client"]

    def test_the_key_of_hashes_can_be_rotated(self):
        server = Server()
        try:
            server.start()
            server.tenant("demo")
            first = self.client(server)
            self.assertEqual(self.client(server), first)
            with_key = server.data / "store.db"
            import sqlite3
            def secret():
                with sqlite3.connect(with_key) as store:
                    return store.execute("SELECT value FROM secrets").fetchall()
            before = secret()
            done = json.loads(server.cli("audit", "rotate-client-key", "--json").stdout)
            self.assertGreater(done["rotated"], 0)
            second = self.client(server)
            self.assertRegex(second, "^h:[0-9a-f]{32}$")
            self.assertNotEqual(second, first)
            self.assertEqual(self.client(server), second)
            listed = json.loads(server.cli("audit", "list", "--json").stdout)["records"]
            record = next(r["record"] for r in listed
                          if r["record"]["action"] == "client-key.rotate")
            self.assertEqual((record["key"], record["outcome"]), ("operator", "ok"))
            self.assertEqual(len(before), 1)
            for path in server.data.glob("store.db*"):
                self.assertNotIn(before[0][0], path.read_bytes(), f"the old key is in {path.name}")
            server.stop()
            server.start()
            self.assertEqual(self.client(server), second, "the new key outlives the server")
            server.stop()
            server.cli("audit", "rotate-client-key")  # and with the server stopped
            server.start()
            self.assertNotIn(self.client(server), (first, second))
        finally:
            server.close()

    def test_failures_without_a_key(self):
        for settings, pattern in (("", "^h:[0-9a-f]{32}$"),
                                  ("audit:\n  plain_failures: true", r"^127\.0\.0\.1$")):
            with Server(settings) as server:
                self.assertRegex(self.failed(server), pattern)
                self.assertNotIn("127.0.0.1", "".join(
                    line for line in server.log_text().splitlines(True) if "source=" in line))


class Memory(unittest.TestCase):
    def ask(self, answers):
        """What uploads under each kind of memory are answered with."""
        with Server() as server:
            server.tenant("demo")
            sealed = server.seal("demo", onnx_file.linear(PATTERN))
            for kind, status in answers:
                path = server.folder / "policy.yaml"
                path.write_text(f"name: {kind}\nmodels: {{memory: {kind}}}\n")
                server.cli("policy", "set", str(path))
                server.cli("tenant", "set-policy", "demo", kind)
                answer = server.upload("demo", kind, sealed)
                self.assertEqual(answer.status // 100 * 100 if status == 200 else answer.status,
                                 status, f"{kind}: {answer}")
                if status == 422:
                    self.assertEqual(answer.error, "the tenant's policy asks for secret memory, "
                                     "and 1 MiB of it cannot be had on this server")
                else:
                    self.assertEqual(server.infer("demo", kind, QUESTION).status, 200)

    def test_where_the_kernel_has_secret_memory(self):
        import ctypes
        descriptor = ctypes.CDLL(None).syscall(447, 0)
        if descriptor < 0:
            self.skipTest("this kernel offers no memfd_secret")
        os.close(descriptor)
        self.ask([("configured", 200), ("locked", 200), ("secret", 200)])

    def test_where_it_has_none(self):
        with tempfile.TemporaryDirectory(prefix="strongroom-e2e-") as folder:
            wrapper = pathlib.Path(folder) / "strongroomd"
            wrapper.write_text(WITHOUT_SECRET_MEMORY.format(
                python=sys.executable, server=harness.BIN / "strongroomd"))
            wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
            (pathlib.Path(folder) / "strongroom").symlink_to(harness.BIN / "strongroom")
            real, harness.BIN = harness.BIN, pathlib.Path(folder)
            try:
                self.ask([("configured", 200), ("locked", 200), ("secret", 422)])
                # doctor, on the same kernel, says so.
                (pathlib.Path(folder) / "strongroom").unlink()
                tool = pathlib.Path(folder) / "strongroom"
                tool.write_text(WITHOUT_SECRET_MEMORY.format(python=sys.executable,
                                                             server=real / "strongroom"))
                tool.chmod(0o755)
                server = Server()
                try:
                    told = server.cli("doctor", "--json", check=False).stdout
                    self.assertIn("never swapped, but a debugger of root may read it (memfd_secret "
                                  "is not offered", told)
                finally:
                    server.close()
            finally:
                harness.BIN = real


if __name__ == "__main__":
    unittest.main(verbosity=2)
