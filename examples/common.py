"""What every training script shares: fixed seeds, a check of the exported model, and the
question and answer files that are shipped beside it."""

import json
import os
import pathlib
import random

import numpy as np
import onnx
import onnxruntime

EXAMPLES = pathlib.Path(__file__).resolve().parent
LARGEST_MODEL = 1_000_000  # bytes; an example is part of the repository
SEED = 20260101

DATATYPES = {"float32": "FP32", "int64": "INT64", "object": "BYTES"}


def seed_everything():
    """One seed and one thread, so that a second run gives the same model."""
    random.seed(SEED)
    np.random.seed(SEED)
    try:
        import torch
    except ImportError:
        return
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path, feeds):
    """The outputs of a model, by name, as ONNX Runtime computes them."""
    model = session(path)
    names = [output.name for output in model.get_outputs()]
    return dict(zip(names, model.run(names, feeds)))


def save(model, path):
    """Writes a model of skl2onnx, which lists operator sets in no fixed order."""
    opsets = sorted(model.opset_import, key=lambda opset: opset.domain)
    ordered = [(opset.domain, opset.version) for opset in opsets]
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*opset) for opset in ordered)
    path.write_bytes(model.SerializeToString(deterministic=True))


def check_model(path):
    """Stops unless the file is a valid ONNX model of a size that can be shipped."""
    size = os.path.getsize(path)
    if size >= LARGEST_MODEL:
        raise SystemExit(f"{path}: {size} bytes; an example model stays under {LARGEST_MODEL}")
    model = onnx.load(str(path))
    onnx.checker.check_model(model, full_check=True)
    opsets = ", ".join(f"{o.domain or 'ai.onnx'} {o.version}" for o in model.opset_import)
    operators = sorted({node.op_type for node in model.graph.node})
    print(f"{path.name}: {size} bytes; {opsets}; {' '.join(operators)}")


def check_same(what, found, expected, rtol=1e-4, atol=1e-5):
    """Stops unless ONNX Runtime and the library that trained the model agree."""
    found, expected = np.asarray(found), np.asarray(expected)
    if not np.allclose(found, expected, rtol=rtol, atol=atol):
        worst = np.abs(found - expected).max()
        raise SystemExit(f"{what}: the exported model differs from the trained one by {worst}")
    print(f"{what}: exported model agrees, largest difference {np.abs(found - expected).max():.2g}")


def _number(value):
    """The shortest decimal that reads back as the same float32; integers and texts as they are."""
    if isinstance(value, str):
        return value
    return float(str(value)) if isinstance(value, np.floating) else int(value)


def _tensor(name, array):
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": DATATYPES[str(array.dtype)],
        "data": [_number(value) for value in array.ravel()],
    }


def _write_json(path, value):
    """JSON with one member a line and the numbers of a tensor on one line."""
    tensors = "outputs" if "outputs" in value else "inputs"
    lines = [f'  {json.dumps(k)}: {json.dumps(v)},' for k, v in value.items() if k != tensors]
    rows = ",\n".join(f"    {json.dumps(tensor)}" for tensor in value[tensors])
    text = "\n".join(["{"] + lines + [f'  "{tensors}": [', rows, "  ]", "}"]) + "\n"
    json.loads(text)
    path.write_text(text, encoding="utf-8")


def write_question(folder, feeds):
    """question.json (an Open Inference Protocol request) and answer.json (what a right
    server gives back), the answer computed by ONNX Runtime from the shipped model."""
    _write_json(
        folder / "question.json",
        {"id": folder.name, "inputs": [_tensor(name, array) for name, array in feeds.items()]},
    )
    outputs = run(folder / "model.onnx", feeds)
    _write_json(
        folder / "answer.json",
        {
            "model_name": folder.name,
            "id": folder.name,
            "outputs": [_tensor(name, array) for name, array in outputs.items()],
        },
    )


def write_labels(folder, labels):
    """labels.txt: line n+1 names class n."""
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
