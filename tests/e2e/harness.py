"""What the end-to-end tests share: tiny models, a running server and a client that sees every byte."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest

BINARY = os.environ.get("TENSORMILL_BINARY", "tensormill")
JSON = "content-type: application/json\r\n"
PATIENCE = 30  # seconds that anything may take on a busy machine

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 256,
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 1,
    "num_key_value_heads": 1, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5,
    "hidden_act": "silu", "tie_word_embeddings": True, "torch_dtype": "float32",
    "bos_token_id": None, "eos_token_id": None,
}
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
# Weights are made up from a fixed seed, so that answers are the same in each run; without a
# tokenizer each byte is a token.
COMMON = {"option.random_weights": "true", "option.max_tokens": "120000", "option.kv_cache_mb": "64",
          "option.dtype": "fp32"}
ROLLING = {**COMMON, "option.rolling_batch": "auto"}
DYNAMIC = {**COMMON, "option.rolling_batch": "disable"}


def write_model(folder, properties, config=None):
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({**CONFIG, **(config or {})}, file)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"chat_template": TEMPLATE}, file)
    with open(os.path.join(folder, "serving.properties"), "w") as file:
        file.writelines(f"{key}={value}\n" for key, value in properties.items())
    return folder


def eventually(condition, what="the condition"):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {PATIENCE} s")
        time.sleep(0.02)


class Reply:
    def __init__(self):
        self.version, self.status, self.reason = "", 0, ""
        self.headers = []  # (name, value) as sent
        self.body = b""
        self.chunks = []
        self.complete = False

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) < 2, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]


class Client:
    """One connection. Reads replies as the protocol says and keeps what a library would hide."""

    def __init__(self, address):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(("127.0.0.1", address), timeout=PATIENCE)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode())

    def request(self, method, target, body=None, headers=""):
        data = body if isinstance(body, bytes) else (body or "").encode()
        length = f"content-length: {len(data)}\r\n" if body is not None else ""
        self.send(f"{method} {target} HTTP/1.1\r\nhost: test\r\n{headers}{length}\r\n".encode() + data)

    def head(self):
        reply = Reply()
        line = self.stream.readline().decode()
        if not line:
            raise ConnectionError("closed without a reply")
        reply.version, status, reply.reason = line.rstrip("\r\n").split(" ", 2)
        reply.status = int(status)
        while (line := self.stream.readline().decode()) not in ("\r\n", ""):
            name, value = line.rstrip("\r\n").split(": ", 1)
            reply.headers.append((name, value))
        return reply

    def chunk(self):
        """The next chunk; b"" is the last one, None says that the connection was cut."""
        try:
            size = self.stream.readline()
            if not size:
                return None
            data = self.stream.read(int(size, 16))
            return data if self.stream.read(2) == b"\r\n" else None
        except ConnectionError:
            return None

    def rest(self, reply, head_only=False):
        if reply.header("transfer-encoding") == "chunked":
            while piece := self.chunk():
                reply.chunks.append(piece)
            reply.complete = piece is not None
            reply.body = b"".join(reply.chunks)
        elif head_only or reply.status == 100:
            reply.complete = True
        else:
            length = int(reply.header("content-length"))
            reply.body = self.stream.read(length)
            reply.complete = len(reply.body) == length
        return reply

    def reply(self, head_only=False):
        return self.rest(self.head(), head_only)

    def closed(self):
        """Whether the server closes, and sends nothing more."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True


class Server:
    """`tensormill serve` on a port of its own, with its log in a file."""

    def __init__(self, folder, *arguments, env=None, wait=True, any_port=True):
        self.folder = folder
        self.log_path = tempfile.mktemp(suffix=".log", dir=folder)
        kept = {key: value for key, value in os.environ.items()
                if not re.match("SERVING_|OPTION_|HF_|MODEL_|PREDICT_|TENSOR", key)}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", *(["--port", "0"] if any_port else []), "--threads", "1", *arguments],
                stdout=log, stderr=subprocess.STDOUT, env={**kept, **(env or {})}, cwd=folder)
        self.port = self.wait_for_port() if wait else None

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def wait_for_port(self, api="inference"):
        pattern = re.compile(f"{api} API listening on (?:http://[^ :]+:(\\d+)|unix:(\\S+))")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := pattern.search(self.log()):
                self.port = int(found[1]) if found[1] else found[2]
                return self.port
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"the server does not listen:\n{self.log()}")

    def connect(self):
        return Client(self.port)

    def call(self, method, target, body=None, headers=""):
        with self.connect() as client:
            client.request(method, target, body, headers)
            return client.reply(head_only=method == "HEAD")

    def get(self, target, headers=""):
        return self.call("GET", target, headers=headers)

    def post(self, target, value, headers=JSON):
        body = value if isinstance(value, (str, bytes)) else json.dumps(value)
        return self.call("POST", target, body, headers)

    def metric(self, name):
        """The value of an unlabelled or once-labelled series; 0 where it is not there yet."""
        found = re.search(f"^{name}{{[^}}]*}} (\\S+)$", self.get("/server/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class ServerCase(unittest.TestCase):
    """A server for all tests of a class. `models` are folders to write: name -> properties."""

    models = {"m": ROLLING}
    files = {}  # of models: name -> {file: text}
    arguments = ()
    any_port = True  # False: `env` tells the address
    env = {"SERVING_PROMETHEUS": "true"}

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="tm_e2e_")
        cls.folder = cls.temporary.name
        for name, properties in cls.models.items():
            folder = write_model(os.path.join(cls.folder, name), properties)
            for file, text in cls.files.get(name, {}).items():
                with open(os.path.join(folder, file), "w") as out:
                    out.write(text)
        cls.server = Server(cls.folder, *[f"{name}={name}" for name in cls.models], *cls.arguments,
                            env=cls.env, any_port=cls.any_port)

    @classmethod
    def tearDownClass(cls):
        cls.server.signal()
        code = cls.server.wait()
        log = cls.server.log()
        cls.server.stop()
        cls.temporary.cleanup()
        assert code == 0, f"exit code {code}:\n{log[-3000:]}"

    # Answers that last: a second at the very least, and far longer than a test looks at them.
    LONG = {"max_new_tokens": 100000, "ignore_eos": True}

    def begin_long(self, target="/invocations", parameters=None, server=None):
        """A connection whose streamed reply has begun and goes on for seconds."""
        client = (server or self.server).connect()
        client.request("POST", target, json.dumps(
            {"inputs": "long", "parameters": {**self.LONG, "output_formatter": "none", **(parameters or {})}}), JSON)
        reply = client.head()
        self.assertEqual(reply.status, 200)
        self.assertTrue(client.chunk())
        self.addCleanup(client.close)
        return client

    def wait_idle(self, server=None):
        server = server or self.server
        eventually(lambda: server.metric("EngineRunning") + server.metric("EngineWaiting") == 0,
                   "an idle engine")

    def assert_error(self, reply, status, kind, message, reason=None):
        self.assertEqual(reply.status, status, reply.text)
        self.assertEqual(list(reply.json), ["code", "type", "message"])
        self.assertEqual(reply.json, {"code": status, "type": kind, "message": message})
        self.assertEqual(reply.header("content-type"), "application/json")
        self.assertEqual(reply.header("connection"), "close")
        self.assertTrue(reply.text.startswith("{\n  \"code\": "), reply.text)
        self.assertTrue(reply.text.endswith("\n}\n"), reply.text)
        if reason:
            self.assertEqual(reply.reason, reason)

    def assert_usual_headers(self, reply):
        names = [name for name, _ in reply.headers]
        tail = ["x-request-id", "Pragma", "Cache-Control", "Expires",
                "transfer-encoding" if reply.chunks else "content-length", "connection"]
        self.assertEqual(names[-len(tail):], tail)
        self.assertRegex(reply.header("x-request-id"), "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-"
                         "[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
        self.assertEqual(reply.header("pragma"), "no-cache")
        self.assertEqual(reply.header("cache-control"),
                         "no-cache; no-store, must-revalidate, private")
        self.assertEqual(reply.header("expires"), "Thu, 01 Jan 1970 00:00:00 UTC")
        self.assertIsNone(reply.header("date"))
        self.assertIsNone(reply.header("server"))
