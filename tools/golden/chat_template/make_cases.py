"""Makes tests/golden/chat_template/cases.json: small templates with what the jinja2 package says.

usage: make_cases.py OUT.json        (needs jinja2 3.1)

The environment is set up as chat templates expect it: trim_blocks, lstrip_blocks, loop controls,
an immutable sandbox, tojson without escapes, raise_exception.
"""

import json
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

VARIABLES = {
    "text": "  Héllo wörld \n",
    "empty": "",
    "n": 7,
    "x": 2.5,
    "big": 1e20,
    "yes": True,
    "nothing": None,
    "words": ["pear", "Apple", "fig", "apple"],
    "numbers": [3, 1, 2, 3],
    "nested": {"b": {"c": [1, {"d": "ü\"'<&>"}]}, "a": None},
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi\nthere", "tags": ["q", "w"]},
        {"role": "assistant", "content": "Hello </think> you", "score": 0.5},
    ],
    "bos_token": "<s>",
    "tree": [{"n": "r", "c": [{"n": "s", "c": []}, {"n": "t", "c": [{"n": "u", "c": []}]}]}],
}

TEMPLATES = r"""
plain text
---
{{ bos_token }}{{ missing }}|{{ n + 1 }}
---
{{ true }} {{ True }} {{ false }} {{ none }} {{ None }} {{ yes }} {{ nothing }}
---
{{ 1.0 }} {{ 0.1 + 0.2 }} {{ 1e16 }} {{ 1e-5 }} {{ big }} {{ 1e15 }} {{ 123456.789 }} {{ -0.0 }} {{ 1e100 }}
---
{{ [1, 'a', "it's", 'q"q', 'b"\'b', none, true, 1.5, {'k': (1,)}, ()] }}
---
{{ 'tab\t nl\n cr\r bs\\ \x41 \u00e9 \U0001F600 \101' }} {{ ['\x00\x7f\u200b\n'] }}
---
{{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
---
{{ 1 ~ 'a' ~ none ~ 2.0 ~ missing ~ [1] }} {{ 'ab' * 3 }} {{ [1] + [2] }} {{ [0] * 3 }} {{ 3 * 'x' }}
---
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {{ true == 1 }} {{ 1 != 2 }} {{ 2 >= 2 }} {{ none == none }}
---
{{ 'ell' in 'hello' }} {{ 3 in numbers }} {{ 'a' in nested }} {{ 'z' not in nested }} {{ not 1 in [2] }} {{ 'x' in missing }}
---
{{ 1 and 0 or 'z' }} {{ not none }} {{ '' or 'default' }} {{ yes and 'both' }} {{ (1 if no else 2) }} [{{ 1 if false }}]
---
{{ text.strip() }}|{{ text | trim }}|{{ text.lstrip() }}|{{ text.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}
---
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c d '.split(none, 2) }} {{ 'a-b-c'.rsplit('-', 1) }} {{ ' a b c '.rsplit(none, 1) }} {{ 'k=v'.partition('=') }} {{ 'a.b.c'.rpartition('.') }} {{ 'abc'.partition('x') }}
---
{{ 'hello'.startswith('he') }} {{ 'hello'.endswith(('x', 'lo')) }} {{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'héllo'.find('l') }} {{ 'hello'.count('l') }} {{ 'abc'.find('z') }} {{ ''.count('') }}
---
{{ 'aXbX'.replace('X', '-') }} {{ 'aXbX'.replace('X', '-', 1) }} {{ 'abc'.replace('', '.') }} {{ 'ab' | replace('a', 'b') }} {{ 'aaa' | replace('a', 'b', 2) }}
---
{{ 'hELLO wörld-x'.title() }} {{ 'hELLO wörld-x (a) b\'c' | title }} {{ 'éa B'.capitalize() }} {{ 'abC' | capitalize }} {{ 'straße é' | upper }} {{ 'ÀB' | lower }} {{ 'aB'.upper() }} {{ 'ab'.isalpha() }} {{ '12'.isdigit() }} {{ ' '.isspace() }} {{ 'ab'.islower() }} {{ 'AB1'.isupper() }} {{ 'a1'.isalnum() }}
---
{{ 'a\nb\r\nc'.splitlines() }} {{ 'a\n'.splitlines(true) }} {{ ', '.join(['a', 'b']) }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}
---
{{ text | length }} {{ numbers | count }} {{ nested | length }} {{ missing | length }} {{ 'a b  c' | wordcount }}
---
{{ words | join(', ') }} {{ numbers | join }} {{ messages | join('|', attribute='role') }} {{ 'abc' | join('-') }}
---
{{ missing | default('d') }} {{ empty | default('d') }} {{ empty | default('d', true) }} {{ none | d('x') }} {{ messages[0].nope | default([]) }}
---
{{ nested | tojson }} {{ nested | tojson(indent=2) }} {{ [] | tojson(indent=2) }} {{ {} | tojson }} {{ {'a': [], 'b': {}} | tojson(indent=4) }}
---
{{ 'é"\\/\n\t\x01\x7f' | tojson }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ [1, 2.0, 1e20, true, none] | tojson }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ {1: 2, none: 3, true: 4} | tojson }} {{ [1,2] | tojson(separators=(',', ':')) }}
---
{{ words | list }} {{ 'añb' | list }} {{ nested | list }} {{ nested | items | list }} {{ nested.items() | list }} {{ nested.keys() | list }} {{ nested.values() | list | length }} {{ nested.get('zz') }} {{ nested.get('zz', 5) }} {{ nested.get('a', 5) }}
---
{{ words | first }} {{ words | last }} {{ [] | first }} {{ 'xyz' | first }} {{ 'xyz' | last }} {{ words[0] }} {{ words[-1] }} {{ words[9] }} {{ 'añb'[1] }} {{ nested['b']['c'][1].d }} {{ nested.b.c.1.d }} {{ words.0 }}
---
{{ words[1:] }} {{ words[:-1] }} {{ words[::2] }} {{ words[::-1] }} {{ 'añbc'[1:3] }} {{ 'abc'[::-1] }} {{ words[5:] }} {{ numbers[-2:] }} {{ (1,2,3)[:2] }} {{ numbers[3:0:-2] }} {{ numbers[-100:100] }}
---
{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(9) }} {{ 3.9 | int }} {{ '3.7' | int }} {{ 'ff' | int(0, 16) }} {{ true | int }} {{ '1.5' | float }} {{ 'x' | float }} {{ 'x' | float(2.5) }} {{ 3 | float }} {{ 12 | string }} {{ 1.5 | string }} {{ [1] | string }}
---
{{ 2.5 | round }} {{ 3.14159 | round(2) }} {{ 2.1 | round(method='ceil') }} {{ 2.9 | round(0, 'floor') }} {{ -5 | abs }} {{ -2.5 | abs }} {{ 42.55 | round(1) }}
---
{{ numbers | sort }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ numbers | sort(reverse=true) }} {{ messages | sort(attribute='role') | map(attribute='role') | list }} {{ words | unique | list }} {{ numbers | unique | list }} {{ words | reverse | list }} {{ 'abc' | reverse }} {{ numbers | min }} {{ numbers | max }} {{ words | min }} {{ numbers | sum }}
---
{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list }} {{ messages | rejectattr('role', '==', 'system') | list | length }} {{ messages | selectattr('tags') | list | length }} {{ messages | selectattr('score', 'defined') | map(attribute='score') | join }} {{ numbers | select('odd') | list }} {{ numbers | reject('greaterthan', 2) | list }} {{ words | map('upper') | join(' ') }} {{ messages | map(attribute='tags', default='-') | list }} {{ words | select('in', ['fig']) | list }} {{ words | map('replace', 'p', 'P') | list }}
---
{{ {'b': 2, 'A': 3, 'c': 1} | dictsort }} {{ {'b': 2, 'A': 3, 'c': 1} | dictsort(by='value') }} {{ {'b': 1, 'a': 2} | dictsort(reverse=true) }} {{ {'b': 2, 'A': 3} | dictsort(true) }}
---
{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb' | indent(2, true) }}|{{ 'a\n\nb' | indent(1, blank=true) }}|{{ 'a\nb' | indent('> ') }}
---
{{ '<a href="x">\'&' | escape }} {{ 'x' | safe }} {{ '%s is %d or %05.2f %r %%' | format('a', 3, 2.5, 'q') }} {{ '%s-%s' % (1, 'b') }} {{ '%5d|%-5d|%05d|%+d|%x' % (42, 42, -42, 42, 255) }} {{ 'n: %s' % 3 }} {{ '%(a)s' % {'a': 1} }} {{ '%.3s' % 'abcdef' }} {{ '%e %g' % (12345.678, 0.0001) }}
---
{{ x is defined }} {{ zz is defined }} {{ zz is undefined }} {{ nothing is none }} {{ text is string }} {{ nested is mapping }} {{ words is sequence }} {{ nested is iterable }} {{ n is number }} {{ n is integer }} {{ x is float }} {{ yes is boolean }} {{ yes is true }} {{ n is true }} {{ false is false }} {{ yes is number }} {{ yes is integer }} {{ text is sequence }} {{ n is iterable }} {{ words is mapping }}
---
{{ n is odd }} {{ n is even }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ n is equalto 7 }} {{ n is eq 8 }} {{ n is in [7] }} {{ n is not in [7] }} {{ 'a' is lower }} {{ 'A' is upper }} {{ n is not none }} {{ n is gt 3 }} {{ not n is defined }} {{ n is sameas 7 }} {{ range is callable }}
---
{% if n > 5 %}big{% elif n > 3 %}mid{% else %}small{% endif %} {% if none %}a{% elif empty %}b{% elif [] %}c{% elif {} %}d{% else %}e{% endif %}
---
{% for m in messages %}
{{ loop.index }}/{{ loop.index0 }}/{{ loop.revindex }}/{{ loop.revindex0 }}/{{ loop.length }} {{ loop.first }} {{ loop.last }} {{ m.role }} p={{ loop.previtem.role if loop.previtem is defined }} n={{ loop.nextitem.role if not loop.last }} {{ loop.cycle('odd', 'even') }}
{% endfor %}
end
---
{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ loop.length }}{{ m.role }};{% else %}none{% endfor %} {% for m in [] %}x{% else %}empty{% endfor %} {% for m in words if m == 'zz' %}x{% else %}no{% endfor %}
---
{% for k, v in nested.items() %}{{ k }}={{ v is none }};{% endfor %} {% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %} {% for c in 'hé' %}[{{ c }}]{% endfor %} {% for k in nested %}{{ k }}{% endfor %}
---
{% for i in range(10) %}{% if i == 3 %}{% continue %}{% endif %}{% if i > 5 %}{% break %}{% endif %}{{ i }}{% endfor %} {{ range(3) | list }} {{ range(5, 0, -2) | list }} {{ range(2, 5) | list }}
---
{% set a = 1 %}{% for i in [1, 2] %}{% set a = a + 10 %}{{ a }},{% endfor %}{{ a }} {% set ns = namespace(c=0, d='x') %}{% for i in range(4) %}{% set ns.c = ns.c + i %}{% endfor %}{{ ns.c }}{{ ns.d }}{% if true %}{% set a = 5 %}{% endif %}{{ a }}
---
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set t = 1, 2 %}{{ t }}{% set block %}  in {{ n }} {% endset %}[{{ block }}]{% set up | upper | trim %} abc {% endset %}[{{ up }}]
---
{% macro hi(name, mark='!', n=1) %}Hi {{ name }}{{ mark * n }}{% endmacro %}{{ hi('a') }} {{ hi('b', '?', n=3) }} {{ hi(name='c', mark='.') }} {{ hi() }}
---
{% macro wrap(tag) %}<{{ tag }}>{{ caller() }}</{{ tag }}>{% endmacro %}{% call wrap('b') %}x{{ n }}{% endcall %}{% macro each(items) %}{% for i in items %}{{ caller(i, loop.index) }}{% endfor %}{% endmacro %}{% call(item, k) each(words) %}{{ k }}:{{ item }} {% endcall %}
---
{% macro fact(k) %}{% if k <= 1 %}1{% else %}{{ k * (fact(k - 1) | int) }}{% endif %}{% endmacro %}{{ fact(10) }} {% macro outer() %}{% macro inner() %}in{{ n }}{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}
---
{% set later = 'top' %}{% macro see() %}{{ later }}{% endmacro %}{{ see() }}
---
a
  {% if true %}
    b
  {% endif %}
c
   {{ n }}
  {# comment #}
d {% if true %}e{% endif %}

f
---
a  {%- if true -%}  b  {%- endif -%}  c  {{- n -}}  d {#- x -#} e
---
a
  {%+ if true %}x{%+ endif +%}
b
{%- set q = 1 +%}
c
---
  {% if true -%}
     x
  {%- endif %}
y
---
{% raw %}{{ not }} {% if %}{% endraw %} {%- raw -%}  {{ z }}  {%- endraw -%}  t
---
{% filter upper %}ab{{ n }}c{% endfilter %} {% with q = 3, r = n %}{{ q + r }}{% endwith %}{{ q }}
---
{{ {'a': 1, 'b': [1, 2]} }} {{ {} }} {{ dict(a=1, b=2) }} {{ {'a': {'b': {'c': 1}}}.a.b.c }} {{ dict({'x': 1}, y=2) }}
---
{{ 'con' 'cat' }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 1_000 }} {{ 1.5e3 }} {{ (1, 2) }} {{ (1,) }} {{ 1, 2 }} {{ -n }} {{ +n }} {{ - 3 | abs }}
---
{{ messages[1:] | length }} {{ messages[0]['role'] }} {{ messages[-1].content.split('</think>')[-1].lstrip() }} {{ messages[1]['nope'] is defined }} {{ messages[1].tags is defined and messages[1].tags | length > 1 }}
---
{%- for message in messages %}
    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %}
---
{{ "a" if n == 7 else "b" if n == 8 else "c" }} {{ ("x" if true) ~ "y" }} {{ [1, 2, 3] | map('string') | map('length') | sum }} {{ n if n is defined and n is not none else 'z' }}
---
{% if messages[0].content is string and 'brief' in messages[0].content and not (n == 8) %}ok{% endif %} {{ (words | sort | first) ~ '!' }} {{ (n > 5) | string }} {{ [n, x] | max }} {{ 'a' 'b' | upper }} {{ 'A' ~ 'b' | lower }}
---
{{ (1 == 1) ~ '' }} {{ 'x'.join(words[:2]) }} {{ words | tojson | length }} {{ missing is string }} {{ '%s' % none }} {{ 'a\
b' }}
---
{% for group in [[1, 2], [3]] %}{% for i in group %}{{ loop.index }}{{ loop.depth }}{% endfor %}-{{ loop.index }};{% endfor %}
---
line one
{% set x = 1 %}
{% set y = 2 %}

line two {{ x + y }}
{% for i in [1, 2] %}
  item {{ i }}
{% endfor %}
---
{% for node in tree recursive %}({{ node.n }}{{ loop.depth }}/{{ loop.depth0 }}:{{ loop.index }}{% if node.c %}{{ loop(node.c) }}{% endif %}){% endfor %}
---
{% for m in messages %}{{ loop.changed(m.role == 'user') }}{{ loop.changed(1, 2) }}{% else %}none{% endfor %} {% for x in [] %}{% else %}{% set q = 5 %}{{ q }}{% endfor %}{{ q }}
---
{% macro m(a, b='d') %}{{ a }}|{{ b }}|{{ varargs }}|{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, 4, z=5) }} {{ m(*numbers, **{'q': 1}) }} {{ m(**{'b': 7}) }} {{ m.name }} {{ m.arguments }} {{ m.catch_kwargs }}
---
{% macro opt() %}{{ caller() if caller else 'plain' }}{% endmacro %}{{ opt() }} {% call opt() %}called{% endcall %}
---
{{ (words | map('upper')) is iterable }} {% set g = words | map('upper') %}{{ g | join }}{{ g | join }}. {{ 'yes' if numbers | select('gt', 9) else 'no' }} {{ nested.items() }} {{ nested.keys() }} {{ nested.values() | list }} {{ nested.items() | length }}
---
{{ '<' | e }} {{ ('<' | safe) + '<' }} {{ '<' + ('>' | safe) }} {{ ('<' | safe) ~ '<' }} {{ ('%s' | safe) % '<' }} {{ 'x' | e | e }} {{ ('<' | e) is escaped }}
---
{{ '{} {1}'.format(1) if false }}{{ '{0}-{b:>5}|{0!r:^7}|{b:05.1f}|{c[k]}|{d[0]}|{{}}'.format('x', b=2.25, c={'k': 1}, d=[9]) }} {{ '{:,}|{:+d}|{:#x}|{:e}|{:%}|{:.3}|{:b}'.format(1234567, 5, 255, 12345.678, 0.25, 'abcdef', 5) }} {{ '{:g}|{:.2g}|{:10.3f}|{:<6}|{:*^9}'.format(1e10, 0.00012345, 3.14159, true, 'mid') }}
---
{{ '%c%c|%5.1f|%-6s|%+d|% d|%x|%#x|%o|%e|%g|%05d|%.3d|%*d' % (65, 'z', 2.25, 'ab', 3, 4, 255, 255, 8, 12345.678, 1e-5, -42, 7, 4, 2) }}
---
{{ [1, 2, 3, 4, 5] | batch(2, 0) | list }} {{ [1, 2, 3, 4, 5] | slice(3, '-') | list }} {{ messages | groupby('role') | map(attribute='grouper') | list }} {% for role, group in messages | groupby('role') %}{{ role }}{{ group | length }}{% endfor %} {{ words | sort(attribute='0') | list }} {{ numbers | sum(start=10) }}
---
{{ 'hello big world' | truncate(9) }} {{ 'hello world' | truncate(8, true, '', 0) }} {{ 'ab' | center(7) }}| {{ 'a b&c=/é' | urlencode }} {{ {'a b': 'c&d'} | urlencode }} {{ {'class': 'x', 'id': none} | xmlattr }} {{ 1500000 | filesizeformat }} {{ 1 | filesizeformat }} {{ 2048 | filesizeformat(true) }}
---
{{ 'abcabc'.find('c', 3) }} {{ 'abcabc'.count('b', 2) }} {{ 'abc'.index('c') }} {{ 'x'.center(5, '*') }} {{ '7'.zfill(3) }} {{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ 'aBc'.swapcase() }} {{ 'Straße'.casefold() }} {{ 'a\tb'.expandtabs(4) }} {{ 'A Title'.istitle() }} {{ 'x1'.isidentifier() }} {{ '½'.isnumeric() }} {{ '1'.isdecimal() }} {{ 'abc'.startswith('b', 1) }} {{ 'a-b'.split(sep='-') }} {{ 'aXbXc'.replace('X', '-', 1) }}
---
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }} {% set j = joiner('; ') %}{% for w in words %}{{ j() }}{{ w }}{% endfor %}
---
{% if false %}{{ 1 | nofilter }}{{ 1 is notest }}{% endif %}{{ (1 | nofilter) if false else 'ok' }}
---
{{ numbers.append is defined }} {{ nested.update is defined }} {{ missing == other_missing }} {{ [missing] }} {{ missing in [1] }} {{ 1 in missing }} {{ '' is lower }} {{ 2.0 is even }} {{ 3 | round }} {{ 2.567 | round(1, 'floor') }} {{ 25 | round(-1) }}
---
{{ {'big': 18446744073709551615, 'f': 1e22, 'z': 1.0} | tojson }} {{ '\x7f' | tojson(ensure_ascii=true) }}
---
{% block part %}b{{ n }}{% endblock part %} {% print n %} {% for a in numbers if a > 1 recursive %}{{ a }}{% endfor %}
---
{{ 'Look, goof-ball -- use the -b option! well-known--stop ab-cd-ef 日本語日本語日本語' | wordwrap(10) }}|{{ 'a longlonglongword and hyphen-ated-longword' | wordwrap(8, wrapstring='/') }}|{{ 'longlonglong b\n\nc  d e' | wordwrap(5, false) }}|{{ 'ab-cd ef-gh' | wordwrap(4, break_on_hyphens=false) }}
---
{{ 'see http://example.com/a?b=c#d, (www.example.org/x_(y)) or example.net. mail a.b@c-d.ef, mailto:x@y.zz tel:+12 @a@b.c http://1.2.3.4:80/ https://[::1]/ http://a..b x@y <http://q.co>' | urlize(20, true, target='_blank', extra_schemes=['tel:']) }} {{ 'http://a.bc http://example.com:123456 foo' | urlize(rel='me') }}
---
{{ '<p class="x">Tom &amp; <!-- > -->Jerry&nbsp;&copy2 &notit; &#128; &#x41 &#0;</p>\n\t <br> a < b &bogus; &lt;i&gt;' | striptags }} {{ ('<b>' | e) | striptags }} {{ 5 | striptags }}
---
{{ {'b': 'x' * 40, 'a': [1, 2.5, none, 'y' * 60, ('z' * 70,)], 1: {}, 'long': 'words in a row ' * 8} | pprint }}
{{ ('word ' * 30) | pprint }}
{{ ('a\nb\n' * 30) | pprint }} {{ ('line one\n' * 12) | pprint }} {{ ['s' * 90, messages] | pprint }} {{ 1 | pprint }} {{ missing | pprint }} {{ ('<' | e) | pprint }}
---
{{ [4] | random }} {{ 'x' | random }} [{{ [] | random }}] {{ range(7, 8) | random }}
---
[{{ 5[1:2] }}] [{{ {'a': 1}[1:] }}] [{{ 'abc'['x':] }}] {{ none[:1] is defined }} [{{ 5[1:2] ~ 'x' }}]
""".strip("\n").split("\n---\n")

ERRORS = r"""
{{ raise_exception('no\nway') }}
---
{{ missing.attr }}
---
{{ missing + 1 }}
---
{{ 'a' + 1 }}
---
{{ words.append('x') }}
---
{{ 1 // 0 }}
---
{{ n() }}
---
{{ n | length }}
---
{% for x in 5 %}{% endfor %}
---
{{ missing | tojson }}
---
{{ range(1000000000) | list }}
---
{% set n.a = 1 %}
---
{% for a, b in [(1, 2, 3)] %}{% endfor %}
---
{{ 1 < 'a' }}
---
{{ {[1]: 2} }}
---
{{ (words | map('upper')) | length }}
---
{{ words | map('upper') | tojson }}
---
{{ words | join(sep=',') }}
---
{{ words | map('nofilter') | list }}
---
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
---
{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}
---
{{ 'abc'.index('z') }}
---
{{ '{} {}'.format(1) }}
---
{{ '{:d}'.format('x') }}
---
{{ '%d' % 'x' }}
---
{{ -words }}
---
{% for x in numbers %}{{ loop(numbers) }}{% endfor %}
---
{{ numbers | last | last }}
---
{{ numbers | map('odd') | list }}
---
{% if true %}{{ 1 | nofilter }}{% endif %}
---
{{ 'a' | wordwrap(0) }}
---
{{ 5 | wordwrap }}
---
{{ words | map('upper') | random }}
---
{{ {'a': 1} | random }}
---
{{ 'a' | urlize(extra_schemes=['x']) }}
---
{{ n[1:2] }}
---
{{ n ~ 5[1:2] }}
""".strip("\n").split("\n---\n")

SYNTAX = r"""
{% if %}
---
{% endif %}
---
{% if n %}
---
{{ n
---
{{ n | nofilter }}
---
{{ n is notest }}
---
{% for %}{% endfor %}
---
{% unknown %}
---
{{ 'abc }}
---
{{ (1 }}
---
{# open
---
{% set true = 1 %}
---
{{ 1 + }}
---
{% break %}
---
{{ a b }}
---
{% macro m(a=1, b) %}{% endmacro %}
---
{% for x in numbers %}{{ x | nofilter }}{% endfor %}
---
{% if x %}{% for x in numbers %}{{ x is notest }}{% endfor %}{% endif %}
---
{{ m(*a, *b) }}
---
{{ n is odd is even }}
""".strip("\n").split("\n---\n")


def environment():
    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


def main():
    env = environment()
    cases = []
    for template in TEMPLATES:
        cases.append({"template": template, "expected": env.from_string(template).render(VARIABLES)})
    for template in ERRORS:
        try:
            env.from_string(template).render(VARIABLES)
        except Exception:
            continue
        sys.exit(f"renders, but should fail: {template}")
    for template in SYNTAX:
        try:
            env.from_string(template)
        except Exception:
            continue
        sys.exit(f"compiles, but should not: {template}")
    with open(sys.argv[1], "w", encoding="utf-8") as out:
        json.dump({"variables": VARIABLES, "cases": cases, "errors": ERRORS, "syntax": SYNTAX}, out,
                  ensure_ascii=False, indent=1)
        out.write("\n")


if __name__ == "__main__":
    main()
