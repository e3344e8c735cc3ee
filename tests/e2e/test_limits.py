"""Queues and time limits."""

import json
import os
import threading
import time

from harness import DYNAMIC, JSON, ROLLING, ServerCase, eventually, write_model

HELLO = {"inputs": "hello", "parameters": {"max_new_tokens": 3}}
ONE = {"option.max_rolling_batch_size": "1"}


class QueueTest(ServerCase):
    models = {"m": {**ROLLING, **ONE, "job_queue_size": "3"}}

    def test_a_full_queue_is_503(self):
        running = self.begin_long()
        queued = []
        for index in range(3):
            client = self.server.connect()
            client.request("POST", "/invocations", json.dumps(HELLO), JSON)
            queued.append(client)
            eventually(lambda: self.server.metric("EngineWaiting") == index + 1)
        model = self.server.get("/models/m").json[0]["models"][0]
        self.assertEqual((model["queueSize"], model["requestInQueue"]), (3, 3))
        reply = self.server.post("/invocations", HELLO)
        self.assert_error(reply, 503, "WlmCapacityException",
                          "Worker queue capacity exceeded for model: m", "Service Unavailable")
        chat = self.server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]})
        self.assertEqual((chat.status, list(chat.json)), (503, ["error"]))
        running.close()  # frees the slot: the queued ones run in turn
        for client in queued:
            with client:
                reply = client.reply()
                self.assertEqual((reply.status, list(reply.json)), (200, ["generated_text"]))
        self.wait_idle()

    def test_a_queued_client_that_leaves_frees_its_place(self):
        running = self.begin_long()
        with self.server.connect() as client:
            client.request("POST", "/invocations", json.dumps(HELLO), JSON)
            eventually(lambda: self.server.metric("EngineWaiting") == 1)
        eventually(lambda: self.server.metric("EngineWaiting") == 0)
        running.close()
        self.wait_idle()


class TimeoutTest(ServerCase):
    """predict_timeout 2 s and chunked_read_timeout 1 s."""
    models = {"rb": {**ROLLING, **ONE, "option.predict_timeout": "2"},
              "dyn": {**DYNAMIC, "option.predict_timeout": "1"}}
    env = {**ServerCase.env, "SERVING_CHUNKED_READ_TIMEOUT": "1"}

    def test_no_slot_in_time(self):
        running = self.begin_long("/predictions/rb")
        began = time.monotonic()
        reply = self.server.post("/predictions/rb", HELLO)
        took = time.monotonic() - began
        self.assert_error(reply, 503, "TranslateException", "Time out in: 2")
        # In the queue chunked_read_timeout does not count.
        self.assertTrue(1.9 < took < 5, took)
        self.assertTrue(running.chunk())
        running.close()
        self.wait_idle()
        self.assertEqual(self.server.post("/predictions/rb", HELLO).status, 200)  # works on at once

    def test_a_slow_dynamic_call(self):
        reply = self.server.post("/predictions/dyn", {"inputs": "a", "parameters": self.LONG})
        self.assert_error(reply, 503, "WlmException", "java.util.concurrent.TimeoutException",
                          "Service Unavailable")
        self.wait_idle()
        self.assertEqual(self.server.post("/predictions/dyn", HELLO).status, 200)

    def test_no_first_token_in_time(self):
        # A prompt that takes seconds: a wide model reads it.
        wide = {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 8,
                "num_attention_heads": 4, "num_key_value_heads": 4}
        write_model(os.path.join(self.folder, "wide"),
                    {**ROLLING, "option.kv_cache_mb": "900", "option.max_tokens": "50000",
                     "option.max_rolling_batch_prefill_tokens": "64"}, wide)
        self.assertEqual(self.server.post("/models", {"url": "wide"}).status, 200)
        reply = self.server.post("/predictions/wide", {"inputs": "x" * 45000})
        self.assert_error(reply, 503, "WlmException",
                          "No token within 1 seconds (chunked_read_timeout)")
        self.wait_idle()
        self.assertEqual(self.server.call("DELETE", "/models/wide").status, 200)

    def test_a_stream_may_last_longer_than_any_limit(self):
        began = time.monotonic()
        client = self.begin_long("/predictions/rb")
        while time.monotonic() - began < 2.5:
            self.assertTrue(client.chunk())
        client.close()


class ManyAtOnceTest(ServerCase):
    models = {"m": {**ROLLING, "option.max_rolling_batch_size": "8"}}

    def test_equal_answers_alone_and_together(self):
        bodies = [{"inputs": f"prompt {i}", "stream": i % 2 == 0,
                   "parameters": {"max_new_tokens": 20 + i, "details": True}} for i in range(40)]
        alone = [self.server.post("/invocations", body).body for body in bodies]
        together = [None] * len(bodies)

        def call(index):
            together[index] = self.server.post("/invocations", bodies[index]).body
        threads = [threading.Thread(target=call, args=(i,)) for i in range(len(bodies))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(together, alone)
