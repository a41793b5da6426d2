#!/usr/bin/env python3
"""Whether a breast tumour is benign, from 30 measurements, with gradient-boosted trees.
Writes model.onnx, labels.txt, question.json and answer.json beside itself."""

import pathlib
import sys

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import GradientBoostingClassifier

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common
import tables


def main():
    common.seed_everything()
    data = load_breast_cancer()
    train, test, train_classes, test_classes = tables.split(data, 0.25)
    model = GradientBoostingClassifier(
        n_estimators=150, max_depth=3, learning_rate=0.1, subsample=0.8, random_state=common.SEED
    )
    model.fit(train, train_classes)

    outputs = tables.export(FOLDER, model, test, test_classes)

    common.write_labels(FOLDER, data.target_names)
    # One benign and one malignant tumour, and the one that the model is least sure of.
    unsure = np.abs(outputs["probabilities"][:, 1] - 0.5).argmin()
    asked = [int(np.flatnonzero(test_classes == 1)[0]), int(np.flatnonzero(test_classes == 0)[0])]
    common.write_question(FOLDER, {"features": test[asked + [int(unsure)]]})


if __name__ == "__main__":
    main()
