"""Cases of ai.onnx.ml for onnx-conformance: strings, maps and sequences of maps besides tensors.

The reference is ONNX Runtime's answer, or, where a case says so, that of ONNX's own reference
implementation, or a value that the case works out.
"""

import re

import numpy as np
from onnx import MapProto, SequenceProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from contrib_case import TYPES, Suite, session

ML = "ai.onnx.ml"
KINDS = {**TYPES, np.dtype("int16"): TensorProto.INT16, np.dtype(object): TensorProto.STRING}


def text(*values):
    return np.array(values, dtype=object)


def tensor(name, value):
    value = np.asarray(value)
    if value.dtype.kind in "OU":
        value = value.astype(object)
    return numpy_helper.from_array(value, name)


def proto(name, value):
    """A dict is a map, a list a sequence of maps, all else a tensor."""
    if isinstance(value, list):
        sequence = SequenceProto(name=name, elem_type=SequenceProto.MAP)
        sequence.map_values.extend(proto("", v) for v in value)
        return sequence
    if not isinstance(value, dict):
        return tensor(name, value)
    answer = MapProto(name=name)
    strings = any(isinstance(k, str) for k in value)
    answer.key_type = TensorProto.STRING if strings else TensorProto.INT64
    (answer.string_keys if strings else answer.keys).extend(
        k.encode() if strings else k for k in value)
    answer.values.elem_type = SequenceProto.TENSOR
    for v in value.values():
        v = np.float32(v) if type(v) is float else np.array(v, object) if isinstance(v, str) else v
        answer.values.tensor_values.append(tensor("", v))
    return answer


def port(name, value):
    if isinstance(value, dict):
        (key, item), = list(value.items())[:1]
        number = {str: TensorProto.STRING, int: TensorProto.INT64, float: TensorProto.FLOAT}
        kind = number.get(type(item)) or KINDS[np.asarray(item).dtype]
        return helper.make_value_info(name, helper.make_map_type_proto(
            number[type(key)], helper.make_tensor_type_proto(kind, [])))
    # Any number of rows; an input of one dimension is a row itself.
    dims = list(value.shape)
    if value.ndim > 1:
        dims[0] = None
    return helper.make_tensor_value_info(name, KINDS[value.dtype], dims)


def maps_of(key):
    """For `outputs`: a sequence of maps to float."""
    kind = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    return lambda name: helper.make_value_info(name, helper.make_sequence_type_proto(kind))


def one_node(op, inputs, attributes, outputs, version, domain=ML):
    names = [f"x{i}" for i in range(len(inputs))]
    results = [f"y{i}" for i in range(len(outputs))]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    graph = helper.make_graph([node], op, [port(n, v) for n, v in zip(names, inputs)],
                              [kind(r) if callable(kind) else helper.make_empty_tensor_value_info(r)
                               if kind is None else helper.make_tensor_value_info(r, kind, None)
                               for r, kind in zip(results, outputs)])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(ML, version)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8), dict(zip(names, inputs))


class MlSuite(Suite):
    def add(self, group, name, model, feed, expected=None, reference="onnxruntime"):
        """`reference`: "onnxruntime", or "onnx" for the reference implementation; `expected`, where
        the case knows the answer itself."""
        self.count += 1
        if expected is None:
            try:
                expected = (ReferenceEvaluator(model) if reference == "onnx" else session(model)).run(None, feed)
            except Exception as e:
                raise AssertionError(f"{name}: {reference} refuses the case: {e}") from e
        data = self.root / group / re.sub(r"[^A-Za-z0-9_.-]", "_", name) / "test_data_set_0"
        data.mkdir(parents=True)
        (data.parent / "model.onnx").write_bytes(model.SerializeToString())
        for i, p in enumerate(model.graph.input):
            (data / f"input_{i}.pb").write_bytes(proto(p.name, feed[p.name]).SerializeToString())
        for i, y in enumerate(expected):
            (data / f"output_{i}.pb").write_bytes(proto("", y).SerializeToString())

    def node(self, name, op, inputs, attributes=None, outputs=None, version=3, group="float", **more):
        outputs = outputs or (None,) * (2 if op.endswith("Classifier") else 1)
        model, feed = one_node(op, inputs, attributes or {}, outputs, version)
        self.add(group, f"{op}-{name}", model, feed, **more)
