"""Rolling mode: /invocations and its kin as LMI's clients use them."""

import json
import os
import re

from harness import JSON, ROLLING, ServerCase, write_model

HELLO = {"inputs": "hello world", "parameters": {"max_new_tokens": 3}}


class RollingTest(ServerCase):
    models = {"rb": ROLLING}

    def invoke(self, value, headers=JSON):
        reply = self.server.post("/invocations", value, headers)
        self.assertTrue(reply.complete)
        return reply

    def assert_rolling_error(self, reply, message):
        """A 200 whose body says what went wrong: `error`, then `code`, without blanks."""
        self.assertEqual((reply.status, reply.reason), (200, "OK"))
        self.assertTrue(reply.chunks)
        self.assertEqual(list(reply.json), ["error", "code"])
        self.assertTrue(reply.text.startswith('{"error":"') and reply.text.endswith(',"code":424}'),
                        reply.text)
        self.assertEqual(reply.json["code"], 424)
        if isinstance(message, re.Pattern):
            self.assertRegex(reply.json["error"], message)
        else:
            self.assertEqual(reply.json["error"], message)

    def test_json(self):
        reply = self.invoke(HELLO)
        self.assertEqual((reply.version, reply.status, reply.reason), ("HTTP/1.1", 200, "OK"))
        self.assert_usual_headers(reply)
        self.assertEqual(reply.headers[0], ("content-type", "application/json"))
        self.assertEqual(reply.headers[-2:], [("transfer-encoding", "chunked"),
                                              ("connection", "keep-alive")])
        self.assertTrue(reply.chunks[0].startswith(b'{"generated_text": "'))
        self.assertTrue(reply.text.endswith('"}'))
        self.assertEqual(list(reply.json), ["generated_text"])

    def test_the_json_document_arrives_piece_by_piece(self):
        reply = self.invoke({"inputs": "hello world", "parameters": {"max_new_tokens": 40}})
        self.assertGreater(len(reply.chunks), 5)

    def test_stream(self):
        reply = self.invoke({**HELLO, "stream": True})
        self.assertEqual(reply.header("content-type"), "application/jsonlines")
        self.assertEqual(len(reply.chunks), 3)  # one chunk a token
        self.assertTrue(all(chunk.endswith(b"}\n") for chunk in reply.chunks))
        for line in reply.lines:
            self.assertEqual(list(line["token"]), ["id", "text", "log_prob"])
            self.assertIsInstance(line["token"]["id"][0], int)
            self.assertEqual(len(line["token"]["id"]), 1)
            self.assertLess(line["token"]["log_prob"], 0)
        self.assertEqual([list(line) for line in reply.lines],
                         [["token"], ["token"], ["token", "generated_text"]])
        whole = "".join(line["token"]["text"] for line in reply.lines)
        self.assertEqual(reply.lines[-1]["generated_text"], whole)
        self.assertEqual(self.invoke(HELLO).json["generated_text"], whole)

    def test_details(self):
        parameters = {"max_new_tokens": 3, "details": True}
        whole = self.invoke({"inputs": "hello world", "parameters": parameters}).json
        self.assertEqual(list(whole), ["generated_text", "details"])
        details = whole["details"]
        self.assertEqual(list(details), ["finish_reason", "generated_tokens", "inputs", "tokens"])
        self.assertEqual((details["finish_reason"], details["generated_tokens"], details["inputs"]),
                         ("length", 3, "hello world"))
        streamed = self.invoke({"inputs": "hello world", "parameters": parameters, "stream": True})
        self.assertEqual([line["token"] for line in streamed.lines], details["tokens"])
        last = streamed.lines[-1]
        self.assertEqual(list(last), ["token", "generated_text", "details"])
        self.assertEqual(last["details"], {"finish_reason": "length", "generated_tokens": 3,
                                           "inputs": "hello world"})

    def test_eos_as_second_token(self):
        tokens = self.invoke({**HELLO, "stream": True}).lines
        second = tokens[1]["token"]["id"][0]
        self.assertNotEqual(tokens[0]["token"]["id"][0], second)
        write_model(os.path.join(self.folder, "eos"), ROLLING, {"eos_token_id": second})
        registered = self.server.post("/models", {"model_name": "eos", "url": "eos"})
        self.assertEqual(registered.status, 200, registered.text)
        reply = self.server.post("/predictions/eos", {
            "inputs": "hello world", "stream": True, "parameters": {"details": True}})
        self.assertEqual(len(reply.lines), 2)
        self.assertEqual(reply.lines[1]["token"]["id"], [second])
        self.assertEqual(reply.lines[1]["details"], {"finish_reason": "eos_token",
                                                     "generated_tokens": 2, "inputs": "hello world"})
        self.assertEqual(self.server.call("DELETE", "/models/eos").status, 200)

    def test_return_full_text_is_escaped(self):
        reply = self.invoke({"inputs": 'hello "world"\n', "parameters": {"max_new_tokens": 3,
                                                                        "return_full_text": True}})
        self.assertTrue(reply.json["generated_text"].startswith('hello "world"\n'))

    def test_one_token_is_sent_once(self):
        parameters = {"max_new_tokens": 1, "details": True}
        whole = self.invoke({"inputs": "one", "parameters": parameters}).json
        self.assertEqual(whole["generated_text"], whole["details"]["tokens"][0]["text"])

    def test_output_formatter_of_the_request(self):
        reply = self.invoke({"inputs": "hello world",
                             "parameters": {"max_new_tokens": 3, "output_formatter": "jsonlines"}})
        self.assertEqual(len(reply.lines), 3)
        raw = self.invoke({"inputs": "hello world",
                           "parameters": {"max_new_tokens": 3, "output_formatter": "none"}})
        self.assertEqual(raw.text, reply.lines[-1]["generated_text"])
        json_again = self.invoke({"inputs": "hello world", "stream": True,
                                  "parameters": {"max_new_tokens": 3, "output_formatter": "json"}})
        self.assertEqual(json_again.json, {"generated_text": raw.text})
        unknown = self.invoke({"inputs": "hello world",
                               "parameters": {"max_new_tokens": 3, "output_formatter": "xml"}})
        self.assertEqual(unknown.json, {"generated_text": raw.text})

    def test_bodies_that_cannot_be_read(self):
        self.assert_rolling_error(self.invoke('{"inputs": bad'),
                                  "Expecting value: line 1 column 12 (char 11)")
        self.assert_rolling_error(self.invoke(""), "Expecting value: line 1 column 1 (char 0)")
        self.assert_rolling_error(self.invoke('["a"]'), re.compile("^pop expected at most 1 arg"))
        reply = self.invoke('"text"')
        self.assert_rolling_error(reply, "'str' object has no attribute 'pop'")
        self.assertIn("\\u0027str\\u0027", reply.text)
        self.assert_rolling_error(self.invoke({"inputs": "a", "parameters": None}),
                                  "'NoneType' object does not support item assignment")
        self.assert_rolling_error(self.invoke({"inputs": []}), re.compile("^inputs: "))

    def test_a_bad_parameter_concerns_its_request_alone(self):
        other = self.begin_long()
        reply = self.invoke({"inputs": "a", "parameters": {"seed": "abc"}})
        self.assert_rolling_error(reply, re.compile("^seed: "))
        self.assertTrue(other.chunk())

    def test_a_prompt_that_is_too_long(self):
        reply = self.invoke({"inputs": "x" * 120001})
        self.assert_rolling_error(reply, re.compile("^Request: `x+` failed due to: .*max_tokens"))

    def test_errors_with_a_status_of_their_own(self):
        reply = self.server.post("/models", {"model_name": "strict", "url": "rb",
                                             "option.error_status": "true"})
        self.assertEqual(reply.status, 200, reply.text)
        self.addCleanup(self.server.call, "DELETE", "/models/strict")
        reply = self.server.post("/predictions/strict", "{")
        self.assertEqual((reply.status, reply.reason, reply.json["code"]),
                         (424, "prediction failure", 424))

    def test_a_list_of_inputs_gives_a_list(self):
        alone = [self.invoke({"inputs": text, "parameters": {"max_new_tokens": 5}}).json
                 for text in ("first", "second")]
        both = self.invoke({"inputs": ["first", "second"], "parameters": {"max_new_tokens": 5}})
        self.assertEqual(both.json, alone)

    def test_plain_text_and_forms(self):
        by_text = self.invoke("plain prompt", "content-type: text/plain\r\n")
        by_json = self.invoke({"inputs": "plain prompt", "parameters": {"details": True}})
        self.assertEqual(by_text.json["generated_text"], by_json.json["generated_text"])
        self.assertEqual(by_json.json["details"]["generated_tokens"], 30)
        form = self.invoke("data=plain+prompt", "content-type: application/x-www-form-urlencoded\r\n")
        self.assertEqual(form.json, by_text.json)
        forgotten = self.invoke(json.dumps({"inputs": "plain prompt"}),
                                "content-type: application/x-www-form-urlencoded\r\n")
        self.assertEqual(forgotten.json, by_text.json)

    def test_seeds_and_stop_sequences(self):
        sampled = {"inputs": "s", "parameters": {"do_sample": True, "seed": 7, "temperature": 2.0}}
        self.assertEqual(self.invoke(sampled).body, self.invoke(sampled).body)
        whole = self.invoke({"inputs": "s", "parameters": {"max_new_tokens": 60}}).json
        text = whole["generated_text"]
        stop = next(text[i:i + 1] for i in range(5, len(text)) if text[i] not in text[:i])
        stopped = self.invoke({"inputs": "s", "parameters": {
            "max_new_tokens": 60, "stop_sequences": [stop], "details": True}}).json
        self.assertEqual(stopped["details"]["finish_reason"], "stop_sequence")
        self.assertEqual(stopped["generated_text"], text[:text.index(stop) + 1])

    def test_chat(self):
        chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
        reply = self.invoke(chat)
        self.assertEqual(list(reply.json), ["id", "object", "created", "choices", "usage"])
        self.assertEqual(reply.json["object"], "chat.completion")
        choice = reply.json["choices"][0]
        self.assertEqual(list(choice), ["index", "message", "logprobs", "finish_reason"])
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertEqual(choice["finish_reason"], "length")
        prompt = len("<user>hi<assistant>")
        self.assertEqual(reply.json["usage"], {"prompt_tokens": prompt, "completion_tokens": 3,
                                               "total_tokens": prompt + 3})
        lines = self.invoke({**chat, "stream": True}).lines
        self.assertEqual([line["object"] for line in lines], ["chat.completion.chunk"] * 3)
        self.assertEqual([line["choices"][0]["finish_reason"] for line in lines],
                         [None, None, "length"])
        self.assertEqual(lines[0]["choices"][0]["delta"]["role"], "assistant")
        self.assertNotIn("role", lines[1]["choices"][0]["delta"])
        self.assert_rolling_error(self.invoke({**chat, "temperature": 3}), re.compile("temperature"))
        self.assert_rolling_error(
            self.invoke({"messages": [{"content": "hi"}]}),
            "When passing chat dicts as input, each dict must have a 'role' and 'content' key.")

    def test_other_ways_to_the_model(self):
        expected = self.invoke(HELLO).body
        for target in ("/predictions/rb", "/models/rb/invoke", "/invocations?model_name=rb"):
            self.assertEqual(self.server.post(target, HELLO).body, expected)
        attributes = "X-Amzn-SageMaker-Custom-Attributes: model_name=rb;foo=bar\r\n"
        self.assertEqual(self.invoke(HELLO, JSON + attributes).body, expected)
        self.assertEqual(self.invoke(HELLO, JSON + "model_name: rb\r\n").body, expected)
        # An empty body is an empty prompt, which this model without a BOS token can't take.
        by_get = self.server.get("/predictions/rb")
        self.assert_rolling_error(by_get, re.compile("^Request: `` failed due to: .*empty"))

    def test_open_ai(self):
        chat = {"model": "anything", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
        reply = self.server.post("/v1/chat/completions", chat)
        self.assertEqual(reply.status, 200, reply.text)
        self.assertEqual(reply.json["object"], "chat.completion")
        self.assertEqual(reply.json["usage"]["completion_tokens"], 3)
        stream = self.server.post("/v1/chat/completions", {**chat, "stream": True})
        self.assertTrue(stream.header("content-type").startswith("text/event-stream"))
        events = stream.text.split("\n\n")
        self.assertEqual(events[-2:], ["data: [DONE]", ""])
        self.assertTrue(all(event.startswith("data: {") for event in events[:-2]))
        models = self.server.get("/v1/models").json
        self.assertEqual([row["id"] for row in models["data"]], ["rb"])
        bad = self.server.post("/v1/chat/completions", {**chat, "temperature": 9})
        self.assertEqual(bad.status, 400)
        self.assertEqual(bad.json["error"]["param"], "temperature")
        self.assertEqual(self.server.get("/v1/other").status, 404)
