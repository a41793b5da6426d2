#!/usr/bin/env python3
"""What a policy and a key say about the connection: TLS versions above the listener's floor, and
keys that work with one client certificate alone."""

import http.client
import json
import ssl
import subprocess
import unittest

import harness
from harness import Server


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Connections(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.folder = cls.server.folder
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *curve, "-keyout", cls.folder / "ca.key", "-out",
                cls.folder / "ca.pem", "-days", "30", "-subj", "/CN=authority")
        for name in ("one", "two"):
            openssl("req", *curve, "-keyout", cls.folder / f"{name}.key", "-out",
                    cls.folder / f"{name}.csr", "-subj", f"/CN={name}")
            openssl("x509", "-req", "-in", cls.folder / f"{name}.csr", "-CA", cls.folder / "ca.pem",
                    "-CAkey", cls.folder / "ca.key", "-CAcreateserial", "-days", "5", "-out",
                    cls.folder / f"{name}.pem")
        config = cls.server.data / "strongroom.yaml"
        config.write_text(config.read_text().replace(
            "tls:\n", f"tls:\n  client_ca: {cls.folder}/ca.pem\n  minimum_version: 1.2\n", 1))
        checked = subprocess.run([harness.BIN / "strongroomd", "--check", "--config", config],
                                 capture_output=True, text=True)
        if 'no setting "client_ca"' in checked.stderr:
            cls.server.close()
            raise unittest.SkipTest("this server does not ask for client certificates")
        cls.server.start()
        cls.server.tenant("demo")
        cls.bound = cls.server.key("demo", "models:read", "--certificate", str(cls.folder / "one.pem"))

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def tearDown(self):
        self.server.cli("tenant", "set-policy", "demo", "standard")

    def ask(self, key, certificate=None, version=None):
        context = ssl.create_default_context(cafile=str(self.server.data / "tls" / "cert.pem"))
        if certificate:
            context.load_cert_chain(self.folder / f"{certificate}.pem",
                                    self.folder / f"{certificate}.key")
        if version:
            context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", self.server.port, context=context,
                                                 timeout=10)
        try:
            connection.request("GET", "/v2", headers={"Authorization": "Bearer " + key})
            response = connection.getresponse()
            return response.status, json.loads(response.read()).get("error", "")
        finally:
            connection.close()

    def set(self, fields):
        path = self.folder / "policy.yaml"
        path.write_text(f"name: mine\n{fields}\n")
        self.server.cli("policy", "set", str(path))
        self.server.cli("tenant", "set-policy", "demo", "mine")

    def last(self):
        listed = json.loads(self.server.cli("audit", "list", "--limit", "1", "--json").stdout)
        return listed["records"][0]["record"]

    def test_a_key_for_a_certificate_works_with_that_alone(self):
        refused = (403, "the API key works only with the client certificate that it was made for")
        self.assertEqual(self.ask(self.bound, "one"), (200, ""))
        self.assertEqual(self.ask(self.bound), refused)
        self.assertEqual(self.ask(self.bound, "two"), refused)
        record = self.last()
        self.assertEqual((record["key"], record["outcome"]),
                         (self.bound.split("_")[1], "forbidden"))
        self.assertEqual(self.ask(self.bound, "one", ssl.TLSVersion.TLSv1_2), (200, ""))
        # A key that is bound to none works with any and with none.
        self.assertEqual(self.ask(self.server.keys["demo"]), (200, ""))
        self.assertEqual(self.ask(self.server.keys["demo"], "two"), (200, ""))

    def test_a_digest_does_as_well_as_the_file(self):
        digest = subprocess.run(["openssl", "x509", "-in", str(self.folder / "two.pem"), "-noout",
                                 "-fingerprint", "-sha256"], check=True, capture_output=True,
                                text=True).stdout.strip().split("=")[1]
        key = self.server.key("demo", "models:read", "--certificate", digest)
        self.assertEqual(self.ask(key, "two"), (200, ""))
        self.assertEqual(self.ask(key, "one")[0], 403)
        wrong = self.server.cli("key", "create", "--tenant", "demo", "--scopes", "infer",
                                "--certificate", str(self.folder / "one.key"), check=False)
        self.assertEqual(wrong.returncode, 2)
        self.assertIn("expected a PEM certificate, or the 64 hexadecimal digits", wrong.stderr)

    def test_certificates_required(self):
        self.set("certificates: required")
        self.assertEqual(self.ask(self.bound, "one"), (200, ""))
        self.assertEqual(self.ask(self.server.keys["demo"], "one"),
                         (403, "the tenant's policy takes only API keys that were made for a client "
                               "certificate"))

    def test_the_floor_of_a_tenant(self):
        old = ssl.TLSVersion.TLSv1_2
        key = self.server.keys["demo"]
        self.assertEqual(self.ask(key, version=old), (200, ""))
        self.set('tls: "1.3"')
        self.assertEqual(self.ask(key, version=old),
                         (403, "the tenant's policy asks for TLS 1.3, and this connection is TLS "
                               "1.2"))
        self.assertEqual(self.last()["outcome"], "forbidden")
        self.assertEqual(self.ask(key), (200, ""))
        self.set('tls: "1.2"')
        self.assertEqual(self.ask(key, version=old), (200, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
