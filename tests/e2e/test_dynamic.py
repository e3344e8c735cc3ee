"""Dynamic mode, its streaming, and batches that the server forms."""

import json
import threading
import time
import re

from harness import DYNAMIC, JSON, ROLLING, ServerCase

HELLO = {"inputs": "hello world", "parameters": {"max_new_tokens": 3}}
CHAT = {"messages": [{"role": "user", "content": "hi"}]}


class DynamicTest(ServerCase):
    models = {"dyn": DYNAMIC,
              "lines": {**DYNAMIC, "option.enable_streaming": "True"},
              "hf": {**DYNAMIC, "option.enable_streaming": "huggingface"},
              "batch": {**DYNAMIC, "batch_size": "4", "max_batch_delay": "700"}}

    def predict(self, model, value, headers=JSON):
        reply = self.server.post(f"/predictions/{model}", value, headers)
        self.assertTrue(reply.complete)
        return reply

    def assert_424(self, reply, message):
        self.assertEqual((reply.status, reply.reason), (424, "prediction failure"))
        self.assertEqual(reply.header("content-type"), "application/json")
        self.assertEqual(reply.header("connection"), "close")
        self.assertRegex(reply.text, '^{\n  "code":424,\n  "message":"prediction failure",\n'
                                     '  "error":"[^\n]*"\n}$')
        self.assertRegex(reply.json["error"], message)

    def test_one_prompt(self):
        reply = self.predict("dyn", HELLO)
        self.assertEqual((reply.status, reply.reason), (200, "OK"))
        self.assert_usual_headers(reply)
        self.assertEqual(reply.headers[0], ("content-type", "application/json"))
        self.assertEqual(reply.header("connection"), "keep-alive")
        self.assertRegex(reply.text, '^\\[\n  {\n    "generated_text":"hello world[^\n]*"\n  }\n]$')

    def test_a_list_of_prompts(self):
        alone = [self.predict("dyn", {**HELLO, "inputs": text}).json[0] for text in ("hello", "world")]
        both = self.predict("dyn", {**HELLO, "inputs": ["hello", "world"]})
        self.assertEqual(both.json, alone)
        self.assertEqual([row["generated_text"][:5] for row in both.json], ["hello", "world"])
        self.assertIn('  },\n  {\n    "generated_text":"', both.text)

    def test_lengths_count_the_prompt(self):
        def length(parameters, prompt="abcd"):
            reply = self.predict("lines", {"inputs": prompt, "parameters": parameters})
            return len(reply.lines)
        self.assertEqual(length({"max_new_tokens": 7}), 7)
        self.assertEqual(length({}), 50)
        hf = self.predict("hf", {"inputs": "abcd"}).lines
        self.assertEqual(len(hf), 1 + 20 - 4)  # the prompt, and 20 tokens with it
        self.assertEqual(hf[0], {"outputs": ["abcd"]})
        self.assertEqual(len(self.predict("hf", {"inputs": "abcd", "parameters": {"max_length": 9}}).lines), 6)

    def test_unknown_parameters(self):
        reply = self.predict("dyn", {"inputs": "a", "parameters": {"details": True}})
        self.assert_424(reply, re.escape(
            "The following `model_kwargs` are not used by the model: ['details'] (note: typos in the "
            "generate arguments will also show up in this list)"))
        self.assertEqual(self.predict("dyn", {"inputs": "a", "parameters": {"details": None}}).status, 200)
        self.assert_424(self.predict("dyn", {"inputs": "a", "parameters": {"num_beams": 2}}),
                        "^DeepSpeed does not support `num_beams` > 1, ")
        self.assert_424(self.predict("dyn", {"inputs": "x" * 120001}),
                        "^Input with size 120001 exceeds maximum length of 120000. Please increase "
                        "`max_tokens` in the DeepSpeed Inference Config.$")

    def test_bodies_that_cannot_be_read(self):
        self.assert_424(self.predict("dyn", '{"inputs": bad'),
                        "^Expecting value: line 1 column 12 \\(char 11\\)$")
        self.assert_424(self.predict("dyn", CHAT),
                        "^chat completions support is not currently available for dynamic batching. "
                        "You must enable rolling batch to use the chat completions format.$")

    def test_extra_keys_and_accept(self):
        reply = self.predict("dyn", {**HELLO, "batch_size": 4, "text_length": 3})
        self.assertEqual(reply.status, 200)
        for accept in ("text/csv", "image/png", "*/*"):
            other = self.predict("dyn", HELLO, JSON + f"accept: {accept}\r\n")
            self.assertEqual((other.status, other.body), (200, self.predict("dyn", HELLO).body))

    def test_streaming(self):
        reply = self.predict("lines", {"inputs": ["hello", "world"], "parameters": {"max_new_tokens": 6}})
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.header("content-type"), "application/jsonlines")
        self.assertTrue(reply.chunks)
        self.assertEqual([len(line["outputs"]) for line in reply.lines], [2] * len(reply.lines))
        self.assertTrue(reply.text.isascii())
        self.assertTrue(reply.text.startswith('{"outputs": ["'))
        error = self.predict("lines", {"inputs": "a", "parameters": {"beam_size": 2}})
        self.assertEqual(error.status, 424)

    def test_a_batch_waits_for_its_delay_or_until_it_is_full(self):
        began = time.monotonic()
        alone = self.predict("batch", HELLO)
        self.assertGreaterEqual(time.monotonic() - began, 0.65)
        self.assertEqual(alone.json, self.predict("dyn", HELLO).json)
        # Four at once fill it: different parameters, and one that can't be read, spoil nothing.
        bodies = [json.dumps(HELLO), '{"inputs": bad',
                  json.dumps({"inputs": "hello world", "parameters": {"max_new_tokens": 5}}),
                  json.dumps({"inputs": "four", "parameters": {"max_new_tokens": 5}}),
                  json.dumps({"inputs": "five", "parameters": {"max_new_tokens": 2}})]
        replies = [None] * len(bodies)

        def call(index):
            replies[index] = self.predict("batch", bodies[index])
        threads = [threading.Thread(target=call, args=(i,)) for i in range(len(bodies))]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertLess(time.monotonic() - began, 0.65)
        self.assertEqual([reply.status for reply in replies], [200, 424, 200, 200, 200])
        for index in (0, 2, 3, 4):
            self.assertEqual(replies[index].body, self.predict("dyn", bodies[index]).body)

    def test_asynchronous_calls(self):
        begun = self.predict("lines", {"inputs": "a", "parameters": {"max_new_tokens": 9000}},
                             JSON + "x-synchronous: false\r\n")
        self.assertEqual((begun.status, begun.body), (200, b""))
        token = begun.header("x-next-token")
        self.assertEqual(begun.header("X-Amzn-SageMaker-Custom-Attributes"), f"x-next-token={token}")
        self.assertEqual(begun.header("content-length"), "0")

        def fetch(starting, extra=""):
            return self.predict("lines", "", f"x-starting-token: {starting}\r\n{extra}")
        seen = {fetch(token, "x-max-items: 1\r\n").status}
        text, pages = "", 0
        while token:
            page = fetch(token, "x-max-items: 4000\r\n")
            if page.status == 202:
                self.assertEqual(page.reason, "The model result is not yet available")
                self.assertTrue(page.header("x-next-token"))
            self.assertIn(page.status, (200, 202))
            seen.add(page.status)
            text += page.text
            pages += page.status == 200
            token = page.header("x-next-token")
        self.assertEqual(len(text.splitlines()), 9000)
        self.assertGreaterEqual(pages, 3)
        self.assert_error(fetch("nonsense"), 400, "BadRequestException",
                          "Invalid x-starting-token: nonsense", "Bad Request")

    def test_too_early_is_202(self):
        # In a batch that waits 700 ms there is surely nothing yet.
        begun = self.predict("batch", HELLO, JSON + "x-synchronous: false\r\n")
        token = begun.header("x-next-token")
        headers = f"X-Amzn-SageMaker-Custom-Attributes: x-starting-token={token}\r\n"
        early = self.predict("batch", "", headers)
        self.assertEqual((early.status, early.reason, early.body),
                         (202, "The model result is not yet available", b""))
        self.assertEqual(early.header("x-next-token"), token)
        while early.status == 202:
            time.sleep(0.05)
            early = self.predict("batch", "", headers)
        self.assertEqual(early.json, self.predict("dyn", HELLO).json)
        self.assertIsNone(early.header("x-next-token"))


class TwoModelsTest(ServerCase):
    """Which model a call means when there are two."""
    models = {"rb": ROLLING, "dyn": DYNAMIC}
    env = {}

    def test_the_name_is_required(self):
        reply = self.server.post("/invocations", HELLO)
        self.assert_error(reply, 400, "BadRequestException", "Parameter model_name is required.",
                          "Parameter model_name is required.")
        self.assert_usual_headers(reply)
        self.assertEqual(reply.headers[0], ("content-type", "application/json"))
        self.assertEqual(reply.header("content-length"), "101")

    def test_ways_to_name_it(self):
        for target, headers, body in (
                ("/invocations?model_name=dyn", "", HELLO),
                ("/invocations", "X-Amzn-SageMaker-Custom-Attributes: model_name=dyn;foo=bar\r\n", HELLO),
                ("/invocations", "Model_Name: dyn\r\n", HELLO)):
            self.assertIsInstance(self.server.post(target, body, JSON + headers).json, list)
        form = self.server.post("/invocations", "model_name=dyn&data=hello",
                                "content-type: application/x-www-form-urlencoded\r\n")
        self.assertEqual(form.json[0]["generated_text"][:5], "hello")
        multipart = ("--b\r\nContent-Disposition: form-data; name=\"model_name\"\r\n\r\ndyn\r\n"
                     "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\nhello\r\n--b--\r\n")
        parts = self.server.post("/invocations", multipart,
                                 "content-type: multipart/form-data; boundary=b\r\n")
        self.assertEqual(parts.json, form.json)
        self.assertIn("generated_text", self.server.post("/predictions/rb", HELLO).json)

    def test_unknown_things(self):
        self.assert_error(self.server.post("/predictions/nope", HELLO), 404, "ModelNotFoundException",
                          "Model or workflow not found: nope", "Not Found")
        self.assert_error(self.server.post("/predictions/dyn/v9", HELLO), 404, "ModelNotFoundException",
                          "Model or workflow not found: dyn", "Not Found")
        self.assert_error(self.server.get("/foo"), 404, "ResourceNotFoundException",
                          "Requested resource is not found, please refer to API document.")
        self.assert_error(self.server.call("PUT", "/models"), 405, "MethodNotAllowedException",
                          "Requested method is not allowed, please refer to API document.",
                          "Method Not Allowed")
        text = "The handler can't be overridden in a request"
        reply = self.server.post("/predictions/rb", HELLO, JSON + "handler: x\r\n")
        self.assert_error(reply, 400, "BadRequestException", text, text)
        self.assertIn("can\\u0027t", reply.text)
        attributes = "X-Amzn-SageMaker-Custom-Attributes: handler=x\r\n"
        self.assertEqual(self.server.post("/predictions/rb", HELLO, JSON + attributes).reason, text)

    def test_options(self):
        for target in ("/predictions/dyn", "/", "/invocations"):
            reply = self.server.call("OPTIONS", target)
            self.assertEqual((reply.status, reply.body), (200, b"{}\n"))
            self.assertEqual(reply.header("content-length"), "3")
        self.assertEqual(self.server.call("OPTIONS", "/predictions/nope").status, 404)

    def test_metrics_have_to_be_enabled(self):
        text = ("Prometheus is not enabled, set SERVING_PROMETHEUS environment var to true to enable "
                "prometheus metrics")
        self.assert_error(self.server.get("/server/metrics"), 400, "BadRequestException", text, text)

    def test_open_ai_chooses_by_name(self):
        chat = {"model": "rb", **CHAT, "max_tokens": 2}
        self.assertEqual(self.server.post("/v1/chat/completions", chat).status, 200)
        unknown = self.server.post("/v1/chat/completions", {**chat, "model": "gpt"})
        self.assertEqual((unknown.status, unknown.json["error"]["message"]),
                         (404, "The model `gpt` does not exist"))
