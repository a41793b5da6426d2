"""Loaded by schemathesis (SCHEMATHESIS_HOOKS): points what it makes up at things that are there,
checks what no description says, and notes which answers came.

Environment: SCHEMA_SEEN, the file that takes one line for each answer (method, path, status)."""

import os
import re

import schemathesis

GOOD = {"id": "1", "inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32",
                               "data": [1, 2, 3, 4]}]}
# Names that only the project's sources know, and places that only its machine has.
UNFIT = re.compile(rb"(^|[\s\"'(=])/[\w.-]+/[\w.-]+|0x[0-9a-fA-F]{4,}|\(null\)|\b\w+\.[ch]:\d+"
                   rb"|sqlite|errno|civetweb|libsodium|seccomp|STATUS_")
MODEL, VERSION = re.compile("model", re.I), re.compile("version", re.I)


def rarely(*parts):
    """True for about one in four, the same ones each time."""
    return sum(repr(parts).encode()) % 4 == 0


@schemathesis.hook
def before_call(context, case, kwargs):
    """A model that is there, as often as one that is not; and nothing is deleted that the next
    question needs: schemathesis tries what it finds in answers, the id of its own key too."""
    parameters = case.path_parameters or {}
    if case.operation.method.upper() == "DELETE":
        if "key" in parameters:
            parameters["key"] = "aaaaaaaaaaaa"
        elif "version" in parameters:
            parameters["version"] = "99"
    elif os.environ.get("SCHEMA_ONLY_GOOD") or not rarely(parameters):
        for name in parameters:
            if VERSION.search(name):
                parameters[name] = "1"
            elif MODEL.search(name):
                parameters[name] = "m"
    if case.operation.path.endswith("/infer") and rarely(case.body):
        case.body = GOOD


@schemathesis.check
def a_fit_answer(context, response, case):
    with open(os.environ["SCHEMA_SEEN"], "a") as seen:
        seen.write(f"{case.method} {case.operation.path} {response.status_code}\n")
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert response.status_code != 500, "500 is answered to nobody"
    assert "x-request-id" in headers, "the answer has no X-Request-Id"
    if response.status_code >= 400 and case.method != "HEAD":
        message = response.json()
        assert list(message) == ["error"] and message["error"], "it is no error of this API"
        assert not UNFIT.search(response.content), "the message carries what it must not"
