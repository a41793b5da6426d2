#!/usr/bin/env python3
"""The language of a word or a sentence: an embedding and a two-layer bidirectional LSTM over
packed sequences. Writes model.onnx, labels.txt, question.json and answer.json beside itself."""

import pathlib
import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common
import languages
import language_training

EMBEDDING = 32
HIDDEN = 64
LAYERS = 2
DROPOUT = 0.2


class LanguageLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(256, EMBEDDING, padding_idx=languages.PADDING)
        self.lstm = nn.LSTM(
            EMBEDDING,
            HIDDEN,
            num_layers=LAYERS,
            bidirectional=True,
            dropout=DROPOUT,
            batch_first=True,
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.linear = nn.Linear(2 * HIDDEN, len(languages.NAMES))

    def forward(self, tokens, lengths):
        embedded = self.dropout(self.embedding(tokens))
        packed = pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        # The state is made from the batch's own size: left to nn.LSTM, the size seen at export
        # would be written into the model.
        zero = embedded.new_zeros(2 * LAYERS, tokens.size(0), HIDDEN)
        _, (hidden, _) = self.lstm(packed, (zero, zero))
        # The last layer's two directions, each where it has read the whole text.
        both = torch.cat((hidden[-2], hidden[-1]), dim=1)
        return self.linear(self.dropout(both))


if __name__ == "__main__":
    common.seed_everything()
    language_training.make(
        FOLDER, LanguageLstm(), ("tokens", "lengths"), steps=2400, size=48, rate=0.006
    )
