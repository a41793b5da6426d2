"""Cases for onnx-conformance whose references are ONNX Runtime's.

A Suite makes folders in ONNX's usual layout, one group for each tolerance, and runs them.
"""

import os
import pathlib
import re
import subprocess
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

BIN = pathlib.Path(os.environ["STRONGROOM_BIN"])
MICROSOFT = "com.microsoft"
TYPES = {np.dtype(t): n for t, n in (
    ("float32", TensorProto.FLOAT), ("float64", TensorProto.DOUBLE), ("float16", TensorProto.FLOAT16),
    ("int32", TensorProto.INT32), ("int64", TensorProto.INT64), ("int8", TensorProto.INT8),
    ("uint8", TensorProto.UINT8), ("uint32", TensorProto.UINT32), ("uint64", TensorProto.UINT64),
    ("bool", TensorProto.BOOL), ("object", TensorProto.STRING))}
TOLERANCE = {
    "float": ["--rtol", "1e-3", "--atol", "1e-5"],
    "half": ["--rtol", "4e-3", "--atol", "4e-3"],
    # What is quantised on the way, each time from its own range: a step is 1/255 of that.
    "dynamic": ["--rtol", "0", "--atol", "8e-3"],
    "quantised": ["--rtol", "1e-3", "--atol", "1e-5", "--steps", "1"],
}


def session(model, optimised=False):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def one_node(op, inputs, attributes=None, outputs=1, constant=(), domain=MICROSOFT, opset=17):
    """A model of one node. inputs: arrays, or None for one that is left out; `outputs`: a count, or
    a tuple that says which are asked for; `constant`: indices of inputs that are initialisers."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    while names and not names[-1]:
        names.pop()
    wanted = outputs if isinstance(outputs, tuple) else (True,) * outputs
    results = [f"y{i}" if w else "" for i, w in enumerate(wanted)]
    node = helper.make_node(op, names, results, domain=domain, **(attributes or {}))
    ports, weights, feed = [], [], {}
    for i, (name, x) in enumerate(zip(names, inputs)):
        if not name:
            continue
        if i in constant:
            weights.append(numpy_helper.from_array(x, name))
        else:
            ports.append(helper.make_tensor_value_info(name, TYPES[x.dtype],
                                                       [f"{name}_{d}" for d in range(x.ndim)]))
            feed[name] = x
    def result(name):
        # ONNX Runtime cannot tell the type of this operator's scores from its inputs.
        if op == "MultiHeadAttention":
            return helper.make_tensor_value_info(name, TYPES[inputs[0].dtype], None)
        return onnx.ValueInfoProto(name=name)

    graph = helper.make_graph([node], op, ports,
                              [result(r) for r in results if r], weights)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8), feed


class Suite:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)
        self.count = 0
        self.tolerance = dict(TOLERANCE)

    def close(self):
        self.folder.cleanup()

    def add(self, group, name, model, feed, expected=None, optimised=False):
        """The reference is what ONNX Runtime says, unless it is given."""
        self.count += 1
        if expected is None:
            try:
                expected = session(model, optimised).run(None, feed)
            except Exception as e:
                raise AssertionError(f"{name}: ONNX Runtime refuses the case: {e}") from e
        case = self.root / group / re.sub(r"[^A-Za-z0-9_.-]", "_", name)
        data = case / "test_data_set_0"
        data.mkdir(parents=True)
        (case / "model.onnx").write_bytes(model.SerializeToString())
        weights = {w.name for w in model.graph.initializer}
        names = [i.name for i in model.graph.input if i.name not in weights]
        for i, port in enumerate(names):
            (data / f"input_{i}.pb").write_bytes(
                numpy_helper.from_array(np.asarray(feed[port]), port).SerializeToString())
        for i, y in enumerate(expected):
            (data / f"output_{i}.pb").write_bytes(
                numpy_helper.from_array(np.asarray(y)).SerializeToString())

    def node(self, group, name, op, inputs, attributes=None, outputs=1, constant=(), **more):
        expected = more.pop("expected", None)
        model, feed = one_node(op, inputs, attributes, outputs, constant, **more)
        self.add(group, f"{op}-{name}", model, feed, expected)

    def run(self):
        """(passed, lines about what did not)."""
        passed, lines = 0, []
        for group in sorted(p.name for p in self.root.iterdir()):
            done = subprocess.run([BIN / "tests" / "onnx-conformance", *self.tolerance[group], "--quiet",
                                   self.root / group], capture_output=True, text=True, timeout=240)
            found = re.search(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", done.stdout, re.M)
            passed += int(found.group(1)) if found else 0
            if not found or done.returncode or int(found.group(3)):
                lines += [f"{group}: {line}" for line in (done.stdout + done.stderr).splitlines()]
        return passed, lines
