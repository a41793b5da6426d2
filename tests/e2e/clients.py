#!/usr/bin/env python3
"""The clients that people already have, unchanged, against a running server.

tritonclient[http] and kserve's REST client ask what they ask any other server: health, metadata,
the repository index, and every example model's question in JSON and in the binary form, which has
to come back as examples/*/answer.json says. The API key is one more header.

Then every public call of tritonclient (sync and asyncio) and of kserve's client, each with the
status that it must get. A call that a new version of a library brings fails until it is listed.

Environment: STRONGROOM_URL (https://HOST:PORT), STRONGROOM_CACERT (the certificate to trust) and
STRONGROOM_KEY (a key with models:read and infer). Without them, or without a client library, the
tests concerned are skipped by name.

Exit status: 0 all passed, 1 something failed, 77 everything was skipped (ctest's convention).
"""

import asyncio
import inspect
import json
import os
import pathlib
import ssl
import sys
import urllib.parse

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
NEEDED = ("STRONGROOM_URL", "STRONGROOM_CACERT", "STRONGROOM_KEY")
TIMEOUT = 30.0  # seconds; the first question also opens the model
RELATIVE, ABSOLUTE = 1e-3, 1e-5
UNKNOWN_MODEL = "no-such-model"


class Failure(Exception):
    """A check that did not hold: what was found, and what was expected."""


class Skip(Exception):
    """Why a test, or a group of them, cannot run here."""


def require(holds, message):
    if not holds:
        raise Failure(message)


def same(what, found, expected):
    require(found == expected, f"{what}: found {found!r}, expected {expected!r}")


class Server:
    """Where the server is and how to be let in, from the environment."""

    def __init__(self):
        missing = [name for name in NEEDED if not os.environ.get(name)]
        if missing:
            raise Skip(f"no server given: {', '.join(missing)} not set")
        self.url, self.cacert, key = (os.environ[name] for name in NEEDED)
        parts = urllib.parse.urlsplit(self.url)
        if parts.scheme != "https" or not parts.netloc:
            raise Failure(f'STRONGROOM_URL is "{self.url}", expected https://HOST:PORT')
        self.address = parts.netloc + parts.path.rstrip("/")
        self.bearer = {"Authorization": f"Bearer {key}"}
        self.api_key = {"X-Api-Key": key}


class Example:
    """A shipped model's question and answer as arrays."""

    def __init__(self, folder):
        question = json.loads((folder / "question.json").read_text(encoding="utf-8"))
        answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        self.name = folder.name
        self.inputs = {t["name"]: self._array(t) for t in question["inputs"]}
        self.outputs = {t["name"]: self._array(t) for t in answer["outputs"]}

    @staticmethod
    def _array(tensor):
        import numpy as np

        kinds = {"FP32": np.float32, "INT64": np.int64, "BYTES": np.object_}
        return np.array(tensor["data"], kinds[tensor["datatype"]]).reshape(tensor["shape"])

    def check(self, name, found):
        import numpy as np

        expected = self.outputs[name]
        require(found is not None, f'output "{name}" is missing')
        same(f'output "{name}" shape', list(found.shape), list(expected.shape))
        same(f'output "{name}" type', found.dtype, expected.dtype)
        if expected.dtype == np.object_:  # text: in binary answers as bytes
            texts = [t.decode() if isinstance(t, bytes) else t for t in found.ravel()]
            same(f'output "{name}"', texts, expected.ravel().tolist())
            return
        if expected.dtype != np.float32:
            require((found == expected).all(), f'output "{name}": {found}, expected {expected}')
            return
        close = np.allclose(found, expected, rtol=RELATIVE, atol=ABSOLUTE)
        require(close, f'output "{name}": {found}, expected {expected}')
        first = (found.argmax(-1) == expected.argmax(-1)).all()
        require(first, f'output "{name}": another class comes first')


def examples():
    return [Example(path.parent) for path in sorted(EXAMPLES.glob("*/question.json"))]


def datatype(array):
    return {"float32": "FP32", "int64": "INT64", "object": "BYTES"}[str(array.dtype)]


class TritonTests:
    """tritonclient[http]."""

    def __init__(self, server):
        try:
            from gevent.ssl import PROTOCOL_TLS_CLIENT, SSLContext
            import tritonclient.http as triton
            from tritonclient.utils import InferenceServerException
        except ImportError as error:
            raise Skip(f"tritonclient[http] is not installed ({error.name})") from None
        self.triton, self.error = triton, InferenceServerException
        self.server = server
        self.examples = examples()
        self.client = triton.InferenceServerClient(
            url=server.address,
            ssl=True,
            ssl_options={"ca_certs": server.cacert},
            # gevent's own context: with Python's, one slow handshake would hold up all the others.
            ssl_context_factory=lambda: SSLContext(PROTOCOL_TLS_CLIENT),
            concurrency=4,
            connection_timeout=TIMEOUT,
            network_timeout=TIMEOUT,
        )

    def close(self):
        self.client.close()

    @property
    def headers(self):
        """A fresh copy for each call: the client library writes its own headers into it."""
        return dict(self.server.bearer)

    def tensors(self, inputs, binary):
        result = []
        for name, array in inputs.items():
            tensor = self.triton.InferInput(name, list(array.shape), datatype(array))
            tensor.set_data_from_numpy(array, binary_data=binary)
            result.append(tensor)
        return result

    def wanted(self, names, binary):
        return [self.triton.InferRequestedOutput(name, binary_data=binary) for name in names]

    def infer(self, example, binary=True, headers=None, **options):
        return self.client.infer(
            example.name,
            self.tensors(example.inputs, binary),
            headers=headers or self.headers,
            **options,
        )

    def refused(self, status, what, call, *arguments, **options):
        """The call fails with this status and a message that says something."""
        try:
            call(*arguments, **options)
        except self.error as error:
            same(f"{what}: status", str(error.status()), str(status))
            require(error.message(), f"{what}: the refusal has no message")
            return error.message()
        raise Failure(f"{what}: was accepted, expected {status}")

    def digits(self):
        return next(example for example in self.examples if example.name == "digits")

    def test_health_needs_no_key(self):
        require(self.client.is_server_live(), "the server is not live")
        require(self.client.is_server_ready(), "the server is not ready")

    def test_server_metadata(self):
        metadata = self.client.get_server_metadata(headers=self.headers)
        for member in ("name", "version", "extensions"):
            require(member in metadata, f'"{member}" is missing from {metadata}')
        require("binary_tensor_data" in metadata["extensions"], f"extensions: {metadata}")

    def test_key_is_needed(self):
        wrong = {"Authorization": "Bearer sr_wrong_wrong_wrong"}  # no well-formed key
        self.refused(401, "no key", self.client.get_server_metadata)
        self.refused(401, "wrong key", self.client.get_server_metadata, headers=dict(wrong))
        self.refused(401, "infer, wrong key", self.infer, self.digits(), headers=dict(wrong))
        # To a stranger a model that exists and one that does not look alike.
        self.refused(401, "no key, unknown model", self.client.get_model_metadata, UNKNOWN_MODEL)

    def test_other_key_header(self):
        metadata = self.client.get_server_metadata(headers=dict(self.server.api_key))
        require("name" in metadata, f"metadata: {metadata}")

    def test_repository_index(self):
        index = self.client.get_model_repository_index(headers=self.headers)
        states = {model["name"]: model["state"] for model in index}
        for example in self.examples:
            require(example.name in states, f"{example.name} is not in the index {states}")
            same(f"{example.name}: state", states[example.name], "READY")

    def test_model_metadata(self):
        for example in self.examples:
            metadata = self.client.get_model_metadata(example.name, headers=self.headers)
            same("name", metadata["name"], example.name)
            same("platform", metadata["platform"], "onnx_onnxv1")
            require(metadata["versions"], f"{example.name} has no versions")
            for side, arrays in (("inputs", example.inputs), ("outputs", example.outputs)):
                tensors = {tensor["name"]: tensor for tensor in metadata[side]}
                same(f"{example.name} {side}", sorted(tensors), sorted(arrays))
                for name, array in arrays.items():
                    self.fits(f"{example.name} {name}", tensors[name], array)

    def fits(self, what, tensor, array):
        shape = [int(extent) for extent in tensor["shape"]]
        same(f"{what} datatype", tensor["datatype"], datatype(array))
        same(f"{what} rank", len(shape), array.ndim)
        same(f"{what} batch", shape[0], -1)
        for extent, actual in zip(shape, array.shape):
            require(extent in (-1, actual), f"{what}: shape {shape} does not fit {array.shape}")

    def test_model_ready(self):
        for example in self.examples:
            ready = self.client.is_model_ready(example.name, headers=self.headers)
            require(ready, f"{example.name} is not ready")
        ready = self.client.is_model_ready(UNKNOWN_MODEL, headers=self.headers)
        require(not ready, "a model that does not exist is ready")

    def test_infer_json(self):
        for example in self.examples:
            outputs = self.wanted(example.outputs, binary=False)
            answer = self.infer(example, binary=False, outputs=outputs, request_id="json")
            self.check(example, answer, "json", binary=False)

    def test_infer_binary(self):
        for example in self.examples:
            outputs = self.wanted(example.outputs, binary=True)
            answer = self.infer(example, outputs=outputs, request_id="binary")
            self.check(example, answer, "binary", binary=True)

    def test_infer_all_outputs_binary(self):
        # With no outputs named the client asks for all of them in binary.
        for example in self.examples:
            self.check(example, self.infer(example, request_id="all"), "all", binary=True)

    def check(self, example, answer, request_id, binary):
        response = answer.get_response()
        same("model_name", response["model_name"], example.name)
        same("id", response.get("id"), request_id)
        same("outputs", sorted(o["name"] for o in response["outputs"]), sorted(example.outputs))
        for output in response["outputs"]:
            same(f'{output["name"]} in JSON', "data" in output, not binary)
        for name in example.outputs:
            example.check(name, answer.as_numpy(name))

    def test_infer_mixed(self):
        example = next(e for e in self.examples if e.name == "trees")
        outputs = self.wanted(["label"], binary=False) + self.wanted(["probabilities"], binary=True)
        answer = self.infer(example, binary=True, outputs=outputs)
        for name in example.outputs:
            example.check(name, answer.as_numpy(name))

    def test_one_output_of_two(self):
        example = next(e for e in self.examples if e.name == "svm")
        answer = self.infer(example, outputs=self.wanted(["label"], binary=True))
        same("outputs", [o["name"] for o in answer.get_response()["outputs"]], ["label"])
        example.check("label", answer.as_numpy("label"))

    def test_batch(self):
        """Rows of a batch are answered as each would be alone."""
        import numpy as np

        example = self.digits()
        image = example.inputs["image"]
        batch = np.concatenate([image, np.zeros_like(image), image])
        tensors = self.tensors({"image": batch}, True)
        answer = self.client.infer("digits", tensors, headers=self.headers)
        found = answer.as_numpy("probabilities")
        same("shape", list(found.shape), [3, 10])
        for row in (0, 2):
            example.check("probabilities", found[row : row + 1])
        require(not np.allclose(found[1], found[0], atol=1e-2), "another image, the same answer")

    def test_compression(self):
        for method in ("gzip", "deflate"):
            try:
                answer = self.infer(
                    self.digits(),
                    request_compression_algorithm=method,
                    response_compression_algorithm=method,
                )
            except self.error as error:
                if str(error.status()) != "415":
                    raise
                raise Skip(f"the server refuses {method}: {error.message()}") from None
            self.digits().check("probabilities", answer.as_numpy("probabilities"))

    def test_version(self):
        example = self.digits()
        metadata = self.client.get_model_metadata("digits", headers=self.headers)
        answer = self.infer(example, model_version=metadata["versions"][-1])
        example.check("probabilities", answer.as_numpy("probabilities"))
        self.refused(404, "unknown version", self.infer, example, model_version="999999")

    def test_parallel(self):
        pending = []
        for example in self.examples * 4:
            tensors = self.tensors(example.inputs, True)
            call = self.client.async_infer(example.name, tensors, headers=self.headers)
            pending.append((example, call))
        for example, call in pending:
            answer = call.get_result(timeout=TIMEOUT)
            for name in example.outputs:
                example.check(name, answer.as_numpy(name))

    def test_unknown_model(self):
        digits = self.tensors(self.digits().inputs, True)
        calls = (
            ("metadata", self.client.get_model_metadata, [UNKNOWN_MODEL]),
            ("infer", self.client.infer, [UNKNOWN_MODEL, digits]),
        )
        for what, call, arguments in calls:
            self.refused(404, what, call, *arguments, headers=self.headers)

    def test_bad_questions(self):
        import numpy as np

        image = self.digits().inputs["image"]
        bad = (
            ("unknown input", {"picture": image}, "picture"),
            ("missing dimension", {"image": image.reshape(8, 8)}, "image"),
            ("wrong extent", {"image": np.zeros((1, 1, 8, 9), np.float32)}, "image"),
            ("wrong datatype", {"image": image.astype(np.int64)}, "image"),
        )
        for what, inputs, name in bad:
            for binary in (True, False):
                tensors = self.tensors(inputs, binary)
                message = self.refused(
                    400, what, self.client.infer, "digits", tensors, headers=self.headers
                )
                require(name in message, f'{what}: "{message}" does not name the input')
        outputs = self.wanted(["nothing"], binary=False)
        self.refused(400, "unknown output", self.infer, self.digits(), outputs=outputs)
        # A refusal must leave the connection and the model in order.
        answer = self.infer(self.digits())
        self.digits().check("probabilities", answer.as_numpy("probabilities"))


class KserveTests:
    """kserve's InferenceRESTClient."""

    def __init__(self, server):
        try:
            import httpx
            from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
        except ImportError as error:
            raise Skip(f"kserve is not installed ({error.name})") from None
        self.make_client, self.make_config = InferenceRESTClient, RESTConfig
        self.make_input, self.make_request = InferInput, InferRequest
        self.error = httpx.HTTPStatusError
        self.context = ssl.create_default_context(cafile=server.cacert)
        self.url, self.headers = server.url, server.bearer
        self.examples = examples()

    def close(self):
        pass

    def run(self, talk):
        """Runs one conversation with a client of its own."""

        async def conversation():
            config = self.make_config(protocol="v2", verify=self.context, timeout=TIMEOUT)
            async with self.make_client(config) as client:
                await talk(client)

        asyncio.run(conversation())

    def request(self, example, binary):
        inputs = []
        for name, array in example.inputs.items():
            tensor = self.make_input(name, list(array.shape), datatype(array))
            tensor.set_data_from_numpy(array, binary_data=binary)
            inputs.append(tensor)
        return self.make_request(
            model_name=example.name,
            infer_inputs=inputs,
            request_id=example.name,
            parameters={"binary_data_output": True} if binary else None,
        )

    def test_health(self):
        async def talk(client):
            require(await client.is_server_live(self.url), "the server is not live")
            require(await client.is_server_ready(self.url), "the server is not ready")

        self.run(talk)

    def test_model_ready(self):
        async def talk(client):
            for name, expected in [(e.name, True) for e in self.examples] + [
                (UNKNOWN_MODEL, False)
            ]:
                ready = await client.is_model_ready(self.url, name, headers=self.headers)
                same(f"{name} ready", ready, expected)

        self.run(talk)

    def infer(self, binary):
        async def talk(client):
            for example in self.examples:
                request = self.request(example, binary)
                answer = await client.infer(
                    self.url, request, model_name=example.name, headers=dict(self.headers)
                )
                same("model_name", answer.model_name, example.name)
                found = {output.name: output.as_numpy() for output in answer.outputs}
                same("outputs", sorted(found), sorted(example.outputs))
                for name, array in found.items():
                    # as_numpy may give a wider type for what came as JSON.
                    array = array.astype(example.outputs[name].dtype)
                    example.check(name, array.reshape(example.outputs[name].shape))

        self.run(talk)

    def test_infer_json(self):
        self.infer(binary=False)

    def test_infer_binary(self):
        self.infer(binary=True)

    def test_refusals(self):
        async def talk(client):
            request = self.request(self.examples[0], False)
            for name, headers, status in (
                (UNKNOWN_MODEL, self.headers, 404),
                (self.examples[0].name, {}, 401),
            ):
                try:
                    await client.infer(self.url, request, model_name=name, headers=dict(headers))
                except self.error as error:
                    same(f"{name}: status", error.response.status_code, status)
                    require(error.response.json().get("error"), f"{name}: no message")
                else:
                    raise Failure(f"{name}: was accepted, expected {status}")

        self.run(talk)


LOCAL = "local"  # asks the server nothing
OK = 200


def triton_calls(question):
    """(call, arguments, expected status) of tritonclient: every one that it has, in an
    order in which they can be asked. `question` makes the tensors of the model "digits"."""
    digits = {"model_name": "digits"}
    return [
        ("is_server_live", {}, OK),
        ("is_server_ready", {}, OK),
        ("is_model_ready", digits, OK),
        ("is_model_ready", {"model_name": "digits", "model_version": "1"}, OK),
        ("get_server_metadata", {}, OK),
        ("get_server_metadata", {"query_params": {"x": "1"}}, 400),
        ("get_model_metadata", digits, OK),
        ("get_model_metadata", {"model_name": "digits", "model_version": "1"}, OK),
        ("get_model_metadata", {"model_name": UNKNOWN_MODEL}, 404),
        ("get_model_config", digits, OK),
        ("get_model_config", {"model_name": "digits", "model_version": "1"}, OK),
        ("get_model_config", {"model_name": UNKNOWN_MODEL}, 404),
        ("get_model_repository_index", {}, OK),
        ("infer", {**digits, "inputs": question()}, OK),
        ("infer", {**digits, "inputs": question(), "model_version": "1", "request_id": "7"}, OK),
        ("infer", {**digits, "inputs": question(), "timeout": 20000000}, OK),
        ("infer", {**digits, "inputs": question(), "timeout": 1}, 504),
        ("infer", {**digits, "inputs": question(), "priority": 1}, OK),
        ("infer", {**digits, "inputs": question(), "sequence_id": 7, "sequence_start": True}, 400),
        ("infer", {**digits, "inputs": question(), "parameters": {"temperature": 1}}, 400),
        ("infer", {**digits, "inputs": question(), "query_params": {"x": "1"}}, 400),
        ("infer", {**digits, "inputs": question(), "request_compression_algorithm": "gzip",
                   "response_compression_algorithm": "gzip"}, OK),
        ("infer", {**digits, "inputs": question(), "request_compression_algorithm": "deflate",
                   "response_compression_algorithm": "deflate"}, OK),
        ("infer", {"model_name": UNKNOWN_MODEL, "inputs": question()}, 404),
        ("async_infer", {**digits, "inputs": question()}, OK),
        ("async_infer", {"model_name": UNKNOWN_MODEL, "inputs": question()}, 404),
        ("get_inference_statistics", {}, OK),
        ("get_inference_statistics", digits, OK),
        ("get_inference_statistics", {"model_name": "digits", "model_version": "1"}, OK),
        ("get_inference_statistics", {"model_name": UNKNOWN_MODEL}, 404),
        ("load_model", digits, OK),
        ("load_model", {"model_name": UNKNOWN_MODEL}, 404),
        ("load_model", {**digits, "config": '{"max_batch_size":8}'}, 400),
        ("load_model", {**digits, "config": "{}", "files": {"file:1/model.onnx": b"onnx"}}, 400),
        ("unload_model", digits, OK),
        ("infer", {**digits, "inputs": question()}, 400),  # what was unloaded stays so
        ("unload_model", {**digits, "unload_dependents": True}, OK),
        ("unload_model", {"model_name": UNKNOWN_MODEL}, 404),
        ("load_model", digits, OK),
        ("infer", {**digits, "inputs": question()}, OK),
        ("get_system_shared_memory_status", {}, 501),
        ("get_system_shared_memory_status", {"region_name": "r"}, 501),
        ("register_system_shared_memory", {"name": "r", "key": "/r", "byte_size": 64}, 501),
        ("unregister_system_shared_memory", {}, 501),
        ("unregister_system_shared_memory", {"name": "r"}, 501),
        ("get_cuda_shared_memory_status", {}, 501),
        ("get_cuda_shared_memory_status", {"region_name": "r"}, 501),
        ("register_cuda_shared_memory",
         {"name": "r", "raw_handle": b"aGFuZGxl", "device_id": 0, "byte_size": 64}, 501),
        ("unregister_cuda_shared_memory", {}, 501),
        ("unregister_cuda_shared_memory", {"name": "r"}, 501),
        ("get_trace_settings", {}, 501),
        ("get_trace_settings", digits, 501),
        ("update_trace_settings", {"settings": {"trace_level": ["OFF"]}}, 501),
        ("update_trace_settings", {**digits, "settings": {"trace_level": ["OFF"]}}, 501),
        ("get_log_settings", {}, 501),
        ("update_log_settings", {"settings": {"log_info": True}}, 501),
        # These make and read what goes over the wire, or add headers to it: test_local_calls.
        ("generate_request_body", None, LOCAL),
        ("parse_response_body", None, LOCAL),
        ("register_plugin", None, LOCAL),
        ("plugin", None, LOCAL),
        ("unregister_plugin", None, LOCAL),
        ("close", None, LOCAL),
    ]


def public_calls(kind):
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


def all_listed(kind, listed, absent=()):
    """Each public call of the library is listed, and each that is listed is there."""
    same(f"calls of {kind.__module__}.{kind.__name__}", sorted(public_calls(kind)),
         sorted(set(listed) - set(absent)))


class EveryTritonTests(TritonTests):
    """Every call of tritonclient, sync and asyncio."""

    def question(self, of=None):
        array = self.digits().inputs["image"]
        tensor = (of or self.triton).InferInput("image", list(array.shape), "FP32")
        tensor.set_data_from_numpy(array, binary_data=True)
        return [tensor]

    def judge(self, name, arguments, expected, error, result):
        what = f"{name}({', '.join(f'{k}={v!r}'[:40] for k, v in arguments.items())})"
        if error is not None:
            same(f"{what}: {error.message()!r}: status", str(error.status()), str(expected))
            require(error.message(), f"{what}: the refusal has no message")
        else:
            same(f"{what}: status", OK, expected)
            require(result is not False, f"{what}: answered no")

    def test_every_call(self):
        calls = triton_calls(self.question)
        all_listed(self.triton.InferenceServerClient, [name for name, _, _ in calls])
        for name, arguments, expected in calls:
            if expected == LOCAL:
                continue
            error = result = None
            try:
                result = getattr(self.client, name)(headers=self.headers, **arguments)
                if name == "async_infer":
                    result = result.get_result(timeout=TIMEOUT)
            except self.error as refusal:
                error = refusal
            self.judge(name, arguments, expected, error, result)

    def test_every_asyncio_call(self):
        import tritonclient.http.aio as aio

        calls = triton_calls(lambda: self.question(aio))
        all_listed(aio.InferenceServerClient, [name for name, _, _ in calls], absent=["async_infer"])

        async def talk():
            context = ssl.create_default_context(cafile=self.server.cacert)
            async with aio.InferenceServerClient(
                    self.server.address, ssl=True, ssl_context=context, conn_timeout=TIMEOUT) as client:
                for name, arguments, expected in calls:
                    if expected == LOCAL or name == "async_infer":
                        continue
                    error = result = None
                    try:
                        result = await getattr(client, name)(headers=self.headers, **arguments)
                    except self.error as refusal:
                        error = refusal
                    self.judge(name, arguments, expected, error, result)
                answers = await asyncio.gather(*[
                    client.infer("digits", self.question(aio), headers=self.headers)
                    for _ in range(8)])
                for answer in answers:
                    self.digits().check("probabilities", answer.as_numpy("probabilities"))

        asyncio.run(talk())

    def test_local_calls(self):
        """A body made by the library and sent by hand, an answer read by it; a plugin's key."""
        from tritonclient.http import InferenceServerClientPlugin
        import http.client

        kind = self.triton.InferenceServerClient
        body, json_size = kind.generate_request_body(self.question())
        connection = http.client.HTTPSConnection(
            self.server.address, timeout=TIMEOUT,
            context=ssl.create_default_context(cafile=self.server.cacert))
        connection.request("POST", "/v2/models/digits/infer", body=body, headers={
            **self.headers, "Inference-Header-Content-Length": str(json_size)})
        answer = connection.getresponse()
        same("status", answer.status, OK)
        size = answer.getheader("Inference-Header-Content-Length")
        result = kind.parse_response_body(answer.read(), header_length=int(size))
        self.digits().check("probabilities", result.as_numpy("probabilities"))
        connection.close()

        class Key(InferenceServerClientPlugin):
            def __call__(plugin, request):
                request.headers.update(self.server.bearer)

        self.client.register_plugin(Key())
        try:
            require(self.client.plugin() is not None, "the plugin is not kept")
            require("name" in self.client.get_server_metadata(), "the plugin's key is not sent")
        finally:
            self.client.unregister_plugin()
        self.refused(401, "without the plugin", self.client.get_server_metadata)

    def test_classification(self):
        """Triton's extension: the best classes of an output, as "value:index"."""
        wanted = [self.triton.InferRequestedOutput("probabilities", class_count=3)]
        found = self.infer(self.digits(), outputs=wanted).as_numpy("probabilities")
        same("shape", list(found.shape), [1, 3])
        first = [item.decode().split(":") for item in found[0]]
        expected = self.digits().outputs["probabilities"][0]
        same("classes", [int(part[1]) for part in first],
             [int(i) for i in expected.argsort()[::-1][:3]])


class EveryKserveTests:
    """Every call of kserve's InferenceRESTClient. Its v1 protocol is another, which is not spoken
    here: what asks for it gets 404 (or the library refuses it by itself)."""

    def __init__(self, server):
        self.talk = KserveTests(server)
        self.server = server

    def close(self):
        self.talk.close()

    def test_every_call(self):
        from kserve import RESTConfig
        from kserve.errors import UnsupportedProtocol

        digits = next(e for e in self.talk.examples if e.name == "digits")
        plain = {"inputs": [{"name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32",
                             "data": digits.inputs["image"].ravel().tolist()}]}
        own = f"{self.server.url}/v2/models/digits/infer"

        def request(binary):
            return self.talk.request(digits, binary)

        calls = [
            ("v2", "is_server_live", {}, True),
            ("v2", "is_server_ready", {}, True),
            ("v2", "is_model_ready", {"model_name": "digits"}, True),
            ("v2", "is_model_ready", {"model_name": UNKNOWN_MODEL}, False),
            ("v2", "infer", {"data": request(False), "model_name": "digits"}, OK),
            ("v2", "infer", {"data": request(True), "model_name": "digits"}, OK),
            ("v2", "infer", {"data": plain, "model_name": "digits"}, OK),
            ("v2", "infer", {"data": plain, "base_url": own, "is_graph_endpoint": True}, OK),
            ("v2", "infer", {"data": plain, "model_name": UNKNOWN_MODEL}, 404),
            ("v2", "infer", {"data": {"inputs": []}, "model_name": "digits"}, 400),
            ("v2", "explain", {"model_name": "digits", "data": {}}, UnsupportedProtocol),
            ("v1", "explain", {"model_name": "digits", "data": {}}, 404),
            ("v1", "infer", {"data": {"instances": [[1]]}, "model_name": "digits"}, 404),
            ("v1", "is_model_ready", {"model_name": "digits"}, 404),
            ("v1", "is_server_live", {}, 404),
            ("v1", "is_server_ready", {}, UnsupportedProtocol),
        ]
        all_listed(self.talk.make_client, [name for _, name, _, _ in calls] + ["close"])

        async def all_of_them():
            for protocol, name, arguments, expected in calls:
                config = RESTConfig(protocol=protocol, verify=self.talk.context, timeout=TIMEOUT,
                                    retries=0)
                what = f"{protocol} {name}({', '.join(arguments)})"
                options = {"base_url": self.server.url, "headers": dict(self.server.bearer),
                           **arguments}
                async with self.talk.make_client(config) as client:
                    try:
                        found = await getattr(client, name)(**options)
                        found = found if isinstance(found, bool) else OK
                    except self.talk.error as error:
                        found = error.response.status_code
                    except UnsupportedProtocol:
                        found = UnsupportedProtocol
                same(what, found, expected)

        asyncio.run(all_of_them())


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def group(self, kind, server, skip):
        """Runs every test of a class; a class that cannot start is skipped or failed whole."""
        names = [name for name in vars(kind) if name.startswith("test_")]
        prefix = kind.__name__.removesuffix("Tests").lower()
        tests = None
        try:
            if skip:
                raise Skip(skip)
            tests = kind(server)
        except Skip as reason:
            self.skipped += len(names)
            for name in names:
                print(f"skip {prefix}.{name.removeprefix('test_')}: {reason}")
            return
        try:
            for name in names:
                self.one(f"{prefix}.{name.removeprefix('test_')}", getattr(tests, name))
        finally:
            tests.close()

    def one(self, name, test):
        try:
            test()
        except Skip as reason:
            self.skipped += 1
            print(f"skip {name}: {reason}")
        except Exception as error:  # whatever a client library throws is a failure of this test
            self.failed += 1
            kind = "" if isinstance(error, Failure) else f"{type(error).__name__}: "
            print(f"FAIL {name}: {kind}{error}")
        else:
            self.passed += 1
            print(f"ok   {name}")


def main():
    server, skip = None, None
    try:
        server = Server()
    except Skip as reason:
        skip = str(reason)
    except Failure as failure:
        print(f"FAIL {failure}")
        return 1
    tally = Tally()
    for kind in (TritonTests, EveryTritonTests, KserveTests, EveryKserveTests):
        tally.group(kind, server, skip)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    if tally.failed:
        return 1
    return 0 if tally.passed else 77


if __name__ == "__main__":
    sys.exit(main())
