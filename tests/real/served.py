"""Models on a real server, and sessions that ask it in the manner of onnxruntime.InferenceSession, so
that other people's programs run on ours without knowing."""

import json
import pathlib
import sys

try:
    import numpy as np
    import onnxruntime
    # By its own name: a test may put a session of ours into the module in its place.
    from onnxruntime import InferenceSession
except ImportError as e:
    print(f"skip: {e.name} is not installed")
    sys.exit(77)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from harness import Server

DATATYPES = {"BOOL": "bool", "UINT8": "uint8", "INT32": "int32", "INT64": "int64", "FP32": "float32"}
OF = {np.dtype(t): name for name, t in DATATYPES.items()}
OF_REFERENCE = {"tensor(bool)": "bool", "tensor(uint8)": "uint8", "tensor(int32)": "int32",
                "tensor(int64)": "int64", "tensor(float)": "float32"}
# A page of text at the size that it is detected at takes some megabytes; and the weights of the larger
# networks are more than a machine that only tests may lock.
SETTINGS = "limits:\n  body_bytes: 67108864\nworker:\n  allow_unlocked_memory: true\n"


def reference(model, **_):
    """The model in ONNX Runtime, on one thread."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return InferenceSession(str(model), options, ["CPUExecutionProvider"])


class Served:
    """A model on the server, asked in the binary form over one connection that stays."""

    def __init__(self, server, tenant, name, connection, reference):
        self.server, self.tenant, self.name, self.connection = server, tenant, name, connection
        self.reference = reference  # for what a program asks of a session but to run it
        self.asked = 0
        # What comes as a list has the type that the model wants, as in ONNX Runtime.
        self.types = {i.name: OF_REFERENCE[i.type] for i in reference.get_inputs()}

    def get_inputs(self):
        return self.reference.get_inputs()

    def get_outputs(self):
        return self.reference.get_outputs()

    def get_modelmeta(self):
        return self.reference.get_modelmeta()

    def get_providers(self):
        return self.reference.get_providers()

    def run(self, names, feed):
        ports, parts = [], []
        for name, values in feed.items():
            values = np.asarray(values, None if isinstance(values, np.ndarray) else self.types[name])
            parts.append(values.tobytes())
            ports.append({"name": name, "shape": list(values.shape), "datatype": OF[values.dtype],
                          "parameters": {"binary_data_size": len(parts[-1])}})
        head = {"inputs": ports, "parameters": {"binary_data_output": True}}
        if names:
            head["outputs"] = [{"name": name} for name in names]
        outputs = self.post(json.dumps(head).encode(), parts)
        self.asked += 1
        return [outputs[name] for name in names or (o.name for o in self.get_outputs())]

    def post(self, head, parts):
        self.connection.request(
            "POST", f"/v2/models/{self.name}/infer", body=head + b"".join(parts),
            headers={"Authorization": "Bearer " + self.server.keys[self.tenant],
                     "Content-Type": "application/octet-stream",
                     "Inference-Header-Content-Length": str(len(head))})
        response = self.connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise RuntimeError(f"{self.name}: {response.status}: {body[:500]!r}")
        size = int(response.headers["Inference-Header-Content-Length"])
        at, found = size, {}
        for output in json.loads(body[:size])["outputs"]:
            end = at + output["parameters"]["binary_data_size"]
            found[output["name"]] = np.frombuffer(
                body[at:end], DATATYPES[output["datatype"]]).reshape(output["shape"])
            at = end
        if at != len(body):
            raise RuntimeError(f"{self.name}: {len(body) - at} bytes are left over")
        return found


class Models:
    """A server of its own with one tenant; `serve` seals a model to the tenant and uploads it."""

    def __init__(self):
        self.server = Server(SETTINGS)
        try:
            self.server.start()
            self.server.tenant("real")
            self.connection = self.server.connect(120)
        except BaseException:
            self.server.close()
            raise
        self.models = {}

    def serve(self, path, *_, **__):
        """What it takes beside the path is for what it stands in for."""
        path = pathlib.Path(path)
        name = f"model-{len(self.models)}"
        answer = self.server.upload("real", name, self.server.seal("real", path.read_bytes()))
        if answer.status not in (200, 201):
            raise RuntimeError(f"{path.name}: {answer}")
        self.models[path.name] = Served(self.server, "real", name, self.connection, reference(path))
        return self.models[path.name]

    def forget(self, model):
        answer = self.server.request("DELETE", f"/v2/repository/models/{model.name}/versions/1",
                                     key="real")
        if answer.status not in (200, 204):
            raise RuntimeError(f"{model.name}: {answer}")

    def close(self):
        self.connection.close()
        self.server.close()


def package_folder(name):
    """Where a package's files are, without importing it; None: it is not installed."""
    import importlib.util
    spec = importlib.util.find_spec(name)
    return pathlib.Path(spec.origin).parent if spec else None


def need(*packages):
    """Ends the suite as skipped, by name, unless all of these can be imported."""
    for name in packages:
        if package_folder(name) is None:
            print(f"skip: {name} is not installed")
            sys.exit(77)
