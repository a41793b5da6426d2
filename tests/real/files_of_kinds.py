"""Files of thirty-seven kinds, two of each, made here: label by Magika -> their contents. What is written by a
library is written by it; what people write is put together from parts, so that no two are alike."""

import bz2
import gzip
import io
import json
import lzma
import pickle
import sqlite3
import tarfile
import tempfile
import time
import wave
import zipfile

import numpy as np
from PIL import Image, ImageDraw

WORDS = ("account", "balance", "customer", "delivery", "estimate", "forecast", "garden", "harbour",
         "invoice", "journal", "kitchen", "ledger", "machine", "notebook", "orchard", "parcel")
DAY = time.gmtime(1700000000)  # so that a file is the same whenever it is made


def word(i):
    return WORDS[i % len(WORDS)]


def each(template, n, k=0, join="\n"):
    """The template n times, each with words and numbers of its own; W and V: words, N: a number."""
    return join.join(template.replace("W", word(i + k)).replace("V", word(3 * i + k + 5)).replace(
        "N", str(7 * i + k + 3)) for i in range(n))


def picture(k):
    image = Image.new("RGB", (96 + 32 * k, 64), (30, 60 + 90 * k, 120))
    draw = ImageDraw.Draw(image)
    for i in range(12):
        draw.ellipse((8 * i, 4 * i, 8 * i + 30, 4 * i + 20), (20 * i, 255 - 20 * i, 40 * k))
    return image


def saved(form, **options):
    def make(k):
        out = io.BytesIO()
        picture(k).save(out, form, **options)
        return out.getvalue()
    return make


def sound(k):
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1 + k, 2, 16000, 0, "NONE", ""))
        file.writeframes((8000 * np.sin(np.arange(8000) * (0.05 + 0.1 * k))).astype("<i2").tobytes())
    return out.getvalue()


def prose(k):
    return each("The W was ready, but the V had to wait for N days.", 60, k).encode()


def archive(k):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for i in range(3 + k):
            file.writestr(zipfile.ZipInfo(f"{word(i + k)}.txt"), prose(i), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def tape(k):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for i in range(2 + k):
            info = tarfile.TarInfo(f"{word(i + k)}/{word(i)}.txt")
            info.size = len(prose(i))
            file.addfile(info, io.BytesIO(prose(i)))
    return out.getvalue()


def database(k):
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        with sqlite3.connect(file.name) as db:
            db.execute(f"CREATE TABLE {word(k)} (id INTEGER PRIMARY KEY, name TEXT, amount REAL)")
            db.executemany(f"INSERT INTO {word(k)} VALUES (?, ?, ?)",
                           [(i, word(i), i * 1.5) for i in range(40)])
        db.close()
        return file.read()


def array(k):
    out = io.BytesIO()
    np.save(out, np.arange(300 + k, dtype="float32").reshape(-1, 1))
    return out.getvalue()


def text(head, template, n, tail="", join="\n"):
    return lambda k: (each(head, 1, k) + each(template, n, k, join) + each(tail, 1, k)).encode()


MADE = {
    "png": saved("PNG"), "jpeg": saved("JPEG"), "gif": saved("GIF"), "bmp": saved("BMP"),
    "webp": saved("WEBP"), "tiff": saved("TIFF"), "pdf": saved("PDF", creationDate=DAY, modDate=DAY), "ico": saved("ICO"),
    "wav": sound, "zip": archive, "tar": tape, "sqlite": database, "npy": array,
    "gzip": lambda k: gzip.compress(prose(k), mtime=0), "bzip": lambda k: bz2.compress(prose(k)),
    "xz": lambda k: lzma.compress(prose(k)),
    "pickle": lambda k: pickle.dumps([{"name": word(i), "rows": list(range(i + k))} for i in range(30)]),
    "json": lambda k: json.dumps({"items": [{"id": i, "name": word(i + k), "open": i % 2 == 0,
                                            "tags": [word(i), word(2 * i)]} for i in range(20)]},
                                 indent=2 + k).encode(),
    "python": text("#!/usr/bin/env python3\nimport os\nimport sys\n\n\nclass W:\n    \"\"\"V.\"\"\"\n\n",
                   "    def W_V(self, count=N):\n        for i in range(count):\n"
                   "            if i % 2:\n                self.V.append(os.path.join(\"W\", str(i)))\n"
                   "        return len(self.V)\n", 8,
                   "\n\nif __name__ == \"__main__\":\n    sys.exit(W().W_V())\n"),
    "c": text("#include <stdio.h>\n#include <stdlib.h>\n#include \"W.h\"\n\n",
              "static int W_V(const struct W *p, size_t n) {\n    int sum = N;\n"
              "    for (size_t i = 0; i < n; i++)\n        sum += p[i].V;\n    return sum;\n}\n", 8,
              "\nint main(int argc, char **argv) {\n    printf(\"%d\\n\", argc);\n    return 0;\n}\n"),
    "java": text("package org.example.W;\n\nimport java.util.ArrayList;\nimport java.util.List;\n\n"
                 "public class Service {\n    private final List<String> names = new ArrayList<>();\n\n",
                 "    public int W_V(String name) {\n        if (name == null) {\n"
                 "            throw new IllegalArgumentException(\"V\");\n        }\n"
                 "        names.add(name);\n        return names.size() + N;\n    }\n", 6, "}\n"),
    "go": text("package W\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\n",
               "func W_V(names []string) (int, error) {\n\tfor i, name := range names {\n"
               "\t\tif name == \"V\" {\n\t\t\treturn i + N, nil\n\t\t}\n\t}\n"
               "\treturn 0, fmt.Errorf(\"no %s\", os.Args[0])\n}\n", 6),
    "rust": text("use std::collections::HashMap;\nuse std::fmt;\n\n#[derive(Debug, Clone)]\n"
                 "pub struct Store {\n    names: HashMap<String, u32>,\n}\n\n",
                 "pub fn W_V(store: &mut Store, name: &str) -> Option<u32> {\n"
                 "    match store.names.get(name) {\n        Some(n) => Some(*n + N),\n"
                 "        None => None,\n    }\n}\n", 6),
    "javascript": text("'use strict';\nconst fs = require('fs');\n\n",
                       "function W_V(list, callback) {\n  const found = list.filter(x => x.V > N);\n"
                       "  if (found.length === 0) {\n    return callback(new Error('no V'));\n  }\n"
                       "  setTimeout(() => callback(null, found), N);\n}\n", 6,
                       "\nmodule.exports = { W_V };\n"),
    "html": text("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>W</title></head>\n"
                 "<body>\n<h1>W and V</h1>\n",
                 "<div class=\"W\"><p>The <a href=\"/V/N\">W</a> of the V.</p>"
                 "<img src=\"V.png\" alt=\"\"></div>", 10, "\n</body>\n</html>\n"),
    "xml": text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<W>\n",
                "  <item id=\"N\">\n    <name>V</name>\n    <amount unit=\"W\">N</amount>\n  </item>", 10,
                "\n</W>\n"),
    "css": text("body { margin: 0; font-family: sans-serif; }\n",
                ".W-V { color: #3a5f0b; padding: Npx 4px; border: 1px solid black; }\n"
                "#V a:hover { text-decoration: underline; }", 8, "\n"),
    "sql": text("BEGIN;\nCREATE TABLE W (id INTEGER PRIMARY KEY, V VARCHAR(40) NOT NULL);\n",
                "INSERT INTO W (id, V) VALUES (N, 'V');\n"
                "SELECT V, COUNT(*) FROM W WHERE id > N GROUP BY V ORDER BY 2 DESC;", 8, "\nCOMMIT;\n"),
    "shell": text("#!/bin/sh\nset -eu\n\n",
                  "if [ -d \"$HOME/W\" ]; then\n    for f in \"$HOME\"/W/*.V; do\n"
                  "        echo \"$f\" | sed 's/W/V/' >>\"$1\" || exit N\n    done\nfi\n", 6),
    "csv": text("id,W,V,amount,date\n", "N,W,V,N.50,2024-03-1N", 30, "\n"),
    "markdown": text("# W\n\nHow the *V* is kept.\n\n",
                     "## W and V\n\n- the [W](https://example.org/V)\n- **N** of `V`\n\n"
                     "```sh\nmake W\n```\n", 6),
    "yaml": text("---\nversion: 2\nW:\n",
                 "  - name: W\n    kind: V\n    replicas: N\n    labels:\n      app: V\n      tier: W", 8, "\n"),
    "ini": text("; W\n", "[W]\nV = N\npath = /srv/W/V\nenabled = true\n", 8),
    "makefile": text("CC = gcc\nCFLAGS = -O2 -Wall\n\nall: W V\n\n",
                     "W: W.o V.o\n\t$(CC) $(CFLAGS) -o $@ $^\n\nW.o: W.c V.h\n\t$(CC) $(CFLAGS) -c $<\n",
                     6, "\n.PHONY: clean\nclean:\n\trm -f *.o\n"),
    "diff": text("", "--- a/W.c\n+++ b/W.c\n@@ -N,4 +N,4 @@ int V(void)\n int a = N;\n-    return W;\n"
                     "+    return V;\n }\n", 6),
    "svg": text("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"200\" height=\"100\">\n",
                "<rect x=\"N\" y=\"4\" width=\"N\" height=\"12\" fill=\"#123456\"/>\n"
                "<path d=\"M N 10 L 20 N Z\" stroke=\"black\"/>", 8, "\n</svg>\n"),
    "latex": text("\\documentclass{article}\n\\usepackage{amsmath}\n\\begin{document}\n\\title{W}\n\\maketitle\n",
                  "\\section{W}\nThe \\emph{V} is $x^N + y_{V}$.\n\\begin{equation}\n\\sum_{i=1}^N W_i\n"
                  "\\end{equation}\n", 6, "\\end{document}\n"),
}


def files():
    return [(label, k, make(k)) for label, make in MADE.items() for k in (0, 1)]
