#!/usr/bin/env python3
"""Which of these books will this reader like, with two towers: one network turns a reader into a
vector, another a book, and their product is the score. Names are strings up to the model: it hashes
those of which there is no end and looks the others up. The data is made here, with tastes that the
model is not told. Writes model.onnx, question.json and answer.json beside itself."""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent))

import common

OPSET = 14
READERS, BOOKS, AUTHORS, SEEN = 800, 320, 60, 160
RECENT = 3  # books that a reader liked, and that the model is told
BEST = 3  # titles that it names
READER_ROOM, BOOK_ROOM, AUTHOR_ROOM = 1024, 1024, 256  # what names are hashed to
WIDTH = 16
EPOCHS, BATCH = 16, 256
LANGUAGES = ("en", "de", "fr", "es", "nl")
GENRES = ("crime", "fantasy", "history", "poetry", "romance", "science", "travel", "war")


# The readers, the books and what was liked


def titles(random):
    first = "Amber Broken Crystal Distant Empty Frozen Golden Hidden Iron Lonely Paper Quiet".split()
    last = "Anchor Bridge Castle Desert Engine Forest Garden Harbour Island Journey Kitchen Lantern " \
           "Mirror Night Orchard Planet River Shadow Tower Winter".split()
    every = [f"The {a} {b}" for a in first for b in last] + [f"{b} of {a} Days" for a in first for b in last]
    return random.permutation(every)[:BOOKS].tolist()


def authors():
    given = "Ada Bruno Clara David Edith Felix Greta Hugo Irene Jonas Klara Leo".split()
    family = "Aldridge Bergmann Castell Duval Espinosa".split()
    return [f"{g} {f}" for g in given for f in family][:AUTHORS]


class World:
    """Who reads what. A reader likes some genres, books by authors of the own language, and old books
    or new ones."""

    def __init__(self):
        random = np.random.default_rng(common.SEED)
        names = authors()
        self.books = titles(random)
        self.author = random.integers(0, AUTHORS, BOOKS)
        self.genre = random.integers(0, len(GENRES), BOOKS)
        self.year = random.integers(1920, 2025, BOOKS).astype(np.float32)
        self.author_names = np.array(names)[self.author].tolist()
        self.genre_names = np.array(GENRES)[self.genre].tolist()
        speaks = random.integers(0, len(LANGUAGES), AUTHORS)
        quality = random.normal(0, 0.7, BOOKS)

        self.readers = [f"reader-{i:04d}" for i in range(READERS)]
        language = random.integers(0, len(LANGUAGES), READERS)
        self.language_names = np.array(LANGUAGES)[language].tolist()
        taste = random.normal(0, 2.0, (READERS, len(GENRES)))
        modern = random.normal(0, 1.0, READERS)
        logit = (taste[:, self.genre] + 1.5 * (language[:, None] == speaks[self.author]) + quality
                 + modern[:, None] * (self.year - 1972) / 30 - 1.0)
        self.liked = random.random((READERS, BOOKS)) < 1 / (1 + np.exp(-logit))
        self.recent, self.train, self.test = self.split(random)

    def split(self, random):
        """For each reader three liked books to be told, and (reader, book) pairs to learn from or to be
        held out, none of which has one of the three."""
        recent, train, test = [], [], []
        for reader in range(READERS):
            seen = random.permutation(BOOKS)[:SEEN]
            told = [b for b in seen if self.liked[reader, b]][:RECENT]
            recent.append([self.books[b] for b in told] + [""] * (RECENT - len(told)))
            for i, book in enumerate(b for b in seen if b not in told):
                (test if i % 5 == 0 else train).append((reader, book))
        return recent, np.array(train), np.array(test)

    def reader_columns(self, rows):
        return {
            "reader": [self.readers[i] for i in rows],
            "language": [self.language_names[i] for i in rows],
            "recent": [self.recent[i] for i in rows],
        }

    def book_columns(self, rows):
        return {
            "book": [self.books[i] for i in rows],
            "author": [self.author_names[i] for i in rows],
            "genre": [self.genre_names[i] for i in rows],
            "year": self.year[rows],
        }


def arrays(columns):
    return {
        name: values if isinstance(values, np.ndarray) else np.array(values, object)
        for name, values in columns.items()
    }


# From strings to numbers: part of the model


def strings_to_numbers():
    """The graph in front of the towers. What is not in a vocabulary is 0."""
    nodes, constants = [], []

    def hashed(name, result, seed, room):
        constants.append(numpy_helper.from_array(np.array(room, np.int64), f"{result}_room"))
        nodes.extend((
            helper.make_node("MurmurHash3", [name], [f"{result}_hash"], domain="com.microsoft",
                             seed=seed, positive=1),
            helper.make_node("Cast", [f"{result}_hash"], [f"{result}_long"], to=TensorProto.INT64),
            helper.make_node("Mod", [f"{result}_long", f"{result}_room"], [result]),
        ))

    def looked_up(name, result, known):
        nodes.extend((
            helper.make_node("StringNormalizer", [name], [f"{result}_lower"],
                             case_change_action="LOWER", is_case_sensitive=1, locale="C"),
            helper.make_node("LabelEncoder", [f"{result}_lower"], [result], domain="ai.onnx.ml",
                             keys_strings=known, values_int64s=range(1, len(known) + 1),
                             default_int64=0),
        ))

    # Two readers may share one row of a table, hardly ever both.
    hashed("reader", "reader_a", 1, READER_ROOM)
    hashed("reader", "reader_b", 2, READER_ROOM)
    looked_up("language", "language_id", LANGUAGES)
    hashed("recent", "recent_row", 3, BOOK_ROOM)
    hashed("book", "book_row", 3, BOOK_ROOM)
    hashed("author", "author_row", 4, AUTHOR_ROOM)
    looked_up("genre", "genre_id", GENRES)

    def port(name, kind, *shape):
        return helper.make_tensor_value_info(name, kind, shape)

    text, number = TensorProto.STRING, TensorProto.INT64
    return helper.make_graph(
        nodes, "strings",
        [port("reader", text, "readers"), port("language", text, "readers"),
         port("recent", text, "readers", RECENT), port("book", text, "books"),
         port("author", text, "books"), port("genre", text, "books")],
        [port("reader_a", number, "readers"), port("reader_b", number, "readers"),
         port("language_id", number, "readers"), port("recent_row", number, "readers", RECENT),
         port("book_row", number, "books"), port("author_row", number, "books"),
         port("genre_id", number, "books")],
        constants,
    )


READER_NUMBERS = ("reader_a", "reader_b", "language_id", "recent_row")
BOOK_NUMBERS = ("book_row", "author_row", "genre_id", "year")


def as_model(graph):
    return helper.make_model(
        graph, producer_name="strongroom examples", ir_version=8,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3),
                       helper.make_opsetid("com.microsoft", 1)],
    )


def numbers(columns):
    """What the towers see of the columns: computed by the graph that is served, so that what is
    learned and what is asked cannot come apart."""
    session = onnxruntime.InferenceSession(as_model(strings_to_numbers()).SerializeToString(),
                                           providers=["CPUExecutionProvider"])
    feed = {i.name: columns[i.name] for i in session.get_inputs()}
    made = dict(zip((o.name for o in session.get_outputs()), session.run(None, feed)))
    made["year"] = columns["year"]
    return {name: torch.from_numpy(array) for name, array in made.items()}


# The towers


class Reader(nn.Module):
    def __init__(self, books):
        super().__init__()
        self.a = nn.Embedding(READER_ROOM, WIDTH)
        self.b = nn.Embedding(READER_ROOM, WIDTH)
        self.language = nn.Embedding(len(LANGUAGES) + 1, WIDTH)
        self.books = books
        self.layers = nn.Sequential(nn.Linear(3 * WIDTH, 32), nn.ReLU(), nn.Linear(32, WIDTH))

    def forward(self, a, b, language, recent):
        name = self.a(a) + self.b(b)
        if self.training:  # without a name at times: a new reader has to be served too
            name = name * (torch.rand(len(name), 1) < 0.7)
        parts = (name, self.language(language), self.books(recent).mean(1))
        return self.layers(torch.cat(parts, 1))


class Book(nn.Module):
    def __init__(self, books):
        super().__init__()
        self.books = books
        self.author = nn.Embedding(AUTHOR_ROOM, WIDTH)
        self.genre = nn.Embedding(len(GENRES) + 1, WIDTH)
        self.layers = nn.Sequential(nn.Linear(3 * WIDTH + 1, 32), nn.ReLU(), nn.Linear(32, WIDTH))

    def forward(self, book, author, genre, year):
        age = ((year - 1972) / 30).unsqueeze(1)
        parts = (self.books(book), self.author(author), self.genre(genre), age)
        return self.layers(torch.cat(parts, 1))


class Towers(nn.Module):
    """The chance that each reader likes each book, [readers, books]."""

    def __init__(self):
        super().__init__()
        books = nn.Embedding(BOOK_ROOM, WIDTH)
        self.reader, self.book = Reader(books), Book(books)
        self.bias = nn.Parameter(torch.zeros(1))
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=0.1)

    def forward(self, a, b, language, recent, book, author, genre, year):
        readers = self.reader(a, b, language, recent)
        books = self.book(book, author, genre, year)
        return torch.sigmoid(readers @ books.t() + self.bias)


def fit(towers, readers, books, pairs, liked):
    pairs, liked = torch.from_numpy(pairs), torch.from_numpy(liked.astype(np.float32))
    optimiser = torch.optim.AdamW(towers.parameters(), lr=0.003, weight_decay=0.05)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(pairs)).split(BATCH):
            who, what = pairs[rows, 0], pairs[rows, 1]
            u = towers.reader(*(readers[name][who] for name in READER_NUMBERS))
            v = towers.book(*(books[name][what] for name in BOOK_NUMBERS))
            loss = nn.functional.binary_cross_entropy_with_logits((u * v).sum(1) + towers.bias,
                                                                  liked[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    towers.eval()


def export(towers, path):
    """Strings to numbers, the towers, and the titles of the best books, as one model."""
    inputs = (*READER_NUMBERS, *BOOK_NUMBERS)
    example = [torch.zeros((2, RECENT) if name == "recent_row" else (2,),
                           dtype=torch.float32 if name == "year" else torch.int64) for name in inputs]
    axes = {name: {0: "readers"} for name in READER_NUMBERS}
    axes.update({name: {0: "books"} for name in BOOK_NUMBERS}, scores={0: "readers", 1: "books"})
    torch.onnx.export(towers, tuple(example), str(path), opset_version=OPSET, input_names=list(inputs),
                      output_names=["scores"], dynamic_axes=axes)
    exported = onnx.load(str(path)).graph
    front = strings_to_numbers()
    best = (
        helper.make_node("Shape", ["book"], ["how_many"]),
        helper.make_node("Min", ["how_many", "at_most"], ["how_many_best"]),
        helper.make_node("TopK", ["scores", "how_many_best"], ["best_scores", "best_columns"], axis=1),
        helper.make_node("Gather", ["book", "best_columns"], ["best"]),
    )
    year = next(i for i in exported.input if i.name == "year")
    constants = [*front.initializer, *exported.initializer,
                 numpy_helper.from_array(np.array([BEST], np.int64), "at_most")]
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["readers", "books"]),
               helper.make_tensor_value_info("best", TensorProto.STRING, ["readers", "best"])]
    graph = helper.make_graph([*front.node, *exported.node, *best], "recommender",
                              [*front.input, year], outputs, constants)
    common.save(as_model(graph), path)


# What it is worth


def area(scores, liked):
    """The chance that of two books, one liked and one not, the liked one has the higher score."""
    places = np.empty(len(scores))
    places[np.argsort(scores, kind="stable")] = np.arange(1, len(scores) + 1)
    n = liked.sum()
    return (places[liked].sum() - n * (n + 1) / 2) / (n * (len(liked) - n))


def question(world):
    """Two readers that the model knows, and one that it has never seen, with no book it was told of."""
    known = [i for i in range(READERS) if "" not in world.recent[i]][:2]
    columns = world.reader_columns(known)
    crime = [b for b, genre in zip(world.books, world.genre_names) if genre == "crime"]
    columns["reader"].append("a new reader")
    columns["language"].append("EN")  # the model takes either case
    columns["recent"].append(crime[:RECENT])
    told = {title for row in columns["recent"] for title in row}
    offered = [b for b in range(BOOKS) if world.books[b] not in told]
    chosen = [next(b for b in offered if world.genre_names[b] == genre) for genre in GENRES]
    return arrays({**columns, **world.book_columns(chosen)})


def main():
    common.seed_everything()
    world = World()
    everything = arrays({**world.reader_columns(range(READERS)), **world.book_columns(range(BOOKS))})
    seen = numbers(everything)
    towers = Towers()
    fit(towers, seen, seen, world.train, world.liked[tuple(world.train.T)])

    path = FOLDER / "model.onnx"
    export(towers, path)
    common.check_model(path)
    outputs = common.run(path, everything)
    with torch.no_grad():
        expected = towers(*(seen[name] for name in (*READER_NUMBERS, *BOOK_NUMBERS))).numpy()
    common.check_same("scores", outputs["scores"], expected)
    scores, liked = outputs["scores"][tuple(world.test.T)], world.liked[tuple(world.test.T)]
    right = ((scores > 0.5) == liked).sum()
    print(f"held-out accuracy: {right / len(liked):.2%} of {len(liked)}; most frequent answer "
          f"{max(liked.mean(), 1 - liked.mean()):.2%}; area under the curve {area(scores, liked):.3f}")

    common.write_question(FOLDER, question(world))


if __name__ == "__main__":
    main()
