"""Starting, failing and stopping."""

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from harness import BINARY, DYNAMIC, JSON, PATIENCE, ROLLING, Server, ServerCase, eventually
from harness import write_model

HELLO = json.dumps({"inputs": "hello", "parameters": {"max_new_tokens": 3}})


class LifecycleTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(prefix="tm_e2e_")
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def write(self, name, properties, config=None):
        return write_model(os.path.join(self.folder, name), properties, config)

    def start(self, *arguments, **options):
        server = Server(self.folder, *arguments, **options)
        self.addCleanup(server.stop)
        return server

    begin_long = ServerCase.begin_long
    LONG = ServerCase.LONG

    def test_pending_while_loading(self):
        self.write("slow", ROLLING)
        # The loader waits for whoever writes this file.
        fifo = os.path.join(self.folder, "slow", "chat_template.jinja")
        os.mkfifo(fifo)
        server = self.start("slow=slow", env={"SERVING_WAIT_MODEL_LOADING": "false",
                                              "SERVING_ALLOW_MULTI_STATUS": "true"})
        ping = server.get("/ping")
        self.assertEqual((ping.status, ping.json), (207, {"slow": {"status": "PENDING"}}))
        self.assertEqual(server.get("/models").json["models"][0]["status"], "PENDING")
        self.assertEqual(server.get("/v2/health/ready").status, 424)
        reply = server.post("/invocations", HELLO)
        self.assertEqual((reply.status, reply.json["type"], reply.json["message"]),
                         (503, "WlmException", "Model is not ready: slow"))
        scale = server.call("PUT", "/models/slow?min_worker=1")
        self.assertEqual((scale.status, scale.json["message"]),
                         (503, "Model or workflow is not ready: slow"))
        with open(fifo, "w") as file:
            file.write("{{ messages[0].content }}")
        eventually(lambda: server.get("/ping").json == {"slow": {"status": "Healthy"}})
        self.assertEqual(server.get("/ping").status, 200)
        self.assertEqual(server.post("/invocations", HELLO).status, 200)
        server.signal()
        self.assertEqual(server.wait(), 0)

    def test_quantized_by_the_environment(self):
        self.write("m", ROLLING, {"hidden_size": 96, "num_attention_heads": 2})
        plain = self.start("m=m").post("/invocations", HELLO)
        server = self.start("m=m", env={"OPTION_QUANTIZE": "dynamic_int8"})
        self.assertIn("dynamic_int8: products in 8 bits", server.log())
        reply = server.post("/invocations", HELLO)
        self.assertEqual((plain.status, reply.status), (200, 200))
        self.assertEqual(server.post("/invocations", HELLO).body, reply.body)
        server = self.start("m=m", env={"OPTION_QUANTIZE": "smoothquant"}, wait=False)
        self.assertEqual(server.wait(), 1)
        self.assertIn("option.quantize=smoothquant (OPTION_QUANTIZE)", server.log())

    def test_cache_in_8_bits(self):
        self.write("m", {**ROLLING, "option.dtype": "bf16"},
                   {"hidden_size": 96, "num_attention_heads": 2})
        long = {"inputs": "hello world " * 60, "parameters": {"max_new_tokens": 40}}
        server = self.start("m=m", "--kv-cache-dtype", "int8")
        self.assertIn("kv_cache_dtype=int8: ", server.log())
        first = server.post("/invocations", long)
        self.assertEqual(first.status, 200)
        self.assertTrue(first.json["generated_text"])
        self.assertEqual(server.post("/invocations", long).body, first.body)
        for name, kept in (("bfloat16", "bf16"), ("float32", "f32"), ("fp16", "f16")):
            server = self.start("m=m", env={"OPTION_KV_CACHE_DTYPE": name})
            self.assertIn(f"kv_cache_dtype={kept}: ", server.log())
            self.assertEqual(server.post("/invocations", long).status, 200)
        server = self.start("m=m", env={"OPTION_KV_CACHE_DTYPE": "fp8"}, wait=False)
        self.assertEqual(server.wait(), 1)
        self.assertIn("option.kv_cache_dtype=fp8 (OPTION_KV_CACHE_DTYPE) is not supported",
                      server.log())

    def test_a_startup_model_that_fails(self):
        self.write("good", ROLLING)
        self.write("bad", ROLLING, {"model_type": "odd"})
        server = self.start("good=good", "bad=bad", wait=False)
        self.assertEqual(server.wait(), 1)
        self.assertNotIn("listening", server.log())
        self.assertIn("model bad failed to load: ", server.log())
        # With the port open, a probe can see it.
        server = self.start("bad=bad", env={"SERVING_WAIT_MODEL_LOADING": "false"})
        eventually(lambda: server.get("/ping").status == 500)
        self.assertEqual(server.get("/ping").json, {"bad": {"status": "FAILED"}})
        self.assertEqual(server.wait(), 1)

    def test_a_configuration_that_is_wrong(self):
        self.write("m", {**ROLLING, "option.dtype": "float16"})
        with open(os.path.join(self.folder, "https.properties"), "w") as file:
            file.write("inference_address=https://127.0.0.1:8443\n")
        for arguments, message in ((["-f", "nowhere.properties"], "nowhere.properties"),
                                   (["-m", "m=nowhere"], "nowhere"),
                                   (["m=m"], "float16"),
                                   (["--port", "x"], "x"),
                                   (["-f", "https.properties"], "https"),
                                   (["--nonsense"], "--nonsense")):
            run = subprocess.run([BINARY, "serve", *arguments], cwd=self.folder, timeout=PATIENCE,
                                 capture_output=True, text=True)
            self.assertEqual(run.returncode, 1, run)
            self.assertIn(message, run.stdout + run.stderr)
        for flag in ("--help", "--print-config"):
            self.assertEqual(subprocess.run([BINARY, "serve", flag], cwd=self.folder,
                                            timeout=PATIENCE, capture_output=True).returncode, 0)

    def test_an_address_that_is_taken(self):
        first = self.start()
        second = self.start("--port", str(first.port), any_port=False, wait=False)
        self.assertIn(second.wait(), (1, 2))
        self.assertIn("cannot listen on", second.log())

    def test_a_setting_does_not_swallow_the_model_behind_it(self):
        self.write("m", ROLLING)
        server = self.start("-o", "option.max_tokens=100", "m=m")
        self.assertEqual(list(server.get("/ping").json), ["m"])

    def test_variables_of_other_programs_are_not_shown(self):
        server = self.start(env={"TF_CPP_MIN_LOG_LEVEL": "2", "PYTORCH_SECRET": "s3cret",
                                 "HF_TOKEN": "t0ken", "SERVING_BATCH_SIZE": "2"})
        self.assertNotIn("TF_CPP", server.log())
        self.assertNotIn("s3cret", server.log())
        self.assertNotIn("t0ken", server.log())
        self.assertIn("SERVING_BATCH_SIZE", server.log())

    def test_model_store_and_config_file(self):
        self.write("store/one", ROLLING)
        self.write("store/two", DYNAMIC)
        with open(os.path.join(self.folder, "config.properties"), "w") as file:
            file.write("load_models=ALL\nmodel_store=store\njob_queue_size=7\n")
        server = self.start("-f", "config.properties")
        self.assertEqual(list(server.get("/ping").json), ["one", "two"])
        self.assertEqual(server.get("/models/two").json[0]["models"][0]["queueSize"], 7)

    def test_sigterm_drains(self):
        self.write("m", {**ROLLING, "option.max_rolling_batch_size": "1"})
        server = self.start("m=m", env={"SERVING_PROMETHEUS": "true"})
        with server.connect() as running, server.connect() as queued:
            running.request("POST", "/invocations", json.dumps({"inputs": "a", "parameters": {
                "max_new_tokens": 30000, "ignore_eos": True, "output_formatter": "none"}}), JSON)
            reply = running.head()
            self.assertTrue(running.chunk())
            queued.request("POST", "/invocations", HELLO, JSON)
            eventually(lambda: server.metric("EngineWaiting") == 1)
            server.signal()
            refused = queued.reply()
            self.assertEqual((refused.status, refused.json["type"], refused.json["message"]),
                             (503, "WlmException", "Worker shutting down"))
            self.assertIsNone(server.process.poll())
            self.assertEqual(server.post("/invocations", HELLO).status, 503)
            self.assertEqual(server.get("/ping").status, 503)
            self.assertTrue(running.rest(reply).complete)
        self.assertEqual(server.wait(), 0)

    def test_sigint_of_an_idle_server(self):
        self.write("m", ROLLING)
        server = self.start("m=m")
        with server.connect() as idle:
            idle.request("GET", "/ping")
            idle.reply()
            began = time.monotonic()
            server.signal(signal.SIGINT)
            self.assertEqual(server.wait(), 0)
            self.assertLess(time.monotonic() - began, 3)

    def test_a_second_signal_exits_at_once(self):
        self.write("m", ROLLING)
        server = self.start("m=m")
        client = self.begin_long(server=server)
        reader = threading.Thread(target=lambda: self.read_on(client))
        reader.start()
        server.signal()
        eventually(lambda: "shutting down" in server.log())
        self.assertIsNone(server.process.poll())
        began = time.monotonic()
        server.signal()
        self.assertNotEqual(server.wait(), 0)
        self.assertLess(time.monotonic() - began, 1)
        reader.join()

    @staticmethod
    def read_on(client):
        while client.chunk():
            pass

