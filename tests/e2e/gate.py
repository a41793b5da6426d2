#!/usr/bin/env python3
"""The gate in front of every route, tested from the server's own description of its routes: each
with no key, a malformed, unknown, expired, revoked and wrong-scope key, and with another tenant's.
What is another's and what is nobody's must look the same, in the answer and in the time it takes."""

import json
import random
import statistics
import time
import unittest

import onnx_file
import schema_routes
from harness import ALL_SCOPES, Server, tensor

PATTERN = bytes(range(1, 33))
QUESTION = {"inputs": [tensor("x", [1, 4], [1.0] * 4)]}
VALUES = {"model": "m", "version": "1", "region": "r", "key": "aaaaaaaaaaaa"}
UNOFFERED = ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT",
             "PROPFIND", "BREW", "get")
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"

SAMPLES = 250  # of each of two questions
# Of two samples of one distribution, the one beats the other in half of all pairs; with 250 of each
# the share strays by 0.026 (one standard deviation), so this is more than five of them.
LEANING = 0.14
ROUNDS = 3  # a true difference shows in each of them, a passing disturbance does not


def leaning(ours, theirs):
    """How far the share of pairs in which `ours` is larger lies from a half (Mann and Whitney)."""
    everything = sorted([(t, 0) for t in ours] + [(t, 1) for t in theirs])
    below, won = 0, 0
    for _, side in everything:
        below += side
        won += below if side == 0 else 0
    return abs(won / (len(ours) * len(theirs)) - 0.5)


class Steady:
    """One connection, asked again and again; a server that closes it is connected to once more."""

    def __init__(self, server, key):
        self.server, self.key = server, key
        self.connection = server.connect()

    def ask(self, method, path, body=None, key=None):
        headers = {"Authorization": "Bearer " + (key or self.key)}
        if body is not None:
            headers["Content-Type"] = "application/json"
        began = time.perf_counter()
        self.connection.request(method, path, body=body, headers=headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return time.perf_counter() - began, answer.status, text

    def close(self):
        self.connection.close()


class Gate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = server = Server()
        server.start()
        for tenant in ("acme", "globex", "closed"):
            server.tenant(tenant)
        model = onnx_file.linear(PATTERN, rows=4, columns=4)
        answer = server.upload("acme", "m", server.seal("acme", model))
        assert answer.status in (200, 201), answer
        cls.routes = schema_routes.of(server)
        cls.bad = cls.bad_keys(server)
        server.cli("tenant", "disable", "closed")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    @classmethod
    def bad_keys(cls, server):
        """kind -> a key that lets nobody in, whatever it is asked for."""
        good = server.keys["acme"]
        _, name, secret, checksum = good.split("_")
        revoked = server.key("acme")
        server.cli("key", "revoke", revoked.split("_")[1])
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
        expiring = server.request("POST", "/v1/keys", key="acme",
                                  body={"scopes": ["infer", "models:read"], "expires": soon})
        assert expiring.status in (200, 201), expiring
        cls.expired_at = time.monotonic() + 4
        elsewhere = Server()
        try:
            elsewhere.cli("tenant", "create", "acme")
            unknown = elsewhere.key("acme")
        finally:
            elsewhere.close()
        other = next(c for c in ALPHABET if c != checksum[0])
        return {
            "empty": "",
            "no key at all": "opensesame",
            "only the beginning": "sr_",
            "cut": good[:-1],
            "with a tail": good + "a",
            "in capitals": good.upper(),
            "with a wrong checksum": f"sr_{name}_{secret}_{other}{checksum[1:]}",
            "without its checksum": f"sr_{name}_{secret}",
            "of another server": unknown,
            "revoked": revoked,
            "expired": expiring.json["key"],
        }

    def ask(self, method, path, key, body=b""):
        return self.server.request(method, path, key=key, body=body)

    def closed_routes(self):
        return [route for route in self.routes if route.scope != "none"]

    def test_there_are_routes(self):
        """A description that became empty must not pass for a gate that holds."""
        self.assertGreater(len(self.closed_routes()), 30)
        opened = sorted(route.path for route in self.routes if route.scope == "none")
        self.assertEqual(opened, ["/openapi.json", "/v2/health/live", "/v2/health/ready"])

    def test_no_key(self):
        """Every path with every method, and paths that are none: 401, but for what is open."""
        opened = {(route.method, route.path) for route in self.routes if route.scope == "none"}
        paths = {route.path: route for route in self.routes}
        expected = None
        for path, route in paths.items():
            for method in UNOFFERED:
                if (method.replace("HEAD", "GET"), path) in opened:
                    self.assertEqual(self.ask(method, path, None).status, 200, (method, path))
                    continue
                answer = self.ask(method, route.at(**VALUES), None)
                with self.subTest(f"{method} {path}"):
                    self.assertEqual(answer.status, 401)
                    self.assertEqual(answer.headers.get("WWW-Authenticate"), "Bearer")
                    if method != "HEAD":
                        expected = expected or answer.body
                        self.assertEqual(answer.body, expected)
        for path in ("/", "/nowhere", "/v2/models/m/nothing", "/v2/models/nobody", "/v3",
                     "/v2/models/-", "https://x/v2", "https://x/nowhere"):
            answer = self.ask("GET", path, None)
            self.assertEqual((answer.status, answer.body), (401, expected), path)
        for method, target in (("OPTIONS", "*"), ("CONNECT", "x:443"), ("BREW", "/nowhere")):
            answer = self.ask(method, target, None)
            self.assertEqual((answer.status, answer.body), (401, expected), (method, target))

    def test_other_methods(self):
        """With a key: the methods that a path has, or that there is no such method; never the
        route's own answer."""
        paths = {}
        for route in self.routes:
            paths.setdefault(route.path, (route, set()))[1].add(route.method)
        for path, (route, offered) in paths.items():
            if "GET" in offered:
                offered.add("HEAD")
            for method in UNOFFERED:
                if method in offered or method == "CONNECT":  # whose target is no path
                    continue
                answer = self.ask(method, route.at(**VALUES), "acme")
                with self.subTest(f"{method} {path}"):
                    if method in ("PROPFIND", "BREW", "get"):
                        self.assertEqual((answer.status, answer.error),
                                         (501, f"the method {method} is not known here"))
                        continue
                    self.assertEqual(answer.status, 405, answer)
                    allow = answer.headers["Allow"].split(", ")
                    # Two of our paths may be one to the server: /v2/models/stats is a name, too.
                    self.assertLessEqual(offered, set(allow))
                    self.assertNotIn(method, allow)

    def test_head_is_get_without_the_body(self):
        for route in self.routes:
            if route.method != "GET":
                continue
            path = route.at(**VALUES)
            got, head = (self.ask(method, path, "acme") for method in ("GET", "HEAD"))
            with self.subTest(path):
                self.assertEqual((head.status, head.body), (got.status, b""))
                for name in ("Content-Type", "Allow", "Connection"):
                    self.assertEqual(head.headers.get(name), got.headers.get(name), name)
                if route.scope == "none":
                    self.assertEqual(head.headers["Content-Length"], str(len(got.body)))

    def test_bad_keys(self):
        """One answer to them all: nobody learns what is wrong with a key."""
        time.sleep(max(0.0, self.expired_at - time.monotonic()))
        expected = self.ask("GET", "/v2", None).body
        for route in self.closed_routes():
            for kind, key in self.bad.items():
                answer = self.ask(route.method, route.at(**VALUES), key)
                with self.subTest(f"{route}, a key that is {kind}"):
                    self.assertEqual((answer.status, answer.body), (401, expected))

    def test_wrong_scope(self):
        """With every scope but its own a route answers 403, names the scope, and nothing else."""
        scopes = ALL_SCOPES.split(",")
        lacking = {scope: self.server.key("acme", ",".join(s for s in scopes if s != scope))
                   for scope in scopes}
        tried = set()
        for route in self.closed_routes():
            if route.scope == "any":
                continue
            key = lacking.get(route.scope, "acme")  # what no tenant may have, no tenant's key has
            answers = [self.ask(route.method, route.at(**dict(VALUES, model=model)), key)
                       for model in ("m", "nobody")]
            with self.subTest(str(route)):
                for answer in answers:
                    self.assertEqual((answer.status, answer.json),
                                     (403, {"error": f"the API key lacks the scope {route.scope}"}))
                tried.add(route.scope)
        self.assertEqual(tried, set(scopes) | {"metrics"})

    def test_its_scope_is_enough(self):
        """A key with no scope but a route's own gets past the gate (whatever comes behind it)."""
        keys = {scope: self.server.key("acme", scope) for scope in ALL_SCOPES.split(",")}
        for route in self.closed_routes():
            if route.scope not in keys or route.method == "DELETE":
                continue
            answer = self.ask(route.method, route.at(**dict(VALUES, model="nobody")),
                              keys[route.scope])
            with self.subTest(str(route)):
                self.assertNotIn(answer.status, (401, 403, 405), answer)

    def test_disabled_tenant(self):
        for route in self.closed_routes():
            answer = self.ask(route.method, route.at(**VALUES), "closed")
            with self.subTest(str(route)):
                self.assertEqual((answer.status, answer.json),
                                 (403, {"error": "the tenant is disabled"}))

    def model_routes(self):
        """Those that name a model which must be there (an upload makes one)."""
        return [route for route in self.closed_routes()
                if route.names_model and route.method != "PUT" and 501 not in route.responses]

    def test_another_tenants_model_is_not_there(self):
        self.assertGreater(len(self.model_routes()), 10)
        for route in self.model_routes():
            body = json.dumps(QUESTION).encode() if route.path.endswith("/infer") else b""
            theirs = self.ask(route.method, route.at(**VALUES), "globex", body)
            nobodys = self.ask(route.method, route.at(**dict(VALUES, model="n")), "globex", body)
            with self.subTest(str(route)):
                self.assertEqual(theirs.status, 404, theirs)
                self.assertEqual(theirs.error.replace('"m"', '"n"'), nobodys.error)
                for answer in (theirs, nobodys):
                    answer.headers = {name: value for name, value in answer.headers.items()
                                      if name not in ("X-Request-Id", "traceparent")}
                self.assertEqual(theirs.headers, nobodys.headers)
        self.assertEqual(self.ask("GET", "/v2/models/m", "acme").status, 200, "it went away")

    def test_another_tenants_key_is_not_there(self):
        theirs = self.server.keys["acme"].split("_")[1]
        for route in self.routes:
            if "{key}" not in route.path:
                continue
            answers = [self.ask(route.method, route.at(key=key), "globex")
                       for key in (theirs, "aaaaaaaaaaaa")]
            with self.subTest(str(route)):
                self.assertEqual([a.status for a in answers], [404, 404])
                self.assertEqual(answers[0].body, answers[1].body)
        self.assertEqual(self.ask("GET", "/v2", "acme").status, 200, "it was revoked")

    def test_uploading_over_another_tenants_model(self):
        """Names are a tenant's own: what another has uploaded is no conflict."""
        own = self.server.seal("globex", onnx_file.linear(PATTERN, rows=4, columns=4))
        answer = self.server.upload("globex", "m", own)
        self.assertIn(answer.status, (200, 201), answer)
        answer = self.ask("DELETE", "/v2/repository/models/m/versions/1", "globex")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(self.ask("GET", "/v2/models/m", "acme").status, 200)

    # --- time ---

    def test_the_measure_sees_a_difference(self):
        """Two samples of one distribution lean little, those a tenth apart much."""
        lots = random.Random(7)
        first, second = ([lots.lognormvariate(0, 0.2) for _ in range(SAMPLES)] for _ in "ab")
        self.assertLess(leaning(first, second), LEANING / 2)
        self.assertGreater(leaning([t * 1.15 for t in first], second), LEANING)

    def lean(self, key, ours, theirs):
        """Asks two questions in turns, in an order that is drawn, on one connection."""
        steady = Steady(self.server, key)
        times = ([], [])
        try:
            for side, question in enumerate((ours, theirs)):
                steady.ask(*question)
            for _ in range(SAMPLES):
                for side in random.sample((0, 1), 2):
                    took, status, _ = steady.ask(*(ours, theirs)[side])
                    self.assertIn(status, (401, 404))
                    times[side].append(took)
        finally:
            steady.close()
        return leaning(*times), [statistics.median(t) * 1e6 for t in times]

    def assert_alike(self, name, key, ours, theirs):
        found = []
        for _ in range(ROUNDS):
            lean, medians = self.lean(key, ours, theirs)
            found.append(f"{lean:.3f} (medians {medians[0]:.0f} and {medians[1]:.0f} us)")
            if lean <= LEANING:
                return
        self.fail(f"{name}: the times tell the two apart, leaning {', '.join(found)}")

    def test_not_yours_takes_as_long_as_not_there(self):
        for suffix in ("", "/ready", "/versions/1", "/config", "/stats"):
            with self.subTest(suffix):
                self.assert_alike(suffix, self.server.keys["globex"],
                                  ("GET", "/v2/models/m" + suffix),
                                  ("GET", "/v2/models/n" + suffix))

    def test_not_yours_takes_as_long_as_not_there_for_infer(self):
        self.assert_alike("infer", self.server.keys["globex"],
                          ("POST", "/v2/models/m/infer", ""), ("POST", "/v2/models/n/infer", ""))

    def test_a_known_key_that_is_no_good_takes_as_long_as_an_unknown_one(self):
        unknown = self.bad["of another server"]
        self.assert_alike("revoked and unknown keys", None,
                          ("GET", "/v2", None, self.bad["revoked"]),
                          ("GET", "/v2", None, unknown))


if __name__ == "__main__":
    unittest.main(verbosity=2)
