"""Text in eight languages for the two language examples, from Debian packages only.

Sentences come from translated texts (the Debian installation guide, and the help, tutorial and
descriptions of the game Battle for Wesnoth), single words from spelling word lists. The packages
are fetched with `apt-get download` and unpacked under build/examples-corpus; nothing is
installed. A text belongs to the held-out part if its SHA-256 says so: the parts do not depend on
the order in which files are read, and a sentence that occurs twice is never in both.
"""

import gettext
import hashlib
import html
import pathlib
import random
import re
import subprocess

LANGUAGES = [
    ("en", "English"),
    ("de", "German"),
    ("fr", "French"),
    ("es", "Spanish"),
    ("it", "Italian"),
    ("pt", "Portuguese"),
    ("nl", "Dutch"),
    ("sv", "Swedish"),
]
NAMES = [name for _, name in LANGUAGES]

WORD_LISTS = {
    "en": ("wamerican", "american-english"),
    "de": ("wngerman", "ngerman"),
    "fr": ("wfrench", "french"),
    "es": ("wspanish", "spanish"),
    "it": ("witalian", "italian"),
    "pt": ("wportuguese", "portuguese"),
    "nl": ("wdutch", "dutch"),
    "sv": ("wswedish", "swedish"),
}
GUIDE = "installation-guide-amd64"
GAME = "wesnoth-1.16-data"
GAME_DOMAINS = ("wesnoth", "wesnoth-help", "wesnoth-tutorial", "wesnoth-units", "wesnoth-lib")

CORPUS = pathlib.Path(__file__).resolve().parent.parent / "build" / "examples-corpus"

LONGEST = 96  # bytes of one question in training; the exported models take any length
PADDING = 0
HELD_OUT_PERCENT = 10


def _unpack(package, *wanted):
    """The root folder of a package's files; fetches it at the first call."""
    root = CORPUS / package
    if root.exists():
        return root
    debs = CORPUS / "deb"
    debs.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "-q", "download", package], cwd=debs, check=True)
    deb = max(debs.glob(f"{package}_*.deb"))
    part = CORPUS / f"{package}.part"
    part.mkdir(exist_ok=True)
    stream = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    subprocess.run(
        ["tar", "-x", "-C", str(part), "--wildcards", *wanted], stdin=stream.stdout, check=True
    )
    stream.stdout.close()
    if stream.wait() != 0:
        raise SystemExit(f"{deb.name}: cannot be unpacked")
    part.rename(root)
    return root


def _sentences(text):
    """Sentences of running text: letters for the most part, and no markup or program text."""
    text = re.sub(r"\s+", " ", html.unescape(text)).strip()
    for sentence in re.split(r"(?<=[.!?:;])\s+", text):
        sentence = sentence.strip()
        letters = sum(c.isalpha() or c == " " for c in sentence)
        if len(sentence) >= 20 and sentence.count(" ") >= 3 and letters > 0.9 * len(sentence):
            if not re.search(r"[<>{}|/$=_@\\]", sentence):
                yield sentence


def _guide(code):
    folder = _unpack(GUIDE, "./usr/share/doc/installation-guide-amd64/*")
    found = set()
    for page in sorted((folder / "usr/share/doc" / GUIDE / code).glob("*.html")):
        source = page.read_text(encoding="utf-8", errors="replace")
        # Program names and commands are the same in every language.
        source = re.sub(r"(?s)<(code|tt|pre|kbd)\b.*?</\1>", "<>", source)
        for paragraph in re.findall(r"(?s)<p>(.*?)</p>", source):
            if "<>" not in paragraph:
                found.update(_sentences(re.sub(r"(?s)<[^>]+>", "", paragraph)))
    return found


def _game(code):
    root = _unpack(GAME, "./usr/share/games/wesnoth/1.16/locale/*/LC_MESSAGES/*.mo")
    locale = root / "usr/share/games/wesnoth/1.16/locale"
    found = set()
    for domain in GAME_DOMAINS:
        # English is the language of the message ids; any complete translation has them all.
        folder = locale / ("de" if code == "en" else code) / "LC_MESSAGES"
        with open(folder / f"{domain}.mo", "rb") as file:
            messages = gettext.GNUTranslations(file)._catalog
        for source, translation in messages.items():
            text = source if code == "en" else translation
            if isinstance(text, str) and isinstance(source, str) and source:
                text = text.split("\x04")[-1].split("^")[-1]
                found.update(_sentences(re.sub(r"(?s)<[^>]+>", "", text)))
    return found


def _words(code):
    package, name = WORD_LISTS[code]
    path = _unpack(package, "./usr/share/dict/*") / "usr/share/dict" / name
    raw = path.read_bytes()
    try:
        words = raw.decode("utf-8").split()
    except UnicodeDecodeError:
        words = raw.decode("iso-8859-1").split()  # the Swedish list
    return {w for w in words if 4 <= len(w) <= 18 and w.isalpha()}


def held_out(text):
    return hashlib.sha256(text.encode()).digest()[0] * 100 < HELD_OUT_PERCENT * 256


def load():
    """{"train": ..., "test": ...}, each {"sentences": [[text of language 0], ...], "words": ...}.

    A sentence of a translation that is also in the English text was left untranslated, and a
    word that two languages' lists share has no one right answer; neither is used.
    """
    sentences = [_guide(code) | _game(code) for code, _ in LANGUAGES]
    sentences = [s if i == 0 else s - sentences[0] for i, s in enumerate(sentences)]
    words = [_words(code) for code, _ in LANGUAGES]
    seen, shared = set(), set()
    for some in words:
        lower = {w.lower() for w in some}
        shared |= seen & lower
        seen |= lower
    words = [{w for w in some if w.lower() not in shared} for some in words]
    parts = {}
    for part, wanted in (("train", False), ("test", True)):
        parts[part] = {
            kind: [sorted(t for t in some if held_out(t) == wanted) for some in texts]
            for kind, texts in (("sentences", sentences), ("words", words))
        }
    return parts


def tokens(text):
    """A token is a byte of the text in UTF-8; 0 is kept for padding."""
    return list(text.encode("utf-8"))[:LONGEST]


def _excerpt(sentence, rng):
    """A run of whole words of a sentence, as people type: a part, sometimes in lower case."""
    parts = sentence.split(" ")
    count = min(len(parts), rng.randint(2, 14))
    first = rng.randint(0, len(parts) - count)
    text = " ".join(parts[first : first + count])
    return text.lower() if rng.random() < 0.3 else text


def batches(part, size, count, seed):
    """Training batches of (list of token lists, list of classes): two thirds parts of
    sentences, one third words, every language as often as the others."""
    rng = random.Random(seed)
    for _ in range(count):
        rows, classes = [], []
        for _ in range(size):
            language = rng.randrange(len(LANGUAGES))
            if rng.random() < 0.67:
                text = _excerpt(rng.choice(part["sentences"][language]), rng)
            else:
                some = part["words"][language]
                text = " ".join(rng.choice(some) for _ in range(rng.choice((1, 1, 2, 3))))
                text = text.lower() if rng.random() < 0.5 else text.capitalize()
            rows.append(tokens(text))
            classes.append(language)
        yield rows, classes


def padded(rows):
    """(matrix with PADDING behind the shorter rows, lengths)."""
    longest = max(len(row) for row in rows)
    return [row + [PADDING] * (longest - len(row)) for row in rows], [len(row) for row in rows]


def tests(part, each=400, seed=7):
    """The held-out questions: [(kind, [(text, class), ...]), ...]."""
    rng = random.Random(seed)
    result = []
    for kind in ("sentences", "words"):
        rows = []
        for language, some in enumerate(part[kind]):
            rows += [(text, language) for text in rng.sample(some, min(each, len(some)))]
        result.append((kind, rows))
    return result


def accuracy(classify, questions, size=100):
    """How many of the questions `classify(matrix, lengths) -> logits` answers right, by class."""
    # Texts of like length share a batch; that is only quicker.
    questions = sorted(questions, key=lambda q: (len(tokens(q[0])), q))
    right, total = [0] * len(NAMES), [0] * len(NAMES)
    for start in range(0, len(questions), size):
        some = questions[start : start + size]
        matrix, lengths = padded([tokens(text) for text, _ in some])
        for logits, (_, language) in zip(classify(matrix, lengths), some):
            total[language] += 1
            right[language] += max(range(len(NAMES)), key=lambda i: logits[i]) == language
    return sum(right) / sum(total), {n: r / t for n, r, t in zip(NAMES, right, total)}
