"""Training, export and measurement that the two language examples share (PyTorch 1.13)."""

import json
import random
import time

import numpy as np
import torch
from torch import nn

import common
import languages

OPSET = 14


def fit(model, part, steps, size, rate):
    """Cross-entropy, Adam, one cycle of the learning rate."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    model.train()
    started, mean = time.monotonic(), 0.0
    for step, (rows, classes) in enumerate(languages.batches(part, size, steps, common.SEED), 1):
        matrix, lengths = languages.padded(rows)
        logits = model(torch.tensor(matrix), torch.tensor(lengths))
        loss = nn.functional.cross_entropy(logits, torch.tensor(classes))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean += 0.02 * (loss.item() - mean) if step > 1 else loss.item()
        if step % 100 == 0:
            print(f"step {step}: loss {mean:.3f}, {time.monotonic() - started:.0f} s", flush=True)
    model.eval()


def export(model, path, inputs):
    """`inputs`: the names that the model takes, of "tokens" and "lengths"."""
    matrix, lengths = languages.padded([languages.tokens(t) for t in ("one", "two and", "three")])
    feeds = {"tokens": torch.tensor(matrix), "lengths": torch.tensor(lengths)}
    axes = {
        "tokens": {0: "batch", 1: "sequence"},
        "lengths": {0: "batch"},
        "logits": {0: "batch"},
    }
    torch.onnx.export(
        model,
        tuple(feeds[name] for name in inputs),
        str(path),
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=["logits"],
        dynamic_axes={name: axes[name] for name in (*inputs, "logits")},
    )


def feeds(matrix, lengths, inputs):
    both = {"tokens": np.array(matrix, np.int64), "lengths": np.array(lengths, np.int64)}
    return {name: both[name] for name in inputs}


def verify(model, path, inputs):
    """The exported model against the trained one, at batch sizes and lengths other than those
    that it was exported with, and with texts in no order of length."""
    rng = random.Random(1)
    for batch, longest in ((1, 1), (1, 40), (2, 7), (5, 33), (16, 120), (1, 300)):
        rows = [
            [rng.randint(1, 255) for _ in range(rng.randint(1, longest))] for _ in range(batch)
        ]
        matrix, lengths = languages.padded(rows)
        with torch.no_grad():
            expected = model(torch.tensor(matrix), torch.tensor(lengths)).numpy()
        found = common.run(path, feeds(matrix, lengths, inputs))["logits"]
        common.check_same(f"batch {batch}, sequence {len(matrix[0])}", found, expected)
        # Neither padding nor the company in a batch may change an answer.
        alone = common.run(path, feeds([rows[0]], lengths[:1], inputs))["logits"]
        common.check_same("its first text alone", alone[0], found[0])


def report(path, part, inputs):
    """Held-out accuracy of the exported file itself, as ONNX Runtime runs it."""
    session = common.session(path)
    measured = {}
    for kind, questions in languages.tests(part):
        total, each = languages.accuracy(
            lambda m, n: session.run(["logits"], feeds(m, n, inputs))[0], questions
        )
        measured[kind] = round(total, 4)
        print(f"held-out {kind}: {total:.2%} of {len(questions)};", end=" ")
        print(", ".join(f"{name} {share:.1%}" for name, share in each.items()))
    return measured


def question(folder, part, inputs):
    """Three held-out sentences in three languages, of unequal length so that padding counts."""
    texts = []
    for language, shortest in zip((5, 1, 7), (30, 50, 20)):
        whole = (t for t in part["sentences"][language] if t[0].isupper() and t[-1] == ".")
        texts.append(next(t for t in whole if shortest <= len(t) < shortest + 15))
    matrix, lengths = languages.padded([languages.tokens(text) for text in texts])
    common.write_question(folder, feeds(matrix, lengths, inputs))
    logits = common.run(folder / "model.onnx", feeds(matrix, lengths, inputs))["logits"]
    for text, row in zip(texts, logits):
        print(f"question: {json.dumps(text, ensure_ascii=False)}: {languages.NAMES[row.argmax()]}")


def make(folder, model, inputs, steps, size, rate):
    """The whole example: train, export, check, measure, question."""
    parts = languages.load()
    fit(model, parts["train"], steps, size, rate)
    path = folder / "model.onnx"
    export(model, path, inputs)
    common.check_model(path)
    verify(model, path, inputs)
    report(path, parts["test"], inputs)
    common.write_labels(folder, languages.NAMES)
    question(folder, parts["test"], inputs)
