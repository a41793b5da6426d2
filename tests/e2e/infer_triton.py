#!/usr/bin/env python3
"""tritonclient[http] against the models of infer.py: what its users can switch on in one request.

Environment: STRONGROOM_URL (HOST:PORT), STRONGROOM_CACERT, STRONGROOM_KEY.
"""

import os
import unittest

import numpy as np
import tritonclient.http as triton
from gevent.ssl import PROTOCOL_TLS_CLIENT, SSLContext
from tritonclient.utils import InferenceServerException


class Triton(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = triton.InferenceServerClient(
            url=os.environ["STRONGROOM_URL"], ssl=True,
            ssl_options={"ca_certs": os.environ["STRONGROOM_CACERT"]},
            ssl_context_factory=lambda: SSLContext(PROTOCOL_TLS_CLIENT),
            connection_timeout=30.0, network_timeout=30.0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def infer(self, model, array, kind, binary=True, **options):
        tensor = triton.InferInput("x", list(array.shape), kind)
        tensor.set_data_from_numpy(array, binary_data=binary)
        return self.client.infer(
            model, [tensor], headers={"Authorization": "Bearer " + os.environ["STRONGROOM_KEY"]},
            **options)

    def test_compression_both_ways(self):
        array = np.tile(np.arange(64, dtype=np.float32) / 64, (32, 1))
        plain = self.infer("m", array, "FP32").as_numpy("y")
        for algorithm in ("gzip", "deflate"):
            for binary in (True, False):
                for outputs in (None, [triton.InferRequestedOutput("y", binary_data=binary)]):
                    result = self.infer("m", array, "FP32", binary, outputs=outputs,
                                        request_compression_algorithm=algorithm,
                                        response_compression_algorithm=algorithm)
                    np.testing.assert_array_equal(result.as_numpy("y"), plain)

    def test_strings(self):
        array = np.array(["", "a", "gr\u00fc\u00df"], dtype=np.object_)
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput("y", binary_data=binary)]
            found = self.infer("text", array, "BYTES", binary, outputs=outputs).as_numpy("y")
            self.assertEqual([f.decode() if isinstance(f, bytes) else f for f in found],
                             list(array))

    def test_halves(self):
        half = np.array([1.5, -2.25], dtype=np.float16)
        np.testing.assert_array_equal(self.infer("half", half, "FP16").as_numpy("y"), half)
        try:
            from ml_dtypes import bfloat16
        except ImportError:
            return  # the client takes BF16 from that library alone; infer.py asks without it
        brain = np.array([[1.5, -2.0]], dtype=bfloat16)
        np.testing.assert_array_equal(self.infer("brain", brain, "BF16").as_numpy("y"), brain)

    def test_classes(self):
        array = np.array([[1, 5, 10, 4], [0.5, 0.25, 2, 3]], dtype=np.float32)
        for binary in (True, False):
            outputs = [triton.InferRequestedOutput("y", binary_data=binary, class_count=2)]
            found = self.infer("batch", array, "FP32", outputs=outputs).as_numpy("y")
            texts = [[c.decode() if isinstance(c, bytes) else c for c in row] for row in found]
            self.assertEqual(texts, [["10.0:2", "5.0:1"], ["3.0:3", "2.0:2"]])

    def test_options(self):
        array = np.zeros((1, 4), dtype=np.float32)
        answer = self.infer("batch", array, "FP32", request_id="mine", priority=1, timeout=5000000)
        self.assertEqual(answer.get_response()["id"], "mine")
        with self.assertRaisesRegex(InferenceServerException, "sequences are not offered"):
            self.infer("batch", array, "FP32", sequence_id=7, sequence_start=True)
        with self.assertRaisesRegex(InferenceServerException, "deadline"):
            self.infer("batch", array, "FP32", timeout=1)
        shared = triton.InferRequestedOutput("y")
        shared.set_shared_memory("region", 16)
        with self.assertRaisesRegex(InferenceServerException, "shared memory is not offered"):
            self.infer("batch", array, "FP32", outputs=[shared])


if __name__ == "__main__":
    unittest.main(verbosity=2)
