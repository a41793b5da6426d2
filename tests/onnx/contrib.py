#!/usr/bin/env python3
"""The com.microsoft operators that exporters and optimisers emit, against ONNX Runtime's CPU."""

import itertools
import sys
import unittest

try:
    import numpy as np
    import onnx
    import onnxruntime  # noqa: F401
    from onnx import TensorProto, helper
except ImportError as e:
    print(f"skip: {e.name} is not installed")
    sys.exit(77)

from contrib_case import Suite, one_node, session

RANDOM = np.random.default_rng(20240611)


def normal(*shape, dtype="float32", scale=1.0):
    return (RANDOM.standard_normal(shape) * scale).astype(dtype)


def some_bytes(*shape, dtype="uint8"):
    limits = np.iinfo(dtype)
    return RANDOM.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def f32(x):
    return np.array(x, dtype="float32")


def i32(x):
    return np.array(x, dtype="int32")


def turns(length, half, dtype="float32"):
    angle = np.outer(np.arange(length), 1.0 / 100 ** (np.arange(half) / half))
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


class Contrib(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.suite = Suite()
        self.addCleanup(self.suite.close)

    def check(self, least):
        passed, lines = self.suite.run()
        self.assertEqual(lines, [])
        self.assertEqual(passed, self.suite.count)
        self.assertGreaterEqual(passed, least)

    def test_layer_normalization(self):
        for shape in ((2, 3, 8), (1, 7, 64), (4, 1, 33)):
            n = shape[-1]
            x, skip, gamma, beta, bias = (normal(*shape), normal(*shape), normal(n), normal(n), normal(n))
            for k, (b, add) in enumerate(itertools.product((beta, None), (bias, None))):
                for outputs in (1, (True, False, False, True)):
                    name = f"{n}-{k}-{outputs}"
                    self.suite.node("float", name, "SkipLayerNormalization", [x, skip, gamma, b, add],
                                    {"epsilon": 1e-5}, outputs, constant=(2, 3, 4))
            for k, add in enumerate((bias, None)):
                self.suite.node("float", f"{n}-{k}", "SkipSimplifiedLayerNormalization",
                                [x, skip, gamma, add], {"epsilon": 1e-6}, (True, False, False, True))
            for axis in (-1, 1):
                scale = normal(*shape[axis:])
                self.suite.node("float", f"{n}-{axis}", "SimplifiedLayerNormalization", [x, scale],
                                {"axis": axis, "epsilon": 1e-5}, domain="")
        # A residual of one row, or of one batch, for all.
        x, gamma = normal(3, 5, 16), normal(16)
        for k, skip in enumerate((normal(1, 5, 16), normal(5, 16))):
            self.suite.node("float", f"broadcast-{k}", "SkipLayerNormalization", [x, skip, gamma])
            self.suite.node("float", f"broadcast-{k}", "SkipSimplifiedLayerNormalization", [x, skip, gamma])
        x, skip, gamma = (normal(2, 4, 32, dtype="float16"), normal(2, 4, 32, dtype="float16"),
                          normal(32, dtype="float16"))
        self.suite.node("half", "f16", "SkipLayerNormalization", [x, skip, gamma, gamma, gamma])
        self.suite.node("float", "rank2", "SkipLayerNormalization", [normal(6, 8), normal(6, 8), normal(8)])
        self.check(35)

    def test_embed_layer_normalization(self):
        for batch, length, width in ((2, 5, 16), (1, 9, 64)):
            ids = RANDOM.integers(0, 20, (batch, length), dtype="int32")
            kinds = RANDOM.integers(0, 2, (batch, length), dtype="int32")
            tables = [normal(20, width), normal(12, width), normal(2, width), normal(width), normal(width)]
            mask = (np.arange(length)[None] < RANDOM.integers(1, length, (batch, 1))).astype("int32")
            for k, (segments, m, at) in enumerate(itertools.product(
                    (True, False), (mask, None),
                    (None, np.arange(length, dtype="int32")[None, ::-1].copy(),
                     RANDOM.integers(0, 12, (batch, length), dtype="int32")))):
                inputs = [ids, kinds if segments else None, tables[0], tables[1],
                          tables[2] if segments else None, tables[3], tables[4], m, at]
                self.suite.node("float", f"{width}-{k}", "EmbedLayerNormalization", inputs,
                                {"epsilon": 1e-12}, 3 if k % 2 else 2, constant=(2, 3, 4, 5, 6))
        self.check(24)

    def test_gelu(self):
        for shape in ((7,), (3, 5), (2, 3, 40), (1, 9, 257)):
            x, b = normal(*shape, scale=3), normal(shape[-1])
            self.suite.node("float", str(shape), "Gelu", [x])
            self.suite.node("float", str(shape), "BiasGelu", [x, b])
            self.suite.node("float", str(shape), "FastGelu", [x, b])
            self.suite.node("float", f"{shape}-plain", "FastGelu", [x])
            self.suite.node("float", str(shape), "QuickGelu", [x])
            self.suite.node("float", f"{shape}-alpha", "QuickGelu", [x], {"alpha": 0.7})
        x, b = normal(4, 16, dtype="float16"), normal(16, dtype="float16")
        self.suite.node("half", "f16", "FastGelu", [x, b])
        self.check(25)

    def test_attention(self):
        for batch, length, heads, head in ((1, 1, 1, 4), (2, 5, 2, 8), (2, 70, 3, 16)):
            d = heads * head
            x, w, bias = normal(batch, length, 24), normal(24, 3 * d, scale=0.3), normal(3 * d)
            ends = RANDOM.integers(1, length + 1, batch, dtype="int32")
            masks = {"none": None, "ends": ends,
                     "both": np.concatenate([ends, np.minimum(ends - 1, 1).astype("int32")]),
                     "raw": (np.arange(length)[None] < ends[:, None]).astype("int32"),
                     "full": RANDOM.integers(0, 2, (batch, length, length), dtype="int32")}
            for (name, mask), causal in itertools.product(masks.items(), (0, 1)):
                if name == "full" and causal:
                    continue
                self.suite.node("float", f"{name}-{causal}-{length}", "Attention", [x, w, bias, mask],
                                {"num_heads": heads, "unidirectional": causal}, constant=(1, 2))
            extra = normal(batch, heads, length, length)
            self.suite.node("float", f"extra-{length}", "Attention", [x, w, bias, masks["raw"], None, extra],
                            {"num_heads": heads, "scale": 0.31, "mask_filter_value": -1000.0})
            self.suite.node("float", f"extra1-{length}", "Attention", [x, w, bias, None, None, extra[:1, :1]],
                            {"num_heads": heads})
            for past in (0, 3):
                before = normal(2, batch, heads, past, head)
                mask = np.ones((batch, past + length), "int32")
                mask[:, 0] = 0
                for causal, m in itertools.product((0, 1), (None, mask)):
                    if past + length < 2 and m is not None:
                        continue
                    self.suite.node("float", f"past{past}-{causal}-{m is None}-{length}", "Attention",
                                    [x, w, bias, m, before], {"num_heads": heads, "unidirectional": causal}, 2)
            self.suite.node("float", f"present-{length}", "Attention", [x, w, bias], {"num_heads": heads}, 2)
            uneven = normal(24, 2 * d + 2 * heads, scale=0.3)
            self.suite.node("float", f"sizes-{length}", "Attention", [x, uneven, normal(2 * d + 2 * heads)],
                            {"num_heads": heads, "qkv_hidden_sizes": [d, d, 2 * heads]}, constant=(1,))
        self.check(50)

    def test_multi_head_attention(self):
        for batch, queries, keys, heads, head in ((1, 1, 1, 1, 4), (2, 5, 5, 2, 8), (2, 6, 9, 4, 16), (1, 80, 70, 2, 8)):
            d, e = heads * head, heads * (head + 4)
            q, k = normal(batch, queries, d), normal(batch, keys, d)
            for width in (d, e):
                v, bias = normal(batch, keys, width), normal(2 * d + width)
                ends = RANDOM.integers(1, keys + 1, batch, dtype="int32")
                raw = (np.arange(keys)[None] < ends[:, None]).astype("int32")
                extra = normal(batch, heads, queries, keys)
                for name, b, m, x, attributes in (
                        ("plain", None, None, None, {}), ("bias", bias, None, None, {}),
                        ("ends", bias, ends, None, {}), ("raw", None, raw, None, {"mask_filter_value": -500.0}),
                        ("extra", bias, None, extra, {"scale": 0.2}), ("extra1", None, raw, extra[:1, :1], {})):
                    self.suite.node("float", f"{name}-{queries}-{width}", "MultiHeadAttention",
                                    [q, k, v, b, m, x], {"num_heads": heads, **attributes})
                if keys == queries:
                    self.suite.node("float", f"causal-{queries}-{width}", "MultiHeadAttention", [q, k, v],
                                    {"num_heads": heads, "unidirectional": 1})
            v, past = normal(batch, keys, d), normal(2, batch, heads, 3, head)
            bias = normal(3 * d)
            for name, b in (("past", None), ("past-bias", bias)):
                self.suite.node("float", f"{name}-{queries}", "MultiHeadAttention",
                                [q, k, v, b, None, None, past[0], past[1]], {"num_heads": heads}, 3)
            self.suite.node("float", f"present-{queries}", "MultiHeadAttention", [q, k, v], {"num_heads": heads}, 3)
            self.suite.node("float", f"scores-{queries}", "MultiHeadAttention", [q, k, v], {"num_heads": heads},
                            (True, False, False, True))
            cross = [normal(batch, heads, keys, head), normal(batch, heads, keys, head)]
            self.suite.node("float", f"cross-{queries}", "MultiHeadAttention", [q, *cross], {"num_heads": heads})
            bias[d:] = 0
            self.suite.node("float", f"cross-bias-{queries}", "MultiHeadAttention", [q, *cross, bias],
                            {"num_heads": heads})
        self.check(60)

    def test_packed_heads_are_the_separate_ones(self):
        """What ONNX Runtime takes on other devices only is held against the separate form."""
        from contrib_case import one_node, session
        q, k, v = (normal(2, 6, 4, 8) for _ in range(3))
        flat = [x.reshape(2, 6, 32) for x in (q, k, v)]
        model, feed = one_node("MultiHeadAttention", flat, {"num_heads": 4})
        want = session(model).run(None, feed)
        self.suite.node("float", "qkv", "MultiHeadAttention", [np.stack([q, k, v], 3)], {"num_heads": 4},
                        expected=want)
        self.suite.node("float", "kv", "MultiHeadAttention", [flat[0], np.stack([k, v], 3)], {"num_heads": 4},
                        expected=want)
        self.check(2)

    def test_group_query_attention(self):
        for (heads, kv, head), packed, rotary in itertools.product(
                ((2, 2, 16), (4, 2, 32), (6, 1, 16)), (False, True), (0, 1, 2)):
            attributes = {"num_heads": heads, "kv_num_heads": kv}
            cos, sin = turns(32, head // 2) if rotary else (None, None)
            if rotary:
                attributes.update(do_rotary=1, rotary_interleaved=rotary - 1)

            def case(name, batch, new, past, ends, more=None, extra=None, sink=None, outputs=3):
                total = past + new
                parts = [normal(batch, new, n * head) for n in (heads, kv, kv)]
                qkv = [np.concatenate(parts, 2), None, None] if packed else parts
                cache = [normal(batch, kv, past, head) for _ in range(2)]
                self.suite.node("float", f"{name}-{heads}-{kv}-{packed}-{rotary}", "GroupQueryAttention",
                                [*qkv, *cache, i32(ends), i32(total), cos, sin, None, extra, sink],
                                {**attributes, **(more or {})}, outputs)

            case("prompt", 2, 5, 0, [4, 4])
            case("one", 2, 1, 6, [6, 6])
            case("several", 1, 3, 4, [6])
            case("window", 1, 9, 0, [8], {"local_window_size": 3})
            case("window-one", 1, 1, 9, [9], {"local_window_size": 4})
            case("softcap", 2, 5, 0, [4, 4], {"softcap": 2.0, "scale": 0.7})
            case("smooth", 2, 5, 0, [4, 4], {"smooth_softmax": 1})
            case("sink", 2, 5, 0, [4, 4], sink=normal(heads))
            case("bias", 2, 4, 0, [3, 3], extra=normal(2, heads, 4, 4))
            case("softmax", 1, 4, 0, [3], {"qk_output": 2}, outputs=4)
            case("scores", 1, 1, 5, [5], {"qk_output": 1}, outputs=4)
        self.check(198)

    def test_rotary_embedding(self):
        for interleaved, heads, head in itertools.product((0, 1), (1, 3), (8, 16)):
            cos, sin = turns(20, head // 2)
            x, x4 = normal(2, 6, heads * head), normal(2, heads, 6, head)
            at = RANDOM.integers(0, 20, (2, 6), dtype="int64")
            for name, ids in (("table", at), ("first", np.array([3], "int64"))):
                attributes = {"interleaved": interleaved}
                self.suite.node("float", f"{name}-{interleaved}-{heads}-{head}", "RotaryEmbedding",
                                [x, ids, cos, sin], attributes)
                self.suite.node("float", f"{name}-4d-{interleaved}-{heads}-{head}", "RotaryEmbedding",
                                [x4, ids, cos, sin], attributes)
                part = [t[:, :2].copy() for t in (cos, sin)]
                self.suite.node("float", f"{name}-part-{interleaved}-{heads}-{head}", "RotaryEmbedding",
                                [x, ids, *part], {**attributes, "num_heads": heads, "rotary_embedding_dim": 4})
        self.check(48)

    def test_fused_products(self):
        for k, (ta, tb, alpha) in enumerate(itertools.product((0, 1), (0, 1), (1.0, 0.25))):
            a, b = normal(2, 3, *((7, 5) if ta else (5, 7))), normal(2, 3, *((4, 7) if tb else (7, 4)))
            attributes = {"transA": ta, "transB": tb, "alpha": alpha}
            self.suite.node("float", f"{k}", "FusedMatMul", [a, b], attributes)
            self.suite.node("float", f"{k}-weight", "FusedMatMul", [a, b[0, 0]], attributes, constant=(1,))
            for batch_a, batch_b in ((1, 0), (0, 1), (1, 1)):
                x = np.ascontiguousarray(np.moveaxis(a, 2, 0)) if batch_a else a
                y = np.ascontiguousarray(np.moveaxis(b, 2, 0)) if batch_b else b
                if (batch_a and ta) or (batch_b and tb):
                    continue
                self.suite.node("float", f"{k}-batch-{batch_a}{batch_b}", "FusedMatMul", [x, y],
                                {**attributes, "transBatchA": batch_a, "transBatchB": batch_b},
                                constant=(1,) if k % 4 < 2 else ())
        for name, more in (("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.2}), ("Tanh", {}), ("Sigmoid", {})):
            for tb in (0, 1):
                self.suite.node("float", f"{name}-{tb}", "FusedGemm",
                                [normal(3, 6), normal(*((5, 6) if tb else (6, 5))), normal(5)],
                                {"activation": name, "transB": tb, "beta": 0.5, **more}, constant=(1, 2))
        self.check(30)

    def test_fused_convolution(self):
        activations = (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.3]),
                       ("Clip", [-0.2, 0.4]), ("HardSigmoid", [0.3, 0.4]))
        for (name, numbers), group, sum_too in itertools.product(activations, (1, 2), (False, True)):
            x, w, b = normal(2, 4, 9, 8), normal(6, 4 // group, 3, 3, scale=0.3), normal(6)
            attributes = {"activation": name, "group": group, "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]}
            if numbers:
                attributes["activation_params"] = numbers
            z = normal(2, 6, 9, 8) if sum_too else None
            self.suite.node("float", f"{name}-{group}-{sum_too}", "FusedConv", [x, w, b, z], attributes,
                            constant=(1, 2))
        self.suite.node("float", "pads", "ConvTransposeWithDynamicPads",
                        [normal(1, 3, 5, 5), normal(3, 2, 3, 3), np.array([1, 0, 0, 1], "int64"), normal(2)],
                        {"strides": [2, 2]})
        self.check(25)

    def test_weights_of_few_bits(self):
        for bits, block, zero, (k, n) in itertools.product(
                (4, 8), (16, 32, 128), (None, "packed"), ((64, 8), (100, 70), (256, 130))):
            blocks = -(-k // block)
            b = some_bytes(n, blocks, block * bits // 8)
            scales = RANDOM.uniform(0.01, 0.1, n * blocks).astype("float32")
            zeros = some_bytes(n * (-(-blocks * bits // 8))) if zero else None
            for rows, biased in (((3, k), False), ((1, 2, k), True)):
                bias = normal(n) if biased else None
                self.suite.node("float", f"{bits}-{block}-{zero}-{k}-{n}-{biased}", "MatMulNBits",
                                [normal(*rows, scale=0.1), b, scales, zeros, None, bias],
                                {"N": n, "K": k, "bits": bits, "block_size": block}, constant=(1, 2, 3, 5))
        k, n, block = 96, 33, 32
        self.suite.node("float", "float-zeros", "MatMulNBits",
                        [normal(2, k, scale=0.1), some_bytes(n, 3, 16), RANDOM.uniform(0.01, 0.1, n * 3).astype("float32"),
                         RANDOM.uniform(5, 9, (n, 3)).astype("float32")],
                        {"N": n, "K": k, "bits": 4, "block_size": block}, constant=(1, 2, 3))
        order = RANDOM.integers(0, 3, k, dtype="int32")
        self.suite.node("float", "order", "MatMulNBits",
                        [normal(2, k, scale=0.1), some_bytes(n, 3, 16), RANDOM.uniform(0.01, 0.1, n * 3).astype("float32"),
                         None, order], {"N": n, "K": k, "bits": 4, "block_size": block}, constant=(1, 2, 4))
        self.check(70)

    def test_dynamic_quantisation(self):
        for k, (dtype, columns, zero, bias, fixed) in enumerate(itertools.product(
                ("uint8", "int8"), (False, True), (False, True), (False, True), (False, True))):
            a, b = normal(2, 3, 20), some_bytes(20, 7, dtype=dtype)
            n = 7 if columns else 1
            scale = RANDOM.uniform(0.01, 0.02, n).astype("float32")
            z = some_bytes(n, dtype=dtype) // 8 if zero else None
            add = normal(7) if bias else None
            weights = (1, 2, 3, 4) if fixed else ()
            if zero and not columns and not fixed:
                scale, z = scale.reshape(()), z.reshape(())
            self.suite.node("float", f"{k}", "DynamicQuantizeMatMul", [a, b, scale, z, add], constant=weights)
            for a_type in ("uint8", "int8"):
                if (a_type, dtype) == ("int8", "uint8"):
                    continue
                self.suite.node("float", f"{k}-{a_type}", "MatMulIntegerToFloat",
                                [some_bytes(3, 20, dtype=a_type), b, f32(0.02), scale,
                                 np.array(5, a_type) if zero else None, z, add],
                                constant=(1, 3, 5, 6) if fixed else ())
        self.check(70)

    def test_quantised_elements(self):
        for dtype in ("uint8", "int8"):
            zero = [np.array(z, dtype) for z in (12, 3, 7)]
            x, y = some_bytes(2, 3, 8, 8, dtype=dtype), some_bytes(1, 3, 1, 8, dtype=dtype)
            sx, sy, sz = f32(0.03), f32(0.05), f32(0.06)
            for op, s in (("QLinearAdd", sz), ("QLinearMul", f32(0.2))):
                self.suite.node("quantised", dtype, op, [x, sx, zero[0], y, sy, zero[1], s, zero[2]])
                self.suite.node("quantised", f"{dtype}-weight", op, [x, sx, zero[0], y, sy, zero[1], s, zero[2]],
                                constant=(1, 2, 3, 4, 5, 6, 7))
            for op, attributes in (("QLinearSigmoid", {}), ("QLinearLeakyRelu", {"alpha": 0.1})):
                self.suite.node("quantised", dtype, op, [x, sx, zero[0], f32(1 / 256 if "Sig" in op else 0.04), zero[1]],
                                attributes, constant=(1, 2, 3, 4))
            for axis, opset in ((-1, 13), (1, 13), (1, 11), (-1, 12)):
                at = np.array(0 if dtype == "uint8" else -128, dtype)
                self.suite.node("quantised", f"{dtype}-{axis}-{opset}", "QLinearSoftmax",
                                [x, sx, zero[0], f32(1 / 256), at], {"axis": axis, "opset": opset},
                                constant=(1, 2, 3, 4))
            for axis in (1, -1):
                self.suite.node("quantised", f"{dtype}-{axis}", "QLinearConcat",
                                [sz, zero[2], x, sx, zero[0], some_bytes(*x.shape, dtype=dtype), sy, zero[1]],
                                {"axis": axis}, constant=(0, 1, 3, 4, 6, 7))
            self.suite.node("quantised", dtype, "QLinearWhere",
                            [RANDOM.integers(0, 2, (8,)).astype(bool), x, sx, zero[0],
                             some_bytes(*x.shape, dtype=dtype), sy, zero[1], sz, zero[2]])
            for last in (0, 1):
                self.suite.node("quantised", f"{dtype}-{last}", "QLinearGlobalAveragePool",
                                [x, sx, zero[0], f32(0.01), zero[1]], {"channels_last": last})
                for k, (pads, count, ceil) in enumerate(itertools.product(([0] * 4, [1, 1, 1, 1]), (0, 1), (0, 1))):
                    self.suite.node("quantised", f"{dtype}-{last}-{k}", "QLinearAveragePool",
                                    [x, sx, zero[0], sx, zero[1]],
                                    {"channels_last": last, "kernel_shape": [3, 3], "strides": [2, 2],
                                     "pads": pads, "count_include_pad": count, "ceil_mode": ceil})
            self.suite.node("quantised", dtype, "NhwcMaxPool", [x], {"kernel_shape": [2, 2], "strides": [2, 2]})
        self.check(60)

    def test_quantised_products(self):
        for k, (a_type, b_type, tb, columns, result) in enumerate(itertools.product(
                ("uint8", "int8"), ("uint8", "int8"), (0, 1), (False, True), (False, True))):
            if (a_type, b_type) == ("int8", "uint8"):
                continue
            n = 9 if columns else 1
            b = some_bytes(*((9, 12) if tb else (12, 9)), dtype=b_type)
            scale, z = RANDOM.uniform(0.01, 0.02, n).astype("float32"), some_bytes(n, dtype=b_type) // 8
            if not columns:
                scale, z = scale.reshape(()), z.reshape(())
            tail = [f32(0.2), np.array(7, a_type)] if result else []
            self.suite.node("quantised", f"{k}", "QGemm",
                            [some_bytes(4, 12, dtype=a_type), f32(0.03), np.array(3, a_type), b, scale, z,
                             RANDOM.integers(-500, 500, 9, dtype="int32"), *tail],
                            {"transB": tb, "alpha": 1.0}, constant=(1, 2, 3, 4, 5, 6, 7, 8))
        for k, (dtype, last, group) in enumerate(itertools.product(("uint8", "int8"), (0, 1), (1, 2))):
            x = some_bytes(1, *((7, 6, 4) if last else (4, 7, 6)), dtype=dtype)
            self.suite.node("quantised", f"{k}", "QLinearConv",
                            [x, f32(0.02), np.array(5, dtype), some_bytes(6, 4 // group, 3, 3, dtype="int8"),
                             RANDOM.uniform(0.01, 0.02, 6).astype("float32"), np.zeros(6, "int8"), f32(0.1),
                             np.array(9, dtype), RANDOM.integers(-500, 500, 6, dtype="int32")],
                            {"channels_last": last, "group": group, "pads": [1, 1, 1, 1], "strides": [2, 1]},
                            constant=(1, 2, 3, 4, 5, 6, 7, 8))
        for k, (w_type, past, mask) in enumerate(itertools.product(("uint8", "int8"), (False, True), (False, True))):
            x, w = some_bytes(2, 5, 16), some_bytes(16, 24, dtype=w_type)
            columns = k % 2 == 0 and w_type == "int8"
            scale = RANDOM.uniform(0.004, 0.006, 24).astype("float32") if columns else f32(0.005)
            self.suite.node("float", f"{k}", "QAttention",
                            [x, w, normal(24), f32(0.02), scale,
                             i32([[1, 1, 1, 1, 0], [1, 1, 0, 0, 0]]) if mask and not past else None,
                             np.array(120, "uint8"), np.zeros(24 if columns else (), w_type),
                             normal(2, 2, 2, 3, 4) if past else None],
                            {"num_heads": 2, "unidirectional": 0}, 2 if past else 1, constant=(1, 2, 3, 4, 6, 7))
        self.check(35)

    def test_group_query_normalised(self):
        # ONNX Runtime's CPU has no such inputs: its answer to heads that were normalised before.
        cos, sin = turns(16, 8)

        def normalised(x, weight, epsilon):
            heads = x.reshape(*x.shape[:2], -1, 16)
            root = np.sqrt((heads.astype("float64") ** 2).mean(-1, keepdims=True) + epsilon)
            return (heads / root * weight).astype("float32").reshape(x.shape)

        for k, (packed, rotary, past, own) in enumerate(itertools.product(
                (False, True), (0, 1), (0, 3), (False, True))):
            q, keys, values, gq, gk = (
                normal(*shape) for shape in ((1, 4, 64), (1, 4, 32), (1, 4, 32), (16,), (16,)))
            rest = [normal(1, 2, past, 16), normal(1, 2, past, 16), i32([past + 3]), i32(past + 4),
                    cos if rotary else None, sin if rotary else None, *[None] * 5]
            heads = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": rotary}
            epsilons = (0.1, 0.02) if own else (1e-3, 1e-3)
            model, feed = one_node("GroupQueryAttention", [normalised(q, gq, epsilons[0]),
                                                           normalised(keys, gk, epsilons[1]), values, *rest],
                                   heads, 3)
            inputs = [np.concatenate([q, keys, values], -1), None, None] if packed else [q, keys, values]
            self.suite.node("float", f"norm-{k}", "GroupQueryAttention", [*inputs, *rest, gq, gk],
                            {**heads, **({"q_norm_epsilon": 0.1, "k_norm_epsilon": 0.02} if own
                                         else {"qk_norm_epsilon": 1e-3})}, 3,
                            expected=session(model).run(None, feed))
        self.check(16)

    def test_older_names(self):
        x = normal(2, 5, 4)
        for k, (upper, at) in enumerate(itertools.product((0, 1), (None, -2, 1))):
            self.suite.node("float", f"{k}", "Trilu", [x, None if at is None else np.array(at)],
                            {"upper": upper})
        for mode in ("constant", "reflect", "edge"):
            self.suite.node("float", mode, "Pad",
                            [x, np.array([0, 1, 2, 0, 0, 1]), f32(0.5) if mode == "constant" else None],
                            {"mode": mode})
        for dtype in ("float32", "int64", "int32"):
            start, limit, delta = (np.array(v, dtype) for v in (2, 11, 3))
            self.suite.node("float", dtype, "Range", [start, limit, delta])
            self.suite.node("float", f"{dtype}-one", "Range", [start, limit])
        image, grid = normal(2, 3, 6, 5), RANDOM.uniform(-1.3, 1.3, (2, 4, 7, 2)).astype("float32")
        for k, (mode, pads, align) in enumerate(itertools.product(
                ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (0, 1))):
            if (mode, pads) == ("bicubic", "border"):
                continue  # ONNX brings the place itself back to the border, ONNX Runtime its taps
            self.suite.node("float", f"{k}", "GridSample", [image, grid],
                            {"mode": mode, "padding_mode": pads, "align_corners": align})
        for kind in ("int32", "int64"):
            self.suite.node("float", kind, "GatherND", [x, np.array([[0, 1], [1, -1]], kind)])
        # The places are of the values as they appear, not as sorted.
        self.suite.node("float", "first", "Unique", [f32([2, 1, 1, 3, 4, 3, 2, -7])], outputs=3)
        for axis in (-1, 0, 2, 3):
            self.suite.node("float", f"{axis}", "ExpandDims", [x, i32(axis)])
        for a, b in itertools.product((0, 1), (0, 1)):
            self.suite.node("float", f"{a}{b}", "TransposeMatMul",
                            [normal(*((2, 7, 3) if a else (2, 3, 7))), normal(*((9, 7) if b else (7, 9)))],
                            {"transA": a, "transB": b, "alpha": 0.5}, constant=(1,))
        self.check(40)

    def test_matrices(self):
        for n in (1, 2, 7, 20):
            x = normal(3, n, n) + 3 * np.eye(n, dtype="float32")
            self.suite.node("float", f"{n}", "Inverse", [x])
            self.suite.node("float", f"{n}-double", "Inverse", [x.astype("float64")])
        self.suite.node("float", "pivot", "Inverse", [f32([[0, 1, 0], [0, 0, 2], [4, 0, 0]])])
        for metric, dtype in itertools.product(("euclidean", "sqeuclidean"), ("float32", "float64")):
            self.suite.node("float", f"{metric}-{dtype}", "CDist",
                            [normal(5, 8, dtype=dtype), normal(9, 8, dtype=dtype)], {"metric": metric})
        self.check(13)

    def test_gather_block_quantized(self):
        at = np.array([[0, 5, -1], [3, 3, 2]], "int64")
        for k, (bits, zeros, block, kind) in enumerate(itertools.product(
                (4, 8), (False, True), (16, 32), ("int32", "int64"))):
            each, blocks = 8 // bits, -(-48 // block)
            packed = -(-blocks // each)
            self.suite.node("float", f"{k}", "GatherBlockQuantized",
                            [some_bytes(6, 48 // each), at.astype(kind), normal(6, blocks),
                             some_bytes(6, packed) if zeros else None],
                            {"bits": bits, "block_size": block, "quantize_axis": 1, "gather_axis": 0},
                            constant=(0, 2, 3))
        self.suite.node("half", "f16", "GatherBlockQuantized",
                        [some_bytes(6, 24), at, normal(6, 3, dtype="float16", scale=0.1)],
                        {"bits": 4, "block_size": 16}, constant=(0, 2))
        # Four-bit types of their own, along any axis.
        for k, (kind, quantize, gather) in enumerate(itertools.product(
                (TensorProto.INT4, TensorProto.UINT4), (0, 1, 2), (0, 1, 2))):
            shape = [6, 6, 6]
            shape[quantize] = 40
            scaled = [*shape]
            scaled[quantize] = 3
            low, high = (-8, 7) if kind == TensorProto.INT4 else (0, 15)
            tables = [helper.make_tensor(n, kind, s, RANDOM.integers(low, high, s, endpoint=True).flatten())
                      for n, s in (("data", shape), ("zeros", scaled))]
            node = helper.make_node("GatherBlockQuantized", ["data", "at", "scales", "zeros"], ["y"],
                                    domain="com.microsoft", block_size=16, quantize_axis=quantize,
                                    gather_axis=gather)
            graph = helper.make_graph(
                [node], "g", [helper.make_tensor_value_info("at", TensorProto.INT64, [2, 3])],
                [onnx.ValueInfoProto(name="y")],
                [*tables, onnx.numpy_helper.from_array(normal(*scaled), "scales")])
            model = helper.make_model(graph, ir_version=10, opset_imports=[
                helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
            self.suite.add("float", f"GatherBlockQuantized-own-{k}", model, {"at": at})
        self.check(35)

    def test_hashes(self):
        texts = np.array(["", "a", "ab", "abc", "abcd", "abcde", "gr\u00fc\u00df", "user_4711", "x" * 1001], object)
        for positive, seed in itertools.product((None, 0, 1), (0, 7, 2**31 - 1)):
            attributes = {"seed": seed, **({} if positive is None else {"positive": positive})}
            for kind in ("int32", "uint32", "int64", "uint64", "float32", "float64"):
                values = np.array([[0, 1, 2, 3], [4711, 65536, 2**30, 19]]).astype(kind)
                if kind != "uint32" and kind != "uint64":
                    values[1] *= -1
                self.suite.node("float", f"{kind}-{positive}-{seed}", "MurmurHash3", [values], attributes)
            self.suite.node("float", f"text-{positive}-{seed}", "MurmurHash3", [texts.reshape(3, 3)], attributes)
        self.suite.node("float", "plain", "MurmurHash3", [texts])
        self.suite.node("float", "scalar", "MurmurHash3", [np.array("abc", object)])
        self.suite.node("float", "none", "MurmurHash3", [np.array([], object)])
        self.check(66)

    def test_indices_that_lead_outside_are_refused(self):
        tables = [normal(20, 8), normal(12, 8), normal(2, 8), normal(8), normal(8)]
        good = i32([[1, 2, 3]])

        def embed(name, ids=good, kinds=good * 0, at=good):
            self.suite.node("float", name, "EmbedLayerNormalization",
                            [ids, kinds, tables[0], tables[1], tables[2], tables[3], tables[4], None, at],
                            outputs=1, expected=[normal(1, 3, 8)])

        for bad in (-1, 20, 2**31 - 1, -2**31):
            embed(f"word{bad}", ids=i32([[1, bad, 3]]))
            embed(f"segment{bad}", kinds=i32([[0, bad, 0]]))
            embed(f"position{bad}", at=i32([[0, bad, 0]]))
            cos, sin = turns(20, 4)
            self.suite.node("float", f"first{bad}", "RotaryEmbedding",
                            [normal(1, 3, 8), np.array([bad], "int64"), cos, sin], expected=[normal(1, 3, 8)])
            self.suite.node("float", f"table{bad}", "RotaryEmbedding",
                            [normal(1, 3, 8), np.array([[0, bad, 1]], "int64"), cos, sin],
                            expected=[normal(1, 3, 8)])
            self.suite.node("float", f"{bad}", "MatMulNBits",
                            [normal(2, 32), some_bytes(4, 2, 8), normal(8), None, i32([0] * 31 + [bad])],
                            {"N": 4, "K": 32, "bits": 4, "block_size": 16}, expected=[normal(2, 4)])
            self.suite.node("float", f"{bad}", "GatherBlockQuantized",
                            [some_bytes(6, 8), np.array([bad if bad > 0 else bad - 6], "int64"), normal(6, 1)],
                            {"bits": 4, "block_size": 16}, expected=[normal(1, 16)])
            q, cache = normal(1, 2, 16), normal(1, 1, 4, 16)

            def group(name, last, total, at=None, new=None):
                self.suite.node("float", f"{name}{bad}", "GroupQueryAttention",
                                [q, q, q, cache, cache, i32([last]), i32(total), *turns(8, 8), at, None, None,
                                 None, None, None, None, None if new is None else i32([new])],
                                {"num_heads": 1, "kv_num_heads": 1, "do_rotary": 1},
                                expected=[normal(1, 2, 16)])

            group("last", bad if bad > 0 else -2, 6)
            group("total", 5, bad if bad < 6 else 4)
            group("position", 5, 6, np.array([[bad, 0]], "int64"))
            group("rows", 5, 6, new=bad)
        passed, lines = self.suite.run()
        found = [line for line in lines if "FAIL" in line]
        self.assertEqual((passed, len(found)), (0, self.suite.count), lines)
        for line in found:
            self.assertRegex(line, "outside|names block|has .* keys|negative|dimension", line)


if __name__ == "__main__":
    unittest.main(verbosity=1)
