#!/usr/bin/env python3
"""A classifier as scikit-learn's exporter leaves it when nothing is said: its probabilities are a
sequence of maps, which the protocol has not. They are served as a tensor with labels."""

import math
import struct
import unittest

from harness import Server, tensor
from onnx_file import FLOAT, INT64, _field, model, node, value

STRING = 8
COEFFICIENTS = [1.0, -0.5, 0.25, 0.5, -1.0, 0.75]  # three classes, two features
ROWS = [[0.5, 2.0], [-3.0, 1.0], [4.0, 4.0]]


def attribute(name, values):
    """AttributeProto: a string, or a list of floats, integers or strings."""
    if isinstance(values, str):
        return _field(5, _field(1, name) + _field(4, values) + _field(20, 3))
    if isinstance(values[0], float):
        packed = _field(7, struct.pack(f"<{len(values)}f", *values))
        return _field(5, _field(1, name) + packed + _field(20, 6))
    kind, field = (8, 9) if isinstance(values[0], (str, bytes)) else (7, 8)
    return _field(5, _field(1, name) + b"".join(_field(field, v) for v in values) + _field(20, kind))


def classifier(labels, outputs=("label", "probabilities")):
    strings = isinstance(labels[0], (str, bytes))
    linear = node("LinearClassifier", ["x"], ["label", "scores"], "ai.onnx.ml") + attribute(
        "coefficients", COEFFICIENTS) + attribute("post_transform", "SOFTMAX") + attribute(
        "classlabels_strings" if strings else "classlabels_ints", labels)
    names = attribute("classlabels_strings" if strings else "classlabels_int64s", labels)
    maps = _field(5, _field(1, STRING if strings else INT64) + _field(2, _field(1, _field(1, FLOAT))))
    types = {"label": value("label", STRING if strings else INT64, ["n"]),
             "scores": value("scores", FLOAT, ["n", 3]),
             "probabilities": _field(1, "probabilities") + _field(2, _field(4, _field(1, maps)))}
    file = model([linear, node("ZipMap", ["scores"], ["probabilities"], "ai.onnx.ml") + names],
                 [value("x", FLOAT, ["n", 2])], [types[o] for o in outputs])
    return file + _field(8, _field(1, "ai.onnx.ml") + _field(2, 1))


def probabilities(row):
    e = [math.exp(sum(a * b for a, b in zip(row, COEFFICIENTS[2 * k:2 * k + 2]))) for k in range(3)]
    return [v / sum(e) for v in e]


class Maps(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def upload(self, name, file):
        answer = self.server.upload("acme", name, self.server.seal("acme", file))
        self.assertIn(answer.status, (200, 201), answer)

    def infer(self, name, outputs=None):
        flat = [v for row in ROWS for v in row]
        body = {"inputs": [tensor("x", [3, 2], flat)], **({"outputs": outputs} if outputs else {})}
        answer = self.server.request("POST", f"/v2/models/{name}/infer", body=body, key="acme")
        self.assertEqual(answer.status, 200, answer)
        return {o["name"]: o for o in answer.json["outputs"]}

    def expect(self, output):
        self.assertEqual((output["shape"], output["datatype"]), ([3, 3], "FP32"))
        for got, wanted in zip(output["data"], [p for row in ROWS for p in probabilities(row)]):
            self.assertAlmostEqual(got, wanted, places=5)

    def test_probabilities_are_a_tensor(self):
        for name, labels in (("strings", ["cat", "dog", "eel"]), ("ints", [7, -2, 40])):
            self.upload(name, classifier(labels))
            told = self.server.request("GET", f"/v2/models/{name}", key="acme").json["outputs"]
            self.assertEqual([(o["name"], o["datatype"], o["shape"]) for o in told],
                             [("label", "BYTES" if name == "strings" else "INT64", [-1]),
                              ("probabilities", "FP32", [-1, 3])])
            found = self.infer(name)
            best = [max(range(3), key=probabilities(row).__getitem__) for row in ROWS]
            self.assertEqual(found["label"]["data"], [labels[k] for k in best])
            self.expect(found["probabilities"])
            ranked = self.infer(name, [{"name": "probabilities", "parameters": {"classification": 1}}])
            self.assertEqual([c.split(":")[1:] for c in ranked["probabilities"]["data"]],
                             [[str(k), str(labels[k])] for k in best])

    def test_beside_the_tensor_itself(self):
        self.upload("both", classifier(["a", "b", "c"], ("probabilities", "scores", "label")))
        found = self.infer("both")
        self.expect(found["probabilities"])
        self.expect(found["scores"])

    def test_labels_that_cannot_be_shown_are_left_out(self):
        self.upload("odd", classifier([b"a\nb", b"\xff", b""]))
        ranked = self.infer("odd", [{"name": "probabilities", "parameters": {"classification": 1}}])
        self.assertTrue(all(c.count(":") == 1 for c in ranked["probabilities"]["data"]), ranked)


if __name__ == "__main__":
    unittest.main()
