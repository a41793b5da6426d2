#!/usr/bin/env python3
"""Handwritten digits, 8 by 8 pixels, with a small convolutional network.
Writes model.onnx, question.json and answer.json beside itself."""

import pathlib
import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common

BATCH = 64
EPOCHS = 60


class Digits(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(32 * 2 * 2, 10),
        )

    def forward(self, image):
        return self.layers(image)


def split():
    images, classes = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    return train_test_split(
        images, classes, test_size=0.2, random_state=common.SEED, stratify=classes
    )


def shifted(images):
    """The images moved by at most one pixel either way: nobody writes in the exact middle."""
    for axis in (2, 3):
        by = int(torch.randint(-1, 2, (1,)))
        images = torch.roll(images, by, dims=axis) if by else images
    return images


def fit(model, images, classes):
    images, classes = torch.from_numpy(images), torch.from_numpy(classes)
    steps = EPOCHS * ((len(images) + BATCH - 1) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.005)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.005, total_steps=steps)
    model.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            seen = images[rows]
            if torch.rand(1) < 0.3:
                seen = shifted(seen)
            loss = nn.functional.cross_entropy(model(seen), classes[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.eval()


def main():
    common.seed_everything()
    train_images, test_images, train_classes, test_classes = split()
    model = Digits()
    fit(model, train_images, train_classes)

    path = FOLDER / "model.onnx"
    served = nn.Sequential(model, nn.Softmax(dim=1)).eval()
    torch.onnx.export(
        served,
        torch.zeros(2, 1, 8, 8),
        str(path),
        opset_version=14,
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_axes={"image": {0: "batch"}, "probabilities": {0: "batch"}},
    )
    common.check_model(path)
    for count in (1, 3, len(test_images)):
        with torch.no_grad():
            expected = served(torch.from_numpy(test_images[:count])).numpy()
        found = common.run(path, {"image": test_images[:count]})["probabilities"]
        common.check_same(f"batch {count}", found, expected)
    right = (found.argmax(1) == test_classes).sum()
    print(f"held-out accuracy: {right / len(test_classes):.2%} of {len(test_classes)}")

    # The first held-out image of a seven: a question whose answer a reader can see.
    asked = np.flatnonzero(test_classes == 7)[:1]
    common.write_question(FOLDER, {"image": test_images[asked]})
    print(f"question: a {test_classes[asked][0]}, answered {found[asked].argmax()}")


if __name__ == "__main__":
    main()
