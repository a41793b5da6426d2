#!/usr/bin/env python3
"""RapidOCR, as it is published, with its three networks on the server: it finds and reads ten rendered
lines in two sizes, character for character, upright and turned by half."""

import unittest
from unittest import mock

import served

served.need("rapidocr_onnxruntime", "cv2", "PIL")

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rapidocr_onnxruntime import RapidOCR
from rapidocr_onnxruntime.utils import infer_engine

LINES = ("Strongroom keeps models sealed",
         "Every request leaves a record",
         "Invoice of the 12th of March",
         "Total due: 1,249.50 EUR",
         "Platform 7, train to Rotterdam",
         "Serial number: X9K4-TR82-0031",
         "Temperature 21.5 C, humidity 48%",
         "Please ring the bell twice",
         "The quick brown fox jumps",
         "Chapter 3: Doors and keys")
SIZES = (32, 56)  # pixels of an em; the model leaves out spaces of small letters
MODELS = {"ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx",
          "ch_ppocr_mobile_v2.0_cls_infer.onnx"}


def page(size):
    """The lines under each other in the font that Pillow brings, blue, green and red last."""
    font = ImageFont.load_default(size)
    image = Image.new("RGB", (18 * size, (2 * len(LINES) + 2) * size), "white")
    for i, line in enumerate(LINES):
        ImageDraw.Draw(image).text((size, (2 * i + 1) * size), line, "black", font)
    return np.asarray(image)[:, :, ::-1].copy()


class Reading(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        models = served.Models()
        cls.addClassCleanup(models.close)
        with mock.patch.object(infer_engine, "InferenceSession", models.serve):
            cls.ours = RapidOCR()
        cls.theirs = RapidOCR(intra_op_num_threads=1)
        cls.models = models.models

    def check(self, image, lines):
        before = {name: model.asked for name, model in self.models.items()}
        found, expected = self.ours(image)[0], self.theirs(image)[0]
        self.assertEqual(tuple(text for _, text, _ in expected), lines)
        self.assertEqual(tuple(text for _, text, _ in found), lines)
        # All of it was read by the server.
        self.assertEqual({name for name, model in self.models.items() if model.asked > before[name]},
                         MODELS)
        for (box, _, score), (same_box, _, same_score) in zip(found, expected):
            np.testing.assert_allclose(box, same_box, atol=1)  # corners, in pixels
            self.assertAlmostEqual(float(score), float(same_score), delta=1e-3)

    def test_lines_in_two_sizes(self):
        for size in SIZES:
            with self.subTest(size=size):
                self.check(page(size), LINES)

    def test_a_page_upside_down(self):
        """What the second network is for."""
        self.check(page(SIZES[0])[::-1, ::-1].copy(), LINES[::-1])


if __name__ == "__main__":
    unittest.main()
