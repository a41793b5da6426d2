#!/usr/bin/env python3
"""Whether a breast tumour is benign, from 30 measurements, with gradient-boosted trees.
Writes model.onnx, labels.txt, question.json and answer.json beside itself."""

import pathlib
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common


def main():
    common.seed_everything()
    data = load_breast_cancer()
    # The model is asked in float32, so it learns from float32: a threshold then falls between
    # two values that a question can have.
    train, test, train_classes, test_classes = train_test_split(
        data.data.astype(np.float32),
        data.target,
        test_size=0.25,
        random_state=common.SEED,
        stratify=data.target,
    )
    model = GradientBoostingClassifier(
        n_estimators=150, max_depth=3, learning_rate=0.1, subsample=0.8, random_state=common.SEED
    )
    model.fit(train, train_classes)

    path = FOLDER / "model.onnx"
    exported = to_onnx(
        model,
        initial_types=[("features", FloatTensorType([None, train.shape[1]]))],
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

    common.write_labels(FOLDER, data.target_names)
    # One benign and one malignant tumour, and the one that the model is least sure of.
    unsure = np.abs(outputs["probabilities"][:, 1] - 0.5).argmin()
    asked = [int(np.flatnonzero(test_classes == 1)[0]), int(np.flatnonzero(test_classes == 0)[0])]
    common.write_question(FOLDER, {"features": test[asked + [int(unsure)]]})


if __name__ == "__main__":
    main()
