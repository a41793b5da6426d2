#!/usr/bin/env python3
"""Nine networks for pictures, as the model zoo has them, see rendered pictures: each answer is ONNX
Runtime's. The networks come without their weights (one number stands for all), so that no class
wins; the smaller ones are asked once more with weights drawn here, and then their first class is
the one that stands below.

Argument: the folder of the light models.
"""

import pathlib
import sys
import tempfile
import unittest

import served

served.need("onnx", "PIL")

import numpy as np
import onnx
from onnx import helper, numpy_helper
from PIL import Image, ImageDraw

RTOL = 1e-3
ATOL = 1e-6  # of the largest value: probabilities are as small as 1e-3 here
SIZE = 224
UNIFORM = ("bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet",
           "squeezenet", "vgg19", "zfnet512")
# The first class that each network gives the three pictures, with the weights that `draw` draws.
FIRST = {"densenet121": (129, 129, 129), "inception_v1": (256, 256, 256),
         "inception_v2": (640, 640, 640), "resnet50": (543, 922, 543),
         "shufflenet": (128, 128, 128), "squeezenet": (389, 389, 361)}


def pictures():
    """A house, rings and a page, as the networks want them: standardised, channels first."""
    house = Image.new("RGB", (SIZE, SIZE), (120, 180, 240))
    pen = ImageDraw.Draw(house)
    pen.rectangle((0, 150, SIZE, SIZE), fill=(60, 140, 50))
    pen.rectangle((60, 90, 160, 190), fill=(190, 80, 60), outline=(40, 20, 10), width=3)
    pen.polygon(((50, 90), (110, 40), (170, 90)), fill=(90, 40, 30))
    pen.ellipse((170, 15, 210, 55), fill=(250, 230, 90))
    rings = Image.new("RGB", (SIZE, SIZE), (20, 20, 30))
    pen = ImageDraw.Draw(rings)
    for i in range(14):
        pen.ellipse((8 * i, 8 * i, SIZE - 8 * i, SIZE - 8 * i),
                    fill=((37 * i) % 256, (91 * i) % 256, (151 * i) % 256))
    page = Image.new("RGB", (SIZE, SIZE), (250, 248, 240))
    pen = ImageDraw.Draw(page)
    for i in range(16):
        for k in range(3 + i % 4):
            pen.rectangle((12 + 30 * k, 10 + 13 * i, 34 + 30 * k - i % 5, 16 + 13 * i), fill=(30, 30, 40))
    scaled = (np.stack([np.asarray(p, "float32") for p in (house, rings, page)]) / 255 - 0.45) / 0.25
    return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))[:, None]


def weights_of(graph):
    """name -> (shape, the nodes that take it with the place they take it at) of what stands for a
    weight."""
    shapes = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    found = {n.output[0]: tuple(shapes[n.input[0]]) for n in graph.node
             if n.op_type == "ConstantOfShape"}
    found.update((name, x.shape) for name, x in shapes.items() if x.dtype == np.float32)
    users = {name: [] for name in found}
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in users:
                users[name].append((node.op_type, place))
    return {name: (shape, users[name]) for name, shape in found.items() if users[name]}


def draw(model, picture):
    """The model with weights of the usual size drawn for it, and logits so scaled that classes differ."""
    random = np.random.default_rng(20260101)
    graph = model.graph
    drawn = []
    for name, (shape, users) in sorted(weights_of(graph).items()):
        op, place = users[0]
        if len(shape) > 1:  # Conv [M, C, ...]; Gemm [N, K], transposed
            w = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif (op, place) in (("BatchNormalization", 2), ("BatchNormalization", 3), ("Conv", 2), ("Gemm", 2)):
            w = random.standard_normal(shape) * 0.1
        else:
            w = random.uniform(0.5, 1.0, shape)
        drawn.append(numpy_helper.from_array(w.astype("float32"), name))
    names = {d.name for d in drawn}
    nodes = [n for n in graph.node if n.op_type != "ConstantOfShape"]
    kept = [i for i in graph.initializer if i.name not in names]
    constant = names | {i.name for i in kept}
    inputs = [i for i in graph.input if i.name not in constant]
    imports = list(model.opset_import)

    def made(nodes, outputs, more=()):
        return helper.make_model(helper.make_graph(nodes, graph.name, inputs, outputs,
                                                   [*kept, *drawn, *more]),
                                 opset_imports=imports, ir_version=8)

    if nodes[-1].op_type != "Softmax":
        return made(nodes, list(graph.output))
    logits = nodes[-1].input[0]
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        file.write(made(nodes[:-1], [helper.make_tensor_value_info(logits, 1, None)]).SerializeToString())
        file.flush()
        spread = served.reference(file.name).run(None, {inputs[0].name: picture})[0].std()
    nodes[-1].input[0] = "scaled"
    nodes.insert(-1, helper.make_node("Mul", [logits, "scale"], ["scaled"]))
    return made(nodes, list(graph.output),
                [numpy_helper.from_array(np.array(2 / spread, "float32"), "scale")])


class Light(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = served.Models()
        cls.addClassCleanup(cls.models.close)
        cls.pictures = pictures()

    def ask(self, path, pictures):
        """What the server says to each picture; it is ONNX Runtime's."""
        model = self.models.serve(path)
        (name,) = (i.name for i in model.get_inputs())
        answers = []
        for picture in pictures:
            (found,), (expected,) = (s.run(None, {name: picture}) for s in (model, model.reference))
            self.assertEqual(found.shape, expected.shape)
            np.testing.assert_allclose(found, expected, rtol=RTOL, atol=ATOL * abs(expected).max())
            answers.append(found.reshape(1000))
        self.assertEqual(model.asked, len(pictures))
        self.models.forget(model)
        return answers

    def test_as_they_come(self):
        for name in UNIFORM:
            with self.subTest(name):
                (answer,) = self.ask(FOLDER / f"light_{name}.onnx", self.pictures[:1])
                # With all weights alike, all classes are.
                np.testing.assert_allclose(answer, answer[0], rtol=RTOL)
                if name != "densenet121":  # ends without a softmax
                    self.assertAlmostEqual(float(answer[0]), 1e-3, delta=1e-6)

    def test_with_weights_drawn(self):
        for name, first in FIRST.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                model = onnx.load(str(FOLDER / f"light_{name}.onnx"))
                path = pathlib.Path(folder) / f"{name}.onnx"
                path.write_bytes(draw(model, self.pictures[0]).SerializeToString())
                answers = self.ask(path, self.pictures)
                self.assertEqual(tuple(int(a.argmax()) for a in answers), first)
                # The pictures are told apart.
                self.assertGreater(abs(answers[0] - answers[1]).max(), 5e-3 * abs(answers[0]).max())


if __name__ == "__main__":
    FOLDER = pathlib.Path(sys.argv.pop(1))
    if not FOLDER.is_dir():
        print("skip: the light models of the ONNX suite are not here")
        sys.exit(77)
    unittest.main()
