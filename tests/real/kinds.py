#!/usr/bin/env python3
"""Magika, as it is published, with its network on the server: two files of each of thirty-seven kinds
have the labels that they were made as."""

import pathlib
import tempfile
import unittest
from unittest import mock

import served

served.need("magika", "PIL")

import magika.magika
from magika import Magika

from files_of_kinds import files


def seen(result):
    """What the file is given out as, and what the network said: it is not overruled by a rule."""
    return str(result.output.label), str(result.dl.label)


class Kinds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.theirs = Magika()
        models = served.Models()
        cls.addClassCleanup(models.close)
        with mock.patch.object(magika.magika.rt, "InferenceSession", models.serve):
            cls.ours = Magika()
        (cls.model,) = models.models.values()
        cls.files = files()

    def test_there_are_enough(self):
        labels = [label for label, _, _ in self.files]
        self.assertGreaterEqual(len(set(labels)), 20)
        self.assertTrue(all(labels.count(label) >= 2 for label in labels))
        self.assertEqual(len({content for _, _, content in self.files}), len(self.files))

    def check(self, label, k, found, expected):
        self.assertEqual(seen(expected), (label, label), k)
        self.assertEqual(seen(found), (label, label), k)
        self.assertAlmostEqual(found.score, expected.score, delta=1e-3, msg=f"{label} {k}")

    def test_one_by_one(self):
        before = self.model.asked
        for label, k, content in self.files:
            self.check(label, k, self.ours.identify_bytes(content), self.theirs.identify_bytes(content))
        self.assertEqual(self.model.asked - before, len(self.files))

    def test_a_folder_at_once(self):
        """All of them in one request."""
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for label, k, content in self.files:
                # No ending: the contents alone tell.
                paths.append(pathlib.Path(folder) / f"{len(paths)}")
                paths[-1].write_bytes(content)
            before = self.model.asked
            found, expected = self.ours.identify_paths(paths), self.theirs.identify_paths(paths)
            self.assertEqual(self.model.asked - before, 1)
            for (label, k, _), mine, other in zip(self.files, found, expected, strict=True):
                self.check(label, k, mine, other)


if __name__ == "__main__":
    unittest.main()
