#!/usr/bin/env python3
"""Image files through a served model: every format is decoded inside the worker's sandbox, and what
is no image gives no pixels and harms nobody."""

import pathlib
import unittest

import onnx_file
from harness import ROOT, Server, tensor

UINT8 = 2
SEEDS = ROOT / "tests" / "fuzz" / "image-corpus"
EXACT = ["rgb.bmp", "rgb.png", "alpha.png", "raw.tiff", "lzw.tiff", "deflate.tiff", "lossless.jp2",
         "lossless.webp", "rgb.ppm"]
FLAT = ["flat.jpg", "ink.jpg", "flat.webp", "flat.j2k"]


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        model = onnx_file.model([onnx_file.node("ImageDecoder", ["file"], ["pixels"])],
                                [onnx_file.value("file", UINT8, ["n"])],
                                [onnx_file.value("pixels", UINT8, ["h", "w", 3])], opset=20)
        answer = cls.server.upload("acme", "m", cls.server.seal("acme", model))
        assert answer.status in (200, 201), answer

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def pixels(self, data):
        answer = self.server.infer("acme", "m", [tensor("file", [len(data)], list(data), "UINT8")])
        self.assertEqual(answer.status, 200, answer)
        output, = answer.json["outputs"]
        return output["shape"], output["data"]

    def test_files_without_loss(self):
        want = [v for y in range(6) for x in range(8) for v in (36 * x, 51 * y, 19 * (x + y))]
        for name in EXACT:
            with self.subTest(name):
                self.assertEqual(self.pixels((SEEDS / name).read_bytes()), ([6, 8, 3], want))

    def test_files_with_loss(self):
        for name in FLAT:
            with self.subTest(name):
                shape, data = self.pixels((SEEDS / name).read_bytes())
                self.assertEqual(shape, [6, 8, 3])
                for at, v in enumerate(data):
                    self.assertLessEqual(abs(v - (200, 100, 50)[at % 3]), 4)

    def test_no_image(self):
        for data in (b"not an image", (SEEDS / "rgb.png").read_bytes()[:40],
                     b"P6 100000 100000 255\n", (SEEDS / "flat.webp").read_bytes()[:30]):
            with self.subTest(data[:12]):
                self.assertEqual(self.pixels(data), ([0, 0, 3], []))
        self.assertEqual(self.pixels(b"P6 1 1 255\n\x01\x02\x03"), ([1, 1, 3], [1, 2, 3]))


if __name__ == "__main__":
    unittest.main()
