"""Chat templates and generation defaults over HTTP."""

import json

from harness import DYNAMIC, ROLLING, ServerCase

USER = [{"role": "user", "content": "hi"}]
STRICT = """{%- for m in messages %}
{%- if m.role == 'system' %}
{{- raise_exception('no system role') }}
{%- endif %}
{{- m.content }}
{%- endfor %}"""
LONGEST = json.dumps({"max_new_tokens": 4, "temperature": 0.0})


class ChatTest(ServerCase):
    models = {"strict": ROLLING, "broken": ROLLING, "shown": ROLLING, "dynamic": DYNAMIC}
    files = {
        "strict": {"chat_template.jinja": STRICT, "generation_config.json": LONGEST},
        "broken": {"chat_template.jinja": "fine\n{% for %}"},
        "shown": {"chat_template.jinja": "{{ tools | tojson }}{{ documents | tojson }}{{ flavour }}"
                                         "{{ messages[-1].content }}{{ add_generation_prompt }}"},
        "dynamic": {"generation_config.json": json.dumps({"max_new_tokens": 7})},
    }

    def openai(self, model, **body):
        return self.server.post("/v1/chat/completions",
                                {"model": model, "messages": USER, "max_tokens": 2, **body})

    def lmi(self, model, **body):
        return self.server.post(f"/predictions/{model}", {"messages": USER, "max_tokens": 2, **body})

    def test_a_failing_template_is_a_bad_request(self):
        messages = [{"role": "system", "content": "x"}, *USER]
        expected = ("chat template, line 3: no system role, in "
                    "\"{{- raise_exception('no system role') }}\"")
        reply = self.openai("strict", messages=messages)
        self.assertEqual(reply.status, 400, reply.text)
        self.assertEqual(reply.json["error"]["message"], expected)
        self.assertEqual(reply.json["error"]["type"], "invalid_request_error")
        reply = self.lmi("strict", messages=messages)
        self.assertEqual(reply.status, 200)  # rolling mode's form of errors
        self.assertEqual(reply.json, {"error": expected, "code": 424})
        self.assertEqual(self.openai("strict").status, 200)

    def test_a_template_that_does_not_compile(self):
        reply = self.openai("broken")
        self.assertEqual(reply.status, 400, reply.text)
        self.assertRegex(reply.json["error"]["message"],
                         "^the model's chat template can't be used: .*chat_template.jinja: "
                         "chat template, line 2, column 8: ")
        self.assertIn("can't be used", self.lmi("broken").json["error"])
        self.assertEqual(self.server.post("/predictions/broken", {"inputs": "a"}).status, 200)
        self.assertIn("chat requests will be refused", self.server.log())

    def prompt_tokens(self, reply):
        self.assertEqual(reply.status, 200, reply.text)
        return reply.json["usage"]["prompt_tokens"]

    def test_template_arguments(self):
        count = self.prompt_tokens  # each byte is a token
        self.assertEqual(count(self.openai("shown")), len("nullnullhiTrue"))
        self.assertEqual(count(self.openai("shown", add_generation_prompt=False)),
                         len("nullnullhiFalse"))
        self.assertEqual(count(self.openai("shown", continue_final_message=True)),
                         len("nullnullhi"))
        tools, documents = [{"type": "function", "function": {"name": "é"}}], [{"text": "d"}]
        shown = (json.dumps(tools, ensure_ascii=False) + json.dumps(documents) + "minthiTrue").encode()
        for call in (self.openai, self.lmi):
            reply = call("shown", tools=tools, documents=documents,
                         chat_template_kwargs={"flavour": "mint"})
            self.assertEqual(count(reply), len(shown))
        self.assertEqual(count(self.openai("shown", tools=tools, tool_choice="none")),
                         len("nullnullhiTrue"))

    def test_generation_config_gives_defaults(self):
        reply = self.openai("strict", max_tokens=None, ignore_eos=True)
        self.assertEqual(reply.json["usage"]["completion_tokens"], 4)
        again = self.openai("strict", max_tokens=None, ignore_eos=True)
        self.assertEqual(reply.json["choices"], again.json["choices"])  # temperature 0
        self.assertEqual(self.openai("strict").json["usage"]["completion_tokens"], 2)
        whole = self.server.post("/predictions/dynamic", {"inputs": "abc"})
        self.assertEqual(whole.status, 200, whole.text)
        short = self.server.post("/predictions/dynamic",
                                 {"inputs": "abc", "parameters": {"max_new_tokens": 7}})
        self.assertEqual(whole.json, short.json)
