#!/usr/bin/env python3
"""The language of a word or a sentence: a small convolution over the bytes,
then a transformer encoder with a padding mask.
Writes model.onnx, labels.txt, question.json and answer.json beside itself."""

import math
import pathlib
import sys

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common
import languages
import language_training

WIDTH = 64
HEADS = 4
FORWARD = 128
LAYERS = 2
DROPOUT = 0.1


class LanguageTransformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(256, WIDTH, padding_idx=languages.PADDING)
        # Letters mean most beside their neighbours: three bytes are seen together from the start.
        self.neighbours = nn.Conv1d(WIDTH, WIDTH, kernel_size=3, padding=1)
        # batch_first stays False: PyTorch's fused inference path, which has no ONNX form, is
        # taken with batch_first only.
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, FORWARD, DROPOUT, activation="gelu")
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.linear = nn.Linear(WIDTH, len(languages.NAMES))
        steps = torch.arange(0, WIDTH, 2)
        self.register_buffer("frequency", torch.exp(steps * (-math.log(1000.0) / WIDTH)))

    def forward(self, tokens, lengths=None):
        padding = tokens.eq(languages.PADDING)
        # Positions are computed rather than looked up, so that a text may have any length.
        angle = torch.arange(tokens.size(1)).unsqueeze(1) * self.frequency
        position = torch.cat((angle.sin(), angle.cos()), dim=1)
        nearby = self.neighbours(self.embedding(tokens).transpose(1, 2)).transpose(1, 2)
        embedded = nn.functional.gelu(nearby) + position
        encoded = self.encoder(embedded.transpose(0, 1), src_key_padding_mask=padding)
        weight = (~padding).unsqueeze(2).to(embedded.dtype)
        mean = (encoded.transpose(0, 1) * weight).sum(1) / weight.sum(1)
        return self.linear(mean)


if __name__ == "__main__":
    common.seed_everything()
    language_training.make(
        FOLDER, LanguageTransformer(), ("tokens",), steps=2400, size=64, rate=0.003
    )
