#!/usr/bin/env python3
"""One inference request and its answer, from outside: encodings, forms, classes, deadlines, names."""

import gzip
import json
import os
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import sys
import time
import unittest
import zlib

import onnx_file
from harness import ROOT, Server, tensor
from markers import scan_mem

PATTERN = bytes(range(1, 33))
FLOAT, UINT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, BFLOAT16 = 1, 2, 6, 7, 8, 9, 10, 11, 16
BODY_LIMIT = 4 << 20
ROW = [1.0] * 64
INFER = "/v2/models/{}/infer"


def echo(kind, shape):
    return onnx_file.model([onnx_file.node("Identity", ["x"], ["y"])],
                           [onnx_file.value("x", kind, shape)], [onnx_file.value("y", kind, shape)])


def binary(head, *parts):
    """(body, headers) of the binary form."""
    text = json.dumps(head).encode()
    return text + b"".join(parts), {"Inference-Header-Content-Length": str(len(text)),
                                    "Content-Type": "application/octet-stream"}


def parts_of(answer):
    """The JSON of a binary answer, and each output's bytes."""
    size = int(answer.headers["Inference-Header-Content-Length"])
    head, rest, found = json.loads(answer.body[:size]), answer.body[size:], {}
    for output in head["outputs"]:
        n = output.get("parameters", {}).get("binary_data_size")
        if n is not None:
            found[output["name"]], rest = rest[:n], rest[n:]
    assert rest == b"", rest
    return head, found


def strings(*items):
    return b"".join(struct.pack("<I", len(i)) + i for i in items)


class Case(unittest.TestCase):
    settings = f"limits:\n  body_bytes: {BODY_LIMIT}\n"
    models = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.settings)
        cls.server.start()
        cls.server.tenant("acme")
        for name, model in cls.models.items():
            answer = cls.server.upload("acme", name, cls.server.seal("acme", model))
            assert answer.status in (200, 201), answer

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def post(self, model, body, headers=None, **more):
        return self.server.request("POST", INFER.format(model), body=body, headers=headers,
                                   key="acme", **more)

    def tls(self, source="127.0.0.1", wait=10):
        context = ssl.create_default_context(cafile=str(self.server.data / "tls" / "cert.pem"))
        plain = socket.create_connection(("127.0.0.1", self.server.port), timeout=wait,
                                         source_address=(source, 0))
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def head(self, method, path, *lines):
        return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x",
                            f"Authorization: Bearer {self.server.keys['acme']}", *lines, "",
                            ""]).encode()


def until_closed(tls):
    back = b""
    try:
        while block := tls.recv(65536):
            back += block
    except (OSError, ssl.SSLError):
        pass
    return back


class Compression(Case):
    models = {"m": onnx_file.linear(PATTERN), "echo": echo(UINT8, ["n"])}
    question = {"inputs": [tensor("x", [1, 64], ROW)]}

    def test_requests_in_every_encoding(self):
        plain = self.post("m", self.question).json
        text = json.dumps(self.question).encode()
        members = gzip.compress(text[:50]) + gzip.compress(b"") + gzip.compress(text[50:])
        for encoding, body in (("gzip", gzip.compress(text)), ("GZIP", gzip.compress(text)),
                               ("x-gzip", gzip.compress(text)), ("deflate", zlib.compress(text)),
                               ("identity", text), ("gzip", members)):
            answer = self.post("m", body, {"Content-Encoding": encoding})
            self.assertEqual((answer.status, answer.json), (200, plain), encoding)

    def test_the_header_counts_what_was_compressed(self):
        body, headers = binary({"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP32",
                                            "parameters": {"binary_data_size": 256}}],
                                "parameters": {"binary_data_output": True}},
                               struct.pack("<64f", *ROW))
        plain = self.post("m", body, headers)
        self.assertEqual(plain.status, 200, plain)
        packed = self.post("m", zlib.compress(body), dict(headers, **{"Content-Encoding": "deflate"}))
        self.assertEqual((packed.status, packed.body), (200, plain.body))
        raw = self.post("m", gzip.compress(struct.pack("<64f", *ROW)),
                        {"Content-Encoding": "gzip", "Inference-Header-Content-Length": "0"})
        self.assertEqual((raw.status, parts_of(raw)[1]), (200, parts_of(plain)[1]))

    def test_bodies_that_are_not_what_they_say(self):
        packed = gzip.compress(json.dumps(self.question).encode())
        wrong = bytearray(packed)
        wrong[-6] ^= 1  # the checksum
        for encoding, body, words in (
                ("gzip", json.dumps(self.question).encode(), "not gzip"),
                ("deflate", packed, "not deflate"),
                ("gzip", packed[:-1], "ends inside its gzip data"),
                ("gzip", bytes(wrong), "not gzip"),
                ("gzip", packed + b"tail", "4 bytes or more are left over after the compressed body"),
                ("gzip", b"", "ends inside its gzip data"),
                ("deflate", zlib.compress(b"{}") + b"x", "left over after the compressed body")):
            answer = self.post("m", body, {"Content-Encoding": encoding})
            self.assertEqual(answer.status, 400, (encoding, body[:20], answer))
            self.assertIn(words, answer.error)

    def test_bombs_end_at_the_limit(self):
        for depth, encoding in ((1 << 30, "gzip"), (BODY_LIMIT + 1, "deflate")):
            packer = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
            zeros, bomb = bytes(1 << 20), b""
            for _ in range(depth >> 20):
                bomb += packer.compress(zeros)
            bomb += packer.compress(bytes(depth & 0xFFFFF)) + packer.flush()
            began = time.monotonic()
            answer = self.post("m", bomb, {"Content-Encoding": encoding})
            self.assertEqual(answer.status, 413, answer)
            self.assertIn(str(BODY_LIMIT), answer.error)
            self.assertLess(time.monotonic() - began, 5)
        for pid in self.server.processes()["front"]:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            self.assertLess(int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]), 400 << 10)
        # One that is exactly as large as the limit is read, and found not to be JSON.
        answer = self.post("m", gzip.compress(b" " * BODY_LIMIT), {"Content-Encoding": "gzip"})
        self.assertEqual(answer.status, 400, answer)

    def test_unknown_encodings(self):
        text = json.dumps(self.question).encode()
        for encoding in ("br", "zstd", "gzip, gzip", "compress", "gzip;q=1", ""):
            answer = self.post("m", text, {"Content-Encoding": encoding})
            self.assertEqual(answer.status, 415, (encoding, answer))
            self.assertEqual(answer.headers["Accept-Encoding"], "gzip, deflate")
            self.assertEqual(answer.error, "the body's Content-Encoding is none of gzip, deflate "
                                           "and identity")
        answer = self.server.request("PUT", "/v2/repository/models/n/versions/1", body=b"x" * 100,
                                     key="acme", headers={"Content-Encoding": "gzip"})
        self.assertEqual(answer.status, 415, answer)

    def test_answers_as_the_client_likes_them(self):
        rows = {"inputs": [tensor("x", [40, 64], ROW * 40)]}
        plain = self.post("m", rows)
        self.assertNotIn("Content-Encoding", plain.headers)
        for accept, coding in (("gzip", "gzip"), ("deflate", "deflate"), ("deflate, gzip", "gzip"),
                               ("gzip;q=0.1, deflate;q=0.2", "deflate"), ("*", "gzip"),
                               ("gzip;q=0", None), ("br", None), ("identity, gzip;q=0.3", None),
                               ("gzip;q=7", None), ("", None)):
            answer = self.post("m", rows, {"Accept-Encoding": accept})
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.headers.get("Content-Encoding"), coding, accept)
            unpack = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[coding]
            self.assertEqual(unpack(answer.body), plain.body)
            if coding:
                self.assertEqual(answer.headers["Vary"], "Accept-Encoding")
                self.assertLess(len(answer.body), len(plain.body) / 2)

    def test_answers_that_are_not_worth_it(self):
        small = self.server.request("GET", "/v2", key="acme", headers={"Accept-Encoding": "gzip"})
        self.assertNotIn("Content-Encoding", small.headers)
        noise = os.urandom(5000)
        body, headers = binary({"inputs": [{"name": "x", "shape": [5000], "datatype": "UINT8",
                                            "parameters": {"binary_data_size": 5000}}],
                                "parameters": {"binary_data_output": True}}, noise)
        answer = self.post("echo", body, dict(headers, **{"Accept-Encoding": "gzip"}))
        self.assertNotIn("Content-Encoding", answer.headers)
        self.assertEqual(parts_of(answer)[1]["y"], noise)

    def test_a_binary_answer_compressed(self):
        body, headers = binary({"inputs": [{"name": "x", "shape": [5000], "datatype": "UINT8",
                                            "parameters": {"binary_data_size": 5000}}],
                                "parameters": {"binary_data_output": True}}, b"ab" * 2500)
        answer = self.post("echo", body, dict(headers, **{"Accept-Encoding": "deflate"}))
        self.assertEqual(answer.headers["Content-Encoding"], "deflate")
        answer.body = zlib.decompress(answer.body)
        self.assertEqual(parts_of(answer)[1]["y"], b"ab" * 2500)


class Traces(Case):
    """Compressed or not, in one record with its head or in many: nothing stays of a request."""

    models = {"echo": onnx_file.model(
        [onnx_file.node("Identity", ["x"], ["y"]), onnx_file.node("Shape", ["x"], ["s"])],
        [onnx_file.value("x", UINT8, ["n"])],
        [onnx_file.value("y", UINT8, ["n"]), onnx_file.value("s", INT64, [1])])}

    def exchange(self, tls, blocks):
        """Send, and read one answer; the connection stays."""
        for block in blocks:
            tls.sendall(block)
        back = b""
        while b"\r\n\r\n" not in back:
            back += tls.recv(65536)
        head, body = back.split(b"\r\n\r\n", 1)
        size = int(re.search(rb"Content-Length: (\d+)\r\n", head.replace(b"Header-Content", b""))[1])
        while len(body) < size:
            body += tls.recv(65536)
        self.assertTrue(head.startswith(b"HTTP/1.1 200"), head[:400])
        return head, body

    def test_nothing_stays(self):
        """Each request has a thread of its own, with whatever memory that has used."""
        kinds = [(encoding, accept, together, output) for encoding in ("gzip", "deflate", None)
                 for accept in ("gzip", None) for together in (True, False) for output in "ys"]
        connections = [self.tls() for _ in kinds]
        for tls in connections:
            self.addCleanup(tls.close)
        stem = os.urandom(12).hex().encode()  # of all marks, so that one scan looks for each
        for i, (tls, (encoding, accept, together, output)) in enumerate(zip(connections, kinds)):
            mark = stem + b"-%02d" % i
            noise = mark.join(os.urandom(5000).hex().encode() for _ in range(6))
            body, headers = binary(
                {"inputs": [{"name": "x", "shape": [len(noise)], "datatype": "UINT8",
                             "parameters": {"binary_data_size": len(noise)}}],
                 "parameters": {"binary_data_output": True}, "outputs": [{"name": output}],
                 "id": mark.decode()}, noise)
            if encoding:
                body = {"gzip": gzip.compress, "deflate": zlib.compress}[encoding](body)
                headers["Content-Encoding"] = encoding
            if accept:
                headers["Accept-Encoding"] = accept
            headers["Content-Length"] = str(len(body))
            head = self.head("POST", INFER.format("echo"), *(f"{k}: {v}" for k, v in headers.items()))
            answer, back = self.exchange(tls, [head + body] if together else [head, body])
            plain = gzip.decompress(back) if b"Content-Encoding" in answer else back
            self.assertEqual(plain.count(mark), 6 if output == "y" else 1)
        roles = self.server.processes()
        for role in ("front", "worker", "ledger", "keeper"):
            for pid in roles[role]:
                places = scan_mem(pid, stem)[1]
                self.assertEqual(places, [], f"{role}; the number behind it tells the request: {kinds}")


class Forms(Case):
    models = {
        "m": onnx_file.linear(PATTERN), "text": echo(STRING, ["n"]), "one": echo(STRING, [1]),
        "half": echo(FLOAT16, ["n"]), "brain": echo(BFLOAT16, ["n", 2]), "flags": echo(BOOL, ["n"]),
        "wide": echo(INT64, ["n"]), "pairs": onnx_file.model(
            [onnx_file.node("Identity", ["a"], ["c"]), onnx_file.node("Identity", ["b"], ["d"])],
            [onnx_file.value("a", FLOAT, ["n"]), onnx_file.value("b", STRING, ["n"])],
            [onnx_file.value("c", FLOAT, ["n"]), onnx_file.value("d", STRING, ["n"])]),
    }

    def test_strings_both_ways(self):
        items = ["", "a", "gr\u00fc\u00df", "\u0000\n\"\\", "\U0001f512"]
        answer = self.post("text", {"inputs": [tensor("x", [5], items, "BYTES")]})
        self.assertEqual(answer.json["outputs"][0], {"name": "y", "datatype": "BYTES", "shape": [5],
                                                     "data": items})
        coded = strings(*(i.encode() for i in items))
        body, headers = binary({"inputs": [{"name": "x", "shape": [5], "datatype": "BYTES",
                                            "parameters": {"binary_data_size": len(coded)}}],
                                "outputs": [{"name": "y", "parameters": {"binary_data": True}}]},
                               coded)
        self.assertEqual(parts_of(self.post("text", body, headers))[1]["y"], coded)
        # Bytes that are no text pass in binary, and say so in JSON.
        coded = strings(b"\xff\xfe", b"ok")
        for all_binary, status in ((True, 200), (False, 400)):
            body, headers = binary({"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES",
                                                "parameters": {"binary_data_size": len(coded)}}],
                                    "parameters": {"binary_data_output": all_binary}}, coded)
            answer = self.post("text", body, headers)
            self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.error, 'output "y": element 0 is not UTF-8, so it has no JSON form; '
                                       'ask for binary_data')

    def test_bytes_that_do_not_fit(self):
        for coded, words in ((strings(b"a"), "end inside element 1 of 2"),
                             (strings(b"a", b"b") + b"x", "1 bytes are left over"),
                             (strings(b"a") + b"\xff\xff\xff\xff", "is said to have 4294967295"),
                             (b"", "end inside element 0 of 2")):
            body, headers = binary({"inputs": [{"name": "x", "shape": [2], "datatype": "BYTES",
                                                "parameters": {"binary_data_size": len(coded)}}]},
                                   coded)
            answer = self.post("text", body, headers)
            self.assertEqual(answer.status, 400, answer)
            self.assertIn(words, answer.error)

    def test_types_without_a_json_form(self):
        for model, kind, shape in (("half", "FP16", [2]), ("brain", "BF16", [1, 2])):
            answer = self.post(model, {"inputs": [tensor("x", shape, [1, 2], kind)],
                                       "parameters": {"binary_data_output": True}})
            self.assertEqual((answer.status, answer.error),
                             (400, f'input "x": {kind} has no JSON form; send the tensor in binary '
                                   f'(binary_data_size)'))
            head = {"inputs": [{"name": "x", "shape": shape, "datatype": kind,
                                "parameters": {"binary_data_size": 4}}]}
            body, headers = binary(head, b"\x00\x3c\x01\x40")
            answer = self.post(model, body, headers)
            self.assertEqual((answer.status, answer.error),
                             (400, f'output "y" is {kind}, which has no JSON form; ask for '
                                   f'binary_data'))
            head["outputs"] = [{"name": "y", "parameters": {"binary_data": True}}]
            body, headers = binary(head, b"\x00\x3c\x01\x40")
            answer = self.post(model, body, headers)
            self.assertEqual(answer.status, 200, answer)
            found, parts = parts_of(answer)
            self.assertEqual((found["outputs"][0]["datatype"], parts["y"]),
                             (kind, b"\x00\x3c\x01\x40"))

    def test_what_is_not_finite_passes_in_binary_only(self):
        data = struct.pack("<2f", float("nan"), float("inf"))
        for all_binary, status in ((True, 200), (False, 400)):
            body, headers = binary({"inputs": [
                {"name": "a", "shape": [2], "datatype": "FP32", "parameters": {"binary_data_size": 8}},
                tensor("b", [2], ["x", "y"], "BYTES")],
                "parameters": {"binary_data_output": all_binary}}, data)
            answer = self.post("pairs", body, headers)
            self.assertEqual(answer.status, status, answer)
        self.assertIn('output "c": element 0 is not a finite number', answer.error)

    def test_parts_of_both_kinds_in_any_order(self):
        coded, floats = strings(b"p", b"qq"), struct.pack("<2f", 0.5, -2)
        for first, second in (("a", "b"), ("b", "a")):
            inputs = {"a": {"name": "a", "shape": [2], "datatype": "FP32",
                            "parameters": {"binary_data_size": 8}},
                      "b": {"name": "b", "shape": [2], "datatype": "BYTES",
                            "parameters": {"binary_data_size": len(coded)}}}
            part = {"a": floats, "b": coded}
            body, headers = binary({"inputs": [inputs[first], inputs[second]], "outputs": [
                {"name": "d", "parameters": {"binary_data": True}}, {"name": "c"}]},
                part[first], part[second])
            found, parts = parts_of(self.post("pairs", body, headers))
            self.assertEqual(parts, {"d": coded})
            self.assertEqual([o["name"] for o in found["outputs"]], ["d", "c"])
            self.assertEqual(found["outputs"][1]["data"], [0.5, -2.0])
        # All in binary unless one says otherwise.
        body, headers = binary({"inputs": [dict(inputs["a"]), dict(inputs["b"])],
                                "parameters": {"binary_data_output": True},
                                "outputs": [{"name": "c", "parameters": {"binary_data": False}},
                                            {"name": "d"}]}, floats, coded)
        found, parts = parts_of(self.post("pairs", body, headers))
        self.assertEqual((found["outputs"][0]["data"], parts), ([0.5, -2.0], {"d": coded}))

    def test_the_raw_form(self):
        zero = {"Inference-Header-Content-Length": "0"}
        answer = self.post("m", struct.pack("<64f", *ROW), zero)
        self.assertEqual(answer.status, 200, answer)
        head, parts = parts_of(answer)
        self.assertEqual(head["outputs"][0]["shape"], [1, 64])
        self.assertEqual(len(parts["y"]), 256)
        for model in ("one", "text"):
            answer = self.post(model, b"\x00any bytes\xff", zero)
            self.assertEqual(parts_of(answer)[1]["y"], strings(b"\x00any bytes\xff"))
        for model, body, words in (
                ("m", bytes(255), "binary data of 255 bytes, the shape takes 256"),
                ("m", bytes(512), "binary data of 512 bytes, the shape takes 256"),
                ("m", b"", "binary data of 0 bytes"),
                ("pairs", bytes(8), "needs a model with one input, this has 2"),
                ("flags", b"\x02", "neither 0 nor 1")):
            answer = self.post(model, body, zero)
            self.assertEqual(answer.status, 400, (model, answer))
            self.assertIn(words, answer.error)

    def test_header_lengths(self):
        body, _ = binary({"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP32",
                                      "parameters": {"binary_data_size": 256}}]}, bytes(256))
        json_size = len(body) - 256
        for length, words in ((str(len(body) + 1), "the body has"), ("-1", "is not a number"),
                              ("1e3", "is not a number"), ("", "is not a number"),
                              ("99999999999999999999", "is not a number"),
                              ("999999999999999999", "the body has"),
                              (str(json_size - 1), "JSON ends"), (str(json_size + 1), "the body has 255 bytes left"),
                              ("5", "JSON ends")):
            answer = self.post("m", body, {"Inference-Header-Content-Length": length})
            self.assertEqual(answer.status, 400, (length, answer))
            self.assertIn(words, answer.error, length)

    def test_ids_and_parameters(self):
        question = {"inputs": [tensor("x", [1], [7], "INT64")]}
        for given in ("", "a\"\\\u00e4\n", "x" * 256):
            self.assertEqual(self.post("wide", dict(question, id=given)).json["id"], given)
        self.assertNotIn("id", self.post("wide", question).json)
        for given, words in ((7, "id is not a string"), (None, "id is not a string"),
                             ([], "id is not a string"), ({}, "id is not a string"),
                             (True, "id is not a string"), ("x" * 257, "id is longer than 256")):
            answer = self.post("wide", dict(question, id=given))
            self.assertEqual(answer.status, 400, (given, answer))
            self.assertIn(words, answer.error)
        for parameters in ({}, {"priority": 0}, {"priority": 4}, {"timeout": 0},
                           {"timeout": 9000000}, {"sequence_id": 0}, {"sequence_id": ""},
                           {"sequence_start": False, "sequence_end": False}):
            answer = self.post("wide", dict(question, parameters=parameters))
            self.assertEqual(answer.status, 200, (parameters, answer))
        for parameters, words in (({"sequence_id": 5}, "sequences are not offered"),
                                  ({"sequence_end": True}, "sequences are not offered"),
                                  ({"priority": "high"}, "parameter priority"),
                                  ({"timeout": 1.5}, "whole number of microseconds"),
                                  ({"timeout": -1}, "whole number of microseconds"),
                                  ({"my_own": 1}, 'parameter "my_own" is not supported'),
                                  ([], "expected an object"), (None, "expected an object")):
            answer = self.post("wide", dict(question, parameters=parameters))
            self.assertEqual(answer.status, 400, (parameters, answer))
            self.assertIn(words, answer.error)


class Classes(Case):
    models = {"batch": echo(FLOAT, ["n", 4]), "flat": echo(INT32, [5]), "text": echo(STRING, [1]),
              "double": echo(DOUBLE, ["n", "k"])}

    def classes(self, model, shape, data, kind, **parameters):
        return self.post(model, {"inputs": [tensor("x", shape, data, kind)],
                                 "outputs": [{"name": "y", "parameters": parameters}]})

    def test_the_highest_of_each_row(self):
        answer = self.classes("batch", [2, 4], [1, 5, 10, 4, 0.5, 0.25, 0.75, 0.5], "FP32",
                              classification=3)
        self.assertEqual(answer.json["outputs"], [
            {"name": "y", "datatype": "BYTES", "shape": [2, 3],
             "data": ["10.0:2", "5.0:1", "4.0:3", "0.75:2", "0.5:0", "0.5:3"]}])
        answer = self.classes("flat", [5], [3, -1, 3, 7, 0], "INT32", classification=2)
        self.assertEqual(answer.json["outputs"], [
            {"name": "y", "datatype": "BYTES", "shape": [2], "data": ["7:3", "3:0"]}])
        answer = self.classes("flat", [5], [3, -1, 3, 7, 0], "INT32", classification=1000000)
        self.assertEqual(answer.json["outputs"][0]["shape"], [5])

    def test_in_binary_and_many(self):
        answer = self.classes("batch", [1, 4], [1, 5, 10, 4], "FP32", classification=2,
                              binary_data=True)
        head, parts = parts_of(answer)
        self.assertEqual(head["outputs"][0]["shape"], [1, 2])
        self.assertEqual(parts["y"], strings(b"10.0:2", b"5.0:1"))
        # More ranks than a thread's working memory holds at first.
        answer = self.classes("double", [3, 30000], [float(i % 997) for i in range(90000)], "FP64",
                              classification=30000)
        self.assertEqual(answer.status, 200, answer)
        data = answer.json["outputs"][0]["data"]
        self.assertEqual(len(data), 90000)
        self.assertEqual(data[0], "996.0:996")
        for row in range(3):
            values = [float(d.split(":")[0]) for d in data[row * 30000:(row + 1) * 30000]]
            self.assertEqual(values, sorted(values, reverse=True))

    def test_what_cannot_be_ranked(self):
        answer = self.classes("text", [1], ["a"], "BYTES", classification=1)
        self.assertEqual(answer.error, 'output "y" is BYTES, whose values cannot be ranked: '
                                       'classification takes whole numbers, FP32 and FP64')
        for wrong in (0, -1, 1.5, "3", True, None, 10**9):
            answer = self.classes("flat", [5], [1] * 5, "INT32", classification=wrong)
            self.assertEqual(answer.status, 400, (wrong, answer))
            self.assertIn("classification", answer.error)


class Deadlines(Case):
    settings = "limits:\n  request_timeout_ms: 1500\n  body_bytes: 67108864\n"
    models = {"slow": onnx_file.slow(60), "m": onnx_file.linear(PATTERN)}
    SIDE = 1200

    def slow(self, headers=None, **parameters):
        side = self.SIDE
        body, more = binary({"inputs": [{"name": "x", "shape": [side, side], "datatype": "FP32",
                                         "parameters": {"binary_data_size": side * side * 4}}],
                             "parameters": dict(parameters, binary_data_output=True)},
                            bytes(side * side * 4))
        began = time.monotonic()
        return self.post("slow", body, dict(more, **(headers or {}))), time.monotonic() - began

    def test_both_ways_to_say_it(self):
        for headers, parameters in ((None, {"timeout": 200000}), ({"X-Request-Timeout-Ms": "200"}, {}),
                                    ({"X-Request-Timeout-Ms": "60000"}, {"timeout": 200000}),
                                    ({"X-Request-Timeout-Ms": "200"}, {"timeout": 60000000})):
            answer, took = self.slow(headers, **parameters)
            self.assertEqual(answer.status, 504, (headers, parameters, answer))
            self.assertLess(took, 5)
            self.assertIn("X-Request-Id", answer.headers)
        self.assertIn("deadline", [r["outcome"] for r in self.server.audit("acme")])

    def test_none_that_is_malformed(self):
        for value in ("-1", "1.5", "soon", "", "99999999999999999999"):
            answer = self.post("m", {"inputs": [tensor("x", [1, 64], ROW)]},
                               {"X-Request-Timeout-Ms": value})
            self.assertEqual((answer.status, answer.error),
                             (400, "X-Request-Timeout-Ms is not a number"), value)

    def test_a_body_that_drips(self):
        """Each byte is in time, all of them are not."""
        with self.tls(wait=20) as tls:
            tls.sendall(self.head("POST", INFER.format("m"), "Content-Length: 100000"))
            began = time.monotonic()
            tls.settimeout(0.2)
            back = b""
            while time.monotonic() - began < 15 and b"\r\n\r\n" not in back:
                try:
                    tls.sendall(b" ")
                    block = tls.recv(65536)
                    if not block:
                        break
                    back += block
                except (TimeoutError, socket.timeout):
                    pass
                except OSError:
                    break
            took = time.monotonic() - began
        self.assertIn(b"HTTP/1.1 504", back)
        self.assertIn(b"the body did not arrive in time", back)
        self.assertTrue(2.5 < took < 8, took)  # 1.5 s, and 1 ms for each 64 bytes

    def test_a_body_that_stops(self):
        for line, least, most, why in (
                ("X-A: b", 1, 8, b"the body did not arrive in time: 1 of 1000 bytes"),
                ("X-Request-Timeout-Ms: 200", 0.1, 1.2,
                 b"X-Request-Timeout-Ms: the 200 ms passed with 1 of 1000 bytes of the body read")):
            with self.tls(wait=20) as tls:
                tls.sendall(self.head("POST", INFER.format("m"), "Content-Length: 1000", line) + b"{")
                began = time.monotonic()
                back = until_closed(tls)
            self.assertIn(b"HTTP/1.1 504", back)
            self.assertIn(why, back)
            self.assertTrue(least < time.monotonic() - began < most, line)

    def test_a_body_that_is_cut(self):
        before = len(self.server.audit("acme"))
        with self.tls() as tls:
            tls.sendall(self.head("POST", INFER.format("m"), "Content-Length: 1000") + b"{")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            records = self.server.audit("acme")[: -before or None]
            if any(r["outcome"] == "invalid" and r["action"] == "model.infer" for r in records):
                return
            time.sleep(0.1)
        self.fail("the aborted request is not recorded")

    def test_the_rest_of_a_refused_body_is_not_waited_for(self):
        """The answer comes at once, and the connection ends soon although the rest drips."""
        with self.tls(wait=20) as tls:
            tls.sendall(self.head("POST", INFER.format("nobodys"), "Content-Length: 30000") + b"{")
            began = time.monotonic()
            back = until_closed(tls)
        self.assertIn(b"HTTP/1.1 404", back)
        self.assertIn(b"Connection: close", back)
        self.assertLess(time.monotonic() - began, 5)

    def test_100_continue(self):
        body = json.dumps({"inputs": [tensor("x", [1, 64], ROW)]}).encode()
        for model, first in (("m", b"HTTP/1.1 100 Continue\r\n\r\n"), ("nobodys", b"HTTP/1.1 404")):
            with self.tls() as tls:
                tls.sendall(self.head("POST", INFER.format(model), f"Content-Length: {len(body)}",
                                      "Expect: 100-continue", "Connection: close"))
                self.assertTrue(tls.recv(4096).startswith(first))
                if model == "m":
                    tls.sendall(body)
                    self.assertIn(b"HTTP/1.1 200", until_closed(tls))


class Names(Case):
    """Request ids and traces, on every answer."""

    models = {"m": onnx_file.linear(PATTERN)}
    PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    def test_every_answer_has_both(self):
        good = json.dumps({"inputs": [tensor("x", [1, 64], ROW)]}).encode()
        key = ["Authorization: Bearer " + self.server.keys["acme"]]
        for status, request in (
                (200, ("GET", "/v2/health/live", [])),
                (200, ("GET", "/v2", key)),
                (200, ("POST", "/v2/models/m/infer", key + [f"Content-Length: {len(good)}"])),
                (400, ("GET", "/v2//x", key)),
                (400, ("GET", "/v2", key + ["Content-Length: 5"])),
                (400, ("GET", "/v2", key + [f"X-{i}: y" for i in range(61)])),
                (400, ("GET", "/v2", key + ["broken"])),
                (401, ("GET", "/v2", [])),
                (404, ("GET", "/v2/models/none", key)),
                (404, ("GET", "/nowhere", key)),
                (405, ("DELETE", "/v2", key)),
                (411, ("POST", "/v2/models/m/infer", key)),
                (413, ("POST", "/v2/models/m/infer", key + [f"Content-Length: {1 << 33}"])),
                (400, ("GET", "/v2", ["X-Long: " + "y" * 17000])),
                (415, ("POST", "/v2/models/m/infer",
                       key + ["Content-Length: 5", "Content-Encoding: br"])),
                (400, ("BREW", "/v2 x", key)),
                (411, ("GET", "/v2", key + ["Transfer-Encoding: gzip"]))):
            method, path, lines = request
            with self.tls() as tls:
                tls.sendall("\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines,
                                         "Connection: close", "", ""]).encode())
                if status == 200 and method == "POST":
                    tls.sendall(good)
                back = until_closed(tls).decode("latin-1")
            self.assertEqual(back[:13], f"HTTP/1.1 {status} ", (method, path, back[:300]))
            self.assertRegex(back, r"\r\nX-Request-Id: [0-9a-f]{32}\r\n", path)
            self.assertRegex(back, r"\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-00\r\n", path)
            self.assertNotIn("RateLimit", back)
            if status >= 400:
                self.assertIn('{"error":"', back)
            if status == 405:
                self.assertIn("\r\nAllow: GET, HEAD\r\n", back)

    def test_the_callers_own(self):
        def ask(path="/v2", key="acme", **headers):
            return self.server.request("GET", path, key=key, headers=headers).headers

        for path, key in (("/v2", "acme"), ("/v2", None), ("/nowhere", "acme"), ("/v2/..", "acme")):
            found = ask(path, key, **{"X-Request-Id": "mine-1", "traceparent": self.PARENT,
                                      "tracestate": "a=1,b=2"})
            self.assertEqual(found["X-Request-Id"], "mine-1")
            self.assertRegex(found["traceparent"], "^" + self.PARENT[:36] + "[0-9a-f]{16}-01$")
            self.assertNotIn(self.PARENT[36:52], found["traceparent"])
            self.assertEqual(found["tracestate"], "a=1,b=2")
        for wrong in ("a b", "x" * 65, "a/b", "\u00e4", ""):
            found = ask(**{"X-Request-Id": wrong})
            self.assertRegex(found["X-Request-Id"], "^[0-9a-f]{32}$")

    def test_traces_that_are_malformed(self):
        for parent, state in ((self.PARENT.upper(), "a=1"), (self.PARENT + "-x", "a=1"),
                              ("00-" + "0" * 32 + self.PARENT[35:], "a=1"), ("", "a=1"),
                              (None, "a=1"), (self.PARENT, "A=1"), (self.PARENT, "a"),
                              (self.PARENT, "a=" + "v" * 600)):
            headers = {"tracestate": state}
            if parent is not None:
                headers["traceparent"] = parent
            found = self.server.request("GET", "/v2", key="acme", headers=headers).headers
            self.assertNotIn("tracestate", found)
            same = self.PARENT[3:35] in found["traceparent"]
            self.assertEqual(same, parent == self.PARENT, (parent, state))

    def test_blank_lines_before_the_first_request_of_a_thread(self):
        """A thread that has read nothing yet has no earlier request to compare with."""
        with Server("limits:\n  connections: 16\n") as server:
            server.tenant("acme")
            request = ("GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                       f"{server.keys['acme']}\r\n\r\n").encode()
            context = ssl.create_default_context(cafile=str(server.data / "tls" / "cert.pem"))
            answers = []
            for i in range(12):  # held open, so that each has a thread of its own
                plain = socket.create_connection(("127.0.0.1", server.port), timeout=5)
                tls = context.wrap_socket(plain, server_hostname="127.0.0.1")
                self.addCleanup(tls.close)
                tls.sendall(b"\r\n" * (8 * (i + 1)) + request)
                back = until_closed(tls)
                answers.append(back[:12])
                self.assertLessEqual(back.count(b"HTTP/1.1 "), 1, back)
            self.assertEqual(answers, [b"HTTP/1.1 400"] * 12)
            good = server.request("GET", "/v2", key="acme")
            self.assertEqual(good.status, 200)


class Tritonclient(Case):
    models = dict(Forms.models, batch=echo(FLOAT, ["n", 4]))

    def test_what_the_client_can_ask_for(self):
        python = ROOT / "build" / "client-venv" / "bin" / "python"
        if not python.exists():
            self.skipTest("tritonclient is not installed")
        done = subprocess.run(
            [str(python), "-B", str(pathlib.Path(__file__).with_name("infer_triton.py"))],
            capture_output=True, text=True, timeout=120,
            env=dict(os.environ, STRONGROOM_URL=f"127.0.0.1:{self.server.port}",
                     STRONGROOM_CACERT=str(self.server.data / "tls" / "cert.pem"),
                     STRONGROOM_KEY=self.server.keys["acme"]))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    unittest.main(verbosity=2)
