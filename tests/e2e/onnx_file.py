"""Writes small ONNX files: just enough of the protobuf wire form for the models of these tests.

Kept apart from the engine's reader on purpose: a mistake made in both would go unseen.
"""

import struct

FLOAT, INT64 = 1, 7


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number, payload):
    if isinstance(payload, int):
        return _varint(number << 3) + _varint(payload)
    if isinstance(payload, str):
        payload = payload.encode()
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def tensor(name, kind, dims, raw):
    """TensorProto with raw_data."""
    return (b"".join(_field(1, d) for d in dims) + _field(2, kind) + _field(8, name)
            + _field(9, raw))


def floats(name, dims, values):
    return tensor(name, FLOAT, dims, struct.pack(f"<{len(values)}f", *values))


def value(name, kind, dims):
    """ValueInfoProto; a dimension is a number or a name."""
    shape = b"".join(_field(1, _field(1, d) if isinstance(d, int) else _field(2, d)) for d in dims)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def node(op, inputs, outputs, domain=""):
    return (b"".join(_field(1, i) for i in inputs) + b"".join(_field(2, o) for o in outputs)
            + _field(4, op) + (_field(7, domain) if domain else b""))


def model(nodes, inputs, outputs, initializers=(), opset=13):
    graph = (b"".join(_field(1, n) for n in nodes) + _field(2, "graph")
             + b"".join(_field(5, i) for i in initializers)
             + b"".join(_field(11, v) for v in inputs) + b"".join(_field(12, v) for v in outputs))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(1, "") + _field(2, opset))


def linear(pattern, rows=64, columns=64):
    """y = x @ W, with W made of the bytes of `pattern` over and over."""
    raw = (pattern * (rows * columns * 4 // len(pattern) + 1))[: rows * columns * 4]
    return model([node("MatMul", ["x", "W"], ["y"])], [value("x", FLOAT, ["batch", rows])],
                 [value("y", FLOAT, ["batch", columns])], [tensor("W", FLOAT, [rows, columns], raw)])


def slow(products):
    """x @ x @ x ...: takes seconds for a large x, and has no weights."""
    nodes = [node("MatMul", ["x" if i == 0 else f"t{i}", "x"], [f"t{i + 1}"])
             for i in range(products)]
    nodes.append(node("Identity", [f"t{products}"], ["y"]))
    return model(nodes, [value("x", FLOAT, ["n", "n"])], [value("y", FLOAT, ["n", "n"])])
