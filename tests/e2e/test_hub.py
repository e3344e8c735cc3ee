"""Models of the hub: what is fetched, what the cache looks like, and what goes wrong."""

import hashlib
import os
import json
import shutil
import signal
import ssl
import subprocess
import time
import unittest

from fake_hub import Hub, git_name
from file_server import Fault, FileServer
from harness import Server, eventually
from sources import MODEL, WEIGHTS, SourceCase, filled

DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
OTHER_FILES = {"README.md": b"# x", "LICENSE.txt": b"x", "pytorch_model.bin": b"y" * 20000,
               "tf_model.h5": b"z" * 20000, "onnx/model.onnx": b"o" * 20000, "trainer_state.json": b"{}",
               "original/consolidated.00.pth": b"c" * 20000, ".gitattributes": b"x"}


class HubCase(SourceCase):
    lists_blobs = True

    def setUp(self):
        super().setUp()
        self.hub = Hub(self.lists_blobs)
        self.addCleanup(self.hub.stop)
        self.repository = self.hub.add("org/model", {**MODEL, **OTHER_FILES})
        self.commit = self.repository.refs["main"]
        self.env["HF_ENDPOINT"] = self.hub.url + "/"
        self.cache = self.path(".cache/huggingface/hub")
        self.blob = f"/{DIGEST}"

    def weights(self):
        return os.path.join(self.cache, "models--org--model/blobs", DIGEST)


class FetchTest(HubCase):
    def test_a_model_and_its_cache(self):
        self.generates("org/model")
        root = os.path.join(self.cache, "models--org--model")
        snapshot = os.path.join(root, "snapshots", self.commit)
        self.assertEqual(sorted(os.listdir(self.cache)), [".locks", "models--org--model"])
        self.assertEqual(self.files(snapshot), sorted(MODEL))
        self.assertEqual(os.readlink(os.path.join(snapshot, "model.safetensors")), "../../blobs/" + DIGEST)
        self.assertEqual(os.readlink(os.path.join(snapshot, "config.json")),
                         "../../blobs/" + git_name(MODEL["config.json"]))
        with open(os.path.join(root, "refs/main")) as file:
            self.assertEqual(file.read(), self.commit)
        self.assertEqual(sorted(os.listdir(os.path.join(root, "blobs"))),
                         sorted([DIGEST] + [git_name(MODEL[name]) for name in MODEL
                                            if name != "model.safetensors"]))
        for name, content in MODEL.items():
            with open(os.path.join(snapshot, name), "rb") as file:
                self.assertEqual(file.read(), content, name)
        self.assertGreater(len(self.hub.cdn.asked(DIGEST)), 2)  # in ranges

    def test_nothing_is_fetched_twice(self):
        self.generates("org/model")
        self.hub.forget()
        self.generates("org/model")
        self.assertEqual([request[1] for request in self.hub.requests],
                         ["/api/models/org/model/revision/main?blobs=true"])
        self.hub.forget()
        self.generates("org/model", "--revision", self.commit)
        self.generates("org/model", HF_HUB_OFFLINE="1")
        self.assertEqual(self.hub.requests, [])

    def test_only_what_a_command_needs(self):
        self.run_command("tokenize", "org/model", "--text", "abc")
        self.assertFalse(os.path.exists(self.weights()))
        self.run_command("inspect", "org/model")
        self.run_command("generate", "org/model", "--prompt", "a", "--random-weights")
        self.assertFalse(os.path.exists(self.weights()))
        self.assertEqual(self.hub.cdn.requests, [])
        self.run_command("bench", "org/model", "--help")
        self.run_command("convert", "org/model", "out")
        self.assertTrue(os.path.exists(self.path("out/model.safetensors")))

    def test_shards_of_an_index(self):
        shards = {f"model-0000{i}-of-00002.safetensors": b"s%d" % i * 9000 for i in (1, 2)}
        index = {"weight_map": {"a": "model-00001-of-00002.safetensors",
                                "b": "model-00002-of-00002.safetensors"}}
        files = {"config.json": b"{}", "model.safetensors.index.json": json.dumps(index).encode(), **shards,
                 "model-00003-of-00002.safetensors": b"x" * 9000, "model.fp16.safetensors": b"f" * 9000}
        commit = self.hub.add("sharded", files).refs["main"]
        self.fails("generate", "sharded", "--prompt", "a")  # the shards aren't real
        self.assertEqual(self.files(os.path.join(self.cache, "models--sharded/snapshots", commit)),
                         sorted(["config.json", "model.safetensors.index.json", *shards]))

    def test_a_variant(self):
        files = {**MODEL, "model.fp16.safetensors": MODEL["model.safetensors"]}
        files["model.safetensors"] = b"not these" * 2000
        self.hub.add("org/variant", files)
        self.fails("generate", "org/variant", "--prompt", "a")
        self.generates("org/variant", "-o", "option.variant=fp16")
        self.assertIn("no weights of variant fp8; variants there: fp16",
                      self.fails("generate", "org/variant", "--prompt", "a", "-o", "option.variant=fp8"))

    def test_revisions(self):
        second = self.repository.commit("v2", {**MODEL, "generation_config.json": b"{}"})
        self.generates("org/model", "--revision", "v2")
        root = os.path.join(self.cache, "models--org--model")
        self.assertEqual(self.files(os.path.join(root, "refs")), ["v2"])
        self.assertIn("generation_config.json", os.listdir(os.path.join(root, "snapshots", second)))
        self.hub.forget()
        self.generates("org/model", "-o", "option.revision=main")
        self.assertEqual(self.hub.cdn.requests, [])  # the same blobs
        self.assertIn("org/model: no revision v3: expected a branch, a tag or a commit",
                      self.fails("tokenize", "org/model", "--text", "a", "--revision", "v3"))
        # A branch that moves is followed; without a network the last one known is taken.
        self.repository.commit("main", {**MODEL, "generation_config.json": b"{ }"})
        self.generates("org/model")
        self.assertEqual(len(os.listdir(os.path.join(root, "snapshots"))), 3)

    def test_an_adapter_and_its_base(self):
        self.hub.add("org/adapter", {
            "adapter_config.json": json.dumps({"base_model_name_or_path": "org/model"}).encode(),
            "adapter_model.safetensors": b"a" * 12000, "adapter_model.bin": b"b" * 12000})
        done = self.run_command("tokenize", "org/adapter", "--text", "a", code=1)
        self.assertIn("org/adapter is an adapter of org/model", done.stderr)
        self.assertEqual(sorted(os.listdir(self.cache)),
                         [".locks", "models--org--adapter", "models--org--model"])

    def test_an_adapter_from_end_to_end(self):
        """Its base comes from the hub, at the revision that it names; from the cache later."""
        adapter = {"peft_type": "LORA", "base_model_name_or_path": "org/model", "revision": "v1", "r": 2,
                   "lora_alpha": 8, "target_modules": ["down_proj"]}
        self.repository.commit("v1", {**MODEL, "generation_config.json": b"{}"})
        width, inner = 64, 1024
        weights = {f"base_model.model.model.layers.0.mlp.down_proj.lora_{half}.weight": shape
                   for half, shape in (("A", (2, inner)), ("B", (width, 2)))}
        self.hub.add("org/adapter", {"adapter_config.json": json.dumps(adapter).encode(),
                                     "adapter_model.safetensors": filled(weights)})
        self.generates("org/adapter")
        self.assertIn("LoRA of rank 2", self.run_command("inspect", "org/adapter").stdout)
        root = os.path.join(self.cache, "models--org--model")
        self.assertEqual(os.listdir(os.path.join(root, "refs")), ["v1"])
        # A folder of this machine whose base is in the cache, and one whose base is not.
        folder = self.path("adapter")
        shutil.copytree(os.path.join(self.cache, "models--org--adapter/snapshots",
                                     self.hub.repositories["org/adapter"].refs["main"]), folder)
        self.generates(folder, HF_HUB_OFFLINE="1")
        self.generates(folder, HF_HOME=self.path("fresh"))
        # Another base: a shape that doesn't fit is named.
        other = {name: (2, 96) if "lora_A" in name else shape for name, shape in weights.items()}
        with open(os.path.join(folder, "adapter_model.safetensors"), "wb") as file:
            file.write(filled(other))
        error = self.fails("generate", folder, "--prompt", "a")
        self.assertIn("layers.0.mlp.down_proj", error)
        self.assertIn("96", error)

    def test_the_variables_of_the_cache(self):
        for name, folder in (("HF_HUB_CACHE", "a"), ("HUGGINGFACE_HUB_CACHE", "b")):
            self.run_command("tokenize", "org/model", "--text", "a", **{name: self.path(folder)})
            self.assertIn("models--org--model", os.listdir(self.path(folder)))
        self.run_command("tokenize", "org/model", "--text", "a", HF_HOME="~/c")
        self.run_command("tokenize", "org/model", "--text", "a", XDG_CACHE_HOME="$HOME/d")
        self.assertIn("models--org--model", os.listdir(self.path("c/hub")))
        self.assertIn("models--org--model", os.listdir(self.path("d/huggingface/hub")))

    def test_offline(self):
        error = self.fails("tokenize", "org/model", "--text", "a", TRANSFORMERS_OFFLINE="1")
        self.assertIn("is not in the cache", error)
        self.assertIn("TRANSFORMERS_OFFLINE forbids a download", error)
        self.run_command("tokenize", "org/model", "--text", "a")
        self.run_command("tokenize", "org/model", "--text", "a", HF_HUB_OFFLINE="yes")
        self.assertIn("lacks weights in the cache",
                      self.fails("generate", "org/model", "--prompt", "a", DJL_OFFLINE="true"))
        # A hub that can't be reached leaves what is there.
        done = self.run_command("tokenize", "org/model", "--text", "a",
                                HF_ENDPOINT="http://127.0.0.1:9")
        self.assertIn("taking what is in the cache", done.stderr)

    def test_serving(self):
        env = self.environment(SERVING_PROMETHEUS="true")
        for arguments, more in (
                (["org/model"], {}), (["m=org/model", "--revision", "main"], {}),
                ([], {"HF_MODEL_ID": "org/model", "HF_REVISION": "main", "SERVING_LOAD_MODELS": "ALL"}),
                (["-m", "m=folder"], {})):
            os.makedirs(self.path("folder"), exist_ok=True)
            with open(self.path("folder/serving.properties"), "w") as file:
                file.write("option.model_id=org/model\noption.rolling_batch=auto\n")
            server = Server(self.folder, *arguments, env={**env, **more})
            try:
                reply = server.post("/invocations", {"inputs": "abc", "parameters": {"max_new_tokens": 2}})
                self.assertEqual(reply.status, 200, reply.text)
                self.assertIn("generated_text", reply.json)
            finally:
                server.stop()

    def test_a_folder_wins(self):
        os.makedirs(self.path("org/model"))
        with open(self.path("org/model/config.json"), "wb") as file:
            file.write(MODEL["config.json"])
        self.run_command("generate", "org/model", "--prompt", "a", "--random-weights")
        self.assertEqual(self.hub.requests, [])


class UnlistedTest(HubCase):
    """A hub that doesn't say sizes and checksums in its list: the files' own headers do."""
    lists_blobs = False

    def test_a_model(self):
        self.generates("org/model")
        self.assertIn(DIGEST, os.listdir(os.path.join(self.cache, "models--org--model/blobs")))
        self.assertEqual(self.hub.cdn.asked(".", "HEAD"), [])


class AccessTest(HubCase):
    def test_a_private_model(self):
        self.hub.add("org/private", MODEL, private=True)
        error = self.fails("tokenize", "org/private", "--text", "a")
        self.assertIn("has no such model, or it is private: check the name; for a private or gated model set "
                      "HF_TOKEN", error)
        self.generates("org/private", HF_TOKEN=" hf_test\n")
        self.assertTrue(all(request[2].get("Authorization") == "Bearer hf_test"
                            for request in self.hub.asked("private")[1:]))
        # The other host sees no token: it refuses whoever shows one.
        self.assertFalse(any("Authorization" in request[2] for request in self.hub.cdn.requests))
        self.hub.add("org/other", MODEL, private=True)
        self.assertIn("doesn't accept the token of HF_TOKEN",
                      self.fails("tokenize", "org/other", "--text", "a", HF_TOKEN="hf_wrong"))
        self.assertIn("the token has blanks",
                      self.fails("tokenize", "org/other", "--text", "a", HF_TOKEN="a b"))

    def test_the_token_of_a_file(self):
        self.hub.add("org/private", MODEL, private=True)
        os.makedirs(self.path(".cache/huggingface"))
        for name, env in ((".cache/huggingface/token", {}), ("other", {"HF_TOKEN_PATH": "~/other"})):
            with open(self.path(name), "w") as file:
                file.write("hf_test\n")
            self.run_command("tokenize", "org/private", "--text", "a", **env)
            os.remove(self.path(name))
            os.rename(self.path(".cache/huggingface/hub"), self.path("gone" + name.replace("/", "_")))
        self.fails("tokenize", "org/private", "--text", "a")

    def test_a_gated_model(self):
        self.hub.add("org/gated", MODEL, gated=True)
        error = self.fails("tokenize", "org/gated", "--text", "a")
        self.assertIn(f"accept the licence at {self.hub.url}/org/gated, then set HF_TOKEN", error)
        error = self.fails("tokenize", "org/gated", "--text", "a", HF_TOKEN="hf_test")
        self.assertIn("make sure that the token of HF_TOKEN belongs to that account", error)

    def test_no_such_model(self):
        error = self.fails("tokenize", "org/nothing", "--text", "a")
        self.assertIn("no folder org/nothing here; org/nothing:", error)
        self.assertIn("no such folder or file; expected a folder, an archive, org/name of the hub",
                      self.fails("tokenize", "./org/nothing", "--text", "a"))
        self.hub.add("org/empty", {"config.json": b"{}", "tf_model.h5": b"x"})
        self.assertIn("no weights that can be read: expected .safetensors",
                      self.fails("generate", "org/empty", "--prompt", "a"))


class FaultTest(HubCase):
    def test_cut_connections(self):
        self.hub.cdn.fail(self.blob, *[Fault(cut=300000 + i) for i in range(6)])
        self.generates("org/model")
        self.assertEqual(self.hub.cdn.faults[self.blob], [])

    def test_servers_in_trouble(self):
        self.hub.fail("/api/models/org/model/revision/main", Fault(503))
        self.hub.cdn.fail(self.blob, Fault(500), Fault(429, {"retry-after": "1"}))
        began = time.monotonic()
        self.generates("org/model")
        self.assertGreater(time.monotonic() - began, 1)
        self.hub.fail("/api/models/org/model/revision/v", Fault(429, {"retry-after": "100000"}))
        self.assertIn("has had too many requests and asks to wait for 100000 s",
                      self.fails("tokenize", "org/model", "--text", "a", "--revision", "v"))

    def test_wrong_bytes(self):
        self.hub.cdn.fail(self.blob, Fault(corrupt=True))
        done = self.generates("org/model")
        self.assertIn("wrong checksum", done.stderr)
        os.remove(self.weights())
        self.hub.cdn.fail(self.blob, *[Fault(corrupt=True)] * 20)
        error = self.fails("generate", "org/model", "--prompt", "a")
        self.assertIn("model.safetensors: wrong checksum twice", error)
        self.assertEqual([name for name in os.listdir(os.path.dirname(self.weights()))
                          if name.startswith(DIGEST)], [])
        self.hub.cdn.fail(self.blob)
        self.generates("org/model")
        small = "/org/model/resolve/" + self.commit + "/config.json"
        self.hub.fail(small, Fault(corrupt=True))
        self.assertIn("git SHA-1", self.run_command("tokenize", "org/model", "--text", "a",
                                                    HF_HOME=self.path("x")).stderr)

    def test_a_server_without_ranges(self):
        self.hub.cdn.fail(self.blob, *[Fault(no_ranges=True)] * 50)
        self.generates("org/model")

    def test_an_interruption(self):
        self.hub.cdn.fail(self.blob, *[Fault(slow=0.3)] * 50)
        process = self.start_command("generate", "org/model", "--prompt", "a")
        partial = self.weights() + ".ranges.incomplete"
        eventually(lambda: os.path.exists(partial) and os.path.getsize(partial) > 65536)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, error)
        self.assertIn("interrupted; what has been downloaded is kept", error)
        self.go_on()

    def test_a_kill(self):
        self.hub.cdn.fail(self.blob, *[Fault(slow=0.2)] * 50)
        process = self.start_command("generate", "org/model", "--prompt", "a")
        journal = self.weights() + ".ranges.json"
        eventually(lambda: os.path.exists(journal) and
                   sum(end - begin for begin, end in self.journal()["missing"]) < len(WEIGHTS))
        process.kill()
        process.communicate()
        self.go_on()

    def journal(self):
        with open(self.weights() + ".ranges.json") as file:
            return json.load(file)

    def go_on(self):
        """The next try fetches what is missing and nothing else."""
        missing = sum(end - begin for begin, end in self.journal()["missing"])
        self.assertLess(missing, len(WEIGHTS))
        self.hub.cdn.forget()
        self.assertIn("are there already from an earlier try", self.generates("org/model").stderr)
        asked = 0
        for _, _, headers in self.hub.cdn.asked(DIGEST):
            begin, end = headers["Range"].removeprefix("bytes=").split("-")
            asked += int(end) - int(begin) + 1
        self.assertEqual(asked, missing)
        self.assertEqual([name for name in os.listdir(os.path.dirname(self.weights())) if "." in name], [])

    def test_the_partial_file_of_another_program(self):
        os.makedirs(os.path.dirname(self.weights()))
        with open(self.weights() + ".incomplete", "wb") as file:
            file.write(WEIGHTS[:1500000])
        self.generates("org/model")
        begins = [int(headers["Range"][6:].split("-")[0]) for _, _, headers in self.hub.cdn.asked(DIGEST)]
        self.assertEqual(min(begins), 1500000)

    def test_a_stalled_connection(self):
        self.hub.cdn.fail(self.blob, Fault(slow=30))
        self.generates("org/model", HF_HUB_DOWNLOAD_TIMEOUT="1")

    def test_no_network(self):
        error = self.fails("tokenize", "org/model", "--text", "a", HF_ENDPOINT="http://127.0.0.1:9")
        self.assertIn("no connection", error)
        self.assertIn("not in the cache", error)
        error = self.fails("tokenize", "org/model", "--text", "a", HF_ENDPOINT="http://no.such.host.invalid")
        self.assertIn("the name was not found", error)
        self.assertIn("expected an http or https url",
                      self.fails("tokenize", "org/model", "--text", "a", HF_ENDPOINT="ftp://x"))

    def test_a_proxy(self):
        hub = self.hub

        class Proxy(FileServer):
            def handle(self, handler):  # the path is a whole url
                handler.path = handler.path.removeprefix(hub.url)
                hub.handle(handler)

        proxy = Proxy()
        self.addCleanup(proxy.stop)
        self.run_command("tokenize", "org/model", "--text", "a", http_proxy=proxy.url)
        self.assertTrue(proxy.asked("^http://.*/api/models"))
        self.assertEqual(self.hub.requests, [])

    def certificate(self, name):
        """A file with a certificate of localhost that signs itself, and its key."""
        file = self.path(name)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", file + ".key",
                        "-out", file, "-days", "2", "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost"], check=True, capture_output=True)
        return file

    @unittest.skipUnless(shutil.which("openssl"), "no openssl to make certificates with")
    def test_certificates(self):
        own, other = self.certificate("own.pem"), self.certificate("other.pem")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(own, own + ".key")
        hub = Hub(tls=tls)
        self.addCleanup(hub.stop)
        hub.add("org/model", MODEL)
        clean = {name: "" for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
                                       "AWS_CA_BUNDLE")}
        clean["HF_ENDPOINT"] = hub.url
        asked = ("tokenize", "org/model", "--text", "a")
        error = self.fails(*asked, **clean)
        self.assertIn("localhost: TLS: ", error)
        self.assertIn("name its certificate in REQUESTS_CA_BUNDLE or SSL_CERT_FILE", error)
        # The order in which Python's packages look.
        names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
        for i, name in enumerate(names):
            later = {after: other for after in names[i + 1:]}
            self.run_command(*asked, **{**clean, **later, name: own}, HF_HOME=self.path(name))
        self.assertIn("localhost: TLS: ", self.fails(*asked, **{**clean, "SSL_CERT_FILE": own,
                                                                "CURL_CA_BUNDLE": other},
                                                     HF_HOME=self.path("x")))
        # A folder, where certificates have the names that OpenSSL looks for.
        named = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", own], check=True,
                               capture_output=True, text=True).stdout.strip()
        os.makedirs(self.path("certificates"))
        shutil.copy(own, self.path("certificates", named + ".0"))
        self.generates("org/model", **{**clean, "SSL_CERT_DIR": self.path("certificates")})
        self.assertIn("no such file or folder of certificates", self.fails(
            *asked, **{**clean, "REQUESTS_CA_BUNDLE": "/no/such", "SSL_CERT_FILE": own}, HF_HOME=self.path("y")))

    def test_the_loading_timeout_is_of_loading(self):
        """A first download may take longer."""
        self.hub.cdn.fail(self.blob, *[Fault(slow=0.4)] * 50)
        os.makedirs(self.path("folder"))
        with open(self.path("folder/serving.properties"), "w") as file:
            file.write("option.model_id=org/model\noption.rolling_batch=auto\n"
                       "option.model_loading_timeout=2\n")
        began = time.monotonic()
        server = Server(self.folder, "-m", "m=folder", env=self.environment())
        try:
            self.assertGreater(time.monotonic() - began, 2)
            self.assertEqual(server.post("/invocations", {"inputs": "abc"}).status, 200)
        finally:
            server.stop()

    def test_two_at_once(self):
        self.hub.cdn.fail(self.blob, *[Fault(slow=0.1)] * 6)
        processes = [self.start_command("generate", "org/model", "--prompt", "a", "--max-new-tokens", "1")
                     for _ in range(2)]
        for process in processes:
            _, error = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, error)
        asked = sum(int(headers["Range"][6:].split("-")[1]) - int(headers["Range"][6:].split("-")[0]) + 1
                    for _, _, headers in self.hub.cdn.asked(DIGEST))
        self.assertEqual(asked, len(WEIGHTS))
