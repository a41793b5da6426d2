#!/usr/bin/env python3
"""Bundles: a folder with external weights, labels and a manifest, sealed, uploaded and asked; the
same from every tar that people write; and a table of archives that must be refused."""

import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

import bundle_file
from harness import Server, tensor

X = [1.0, -2.0, 0.5, 3.0]


class Bundles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.server.tenant("acme")
        cls.recipient = cls.server.recipient("acme")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="strongroom-bundle-"))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()
        shutil.rmtree(cls.folder)

    def make(self, name, **changed):
        folder = self.folder / name
        for file, data in bundle_file.files(**changed).items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        return folder

    def seal(self, source, *more, check=True):
        return self.server.cli("seal", str(source), "-o", str(self.folder / "sealed"), "--force",
                               "--recipient", self.recipient, "--json", *more, check=check)

    def serves(self, name, sealed):
        uploaded = self.server.upload("acme", name, sealed)
        self.assertIn(uploaded.status, (200, 201), uploaded)
        answer = self.server.infer("acme", name, [tensor("x", [1, 4], X)])
        self.assertEqual(answer.status, 200, answer)
        for got, wanted in zip(answer.json["outputs"][0]["data"], bundle_file.answer(X)):
            self.assertAlmostEqual(got, wanted, places=5)
        self.server.request("DELETE", f"/v2/repository/models/{name}/versions/1", key="acme")

    def test_folder(self):
        folder = self.make("animals")
        (folder / "README.md").write_text("not part of it")
        told = json.loads(self.seal(folder).stdout)
        self.assertEqual(sorted(f["name"] for f in told["files"]),
                         ["labels.txt", "manifest.yaml", "model.onnx", "weights.bin"])
        self.assertEqual(told["left_out"], ["README.md"])
        self.serves("animals", (self.folder / "sealed").read_bytes())

    def test_labels_and_documentation_reach_the_callers(self):
        self.seal(self.make("labelled"))
        sealed = (self.folder / "sealed").read_bytes()
        self.assertIn(self.server.upload("acme", "labelled", sealed).status, (200, 201))
        answer = self.server.request("POST", "/v2/models/labelled/infer", key="acme", body={
            "inputs": [tensor("x", [1, 4], X)],
            "outputs": [{"name": "scores", "parameters": {"classification": 2}}]})
        self.assertEqual(answer.status, 200, answer)
        scores = bundle_file.answer(X)
        best = sorted(range(3), key=lambda i: -scores[i])[:2]
        labels = bundle_file.LABELS.decode().split("\n")
        got = [text.split(":") for text in answer.json["outputs"][0]["data"]]
        self.assertEqual([(int(i), label) for _, i, label in got], [(i, labels[i]) for i in best])
        config = self.server.request("GET", "/v2/models/labelled/config", key="acme").json
        self.assertEqual(config["parameters"]["documentation"]["string_value"],
                         "Tells three animals apart.\n\"Quotes\" and a second line.\n")

    def test_what_is_sealed_is_a_tar_that_tar_reads(self):
        """A user can leave with age and tar alone."""
        deep = "d" * 60 + "/" + "e" * 60 + ".bin"
        folder = self.make("leave", model__onnx=bundle_file.animals(
            w=bundle_file.external("W", 1, [4, 3], [("location", deep), ("offset", 64)])))
        (folder / deep).parent.mkdir()
        (folder / deep).write_bytes(bundle_file.weights())
        identity = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True).stdout
        key = self.folder / "identity"
        key.write_text(identity)
        recipient = identity.split("public key: ")[1].split()[0]
        self.server.cli("seal", str(folder), "-o", str(self.folder / "mine"), "--recipient",
                        recipient)
        plain = subprocess.run(["age", "-d", "-i", key, self.folder / "mine"], capture_output=True,
                               check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            for entry in archive:
                self.assertEqual(archive.extractfile(entry).read(),
                                 (folder / entry.name).read_bytes())
            self.assertEqual(len(archive.getnames()), 5)
        listed = subprocess.run(["tar", "-tf", "-"], input=plain, capture_output=True, check=True)
        self.assertIn(deep, listed.stdout.decode())
        self.assertEqual(listed.stderr, b"")
        self.seal(folder)
        self.serves("leave", (self.folder / "sealed").read_bytes())

    def test_tars_that_people_write(self):
        folder = self.make("written")
        made = {}
        for form in ("ustar", "pax", "gnu", "posix"):
            archive = self.folder / f"gnu-tar-{form}.tar"
            subprocess.run(["tar", "-C", folder, f"--format={form}", "-cf", archive, "."],
                           check=True)
            made[archive.stem] = archive
        for number, form in enumerate((tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT,
                                       tarfile.GNU_FORMAT)):
            archive = self.folder / f"python-{number}.tar"
            with tarfile.open(archive, "w", format=form) as out:
                for name in bundle_file.files():
                    out.add(folder / name, arcname=name)
            made[archive.stem] = archive
        for name, archive in made.items():
            with self.subTest(name):
                self.seal(archive)
                self.serves(name, (self.folder / "sealed").read_bytes())

    def test_weights_in_a_folder_of_their_own(self):
        inside = bundle_file.files(weights__bin=None, manifest__yaml=None, labels__txt=None)
        inside["model.onnx"] = bundle_file.animals(
            w=bundle_file.external("W", 1, [4, 3], [("location", "w/one.bin")]),
            b=bundle_file.external("B", 1, [3], [("location", "./w/two.bin"), ("length", 12)]))
        folder = bundle_file.member("w/", b"", kind=b"5")
        inside["w/one.bin"] = bundle_file.weights()[64:]
        inside["w/two.bin"] = bundle_file.weights()[:12]
        self.serves("folders", self.server.seal("acme", bundle_file.archive(inside, more=folder)))

    def test_many_files(self):
        """One file a tensor, as some exporters write it: lists that are long enough to be sorted."""
        import struct
        import onnx_file
        count = 300
        names = ["x", *(f"t{i}" for i in range(1, count)), "y"]
        files = {"model.onnx": onnx_file.model(
            [onnx_file.node("Add", [names[i], f"w{i}"], [names[i + 1]]) for i in range(count)],
            [onnx_file.value("x", 1, ["n", 4])], [onnx_file.value("y", 1, ["n", 4])],
            [bundle_file.external(f"w{i}", 1, [4], [("location", f"w/{i * 7919 % count}")])
             for i in range(count)])}
        for i in range(count):
            files[f"w/{i}"] = struct.pack("<4f", i, 1, 0, -1)
        sealed = self.server.seal("acme", bundle_file.archive(files))
        self.assertIn(self.server.upload("acme", "many", sealed).status, (200, 201))
        answer = self.server.infer("acme", "many", [tensor("x", [1, 4], [0.0] * 4)])
        self.assertEqual(answer.json["outputs"][0]["data"],
                         [count * (count - 1) / 2, count, 0, -count])

    def test_odd_places_of_weights(self):
        """What does not lie aligned is copied, and a length that is left out is the rest."""
        odd = bundle_file.files(labels__txt=None, manifest__yaml=None)
        odd["model.onnx"] = bundle_file.animals(
            w=bundle_file.external("W", 1, [4, 3], [("location", "weights.bin"), ("offset", 13)]),
            b=bundle_file.external("B", 1, [3], [("location", "weights.bin"), ("length", 12)]))
        odd["weights.bin"] = (bundle_file.weights()[:12] + b"!" + bundle_file.weights()[64:])
        self.serves("odd", self.server.seal("acme", bundle_file.archive(odd)))

    def test_a_plain_model_is_taken_as_before(self):
        import onnx_file
        plain = self.server.seal("acme", onnx_file.linear(b"\x00\x00\x80\x3f", 4, 3))
        self.assertIn(self.server.upload("acme", "plain", plain).status, (200, 201))
        answer = self.server.infer("acme", "plain", [tensor("x", [1, 4], X)])
        self.assertEqual(answer.json["outputs"][0]["data"], [2.5] * 3)

    def test_hostile_archives(self):
        """Each is refused by the worker, by its own reason, and nothing of it stays."""
        for what, archive, status, words in bundle_file.HOSTILE:
            with self.subTest(what):
                answer = self.server.upload("acme", "hostile", self.server.seal("acme", archive))
                self.assertEqual(answer.status, status, answer)
                for word in words:
                    self.assertIn(word, answer.error)
                self.assertNotIn("0x", answer.error.replace('"0x40"', ""))
        self.assertEqual(
            self.server.request("GET", "/v2/models/hostile", key="acme").status, 404)

    def test_the_command_line_refuses_the_same(self):
        """`inspect` of an archive says what the server would say; spot checks of the table."""
        by_name = {row[0]: row for row in bundle_file.HOSTILE}
        for what in ("absolute name", "symbolic link", "padding not zero", "overlap in part",
                     "batching", "too few labels", "unknown member"):
            with self.subTest(what):
                path = self.folder / "hostile.tar"
                path.write_bytes(by_name[what][1])
                done = self.server.cli("inspect", str(path), check=False)
                self.assertEqual(done.returncode, 6 if by_name[what][2] == 422 else 2, done.stderr)
                for word in by_name[what][3]:
                    self.assertIn(word, done.stderr)

    def test_folders_that_cannot_be_sealed(self):
        rows = [
            ("no-model", dict(model__onnx=None), None, 2, "model.onnx"),
            ("no-weights", dict(weights__bin=None), None, 2, "weights.bin"),
            ("bad-manifest", dict(manifest__yaml=b"size: large\n"), None, 2, "size"),
            ("bad-labels", dict(labels__txt=b"cat\n"), None, 2, "1 labels"),
            ("link", dict(weights__bin=None), "weights.bin", 2, "symbolic link"),
            ("linked-manifest", dict(manifest__yaml=None), "manifest.yaml", 2, "symbolic link"),
        ]
        outside = self.folder / "outside"
        outside.write_bytes(bundle_file.weights())
        for name, changed, link, code, word in rows:
            with self.subTest(name):
                folder = self.make(name, **changed)
                if link:
                    os.symlink(outside, folder / link)
                done = self.seal(folder, check=False)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(word, done.stderr)

    def test_no_check_seals_what_the_model_refers_to(self):
        folder = self.make("unchecked", labels__txt=b"one too few\n")
        self.assertEqual(self.seal(folder, check=False).returncode, 2)
        told = json.loads(self.seal(folder, "--no-check").stdout)
        self.assertEqual(len(told["files"]), 4)
        answer = self.server.upload("acme", "unchecked", (self.folder / "sealed").read_bytes())
        self.assertEqual(answer.status, 400, answer)
        self.assertIn("1 labels", answer.error)

    def test_inspect_and_run(self):
        folder = self.make("looked-at")
        archive = self.folder / "looked-at.tar"
        archive.write_bytes(bundle_file.archive())
        for source in (folder, archive):
            facts = json.loads(self.server.cli("inspect", str(source), "--json").stdout)
            self.assertEqual(facts["outputs"][0]["labels"], ["cat", "dog", "guinea pig"])
            self.assertIn("three animals", facts["documentation"])
            self.assertEqual(facts["parameters"], 15)
            self.assertEqual(facts["producer"], "")
            text = self.server.cli("inspect", str(source)).stdout
            self.assertIn("cat, dog, guinea pig", text)
            self.assertIn("Tells three animals apart.", text)
        import struct
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }".ljust(117) + b"\n"
        (self.folder / "x.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header
                                            + struct.pack("<4f", *X))
        for source in (folder, archive):
            self.server.cli("run", str(source), "--input", f"x={self.folder / 'x.npy'}", "-o",
                            str(self.folder / "out"))
            got = struct.unpack("<3f", (self.folder / "out" / "scores.npy").read_bytes()[-12:])
            for a, b in zip(got, bundle_file.answer(X)):
                self.assertAlmostEqual(a, b, places=5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
