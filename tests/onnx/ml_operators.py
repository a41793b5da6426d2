#!/usr/bin/env python3
"""Every operator of ai.onnx.ml by itself, in all its forms and types, against ONNX Runtime: labels
exactly, numbers to 1e-3 of the value and 1e-5. What ONNX Runtime does not run, or answers
otherwise than ai.onnx.ml's text says, has its reference named at the case."""

import itertools
import sys
import unittest

try:
    import numpy as np
    import onnxruntime  # noqa: F401
    from sklearn import datasets
except ImportError as e:
    print(f"skip: {e.name} is not installed")
    sys.exit(77)

from onnx import TensorProto, numpy_helper

from contrib_case import session
from ml_case import MlSuite, maps_of, one_node, text
from ml_trees import MODES, grow, indices, tuples

RANDOM = np.random.default_rng(11)
POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
AGGREGATES = ("SUM", "AVERAGE", "MIN", "MAX")
NUMBERS = ("float32", "float64", "int64", "int32")
F, D, I, S = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING
IRIS = datasets.load_iris().data.astype("float32")
ROWS = IRIS[RANDOM.permutation(len(IRIS))[:60]].round(1)
GAPS = np.where(RANDOM.random(ROWS.shape) < 0.15, np.float32(np.nan), ROWS)


def floats(*shape, scale=1.0):
    return [float(v) for v in (RANDOM.standard_normal(shape) * scale).astype("float32").ravel()]


def logistic(v):
    return (1 / (1 + np.exp(-v.astype("float64")))).astype(v.dtype)


class Operators(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.suite = MlSuite()
        # The inverse of a distribution, of what was computed in single precision.
        self.suite.tolerance["sums"] = ["--rtol", "1e-3", "--atol", "1e-4"]
        self.addCleanup(self.suite.close)

    def check(self, least):
        passed, lines = self.suite.run()
        self.assertEqual(lines, [])
        self.assertEqual(passed, self.suite.count)
        self.assertGreaterEqual(passed, least)

    def each_type(self, name, op, rows, attributes, outputs=(None,), like=None, **more):
        """The same rows in every type that the schema allows. The types that ONNX Runtime lacks are
        held against its answer for float32; `like`: the output has the input's type."""
        rows = np.nan_to_num(rows).round()
        for kind in NUMBERS:
            x = rows.astype(kind)
            model, feed = one_node(op, [x], attributes, outputs, more.get("version", 3))
            expected = None
            try:
                session(model)
            except Exception as e:
                self.assertIn("NOT_IMPLEMENTED", str(e))
                model, feed = one_node(op, [rows], attributes, outputs, more.get("version", 3))
                expected = session(model).run(None, feed)
                if like:
                    expected = [expected[0].astype(kind)]
            self.suite.node(f"{name}-{kind}", op, [x], attributes, outputs, expected=expected, **more)

    def regressor(self, name, op, x, attributes, targets, post, version=3, number=None, **more):
        """ai.onnx.ml: post_transform is "the transform to apply to the score". Where there is one
        target, ONNX Runtime leaves LOGISTIC out: it is asked without, and the rest is done here.
        `number`: of the transform, where that is how the attribute says it, as ONNX Runtime takes it."""
        none, own, asked = ("NONE", post, post) if number is None else (0, POSTS.index(post), number)
        alone = targets == 1 and post == "LOGISTIC"
        model, feed = one_node(op, [x], {**attributes, "post_transform": none if alone else asked}, (None,), version)
        expected = session(model).run(None, feed)
        self.suite.node(name, op, [x], {**attributes, "post_transform": own}, version=version,
                        expected=[logistic(expected[0])] if alone else expected, **more)

    def one_score(self, name, op, x, attributes, post, labels, positive=False):
        """Two labels and one score s, for the second. ONNX Runtime applies NONE and LOGISTIC. SOFTMAX
        of one score it leaves out; ONNX's reference implementation has it of [-s, s]. Of PROBIT it
        writes the first column alone, which is the second label's. The label is the one that the
        scores say; where they are probabilities, from one half."""
        def ask(transform):
            model, feed = one_node(op, [x], {**attributes, "post_transform": transform}, (None, None), 3)
            return session(model).run(None, feed)

        s = ask("NONE")[1][:, 1].astype("float64")
        if post.startswith("SOFTMAX"):
            scores = np.stack([logistic(-2 * s), logistic(2 * s)], 1)
        elif post == "PROBIT":
            # Of LinearClassifier not even that, so the same scores are asked of LinearRegressor.
            if op == "LinearClassifier":
                same = {k: attributes[k] for k in ("coefficients", "intercepts")}
                model, feed = one_node("LinearRegressor", [x], {**same, "post_transform": post}, (F,), 3)
                v = session(model).run(None, feed)[0][:, 0]
            else:
                v = ask(post)[1][:, 0]
            scores = np.stack([-v, v], 1)
        else:
            scores = ask(post)[1]
        half = positive and post in ("NONE", "PROBIT")
        expected = [np.array([labels[int(v > (0.5 if half else 0))] for v in s]), scores.astype("float32")]
        self.suite.node(name, op, [x], {**attributes, "post_transform": post}, expected=expected,
                        group="sums" if post == "PROBIT" else "float")

    def two_scores(self, name, trees, labels, post):
        """Two labels with weights for both. "Top class for each point" is what ai.onnx.ml asks for;
        ONNX Runtime answers 1 or 0 by the sign of the second score, whatever the labels are. The
        scores are its own of the same trees as a regressor of two targets."""
        def ask(parts, transform):
            model, feed = one_node("TreeEnsembleRegressor", [GAPS],
                                   {**parts, "n_targets": 2, "post_transform": transform}, (F,), 3)
            return session(model).run(None, feed)[0]

        parts = tuples(trees, False)
        voted = ask({**parts, "target_weights": [1.0] * len(parts["target_weights"])}, "NONE") > 0
        best = np.where(voted, ask(parts, "NONE"), -np.inf).argmax(1)
        kind = "classlabels_strings" if isinstance(labels[0], str) else "classlabels_int64s"
        self.suite.node(name, "TreeEnsembleClassifier", [GAPS],
                        {kind: labels, "post_transform": post, **tuples(trees, True)},
                        expected=[np.array(labels)[best], ask(parts, post)], group="sums" if post == "PROBIT" else "float")

    def test_tree_regressors(self):
        for targets, aggregate, post in itertools.product((1, 3), AGGREGATES, POSTS):
            # The inverse of a distribution is asked of probabilities alone.
            positive = post == "PROBIT"
            trees = [grow(RANDOM, ROWS, targets, several=targets > 1, positive=positive) for _ in range(5)]
            if positive:
                trees = trees[:1]
            base = floats(1) if aggregate == "SUM" and not positive and targets == 1 else None
            attributes = {"n_targets": targets, "aggregate_function": aggregate, **tuples(trees, False, base=base)}
            self.regressor(f"{targets}-{aggregate}-{post}", "TreeEnsembleRegressor", GAPS, attributes, targets, post)
        for mode in MODES[:6]:
            trees = [grow(RANDOM, ROWS, 2, modes=[mode]) for _ in range(9)]
            for missing in (False, True):
                self.suite.node(f"{mode}-{missing}", "TreeEnsembleRegressor", [GAPS],
                                {"n_targets": 2, **tuples(trees, False, missing=missing)})
            # Base values are "added to final score": ONNX Runtime leaves out a target for which no
            # leaf had a weight, so they are added here.
            wide = GAPS.astype("float64")
            model, feed = one_node("TreeEnsembleRegressor", [wide],
                                   {"n_targets": 2, **tuples(trees, False, exact=True)}, (F,), 3)
            self.suite.node(f"{mode}-exact", "TreeEnsembleRegressor", [wide],
                            {"n_targets": 2, **tuples(trees, False, exact=True, base=[0.5, -1])},
                            expected=[session(model).run(None, feed)[0] + np.float32([0.5, -1])])
        trees = [grow(RANDOM, ROWS.round(), 2) for _ in range(4)]
        for version in (1, 3):
            self.each_type(f"v{version}", "TreeEnsembleRegressor", ROWS, {"n_targets": 2, **tuples(trees, False)},
                           version=version, outputs=(F,))
        self.suite.node("one-row", "TreeEnsembleRegressor", [ROWS[:1]], {"n_targets": 2, **tuples(trees, False)})
        self.check(67)

    def test_tree_classifiers(self):
        names = ["iris", "rose", "tulip", "lily"]
        for classes, post, positive in itertools.product((2, 3, 4), POSTS, (False, True)):
            if post == "PROBIT" and not positive:
                continue
            for strings in (False, True):
                trees = [grow(RANDOM, ROWS, classes, several=not strings, positive=positive) for _ in range(5)]
                if post == "PROBIT":
                    trees = [grow(RANDOM, ROWS, classes, several=classes == 2, positive=True)]
                labels = names[:classes] if strings else [7, -2, 40, 3][:classes]
                name = f"{classes}-{post}-{positive}-{strings}"
                if classes == 2:
                    self.two_scores(name, trees, labels, post)
                    continue
                self.suite.node(name, "TreeEnsembleClassifier", [GAPS], {
                    "post_transform": post, **tuples(trees, True),
                    "classlabels_strings" if strings else "classlabels_int64s": labels},
                    group="sums" if post == "PROBIT" else "float")
        # Two labels, and weights for one of them only: as boosters are written.
        for post, positive, base in itertools.product(POSTS, (False, True), (None, [0.125])):
            if post == "PROBIT" and (base or not positive):
                continue
            trees = [grow(RANDOM, ROWS, 1, positive=positive) for _ in range(1 if post == "PROBIT" else 4)]
            attributes = {"classlabels_int64s": [4, 9], **tuples(trees, True, base=base)}
            self.one_score(f"one-0-{post}-{positive}-{base}", "TreeEnsembleClassifier", GAPS, attributes, post, [4, 9],
                           positive)
            if base or (positive and post not in ("NONE", "PROBIT")):
                continue
            attributes["class_ids"] = [1] * len(attributes["class_ids"])
            self.suite.node(f"one-1-{post}-{positive}", "TreeEnsembleClassifier", [GAPS],
                            {**attributes, "post_transform": post}, group="sums" if post == "PROBIT" else "float")
        trees = [grow(RANDOM, ROWS.round(), 3, several=True) for _ in range(4)]
        for version in (1, 3):
            self.each_type(f"v{version}", "TreeEnsembleClassifier", ROWS,
                           {"classlabels_int64s": [0, 1, 2], **tuples(trees, True)}, version=version, outputs=(I, F))
        exact = tuples(trees, True, exact=True, base=[0.1, 0.2, 0.3])
        self.suite.node("exact", "TreeEnsembleClassifier", [GAPS.astype("float64")],
                        {"classlabels_int64s": [0, 1, 2], **exact})
        self.check(82)

    def test_tree_ensembles(self):
        for targets, (a, aggregate), (p, post) in itertools.product(
                (1, 3), enumerate(("AVERAGE", "SUM", "MIN", "MAX")), enumerate(POSTS)):
            trees = [grow(RANDOM, ROWS, targets, modes=MODES, positive=post == "PROBIT")
                     for _ in range(1 if post == "PROBIT" else 5)]
            for kind in ("float32", "float64"):
                x = GAPS.astype(kind)
                attributes = {"n_targets": targets, "aggregate_function": a, **indices(trees, kind)}
                # ai.onnx.ml numbers SOFTMAX 1 and LOGISTIC 2. ONNX Runtime takes the one for the
                # other: it is asked with the numbers swapped.
                self.regressor(f"{targets}-{aggregate}-{post}-{kind}", "TreeEnsemble", x, attributes, targets, post,
                               5, (0, 2, 1, 3, 4)[p])
        for mode in MODES:
            trees = [grow(RANDOM, ROWS, 2, modes=[mode]) for _ in range(6)]
            self.suite.node(mode, "TreeEnsemble", [GAPS], {"n_targets": 2, **indices(trees, "float32")}, version=5)
        # ONNX Runtime has no float16 here; ONNX's reference has neither post-transforms.
        half = GAPS.astype("float16")
        for a, aggregate in enumerate(("AVERAGE", "SUM", "MIN", "MAX")):
            trees = [grow(RANDOM, half.astype("float32"), 1) for _ in range(3)]
            attributes = {"n_targets": 1, "aggregate_function": a, **indices(trees, "float16")}
            model, feed = one_node("TreeEnsemble", [half.astype("float32")],
                                   {**attributes, **indices(trees, "float32")}, (F,), 5)
            self.suite.node(f"{aggregate}-float16", "TreeEnsemble", [half], attributes, (TensorProto.FLOAT16,),
                            version=5, group="half", expected=[session(model).run(None, feed)[0].astype("float16")])
        self.check(90)

    def test_support_vector_machines(self):
        params = {"kernel_params": [0.3, 0.1, 3.0]}
        x = (ROWS - ROWS.mean(0)).astype("float32")
        for kernel, post, classes, p in itertools.product(
                ("LINEAR", "POLY", "RBF", "SIGMOID"), POSTS, (2, 3), (False, True)):
            if post == "PROBIT" and not p:
                continue
            per = [3, 4, 2][:classes]
            pairs = classes * (classes - 1) // 2
            attributes = {"classlabels_ints": [3, 1, 2][:classes], "kernel_type": kernel, "post_transform": post,
                          "vectors_per_class": per, "support_vectors": floats(sum(per), 4),
                          "coefficients": floats(classes - 1, sum(per)), "rho": floats(pairs), **params}
            if p:
                attributes.update(prob_a=[-abs(v) / 50 - 0.1 for v in floats(pairs)], prob_b=floats(pairs, scale=0.2))
            # One decision value for two classes: SOFTMAX is of both scores in ONNX's reference
            # implementation, and left out by ONNX Runtime.
            both = classes == 2 and not p and post.startswith("SOFTMAX")
            self.suite.node(f"{kernel}-{post}-{classes}-{p}", "SVMClassifier", [x], attributes,
                            reference="onnx" if both else "onnxruntime", group="sums" if post == "PROBIT" else "float")
        for classes, post in itertools.product((2, 3), POSTS[:4]):
            self.suite.node(f"linear-{classes}-{post}", "SVMClassifier", [x],
                            {"classlabels_strings": ["a", "b", "c"][:classes], "post_transform": post,
                             "coefficients": floats(classes, 4), "rho": [0.25], **params})
        self.each_type("types", "SVMClassifier", ROWS, {
            "classlabels_ints": [0, 1], "vectors_per_class": [2, 2], "support_vectors": floats(4, 4),
            "coefficients": floats(4), "rho": [0.1], "kernel_type": "RBF", **params}, (I, F))
        for kernel, post, one in itertools.product(("LINEAR", "POLY", "RBF", "SIGMOID"), POSTS[:4], (0, 1)):
            self.regressor(f"{kernel}-{post}-{one}", "SVMRegressor", x, {
                "kernel_type": kernel, "n_supports": 5, "support_vectors": floats(5, 4), "coefficients": floats(5),
                "rho": [0.2], "one_class": one, **params}, 2 if one else 1, post)
        self.suite.node("linear", "SVMRegressor", [x], {"coefficients": floats(4), "rho": [0.5], **params})
        self.each_type("types", "SVMRegressor", ROWS, {"coefficients": floats(4), "rho": [0.5], **params}, (F,))
        self.check(110)

    def test_linear(self):
        x = (ROWS - ROWS.mean(0)).astype("float32")
        for labels, rows, post, sides in itertools.product((2, 3), (0, 1), POSTS, (False, True)):
            rows = 1 if rows else labels
            if rows == 1 and labels > 2:
                continue
            names = ["a", "b", "c"][:labels] if sides else [5, -1, 2][:labels]
            # Of probabilities, where their inverse is asked for.
            probit = post == "PROBIT"
            given = np.abs(x) / 20 if probit else x
            attributes = {"coefficients": [abs(v) if probit else v for v in floats(rows, 4)],
                          "intercepts": [0.3] * rows if probit else floats(rows),
                          "classlabels_strings" if sides else "classlabels_ints": names}
            name = f"{labels}-{rows}-{post}-{sides}"
            if rows < labels:
                self.one_score(name, "LinearClassifier", given, attributes, post, names)
            else:
                self.suite.node(name, "LinearClassifier", [given], {**attributes, "post_transform": post},
                                group="sums" if probit else "float")
        self.each_type("types", "LinearClassifier", ROWS, {
            "coefficients": floats(3, 4), "intercepts": floats(3), "classlabels_ints": [0, 1, 2]}, (I, F))
        for targets, post in itertools.product((1, 3), POSTS[:4]):
            for offset in (None, floats(targets)):
                self.regressor(f"{targets}-{post}-{offset is None}", "LinearRegressor", x, {
                    "coefficients": floats(targets, 4), "targets": targets,
                    **({"intercepts": offset} if offset else {})}, targets, post)
        self.each_type("types", "LinearRegressor", ROWS, {"coefficients": floats(4), "intercepts": [0.5]}, (F,))
        self.check(54)

    def test_scaling(self):
        for n in (1, 4):
            self.each_type(f"{n}", "Scaler", ROWS, {"offset": floats(n), "scale": floats(n)}, (F,))
        for norm in ("MAX", "L1", "L2"):
            self.each_type(norm, "Normalizer", ROWS - 3, {"norm": norm}, (F,))
            self.suite.node(f"{norm}-zero", "Normalizer", [np.zeros((2, 3), "float32")], {"norm": norm})
        self.suite.node("row", "Normalizer", [ROWS[0]], {"norm": "L2"})
        for n in (1, 4):
            for replaced in (float("nan"), 1.5, 0.2):
                self.suite.node(f"{n}-{replaced}", "Imputer", [GAPS], {
                    "imputed_value_floats": floats(n), "replaced_value_float": replaced})
            self.suite.node(f"{n}-int", "Imputer", [np.nan_to_num(GAPS).round().astype("int64")], {
                "imputed_value_int64s": [int(v) for v in range(9, 9 + n)], "replaced_value_int64": 5})
            for kind in ("float64", "int32"):  # not in ONNX Runtime
                x = GAPS.astype(kind) if kind == "float64" else np.nan_to_num(GAPS).round().astype(kind)
                values = np.arange(20, 20 + n).astype(kind)
                keys = (("imputed_value_floats", "replaced_value_float") if kind == "float64"
                        else ("imputed_value_int64s", "replaced_value_int64"))
                old = float("nan") if kind == "float64" else 1
                hit = np.isnan(x) if kind == "float64" else x == 1
                self.suite.node(f"{n}-{kind}", "Imputer", [x], {
                    keys[0]: values.tolist(), keys[1]: old}, expected=[np.where(hit, values, x)])
        for threshold in (0.0, 1.5):
            self.each_type(f"{threshold}", "Binarizer", ROWS - 2, {"threshold": threshold}, like=True)
        self.check(30)

    def test_columns(self):
        for kind in (*NUMBERS, "object"):
            x = np.array([[f"{v}" for v in row] for row in ROWS], dtype=object) if kind == "object" else ROWS.astype(kind)
            for columns in ([2], [3, 0, 0]):
                for part in (x, x[0]):
                    self.suite.node(f"{kind}-{len(columns)}-{part.ndim}", "ArrayFeatureExtractor",
                                    [part, np.array(columns, "int64")])
        self.each_type("one", "FeatureVectorizer", ROWS, {"inputdimensions": [4]}, (F,))
        self.suite.node("two", "FeatureVectorizer", [ROWS, ROWS[:, :2] * 2], {"inputdimensions": [4, 2]})
        self.check(24)

    def test_encoders(self):
        words = text("red", "green", "blue", "red", "none of these")
        for kind in ("object", *NUMBERS):
            x = words if kind == "object" else np.array([3, 1, 1, 7, 5], kind)
            categories = ["blue", "red", "green"] if kind == "object" else [1, 3, 5]
            keys = {"cats_strings" if kind == "object" else "cats_int64s": categories}
            for shape in ((-1,), (-1, 1), (1, -1)):
                answer = (x.reshape(shape)[..., None] == np.array(categories, x.dtype)).astype("float32")
                # ONNX Runtime has no int32 here.
                self.suite.node(f"{kind}-{len(shape)}-{shape[0]}", "OneHotEncoder", [x.reshape(shape)],
                                {**keys, "zeros": 1}, expected=[answer] if kind == "int32" else None)
            known = x[[v in categories for v in x]]
            answer = (known[:, None] == np.array(categories, x.dtype)).astype("float32")
            self.suite.node(f"{kind}-known", "OneHotEncoder", [known], {**keys, "zeros": 0},
                            expected=[answer] if kind == "int32" else None)
        mapping = {"cats_strings": ["a", "b", "c"], "cats_int64s": [10, -3, 4]}
        self.suite.node("to", "CategoryMapper", [text("b", "z", "a")], {**mapping, "default_int64": 99})
        self.suite.node("from", "CategoryMapper", [np.array([4, 10, 5])], {**mapping, "default_string": "?"})
        classes = {"classes_strings": ["x", "y", "z"], "default_int64": -9, "default_string": "other"}
        self.suite.node("1-to", "LabelEncoder", [text("z", "x", "w")], classes, version=1)
        self.suite.node("1-from", "LabelEncoder", [np.array([2, 0, 3])], classes, version=1)
        lists = {"strings": text("one", "two", "three"), "int64s": np.array([4, 5, 6]),
                 "floats": np.array([0.5, np.nan, 2.5], "float32")}
        unknown = {"strings": text("four"), "int64s": np.array([0]), "floats": np.array([7], "float32")}
        defaults = {"strings": ("default_string", "none"), "int64s": ("default_int64", -7),
                    "floats": ("default_float", -7.5)}
        for version, a, b in itertools.product((2, 3, 4), lists, lists):
            x = np.concatenate([lists[a][::-1], unknown[a]])
            attributes = {f"keys_{a}": lists[a].tolist(), f"values_{b}": lists[b].tolist(),
                          defaults[b][0]: defaults[b][1]}
            answer = np.concatenate([lists[b][::-1], np.array([defaults[b][1]], lists[b].dtype)])
            # The pairs that ONNX Runtime lacks, and keys that are not numbers, are plain to say.
            self.suite.node(f"{version}-{a}-{b}", "LabelEncoder", [x], attributes, version=version, expected=[answer])
        tensors = {"float64": np.array([0.1, np.nan, 2.0]), "int16": np.array([-3, 4, 30000], "int16"),
                   "int32": np.array([1, -2, 1 << 30], "int32"), "int64": np.array([1, 2, 1 << 40]),
                   "float32": lists["floats"], "object": lists["strings"]}
        for a, b in itertools.product(tensors, tensors):
            keys, values = tensors[a], tensors[b]
            other = np.array([values[1]], values.dtype)
            x = np.concatenate([keys[::-1], keys[:1]]).reshape(2, 2)
            if a != "object":
                x[1, 1] = 77
            else:
                x[1, 1] = "unknown"
            answer = np.array([values[2], values[1], values[0], other[0]], values.dtype).reshape(2, 2)
            self.suite.node(f"4-{a}-{b}", "LabelEncoder", [x], {
                "keys_tensor": numpy_helper.from_array(keys), "values_tensor": numpy_helper.from_array(values),
                "default_tensor": numpy_helper.from_array(other)}, version=4, expected=[answer])
        self.check(80)

    def test_maps(self):
        words, whole = ["a", "b", "c"], [10, 20, 30]
        for name, x in (("string-int64", {"c": 4, "a": 7}), ("string-float", {"a": 1.5, "c": 2.5, "q": 9.0}),
                        ("int64-float", {30: 1.25, 10: 2.0}), ("int64-string", {20: "hello", 99: "gone"}),
                        ("string-double", {"b": np.float64(1.1)}), ("int64-double", {30: np.float64(0.7), 5: np.float64(2)})):
            strings = name.startswith("string")
            keys = words if strings else whole
            missing = {"int64": 0, "float": np.float32(0), "double": np.float64(0), "string": ""}[name.split("-")[1]]
            answer = np.array([[np.float32(x.get(k, missing)) if name.endswith("float") else x.get(k, missing)
                                for k in keys]], object if name.endswith("string") else None)
            # ONNX Runtime's binding for Python hands over maps of these types alone.
            known = name in ("string-float", "int64-float")
            self.suite.node(name, "DictVectorizer", [x], {"string_vocabulary" if strings else "int64_vocabulary": keys},
                            expected=None if known else [answer])
        for x, cast in itertools.product(({3: 1.5, 0: 2.25, 1: -4.0}, {3: "7", 0: "0", 1: "2.5"}),
                                         ("TO_FLOAT", "TO_STRING", "TO_INT64")):
            if isinstance(x[3], str) and cast == "TO_INT64":
                x = {3: "7", 0: "-12", 1: "0"}
            kind = {"TO_FLOAT": F, "TO_STRING": S, "TO_INT64": I}[cast]
            for form, places in (("DENSE", sorted(x)), ("SPARSE", range(5))):
                # ONNX Runtime's binding for Python has no maps to strings; of numbers as text, the
                # shortest form is asked for here.
                convert, nothing = {F: (np.float32, 0), I: (int, 0), S: (lambda v: v if isinstance(v, str) else f"{v:g}", "")}[kind]
                answer = np.array([[convert(x[k]) if k in x else nothing for k in places]],
                                  {F: "float32", I: "int64", S: object}[kind])
                self.suite.node(f"{type(x[3]).__name__}-{cast}-{form}", "CastMap", [x], {
                    "cast_to": cast, "map_form": form, "max_map": 5}, outputs=(kind,), expected=[answer])
        # A map has no order; ONNX Runtime gives the keys ascending.
        for labels in ({"classlabels_int64s": [-3, 2, 4, 9]}, {"classlabels_strings": ["w", "x", "y", "z"]}):
            name = next(iter(labels))
            for rows in (ROWS, ROWS[0]):
                self.suite.node(f"{name}-{rows.ndim}", "ZipMap", [rows], labels, (maps_of(I if "int" in name else S),))
        self.check(22)


if __name__ == "__main__":
    unittest.main()
