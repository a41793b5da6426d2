#!/usr/bin/env python3
"""silero-vad hears where espeak-ng speaks: every probability is ONNX Runtime's to 1e-3, and what is
speech and what is silence is decided rightly, at both of the model's rates."""

import io
import shutil
import subprocess
import sys
import unittest
import wave

import served

served.need("silero_vad")

import numpy as np

if shutil.which("espeak-ng") is None:
    print("skip: espeak-ng is not installed")
    sys.exit(77)

MODEL = served.package_folder("silero_vad") / "data" / "silero_vad.onnx"
TEXTS = {"en": "The records of every request are kept in order, and nobody may change them.",
         "de": "Die Modelle liegen verschlossen im Tresor, bis jemand nach ihnen fragt."}
CHUNK = {16000: 512, 8000: 256}  # 32 ms
CONTEXT = {16000: 64, 8000: 32}  # of the chunk before
QUIET = 1.0  # seconds before and after the speech
SETTLE = 0.4  # seconds that the model may take to notice an end


def speech(text, voice, rate):
    """Samples of -1..1 as espeak-ng says it."""
    done = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True,
                          timeout=60)
    with wave.open(io.BytesIO(done.stdout)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        from_rate = file.getframerate()
    # A stream says no length that could be relied on: all that is there.
    said = np.frombuffer(done.stdout[44:][:len(done.stdout) - 44 & ~1], "<i2") / 32768
    # Averages over what one sample of the lower rate spans: enough against aliases here.
    edges = np.arange(0, len(said) - 1, from_rate / rate)
    total = np.concatenate([[0.0], np.cumsum(said)])
    at = np.interp(edges, np.arange(len(total)), total)
    return np.diff(at) / (from_rate / rate)


def probabilities(session, sound, rate):
    """One a chunk, with the state carried from chunk to chunk."""
    size, before = CHUNK[rate], CONTEXT[rate]
    state = np.zeros((2, 1, 128), "float32")
    context = np.zeros(before, "float32")
    found = []
    for start in range(0, len(sound) - size + 1, size):
        chunk = np.concatenate([context, sound[start:start + size]]).astype("float32")
        p, state = session.run(None, {"input": chunk[None], "state": state,
                                      "sr": np.array(rate, "int64")})
        context = chunk[-before:]
        found.append(p.item())
    return np.array(found)


class Speech(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = served.Models()
        cls.addClassCleanup(cls.models.close)
        cls.ours = cls.models.serve(MODEL)
        cls.theirs = served.reference(MODEL)

    def hear(self, sound, rate):
        found = probabilities(self.ours, sound, rate)
        expected = probabilities(self.theirs, sound, rate)
        self.assertEqual(len(found), len(sound) // CHUNK[rate])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)
        return found

    def check_speech(self, voice, rate):
        said = speech(TEXTS[voice], voice, rate)
        self.assertGreater(len(said) / rate, 2)
        quiet = np.zeros(int(QUIET * rate))
        found = self.hear(np.concatenate([quiet, said, quiet]), rate)
        at = np.arange(len(found)) * CHUNK[rate] / rate
        end = QUIET + len(said) / rate
        # espeak-ng itself leaves some silence at both ends.
        during = found[(at > QUIET + SETTLE) & (at < end - SETTLE)]
        around = found[(at < QUIET - CHUNK[rate] / rate) | (at > end + SETTLE)]
        self.assertGreater(np.mean(during > 0.5), 0.9, during)
        self.assertLess(around.max(), 0.5, around)

    def test_speech_at_16_kHz(self):
        self.check_speech("en", 16000)

    def test_speech_at_8_kHz(self):
        self.check_speech("de", 8000)

    def test_silence(self):
        faint = np.random.default_rng(7).standard_normal(16000) * 1e-3
        for sound in (np.zeros(16000), faint):
            for rate in CHUNK:
                self.assertLess(self.hear(sound, rate).max(), 0.5)


if __name__ == "__main__":
    unittest.main()
