#!/usr/bin/env python3
"""Which of three growers a wine comes from, by 13 chemical measurements, with a support vector
machine. Writes model.onnx, labels.txt, question.json and answer.json beside itself."""

import pathlib
import sys

import numpy as np
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common
import tables


def main():
    common.seed_everything()
    data = load_wine()
    train, test, train_classes, test_classes = tables.split(data, 0.3)
    model = make_pipeline(
        StandardScaler(), SVC(C=2.0, probability=True, random_state=common.SEED)
    )
    model.fit(train, train_classes)

    tables.export(FOLDER, model, test, test_classes)

    common.write_labels(FOLDER, ("first grower", "second grower", "third grower"))
    asked = [int(np.flatnonzero(test_classes == grower)[0]) for grower in range(3)]
    common.write_question(FOLDER, {"features": test[asked]})


if __name__ == "__main__":
    main()
