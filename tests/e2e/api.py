#!/usr/bin/env python3
"""The API from outside: the gate, scopes, other tenants, the life of a model, the audit log."""

import unittest

import onnx_file
from harness import ALL_SCOPES, Server, tensor

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]

# method, path, scope that it takes (None: any key), body
ROUTES = [
    ("GET", "/v2", None, None),
    ("GET", "/v2/models/m", "models:read", None),
    ("GET", "/v2/models/m/versions/1", "models:read", None),
    ("GET", "/v2/models/m/ready", "models:read", None),
    ("GET", "/v2/models/m/versions/1/ready", "models:read", None),
    ("POST", "/v2/models/m/infer", "infer", {"inputs": QUESTION}),
    ("POST", "/v2/models/m/versions/1/infer", "infer", {"inputs": QUESTION}),
    ("POST", "/v2/repository/index", "models:read", {}),
    ("POST", "/v2/repository/models/m/unload", "models:write", {}),
    ("POST", "/v2/repository/models/m/load", "models:write", {}),
    ("GET", "/v1/recipient", "models:write", None),
    ("GET", "/v1/audit", "audit:read", None),
]


class Api(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        cls.server.tenant("globex")
        sealed = cls.server.seal("acme", onnx_file.linear(PATTERN))
        answer = cls.server.upload("acme", "m", sealed)
        assert answer.status in (200, 201), answer
        cls.sealed = sealed

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def ask(self, method, path, body, key):
        return self.server.request(method, path, body=body, key=key)

    def test_every_route_answers_its_owner(self):
        for method, path, _, body in ROUTES:
            answer = self.ask(method, path, body, "acme")
            self.assertEqual(answer.status, 200, (method, path, answer))
            self.assertIn("X-Request-Id", answer.headers)

    def test_every_route_takes_a_key(self):
        bad = self.server.keys["acme"][:-1] + ("a" if self.server.keys["acme"][-1] != "a" else "b")
        for method, path, _, body in ROUTES + [("GET", "/nowhere", None, None),
                                               ("PUT", "/v2/repository/models/n/versions/1", "", b"x")]:
            for key in (None, "", "sr_x", bad):
                answer = self.ask(method, path, body, key)
                self.assertEqual(answer.status, 401, (method, path, key, answer))
                self.assertIn("error", answer.json)

    def test_health_takes_none(self):
        for path in ("/v2/health/live", "/v2/health/ready"):
            answer = self.ask("GET", path, None, None)
            self.assertEqual((answer.status, answer.json), (200, {"live": True, "ready": True}))

    def test_every_route_takes_its_scope(self):
        scopes = ALL_SCOPES.split(",")
        for method, path, scope, body in ROUTES:
            if scope is None:
                continue
            others = self.server.key("acme", ",".join(s for s in scopes if s != scope))
            answer = self.ask(method, path, body, others)
            self.assertEqual(answer.status, 403, (method, path, answer))
            self.assertIn(scope, answer.error)
            self.assertEqual(self.ask(method, path, body, self.server.key("acme", scope)).status, 200)

    def test_another_tenants_model_is_not_there(self):
        for method, path, _, body in ROUTES:
            if "/m" not in path.replace("/models", ""):
                continue
            theirs = self.ask(method, path, body, "globex")
            nobodys = self.ask(method, path.replace("models/m", "models/nobodys"), body, "globex")
            self.assertEqual(theirs.status, 404, (method, path, theirs))
            self.assertEqual(theirs.error.replace('"m"', '"nobodys"'), nobodys.error)

    def test_revoked_key_stops_at_the_next_request(self):
        key = self.server.key("acme", "infer")
        self.assertEqual(self.ask("POST", "/v2/models/m/infer", {"inputs": QUESTION}, key).status, 200)
        self.server.cli("key", "revoke", key.split("_")[1])
        self.assertEqual(self.ask("POST", "/v2/models/m/infer", {"inputs": QUESTION}, key).status, 401)

    def test_disabled_tenant(self):
        self.server.tenant("closed")
        self.server.cli("tenant", "disable", "closed")
        self.assertEqual(self.ask("GET", "/v2", None, "closed").status, 403)
        self.server.cli("tenant", "enable", "closed")
        self.assertEqual(self.ask("GET", "/v2", None, "closed").status, 200)

    def test_life_of_a_model(self):
        path = "/v2/repository/models/life/versions/1"
        self.assertIn(self.server.upload("acme", "life", self.sealed).status, (200, 201))
        self.assertEqual(self.server.upload("acme", "life", self.sealed).status, 409)
        self.assertIn(self.server.upload("acme", "life", self.sealed, version="2").status, (200, 201))
        metadata = self.ask("GET", "/v2/models/life", None, "acme").json
        self.assertEqual(metadata["platform"], "onnx_onnxv1")
        self.assertEqual(metadata["inputs"], [{"name": "x", "datatype": "FP32", "shape": [-1, 64]}])
        answer = self.server.infer("acme", "life", QUESTION).json
        self.assertEqual((answer["model_name"], answer["model_version"]), ("life", "2"))
        self.assertEqual(self.ask("POST", "/v2/repository/models/life/unload", {}, "acme").status, 200)
        self.assertEqual(self.server.infer("acme", "life", QUESTION).status, 400, "stays unloaded")
        self.assertEqual(self.ask("POST", "/v2/repository/models/life/load", {}, "acme").status, 200)
        self.assertEqual(self.server.infer("acme", "life", QUESTION).status, 200)
        self.assertEqual(self.ask("DELETE", path, None, "acme").status, 200)
        self.assertEqual(self.ask("DELETE", path, None, "acme").status, 404)
        self.assertEqual(self.ask("GET", "/v2/models/life/versions/1", None, "acme").status, 404)
        self.assertEqual(self.server.infer("acme", "life", QUESTION).status, 200, "version 2 stays")

    def test_every_act_is_recorded(self):
        self.server.tenant("audited")
        sealed = self.server.seal("audited", onnx_file.linear(PATTERN))
        self.server.upload("audited", "m", sealed)
        self.server.request("POST", "/v2/models/m/infer", body={"inputs": QUESTION}, key="audited",
                            headers={"X-Request-Id": "question-7"})
        self.server.infer("audited", "m", [tensor("x", [1, 63], [1.0] * 63)])
        self.ask("GET", "/v2/models/none", None, "audited")
        records = self.server.audit("audited")
        found = [(r["action"], r["outcome"], r["target"]) for r in records]
        for expected in [("tenant.create", "ok", "audited"), ("model.upload", "ok", "m/1"),
                         ("model.infer", "ok", "m/1"), ("model.infer", "invalid", "m/1"),
                         ("model.metadata", "not_found", "none")]:
            self.assertTrue(any((a, o.lower(), t) == (expected[0], expected[1].lower(), expected[2])
                                for a, o, t in found), (expected, found))
        self.assertIn("question-7", [r["request"] for r in records])
        for record in records:
            self.assertEqual(sorted(record), ["action", "client", "key", "outcome", "request", "salt",
                                              "seq", "target", "tenant", "time", "units", "v"])
            self.assertEqual(len({r["tenant"] for r in records}), 1, "own records only")

    def test_bad_questions_are_explained(self):
        cases = [
            ([tensor("x", [1, 63], [0.0] * 63)], ["x", "63", "64"]),
            ([tensor("z", [1, 64], [0.0] * 64)], ["z"]),
            ([tensor("x", [1, 64], [0.0] * 63)], ["x"]),
            ([tensor("x", [1, 64], [0] * 64, "INT64")], ["x", "INT64", "FP32"]),
            ([], ["x"]),
        ]
        for inputs, words in cases:
            answer = self.server.infer("acme", "m", inputs)
            self.assertEqual(answer.status, 400, answer)
            for word in words:
                self.assertIn(word, answer.error)
        for member, value, status in (("model_name", "m", 200), ("model_name", "n", 400),
                                      ("model_version", "1", 200), ("model_version", "2", 400),
                                      ("model_name", 1, 400), ("surprise", "m", 400)):
            answer = self.server.request("POST", "/v2/models/m/infer", key="acme",
                                         body={member: value, "inputs": QUESTION})
            self.assertEqual(answer.status, status, (member, value, answer))
        answer = self.server.request("POST", "/v2/models/m/infer", body=b"{", key="acme")
        self.assertEqual(answer.status, 400)


if __name__ == "__main__":
    unittest.main(verbosity=2)
