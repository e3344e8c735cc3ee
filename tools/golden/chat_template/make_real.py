"""Makes tests/golden/chat_template/real.json: what transformers' apply_chat_template gives.

usage: make_real.py TOKENIZERS OUT.json NAME ...

TOKENIZERS holds one folder with tokenizer_config.json and tokenizer.json for each NAME. Cases of
names that OUT.json has and that are not given stay: folders without a template of their own need
transformers 4.36 (the last one with class defaults), the others a recent one.
"""

import json
import os
import sys

from transformers import AutoTokenizer

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Look up the weather of a \"place\" <today>",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}, "days": {"type": "integer", "default": 1}},
            "required": ["place"],
        },
    },
}

USER = {"role": "user", "content": "  What's 2 + 2?\n"}
ANSWER = {"role": "assistant", "content": "It is 4. \u00fc\U0001f600 "}
SYSTEM = {"role": "system", "content": "You are terse."}
MORE = {"role": "user", "content": "And \"3 < 4\"?"}

CONVERSATIONS = [
    ("user", [USER]),
    ("system", [SYSTEM, USER]),
    ("turns", [USER, ANSWER, MORE]),
    ("system and turns", [SYSTEM, USER, ANSWER, MORE]),
    ("ends with assistant", [USER, ANSWER]),
    ("marked system", [{"role": "user", "content": "<<SYS>>x<</SYS>> hello"}]),
    ("thinking", [USER, {"role": "assistant", "content": "<think>\nsum\n</think>\n\n4"}, MORE,
                  {"role": "assistant", "content": "<think>\ncompare\n</think>\n\nyes"}]),
]

TOOL_TURNS = [
    SYSTEM,
    {"role": "user", "content": "Weather in Rome?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "get_weather",
                                          "arguments": {"place": "Rome", "days": 2}}}]},
    {"role": "tool", "name": "get_weather", "content": "{\"sky\": \"clear\"}"},
]


def main():
    folder, out, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    cases = []
    if os.path.exists(out):
        with open(out, encoding="utf-8") as file:
            cases = [case for case in json.load(file) if case["tokenizer"] not in names]
    for name in names:
        tokenizer = AutoTokenizer.from_pretrained(os.path.join(folder, name))
        wanted = [(title, messages, {}) for title, messages in CONVERSATIONS]
        if name.startswith("qwen3"):
            wanted.append(("tools", [USER], {"tools": [WEATHER]}))
            wanted.append(("tool turns", TOOL_TURNS, {"tools": [WEATHER]}))
            wanted.append(("no thinking", [USER], {"enable_thinking": False}))
        for title, messages, extra in wanted:
            for prompt in (False, True):
                variables = dict(extra, messages=messages, add_generation_prompt=prompt)
                for key, text in tokenizer.special_tokens_map.items():
                    if isinstance(text, str):
                        variables[key] = text
                text = tokenizer.apply_chat_template(messages, tokenize=False,
                                                     add_generation_prompt=prompt, **extra)
                cases.append({"tokenizer": name, "title": title, "variables": variables,
                              "expected": text})
    with open(out, "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=False, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
