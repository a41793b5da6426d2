"""The routes of a running server, as its own /openapi.json describes them: what tests are made
from. Only what OpenAPI says in general is relied on, and `x-strongroom-scope`, which names the
scope that a route's key must have (`none`: no key; `any`: every key)."""

import re

METHODS = ("get", "put", "post", "delete", "patch", "options", "head", "trace")


class Operation:
    def __init__(self, description, path, method, item):
        found = item[method]
        self.path, self.method = path, method.upper()
        self.scope = found["x-strongroom-scope"]
        self.takes_body = "requestBody" in found
        self.responses = {int(status): resolve(description, answer)
                          for status, answer in found["responses"].items()}
        self.parameters = [resolve(description, p)
                           for p in item.get("parameters", []) + found.get("parameters", [])]

    def __repr__(self):
        return f"{self.method} {self.path}"

    @property
    def names_model(self):
        return "{model}" in self.path

    def at(self, **values):
        """The path with its parameters filled in; every one of them must be known."""
        return re.sub(r"\{(\w+)\}", lambda match: values[match[1]], self.path)


def resolve(description, found):
    while "$ref" in found:
        at = description
        for part in found["$ref"].removeprefix("#/").split("/"):
            at = at[part.replace("~1", "/").replace("~0", "~")]
        found = at
    return found


def operations(description):
    """Every operation; the description's own order."""
    return [Operation(description, path, method, item)
            for path, item in description["paths"].items() for method in METHODS if method in item]


def of(server):
    answer = server.request("GET", "/openapi.json", key=None)
    if answer.status != 200:
        raise RuntimeError(f"/openapi.json: {answer}")
    return operations(answer.json)
