#!/usr/bin/env python3
"""The description of the API is valid OpenAPI, is what the server sends, and is true: every
operation is asked with the right key, without one and with the wrong scope, and each answer is held
against the schema that is described for its status.

Argument: an interpreter that has openapi-spec-validator, where this one has not."""

import json
import os
import pathlib
import subprocess
import sys
import unittest

import onnx_file
from harness import ALL_SCOPES, ROOT, Server, tensor

DOCUMENT = ROOT / "server" / "front" / "openapi.json"
PATTERN = bytes(range(1, 33))
QUESTION = {"inputs": [tensor("x", [1, 64], [1.0] * 64)]}
METHODS = ("get", "put", "post", "delete")


def operations(document):
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                yield path, method, methods[method]


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.document = json.loads(DOCUMENT.read_text())
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        cls.sealed = cls.server.seal("acme", onnx_file.linear(PATTERN))
        for name in ("m", "gone"):
            assert cls.server.upload("acme", name, cls.sealed).status == 200
        cls.spare = cls.server.key("acme", "infer").split("_")[1]

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def resolve(self, node):
        while "$ref" in node:
            found = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def check(self, operation, answer, what):
        """The status is described, its headers are there, its body fits its schema."""
        from jsonschema import Draft202012Validator
        described = operation["responses"].get(str(answer.status))
        self.assertIsNotNone(described, f"{what}: {answer.status} is not described: {answer}")
        described = self.resolve(described)
        kind = answer.headers["Content-Type"].split(";")[0]
        self.assertIn(kind, described["content"], what)
        for name in ("X-Request-Id", "Cache-Control"):
            self.assertIn(name, answer.headers, what)
        if answer.status == 401:
            self.assertEqual(answer.headers["WWW-Authenticate"], "Bearer")
        if kind != "application/json":
            return
        schema = dict(described["content"][kind]["schema"], components=self.document["components"])
        errors = list(Draft202012Validator(schema).iter_errors(answer.json))
        self.assertEqual(errors, [], f"{what}: {answer}")

    def test_the_document_is_valid(self):
        from openapi_spec_validator import validate
        validate(self.document)

    def test_the_server_sends_it(self):
        answer = self.server.request("GET", "/openapi.json", key=None)
        self.assertEqual(answer.status, 200)
        version = answer.json["info"]["version"]
        self.assertRegex(version, r"^\d+\.\d+")
        self.assertEqual(version, self.server.cli("--version").stdout.split()[-1])
        expected = json.loads(DOCUMENT.read_text())
        expected["info"]["version"] = version
        self.assertEqual(answer.json, expected)

    def question(self, path, method):
        """Path and body of a request that succeeds."""
        model = "gone" if method == "delete" else "m"
        version = "2" if method == "put" else "1"
        path = path.format(model=model, version=version, region="r", key=self.spare)
        if method == "put":
            return path, self.sealed
        bodies = {"/infer": QUESTION, "/v1/keys": {"scopes": ["infer"]}}
        body = next((b for end, b in bodies.items() if path.endswith(end)), {})
        return path, body if method == "post" else None

    def test_every_operation_answers_as_described(self):
        # Unload comes first, so that the load that follows has something to do.
        for path, method, operation in sorted(operations(self.document),
                                              key=lambda o: not o[0].endswith("unload")):
            url, body = self.question(path, method)
            key = None if operation["x-strongroom-scope"] == "none" else "acme"
            if operation["x-strongroom-scope"] == "metrics":
                continue  # no tenant's key has it
            if "unload" in path:
                self.check(operation, self.server.request("POST", url, body, key), url)
                url, operation = url.replace("unload", "load"), self.document["paths"][
                    "/v2/repository/models/{model}/load"]["post"]
            answer = self.server.request(method.upper(), url, body, key)
            wanted = {"not offered": 501}.get(operation["tags"][0], 200)
            self.assertEqual(answer.status, wanted, (method, url, answer))
            self.check(operation, answer, (method, url))

    def test_every_operation_refuses_as_described(self):
        scopes = ALL_SCOPES.split(",")
        keys = {s: self.server.key("acme", ",".join(x for x in scopes if x != s)) for s in scopes}
        for path, method, operation in operations(self.document):
            scope = operation["x-strongroom-scope"]
            url, body = self.question(path, method)
            if scope == "none":
                self.assertEqual(operation["security"], [])
                continue
            answer = self.server.request(method.upper(), url, body, None)
            self.assertEqual(answer.status, 401, url)
            self.check(operation, answer, url)
            if scope == "any":
                continue
            answer = self.server.request(method.upper(), url, body, keys.get(scope, "acme"))
            self.assertEqual(answer.status, 403, (url, answer))
            self.check(operation, answer, url)

    def test_what_is_not_there_is_as_described(self):
        for path, method, operation in operations(self.document):
            if "{" not in path or "404" not in operation["responses"]:
                continue
            url = path.format(model="absent", version="1", region="r", key="a" * 12)
            body = QUESTION if method == "post" and url.endswith("infer") else None
            answer = self.server.request(method.upper(), url, body or ({} if method == "post" else None),
                                         "acme")
            self.assertEqual(answer.status, 404, (method, url, answer))
            self.check(operation, answer, url)

    def test_other_methods_are_405(self):
        for path in self.document["paths"]:
            has = {m.upper() for m in METHODS if m in self.document["paths"][path]}
            if path == "/v2/models/stats":
                has = {"GET"}
            if "GET" in has:
                has.add("HEAD")
            url, _ = self.question(path, "get")
            for method in {"GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"} - has:
                body = b"" if method in ("PUT", "POST") else None
                answer = self.server.request(method, url, body, "acme")
                self.assertEqual(answer.status, 405, (method, url, answer))
                self.assertEqual(set(answer.headers["Allow"].split(", ")), has)


def able(interpreter):
    return subprocess.run([interpreter, "-c", "import openapi_spec_validator, jsonschema"],
                          capture_output=True).returncode == 0


if __name__ == "__main__":
    other = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if not able(sys.executable):
        if not pathlib.Path(other).exists() or not able(other):
            print("openapi-spec-validator is not installed: skipped")
            sys.exit(77)
        os.execv(other, [other, "-B", *sys.argv])
    unittest.main()
