#!/usr/bin/env python3
"""Which of three growers a wine comes from, by 13 chemical measurements, with a support vector
machine. Writes model.onnx, labels.txt, question.json and answer.json beside itself."""

import pathlib
import sys

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common


def main():
    common.seed_everything()
    data = load_wine()
    train, test, train_classes, test_classes = train_test_split(
        data.data.astype(np.float32),
        data.target,
        test_size=0.3,
        random_state=common.SEED,
        stratify=data.target,
    )
    model = make_pipeline(
        StandardScaler(), SVC(C=2.0, probability=True, random_state=common.SEED)
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

    common.write_labels(FOLDER, ("first grower", "second grower", "third grower"))
    asked = [int(np.flatnonzero(test_classes == grower)[0]) for grower in range(3)]
    common.write_question(FOLDER, {"features": test[asked]})


if __name__ == "__main__":
    main()
