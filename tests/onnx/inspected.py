#!/usr/bin/env python3
"""What `strongroom inspect` says of models: everything that is refused, in subgraphs and functions
too, nothing that is served, and what a model costs."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper
except ImportError as e:
    print(f"skip: {e.name} is not installed")
    sys.exit(77)

PROGRAM = pathlib.Path(os.environ["STRONGROOM_BIN"]) / "strongroom"
FLOAT, INT8, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT8, TensorProto.INT64, TensorProto.BOOL


def port(name, kind=FLOAT, shape=("n", 4)):
    return helper.make_tensor_value_info(name, kind, list(shape))


def weights(name, *shape):
    return numpy_helper.from_array(np.full(shape, 0.5, "float32"), name)


class Inspected(unittest.TestCase):
    def inspect(self, nodes, inputs, outputs, initial=(), **more):
        """(exit status, facts)"""
        imports = [helper.make_opsetid("", 17), *more.pop("imports", ())]
        model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, list(initial)),
                                  opset_imports=imports, ir_version=8, **more)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.onnx"
            path.write_bytes(model.SerializeToString())
            done = subprocess.run([PROGRAM, "inspect", path, "--json"], capture_output=True, text=True,
                                  timeout=60)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def refused(self, *arguments, **more):
        status, facts = self.inspect(*arguments, **more)
        self.assertEqual(status, 6, facts)
        return [line.split(":")[0] for line in facts["not_served"]]

    def test_branches_attributes_and_shapes_at_once(self):
        def branch(name, op):
            return helper.make_graph([helper.make_node(op, ["b"], [name + "t"]),
                                      helper.make_node("Cast", [name + "t"], [name], to=FLOAT)],
                                     name, [], [port(name)])
        nodes = [helper.make_node("If", ["c"], ["y"], then_branch=branch("p", "Cos"),
                                  else_branch=branch("q", "Sin")),
                 helper.make_node("Resize", ["x", "", "s"], ["z"], mode="nonsense"),
                 helper.make_node("AveragePool", ["x"], ["w"], kernel_shape=[2, 2])]
        found = self.refused(nodes, [port("b", INT8), port("c", BOOL, ()), port("x")],
                             [port("y"), port("z"), port("w")],
                             [numpy_helper.from_array(np.ones(2, "float32"), "s")])
        self.assertEqual(sorted(found), ["AveragePool", "Cos", "Resize", "Sin"])

    def test_bodies_of_loops(self):
        body = helper.make_graph(
            [helper.make_node("Identity", ["go"], ["go2"]), helper.make_node("Cos", ["v"], ["v2"])], "body",
            [port("i", INT64, ()), port("go", BOOL, ()), port("v", INT8)],
            [port("go2", BOOL, ()), port("v2", INT8)])
        loop = helper.make_node("Loop", ["m", "", "b"], ["o"], body=body)
        self.assertEqual(self.refused([loop], [port("m", INT64, ()), port("b", INT8)], [port("o", INT8)]),
                         ["Cos"])
        body = helper.make_graph([helper.make_node("Sin", ["x"], ["y"])], "body", [port("x", INT8, [4])],
                                 [port("y", INT8, [4])])
        scan = helper.make_node("Scan", ["b"], ["o"], body=body, num_scan_inputs=1)
        self.assertEqual(self.refused([scan], [port("b", INT8)], [port("o", INT8)]), ["Sin"])

    def test_functions(self):
        own = helper.make_opsetid("own", 1)
        cosine = helper.make_function("own", "F", ["a"], ["r"], [helper.make_node("Cos", ["a"], ["r"])],
                                      [helper.make_opsetid("", 17)])
        call = helper.make_node("F", ["b"], ["y"], domain="own")
        self.assertEqual(self.refused([call], [port("b", INT8)], [port("y", INT8)], imports=[own],
                                      functions=[cosine]), ["Cos"])

    def test_what_is_served_is_not_refused(self):
        # A window that needs 14 elements, where the dimension may have any size.
        pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[14])
        self.assertEqual(self.inspect([pool], [port("x", shape=("n", 3, "w"))],
                                      [port("y", shape=("n", 3, "v"))])[0], 0)
        # Exporters guard a Squeeze by the very condition under which it works.
        def branch(name, *nodes):
            return helper.make_graph(list(nodes), name, [], [port(name, shape=("k",))])
        axes = numpy_helper.from_array(np.array([1]), "axes")
        node = helper.make_node(
            "If", ["c"], ["y"],
            then_branch=branch("s", helper.make_node("Squeeze", ["x", "axes"], ["s"])),
            else_branch=branch("i", helper.make_node("Identity", ["x"], ["i"])))
        self.assertEqual(self.inspect([node], [port("x"), port("c", BOOL, ())], [port("y", shape=("k",))],
                                      [axes])[0], 0)

    def test_cost(self):
        nodes = [helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
                 helper.make_node("GlobalAveragePool", ["a"], ["b"]),
                 helper.make_node("Flatten", ["b"], ["c"]),
                 helper.make_node("Gemm", ["c", "m"], ["y"])]
        # Some exporters have their weights in Constant nodes.
        held = helper.make_node("Constant", [], ["m"], value=weights("", 16, 10))
        known = (8 * 8 * 16 * 3 * 9) + 16 * 10, 16 * 3 * 9 + 16 * 10
        for more, initial in ((nodes, [weights("w", 16, 3, 3, 3), weights("m", 16, 10)]),
                              ([held, *nodes], [weights("w", 16, 3, 3, 3)])):
            status, facts = self.inspect(more, [port("x", shape=[1, 3, 16, 16])], [port("y", shape=[1, 10])],
                                         initial)
            self.assertEqual(status, 0, facts)
            self.assertEqual((facts["multiply_adds"], facts["parameters"]), known)
            self.assertEqual(facts["tensor_bytes"], 4 * known[1])
            self.assertGreaterEqual(facts["activation_bytes"], 4 * 16 * 8 * 8)


if __name__ == "__main__":
    unittest.main(verbosity=1)
