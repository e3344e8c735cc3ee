"""Makes tests/golden/dialect/python_json.json: what Python's json says about broken texts.

usage: make_python_json.py OUT.json        (Python 3.10 to 3.12)
"""

import json
import sys

WHOLE = '{"inputs": "h\\u00e9 \\n \\"q\\"", "parameters": {"a": [1, -2.5e+3, true, null, {}], "b": []}}'
TEXTS = [
    "", " ", "\n\n", "bad", '{"inputs": bad', "{", "}", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
    '{"a"', '{"a":', '{"a" 1}', '{"a": 1,}', '{"a": 1 "b": 2}', "{a: 1}", "{'a': 1}", '{"a": }',
    '{"a": 1} x', '{"a": 1}{', "1 2", "01", "1.", ".5", "-", "-a", "+1", "1e", "1e+", "tru", "nul",
    "nan", "Infinit", '"abc', '"ab\\', '"ab\nc"', '"a\tb"', '"a\\xb"', '"\\u12"', '"\\u12g4"', '"\\u"',
    '{"a": "b', '{"a\n": 1}', '[\n1,\n  x\n]', '{"\u00e9\U0001f600": bad}', '"\u00e9\n', "\u00e9",
    '{"inputs": "x",\n "parameters": {"k": tru}}', "[[[", '[{"a": [1, {"b": }]}]', "/* c */ {}",
    "{} // c", '{"a": 1;}', '{"a"= 1}', "{1: 2}", "[1}", '{"a": 1]', "\f1", "1\f", "NaN x", "--1",
    '{"a": "b" "c"}', '{"a": \'b\'}', '{"a":\r\n\r\nx}', '{,}', '[""', '["\\', '"\\u00',
] + [WHOLE[:n] for n in range(0, len(WHOLE), 3)]
FINE = ["1", "NaN", "-Infinity", WHOLE, ' {"a" : [ ] } ', "1.5E-3", '"\\ud800"']


def main():
    cases = []
    for text in TEXTS + FINE:
        try:
            json.loads(text)
            cases.append({"text": text, "error": ""})
        except json.JSONDecodeError as error:
            cases.append({"text": text, "error": str(error)})
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump(cases, out, ensure_ascii=False, indent=0)
        out.write("\n")


if __name__ == "__main__":
    main()
