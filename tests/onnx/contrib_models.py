#!/usr/bin/env python3
"""Models as ONNX Runtime's tools leave them: fused by its optimisers, quantised in every form.

The references are what ONNX Runtime says of the same file; of a fused model also what it says of
the model before. Weights are random.
"""

import pathlib
import sys
import tempfile
import unittest

try:
    import numpy as np
    import onnx
    import onnxruntime
    import sympy  # noqa: F401, what the optimiser needs
    from onnxruntime import quantization
    from onnxruntime.transformers import optimizer
except ImportError as e:
    print(f"skip: {e.name} is not installed")
    sys.exit(77)

from onnx import TensorProto, helper, numpy_helper

from contrib_case import MICROSOFT, Suite, session

RANDOM = np.random.default_rng(4)
WORDS, PLACES = 50, 16


class Graph:
    """Nodes and weights, named as they come."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, value, name=None):
        self.count += 1
        name = name or f"w{self.count}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def random(self, *shape, scale=None):
        scale = scale or 1 / np.sqrt(shape[0] if len(shape) == 2 else np.prod(shape[1:]) or 1)
        return self.weight((RANDOM.standard_normal(shape) * scale).astype("float32"))

    def add(self, op, *inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(op, inputs, [f"t{self.count}"], f"{op}_{self.count}", **attributes))
        return f"t{self.count}"

    def linear(self, x, rows, columns):
        return self.add("Add", self.random(columns, scale=0.1),
                        self.add("MatMul", x, self.random(rows, columns)))

    def model(self, inputs, result):
        self.nodes[-1].output[0] = result
        graph = helper.make_graph(self.nodes, "g", inputs,
                                  [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
                                  self.weights)
        return onnx.shape_inference.infer_shapes(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def bert(layers=2, width=32, heads=4, inner=64):
    g = Graph()
    ints = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"])
            for n in ("input_ids", "attention_mask", "token_type_ids")]

    def norm(x):
        return g.add("LayerNormalization", x, g.weight((1 + RANDOM.standard_normal(width) / 8).astype("float32")),
                     g.random(width, scale=0.1), axis=-1, epsilon=1e-12)

    mask = g.add("Unsqueeze", g.add("Unsqueeze", "attention_mask", g.weight(np.array([1]))), g.weight(np.array([2])))
    mask = g.add("Sub", g.weight(np.float32(1)), g.add("Cast", mask, to=TensorProto.FLOAT))
    mask = g.add("Mul", mask, g.weight(np.float32(-10000)))
    length = g.add("Gather", g.add("Shape", "input_ids"), g.weight(np.array(1)), axis=0)
    length = g.add("Unsqueeze", length, g.weight(np.array([0])))
    places = g.add("Slice", g.weight(np.arange(PLACES)[None]), g.weight(np.array([0])), length, g.weight(np.array([1])))
    x = g.add("Add", g.add("Gather", g.random(WORDS, width, scale=1), "input_ids"),
              g.add("Gather", g.random(2, width, scale=1), "token_type_ids"))
    x = norm(g.add("Add", x, g.add("Gather", g.random(PLACES, width, scale=1), places)))
    for _ in range(layers):
        def heads_of(order):
            split = g.add("Reshape", g.linear(x, width, width), g.weight(np.array([0, 0, heads, width // heads])))
            return g.add("Transpose", split, perm=order)
        q, k, v = heads_of([0, 2, 1, 3]), heads_of([0, 2, 3, 1]), heads_of([0, 2, 1, 3])
        scores = g.add("Div", g.add("MatMul", q, k), g.weight(np.float32(np.sqrt(width // heads))))
        seen = g.add("MatMul", g.add("Softmax", g.add("Add", scores, mask), axis=-1), v)
        seen = g.add("Reshape", g.add("Transpose", seen, perm=[0, 2, 1, 3]), g.weight(np.array([0, 0, width])))
        x = norm(g.add("Add", g.linear(seen, width, width), x))
        h = g.linear(x, width, inner)
        e = g.add("Add", g.add("Erf", g.add("Div", h, g.weight(np.float32(np.sqrt(2))))), g.weight(np.float32(1)))
        h = g.add("Mul", g.add("Mul", h, e), g.weight(np.float32(0.5)))
        x = norm(g.add("Add", g.linear(h, inner, width), x))
    g.add("Identity", x)
    feed = {"input_ids": RANDOM.integers(0, WORDS, (2, 9)), "attention_mask": np.ones((2, 9), "int64"),
            "token_type_ids": RANDOM.integers(0, 2, (2, 9))}
    feed["attention_mask"][1, 6:] = 0
    return g.model(ints, "y"), feed


def cnn():
    g = Graph()

    def conv(x, channels, filters, size=3, **more):
        pads = [size // 2] * 4
        return g.add("Conv", x, g.random(filters, channels // more.get("group", 1), size, size),
                     g.random(filters, scale=0.1), kernel_shape=[size, size], pads=pads, **more)

    x = g.add("Relu", conv("x", 3, 8))
    y = g.add("Relu", conv(g.add("Relu", conv(x, 8, 8, group=8)), 8, 8, 1))
    x = g.add("Relu", g.add("Add", x, conv(y, 8, 8)))
    x = g.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Concat", g.add("LeakyRelu", conv(x, 8, 8), alpha=0.1), g.add("Sigmoid", conv(x, 8, 8)), axis=1)
    x = g.add("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = g.add("Flatten", g.add("GlobalAveragePool", conv(x, 16, 12, strides=[2, 2])), axis=1)
    g.add("Softmax", g.add("Gemm", x, g.random(10, 12), g.random(10, scale=0.1), transB=1), axis=-1)
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])
    return g.model([port], "y"), {"x": RANDOM.standard_normal((2, 3, 16, 16)).astype("float32")}


def mlp():
    g = Graph()
    x = g.add("Relu", g.linear("x", 24, 40))
    x = g.add("Tanh", g.linear(x, 40, 16))
    g.add("Identity", g.linear(x, 16, 5))
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 24])
    return g.model([port], "y"), {"x": RANDOM.standard_normal((7, 24)).astype("float32")}


def lstm():
    g = Graph()
    w, r, b = g.random(2, 32, 10, scale=0.3), g.random(2, 32, 8, scale=0.3), g.random(2, 64, scale=0.1)
    x = g.add("LSTM", "x", w, r, b, hidden_size=8, direction="bidirectional")
    g.add("Reshape", x, g.weight(np.array([0, 0, -1])))
    g.add("Identity", g.nodes[-1].output[0])
    port = helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, 2, 10])
    return g.model([port], "y"), {"x": RANDOM.standard_normal((6, 2, 10)).astype("float32")}


class Reader(quantization.CalibrationDataReader):
    def __init__(self, feed):
        self.left = [feed]

    def get_next(self):
        return self.left.pop() if self.left else None


def last_step(model):
    """Scale of the last tensor that was quantised."""
    made = {o: n for n in model.graph.node for o in n.output}
    scales = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    name = model.graph.output[0].name
    while made[name].op_type not in ("DequantizeLinear", "QGemm"):
        name = made[name].input[0]
    return float(scales[made[name].input[1]])


def operators(model):
    return {n.op_type for n in model.graph.node if n.domain == MICROSOFT}


class Models(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.suite = Suite()
        self.addCleanup(self.suite.close)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def check(self):
        passed, lines = self.suite.run()
        self.assertEqual(lines, [])
        self.assertEqual(passed, self.suite.count)

    def saved(self, model):
        path = self.folder / "model.onnx"
        onnx.save(model, path)
        return str(path)

    def optimised(self, model, level):
        """What an ONNX Runtime session writes after its own optimisations."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = level
        options.optimized_model_filepath = str(self.folder / "optimised.onnx")
        onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return onnx.load(options.optimized_model_filepath)

    def fused_bert(self, **options):
        model, feed = bert()
        fusion = optimizer.FusionOptions("bert")
        for name, value in options.items():
            setattr(fusion, name, value)
        path = self.saved(model)
        fused = optimizer.optimize_model(path, "bert", num_heads=4, hidden_size=32, opt_level=0,
                                         optimization_options=fusion).model
        return model, fused, feed

    def test_a_transformer_that_was_fused(self):
        for k, (options, wanted) in enumerate((
                ({}, {"Attention", "BiasGelu", "EmbedLayerNormalization", "SkipLayerNormalization"}),
                ({"use_multi_head_attention": True}, {"MultiHeadAttention"}),
                ({"enable_gelu_approximation": True}, {"FastGelu"}),
                ({"enable_attention": False, "enable_embed_layer_norm": False}, {"SkipLayerNormalization"}))):
            model, fused, feed = self.fused_bert(**options)
            self.assertLessEqual(wanted, operators(fused), (options, operators(fused)))
            self.suite.add("half" if "enable_gelu_approximation" in options else "float", f"bert-{k}", fused, feed,
                           session(model).run(None, feed))
        self.check()

    def test_models_that_a_session_wrote(self):
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        for make, wanted in ((bert, {"SkipLayerNormalization", "BiasGelu"}), (cnn, {"FusedConv"}), (mlp, {"FusedGemm"})):
            model, feed = make()
            written = self.optimised(model, level)
            self.assertLessEqual(wanted, operators(written), make.__name__)
            self.suite.add("float", make.__name__, written, feed, session(model).run(None, feed))
        self.check()

    def test_weights_quantised(self):
        for make in (mlp, cnn, bert, lstm):
            for kind in (quantization.QuantType.QInt8, quantization.QuantType.QUInt8):
                for columns in (False, True):
                    model, feed = make()
                    target = self.folder / "q.onnx"
                    quantization.quantize_dynamic(self.saved(model), target, weight_type=kind, per_channel=columns)
                    group = "dynamic" if make is lstm else "float"
                    self.suite.add(group, f"{make.__name__}-{kind}-{columns}", onnx.load(target), feed)
        model, fused, feed = self.fused_bert()
        target = self.folder / "q.onnx"
        fused.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        quantization.quantize_dynamic(self.saved(fused), target)
        written = onnx.load(target)
        self.assertLessEqual({"QAttention", "QEmbedLayerNormalization"}, operators(written))
        self.suite.add("float", "bert-fused", written, feed)
        extended = self.optimised(written, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
        self.assertIn("DynamicQuantizeMatMul", operators(extended))
        self.suite.add("float", "bert-fused-extended", extended, feed)
        self.check()

    def test_models_quantised_throughout(self):
        level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        found = set()
        for make in (mlp, cnn):
            for form in quantization.QuantFormat:
                for kind in (quantization.QuantType.QInt8, quantization.QuantType.QUInt8):
                    for columns in (False, True):
                        model, feed = make()
                        target = self.folder / "q.onnx"
                        quantization.quantize_static(
                            self.saved(model), target, Reader(feed), quant_format=form, per_channel=columns,
                            activation_type=kind, weight_type=quantization.QuantType.QInt8)
                        written = onnx.load(target)
                        name = f"{make.__name__}-{form}-{kind}-{columns}"
                        step = last_step(written)
                        self.assertGreater(step, 0, name)
                        self.step(name, written, feed, step)
                        extended = self.optimised(written, level)
                        found |= operators(extended)
                        self.step(name + "-extended", extended, feed, step)
        self.assertLessEqual({"QLinearAdd", "QLinearConcat", "QLinearSigmoid", "QLinearLeakyRelu",
                              "QLinearAveragePool", "QLinearGlobalAveragePool", "QGemm", "QLinearSoftmax"}, found)
        self.check()

    def step(self, name, model, feed, step):
        """The output is a float that was quantised last: one step of its scale may lie between."""
        self.suite.tolerance[f"step-{step:.8g}"] = ["--rtol", "0", "--atol", str(step * 1.001)]
        self.suite.add(f"step-{step:.8g}", name, model, feed)


if __name__ == "__main__":
    unittest.main(verbosity=1)
