"""Bundles for the tests: a model with weights in a file beside it, tar archives made by hand (so
that they can be wrong in one place), and tables of what must be refused."""

import struct

import onnx_file
from onnx_file import FLOAT, _field

WEIGHTS = [0.5, -1.0, 2.0, 1.5, 0.25, -0.75, 3.0, 1.0, -2.0, 0.125, 4.0, -0.5]  # 4 x 3
BIAS = [0.1, 0.2, 0.3]
LABELS = b"cat\ndog\nguinea pig\n"
MANIFEST = b"""documentation: |
  Tells three animals apart.
  "Quotes" and a second line.
labels:
  - output: scores
    file: labels.txt
batching: off
precision: float32
"""


def external(name, kind, dims, entries, location=1):
    """TensorProto whose data is elsewhere; entries are (key, value)."""
    return (b"".join(_field(1, d) for d in dims) + _field(2, kind) + _field(8, name)
            + b"".join(_field(13, _field(1, k) + _field(2, str(v))) for k, v in entries)
            + (_field(14, location) if location is not None else b""))


def animals(w=None, b=None, classes=3):
    """scores = x @ W + B; W and B as external tensors unless given."""
    w = w or external("W", FLOAT, [4, 3], [("location", "weights.bin"), ("offset", 64),
                                           ("length", 48)])
    b = b or external("B", FLOAT, [3], [("location", "weights.bin"), ("offset", 0),
                                        ("length", 12)])
    return onnx_file.model(
        [onnx_file.node("MatMul", ["x", "W"], ["t"]), onnx_file.node("Add", ["t", "B"], ["scores"])],
        [onnx_file.value("x", FLOAT, ["batch", 4])],
        [onnx_file.value("scores", FLOAT, ["batch", classes])], [w, b])


def weights():
    return struct.pack("<3f", *BIAS).ljust(64, b"\xee") + struct.pack("<12f", *WEIGHTS)


def answer(x):
    return [sum(x[i] * WEIGHTS[i * 3 + j] for i in range(4)) + BIAS[j] for j in range(3)]


def files(**changed):
    """name -> bytes of the bundle that is right; a value None leaves the file out."""
    out = {"model.onnx": animals(), "weights.bin": weights(), "labels.txt": LABELS,
           "manifest.yaml": MANIFEST}
    for name, data in changed.items():
        name = name.replace("__", ".")
        if data is None:
            del out[name]
        else:
            out[name] = data
    return out


# --- tar, by hand ---


def header(name, size, kind=b"0", sum_off=0, magic=b"ustar\x0000", prefix=b"", size_field=None,
           link=b""):
    name = name if isinstance(name, bytes) else name.encode()
    block = bytearray(512)
    block[0:len(name)] = name
    block[100:108] = b"0000644\0"
    block[108:116] = block[116:124] = b"0000000\0"
    block[124:136] = size_field if size_field is not None else b"%011o\0" % size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[157:157 + len(link)] = link
    block[257:265] = magic
    block[345:345 + len(prefix)] = prefix
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % (sum(block) + sum_off)
    return bytes(block)


def pad(data, fill=b"\0"):
    return data + fill * (-len(data) % 512)


def member(name, data, **how):
    fill = how.pop("fill", b"\0")
    return header(name, len(data), **how) + pad(data, fill)


def pax(records, name="pax", kind=b"x"):
    body = b""
    for key, value in records:
        rest = len(key) + len(value) + 3
        length = rest + 1
        while len(str(length)) + rest != length:
            length = len(str(length)) + rest
        body += b"%d %s=%s\n" % (length, key, value)
    return member(name, body, kind=kind)


END = bytes(1024)


def archive(members=None, more=b"", before=b"", end=END):
    """The members, then blocks made by hand, then the end."""
    members = files() if members is None else members
    return before + b"".join(member(n, d) for n, d in members.items()) + more + end


def changed(**how):
    return archive(files(**how))


def _one(key, *values):
    """The model with W's entries replaced."""
    return animals(w=external("W", FLOAT, [4, 3], list(values), key))


def _w(*entries, location=1):
    return changed(model__onnx=_one(location, *entries))


WHERE = ("location", "weights.bin")
LONG = "d/" * 130 + "x"

# What is wrong, the archive, the status of the upload, words of the message.
HOSTILE = [
    ("absolute name", archive(more=member("/etc/passwd", b"x")), 400, ["absolute"]),
    ("parent folder", archive(more=member("../x", b"x")), 400, ['".."']),
    ("parent folder inside", archive(more=member("a/../x", b"x")), 400, ['".."']),
    ("dot inside", archive(more=member("a/./x", b"x")), 400, ['".."']),
    ("empty part", archive(more=member("a//x", b"x")), 400, ["empty part"]),
    ("trailing slash", archive(more=member("a/", b"x")), 400, ["empty part"]),
    ("backslash", archive(more=member("a\\x", b"x")), 400, ["backslash"]),
    ("control character", archive(more=member(b"a\nx", b"x")), 400, ["control characters"]),
    ("not UTF-8", archive(more=member(b"a\xffx", b"x")), 400, ["UTF-8"]),
    ("empty name", archive(more=member("", b"x")), 400, ["name is empty"]),
    ("name after NUL", archive(more=member(b"a\0b", b"x")), 400, ["after its end"]),
    ("twice", archive(more=member("weights.bin", b"x")), 400, ["weights.bin", "twice"]),
    ("twice, with ./", archive(more=member("./weights.bin", b"x")), 400, ["twice"]),
    ("hard link", archive(more=member("l", b"", kind=b"1", link=b"model.onnx")), 400,
     ["hard link"]),
    ("symbolic link", archive(more=member("l", b"", kind=b"2", link=b"/etc")), 400,
     ["symbolic link"]),
    ("character device", archive(more=member("d", b"", kind=b"3")), 400, ["device"]),
    ("block device", archive(more=member("d", b"", kind=b"4")), 400, ["device"]),
    ("named pipe", archive(more=member("p", b"", kind=b"6")), 400, ["named pipe"]),
    ("contiguous file", archive(more=member("c", b"", kind=b"7")), 400, ["type"]),
    ("GNU long name", archive(more=member("././@LongLink", b"name\0", kind=b"L")), 400,
     ["--format=pax"]),
    ("GNU sparse file", archive(more=member("s", b"", kind=b"S")), 400, ["sparse"]),
    ("unknown member", archive(more=member("README.md", b"hello")), 400,
     ["README.md", "neither the model nor manifest.yaml"]),
    ("unknown empty folder", archive(more=member("folder/", b"", kind=b"5")), 400,
     ["folder", "no file"]),
    ("folder with data", archive(more=member("folder", b"x", kind=b"5")), 400, ["has data"]),
    ("no model", changed(model__onnx=None), 400, ["no file model.onnx"]),
    ("nothing but the end", bytes(10240), 400, []),
    ("wrong checksum", archive(more=member("x", b"x", sum_off=1)), 400, ["checksum"]),
    ("size not octal", archive(more=header("x", 0, size_field=b"0000000000x\0")), 400, ["size"]),
    ("size empty", archive(more=header("x", 0, size_field=bytes(12))), 400, ["size"]),
    ("size past the end", archive(more=header("x", 0o77777777777)), 400, ["past the end"]),
    ("binary size of 2^64 - 1",
     archive(more=header("x", 0, size_field=b"\x80\0\0\0" + b"\xff" * 8)), 400, ["past the end"]),
    ("binary size below zero", archive(more=header("x", 0, size_field=b"\xff" * 12)), 400,
     ["size"]),
    ("padding not zero", archive(more=member("x", b"x", fill=b"y")), 400, ["padding"]),
    ("another magic", archive(more=member("x", b"x", magic=b"ustar\x0001")), 400, ["form"]),
    ("bytes behind the prefix", archive(more=member("x", b"x", prefix=b"a" * 155 + b"b")), 400,
     ["bytes where"]),
    ("no end", archive(end=b""), 400, ["two blocks"]),
    ("half an end", archive(end=bytes(512)), 400, ["two blocks"]),
    ("end cut", archive(end=bytes(1000)), 400, ["two blocks"]),
    ("end of no whole blocks", archive(end=bytes(1100)), 400, ["after the end"]),
    ("something after the end", archive(end=END + b"\0" * 511 + b"x"), 400, ["after the end"]),
    ("another archive after the end", archive(end=END + archive()), 400, ["after the end"]),
    ("a block cut", archive()[:-1500], 400, []),
    ("pax length wrong", archive(more=member("p", b"99 path=x\n", kind=b"x") + member("a", b"")),
     400, ["pax record's length"]),
    ("pax length zero", archive(more=member("p", b"0 path=x\n", kind=b"x") + member("a", b"")),
     400, ["pax record's length"]),
    ("pax without =", archive(more=member("p", b"8 pathx\n", kind=b"x") + member("a", b"")), 400,
     ["key=value"]),
    ("pax before nothing", archive(more=pax([(b"path", b"x")])), 400, ["before no member"]),
    ("pax twice", archive(more=pax([(b"path", b"x")]) * 2 + member("a", b"")), 400,
     ["before another"]),
    ("pax path of a parent", archive(more=pax([(b"path", b"../x")]) + member("a", b"")), 400,
     ['".."']),
    ("pax path of a twin", archive(more=pax([(b"path", b"model.onnx")]) + member("a", b"")), 400,
     ["twice"]),
    ("pax path too long", archive(more=pax([(b"path", LONG.encode())]) + member("a", b"")), 400,
     ["255 bytes"]),
    ("pax path with NUL", archive(more=pax([(b"path", b"a\0b")]) + member("a", b"")), 400,
     ["255 bytes of text"]),
    ("pax size wrong", archive(more=pax([(b"size", b"-1")]) + member("a", b"")), 400, ["pax size"]),
    ("pax size past the end", archive(more=pax([(b"size", b"99999999")]) + member("a", b"")), 400,
     ["past the end"]),
    ("pax sparse", archive(more=pax([(b"GNU.sparse.major", b"1")]) + member("a", b"")), 400,
     ["not taken"]),
    ("pax link", archive(more=pax([(b"linkpath", b"/etc")]) + member("a", b"")), 400,
     ["not taken"]),
    ("pax attributes", archive(more=pax([(b"SCHILY.xattr.user.x", b"1")]) + member("a", b"")), 400,
     ["not taken"]),
    ("pax path for all", archive(before=pax([(b"path", b"x")], kind=b"g")), 400, ["not taken"]),
    ("no weights", changed(weights__bin=None), 400, ["weights.bin", "beside the model"]),
    ("weights too short", changed(weights__bin=weights()[:-1]), 400, ["past the end", "weights.bin"]),
    ("offset past the end", _w(WHERE, ("offset", 999), ("length", 48)), 400, ["offset 999"]),
    ("offset that overflows", _w(WHERE, ("offset", 2**64), ("length", 48)), 400, ["offset"]),
    ("offset at the end of numbers", _w(WHERE, ("offset", 2**64 - 1), ("length", 48)), 400,
     ["past the end"]),
    ("offset below zero", _w(WHERE, ("offset", -1)), 400, ["offset", "whole number"]),
    ("offset in hexadecimal", _w(WHERE, ("offset", "0x40")), 400, ["whole number"]),
    ("length wrong", _w(WHERE, ("offset", 64), ("length", 44)), 400, ["44", "48"]),
    ("length empty", _w(WHERE, ("offset", 64), ("length", "")), 400, ["whole number"]),
    ("no length, and not the rest", _w(WHERE, ("offset", 60)), 400, ["52", "48"]),
    ("no location", _w(("offset", 64)), 400, ["location is missing"]),
    ("empty location", _w(("location", "")), 400, ["location"]),
    ("location twice", _w(WHERE, WHERE), 400, ["twice"]),
    ("location absolute", _w(("location", "/etc/passwd")), 400, ["beside the model"]),
    ("location of a parent", _w(("location", "../weights.bin")), 400, ["beside the model"]),
    ("location is the model", _w(("location", "model.onnx")), 400, ["beside the model"]),
    ("location is the manifest", _w(("location", "manifest.yaml")), 400, ["beside the model"]),
    ("checksum", _w(WHERE, ("offset", 64), ("checksum", "0" * 40)), 422, ["checksum"]),
    ("unknown key", _w(WHERE, ("basepath", "/")), 400, ["basepath"]),
    ("external, and not said", _w(WHERE, ("offset", 64), location=0), 400, ["not EXTERNAL"]),
    ("said, and not external", _w(), 400, ["missing"]),
    ("location of another kind", _w(WHERE, location=2), 400, ["DEFAULT or EXTERNAL"]),
    ("elements twice",
     changed(model__onnx=animals(w=external("W", FLOAT, [4, 3], [WHERE, ("offset", 64)])
                                 + _field(9, bytes(48)))), 400, ["in the model too"]),
    ("overlap in part",
     changed(model__onnx=animals(b=external("B", FLOAT, [3], [WHERE, ("offset", 100),
                                                              ("length", 12)]))), 400, ["overlap"]),
    ("manifest not YAML", changed(manifest__yaml=b"a: [\n"), 400, ["manifest.yaml"]),
    ("manifest empty", changed(manifest__yaml=b""), 400, ["manifest.yaml"]),
    ("manifest field unknown", changed(manifest__yaml=MANIFEST + b"licence: MIT\n"), 400,
     ["manifest.yaml", "licence"]),
    ("manifest field twice", changed(manifest__yaml=MANIFEST + b"batching: off\n"), 400,
     ["batching", "twice"]),
    ("manifest field of another type", changed(manifest__yaml=b"labels: labels.txt\n"), 400,
     ["labels", "list"]),
    ("labels entry unknown", changed(manifest__yaml=MANIFEST.replace(b"    file:", b"    files:")),
     400, ["files"]),
    ("labels without file", changed(manifest__yaml=b"labels:\n  - output: scores\n"), 400,
     ["labels", "file"]),
    ("batching", changed(manifest__yaml=MANIFEST.replace(b"off", b"on")), 422,
     ["batching", '"on"', '"off"']),
    ("precision", changed(manifest__yaml=MANIFEST.replace(b"float32", b"bfloat16")), 422,
     ["precision", '"bfloat16"', '"float32"']),
    ("manifest of two documents", changed(manifest__yaml=MANIFEST + b"---\nlicence: MIT\n"), 400,
     ["manifest.yaml", "line 9", "second document"]),
    ("zero byte in a value", changed(manifest__yaml=MANIFEST.replace(b"off", b'"off\\0on"')), 400,
     ["manifest.yaml", "line 7", "zero byte"]),
    ("alias", changed(manifest__yaml=b"documentation: &a x\nbatching: *a\n"), 400, ["alias"]),
    ("documentation too long", changed(manifest__yaml=b"documentation: " + b"a" * 4097), 400,
     ["documentation", "too long"]),
    ("manifest too large", changed(manifest__yaml=MANIFEST + b"#" * 70000), 413, ["65536"]),
    ("labels of no output", changed(manifest__yaml=MANIFEST.replace(b"scores", b"score")), 400,
     ['no output "score"']),
    ("labels twice", changed(manifest__yaml=MANIFEST.replace(
        b"batching", b"  - output: scores\n    file: labels.txt\nbatching")), 400,
     ["same output"]),
    ("labels that are not there", changed(labels__txt=None), 400, ["labels.txt"]),
    ("labels outside", changed(manifest__yaml=MANIFEST.replace(b"labels.txt", b"../labels.txt")),
     400, ['".."']),
    ("labels in the model", changed(manifest__yaml=MANIFEST.replace(b"labels.txt", b"model.onnx")),
     400, ["no file"]),
    ("too few labels", changed(labels__txt=b"cat\ndog\n"), 400, ["2 labels", "3 classes"]),
    ("too many labels", changed(labels__txt=LABELS + b"emu\n"), 400, ["4 labels", "3 classes"]),
    ("an empty label", changed(labels__txt=b"cat\n\ndog\n"), 400, ["line 2", "empty"]),
    ("no labels", changed(labels__txt=b""), 400, ["0 labels"]),
    ("a label with control characters", changed(labels__txt=b"cat\nd\x1b[0mg\nemu\n"), 400,
     ["line 2", "control"]),
    ("a label that is not UTF-8", changed(labels__txt=b"cat\ndog\n\xff\n"), 400,
     ["line 3", "UTF-8"]),
    ("a label too long", changed(labels__txt=b"cat\ndog\n" + b"x" * 256), 422, ["line 3", "256"]),
    ("labels that nobody names", changed(manifest__yaml=b"batching: off\n"), 400,
     ["labels.txt", "refers"]),
]
