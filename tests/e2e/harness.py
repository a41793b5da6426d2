"""A real server on loopback, in a folder of its own, for the end-to-end tests.

Environment: STRONGROOM_BIN (folder with strongroomd and strongroom).
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("STRONGROOM_BIN", ROOT / "build"))
ALL_SCOPES = "models:read,models:write,infer,audit:read,usage:read,keys:write"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json.get("error", "")

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class Server:
    """strongroomd in `folder` (made where it is None), with settings added to its configuration."""

    def __init__(self, settings="", folder=None, environment=None):
        self.mounted = False
        self.own = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="strongroom-e2e-"))
        self.data = self.folder / "data"
        self.port = free_port()
        self.environment = dict(os.environ, **(environment or {}))
        self.process = None
        self.cli("init", str(self.data), "--listen", f"127.0.0.1:{self.port}")
        if settings:
            with open(self.data / "strongroom.yaml", "a") as f:
                f.write("\n" + settings + "\n")
        self.verifier = (self.data / "keys" / "verifier.txt").read_text().strip()
        self.keys = {}

    # --- life ---

    def start(self, wait=30):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [BIN / "strongroomd", "--config", self.data / "strongroom.yaml"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment)
        end = time.monotonic() + wait
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended: " + self.log_text()[-2000:])
            try:
                if self.request("GET", "/v2/health/ready", key=None).status == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError("the server did not become ready: " + self.log_text()[-2000:])

    def stop(self, sig=signal.SIGTERM, wait=30):
        if not self.process:
            return None
        self.process.send_signal(sig)
        code = self.process.wait(wait)
        self.process = None
        self.log.close()
        return code

    def on_small_disk(self, megabytes):
        """Move the data folder to a file system of that size, before the start; None, or why it
        cannot be. Takes root."""
        keep = self.folder / "keep"
        os.rename(self.data, keep)
        self.data.mkdir(mode=0o700)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs",
                               str(self.data)], capture_output=True, text=True)
        if done.returncode != 0:
            return "no file system can be mounted here: " + done.stderr.strip()
        self.mounted = True
        subprocess.run(["cp", "-a", f"{keep}/.", str(self.data)], check=True)
        return None

    def close(self):
        if self.process:
            self.stop(signal.SIGKILL)
        if self.mounted:
            # Lazily: the roles of a server that was killed may take a moment to end.
            subprocess.run(["umount", "--lazy", str(self.data)], check=True)
        if self.own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    def log_text(self):
        return (self.folder / "log").read_text(errors="replace")

    # --- processes ---

    def processes(self):
        """role -> pids of this server's processes."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                stat = (entry / "stat").read_text()
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            parent = int(stat.rsplit(")", 1)[1].split()[1])
            if self.process and parent == self.process.pid and b"--role" in words:
                role = words[words.index(b"--role") + 1].decode()
                found.setdefault(role, []).append(int(entry.name))
        return found

    # --- command line ---

    def cli(self, *arguments, check=True, input=None):
        done = subprocess.run([str(BIN / "strongroom"), *arguments], capture_output=True, text=True,
                              input=input, timeout=120,
                              env=dict(self.environment, STRONGROOM_DATA=str(self.data)))
        if check and done.returncode != 0:
            raise RuntimeError(f"strongroom {' '.join(arguments)}: {done.returncode}: {done.stderr}")
        return done

    def tenant(self, name, scopes=ALL_SCOPES):
        """Make a tenant and a key; the key is remembered under the tenant's name."""
        self.cli("tenant", "create", name)
        self.keys[name] = self.key(name, scopes)
        return self.keys[name]

    def key(self, tenant, scopes=ALL_SCOPES, *more):
        return self.cli("key", "create", "--tenant", tenant, "--scopes", scopes, "--key-only",
                        *more).stdout.strip()

    def recipient(self, tenant):
        return json.loads(self.cli("tenant", "show", tenant, "--json").stdout)["recipient"]

    def seal(self, tenant, plain):
        """Bytes of a model -> its age file, by `strongroom seal` to the tenant's recipient."""
        source, target = self.folder / "plain.onnx", self.folder / "sealed.age"
        source.write_bytes(plain)
        self.cli("seal", str(source), "-o", str(target), "--force", "--no-check", "--recipient",
                 self.recipient(tenant))
        source.unlink()
        return target.read_bytes()

    # --- HTTPS ---

    def connect(self, timeout=60):
        context = ssl.create_default_context(cafile=str(self.data / "tls" / "cert.pem"))
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=timeout)

    def request(self, method, path, body=None, key="demo", headers=None, timeout=60):
        headers = dict(headers or {})
        if key is not None:
            headers["Authorization"] = "Bearer " + self.keys.get(key, key)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        connection = self.connect(timeout)
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def upload(self, tenant, name, sealed, version="1", **more):
        return self.request("PUT", f"/v2/repository/models/{name}/versions/{version}", body=sealed,
                            key=tenant, **more)

    def infer(self, tenant, name, inputs, **more):
        return self.request("POST", f"/v2/models/{name}/infer", body={"inputs": inputs},
                            key=tenant, **more)

    def audit(self, tenant):
        return self.request("GET", "/v1/audit", key=tenant).json["records"]


def tensor(name, shape, data, datatype="FP32"):
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}
