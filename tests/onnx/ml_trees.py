"""Random trees over given rows, as attributes of both forms in which ai.onnx.ml writes them."""

import numpy as np
from onnx import numpy_helper

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")


class Branch:
    def __init__(self, mode, feature, value, missing, members):
        self.mode, self.feature, self.value, self.missing, self.members = mode, feature, value, missing, members
        self.sides = []  # true, false: branches, or leaves, which are lists of (target, weight)


def grow(random, x, targets, depth=3, modes=MODES[:6], several=False, positive=False):
    """Comparisons are with values that the rows have, so that equality is met."""
    def leaf():
        chosen = random.permutation(targets)[:2 if several else 1]
        return [(int(t), float(np.float32(random.random() if positive else random.normal()))) for t in chosen]

    feature = int(random.integers(x.shape[1]))
    seen = x[~np.isnan(x[:, feature]), feature]
    value = float(random.choice(seen))
    members = [float(v) for v in random.choice(seen, 4)]
    branch = Branch(str(random.choice(modes)), feature, value, int(random.integers(2)), members)
    branch.sides = [grow(random, x, targets, depth - 1, modes, several, positive)
                    if depth > 1 and random.random() < 0.8 else leaf() for _ in range(2)]
    return branch


def tuples(trees, classes, missing=True, exact=False, base=None):
    """Of TreeEnsembleClassifier (`classes`) or TreeEnsembleRegressor; `exact`: numbers as double."""
    nodes, weights = [], []

    def walk(tree, part, number):
        own = number[0]
        number[0] += 1
        at = len(nodes)
        if isinstance(part, list):
            nodes.append((tree, own, 0, "LEAF", 0.0, 0, 0, 0))
            weights.extend((tree, own, t, w) for t, w in part)
            return own
        nodes.append(None)
        on_true, on_false = (walk(tree, side, number) for side in part.sides)
        nodes[at] = (tree, own, part.feature, part.mode, part.value, on_true, on_false, part.missing)
        return own

    for t, tree in enumerate(trees):
        walk(t, tree, [0])
    columns, leaves = list(zip(*nodes)), list(zip(*weights))
    kind = "class" if classes else "target"
    answer = dict(zip((f"nodes_{n}" for n in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids",
                                              "falsenodeids", "missing_value_tracks_true")), map(list, columns)))
    answer.update(zip((f"{kind}_{n}" for n in ("treeids", "nodeids", "ids", "weights")), map(list, leaves)))
    if base is not None:
        answer["base_values"] = list(base)
    if not missing:
        del answer["nodes_missing_value_tracks_true"]
    for name in ("nodes_values", f"{kind}_weights", "base_values") if exact else ():
        if name in answer:
            answer[f"{name}_as_tensor"] = numpy_helper.from_array(np.array(answer.pop(name), "float64"))
    return answer


def indices(trees, dtype):
    """Of TreeEnsemble: a leaf has one weight, and every tree a branch."""
    branches, leaves, roots = [], [], []

    def walk(part):
        at = len(branches)
        branches.append(None)
        found = []
        for side in part.sides:
            if isinstance(side, list):
                leaves.append(side[0])
                found.append((len(leaves) - 1, 1))
            else:
                found.append((walk(side), 0))
        branches[at] = (part, found)
        return at

    for tree in trees:
        roots.append(walk(tree))
    members = [v for part, _ in branches if part.mode == "BRANCH_MEMBER" for v in [*part.members, np.nan]]
    answer = {
        "tree_roots": roots,
        "nodes_featureids": [p.feature for p, _ in branches],
        "nodes_modes": numpy_helper.from_array(np.array([MODES.index(p.mode) for p, _ in branches], "uint8")),
        "nodes_splits": numpy_helper.from_array(np.array([p.value for p, _ in branches], dtype)),
        "nodes_missing_value_tracks_true": [p.missing for p, _ in branches],
        "nodes_truenodeids": [f[0][0] for _, f in branches], "nodes_trueleafs": [f[0][1] for _, f in branches],
        "nodes_falsenodeids": [f[1][0] for _, f in branches], "nodes_falseleafs": [f[1][1] for _, f in branches],
        "leaf_targetids": [t for t, _ in leaves],
        "leaf_weights": numpy_helper.from_array(np.array([w for _, w in leaves], dtype)),
    }
    if members:
        answer["membership_values"] = numpy_helper.from_array(np.array(members, dtype))
    return answer
