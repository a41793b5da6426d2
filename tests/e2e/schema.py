#!/usr/bin/env python3
"""schemathesis against a running server: with our own /openapi.json and with the Open Inference
Protocol's published file. Whatever it makes up, the status, the content type, the headers and the
body are what the description says. Then: every answer that our description promises is asked for
at least once, by schemathesis or below by hand.

Environment: STRONGROOM_CLIENT, a Python with schemathesis and openapi-spec-validator; without it,
or without the published file, those tests are skipped by name."""

import json
import os
import pathlib
import re
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

import onnx_file
import schema_routes
from harness import ALL_SCOPES, ROOT, Server, tensor

CLIENT = os.environ.get("STRONGROOM_CLIENT", str(ROOT / "build/client-venv/bin/python"))
# Fetched by test.sh, or put beside the checkout.
SHARED = pathlib.Path(os.environ.get("STRONGROOM_SHARED", ROOT.parent / "shared"))
PUBLISHED = [folder / "open_inference_rest.yaml" for folder in (ROOT / "build/oip", SHARED / "oip")]
CHECKS = ("status_code_conformance,content_type_conformance,response_headers_conformance,"
          "response_schema_conformance,a_fit_answer")
SEED, EXAMPLES, PATIENCE = 20261123, 4, 240
PATTERN = bytes(range(1, 33))
VALUES = {"model": "m", "version": "1", "region": "r", "key": "aaaaaaaaaaaa"}

# A server with little room, on which the limits at the door can be reached.
CROWDED = ("limits:\n  connections: 6\n  connections_per_source: 2\n"
           "  idle_timeout_ms: 120000\n")


def has(module):
    return pathlib.Path(CLIENT).exists() and subprocess.run(
        [CLIENT, "-c", f"import {module}"], capture_output=True).returncode == 0


class Schema(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = server = Server(settings="limits:\n  body_bytes: 1048576\n  model_bytes: 262144\n")
        server.start()
        server.tenant("acme")
        cls.sealed = server.seal("acme", onnx_file.linear(PATTERN, rows=4, columns=4))
        answer = server.upload("acme", "m", cls.sealed)
        assert answer.status in (200, 201), answer
        cls.description = server.request("GET", "/openapi.json", key=None).json
        cls.routes = schema_routes.operations(cls.description)
        cls.folder = tempfile.TemporaryDirectory(prefix="strongroom-schema-")
        cls.seen_file = pathlib.Path(cls.folder.name) / "seen"
        cls.seen_file.touch()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        cls.folder.cleanup()

    def conforms(self, text, only_good, *options):
        """Runs schemathesis on a description, given as text."""
        if not has("schemathesis"):
            self.skipTest("schemathesis is not installed")
        file = pathlib.Path(self.folder.name) / ("description.json" if text[0] == "{" else "description.yaml")
        file.write_text(text)
        environment = dict(os.environ, SCHEMA_SEEN=str(self.seen_file), NO_COLOR="1",
                           SCHEMATHESIS_HOOKS=str(ROOT / "tests/e2e/schema_hooks.py"))
        if only_good:
            environment["SCHEMA_ONLY_GOOD"] = "1"
        done = subprocess.run(
            [CLIENT, "-m", "schemathesis.cli", "run", str(file),
             "--url", f"https://127.0.0.1:{self.server.port}",
             "--tls-verify", str(self.server.data / "tls" / "cert.pem"),
             "--header", f"Authorization: Bearer {self.server.keys['acme']}",
             "--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--seed", str(SEED),
             "--max-examples", str(EXAMPLES), "--no-shrink", "--generation-database", "none",
             "--request-timeout", "60", "--continue-on-failure", "--warnings", "off",
             "--suppress-health-check", "all", *options],
            capture_output=True, text=True, env=environment, cwd=self.folder.name, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        found = re.search(r"Operations:\s+(\d+) selected.*?Tested:\s+(\d+)", done.stdout, re.S)
        self.assertTrue(found and found[1] == found[2], done.stdout[-3000:])
        cases = re.search(r"(\d+) generated", done.stdout)
        print(f"{found[2]} operations, {cases[1] if cases else '?'} cases", end=" ", flush=True)

    def test_1_our_description_is_openapi(self):
        if not has("openapi_spec_validator"):
            self.skipTest("openapi-spec-validator is not installed")
        done = subprocess.run(
            [CLIENT, "-c", "import json,sys,openapi_spec_validator as v; v.validate(json.load(sys.stdin))"],
            input=json.dumps(self.description), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr[-3000:])

    def test_2_our_description_is_true(self):
        self.conforms(json.dumps(self.description), False)

    def test_3_the_published_protocol(self):
        file = next((f for f in PUBLISHED if f.exists()), None)
        if not file:
            self.skipTest("the published open_inference_rest.yaml is not here (test.sh fetches it)")
        self.server.request("POST", "/v2/repository/models/m/load", key="acme", body=b"")
        # It writes the parameters of its paths as a shell would, "${NAME}", where OpenAPI has
        # "{NAME}".
        self.conforms(file.read_text().replace("/${", "/{"), True)

    # --- what is promised ---

    def note(self, route, status):
        """As schema_hooks.py does."""
        with open(self.seen_file, "a") as seen:
            seen.write(f"{route.method} {route.path} {status}\n")
        return status

    def hand(self, method, path, values=None, **more):
        """Ask by hand."""
        route = next(r for r in self.routes if (r.method, r.path) == (method, path))
        answer = self.server.request(method, route.at(**dict(VALUES, **(values or {}))), **more)
        self.note(route, answer.status)
        return answer

    def everywhere(self, status, which=lambda route: True, **more):
        """Ask every operation that promises this status, where one thing makes all give it."""
        for route in self.routes:
            if status in route.responses and which(route):
                values = {"version": "88"} if route.method == "PUT" else {}
                body = b"x" if route.method in ("PUT", "POST") else None
                key = more.get("key") or (None if route.scope == "none" else self.powerful(route))
                answer = self.hand(route.method, route.path, values, body=body, key=key)
                self.assertEqual(answer.status, status, (route, answer))

    def powerful(self, route):
        if route.scope != "metrics":
            return "acme"
        if "operator" not in self.server.keys:
            self.server.keys["operator"] = self.server.cli(
                "operator-key", "create", "--scopes", "metrics", "--key-only").stdout.strip()
        return "operator"

    def raw_status(self, request):
        """The status of the answer to these bytes, for what the HTTP library does not send."""
        context = ssl.create_default_context(cafile=str(self.server.data / "tls" / "cert.pem"))
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(request)
                return int(tls.recv(4096).split(b" ")[1])

    def ask_for(self, route, status):
        """Brings one promised status about, where the description alone says how."""
        path, method = route.path, route.method
        if status == 401:
            return self.hand(method, path, key=None)
        if status == 403:
            return self.hand(method, path, key=self.powerless(route))
        if status in (400, 411, 413):
            header = {400: "Host: y", 411: "Transfer-Encoding: chunked",
                      413: "Content-Length: 99999999"}[status]
            values = dict(VALUES, version="77" if method == "PUT" else "1")
            found = self.raw_status((f"{method} {route.at(**values)} HTTP/1.1\r\nHost: x\r\n"
                                     f"Authorization: Bearer {self.server.keys['acme']}\r\n"
                                     f"{header}\r\n\r\n").encode())
            return self.note(route, found)
        if status == 404:
            return self.hand(method, path, key="acme", values={"model": "nobody"})
        if status == 415:
            return self.hand(method, path, key="acme", body=b"x", values={"version": "77"}
                             if method == "PUT" else {}, headers={"Content-Encoding": "br"})
        return None

    def powerless(self, route):
        """A key that lacks the route's scope; for a route that takes every key, a disabled tenant's."""
        if route.scope in ("any",):
            if "closed" not in self.server.keys:
                self.server.tenant("closed")
                self.server.cli("tenant", "disable", "closed")
            return "closed"
        name = "without " + route.scope
        if name not in self.server.keys:
            self.server.keys[name] = self.server.key(
                "acme", ",".join(s for s in ALL_SCOPES.split(",") if s != route.scope))
        return name

    def seen(self):
        return {tuple(line.split(" ")) for line in self.seen_file.read_text().splitlines()}

    def by_hand(self):
        """What takes more than one request, or a good one."""
        self.hand("POST", "/v2/repository/models/{model}/load", key="acme", body=b"")
        question = {"inputs": [tensor("x", [1, 4], [1.0] * 4)]}
        for path in ("/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"):
            self.hand("POST", path, key="acme", body=question)
            self.hand("POST", path, key="acme", body=question,
                      headers={"X-Request-Timeout-Ms": "0"})
        upload = "/v2/repository/models/{model}/versions/{version}"
        unservable = self.server.seal("acme", onnx_file.model(
            [onnx_file.node("NoSuchOperator", ["x"], ["y"])],
            [onnx_file.value("x", 1, ["n"])], [onnx_file.value("y", 1, ["n"])]))
        self.hand("PUT", upload, key="acme", body=self.sealed, values={"version": "5"})
        self.hand("PUT", upload, key="acme", body=self.sealed, values={"version": "5"})
        self.hand("PUT", upload, key="acme", body=unservable, values={"version": "6"})
        self.hand("PUT", upload, key="acme", body=b"no age file", values={"version": "7"})
        self.hand("DELETE", upload, key="acme", values={"version": "5"})
        made = self.hand("POST", "/v1/keys", key="acme", body={"scopes": ["infer"]})
        for method in ("GET", "DELETE"):
            self.hand(method, "/v1/keys/{key}", key="acme", values={"key": made.json["id"]})
        for route in self.routes:
            if route.method in ("GET", "POST") and "{key}" not in route.path:
                self.hand(route.method, route.path, key="acme",
                          body=b"" if route.method == "POST" else None)
        self.hand("POST", "/v2/repository/models/{model}/load", key="acme", body=b"")

    # --- what something has to happen for ---

    def late_bodies(self):
        """504: a body that has not come when the client wants its answer; no worker is needed."""
        for route in self.routes:
            if 504 in route.responses:
                values = dict(VALUES, version="89" if route.method == "PUT" else "1")
                self.assertEqual(504, self.note(route, self.raw_status(
                    (f"{route.method} {route.at(**values)} HTTP/1.1\r\nHost: x\r\n"
                     f"Authorization: Bearer {self.server.keys['acme']}\r\nContent-Length: 400\r\n"
                     "X-Request-Timeout-Ms: 20\r\n\r\nage").encode())), route)

    def as_many_keys_as_there_may_be(self):
        """409 of POST /v1/keys."""
        self.server.tenant("full")
        for _ in range(300):
            answer = self.hand("POST", "/v1/keys", key="full", body={"scopes": ["infer"]})
            if answer.status == 409:
                return
            self.assertEqual(answer.status, 200, answer)
        self.fail("a tenant may have any number of keys")

    def a_model_that_no_longer_opens(self):
        """422 of what loads a model: it was taken, and its file is not what it was."""
        self.assertEqual(self.server.upload("acme", "torn", self.sealed).status, 200)
        self.assertEqual(self.server.request("POST", "/v2/repository/models/torn/unload", b"",
                                             "acme").status, 200)
        file = max((self.server.data / "models").iterdir(), key=lambda f: int(f.name))
        content = file.read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        load = next(r for r in self.routes if r.path.endswith("/load"))
        answer = self.hand("POST", load.path, {"model": "torn"}, key="acme", body=b"")
        self.assertEqual(answer.status, 422, answer)
        for route in self.routes:
            if 422 in route.responses and route.method != "PUT" and route is not load:
                answer = self.hand(route.method, route.path, {"model": "torn"}, key="acme",
                                   body=b"{}" if route.method == "POST" else None)
                self.assertEqual(answer.status, 422, (route, answer))
        file.write_bytes(content)

    def without(self, table, status, which, key=None):
        """A store that has lost a table: whoever needs it is told."""
        store = self.server.data / "store.db"

        def rename(*names):
            with sqlite3.connect(store, timeout=20) as db:
                db.execute("PRAGMA legacy_alter_table=ON")
                db.execute("ALTER TABLE {} RENAME TO {}".format(*names))
            db.close()
        rename(table, table + "_lost")
        try:
            self.everywhere(status, which, key=key)
        finally:
            rename(table + "_lost", table)
        self.assertEqual(self.server.request("GET", "/v2", key="acme").status, 200)

    def at_a_full_door(self):
        """429 of one source's connections, 503 of all of them: whatever is asked. What was asked is
        noted as with the other server, whose routes these are."""
        def connections(source, count):
            made = []
            for _ in range(count):
                plain = socket.create_connection(("127.0.0.1", crowded.port), 20, (source, 0))
                made.append(context.wrap_socket(plain, server_hostname="127.0.0.1"))
            return made

        def ask(source, route):
            [tls] = connections(source, 1)
            with tls:
                tls.sendall(f"{route.method} {route.at(**VALUES)} HTTP/1.1\r\nHost: x\r\n"
                            "Content-Length: 0\r\n\r\n".encode())
                return int(tls.recv(4096).split(b" ")[1])

        def until(source, status):
            end = time.monotonic() + 10
            while ask(source, self.routes[0]) != status and time.monotonic() < end:
                time.sleep(0.05)  # the connection before is being closed
        with Server(settings=CROWDED) as crowded:
            context = ssl.create_default_context(cafile=str(crowded.data / "tls" / "cert.pem"))
            held = []
            for status, more in ((429, ["127.0.0.1"]), (503, ["127.0.0.2", "127.0.0.3"])):
                for source in more:
                    for tls in connections(source, 2):
                        # One that asks nothing would soon be closed.
                        tls.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                        self.assertIn(b"200", tls.recv(4096))
                        held.append(tls)
                asker = "127.0.0.1" if status == 429 else "127.0.0.4"
                until(asker, status)
                for route in self.routes:
                    if status in route.responses and (status == 429 or route.scope == "none"):
                        self.assertEqual(self.note(route, ask(asker, route)), status, route)
            for tls in held:
                tls.close()

    def test_4_every_promise_is_kept(self):
        """Every status that the description promises is seen, and no other."""
        self.by_hand()
        self.everywhere(200, lambda route: route.scope == "metrics")
        self.late_bodies()
        self.as_many_keys_as_there_may_be()
        self.a_model_that_no_longer_opens()
        keyed = lambda route: route.scope != "none"
        self.without("audit", 503, keyed)
        # A key that the server has not read yet: it remembers those that it has.
        self.without("keys", 500, keyed, key=self.server.key("acme"))
        self.at_a_full_door()
        for route in self.routes:
            for status in route.responses:
                if (route.method, route.path, str(status)) not in self.seen():
                    self.ask_for(route, status)
        seen = self.seen()
        promised = {(r.method, r.path, str(s)) for r in self.routes for s in r.responses}
        methods = {(r.method, r.path) for r in self.routes}
        self.assertEqual(sorted(s for s in seen - promised if s[:2] in methods), [], "never promised")
        print(f"{len(promised & seen)} of {len(promised)} promises seen", end=" ", flush=True)
        self.assertEqual(sorted(promised - seen), [], "promised, and never seen")


if __name__ == "__main__":
    found = unittest.main(verbosity=2, exit=False).result
    skipped = found.testsRun and len(found.skipped) == found.testsRun
    sys.exit(1 if not found.wasSuccessful() else 77 if skipped else 0)
