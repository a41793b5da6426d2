"""Splitting, export and measurement that the two examples over tables share (scikit-learn)."""

import numpy as np
from sklearn.model_selection import train_test_split
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

import common


def split(data, test_size):
    """Rows to learn from, rows held out, and the classes of both. The model is asked in float32,
    so it learns from float32: a threshold then falls between two values that a question can
    have."""
    return train_test_split(
        data.data.astype(np.float32),
        data.target,
        test_size=test_size,
        random_state=common.SEED,
        stratify=data.target,
    )


def export(folder, model, test, test_classes):
    """Writes model.onnx, checks and measures it; gives its outputs for the rows held out."""
    path = folder / "model.onnx"
    exported = to_onnx(
        model,
        initial_types=[("features", FloatTensorType([None, test.shape[1]]))],
        options={"zipmap": False},
        target_opset={"": 17, "ai.onnx.ml": 3},
    )
    common.save(exported, path)
    common.check_model(path)
    outputs = common.run(path, {"features": test})
    common.check_same("probabilities", outputs["probabilities"], model.predict_proba(test))
    common.check_same("labels", outputs["label"], model.predict(test), rtol=0, atol=0)
    right = (outputs["label"] == test_classes).sum()
    print(f"held-out accuracy: {right / len(test_classes):.2%} of {len(test_classes)}")
    return outputs
