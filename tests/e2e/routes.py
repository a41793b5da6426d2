#!/usr/bin/env python3
"""The routes beside inference: statistics, configuration, states of models, usage, keys, filters
of the audit log, metrics, and what is never offered."""

import datetime
import json
import socket
import ssl
import unittest

import onnx_file
from harness import ALL_SCOPES, Server, tensor

PATTERN = bytes(range(1, 33))
QUESTION = [tensor("x", [1, 64], [1.0] * 64)]
TWO_ROWS = [tensor("x", [2, 64], [1.0] * 128)]
BAD = [tensor("x", [1, 63], [1.0] * 63)]


def today():
    return datetime.datetime.now(datetime.timezone.utc).date()


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        for tenant in ("acme", "globex"):
            cls.server.tenant(tenant)
        cls.sealed = cls.server.seal("acme", onnx_file.linear(PATTERN))
        cls.put("m")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    @classmethod
    def put(cls, name, version="1"):
        answer = cls.server.upload("acme", name, cls.sealed, version=version)
        assert answer.status == 200, answer

    def get(self, path, status=200, key="acme"):
        return self.ask("GET", path, None, status, key)

    def post(self, path, body=None, status=200, key="acme"):
        return self.ask("POST", path, body if body is not None else {}, status, key)

    def ask(self, method, path, body=None, status=200, key="acme", headers=None):
        answer = self.server.request(method, path, body=body, key=key, headers=headers)
        self.assertEqual(answer.status, status, (method, path, answer))
        if status >= 400:
            self.assertEqual(list(answer.json), ["error"])
        return answer.json

    def key(self, scopes, tenant="acme", *more):
        return self.server.key(tenant, scopes, *more)

    # --- models ---

    def test_configuration(self):
        for path in ("/v2/models/m/config", "/v2/models/m/versions/1/config"):
            config = self.get(path)
            self.assertEqual(config["name"], "m")
            self.assertEqual(config["max_batch_size"], 0)
            self.assertEqual(config["input"],
                             [{"name": "x", "data_type": "TYPE_FP32", "dims": [-1, 64]}])
            self.assertEqual([o["data_type"] for o in config["output"]], ["TYPE_FP32"])

    def test_statistics(self):
        self.put("counted")
        self.put("counted", "2")
        path = "/v2/models/counted/versions/2/stats"
        before = self.get(path)["model_stats"]
        self.assertEqual([(s["name"], s["version"], s["inference_count"], s["last_inference"])
                          for s in before], [("counted", "2", 0, 0)])
        for inputs, status in ((QUESTION, 200), (TWO_ROWS, 200), (TWO_ROWS, 200), (BAD, 400)):
            self.assertEqual(self.server.infer("acme", "counted", inputs).status, status)
        (stats,) = self.get(path)["model_stats"]
        self.assertEqual((stats["inference_count"], stats["execution_count"]), (5, 3))
        parts = stats["inference_stats"]
        self.assertEqual((parts["success"]["count"], parts["fail"]["count"]), (3, 1))
        for part in ("queue", "compute_input", "compute_infer", "compute_output"):
            self.assertEqual(parts[part]["count"], 3)
        self.assertEqual(parts["success"]["ns"], sum(
            parts[p]["ns"] for p in ("queue", "compute_input", "compute_infer", "compute_output")))
        self.assertGreater(parts["success"]["ns"], 0)
        self.assertEqual([(b["batch_size"], b["compute_infer"]["count"])
                          for b in stats["batch_stats"]], [(1, 1), (2, 2)])
        self.assertGreater(stats["memory_usage"][0]["byte_size"], 64 * 64 * 4)
        now = datetime.datetime.now().timestamp() * 1000
        self.assertLess(abs(now - stats["last_inference"]), 60000)
        versions = self.get("/v2/models/counted/stats")["model_stats"]
        self.assertEqual([(s["version"], s["inference_count"]) for s in versions],
                         [("1", 0), ("2", 5)])
        everything = self.get("/v2/models/stats")["model_stats"]
        self.assertLessEqual({("counted", "1"), ("counted", "2"), ("m", "1")},
                             {(s["name"], s["version"]) for s in everything})
        self.assertEqual(self.get("/v2/models/stats", key="globex"), {"model_stats": []})
        self.ask("DELETE", "/v2/repository/models/counted/versions/2")
        self.get(path, 404)

    def test_rows_without_elements_are_not_counted(self):
        """There may be as many as the client likes to say: two requests went past 2**63."""
        pass_on = onnx_file.model([onnx_file.node("Identity", ["x"], ["y"])],
                                  [onnx_file.value("x", onnx_file.FLOAT, ["n", "m"])],
                                  [onnx_file.value("y", onnx_file.FLOAT, ["n", "m"])])
        self.server.upload("acme", "empty", self.server.seal("acme", pass_on))
        for shape, data in ([2**62, 0], []), ([2**62, 0], []), ([2, 1], [1.0, 2.0]):
            answer = self.server.infer("acme", "empty", [tensor("x", shape, data)])
            self.assertEqual(answer.status, 200, answer)
        (stats,) = self.get("/v2/models/empty/stats")["model_stats"]
        self.assertEqual((stats["inference_count"], stats["execution_count"]), (2, 3))
        self.ask("DELETE", "/v2/repository/models/empty/versions/1")

    def test_an_unload_stays(self):
        self.put("tide")
        self.put("tide", "2")
        unload, load = ("/v2/repository/models/tide/" + act for act in ("unload", "load"))

        def states(body=None):
            return [(r["version"], r["state"], r["reason"])
                    for r in self.post("/v2/repository/index", body) if r["name"] == "tide"]

        self.assertEqual(states(), [("1", "READY", ""), ("2", "READY", "")])
        for path in ("", "/versions/1", "/versions/2"):
            self.assertEqual(self.get("/v2/models/tide" + path)["versions"], ["1", "2"])
        self.assertEqual(self.get("/v2/models/tide/ready"), {"name": "tide", "ready": True})
        for body in ({}, {"parameters": {}}, {"parameters": {"unload_dependents": True}},
                     {"parameters": {"unload_dependents": False}}):
            self.assertEqual(self.post(unload, body)["state"], "UNLOADED")
        gone = [("1", "UNAVAILABLE", "unloaded"), ("2", "UNAVAILABLE", "unloaded")]
        self.assertEqual(states(), gone)
        self.assertEqual(states({"ready": True}), [])
        self.assertEqual(states({"ready": False}), gone)
        for path in ("", "/ready", "/config", "/versions/1", "/versions/1/ready"):
            message = self.get("/v2/models/tide" + path, 400)["error"]
            self.assertIn("is unloaded; load it first", message)
        self.assertEqual(self.server.infer("acme", "tide", QUESTION).status, 400)
        self.server.stop()
        self.server.start()
        self.assertEqual(states(), gone, "over a restart")
        self.assertEqual(self.server.infer("acme", "tide", QUESTION).status, 400)
        self.assertEqual(self.post(load), {"name": "tide", "version": "2", "state": "READY"})
        self.assertEqual(states(), [("1", "READY", ""), ("2", "READY", "")])
        self.assertEqual(self.server.infer("acme", "tide", QUESTION).status, 200)

    def test_bodies_of_the_repository(self):
        base = "/v2/repository/models/m/"
        for path, body, message in (
                (base + "load", {"parameters": {"config": "{}"}}, "cannot be overridden"),
                (base + "load", {"parameters": {"file:1/model.onnx": "AA=="}}, "cannot be overridden"),
                (base + "load", {"config": "{}"}, "not known"),
                (base + "load", {"parameters": {}, "x": 1}, "not known"),
                (base + "unload", {"parameters": {"unload_dependents": 1}}, "unload_dependents"),
                (base + "unload", {"parameters": {"other": True}}, "only unload_dependents"),
                (base + "unload", {"unload_dependents": True}, "not known"),
                ("/v2/repository/index", {"ready": "yes"}, "ready"),
                ("/v2/repository/index", {"repository_name": "x"}, "not known"),
                ("/v2/repository/index", [], "object")):
            self.assertIn(message, self.post(path, body, 400)["error"], (path, body))
        answer = self.server.request("POST", "/v2/repository/index",
                                     body='{"ready":true,"ready":false}', key="acme")
        self.assertEqual((answer.status, answer.error), (400, "the body holds ready twice"))
        self.assertEqual(self.server.infer("acme", "m", QUESTION).status, 200, "nothing was unloaded")

    def test_what_is_not_yours_is_not_there(self):
        for suffix in ("", "/ready", "/config", "/stats", "/versions/1", "/versions/1/ready",
                       "/versions/1/config", "/versions/1/stats"):
            mine = self.server.request("GET", "/v2/models/absent" + suffix, key="globex")
            yours = self.server.request("GET", "/v2/models/m" + suffix, key="globex")
            self.assertEqual((mine.status, yours.status), (404, 404), suffix)
            self.assertEqual(mine.body.replace(b"absent", b"m"), yours.body)

    def test_never_offered(self):
        for method, path in (("GET", "/v2/systemsharedmemory/status"),
                             ("GET", "/v2/systemsharedmemory/region/r/status"),
                             ("POST", "/v2/systemsharedmemory/region/r/register"),
                             ("POST", "/v2/systemsharedmemory/region/r/unregister"),
                             ("POST", "/v2/systemsharedmemory/unregister"),
                             ("GET", "/v2/cudasharedmemory/status"),
                             ("POST", "/v2/cudasharedmemory/region/r/register"),
                             ("GET", "/v2/trace/setting"), ("POST", "/v2/trace/setting"),
                             ("GET", "/v2/models/m/trace/setting"),
                             ("POST", "/v2/models/absent/trace/setting"),
                             ("GET", "/v2/logging"), ("POST", "/v2/logging")):
            body = {"key": "k"} if method == "POST" else None
            self.assertIn("never offered", self.ask(method, path, body, 501)["error"])
            self.ask(method, path, body, 401, key=None)
            other = "POST" if method == "GET" else "GET"
            if not path.endswith(("setting", "logging")):
                self.ask(other, path, body if other == "POST" else None, 405)

    # --- usage ---

    def usage(self, query="", status=200, key="acme"):
        return self.get("/v1/usage" + query, status, key)

    def test_usage(self):
        self.put("used")
        key = self.key("infer")
        for inputs, status in ((QUESTION, 200), (TWO_ROWS, 200), (BAD, 400)):
            answer = self.server.request("POST", "/v2/models/used/infer", body={"inputs": inputs},
                                         key=key)
            self.assertEqual(answer.status, status)
        day = today().isoformat()
        page = self.usage("?model=used")
        self.assertEqual((page["from"], page["to"]),
                         ((today() - datetime.timedelta(30)).isoformat(), day))
        (row,) = page["usage"]
        self.assertEqual((row["day"], row["key"], row["model"], row["version"], row["requests"],
                          row["errors"]), (day, key.split("_")[1], "used", "1", 3, 1))
        self.assertGreater(row["bytes_in"], 0)
        self.assertGreater(row["bytes_out"], 0)
        self.assertEqual(self.usage("?model=used/1&key=" + row["key"])["usage"], [row])
        self.assertEqual(self.usage(f"?model=used&from={day}&to={day}")["usage"], [row])
        for query in ("?model=used/2", "?model=use", "?model=used&to=2020-01-01",
                      "?model=used&key=aaaaaaaaaaaa"):
            self.assertEqual(self.usage(query)["usage"], [], query)
        self.assertEqual(self.usage("", key="globex")["usage"], [])

    def test_usage_has_no_rows_of_names_that_were_guessed(self):
        answer = self.server.request("POST", "/v2/models/guessed/infer", body={"inputs": QUESTION},
                                     key="acme")
        self.assertEqual(answer.status, 404)
        self.assertEqual(self.usage("?model=guessed")["usage"], [])

    def test_usage_in_pages(self):
        for name in ("p1", "p2", "p3", "p4"):
            self.put(name)
            self.assertEqual(self.server.infer("acme", name, QUESTION).status, 200)
        whole, paged, cursor = self.usage()["usage"], [], ""
        for _ in range(len(whole) + 1):
            page = self.usage("?limit=1" + cursor)
            self.assertLessEqual(len(page["usage"]), 1)
            paged += page["usage"]
            if "next" not in page:
                break
            cursor = "&after=" + page["next"]
        self.assertEqual(paged, whole)
        self.assertEqual([r["model"] for r in whole if r["model"] in ("p1", "p2", "p3", "p4")],
                         ["p1", "p2", "p3", "p4"])

    def test_bad_queries(self):
        for path, message in (
                ("/v1/usage?from=yesterday", 'from: found "yesterday", expected a day such as'),
                ("/v1/usage?from=2026-02-30", "from: found"),
                ("/v1/usage?from=2026-03-02&to=2026-03-01", "from: lies after to"),
                ("/v1/usage?limit=0", 'limit: found "0", expected a number from 1 to 500'),
                ("/v1/usage?limit=501", "limit: found"),
                ("/v1/usage?limit=1&limit=1", "limit: given twice"),
                ("/v1/usage?colour=red", "this path takes limit, after, key, model, from, to"),
                ("/v1/usage?limit", "limit: no value is given"),
                ("/v1/usage?key=", "key: empty"),
                ("/v1/usage?key=%zz", "key: a percent escape is malformed"),
                ("/v1/usage?key=%0a", "key: only printable"),
                ("/v1/usage?after=2026", "after: not what a page gave as next"),
                ("/v1/usage?key=" + "k" * 65, "key: longer than 64 characters"),
                ("/v1/keys?after=aaaaaaaaaaaa", "after: not what a page gave as next"),
                ("/v1/audit?before=-1", "before: found"),
                ("/v1/audit?from=12:00", "from: found"),
                ("/v1/audit?to=2026-11-23T25:00:00Z", "to: found"),
                ("/v2?x=1", "this path takes no query parameters")):
            self.assertIn(message, self.get(path, 400)["error"], path)

    # --- keys ---

    def make(self, body, status=200, key="acme"):
        return self.ask("POST", "/v1/keys", body, status, key)

    def test_a_key_makes_and_revokes_keys(self):
        made = self.make({"label": "ci", "scopes": ["infer", "models:read"],
                          "expires": "2099-01-31T00:00:00Z"})
        self.assertEqual((made["label"], made["scopes"], made["expires"], made["revoked"]),
                         ("ci", ["models:read", "infer"], "2099-01-31T00:00:00Z", None))
        maker = self.server.keys["acme"].split("_")[1]
        self.assertEqual(made["created_by"], maker)
        listed = {k["id"]: k["created_by"] for k in self.get("/v1/keys?limit=500")["keys"]}
        self.assertEqual((listed[made["id"]], listed[maker]), (maker, "operator"))
        shown = json.loads(self.server.cli("key", "list", "--tenant", "acme", "--json").stdout)
        self.assertEqual({k["id"]: k["created_by"] for k in shown["keys"]}, listed)
        self.assertRegex(made["key"], f"^sr_{made['id']}_[a-z2-7]{{52}}_[a-z2-7]{{7}}$")
        self.assertEqual(self.server.request("GET", "/v2/models/m", key=made["key"]).status, 200)
        self.get("/v1/usage", 403, key=made["key"])
        path = "/v1/keys/" + made["id"]
        secret = made.pop("key")
        self.assertEqual(self.get(path), made)
        self.assertIn(made, self.get("/v1/keys?limit=500")["keys"])
        self.assertNotIn(secret, json.dumps(self.get("/v1/keys?limit=500")))
        revoked = self.ask("DELETE", path)
        self.assertIsNotNone(revoked["revoked"])
        self.get("/v2", 401, key=secret)
        self.assertEqual(self.ask("DELETE", path), revoked, "again changes nothing")
        acts = [(r["action"], r["outcome"]) for r in self.get("/v1/audit?limit=500")["records"]
                if r["target"] == made["id"]]
        self.assertEqual(acts, [("key.revoke", "ok"), ("key.revoke", "ok"), ("key.read", "ok"),
                                ("key.create", "ok")])

    def test_no_key_is_wider_than_its_maker(self):
        limited = self.key("keys:write,infer")
        self.assertIn("cannot give what it does not have itself: models:write", self.make(
            {"scopes": ["infer", "models:write"]}, 403, limited)["error"])
        child = self.make({"scopes": ["infer"]}, key=limited)
        self.make({"scopes": ["infer"]}, 403, child["key"])
        until = "2090-01-01T00:00:00Z"
        parent = self.make({"scopes": ALL_SCOPES.split(","), "expires": until})["key"]
        self.assertEqual(self.make({"scopes": ["infer"]}, key=parent)["expires"], until)
        self.assertEqual(self.make({"scopes": ["infer"], "expires": None}, key=parent)["expires"],
                         until)
        self.assertIn("lives longer than itself, until " + until, self.make(
            {"scopes": ["infer"], "expires": "2090-01-01T00:00:01Z"}, 403, parent)["error"])
        self.assertEqual(self.make({"scopes": ["infer"], "expires": "2089-12-31"},
                                   key=parent)["expires"], "2089-12-31T00:00:00Z")

    def test_bodies_of_new_keys(self):
        for body, message in (
                ({}, "scopes: missing"), ({"scopes": []}, "scopes: at least one"),
                ({"scopes": "infer"}, "array"), ({"scopes": ["all"]}, '"all" is not a scope'),
                ({"scopes": ["metrics"]}, '"metrics" is not a scope'),
                ({"scopes": ["infer", "infer"]}, "twice"), ({"scopes": ["infer,infer"]}, "scope"),
                ({"scopes": [""]}, "scope"), ({"scopes": ["infer"], "label": "a b"}, "label: "),
                ({"scopes": ["infer"], "label": 7}, "label: "),
                ({"scopes": ["infer"], "label": "a" * 65}, "label: longer than 64"),
                ({"scopes": ["infer"], "expires": "2020-01-01"}, "expires: not a time to come"),
                ({"scopes": ["infer"], "expires": "soon"}, "expires: expected a time such as"),
                ({"scopes": ["infer"], "expires": 5}, "expires: "),
                ({"scopes": ["infer"], "tenant": "globex"}, "not known"), ([], "object")):
            self.assertIn(message, self.make(body, 400)["error"], body)
        answer = self.server.request("POST", "/v1/keys", key="acme",
                                     body='{"scopes":["infer"],"scopes":["infer"]}')
        self.assertEqual((answer.status, answer.error), (400, "the body holds a member twice"))

    def test_keys_of_others_are_not_there(self):
        (theirs,) = self.get("/v1/keys", key="globex")["keys"]
        absent = "a" * 12
        for method in ("GET", "DELETE"):
            bodies = {self.server.request(method, "/v1/keys/" + k, key="acme").body
                      for k in (theirs["id"], absent)}
            self.assertEqual(len(bodies), 1)
            self.ask(method, "/v1/keys/" + theirs["id"], None, 404)
        self.get("/v2", key="globex")

    def test_keys_in_pages(self):
        whole = self.get("/v1/keys?limit=500")["keys"]
        paged, cursor = [], ""
        for _ in range(len(whole) + 1):
            page = self.get("/v1/keys?limit=2" + cursor)
            paged += page["keys"]
            if "next" not in page:
                break
            cursor = "&after=" + page["next"]
        self.assertEqual(paged, whole)

    # --- audit ---

    def records(self, query, **more):
        return self.get("/v1/audit?" + query, **more)["records"]

    def test_audit_filters(self):
        self.put("seen")
        self.put("seen-too")
        key = self.key("infer,models:read")
        start = self.records("limit=1")[0]["time"]
        for request, inputs in (("first", QUESTION), ("second", BAD), ("third", QUESTION)):
            self.server.request("POST", "/v2/models/seen/infer", body={"inputs": inputs}, key=key,
                                headers={"X-Request-Id": "filter-" + request})
        self.server.request("GET", "/v2/models/seen-too", key=key,
                            headers={"X-Request-Id": "filter-fourth"})
        by_key = "key=" + key.split("_")[1]

        def found(query):
            return [r["request"] for r in self.records("limit=500&" + query)]

        four = ["filter-fourth", "filter-third", "filter-second", "filter-first"]
        self.assertEqual(found(by_key), four)
        self.assertEqual(found(by_key + "&model=seen"), four[1:])
        self.assertEqual(found(by_key + "&model=seen/1"), four[1:])
        self.assertEqual(found(by_key + "&model=seen/2"), [])
        self.assertEqual(found(by_key + "&action=model.metadata"), four[:1])
        self.assertEqual(found(by_key + "&outcome=invalid"), ["filter-second"])
        self.assertEqual(found("request=filter-first"), ["filter-first"])
        self.assertEqual(found(by_key + "&model=seen&outcome=ok&action=model.infer"),
                         ["filter-third", "filter-first"])
        self.assertEqual(found(by_key + f"&from={start}"), four)
        self.assertEqual(found(by_key + f"&to={start}"), [])
        times = [r["time"] for r in self.records(by_key)]
        self.assertEqual(found(by_key + f"&from={times[2]}&to={times[0]}"), four[1:3])
        self.assertEqual(found(by_key + f"&from={today()}"), four)
        self.assertEqual(found(by_key + "&from=2099-01-01T00:00:00Z"), [])
        for injection in ("action=%22", "action=ok%22%2C%22", "action=ok%5C"):
            self.assertEqual(found(injection), [])
        self.assertEqual(self.records(by_key, key="globex"), [], "own records only")

    def test_a_name_that_is_no_model_fills_no_usage(self):
        for i in range(5):
            self.post(f"/v2/models/made-up-{i}/infer", {}, 404)
        self.assertEqual([r for r in self.get("/v1/usage")["usage"] if "made-up" in r["model"]], [])

    def test_audit_pages_are_stable(self):
        for _ in range(7):
            self.get("/v2")
        query = "limit=3&action=server.metadata"
        first = self.get("/v1/audit?" + query)
        self.assertEqual(len(first["records"]), 3)
        whole = [r["seq"] for r in self.records("limit=500&action=server.metadata")]
        paged, page = [r["seq"] for r in first["records"]], first
        while "next" in page:
            self.get("/v2")  # newer records do not move the older pages
            page = self.get(f"/v1/audit?{query}&before={page['next']}")
            paged += [r["seq"] for r in page["records"]]
        self.assertEqual(paged, whole)

    # --- the rest ---

    def test_metrics_are_the_operators(self):
        message = self.get("/metrics", 403)["error"]
        self.assertIn("metrics", message)
        self.get("/metrics", 401, key=None)

    def test_malformed_requests_are_counted(self):
        with Server() as server:
            context = ssl.create_default_context(cafile=str(server.data / "tls" / "cert.pem"))
            for line in ("GET /v2/../x HTTP/1.1\r\nHost: h", "GET /v2 HTTP/1.1\r\nHost: h\r\nHost: i",
                         "POST /v2 HTTP/1.1\r\nHost: h\r\nContent-Length: +1"):
                with socket.create_connection(("127.0.0.1", server.port), timeout=20) as plain, \
                        context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                    s.sendall(line.encode() + b"\r\nConnection: close\r\n\r\n")
                    self.assertIn(b" 400 ", s.recv(4096))
            for _ in range(2):
                self.assertEqual(server.request("GET", "/v2", key="sr_x").status, 401)
            server.stop()  # what was counted so far is recorded
            listed = json.loads(server.cli("audit", "list", "--limit", "50", "--json").stdout)
            counts = {r["record"]["action"]: (r["record"]["client"], r["record"]["units"],
                                              r["record"]["outcome"])
                      for r in listed["records"]}
            # One address is one hash, of no tenant (policy.py has it in plain).
            self.assertRegex(counts["request.malformed"][0], "^h:[0-9a-f]{32}$")
            self.assertEqual(counts["request.malformed"][1], 3)
            self.assertEqual(counts["request.malformed"][2], "invalid")
            self.assertEqual(counts["authentication.failed"],
                             (counts["request.malformed"][0], 2, "unauthenticated"))


if __name__ == "__main__":
    unittest.main()
