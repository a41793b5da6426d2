#!/usr/bin/env python3
"""Values on their way through the whole server: what goes in as JSON comes out of a model that
changes nothing, in JSON and in binary, bit by bit; what JSON cannot say is refused or goes in
binary. A 64-bit integer never passes through a double, and a float comes back in its shortest form."""

import json
import math
import random
import struct
import unittest

import onnx_file
from harness import Server

# datatype -> ONNX number, struct format
TYPES = {"FP32": (1, "f"), "UINT8": (2, "B"), "INT8": (3, "b"), "UINT16": (4, "H"),
         "INT16": (5, "h"), "INT32": (6, "i"), "INT64": (7, "q"), "BYTES": (8, None),
         "BOOL": (9, "?"), "FP16": (10, "e"), "FP64": (11, "d"), "UINT32": (12, "I"),
         "UINT64": (13, "Q"), "BF16": (16, "H")}


def same(kind):
    """y = x, of any number of rows of two."""
    return onnx_file.model([onnx_file.node("Identity", ["x"], ["y"])],
                           [onnx_file.value("x", kind, ["rows", 2])],
                           [onnx_file.value("y", kind, ["rows", 2])])


def nearest(value):
    """The float32 next to a Python number."""
    return struct.unpack("f", struct.pack("f", value))[0]


class Codec(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        for name, (kind, _) in TYPES.items():
            answer = cls.server.upload("acme", name, cls.server.seal("acme", same(kind)))
            assert answer.status in (200, 201), (name, answer)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def ask(self, datatype, text, count, order="{n},{s},{t},{d}", more=""):
        """The request is written by hand, since Python's json would say numbers in its own way."""
        parts = {"n": '"name":"x"', "s": f'"shape":[{count // 2},2]', "t": f'"datatype":"{datatype}"',
                 "d": f'"data":{text}'}
        body = '{"inputs":[{' + order.format(**parts) + "}]" + more + "}"
        return self.server.request("POST", f"/v2/models/{datatype}/infer", body=body.encode(), key="acme",
                                   headers={"Content-Type": "application/json"})

    def data_text(self, answer):
        """The data as they stand in the answer."""
        self.assertEqual(answer.status, 200, answer)
        body = answer.body.decode()
        at = body.index('"data":') + len('"data":')
        return body[at:body.index("]", at) + 1]

    def binary(self, answer):
        self.assertEqual(answer.status, 200, answer)
        return answer.body[int(answer.headers["Inference-Header-Content-Length"]):]

    def test_what_goes_in_comes_out(self):
        cases = {
            "UINT8": "[0,255]", "INT8": "[-128,127]", "UINT16": "[0,65535]",
            "INT16": "[-32768,32767]", "UINT32": "[0,4294967295]",
            "INT32": "[-2147483648,2147483647]",
            "INT64": "[-9223372036854775808,9223372036854775807,9007199254740993,-1]",
            "UINT64": "[0,18446744073709551615,9007199254740993,1]", "BOOL": "[true,false]",
            "FP32": "[0.1,-0.0,1e-45,3.4028235e38,16777216.0,-1.5]",
            "FP64": "[0.1,-0.0,5e-324,1.7976931348623157e308,9007199254740992.0,-1.5]",
            "BYTES": '["","\\"\\\\\\n\\u0001\u00e4\U0001f600"]',
        }
        for datatype, text in cases.items():
            count = len(json.loads(text))
            self.assertEqual(self.data_text(self.ask(datatype, text, count)), text, datatype)
            whole = self.binary(self.ask(datatype, text, count,
                                         more=',"parameters":{"binary_data_output":true}'))
            if datatype == "BYTES":
                want = b"".join(struct.pack("<I", len(s.encode())) + s.encode()
                                for s in json.loads(text))
            else:
                want = struct.pack(f"<{count}{TYPES[datatype][1]}", *json.loads(text))
            self.assertEqual(whole, want, datatype)

    def test_members_in_every_order_flat_and_nested(self):
        chance = random.Random(1)
        values = [nearest(chance.uniform(-3, 3)) for _ in range(2000)]
        flat = json.dumps(values)
        nested = json.dumps([values[i:i + 2] for i in range(0, len(values), 2)])
        want = struct.pack(f"<{len(values)}f", *values)
        for order in ("{n},{s},{t},{d}", "{d},{t},{n},{s}", "{t},{d},{s},{n}", "{s},{n},{d},{t}"):
            for text in (flat, nested):
                answer = self.ask("FP32", text, len(values), order,
                                  ',"parameters":{"binary_data_output":true}')
                self.assertEqual(self.binary(answer), want, order)

    def test_floats_come_back_shortest(self):
        chance = random.Random(2)
        floats = []
        while len(floats) < 5000:
            value = struct.unpack("f", struct.pack("I", chance.getrandbits(32)))[0]
            if math.isfinite(value):
                floats.append(value)
        answer = self.data_text(self.ask("FP32", json.dumps(floats), len(floats)))
        printed = answer[1:-1].split(",")
        self.assertEqual([nearest(float(p)) for p in printed], floats)
        for value, text in zip(floats, printed):
            digits = len(text.lstrip("-").split("e")[0].replace(".", "").strip("0"))
            if digits > 1:
                self.assertNotEqual(nearest(float(f"{value:.{digits - 2}e}")), value, text)
        doubles = []
        while len(doubles) < 5000:
            value = struct.unpack("d", struct.pack("Q", chance.getrandbits(64)))[0]
            if math.isfinite(value):
                doubles.append(value)
        answer = self.data_text(self.ask("FP64", json.dumps(doubles), len(doubles)))
        for value, text in zip(doubles, answer[1:-1].split(",")):
            # Python's repr is the shortest and nearest, in a notation that differs in places.
            self.assertEqual(float(text), value)
            plain = [t.lstrip("-").split("e")[0].replace(".", "").strip("0")
                     for t in (text, repr(value))]
            self.assertEqual(*plain)

    def test_out_of_range_says_where_and_what(self):
        cases = [
            ("UINT8", "[1,256]", "element 1 of data is 256, UINT8 takes whole numbers from 0 to 255"),
            ("INT64", "[9223372036854775808,0]", "element 0 of data is 9223372036854775808, INT64 "
             "takes whole numbers from -9223372036854775808 to 9223372036854775807"),
            ("INT32", "[1.0,2]", "element 0 of data is 1.0, INT32 takes whole numbers from "
             "-2147483648 to 2147483647, written without fraction or exponent"),
            ("FP32", "[[1,-1e39]]", "element 1 of data is -1e39, FP32 takes numbers from "
             "-3.4028235e38 to 3.4028235e38"),
            ("FP32", "[1,NaN]", "element 1 of data: JSON at byte {n}: found 'N', expected a value"),
            ("BOOL", "[true,2]", "element 1 of data is 2, BOOL takes true, false, 1 and 0"),
            ("BYTES", "[\"a\",1]", "element 1 of data is a number, BYTES takes strings"),
            ("FP16", "[1,2]", "FP16 has no JSON form; send the tensor in binary (binary_data_size)"),
            ("BF16", "[1,2]", "BF16 has no JSON form; send the tensor in binary (binary_data_size)"),
        ]
        for datatype, text, message in cases:
            answer = self.ask(datatype, text, 2)
            at = len('{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,')
            self.assertEqual((answer.status, answer.error),
                             (400, f'input "x": {message.format(n=at)}'), (datatype, text))

    def raw(self, datatype, raw, count, output_binary):
        head = json.dumps({"inputs": [{"name": "x", "shape": [count // 2, 2], "datatype": datatype,
                                       "parameters": {"binary_data_size": len(raw)}}],
                           "parameters": {"binary_data_output": output_binary}}).encode()
        return self.server.request(
            "POST", f"/v2/models/{datatype}/infer", body=head + raw, key="acme",
            headers={"Content-Type": "application/octet-stream",
                     "Inference-Header-Content-Length": str(len(head))})

    def test_what_has_no_json_form_passes_in_binary(self):
        for datatype, value in (("FP32", math.nan), ("FP32", math.inf), ("FP64", -math.inf),
                                ("FP64", math.nan)):
            raw = struct.pack(f"<2{TYPES[datatype][1]}", 1.0, value)
            self.assertEqual(self.binary(self.raw(datatype, raw, 2, True)), raw)
            answer = self.raw(datatype, raw, 2, False)
            self.assertEqual((answer.status, answer.error),
                             (400, 'output "y": element 1 is not a finite number, so it has no JSON '
                                   "form; ask for binary_data"))
        for datatype in ("FP16", "BF16"):
            raw = b"\x00\x3c\x00\xfc"
            self.assertEqual(self.binary(self.raw(datatype, raw, 2, True)), raw)
            answer = self.raw(datatype, raw, 2, False)
            self.assertEqual((answer.status, answer.error),
                             (400, f'output "y" is {datatype}, which has no JSON form; ask for '
                                   "binary_data"))
        raw = b"\x02\0\0\0\xff\xfe\x01\0\0\0a"
        self.assertEqual(self.binary(self.raw("BYTES", raw, 2, True)), raw)
        answer = self.raw("BYTES", raw, 2, False)
        self.assertEqual((answer.status, answer.error),
                         (400, 'output "y": element 0 is not UTF-8, so it has no JSON form; ask for '
                               "binary_data"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
