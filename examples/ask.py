#!/usr/bin/env python3
"""Asks a running server one of the example questions and shows the answer for people.

    STRONGROOM_KEY=sr_... ./ask.py --url https://localhost:8443 --cacert tls.crt digits
    ... language-lstm 'Wo ist der Bahnhof?'
    ... --compare trees            compares the answer with the expected one as well

Needs Python's standard library only. The API key comes from the environment (STRONGROOM_KEY) or
from a file (--key-file), never from an argument, where every user of the machine could read it.
Exit status: 0 answered (and as expected), 1 not answered or not as expected, 2 wrong usage.
"""

import argparse
import json
import math
import os
import pathlib
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request

EXAMPLES = pathlib.Path(__file__).resolve().parent
RELATIVE, ABSOLUTE = 1e-3, 1e-5  # tolerance of --compare
LARGEST_ANSWER = 1 << 20
TIMEOUT = 60  # seconds; the first question also opens the model


class Refused(Exception):
    """A message for people: why there is no answer, or not the right one."""


class Paint:
    """Colour and drawing characters, where the terminal has them."""

    def __init__(self, stream):
        self.colour = stream.isatty() and "NO_COLOR" not in os.environ
        try:
            "█▏│".encode(stream.encoding or "ascii")
            self.shades, self.bar, self.frame = " ░▒▓█", "█", "┌─┐│└┘"
        except UnicodeEncodeError:
            self.shades, self.bar, self.frame = " .+*#", "#", "+-+|++"

    def _with(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colour else text

    def strong(self, text):
        return self._with("1;32", text)

    def faint(self, text):
        return self._with("2", text)


# Questions


def read_key(path):
    key = os.environ.get("STRONGROOM_KEY", "")
    if path:
        try:
            key = pathlib.Path(path).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"the key file cannot be read: {error}") from None
    key = key.strip()
    if not key:
        raise Refused("no API key: set STRONGROOM_KEY, or name a file with --key-file")
    if not key.isascii() or not key.isprintable():
        raise Refused("the API key has characters that a key never has")
    return key


def text_question(example, texts):
    """Words into tensors: a token is a byte of the UTF-8 text, 0 fills the shorter rows."""
    rows = [list(text.encode("utf-8")) for text in texts]
    longest = max(len(row) for row in rows)
    tokens = [token for row in rows for token in row + [0] * (longest - len(row))]
    inputs = [
        {"name": "tokens", "shape": [len(rows), longest], "datatype": "INT64", "data": tokens}
    ]
    if example == "language-lstm":
        lengths = [len(row) for row in rows]
        inputs.append(
            {"name": "lengths", "shape": [len(rows)], "datatype": "INT64", "data": lengths}
        )
    return {"id": example, "inputs": inputs}


def load(example, name):
    return json.loads((EXAMPLES / example / name).read_text(encoding="utf-8"))


def ask(url, cacert, key, model, question):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" or not parts.netloc:
        raise Refused(f'--url "{url}": expected https://HOST[:PORT]; no key is sent in the clear')
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v2/models/{urllib.parse.quote(model, safe='')}/infer",
        data=json.dumps(question).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"},
        method="POST",
    )
    try:
        context = ssl.create_default_context(cafile=cacert)
        # A proxy has no business between this script and a server of the user's own, and a
        # redirect must not carry the key elsewhere.
        opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
        ):
            opener.add_handler(handler)
        with opener.open(request, timeout=TIMEOUT) as response:
            body = response.read(LARGEST_ANSWER + 1)
    except urllib.error.HTTPError as error:
        raise Refused(f"the server answered {error.code}: {error_text(error)}") from None
    except urllib.error.URLError as error:
        raise Refused(f"{url} cannot be asked: {error.reason}") from None
    except OSError as error:
        raise Refused(f"{url} cannot be asked: {error}") from None
    if len(body) > LARGEST_ANSWER:
        raise Refused(f"the answer has more than {LARGEST_ANSWER} bytes")
    try:
        answer = json.loads(body)
        return {output["name"]: output for output in answer["outputs"]}, answer
    except (ValueError, KeyError, TypeError):
        raise Refused("the answer is not an Open Inference Protocol response") from None


def error_text(error):
    try:
        return json.loads(error.read(LARGEST_ANSWER))["error"]
    except (ValueError, KeyError, TypeError, OSError):
        return "(no message)"


# Answers


def flat(data):
    for item in data:
        if isinstance(item, list):
            yield from flat(item)
        else:
            yield item


def rows(output):
    values, width = list(flat(output["data"])), output["shape"][-1]
    return [values[start : start + width] for start in range(0, len(values), width)]


def highest(row):
    return max(range(len(row)), key=lambda i: row[i])


def softmax(row):
    top = max(row)
    powers = [math.exp(value - top) for value in row]
    return [power / sum(powers) for power in powers]


def compare(expected, answer, outputs):
    """Raises Refused with every difference between an answer and the expected one."""
    wrong = []
    for member in ("model_name", "id"):
        if answer.get(member) != expected[member]:
            wrong.append(f"{member}: found {answer.get(member)!r}, expected {expected[member]!r}")
    names = [output["name"] for output in expected["outputs"]]
    for name in sorted(set(outputs) - set(names)):
        wrong.append(f'output "{name}": found, not expected')
    for output in expected["outputs"]:
        wrong += compare_tensor(output, outputs.get(output["name"]))
    if wrong:
        raise Refused("not the expected answer\n  " + "\n  ".join(wrong))


def compare_tensor(expected, found):
    name = f'output "{expected["name"]}"'
    if found is None:
        return [f"{name}: missing"]
    for member in ("datatype", "shape"):
        if found.get(member) != expected[member]:
            return [f"{name}: {member} is {found.get(member)}, expected {expected[member]}"]
    have, want = list(flat(found.get("data", []))), expected["data"]
    if len(have) != len(want):
        return [f"{name}: {len(have)} values, expected {len(want)}"]
    if expected["datatype"] != "FP32":
        return [
            f"{name}[{i}]: {h!r}, expected {w!r}"
            for i, (h, w) in enumerate(zip(have, want))
            if h != w
        ][:5]
    if not all(isinstance(h, (int, float)) and math.isfinite(h) for h in have):
        return [f"{name}: has a value that is not a number"]
    wrong = [
        f"{name}[{i}]: {h!r}, expected {w!r}"
        for i, (h, w) in enumerate(zip(have, want))
        if abs(h - w) > ABSOLUTE + RELATIVE * abs(w)
    ][:5]
    if [highest(row) for row in rows(found)] != [highest(row) for row in rows(expected)]:
        wrong.append(f"{name}: another class comes first")
    return wrong


# For people


def labels(example):
    return (EXAMPLES / example / "labels.txt").read_text(encoding="utf-8").splitlines()


def verdict(paint, what, share):
    return f"the model says: {paint.strong(what)} ({100 * share:.1f} %)"


def draw(paint, pixels, width=8):
    left, line, right, side, low_left, low_right = paint.frame
    top = len(paint.shades) - 1
    yield left + line * 2 * width + right
    for start in range(0, len(pixels), width):
        row = (min(max(p, 0.0), 1.0) for p in pixels[start : start + width])
        yield side + "".join(paint.shades[round(p * top)] * 2 for p in row) + side
    yield low_left + line * 2 * width + low_right


def show_digits(paint, question, outputs):
    images = question["inputs"][0]
    size = math.prod(images["shape"][1:])
    pixels = list(flat(images["data"]))
    for i, row in enumerate(rows(outputs["probabilities"])):
        print("  which digit is this?")
        for line in draw(paint, pixels[i * size : (i + 1) * size]):
            print("   ", line)
        best = highest(row)
        print("  " + verdict(paint, str(best), row[best]))


def show_language(paint, question, outputs):
    names = labels("language-lstm")
    tokens = question["inputs"][0]
    for text, row in zip(rows(tokens), rows(outputs["logits"])):
        shares = softmax(row)
        sentence = bytes(token for token in text if token).decode("utf-8", "replace")
        print(f'  what language is this: "{sentence}"')
        best = highest(row)
        print("  " + verdict(paint, names[best], shares[best]))
        for i in sorted(range(len(shares)), key=lambda i: -shares[i])[:3]:
            bar = paint.bar * round(24 * shares[i])
            print(paint.faint(f"    {names[i]:<11}{100 * shares[i]:5.1f} %  {bar}"))


def show_table(paint, example, what, features):
    """A table row each: two telling features of the question, and the class."""

    def show(_, question, outputs):
        names = labels(example)
        for values, label, row in zip(
            rows(question["inputs"][0]),
            flat(outputs["label"]["data"]),
            rows(outputs["probabilities"]),
        ):
            shown = ", ".join(f"{name} {values[i]:g}" for i, name in features)
            print(f"  {what} ({shown}, and {len(values) - len(features)} more)")
            print("  " + verdict(paint, names[label], row[label]))

    return show


def show_recommender(paint, question, outputs):
    asked = {port["name"]: list(flat(port["data"])) for port in question["inputs"]}
    told = len(asked["recent"]) // len(asked["reader"])
    best = rows(outputs["best"])
    for i, (reader, scores) in enumerate(zip(asked["reader"], rows(outputs["scores"]))):
        liked = ", ".join(f'"{title}"' for title in asked["recent"][told * i : told * (i + 1)])
        print(f"  which of {len(scores)} books for {reader}, who liked {liked}?")
        chance = dict(zip(asked["book"], scores))
        print("  " + verdict(paint, f'"{best[i][0]}"', chance[best[i][0]]))
        for title in best[i]:
            bar = paint.bar * round(24 * chance[title])
            print(paint.faint(f"    {title:<24}{100 * chance[title]:5.1f} %  {bar}"))


def shower(paint, example):
    if example == "digits":
        return show_digits
    if example == "recommender":
        return show_recommender
    if example.startswith("language-"):
        return show_language
    if example == "trees":
        what = "is this breast tumour malignant or benign?"
        return show_table(paint, example, what, [(0, "mean radius"), (27, "worst concave points")])
    what = "whose wine is this?"
    return show_table(paint, example, what, [(0, "alcohol"), (12, "proline")])


def main():
    parser = argparse.ArgumentParser(
        description="Ask a running server one of the example questions.",
        epilog="The API key is read from the environment variable STRONGROOM_KEY, "
        "or from the file that --key-file names.",
    )
    names = sorted(path.parent.name for path in EXAMPLES.glob("*/question.json"))
    parser.add_argument("example", choices=names)
    parser.add_argument("text", nargs="*", help="for a language example: your own sentences")
    parser.add_argument("--url", default="https://localhost:8443", help="default: %(default)s")
    parser.add_argument("--cacert", help="the certificate to trust (default: the system's)")
    parser.add_argument("--key-file", help="a file that holds the API key")
    parser.add_argument("--model", help="the model's name on the server, if not the example's")
    parser.add_argument("--compare", action="store_true", help="require the expected answer")
    parser.add_argument("--json", action="store_true", help="print the answer as it came")
    options = parser.parse_args()
    if options.text and not options.example.startswith("language-"):
        parser.error(f"{options.example} takes no text; its question is shipped with it")
    if options.text and options.compare:
        parser.error("--compare is for the shipped question; a text has no expected answer")
    if not all(options.text):
        parser.error("a text has at least one character")

    paint = Paint(sys.stdout)
    try:
        key = read_key(options.key_file)
        if options.text:
            question = text_question(options.example, options.text)
        else:
            question = load(options.example, "question.json")
        model = options.model or options.example
        outputs, answer = ask(options.url, options.cacert, key, model, question)
        if options.compare:
            expected = load(options.example, "answer.json")
            expected["model_name"] = model
            compare(expected, answer, outputs)
        if options.json:
            print(json.dumps(answer))
            return 0
        try:
            shower(paint, options.example)(paint, question, outputs)
        except (KeyError, IndexError, TypeError, ZeroDivisionError):
            raise Refused("the answer lacks what this example's model gives") from None
        if options.compare:
            print(paint.faint("  as expected"))
        return 0
    except Refused as refusal:
        print(f"ask.py: {options.example}: {refusal}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
