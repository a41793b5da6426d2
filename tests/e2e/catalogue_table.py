"""The negative catalogue: one case, one row: name, request, status, exact message.

A request is the bytes that go over the wire. KEY stands for the key, and the last member of a row
may be CLOSES: the answer must end the connection, since what follows cannot be told apart from the
rest of this request. Without a message there is no body; without a status no answer at all, only
the end. What a row does not say (a header, a method) is as a good client has it.

The models, all of the tenant that asks: `m` x FP32 [-1,4]; `pair` a FP32 [-1], b INT64 [-1] (and
outputs c, d of the same); `box` x FP32 [2,3]; `point` x FP32 []; and one for each datatype, named
for it, x [-1]. The limits are small: a body of 64 KiB, a model of 128 KiB.
"""

import gzip
import itertools
import struct
import zlib

KEY = b"@KEY@"
CLOSES = True


def head(method, path, *lines, version="HTTP/1.1"):
    fields = ["Host: x", "Authorization: Bearer @KEY@", *lines]
    return "\r\n".join([f"{method} {path} {version}", *fields, "", ""]).encode("latin-1")


def send(method, path, body=b"", *lines):
    body = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
    return head(method, path, f"Content-Length: {len(body)}", *lines) + body


def get(path, *lines):
    return head("GET", path, *lines)


def infer(body, *lines, model="m"):
    return send("POST", f"/v2/models/{model}/infer", body, *lines)


def one(text, model="m"):
    """A request whose only input is this text."""
    return infer('{"inputs":[%s]}' % text, model=model)


def data(text, model="FP32", shape="[1]"):
    """One input of the model named for its datatype, with these data."""
    datatype = model if model.isupper() else "FP32"
    return one(f'{{"name":"x","shape":{shape},"datatype":"{datatype}","data":{text}}}', model)


def shaped(shape, model="m"):
    return data("[1,2,3,4]", model, shape)


def top(more):
    """A good request and this behind it."""
    return infer(GOOD_JSON[:-1] + more + "}")


def binary(text, part, size=None, model="m", length=None, *lines):
    """JSON, then the binary part, with the header that says where the one ends."""
    text = '{"inputs":[%s]}' % text
    length = len(text) if length is None else length
    return infer(text.encode() + part, f"Inference-Header-Content-Length: {length}", *lines,
                 model=model)


def sized(size, part, model="m", shape="[1,4]"):
    datatype = model if model.isupper() else "FP32"
    return binary(f'{{"name":"x","shape":{shape},"datatype":"{datatype}",'
                  f'"parameters":{{"binary_data_size":{size}}}}}', part, model=model)


def packed(body, encoding="gzip", *lines):
    return infer(body, f"Content-Encoding: {encoding}", *lines)


def permuted(members):
    """One request for each order of the members, which are given as texts."""
    return ["{%s}" % ",".join(order) for order in itertools.permutations(members)]


GOOD_INPUT = '{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}'
GOOD_JSON = '{"inputs":[%s]}' % GOOD_INPUT
GOOD = infer(GOOD_JSON)
FOUR = struct.pack("<4f", 1, 2, 3, 4)
A = '{"name":"a","shape":[1],"datatype":"FP32","data":[1]}'
B = '{"name":"b","shape":[1],"datatype":"INT64","data":[1]}'
INFER = "/v2/models/m/infer"
UPLOAD = "/v2/repository/models/n/versions/1"
ZIPPED = gzip.compress(GOOD_JSON.encode(), mtime=0)

JSON_SYNTAX = [
    ("an empty body", infer(""), 400, "JSON ends at byte 0, expected an object"),
    ("spaces only", infer(" \n\t "), 400, "JSON ends at byte 4, expected an object"),
    ("no JSON", infer("hello"), 400, "JSON at byte 0: found 'h', expected an object"),
    ("a byte order mark", infer("\ufeff" + GOOD_JSON), 400, "JSON at byte 0: found byte 0xef, expected an object"),
    ("UTF-16", infer(GOOD_JSON.encode("utf-16-le")), 400, "JSON at byte 1: found byte 0x00, expected a member name in quotes"),
    ("a NUL in front", infer("\0" + GOOD_JSON), 400, "JSON at byte 0: found byte 0x00, expected an object"),
    ("null", infer("null"), 400, "JSON at byte 0: found 'n', expected an object"),
    ("true", infer("true"), 400, "JSON at byte 0: found 't', expected an object"),
    ("a number", infer("1"), 400, "JSON at byte 0: found '1', expected an object"),
    ("a string", infer('"inputs"'), 400, "JSON at byte 0: found '\"', expected an object"),
    ("an array", infer("[]"), 400, "JSON at byte 0: found '[', expected an object"),
    ("two objects", infer(GOOD_JSON + "{}"), 400, "JSON at byte 74: found '{', expected nothing more"),
    ("something behind", infer(GOOD_JSON + "x"), 400, "JSON at byte 74: found 'x', expected nothing more"),
    ("a NUL behind", infer(GOOD_JSON + "\0"), 400, "JSON at byte 74: found byte 0x00, expected nothing more"),
    ("a comment", infer("/* */" + GOOD_JSON), 400, "JSON at byte 0: found '/', expected an object"),
    ("an open object", infer("{"), 400, "JSON ends at byte 1, expected a member name in quotes"),
    ("a comma for a member", infer("{,}"), 400, "JSON at byte 1: found ',', expected a member name in quotes"),
    ("a member without quotes", infer("{inputs:[]}"), 400, "JSON at byte 1: found 'i', expected a member name in quotes"),
    ("single quotes", infer("{'inputs':[]}"), 400, "JSON at byte 1: found ''', expected a member name in quotes"),
    ("a member without a colon", infer('{"inputs"[]}'), 400, "JSON at byte 9: found '[', expected ':'"),
    ("a member without a value", infer('{"inputs":}'), 400, "inputs is not an array: JSON at byte 10: found '}', expected an array"),
    ("an end behind the colon", infer('{"inputs":'), 400, "inputs is not an array: JSON ends at byte 10, expected an array"),
    ("two colons", infer('{"inputs"::[]}'), 400, "inputs is not an array: JSON at byte 10: found ':', expected an array"),
    ("no comma between members", infer('{"id":"1" "inputs":[]}'), 400, "JSON at byte 10: found '\"', expected ',' or '}'"),
    ("two commas between members", infer('{"id":"1",,"inputs":[]}'), 400, "JSON at byte 10: found ',', expected a member name in quotes"),
    ("a comma behind the last member", infer(GOOD_JSON[:-1] + ",}"), 400, "JSON at byte 74: found '}', expected a member name in quotes"),
    ("the wrong bracket at the end", infer(GOOD_JSON[:-1] + "]"), 400, "JSON at byte 73: found ']', expected ',' or '}'"),
    ("no bracket at the end", infer(GOOD_JSON[:-1]), 400, "JSON ends at byte 73, expected ',' or '}'"),
    ("a name that does not end", infer('{"inputs'), 400, "JSON ends at byte 8 inside a string"),
    ("a name with a bare new line", infer('{"in\nputs":[]}'), 400, "JSON at byte 4: control characters in a string are escaped"),
    ("a name with an unknown escape", infer('{"in\\xputs":[]}'), 400, "JSON at byte 4: unknown escape"),
    ("a name with half an escape", infer('{"\\u00"'), 400, "JSON at byte 2: \\u needs four hexadecimal digits"),
    ("a name that is not UTF-8", infer(b'{"\xff\xfe":1}'), 400, "JSON at byte 2: not UTF-8"),
    ("a name with an overlong NUL", infer(b'{"\xc0\x80":1}'), 400, "JSON at byte 2: not UTF-8"),
    ("a surrogate in UTF-8", infer(b'{"\xed\xa0\x80":1}'), 400, "JSON at byte 2: not UTF-8"),
    ("half of a surrogate pair", infer('{"\\ud800":1}'), 400, "JSON at byte 2: half of a surrogate pair"),
    ("a pair of two high halves", infer('{"\\ud800\\ud800":1}'), 400, "JSON at byte 2: half of a surrogate pair"),
    ("an end inside an escape", infer('{"\\'), 400, "JSON ends at byte 3 inside a string"),
    ("inputs: an open array", infer('{"inputs":['), 400, "input 0: JSON ends at byte 11, expected an object"),
    ("inputs: a comma for an element", infer('{"inputs":[,]}'), 400, "input 0: JSON at byte 11: found ',', expected an object"),
    ("inputs: a comma behind the last", infer('{"inputs":[%s,]}' % GOOD_INPUT), 400, "input 1: JSON at byte 73: found ']', expected an object"),
    ("inputs: no comma between two", infer('{"inputs":[%s%s]}' % (A, B), model="pair"), 400, "JSON at byte 64: found '{', expected ',' or ']'"),
    ("inputs: the wrong bracket", infer('{"inputs":[%s}}' % GOOD_INPUT), 400, "JSON at byte 72: found '}', expected ',' or ']'"),
    ("input: an open object", infer('{"inputs":[{'), 400, "input 0: JSON ends at byte 12, expected a member name in quotes"),
    ("input: a comma for a member", one("{,}"), 400, "input 0: JSON at byte 12: found ',', expected a member name in quotes"),
    ("input: a comma behind the last", one(GOOD_INPUT[:-1] + ",}"), 400, "input \"x\": JSON at byte 72: found '}', expected a member name in quotes"),
    ("input: no comma between two", one('{"name":"x" "shape":[1,4]}'), 400, "input \"x\": JSON at byte 23: found '\"', expected ',' or '}'"),
    ("input: a value that is no JSON", one('{"name":x}'), 400, "input 0: name: JSON at byte 19: found 'x', expected a string"),
    ("shape: no comma", shaped("[1 4]"), 400, "input \"x\": shape: JSON at byte 34: found '4', expected ',' or ']'"),
    ("shape: a comma behind the last", shaped("[1,4,]"), 400, "input \"x\": shape: JSON at byte 36: found ']', expected a number"),
    ("shape: an open array", infer('{"inputs":[{"shape":[1'), 400, "input 0: shape: JSON ends at byte 22, expected ',' or ']'"),
    ("data: no comma", data("[1 2]"), 400, "input \"x\": JSON at byte 63: found '2', expected ',' or ']'"),
    ("data: a comma behind the last", data("[1,]"), 400, 'input "x": data has more than 1 element, the shape takes 1'),
    ("data: a comma for an element", data("[,1]"), 400, "input \"x\": element 0 of data: JSON at byte 61: found ',', expected a value"),
    ("data: an open array", infer('{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":[1'), 400, "input \"x\": JSON ends at byte 64, expected ',' or ']'"),
    ("data: the wrong bracket", data("[1}"), 400, "input \"x\": JSON at byte 62: found '}', expected ',' or ']'"),
    ("data: an inner comma behind the last", data("[[1,2,],[3,4]]", "box", "[2,3]"), 400, "input \"x\": element 2 of data: JSON at byte 68: found ']', expected a value"),
    ("data first: no comma", one('{"data":[1 2],"name":"x","shape":[1,4],"datatype":"FP32"}'), 400, "input 0: JSON at byte 22: found '2', expected ',' or ']'"),
    ("data first: an open array", infer('{"inputs":[{"data":[[1'), 400, "input 0: JSON ends at byte 22, expected ',' or ']'"),
    ("data first: the wrong bracket", one('{"data":[{]],"name":"x"}'), 400, "input 0: JSON at byte 21: found ']', expected a member name in quotes"),
    ("parameters: no comma", top(',"parameters":{"timeout":1000000 "x":1}'), 400, "JSON at byte 106: found '\"', expected ',' or '}'"),
    ("outputs: no comma", top(',"outputs":[{"name":"y"}{"name":"y"}]'), 400, "JSON at byte 97: found '{', expected ',' or ']'"),
    ("a word that begins like null", top(',"id":nul'), 400, "id is not a string: JSON at byte 79: found 'n', expected a string"),
    ("nested 64 levels deep in data", data("[" * 62 + "1" + "]" * 62), 400, 'input "x": element 0 of data is an array, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("nested over the limit in data", data("[" * 80 + "1" + "]" * 80), 400, 'input "x": element 0 of data is an array, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("nested over the limit in data that come first", one('{"data":%s,"name":"x"}' % ("[" * 5000)), 400, "input 0: JSON at byte 48: nested deeper than 32 levels"),
    ("objects nested over the limit", one('{"data":%s1%s,"name":"x"}' % ('{"a":' * 70, "}" * 70)), 400, "input 0: JSON at byte 164: nested deeper than 32 levels"),
    ("nested over the limit in an unknown member", infer('{"x":%s' % ("[" * 100)), 400, 'the request: member "x" is unknown'),
]

NUMBERS = [
    ("a plus sign", data("[+1]"), 400, "input \"x\": element 0 of data: JSON at byte 61: found '+', expected a value"),
    ("a leading zero", data("[01]"), 400, 'input "x": element 0 of data: JSON at byte 61: a number does not begin with a needless 0'),
    ("a minus alone", data("[-]"), 400, "input \"x\": element 0 of data: JSON at byte 62: found ']', expected a digit"),
    ("a point in front", data("[.5]"), 400, "input \"x\": element 0 of data: JSON at byte 61: found '.', expected a value"),
    ("a point behind", data("[1.]"), 400, "input \"x\": element 0 of data: JSON at byte 63: found ']', expected a digit"),
    ("an exponent without digits", data("[1e]"), 400, "input \"x\": element 0 of data: JSON at byte 63: found ']', expected a digit"),
    ("a sign without digits", data("[1e+]"), 400, "input \"x\": element 0 of data: JSON at byte 64: found ']', expected a digit"),
    ("hexadecimal", data("[0x10]"), 400, "input \"x\": JSON at byte 62: found 'x', expected ',' or ']'"),
    ("NaN", data("[NaN]"), 400, "input \"x\": element 0 of data: JSON at byte 61: found 'N', expected a value"),
    ("Infinity", data("[Infinity]"), 400, "input \"x\": element 0 of data: JSON at byte 61: found 'I', expected a value"),
    ("minus Infinity", data("[-Infinity]"), 400, "input \"x\": element 0 of data: JSON at byte 62: found 'I', expected a digit"),
    ("two points", data("[1.2.3]"), 400, "input \"x\": JSON at byte 64: found '.', expected ',' or ']'"),
    ("a comma for a point", data("[1,5]"), 400, 'input "x": data has more than 1 element, the shape takes 1'),
    ("a number of 5000 digits", data("[%s]" % ("1" * 5000)), 400, 'input "x": element 0 of data: JSON at byte 61: a number longer than 512 characters'),
    ("FP32 over its range", data("[1e39]"), 400, 'input "x": element 0 of data is 1e39, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("FP32 under its range", data("[-3.5e38]"), 400, 'input "x": element 0 of data is -3.5e38, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("FP32 with an endless exponent", data("[1e999999999999]"), 400, 'input "x": element 0 of data is 1e999999999999, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("FP64 over its range", data("[1e309]", "FP64"), 400, 'input "x": element 0 of data is 1e309, FP64 takes numbers from -1.7976931348623157e308 to 1.7976931348623157e308'),
    ("INT8 over", data("[128]", "INT8"), 400, 'input "x": element 0 of data is 128, INT8 takes whole numbers from -128 to 127'),
    ("INT8 under", data("[-129]", "INT8"), 400, 'input "x": element 0 of data is -129, INT8 takes whole numbers from -128 to 127'),
    ("INT16 over", data("[32768]", "INT16"), 400, 'input "x": element 0 of data is 32768, INT16 takes whole numbers from -32768 to 32767'),
    ("INT16 under", data("[-32769]", "INT16"), 400, 'input "x": element 0 of data is -32769, INT16 takes whole numbers from -32768 to 32767'),
    ("INT32 over", data("[2147483648]", "INT32"), 400, 'input "x": element 0 of data is 2147483648, INT32 takes whole numbers from -2147483648 to 2147483647'),
    ("INT32 under", data("[-2147483649]", "INT32"), 400, 'input "x": element 0 of data is -2147483649, INT32 takes whole numbers from -2147483648 to 2147483647'),
    ("INT64 over", data("[9223372036854775808]", "INT64"), 400, 'input "x": element 0 of data is 9223372036854775808, INT64 takes whole numbers from -9223372036854775808 to 9223372036854775807'),
    ("INT64 under", data("[-9223372036854775809]", "INT64"), 400, 'input "x": element 0 of data is -9223372036854775809, INT64 takes whole numbers from -9223372036854775808 to 9223372036854775807'),
    ("INT64 far over", data("[123456789012345678901234567890]", "INT64"), 400, 'input "x": element 0 of data is 123456789012345678901234567890, INT64 takes whole numbers from -9223372036854775808 to 9223372036854775807'),
    ("UINT8 over", data("[256]", "UINT8"), 400, 'input "x": element 0 of data is 256, UINT8 takes whole numbers from 0 to 255'),
    ("UINT8 under", data("[-1]", "UINT8"), 400, 'input "x": element 0 of data is -1, UINT8 takes whole numbers from 0 to 255'),
    ("UINT16 over", data("[65536]", "UINT16"), 400, 'input "x": element 0 of data is 65536, UINT16 takes whole numbers from 0 to 65535'),
    ("UINT16 under", data("[-1]", "UINT16"), 400, 'input "x": element 0 of data is -1, UINT16 takes whole numbers from 0 to 65535'),
    ("UINT32 over", data("[4294967296]", "UINT32"), 400, 'input "x": element 0 of data is 4294967296, UINT32 takes whole numbers from 0 to 4294967295'),
    ("UINT32 under", data("[-1]", "UINT32"), 400, 'input "x": element 0 of data is -1, UINT32 takes whole numbers from 0 to 4294967295'),
    ("UINT64 over", data("[18446744073709551616]", "UINT64"), 400, 'input "x": element 0 of data is 18446744073709551616, UINT64 takes whole numbers from 0 to 18446744073709551615'),
    ("UINT64 under", data("[-1]", "UINT64"), 400, 'input "x": element 0 of data is -1, UINT64 takes whole numbers from 0 to 18446744073709551615'),
    ("a fraction for an integer", data("[1.5]", "INT32"), 400, 'input "x": element 0 of data is 1.5, INT32 takes whole numbers from -2147483648 to 2147483647, written without fraction or exponent'),
    ("an exponent for an integer", data("[1e2]", "INT64"), 400, 'input "x": element 0 of data is 1e2, INT64 takes whole numbers from -9223372036854775808 to 9223372036854775807, written without fraction or exponent'),
    ("a whole fraction for an integer", data("[1.0]", "INT8"), 400, 'input "x": element 0 of data is 1.0, INT8 takes whole numbers from -128 to 127, written without fraction or exponent'),
    ("the second element is the wrong one", data("[1,300]", "UINT8", "[2]"), 400, 'input "x": element 1 of data is 300, UINT8 takes whole numbers from 0 to 255'),
    ("BOOL from 2", data("[2]", "BOOL"), 400, 'input "x": element 0 of data is 2, BOOL takes true, false, 1 and 0'),
    ("BOOL from -1", data("[-1]", "BOOL"), 400, 'input "x": element 0 of data is -1, BOOL takes true, false, 1 and 0'),
    ("BOOL from 0.5", data("[0.5]", "BOOL"), 400, 'input "x": element 0 of data is 0.5, BOOL takes true, false, 1 and 0'),
]

TYPES = [
    ("inputs is an object", infer('{"inputs":{}}'), 400, "inputs is not an array: JSON at byte 10: found '{', expected an array"),
    ("inputs is a string", infer('{"inputs":"x"}'), 400, "inputs is not an array: JSON at byte 10: found '\"', expected an array"),
    ("inputs is null", infer('{"inputs":null}'), 400, "inputs is not an array: JSON at byte 10: found 'n', expected an array"),
    ("an input is a number", one("1"), 400, "input 0: JSON at byte 11: found '1', expected an object"),
    ("an input is an array", one("[]"), 400, "input 0: JSON at byte 11: found '[', expected an object"),
    ("an input is null", one("null"), 400, "input 0: JSON at byte 11: found 'n', expected an object"),
    ("the second input is a string", infer('{"inputs":[%s,"b"]}' % A, model="pair"), 400, "input 1: JSON at byte 65: found '\"', expected an object"),
    ("a name is a number", one('{"name":1}'), 400, "input 0: name: JSON at byte 19: found '1', expected a string"),
    ("a name is null", one('{"name":null}'), 400, "input 0: name: JSON at byte 19: found 'n', expected a string"),
    ("a shape is a number", one('{"name":"x","shape":4}'), 400, "input \"x\": shape: JSON at byte 31: found '4', expected an array"),
    ("a shape is a string", one('{"name":"x","shape":"[1,4]"}'), 400, "input \"x\": shape: JSON at byte 31: found '\"', expected an array"),
    ("a shape is an object", one('{"name":"x","shape":{}}'), 400, "input \"x\": shape: JSON at byte 31: found '{', expected an array"),
    ("a shape is null", one('{"name":"x","shape":null}'), 400, "input \"x\": shape: JSON at byte 31: found 'n', expected an array"),
    ("a dimension is a string", one('{"name":"x","shape":["1",4]}'), 400, "input \"x\": shape: JSON at byte 32: found '\"', expected a number"),
    ("a dimension is null", one('{"name":"x","shape":[null,4]}'), 400, "input \"x\": shape: JSON at byte 32: found 'n', expected a number"),
    ("a dimension is an array", one('{"name":"x","shape":[[1],4]}'), 400, "input \"x\": shape: JSON at byte 32: found '[', expected a number"),
    ("a dimension is a boolean", one('{"name":"x","shape":[true,4]}'), 400, "input \"x\": shape: JSON at byte 32: found 't', expected a number"),
    ("a dimension is a fraction", shaped("[1.5,4]"), 400, 'input "x": shape: found 1.5, expected a whole number, 0 or more, written without fraction or exponent'),
    ("a datatype is a number", one('{"name":"x","datatype":1}'), 400, "input \"x\": datatype: JSON at byte 34: found '1', expected a string"),
    ("a datatype is null", one('{"name":"x","datatype":null}'), 400, "input \"x\": datatype: JSON at byte 34: found 'n', expected a string"),
    ("an unknown datatype", one('{"name":"x","datatype":"FP31"}'), 400, "input \"x\": datatype is none of the protocol's (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES)"),
    ("a datatype in small letters", one('{"name":"x","datatype":"fp32"}'), 400, "input \"x\": datatype is none of the protocol's (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES)"),
    ("an empty datatype", one('{"name":"x","datatype":""}'), 400, "input \"x\": datatype is none of the protocol's (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES)"),
    ("a datatype of NumPy", one('{"name":"x","datatype":"float32"}'), 400, "input \"x\": datatype is none of the protocol's (BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES)"),
    ("data is a number", data("1"), 400, "input \"x\": data is not an array: JSON at byte 60: found '1', expected an array"),
    ("data is a string", data('"AAAA"'), 400, "input \"x\": data is not an array: JSON at byte 60: found '\"', expected an array"),
    ("data is an object", data("{}"), 400, "input \"x\": data is not an array: JSON at byte 60: found '{', expected an array"),
    ("data is null", data("null"), 400, "input \"x\": data is not an array: JSON at byte 60: found 'n', expected an array"),
    ("data is true", data("true"), 400, "input \"x\": data is not an array: JSON at byte 60: found 't', expected an array"),
    ("an element is a string", data('["1"]'), 400, 'input "x": element 0 of data is a string, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("an element is null", data("[null]"), 400, 'input "x": element 0 of data is null, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("an element is true", data("[true]"), 400, 'input "x": element 0 of data is a boolean, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("an element is an object", data("[{}]"), 400, 'input "x": element 0 of data is an object, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("a BOOL is a string", data('["true"]', "BOOL"), 400, 'input "x": element 0 of data is a string, BOOL takes true, false, 1 and 0'),
    ("a BOOL is null", data("[null]", "BOOL"), 400, 'input "x": element 0 of data is null, BOOL takes true, false, 1 and 0'),
    ("a BOOL is half a word", data("[tru]", "BOOL"), 400, "input \"x\": element 0 of data: JSON at byte 61: found 't', expected true"),
    ("a BYTES is a number", data("[1]", "BYTES"), 400, 'input "x": element 0 of data is a number, BYTES takes strings'),
    ("a BYTES is null", data("[null]", "BYTES"), 400, 'input "x": element 0 of data is null, BYTES takes strings'),
    ("a BYTES is not UTF-8", infer(b'{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["\xff"]}]}', model="BYTES"), 400, 'input "x": element 0 of data: JSON at byte 63: not UTF-8'),
    ("FP16 in JSON", data("[1]", "FP16"), 400, 'input "x": FP16 has no JSON form; send the tensor in binary (binary_data_size)'),
    ("BF16 in JSON", data("[1]", "BF16"), 400, 'input "x": BF16 has no JSON form; send the tensor in binary (binary_data_size)'),
    ("id is a number", top(',"id":42'), 400, "id is not a string: JSON at byte 79: found '4', expected a string"),
    ("id is null", top(',"id":null'), 400, "id is not a string: JSON at byte 79: found 'n', expected a string"),
    ("id is an object", top(',"id":{}'), 400, "id is not a string: JSON at byte 79: found '{', expected a string"),
    ("id is an array", top(',"id":["1"]'), 400, "id is not a string: JSON at byte 79: found '[', expected a string"),
    ("id is too long", top(',"id":"%s"' % ("i" * 257)), 400, "id is longer than 256 bytes"),
    ("model_name is a number", top(',"model_name":1'), 400, "model_name: JSON at byte 87: found '1', expected a string"),
    ("model_version is a number", top(',"model_version":1'), 400, "model_version: JSON at byte 90: found '1', expected a string"),
    ("another model_name", top(',"model_name":"pair"'), 400, 'model_name is not "m", the model of the path'),
    ("another model_version", top(',"model_version":"2"'), 400, 'model_version is not "1", the version of the path'),
    ("parameters is an array", top(',"parameters":[]'), 400, "parameters: JSON at byte 87: found '[', expected an object"),
    ("parameters is null", top(',"parameters":null'), 400, "parameters: JSON at byte 87: found 'n', expected an object"),
    ("parameters is a string", top(',"parameters":"x"'), 400, "parameters: JSON at byte 87: found '\"', expected an object"),
    ("an unknown parameter", top(',"parameters":{"temperature":1}'), 400, 'parameter "temperature" is not supported'),
    ("a sequence", top(',"parameters":{"sequence_id":1}'), 400, "sequences are not offered: each request stands alone; leave the sequence parameters out"),
    ("timeout is a string", top(',"parameters":{"timeout":"1"}'), 400, "parameter timeout, in microseconds: JSON at byte 98: found '\"', expected a number"),
    ("timeout is negative", top(',"parameters":{"timeout":-1}'), 400, "parameter timeout is a whole number of microseconds"),
    ("timeout is a fraction", top(',"parameters":{"timeout":0.5}'), 400, "parameter timeout is a whole number of microseconds"),
    ("timeout is over 64 bits", top(',"parameters":{"timeout":18446744073709551616}'), 400, "parameter timeout is a whole number of microseconds"),
    ("timeout twice", top(',"parameters":{"timeout":1000000,"timeout":1000000}'), 400, 'parameter "timeout" is repeated'),
    ("binary_data_output is a number", top(',"parameters":{"binary_data_output":1}'), 400, "parameter binary_data_output: JSON at byte 109: found '1', expected true or false"),
    ("binary_data_output twice", top(',"parameters":{"binary_data_output":true,"binary_data_output":true}'), 400, 'parameter "binary_data_output" is repeated'),
    ("input parameters is an array", one('{"name":"x","parameters":[]}'), 400, "input \"x\": parameters: JSON at byte 36: found '[', expected an object"),
    ("input parameters is null", one('{"name":"x","parameters":null}'), 400, "input \"x\": parameters: JSON at byte 36: found 'n', expected an object"),
    ("an unknown parameter of an input", one('{"name":"x","parameters":{"content_type":"np"}}'), 400, 'input "x": parameter "content_type" is not supported'),
    ("a shared memory region", one('{"name":"x","parameters":{"shared_memory_region":"r"}}'), 400, 'input "x": parameter "shared_memory_region": shared memory is not offered; send the tensor, and ask for the answer, in the body'),
    ("outputs is an object", top(',"outputs":{}'), 400, "outputs is not an array: JSON at byte 84: found '{', expected an array"),
    ("outputs is null", top(',"outputs":null'), 400, "outputs is not an array: JSON at byte 84: found 'n', expected an array"),
    ("an output is a string", top(',"outputs":["y"]'), 400, "output 0: JSON at byte 85: found '\"', expected an object"),
    ("an output without a name", top(',"outputs":[{}]'), 400, "output 0: name is missing"),
    ("an output's name is a number", top(',"outputs":[{"name":1}]'), 400, "output 0: name: JSON at byte 93: found '1', expected a string"),
    ("an output's name is empty", top(',"outputs":[{"name":""}]'), 400, 'the model has no output ""; its first is "y"'),
    ("an unknown output", top(',"outputs":[{"name":"z"}]'), 400, 'the model has no output "z"; its first is "y"'),
    ("an output of another case", top(',"outputs":[{"name":"Y"}]'), 400, 'the model has no output "Y"; its first is "y"'),
    ("an output twice", top(',"outputs":[{"name":"y"},{"name":"y"}]'), 400, 'output "y" is asked for twice'),
    ("an output's name twice", top(',"outputs":[{"name":"y","name":"y"}]'), 400, 'output 0: member "name" is repeated'),
    ("an output with data", top(',"outputs":[{"name":"y","data":[1]}]'), 400, 'output 0: member "data" is unknown'),
    ("an output with a shape", top(',"outputs":[{"name":"y","shape":[1,4]}]'), 400, 'output 0: member "shape" is unknown'),
    ("output parameters is an array", top(',"outputs":[{"name":"y","parameters":[]}]'), 400, "output 0: parameters: JSON at byte 110: found '[', expected an object"),
    ("an unknown parameter of an output", top(',"outputs":[{"name":"y","parameters":{"x":1}}]'), 400, 'output 0: parameter "x" is not supported'),
    ("an output's binary_data is a number", top(',"outputs":[{"name":"y","parameters":{"binary_data":1}}]'), 400, "output 0: binary_data: JSON at byte 125: found '1', expected true or false"),
    ("an output's binary_data twice", top(',"outputs":[{"name":"y","parameters":{"binary_data":true,"binary_data":true}}]'), 400, 'output 0: parameter "binary_data" is repeated'),
    ("an output's parameters twice", top(',"outputs":[{"name":"y","parameters":{},"parameters":{}}]'), 400, 'output 0: member "parameters" is repeated'),
    ("an output of FP16 in JSON", binary('{"name":"x","shape":[1],"datatype":"FP16","parameters":{"binary_data_size":2}}', b"\0\0", model="FP16"), 400, 'output "y" is FP16, which has no JSON form; ask for binary_data'),
]

SHAPES = [
    ("a dimension too few", shaped("[4]"), 400, 'input "x": shape [4] has 1 dimension, the model takes [-1,4]'),
    ("a dimension too many", shaped("[1,1,4]"), 400, 'input "x": shape [1,1,4] has 3 dimensions, the model takes [-1,4]'),
    ("no dimensions", shaped("[]"), 400, 'input "x": shape [] has 0 dimensions, the model takes [-1,4]'),
    ("a wrong dimension", shaped("[1,5]"), 400, 'input "x": shape is [1,5], the model takes [-1,4]'),
    ("dimensions exchanged", shaped("[4,1]"), 400, 'input "x": shape is [4,1], the model takes [-1,4]'),
    ("a negative dimension", shaped("[-1,4]"), 400, 'input "x": shape: found -1, expected a whole number, 0 or more, written without fraction or exponent'),
    ("minus zero", shaped("[-0,4]"), 400, 'input "x": data has more than 0 elements, the shape takes 0'),
    ("a dimension over 63 bits", shaped("[9223372036854775808,4]"), 400, 'input "x": shape: found 9223372036854775808, expected a whole number, 0 or more, written without fraction or exponent'),
    ("a dimension over 64 bits", shaped("[18446744073709551616,4]"), 400, 'input "x": shape: found 18446744073709551616, expected a whole number, 0 or more, written without fraction or exponent'),
    ("a dimension with an exponent", shaped("[1e0,4]"), 400, 'input "x": shape: found 1e0, expected a whole number, 0 or more, written without fraction or exponent'),
    ("thirteen dimensions", shaped("[1,1,1,1,1,1,1,1,1,1,1,1,1]"), 400, 'input "x": shape has more than 12 dimensions'),
    ("a thousand dimensions", shaped("[%s]" % ",".join(["1"] * 1000)), 400, 'input "x": shape has more than 12 dimensions'),
    ("a product over 63 bits", shaped("[4611686018427387904,4]"), 400, 'input "x": the shape has more elements than fit in memory'),
    ("a product that wraps to 4", shaped("[4611686018427387905,4]"), 400, 'input "x": the shape has more elements than fit in memory'),
    ("bytes that wrap", data("[1]", "FP64", "[2305843009213693953]"), 400, 'input "x": the shape has more elements than fit in memory'),
    ("bytes that wrap for INT64", data("[1]", "INT64", "[2305843009213693952]"), 400, 'input "x": the shape has more elements than fit in memory'),
    ("more elements than memory", data("[1]", "INT8", "[1099511627776]"), 413, "input \"x\": the request's tensors together are larger than the server allows"),
    ("a batch over the slot", shaped("[100000000,4]"), 413, "input \"x\": the request's tensors together are larger than the server allows"),
    ("no data for the shape", data("[]"), 400, 'input "x": data has 0 elements, the shape takes 1'),
    ("too few data", shaped("[2,4]"), 400, 'input "x": data has 4 elements, the shape takes 8'),
    ("too many data", data("[1,2,3,4,5]", "m", "[1,4]"), 400, 'input "x": data has more than 4 elements, the shape takes 4'),
    ("data for a batch of none", data("[1]", "FP32", "[0]"), 400, 'input "x": data has more than 0 elements, the shape takes 0'),
    ("a scalar of two", data("[1,2]", "point", "[]"), 400, 'input "x": data has more than 1 element, the shape takes 1'),
    ("a scalar of none", data("[]", "point", "[]"), 400, 'input "x": data has 0 elements, the shape takes 1'),
    ("a scalar with a dimension", data("[1]", "point", "[1]"), 400, 'input "x": shape [1] has 1 dimension, the model takes []'),
    ("nested: too few rows", data("[[1,2,3]]", "box", "[2,3]"), 400, 'input "x": data is nested otherwise than the shape says: an array at depth 1 does not have 2 elements'),
    ("nested: too many rows", data("[[1,2,3],[4,5,6],[7,8,9]]", "box", "[2,3]"), 400, 'input "x": data is nested otherwise than the shape says: an array at depth 1 does not have 2 elements'),
    ("nested: a short row", data("[[1,2,3],[4,5]]", "box", "[2,3]"), 400, 'input "x": data is nested otherwise than the shape says: an array at depth 2 does not have 3 elements'),
    ("nested: a long row", data("[[1,2,3,4],[5,6]]", "box", "[2,3]"), 400, 'input "x": data is nested otherwise than the shape says: an array at depth 2 does not have 3 elements'),
    ("nested: transposed", data("[[1,2],[3,4],[5,6]]", "box", "[2,3]"), 400, 'input "x": data is nested otherwise than the shape says: an array at depth 2 does not have 3 elements'),
    ("nested: flat behind", data("[[1,2,3],4,5,6]", "box", "[2,3]"), 400, "input \"x\": data is nested less deeply than the shape says: JSON at byte 71: found '4', expected an array"),
    ("nested: flat in front", data("[1,2,3,[4,5,6]]", "box", "[2,3]"), 400, 'input "x": element 3 of data is an array, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("nested: a level too many", data("[[[1],[2],[3]],[[4],[5],[6]]]", "box", "[2,3]"), 400, 'input "x": element 0 of data is an array, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("nested: an empty row", data("[[],[]]", "box", "[2,3]"), 400, 'input "x": data is nested otherwise than the shape says: an array at depth 2 does not have 3 elements'),
    ("nested data for one dimension", data("[[1]]"), 400, 'input "x": element 0 of data is an array, FP32 takes numbers from -3.4028235e38 to 3.4028235e38'),
    ("another datatype", one('{"name":"x","shape":[1,4],"datatype":"INT64","data":[1,2,3,4]}'), 400, 'input "x": datatype is INT64, the model takes FP32'),
    ("a wider datatype", one('{"name":"x","shape":[1,4],"datatype":"FP64","data":[1,2,3,4]}'), 400, 'input "x": datatype is FP64, the model takes FP32'),
]

MEMBERS = [
    ("no members", infer("{}"), 400, "inputs is missing"),
    ("no inputs", infer('{"id":"1"}'), 400, "inputs is missing"),
    ("inputs is empty", infer('{"inputs":[]}'), 400, 'input "x" is missing'),
    ("an unknown member", top(',"input":[]'), 400, 'the request: member "input" is unknown'),
    ("a member of another case", infer(GOOD_JSON.replace("inputs", "Inputs")), 400, 'the request: member "Inputs" is unknown'),
    ("a member of TensorFlow's", infer('{"instances":[[1,2,3,4]]}'), 400, 'the request: member "instances" is unknown'),
    ("a member with a long name", infer('{"%s":1}' % ("n" * 200)), 400, "the request: member a name of 200 bytes is unknown"),
    ("an empty name of a member", infer('{"":1}'), 400, 'the request: member "" is unknown'),
    ("a NUL in the name of a member", infer('{"inputs\\u0000":[]}'), 400, 'the request: member "inputs?" is unknown'),
    ("inputs twice", top(',"inputs":[]'), 400, 'the request: member "inputs" is repeated'),
    ("inputs twice, once escaped", top(',"\\u0069nputs":[]'), 400, 'the request: member "inputs" is repeated'),
    ("id twice", top(',"id":"1","id":"1"'), 400, 'the request: member "id" is repeated'),
    ("outputs twice", top(',"outputs":[],"outputs":[]'), 400, 'the request: member "outputs" is repeated'),
    ("parameters twice", top(',"parameters":{},"parameters":{}'), 400, 'the request: member "parameters" is repeated'),
    ("model_name twice", top(',"model_name":"m","model_name":"m"'), 400, 'the request: member "model_name" is repeated'),
    ("an input without a name", one('{"shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}'), 400, "input 0: name is missing"),
    ("an input without a shape", one('{"name":"x","datatype":"FP32","data":[1,2,3,4]}'), 400, 'input "x": shape is missing'),
    ("an input without a datatype", one('{"name":"x","shape":[1,4],"data":[1,2,3,4]}'), 400, 'input "x": datatype is missing'),
    ("an input without data", one('{"name":"x","shape":[1,4],"datatype":"FP32"}'), 400, 'input "x": neither data nor binary_data_size is given'),
    ("an input of nothing", one("{}"), 400, "input 0: name is missing"),
    ("a name twice", one('{"name":"x","name":"x"}'), 400, 'input "x": member "name" is repeated'),
    ("a shape twice", one('{"name":"x","shape":[1,4],"shape":[1,4]}'), 400, 'input "x": member "shape" is repeated'),
    ("a datatype twice", one('{"name":"x","datatype":"FP32","datatype":"FP32"}'), 400, 'input "x": member "datatype" is repeated'),
    ("data twice", one(GOOD_INPUT[:-1] + ',"data":[1,2,3,4]}'), 400, 'input "x": member "data" is repeated'),
    ("input parameters twice", one('{"name":"x","parameters":{},"parameters":{}}'), 400, 'input "x": member "parameters" is repeated'),
    ("an unknown member of an input", one('{"name":"x","dtype":"FP32"}'), 400, 'input "x": member "dtype" is unknown'),
    ("an unknown input", one(GOOD_INPUT.replace('"x"', '"z"')), 400, 'input 0: the model has no input "z"; its first is "x"'),
    ("an input of another case", one(GOOD_INPUT.replace('"x"', '"X"')), 400, 'input 0: the model has no input "X"; its first is "x"'),
    ("an input with an empty name", one(GOOD_INPUT.replace('"x"', '""')), 400, 'input 0: the model has no input ""; its first is "x"'),
    ("an input with a NUL in its name", one(GOOD_INPUT.replace('"x"', '"x\\u0000"')), 400, 'input 0: the model has no input "x?"; its first is "x"'),
    ("an input with a long name", one(GOOD_INPUT.replace('"x"', '"%s"' % ("x" * 300))), 400, 'input 0: the model has no input a name of 300 bytes; its first is "x"'),
    ("an input with quotes in its name", one(GOOD_INPUT.replace('"x"', '"\\"x\\""')), 400, 'input 0: the model has no input ""x""; its first is "x"'),
    ("an input twice", one(GOOD_INPUT + "," + GOOD_INPUT), 400, 'input "x": given twice'),
    ("the second input is missing", infer('{"inputs":[%s]}' % A, model="pair"), 400, 'input "b" is missing'),
    ("the first input is missing", infer('{"inputs":[%s]}' % B, model="pair"), 400, 'input "a" is missing'),
    ("the first input for the second", infer('{"inputs":[%s,%s]}' % (A, A), model="pair"), 400, 'input "a": given twice'),
    ("a third input", infer('{"inputs":[%s,%s,%s]}' % (A, B, GOOD_INPUT), model="pair"), 400, 'input 2: the model has no input "x"; its first is "a"'),
    ("sixty-five inputs", infer('{"inputs":[%s]}' % ",".join([GOOD_INPUT] * 65)), 400, 'input "x": given twice'),
]

# Whatever the order of the members, what is wrong with the data is said in the same words.
ORDERS = [
    (f"members in the order {text[:60]}", one(text, "UINT8"), 400,
     'input "x": element 1 of data is 256, UINT8 takes whole numbers from 0 to 255')
    for text in permuted(['"name":"x"', '"shape":[2]', '"datatype":"UINT8"', '"data":[1,256]'])
] + [
    (f"members in the order {text[:60]}", infer(text), 400, 'input "x" is missing')
    for text in permuted(['"id":"1"', '"parameters":{}', '"outputs":[{"name":"y"}]', '"inputs":[]'])
]

BINARY = [
    ("both data and binary_data_size", binary(GOOD_INPUT[:-1] + ',"parameters":{"binary_data_size":16}}', FOUR), 400, 'input "x": both data and binary_data_size are given'),
    ("binary_data_size without the header", one('{"name":"x","shape":[1,4],"datatype":"FP32","parameters":{"binary_data_size":16}}'), 400, 'input "x": binary_data_size needs the header Inference-Header-Content-Length'),
    ("binary_data_size is a string", sized('"16"', FOUR), 400, "input \"x\": binary_data_size: JSON at byte 88: found '\"', expected a number"),
    ("binary_data_size is negative", sized("-1", FOUR), 400, 'input "x": binary_data_size is an integer, 0 or more'),
    ("binary_data_size is a fraction", sized("16.0", FOUR), 400, 'input "x": binary_data_size is an integer, 0 or more'),
    ("binary_data_size is over 64 bits", sized("18446744073709551616", FOUR), 400, 'input "x": binary_data_size is an integer, 0 or more'),
    ("binary_data_size is the most of 64 bits", sized("18446744073709551615", FOUR), 400, 'input "x": binary_data_size is 18446744073709551615, the body has 16 bytes left'),
    ("binary_data_size twice", binary('{"name":"x","parameters":{"binary_data_size":16,"binary_data_size":16}}', FOUR), 400, 'input "x": parameter "binary_data_size" is repeated'),
    ("binary_data_size is over the body", sized("17", FOUR), 400, 'input "x": binary_data_size is 17, the body has 16 bytes left'),
    ("binary_data_size is over the shape", sized("20", FOUR + b"\0" * 4), 400, 'input "x": binary data of 20 bytes, the shape takes 16 (4 elements of FP32)'),
    ("binary_data_size is under the shape", sized("12", FOUR[:12]), 400, 'input "x": binary data of 12 bytes, the shape takes 16 (4 elements of FP32)'),
    ("binary_data_size is no multiple", sized("15", FOUR[:15]), 400, 'input "x": binary data of 15 bytes, the shape takes 16 (4 elements of FP32)'),
    ("binary_data_size is 0", sized("0", b""), 400, 'input "x": binary data of 0 bytes, the shape takes 16 (4 elements of FP32)'),
    ("the shape asks for more", sized("16", FOUR, shape="[2,4]"), 400, 'input "x": binary data of 16 bytes, the shape takes 32 (8 elements of FP32)'),
    ("the shape overflows", sized("16", FOUR, shape="[4611686018427387904,4]"), 400, 'input "x": the shape has more elements than fit in memory'),
    ("a byte is left over", sized("16", FOUR + b"\0"), 400, "1 bytes are left over after the binary tensors"),
    ("a tensor is left over", sized("16", FOUR + FOUR), 400, "16 bytes are left over after the binary tensors"),
    ("data in JSON and bytes behind", binary(GOOD_INPUT, FOUR), 400, "16 bytes are left over after the binary tensors"),
    ("no binary part", sized("16", b""), 400, 'input "x": binary_data_size is 16, the body has 0 bytes left'),
    ("the header is one too small", binary(GOOD_INPUT, b"", length=len(GOOD_JSON) - 1), 400, "JSON ends at byte 73, expected ',' or '}'"),
    ("the header is over the body", binary(GOOD_INPUT, b"", length=len(GOOD_JSON) + 1), 400, "Inference-Header-Content-Length is 75, the body has 74 bytes"),
    ("the header is far over the body", binary(GOOD_INPUT, b"", length=999999999999999999), 400, "Inference-Header-Content-Length is 999999999999999999, the body has 74 bytes"),
    ("the header is not a number", binary(GOOD_INPUT, b"", length="x"), 400, "Inference-Header-Content-Length is not a number", CLOSES),
    ("the header is negative", binary(GOOD_INPUT, b"", length=-1), 400, "Inference-Header-Content-Length is not a number", CLOSES),
    ("the header has a sign", binary(GOOD_INPUT, b"", length="+5"), 400, "Inference-Header-Content-Length is not a number", CLOSES),
    ("the header is empty", binary(GOOD_INPUT, b"", length=""), 400, "Inference-Header-Content-Length is not a number", CLOSES),
    ("the header is over 64 bits", binary(GOOD_INPUT, b"", length="18446744073709551616"), 400, "Inference-Header-Content-Length is not a number", CLOSES),
    ("the header is a list", binary(GOOD_INPUT, b"", length="65, 65"), 400, "Inference-Header-Content-Length is not a number", CLOSES),
    ("BOOL of 2", sized("1", b"\2", "BOOL", "[1]"), 400, 'input "x": element 0 of a BOOL tensor is neither 0 nor 1'),
    ("BYTES: no length", sized("3", b"\0\0\0", "BYTES", "[1]"), 400, 'input "x": the binary data end inside element 0 of 1'),
    ("BYTES: a length over the rest", sized("6", b"\3\0\0\0ab", "BYTES", "[1]"), 400, 'input "x": element 0 is said to have 3 bytes, 2 are left'),
    ("BYTES: an endless length", sized("6", b"\xff\xff\xff\xffab", "BYTES", "[1]"), 400, 'input "x": element 0 is said to have 4294967295 bytes, 2 are left'),
    ("BYTES: an element is missing", sized("5", b"\1\0\0\0a", "BYTES", "[2]"), 400, 'input "x": the binary data end inside element 1 of 2'),
    ("BYTES: bytes left over", sized("7", b"\2\0\0\0abc", "BYTES", "[1]"), 400, "input \"x\": 1 bytes are left over after the shape's 1 elements"),
    ("BYTES: more elements than bytes", sized("4", b"\0\0\0\0", "BYTES", "[1000000000000]"), 413, "input \"x\": the request's tensors together are larger than the server allows"),
    ("raw: too few bytes", infer(FOUR[:8], "Inference-Header-Content-Length: 0"), 400, 'input "x": binary data of 8 bytes, the shape takes 16 (4 elements of FP32)'),
    ("raw: too many bytes", infer(FOUR + FOUR, "Inference-Header-Content-Length: 0"), 400, 'input "x": binary data of 32 bytes, the shape takes 16 (4 elements of FP32)'),
    ("raw: no bytes", infer(b"", "Inference-Header-Content-Length: 0"), 400, 'input "x": binary data of 0 bytes, the shape takes 16 (4 elements of FP32)'),
    ("raw: no multiple of the element", infer(FOUR[:15], "Inference-Header-Content-Length: 0"), 400, 'input "x": binary data of 15 bytes, the shape takes 16 (4 elements of FP32)'),
    ("raw: two inputs", infer(FOUR, "Inference-Header-Content-Length: 0", model="pair"), 400, "a body without JSON needs a model with one input, this has 2"),
]

FRAMING = [
    ("no Content-Length", head("POST", INFER), 411, "Content-Length is required", CLOSES),
    ("a body without a length", head("POST", INFER) + GOOD_JSON.encode(), 411, "Content-Length is required", CLOSES),
    ("an upload without a length", head("PUT", UPLOAD), 411, "Content-Length is required", CLOSES),
    ("a chunked body", head("POST", INFER, "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\n\r\n", 411, "Transfer-Encoding is not taken; send Content-Length", CLOSES),
    ("an unknown transfer encoding", head("POST", INFER, "Transfer-Encoding: gzip"), 411, "Transfer-Encoding is not taken; send Content-Length", CLOSES),
    ("a length and an encoding", send("POST", INFER, GOOD_JSON, "Transfer-Encoding: chunked"), 400, "both Content-Length and Transfer-Encoding are given", CLOSES),
    ("an encoding and a length", head("POST", INFER, "Transfer-Encoding: chunked", "Content-Length: 3"), 400, "both Content-Length and Transfer-Encoding are given", CLOSES),
    ("a length and an identity encoding", send("POST", INFER, GOOD_JSON, "Transfer-Encoding: identity"), 400, "both Content-Length and Transfer-Encoding are given", CLOSES),
    ("two lengths", send("POST", INFER, GOOD_JSON, "Content-Length: 5"), 400, "the header Content-Length is repeated", CLOSES),
    ("two lengths that agree", send("POST", INFER, GOOD_JSON, f"Content-Length: {len(GOOD_JSON)}"), 400, "the header Content-Length is repeated", CLOSES),
    ("a list of lengths", head("POST", INFER, "Content-Length: 5, 5"), 400, "Content-Length is not a number", CLOSES),
    ("a negative length", head("POST", INFER, "Content-Length: -5"), 400, "Content-Length is not a number", CLOSES),
    ("a length with a sign", head("POST", INFER, "Content-Length: +5"), 400, "Content-Length is not a number", CLOSES),
    ("a hexadecimal length", head("POST", INFER, "Content-Length: 0x5"), 400, "Content-Length is not a number", CLOSES),
    ("a length of a fraction", head("POST", INFER, "Content-Length: 5.0"), 400, "Content-Length is not a number", CLOSES),
    ("an empty length", head("POST", INFER, "Content-Length: "), 400, "Content-Length is not a number", CLOSES),
    ("a length that is no number", head("POST", INFER, "Content-Length: five"), 400, "Content-Length is not a number", CLOSES),
    ("a length over 64 bits", head("POST", INFER, "Content-Length: 18446744073709551617"), 400, "Content-Length is not a number", CLOSES),
    ("a length that is a space", head("POST", INFER, "Content-Length: 5 5"), 400, "Content-Length is not a number", CLOSES),
    ("a body with GET", send("GET", "/v2", b"x"), 400, "GET takes no body", CLOSES),
    ("a body with DELETE", send("DELETE", UPLOAD, b"{}"), 400, "DELETE takes no body", CLOSES),
    ("two hosts", get("/v2", "Host: y"), 400, "the header Host is repeated", CLOSES),
    ("two hosts that agree", get("/v2", "Host: x"), 400, "the header Host is repeated", CLOSES),
    ("no host", b"GET /v2 HTTP/1.1\r\nAuthorization: Bearer @KEY@\r\n\r\n", 400, "the header Host is missing", CLOSES),
    ("an empty host", b"GET /v2 HTTP/1.1\r\nHost: \r\nAuthorization: Bearer @KEY@\r\n\r\n", 400, "the header Host is missing", CLOSES),
    ("two keys", get("/v2", "Authorization: Bearer @KEY@"), 400, "the header Authorization is repeated", CLOSES),
    ("two kinds of key", get("/v2", "X-Api-Key: @KEY@"), 400, "both Authorization and X-Api-Key are given; send one", CLOSES),
    ("two X-Api-Key", b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Api-Key: @KEY@\r\nx-api-key: @KEY@\r\n\r\n", 400, "the header X-Api-Key is repeated", CLOSES),
    ("two content types", send("POST", INFER, GOOD_JSON, "Content-Type: application/json", "content-type: text/plain"), 400, "the header Content-Type is repeated", CLOSES),
    ("two content encodings", send("POST", INFER, GOOD_JSON, "Content-Encoding: gzip", "Content-Encoding: gzip"), 400, "the header Content-Encoding is repeated", CLOSES),
    ("two binary headers", infer(GOOD_JSON, "Inference-Header-Content-Length: 5", "Inference-Header-Content-Length: 5"), 400, "the header Inference-Header-Content-Length is repeated", CLOSES),
    ("two request ids", get("/v2", "X-Request-Id: a", "X-Request-Id: b"), 400, "the header X-Request-Id is repeated", CLOSES),
    ("two timeouts", get("/v2", "X-Request-Timeout-Ms: 1", "X-Request-Timeout-Ms: 1"), 400, "the header X-Request-Timeout-Ms is repeated", CLOSES),
    ("a timeout that is no number", infer(GOOD_JSON, "X-Request-Timeout-Ms: soon"), 400, "X-Request-Timeout-Ms is not a number", CLOSES),
    ("a negative timeout", infer(GOOD_JSON, "X-Request-Timeout-Ms: -1"), 400, "X-Request-Timeout-Ms is not a number", CLOSES),
    ("a timeout of a fraction", infer(GOOD_JSON, "X-Request-Timeout-Ms: 1.5"), 400, "X-Request-Timeout-Ms is not a number", CLOSES),
    ("a timeout of nothing", infer(GOOD_JSON, "X-Request-Timeout-Ms: 0"), 504, "X-Request-Timeout-Ms: the 0 ms passed with 0 of 74 bytes of the body read", CLOSES),
    ("a timeout of a microsecond", top(',"parameters":{"timeout":1}'), 504, "the deadline passed before the run"),
    ("sixty-one headers", get("/v2", *[f"X-{i}: y" for i in range(59)]), 400, "more than 60 headers", CLOSES),
    ("sixty-four headers", get("/v2", *[f"X-{i}: y" for i in range(62)]), 400, "more than 60 headers", CLOSES),
    ("sixty-five headers", get("/v2", *[f"X-{i}: y" for i in range(63)]), 400, "more than 60 headers", CLOSES),
    ("a hundred headers", get("/v2", *[f"X-{i}: y" for i in range(100)]), 400, "more than 60 headers", CLOSES),
    ("a header of 20,000 bytes", get("/v2", "X-A: " + "a" * 20000), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a header name with a space", get("/v2", "X A: b"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a space before the colon", get("/v2", "X-A : b"), 400, "a header line is malformed", CLOSES),
    ("a header without a colon", get("/v2", "nonsense"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a header without a name", get("/v2", ": b"), 400, "a header line is malformed", CLOSES),
    ("a folded header", get("/v2", "X-A: b", " c"), 400, "a header line is malformed", CLOSES),
    ("a header name of no letters", get("/v2", "\xff: b"), 400, "a header line is malformed", CLOSES),
    ("a header name with a bracket", get("/v2", "X(A): b"), 400, "a header has a malformed name", CLOSES),
    ("a control character in a value", get("/v2", "X-A: a\x01b"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a delete character in a value", get("/v2", "X-A: a\x7fb"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a NUL in a value", get("/v2", "X-A: a\0b"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a carriage return in a value", get("/v2", "X-A: a\rb"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("bare line feeds", get("/v2").replace(b"\r\n", b"\n"), 400, "a header line is malformed", CLOSES),
    ("an unknown expectation", send("POST", INFER, GOOD_JSON, "Expect: wonders"), 400, "Expect can only be 100-continue", CLOSES),
    ("an unknown method", head("BREW", "/v2"), 501, "the method BREW is not known here", CLOSES),
    ("an unknown method with a body", send("BREW", "/v2", b"coffee"), 501, "the method BREW is not known here", CLOSES),
    ("an unknown method and a query", head("BREW", "/v2?x=1"), 501, "the method BREW is not known here", CLOSES),
    ("an unknown method where nothing is", head("BREW", "/nowhere"), 501, "the method BREW is not known here", CLOSES),
    ("an unknown method and a folded header", head("BREW", "/v2", "X-A: b", " c"), 400, "a header line is malformed", CLOSES),
    ("an unknown method and a bare line feed", head("BREW", "/v2").replace(b"x\r\n", b"x\n"), 400, "a header holds a control character", CLOSES),
    ("an unknown method and seventy headers", head("BREW", "/v2", *[f"X-{i}: y" for i in range(70)]), 400, "more than 60 headers", CLOSES),
    ("an unknown method and no headers", b"BREW /v2 HTTP/1.1\r\n\r\n", 400, "the header Host is missing", CLOSES),
    ("an unknown method and two spaces", head("BREW", " /v2"), 400, "a header line is malformed", CLOSES),
    ("an unknown method of HTTP/2", head("BREW", "/v2", version="HTTP/2.0"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a method of WebDAV", head("PROPFIND", "/v2"), 501, "the method PROPFIND is not known here"),
    ("a method in small letters", head("get", "/v2"), 501, "the method get is not known here", CLOSES),
    ("CONNECT", head("CONNECT", "x:443"), 405, "the server's paths take GET, HEAD, POST, PUT, DELETE", CLOSES),
    ("CONNECT to an address", head("CONNECT", "https://x/"), 400, "the target of CONNECT is a host and a port", CLOSES),
    ("HTTP/2", head("GET", "/v2", version="HTTP/2.0"), 400, "HTTP 1.1 is spoken here", CLOSES),
    ("HTTP/0.9", b"GET /v2\r\n\r\n", 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("HTTP/1.2", head("GET", "/v2", version="HTTP/1.2"), 400, "HTTP 1.1 is spoken here", CLOSES),
    ("a version that is none", head("GET", "/v2", version="HTTP/x"), 400, "HTTP 1.1 is spoken here", CLOSES),
    ("two spaces behind the method", head("GET", " /v2"), 400, "a header line is malformed", CLOSES),
    ("two spaces behind the path", head("GET", "/v2 "), 400, "a header line is malformed", CLOSES),
    ("a space in the path", head("GET", "/v2 x"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("a body over the limit", head("POST", INFER, "Content-Length: 65537"), 413, "the body has 65537 bytes, the limit is 65536", CLOSES),
    ("a body far over the limit", head("POST", INFER, "Content-Length: 999999999999999999"), 413, "the body has 999999999999999999 bytes, the limit is 65536", CLOSES),
    ("a body over the limit, expecting", head("POST", INFER, "Content-Length: 65537", "Expect: 100-continue"), 413, "the body has 65537 bytes, the limit is 65536", CLOSES),
    ("another key scheme", b"GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Basic @KEY@\r\n\r\n", 401, "a valid API key is required"),
    ("a key without a scheme", b"GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: @KEY@\r\n\r\n", 401, "a valid API key is required"),
    ("an empty key", b"GET /v2 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \r\n\r\n", 401, "a valid API key is required"),
    ("a key of 5000 bytes", b"GET /v2 HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + b"k" * 5000 + b"\r\n\r\n", 401, "a valid API key is required"),
]

NO_NAME = ("there is nothing at this path: the name of a model is a letter or digit, then up to 63 "
           "letters, digits, '.', '_' and '-'")
PATHS = [
    ("the root", get("/"), 404, "there is nothing at this path"),
    ("nowhere", get("/nowhere"), 404, "there is nothing at this path"),
    ("no slash in front", get("v2"), 400, "the target is neither a path, which begins with /, nor an address that begins with https://", CLOSES),
    ("an asterisk", get("*"), 400, "the target * is for OPTIONS alone", CLOSES),
    ("OPTIONS and an asterisk", head("OPTIONS", "*"), 405, "the server's paths take GET, HEAD, POST, PUT, DELETE", CLOSES),
    ("an absolute address of nothing", get("https://x/nowhere"), 404, "there is nothing at this path", CLOSES),
    ("an absolute address without a path", get("https://x"), 404, "there is nothing at this path", CLOSES),
    ("an absolute address of another scheme", get("http://x/v2"), 400, "the target is neither a path, which begins with /, nor an address that begins with https://", CLOSES),
    ("an absolute address without a host", get("https:///v2"), 400, "the target's host is malformed", CLOSES),
    ("an absolute address with a user", get("https://u@x/v2"), 400, "the target's host is malformed", CLOSES),
    ("an absolute address and a query", get("https://x/v2?y=1"), 400, "this path takes no query parameters", CLOSES),
    ("an absolute address, folded", get("https://x/v2", "X-A: b", " c"), 400, "a header line is malformed", CLOSES),
    ("an empty segment", get("/v2//models/m"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("two slashes in front", get("//v2"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an empty model", get("/v2/models//"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("dots", get("/v2/models/../models/m"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("dots behind an empty segment", get("/v2/models//../x"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("dots at the end", get("/v2/models/m/.."), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("a dot", get("/v2/./models/m"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("escaped dots", get("/v2/models/%2e%2e/m"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("half escaped dots", get("/v2/models/.%2E/m"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escaped slash", get("/v2/models/a%2fb"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("a backslash", get("/v2/models/a\\b"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escaped backslash", get("/v2/models/a%5cb"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escaped NUL", get("/v2/models/m%00"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escaped new line", get("/v2/models/m%0d%0aX:y"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escaped space", get("/v2/models/m%20"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escape of one digit", get("/v2/models/m%4"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an escape of no digits", get("/v2/models/m%zz"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("a bare percent sign", get("/v2/models/%"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("a twice escaped dot", get("/v2/models/%252e%252e/m"), 404, "there is nothing at this path"),
    ("bytes over 127", get("/v2/models/\xc3\xa4"), 400, "the request's head is malformed, or it is larger than 16384 bytes", CLOSES),
    ("escaped bytes over 127", get("/v2/models/%c3%a4"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("an overlong slash", get("/v2/models/%c0%af"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("a slash behind", get("/v2/models/m/"), 404, "there is nothing at this path"),
    ("a semicolon", get("/v2/models/m;v=1"), 404, NO_NAME),
    ("a name that begins with a dot", get("/v2/models/.m"), 404, NO_NAME),
    ("a name that begins with a dash", get("/v2/models/-m"), 404, NO_NAME),
    ("a name of 65 characters", get("/v2/models/" + "m" * 65), 404, NO_NAME),
    ("a name with a plus", get("/v2/models/a+b"), 404, NO_NAME),
    ("a name with a quote", get("/v2/models/m'--"), 404, NO_NAME),
    ("a name with a percent sign", get("/v2/models/m%25s"), 404, NO_NAME),
    ("a name with a dollar", get("/v2/models/${m}"), 404, NO_NAME),
    ("a path of 3000 bytes", get("/v2/models/" + "m" * 3000), 400, "the path is longer than 1023 bytes", CLOSES),
    ("eleven segments", get("/v2" + "/a" * 10), 404, "there is nothing at this path"),
    ("another case", get("/V2/models/m"), 404, "there is nothing at this path"),
    ("a route of another protocol", get("/v1/models/m:predict"), 404, "there is nothing at this path"),
    ("a model that is not there", get("/v2/models/nobody"), 404, 'model "nobody" is not found'),
    ("a version that is not there", get("/v2/models/m/versions/2"), 404, 'model "m" version "2" is not found'),
    ("a version that is no name", get("/v2/models/m/versions/-1"), 404, NO_NAME.replace("the name of a model", "a version")),
    ("a version without a name", get("/v2/models/m/versions/"), 404, NO_NAME.replace("the name of a model", "a version")),
    ("a model of nobody: ready", get("/v2/models/nobody/ready"), 404, 'model "nobody" is not found'),
    ("a model of nobody: infer", infer(GOOD_JSON, model="nobody"), 404, 'model "nobody" is not found'),
    ("a model of nobody: load", send("POST", "/v2/repository/models/nobody/load", "{}"), 404, 'model "nobody" is not found'),
    ("a model of nobody: unload", send("POST", "/v2/repository/models/nobody/unload", "{}"), 404, 'model "nobody" is not found'),
    ("a model of nobody: delete", head("DELETE", "/v2/repository/models/nobody/versions/1"), 404, 'model "nobody" version "1" is not found'),
    ("a query where none is taken", get("/v2?x=1"), 400, "this path takes no query parameters"),
    ("a query behind infer", send("POST", INFER + "?x=1", GOOD_JSON), 400, "this path takes no query parameters"),
    ("a fragment", get("/v2#x"), 404, "there is nothing at this path"),
]

METHODS = [
    ("POST /v2", send("POST", "/v2", "{}"), 405, "this path takes GET, HEAD"),
    ("HEAD infer", head("HEAD", INFER), 405, None),
    ("HEAD of nobody's model", head("HEAD", "/v2/models/nobody"), 404, None),
    ("HEAD with a body", send("HEAD", "/v2", b"x"), 400, None, CLOSES),
    ("PATCH /v2 with a body", send("PATCH", "/v2", b"{}"), 405, "this path takes GET, HEAD", CLOSES),
    ("OPTIONS /v2 with a body", send("OPTIONS", "/v2", b"{}"), 405, "this path takes GET, HEAD", CLOSES),
    ("OPTIONS /v2", head("OPTIONS", "/v2"), 405, "this path takes GET, HEAD"),
    ("PUT /v2/health/live", send("PUT", "/v2/health/live"), 405, "this path takes GET, HEAD"),
    ("DELETE /v2/models/m", head("DELETE", "/v2/models/m"), 405, "this path takes GET, HEAD"),
    ("PUT /v2/models/m", send("PUT", "/v2/models/m", "{}"), 405, "this path takes GET, HEAD"),
    ("PATCH /v2/models/m", send("PATCH", "/v2/models/m"), 405, "this path takes GET, HEAD"),
    ("GET infer", get(INFER), 405, "this path takes POST"),
    ("PUT infer", send("PUT", INFER, GOOD_JSON), 405, "this path takes POST"),
    ("GET index", get("/v2/repository/index"), 405, "this path takes POST"),
    ("GET load", get("/v2/repository/models/m/load"), 405, "this path takes POST"),
    ("DELETE unload", head("DELETE", "/v2/repository/models/m/unload"), 405, "this path takes POST"),
    ("GET of an upload", get(UPLOAD), 405, "this path takes PUT, DELETE"),
    ("POST of an upload", send("POST", UPLOAD, b"x"), 405, "this path takes PUT, DELETE"),
    ("POST /v1/recipient", send("POST", "/v1/recipient"), 405, "this path takes GET, HEAD"),
    ("DELETE /v1/audit", head("DELETE", "/v1/audit"), 405, "this path takes GET, HEAD"),
    ("TRACE /v2", head("TRACE", "/v2"), 405, "this path takes GET, HEAD", CLOSES),
    ("TRACE infer", head("TRACE", INFER), 405, "this path takes POST", CLOSES),
    ("HEAD of an upload", head("HEAD", UPLOAD), 405, None),
]

REPOSITORY = [
    ("index: no JSON", send("POST", "/v2/repository/index", "x"), 400, "JSON at byte 0: found 'x', expected an object"),
    ("index: an array", send("POST", "/v2/repository/index", "[]"), 400, "JSON at byte 0: found '[', expected an object"),
    ("index: an unknown member", send("POST", "/v2/repository/index", '{"name":"m"}'), 400, "the body holds a member that is not known"),
    ("index: ready is a string", send("POST", "/v2/repository/index", '{"ready":"yes"}'), 400, "ready: JSON at byte 9: found '\"', expected true or false"),
    ("index: ready twice", send("POST", "/v2/repository/index", '{"ready":false,"ready":false}'), 400, "the body holds ready twice"),
    ("index: something behind", send("POST", "/v2/repository/index", "{}{}"), 400, "JSON at byte 2: found '{', expected nothing more"),
    ("load: a configuration", send("POST", "/v2/repository/models/m/load", '{"parameters":{"config":"{}"}}'), 400, "parameters: a model is what its tenant sealed; its configuration and files cannot be overridden"),
    ("load: a file", send("POST", "/v2/repository/models/m/load", '{"parameters":{"file:1/model.onnx":"AAAA"}}'), 400, "parameters: a model is what its tenant sealed; its configuration and files cannot be overridden"),
    ("load: parameters is an array", send("POST", "/v2/repository/models/m/load", '{"parameters":[]}'), 400, "JSON at byte 14: found '[', expected an object"),
    ("load: parameters twice", send("POST", "/v2/repository/models/m/load", '{"parameters":{},"parameters":{}}'), 400, "the body holds parameters twice"),
    ("load: an unknown member", send("POST", "/v2/repository/models/m/load", '{"x":1}'), 400, "the body holds a member that is not known"),
    ("unload: dependents is a number", send("POST", "/v2/repository/models/m/unload", '{"parameters":{"unload_dependents":1}}'), 400, "unload_dependents: JSON at byte 35: found '1', expected true or false"),
    ("upload: a version that exists", send("PUT", "/v2/repository/models/m/versions/1", b"x"), 409, 'model "m" version "1" already exists'),
    ("upload: nothing", send("PUT", UPLOAD), 400, 'the model is not an age v1 file: it does not begin with "age-encryption.org/v1"; seal it first (strongroom seal)'),
    ("upload: no age file", send("PUT", UPLOAD, b"\x08\x07onnx" * 20), 400, 'the model is not an age v1 file: it does not begin with "age-encryption.org/v1"; seal it first (strongroom seal)'),
    ("upload: the first line alone", send("PUT", UPLOAD, b"age-encryption.org/v1\n"), 400, "the model ends inside its age header"),
    ("upload: half of the first line", send("PUT", UPLOAD, b"age-encryption"), 400, 'the model is not an age v1 file: it does not begin with "age-encryption.org/v1"; seal it first (strongroom seal)'),
    ("upload: another version of age", send("PUT", UPLOAD, b"age-encryption.org/v2\n-> X25519 x\n"), 400, 'the model is not an age v1 file: it does not begin with "age-encryption.org/v1"; seal it first (strongroom seal)'),
    ("upload: armour", send("PUT", UPLOAD, b"-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n"), 400, "the model is an armoured age file; send the binary form (age without --armor)"),
    ("upload: a header without an end", send("PUT", UPLOAD, b"age-encryption.org/v1\n" + b"-> x\n" * 20000), 400, "the age header is longer than 65536 bytes"),
    ("upload: a header without a recipient", send("PUT", UPLOAD, b"age-encryption.org/v1\n--- " + b"A" * 43 + b"\n"), 400, "the model ends at its age header: no payload follows"),
    ("upload: over the limit", head("PUT", UPLOAD, "Content-Length: 131073"), 413, "the sealed model has 131073 bytes, at most 131072 are taken", CLOSES),
    ("upload: an encoding", send("PUT", UPLOAD, b"x", "Content-Encoding: gzip"), 415, "the model is encoded; send it as it is"),
    ("audit: an unknown parameter", get("/v1/audit?x=1"), 400, "a query parameter is not known here; this path takes limit, before, key, model, action, outcome, request, from, to"),
    ("audit: a limit of 0", get("/v1/audit?limit=0"), 400, 'limit: found "0", expected a number from 1 to 500'),
    ("audit: a limit over the most", get("/v1/audit?limit=501"), 400, 'limit: found "501", expected a number from 1 to 500'),
    ("audit: a limit that is no number", get("/v1/audit?limit=ten"), 400, 'limit: found "ten", expected a number from 1 to 500'),
    ("audit: a limit with a sign", get("/v1/audit?limit=-1"), 400, 'limit: found "-1", expected a number from 1 to 500'),
    ("audit: an empty limit", get("/v1/audit?limit="), 400, "limit: empty; leave it out instead"),
    ("audit: a limit twice", get("/v1/audit?limit=1&limit=1"), 400, "limit: given twice"),
    ("audit: before is no number", get("/v1/audit?before=now"), 400, 'before: found "now", expected a number from 0 to 9007199254740992'),
    ("audit: before over 64 bits", get("/v1/audit?before=18446744073709551616"), 400, 'before: found "18446744073709551616", expected a number from 0 to 9007199254740992'),
]

TYPE = ("the body's Content-Type is none of application/json, application/octet-stream, "
        "application/x-www-form-urlencoded, text/plain, nor left out")
COMPRESSION = [
    ("an unknown content encoding", packed(GOOD_JSON, "br"), 415, "the body's Content-Encoding is none of gzip, deflate and identity"),
    ("several content encodings", packed(ZIPPED, "gzip, gzip"), 415, "the body's Content-Encoding is none of gzip, deflate and identity"),
    ("an empty content encoding", packed(GOOD_JSON, ""), 415, "the body's Content-Encoding is none of gzip, deflate and identity"),
    ("a body of XML", infer(GOOD_JSON, "Content-Type: text/xml"), 415, TYPE),
    ("a body of a form's parts", infer(GOOD_JSON, "Content-Type: multipart/form-data; boundary=x"), 415, TYPE),
    ("a body of an empty type", infer(GOOD_JSON, "Content-Type: "), 415, TYPE),
    ("a body of nearly a type", infer(GOOD_JSON, "Content-Type: application/jsonx"), 415, TYPE),
    ("a body of two types", infer(GOOD_JSON, "Content-Type: application/json, text/plain"), 415, TYPE),
    ("keys: a body of XML", send("POST", "/v1/keys", "{}", "Content-Type: application/xml"), 415, TYPE),
    ("index: a body of XML", send("POST", "/v2/repository/index", "{}", "Content-Type: application/xml"), 415, TYPE),
    ("an upload of a form's parts", send("PUT", UPLOAD, b"x", "Content-Type: multipart/form-data; boundary=x"), 415, TYPE),
    ("gzip of nothing", packed(b""), 400, "the body ends inside its gzip data"),
    ("gzip that is none", packed(GOOD_JSON), 400, "the body is not gzip: its compressed data are malformed"),
    ("gzip that ends early", packed(ZIPPED[:-10]), 400, "the body ends inside its gzip data"),
    ("gzip without its end", packed(ZIPPED[:-8]), 400, "the body ends inside its gzip data"),
    ("gzip with a wrong sum", packed(ZIPPED[:-8] + b"\0" * 8), 400, "the body is not gzip: its compressed data are malformed"),
    ("gzip with something behind", packed(ZIPPED + b"x"), 400, "1 bytes or more are left over after the compressed body"),
    ("gzip twice in a row", packed(ZIPPED + ZIPPED), 400, "JSON at byte 74: found '{', expected nothing more"),
    ("gzip called deflate", packed(ZIPPED, "deflate"), 400, "the body is not deflate: its compressed data are malformed"),
    ("deflate called gzip", packed(zlib.compress(GOOD_JSON.encode())), 400, "the body is not gzip: its compressed data are malformed"),
    ("deflate that ends early", packed(zlib.compress(GOOD_JSON.encode())[:-10], "deflate"), 400, "the body ends inside its deflate data"),
    ("gzip over the limit when unpacked", packed(gzip.compress(b" " * 70000, mtime=0)), 413, "the body is larger than 65536 bytes when it is decompressed, the limit"),
    ("gzip of a million to one", packed(gzip.compress(b"\0" * 50000000, mtime=0)), 413, "the body is larger than 65536 bytes when it is decompressed, the limit"),
    ("gzip of no JSON", packed(gzip.compress(b"hello", mtime=0)), 400, "JSON at byte 0: found 'h', expected an object"),
    ("gzip with the compressed length in the header", packed(ZIPPED, "gzip", "Inference-Header-Content-Length: 200"), 400, "Inference-Header-Content-Length is 200, the body has 74 bytes"),
    ("index: gzip that is none", send("POST", "/v2/repository/index", b"{}", "Content-Encoding: gzip"), 400, "the body is not gzip: its compressed data are malformed"),
]

CLASSIFICATION = [
    ("classification is a string", top(',"outputs":[{"name":"y","parameters":{"classification":"1"}}]'), 400, "output 0: classification: JSON at byte 128: found '\"', expected a number"),
    ("classification of 0", top(',"outputs":[{"name":"y","parameters":{"classification":0}}]'), 400, "output 0: classification is a whole number of classes, from 1 to 1000000"),
    ("classification of -1", top(',"outputs":[{"name":"y","parameters":{"classification":-1}}]'), 400, "output 0: classification is a whole number of classes, from 1 to 1000000"),
    ("classification of a fraction", top(',"outputs":[{"name":"y","parameters":{"classification":1.5}}]'), 400, "output 0: classification is a whole number of classes, from 1 to 1000000"),
    ("classification of far too many", top(',"outputs":[{"name":"y","parameters":{"classification":18446744073709551615}}]'), 400, "output 0: classification is a whole number of classes, from 1 to 1000000"),
    ("classification twice", top(',"outputs":[{"name":"y","parameters":{"classification":1,"classification":1}}]'), 400, 'output 0: parameter "classification" is repeated'),
    ("classification of strings", infer('{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","data":["a"]}],"outputs":[{"name":"y","parameters":{"classification":1}}]}', model="BYTES"), 400, 'output "y" is BYTES, whose values cannot be ranked: classification takes whole numbers, FP32 and FP64'),
    ("a shared memory region for an output", top(',"outputs":[{"name":"y","parameters":{"shared_memory_region":"r"}}]'), 400, 'output 0: parameter "shared_memory_region": shared memory is not offered; send the tensor, and ask for the answer, in the body'),
]

KEYS = [
    ("keys: no body", head("POST", "/v1/keys"), 411, "Content-Length is required", CLOSES),
    ("keys: an empty body", send("POST", "/v1/keys", ""), 400, "JSON ends at byte 0, expected an object"),
    ("keys: an array", send("POST", "/v1/keys", "[]"), 400, "JSON at byte 0: found '[', expected an object"),
    ("keys: no scopes", send("POST", "/v1/keys", "{}"), 400, 'scopes: missing; name what the key may do, such as ["infer"]'),
    ("keys: scopes is a string", send("POST", "/v1/keys", '{"scopes":"infer"}'), 400, "scopes: JSON at byte 10: found '\"', expected an array"),
    ("keys: scopes is empty", send("POST", "/v1/keys", '{"scopes":[]}'), 400, "scopes: at least one is needed"),
    ("keys: a scope is a number", send("POST", "/v1/keys", '{"scopes":[1]}'), 400, "scopes: JSON at byte 11: found '1', expected a string"),
    ("keys: a scope is empty", send("POST", "/v1/keys", '{"scopes":[""]}'), 400, 'scopes: "" is not a scope'),
    ("keys: two scopes in one", send("POST", "/v1/keys", '{"scopes":["infer,models:read"]}'), 400, 'scopes: "infer,models:read" is not a scope'),
    ("keys: an unknown scope", send("POST", "/v1/keys", '{"scopes":["everything"]}'), 400, 'scopes: "everything" is not a scope, known are models:read,models:write,infer,audit:read,usage:read,keys:write'),
    ("keys: a scope of the operator", send("POST", "/v1/keys", '{"scopes":["metrics"]}'), 400, 'scopes: "metrics" is not a scope, known are models:read,models:write,infer,audit:read,usage:read,keys:write'),
    ("keys: a scope with a NUL", send("POST", "/v1/keys", '{"scopes":["infer\\u0000"]}'), 400, "scopes: longer than 31 bytes, or with a zero byte"),
    ("keys: a hundred scopes", send("POST", "/v1/keys", '{"scopes":[%s]}' % ",".join(['"infer"'] * 100)), 400, "scopes: more than there are"),
    ("keys: an unknown member", send("POST", "/v1/keys", '{"scopes":["infer"],"tenant":"globex"}'), 400, "the body holds a member that is not known; it takes label, scopes and expires"),
    ("keys: scopes twice", send("POST", "/v1/keys", '{"scopes":["infer"],"scopes":["infer"]}'), 400, "the body holds a member twice"),
    ("keys: a label is a number", send("POST", "/v1/keys", '{"scopes":["infer"],"label":1}'), 400, "label: JSON at byte 28: found '1', expected a string"),
    ("keys: a label of 300 bytes", send("POST", "/v1/keys", '{"scopes":["infer"],"label":"%s"}' % ("l" * 300)), 400, "label: longer than 64 bytes, or with a zero byte"),
    ("keys: expires is a number", send("POST", "/v1/keys", '{"scopes":["infer"],"expires":1}'), 400, "expires: JSON at byte 30: found '1', expected a string"),
    ("keys: expires is no time", send("POST", "/v1/keys", '{"scopes":["infer"],"expires":"soon"}'), 400, "expires: expected a time such as 2027-01-31T00:00:00Z, or null"),
    ("keys: expires lies behind", send("POST", "/v1/keys", '{"scopes":["infer"],"expires":"2001-01-01T00:00:00Z"}'), 400, "expires: not a time to come"),
    ("keys: a body over the limit", send("POST", "/v1/keys", " " * 5000), 413, "the body has 5000 bytes, the limit is 4096", CLOSES),
    ("keys: a limit of 0", get("/v1/keys?limit=0"), 400, 'limit: found "0", expected a number from 1 to 500'),
    ("keys: an unknown parameter", get("/v1/keys?tenant=globex"), 400, "a query parameter is not known here; this path takes limit, after"),
    ("keys: an id that is none", get("/v1/keys/../audit"), 400, "the path is malformed: what stands between its slashes is one or more printable ASCII characters, escaped or not, but no space, / or \\, and is neither . nor ..", CLOSES),
    ("keys: an unknown id", get("/v1/keys/aaaaaaaaaaaa"), 404, "the key is not found"),
    ("keys: a malformed id", get("/v1/keys/x"), 404, "the key is not found"),
    ("keys: revoke an unknown id", head("DELETE", "/v1/keys/aaaaaaaaaaaa"), 404, "the key is not found"),
]

QUERIES = [
    ("audit: an outcome that there is not", get("/v1/audit?outcome=fine"), 400, 'outcome: found "fine", expected one of ok, invalid, unauthenticated, forbidden, not_found, method, conflict, length_required, too_large, encoding, unservable, locked, rate, internal, unimplemented, unavailable, deadline'),
    ("audit: a name without a value", get("/v1/audit?limit"), 400, "limit: no value is given"),
    ("audit: a malformed escape", get("/v1/audit?model=%zz"), 400, "model: a percent escape is malformed"),
    ("audit: an escaped NUL", get("/v1/audit?model=%00"), 400, "model: only printable characters without spaces are taken"),
    ("audit: a long model", get("/v1/audit?model=" + "m" * 300), 400, "model: longer than 224 characters"),
    ("audit: a time that is none", get("/v1/audit?from=yesterday"), 400, 'from: found "yesterday", expected a time such as 2026-11-23, 2026-11-23T12:00:00Z, or microseconds since 1970'),
    ("audit: a day that is none", get("/v1/audit?from=2026-02-30"), 400, 'from: found "2026-02-30", expected a time such as 2026-11-23, 2026-11-23T12:00:00Z, or microseconds since 1970'),
    ("audit: from lies after to", get("/v1/audit?from=2026-02-02&to=2026-02-01"), 400, "from: lies after to"),
    ("usage: an unknown parameter", get("/v1/usage?day=1"), 400, "a query parameter is not known here; this path takes limit, after, key, model, from, to"),
    ("usage: a day that is none", get("/v1/usage?from=2026-13-01"), 400, 'from: found "2026-13-01", expected a day such as 2026-11-23'),
    ("usage: a time for a day", get("/v1/usage?from=2026-01-01T00:00:00Z"), 400, 'from: found "2026-01-01T00:00:00Z", expected a day such as 2026-11-23'),
    ("usage: from lies after to", get("/v1/usage?from=2026-02-02&to=2026-02-01"), 400, "from: lies after to"),
    ("usage: a limit of 0", get("/v1/usage?limit=0"), 400, 'limit: found "0", expected a number from 1 to 500'),
    ("usage: an endless after", get("/v1/usage?after=" + "9" * 100), 400, "after: not what a page gave as next"),
    ("stats: a model of nobody", get("/v2/models/nobody/stats"), 404, 'model "nobody" is not found'),
    ("config: a model of nobody", get("/v2/models/nobody/config"), 404, 'model "nobody" is not found'),
    ("config: a version that is not there", get("/v2/models/m/versions/7/config"), 404, 'model "m" version "7" is not found'),
    ("metrics with a tenant's key", get("/metrics"), 403, "the API key lacks the scope metrics"),
]

NEVER = [
    ("system shared memory", get("/v2/systemsharedmemory/status"), 501, "shared memory is never offered; send tensors in the request, as JSON or binary"),
    ("a region of system shared memory", send("POST", "/v2/systemsharedmemory/region/r/register", '{"key":"/k","byte_size":1}'), 501, "shared memory is never offered; send tensors in the request, as JSON or binary"),
    ("cuda shared memory", get("/v2/cudasharedmemory/status"), 501, "shared memory is never offered; send tensors in the request, as JSON or binary"),
    ("a region of cuda shared memory", send("POST", "/v2/cudasharedmemory/region/r/unregister", ""), 501, "shared memory is never offered; send tensors in the request, as JSON or binary"),
    ("trace settings", get("/v2/trace/setting"), 501, "trace settings are never offered; send traceparent and it is answered"),
    ("a model's trace settings", send("POST", "/v2/models/m/trace/setting", '{"trace_level":["TIMESTAMPS"]}'), 501, "trace settings are never offered; send traceparent and it is answered"),
    ("log settings", send("POST", "/v2/logging", '{"log_info":true}'), 501, "log settings are never offered; they are the operator's"),
]

# The client says how much will come, sends less and ends: it still gets an answer.
CUT = [
    ("a body that ends early", head("POST", INFER, "Content-Length: 500") + GOOD_JSON.encode(), 400, "the body ended after 74 of 500 bytes", CLOSES),
    ("a body that never begins", head("POST", INFER, "Content-Length: 500"), 400, "the body ended after 0 of 500 bytes", CLOSES),
    ("an upload that ends early", head("PUT", UPLOAD, "Content-Length: 500") + b"age-encryption.org/v1\n", 400, "the body ended after 22 of 500 bytes", CLOSES),
]

SECTIONS = {name.lower(): rows for name, rows in list(globals().items())
            if name.isupper() and isinstance(rows, list)}
