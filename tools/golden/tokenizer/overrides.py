"""Compares folders with a tokenizer.json whose other files say something else about it.

    overrides.py --answers PROGRAM [--rounds N] [--seed N] [--only CLASS] [--show N]
    overrides.py --out FOLDER                 writes overrides.json, the fixture of the tests

For each fast class of transformers a tokenizer.json is made (slow_folders.py); then flags, options,
special and added tokens of tokenizer.json, tokenizer_config.json, special_tokens_map.json and
added_tokens.json are set at random, or there is only a config.json, and AutoTokenizer is compared with
PROGRAM, the one of the target tokenizer_answers: ids, type ids, offsets, pairs, decoded text.
"""
import argparse
import copy
import inspect
import json
import os
import random
import shutil
import sys
import tempfile
import warnings

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "critical")
warnings.filterwarnings("ignore")

import transformers  # noqa: E402
from tokenizers import decoders, pre_tokenizers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402
from transformers.models.auto.tokenization_auto import TOKENIZER_MAPPING_NAMES  # noqa: E402

import slow_folders  # noqa: E402
from differential import Program  # noqa: E402
from make_golden import fnv  # noqa: E402

TEXTS = [
    "Hello world", "  The Quick  brown fox. ", "naïve CAFÉ e\u0301", "中文 分词a日本語", "a <mask> b<mask>c  [MASK]  d", "x",
    "<s> a </s>b <pad> <unk> [CLS] x[SEP] [PAD]", "<|endoftext|> we 've <extra_id_1>  <new> x", "it 's , ok . don 't ?",
    "tab\tline\n\n  end ", "<extra> text<extra>  <New>New", "", " ", "▁a ▁<PRE>▁ b", "en_XX fra_Latn __de__ >>fr<<",
    "1,000 ﬁ Ａ", "a\r\nb \u3000c\u00a0d", "<|startoftext|>x<bos>y<eos>z </w>", "<special0> <madeupword1> <unk_3>",
    "def f(x):\n    <FILL_ME>\n  return x", "a<FILL_ME>", "<FILL_ME> b <FILL>",
]
PAIRS = [("Hello there", "General <mask> x"), (" a", "b "), ("", "x"), ("dog", " ")]
BERT_OPTIONS = {"do_lower_case": [True, False], "strip_accents": [True, False, None],
                "tokenize_chinese_chars": [True, False]}
OPTIONS = {
    "add_prefix_space": [True, False], "trim_offsets": [True, False], "add_bos_token": [True, False],
    "add_eos_token": [True, False], "legacy": [True, False], "clean_up_tokenization_spaces": [True, False],
    "split_special_tokens": [True], "model_max_length": [8, 10**30], "padding_side": ["left", "right"],
    "truncation_side": ["left"], "keep_accents": [True, False], "do_lower_case": [True, False],
    "legacy_behaviour": [True, False], "split_by_punct": [True],
    "extra_ids": [0, 2, 100], "language": ["fr"], "use_default_system_prompt": [False], "sp_model_kwargs": [{}],
    "offset": [103, 2], "mask_token_sent": ["<mask_1>", None], "fill_token": ["<FILL>"], "unk_id": [3],
    "return_token_type_ids": [True], "num_madeup_words": [7],
}
LANGUAGES = {"MBartTokenizerFast": "fr_XX", "MBart50TokenizerFast": "fr_XX", "NllbTokenizerFast": "fra_Latn"}
ALIKE = {"LayoutLMv2": "Bert", "DPRContextEncoder": "Bert", "DPRQuestionEncoder": "Bert", "LayoutLMv3": "Roberta",
         "LayoutXLM": "XLMRoberta", "Udop": "T5", "MT5": "T5", "CodeLlama": "Llama"}
BOXED = ("LayoutLMv2", "LayoutLMv3", "LayoutXLM", "MarkupLM")


def more_tokenizers():
    special = ["<unk>", "<s>", "</s>", "<pad>", "<mask>", "<cls>", "<sep>", "<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"]
    plain = slow_folders.byte_bpe(special)
    plain.decoder = decoders.ByteLevel()
    for name in ("BloomTokenizerFast", "PreTrainedTokenizerFast"):
        yield name, plain
    yield "GPTNeoXTokenizerFast", slow_folders.byte_bpe(["<|endoftext|>", "<|padding|>"])
    nested = slow_folders.byte_bpe(special)
    nested.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    nested.decoder = decoders.ByteLevel(add_prefix_space=False)
    yield "CohereTokenizerFast", nested


def bases(work):
    """{class: [(files, config)]} with a tokenizer.json among the files."""
    found = {}
    for name, files, config in slow_folders.fast_folders(work):
        cls = name.split("+")[0].removesuffix("Fast")
        folder, target = tempfile.mkdtemp(dir=work), tempfile.mkdtemp(dir=work)
        write(folder, files, dict(config, tokenizer_class=cls))
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder)
            tokenizer.save_pretrained(target)
            tokenizer.backend_tokenizer.save(os.path.join(target, "tokenizer.json"))
        except Exception as error:  # noqa: BLE001
            print(f"{name}: {error!r}"[:200], file=sys.stderr)
            continue
        with open(os.path.join(target, "tokenizer.json"), encoding="utf-8") as stream:
            tree = json.load(stream)
        with open(os.path.join(target, "tokenizer_config.json"), encoding="utf-8") as stream:
            saved = json.load(stream)
        found.setdefault(tokenizer.__class__.__name__, []).append((files, tree, saved))
    for cls, tokenizer in more_tokenizers():
        found.setdefault(cls, []).append(({}, json.loads(tokenizer.to_str()), {}))
    for cls, like in ALIKE.items():  # whose files are those of another class
        found.setdefault(cls + "TokenizerFast", found[like + "TokenizerFast"])
    return found


def write(folder, files, settings=None, more=None):
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(content)
    for name, value in dict(more or {}, tokenizer_config=settings).items():
        if value is not None:
            with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as stream:
                json.dump(value, stream)


def flags(r, content):
    token = {"content": content}
    for name in ("lstrip", "rstrip", "single_word", "normalized", "special"):
        token[name] = r.random() < (0.8 if name == "special" else 0.25)
    return token


def change_tree(r, tree):
    """Other flags in tokenizer.json."""
    tree = copy.deepcopy(tree)

    def walk(value):
        if isinstance(value, dict):
            for key, item in value.items():
                if key in ("add_prefix_space", "trim_offsets", "lowercase", "handle_chinese_chars") and r.random() < 0.5:
                    value[key] = not item
                elif key == "strip_accents" and r.random() < 0.5:
                    value[key] = r.choice([True, False, None])
                else:
                    walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
    for section in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        walk(tree.get(section))
    for token in tree["added_tokens"]:
        if r.random() < 0.15:
            token.update(flags(r, token["content"]))
    if r.random() < 0.2 and tree["added_tokens"]:
        gone = r.choice(tree["added_tokens"])
        if gone["id"] < len(tree["model"]["vocab"]):
            tree["added_tokens"].remove(gone)
    if r.random() < 0.15:
        tree["truncation"] = {"direction": "Left", "max_length": 6, "strategy": "LongestFirst", "stride": 1}
    if r.random() < 0.15:
        tree["padding"] = {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0,
                           "pad_type_id": 0, "pad_token": r.choice(["<pad>", "[PAD]", "x"])}
    return tree


SPECIALS = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]


def random_special(r, texts):
    text = r.choice(texts + ["<new>", "<New>", "x"])
    kind = r.random()
    return text if kind < 0.5 else dict(flags(r, text), __type="AddedToken") if kind < 0.95 else None


def change_config(r, cls, tree, saved):
    texts = [t["content"] for t in tree["added_tokens"]][:12]
    config = copy.deepcopy(saved) if r.random() < 0.4 else {}
    config["tokenizer_class"] = cls
    if r.random() < 0.3 and "added_tokens_decoder" in config:
        del config["added_tokens_decoder"]
    names = [n for n in OPTIONS if n in cls_options(cls)] * 3 + list(OPTIONS)
    for _ in range(r.choice([0, 1, 2, 4])):
        name = r.choice(names)
        config[name] = r.choice(OPTIONS[name])
    if "tokenize_chinese_chars" in cls_options(cls) or "strip_accents" in cls_options(cls):
        for name, values in BERT_OPTIONS.items():
            if r.random() < 0.5:
                config[name] = r.choice(values)
    if cls in LANGUAGES and r.random() < 0.5:
        config["src_lang"] = LANGUAGES[cls]
    for _ in range(r.choice([0, 0, 1, 2])):
        config[r.choice(SPECIALS)] = random_special(r, texts)
    if r.random() < 0.2:
        config["additional_special_tokens"] = [t for t in (random_special(r, texts + ["<extra>"]) for _ in range(2)) if t]
    if r.random() < 0.3:
        decoder = config.setdefault("added_tokens_decoder", {})
        for token in tree["added_tokens"][:12]:
            if r.random() < 0.3:
                decoder[str(token["id"])] = flags(r, token["content"])
        if r.random() < 0.5:
            free = max([len(tree["model"]["vocab"])] + [t["id"] + 1 for t in tree["added_tokens"]])
            decoder[str(free)] = flags(r, r.choice(["<extra>", "<New>"]))
    return config


def cls_options(cls):
    return set(inspect.signature(getattr(transformers, cls).__init__).parameters)


def make(r, cls, entry, work):
    files, tree, saved = entry
    folder = tempfile.mkdtemp(dir=work)
    tree = change_tree(r, tree) if r.random() < 0.7 else tree
    more, config = {"tokenizer": tree}, None
    if r.random() < 0.85:
        config = change_config(r, cls, tree, saved)
    else:
        types = [t for t, pair in TOKENIZER_MAPPING_NAMES.items()
                 if cls in pair and t in transformers.CONFIG_MAPPING]
        if types:
            more["config"] = {"model_type": r.choice(types)}
        else:
            config = {"tokenizer_class": cls}
    texts = [t["content"] for t in tree["added_tokens"]][:12]
    if r.random() < 0.15:
        more["special_tokens_map"] = {r.choice(SPECIALS): random_special(r, texts) or "x" for _ in range(2)}
        if r.random() < 0.3:
            more["special_tokens_map"]["additional_special_tokens"] = [random_special(r, texts) or "x"]
    listed = more.get("special_tokens_map", {}).get("additional_special_tokens")
    if r.random() < 0.1 and not listed:  # else one of the list becomes another token, by a slip of the reference
        free = max([len(tree["model"]["vocab"])] + [t["id"] + 1 for t in tree["added_tokens"]])
        more["added_tokens"] = {"<extra>": free, "<New>": free + 1}
    slow = {n: c for n, c in files.items() if r.random() < 0.5} if r.random() < 0.3 else {}
    write(folder, slow, config, more)
    return folder


def answers(tokenizer, text, pair=None):
    if hasattr(tokenizer, "fill_token") and (pair or "FILL" in text):  # it normalizes later texts otherwise
        tokenizer = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    if tokenizer.__class__.__name__.startswith(BOXED):
        out = []
        tokenizer.backend_tokenizer.no_truncation()
        for special in (True, False):
            e = tokenizer.backend_tokenizer.encode(text, pair, add_special_tokens=special)
            out.append((e.ids, e.type_ids, [list(o) for o in e.offsets]))
    else:
        out = []
        for special in (True, False):
            e = tokenizer(text, pair, add_special_tokens=special, return_offsets_mapping=True, return_token_type_ids=True)
            out.append((e["input_ids"], e["token_type_ids"], [list(o) for o in e["offset_mapping"]]))
    ids = out[0][0]
    return {"special": out[0], "plain": out[1], "decoded": tokenizer.decode(ids),
            "skipped": tokenizer.decode(ids, skip_special_tokens=True)}


def asked(program, text, pair=None):
    result = {}
    for name, special in (("special", True), ("plain", False)):
        request = {"encode": text, "special": special}
        if pair is not None:
            request["pair"] = pair
        got = program.ask(request)
        if "error" in got:
            return {"special": got["error"], "plain": None, "decoded": None, "skipped": None}
        result[name] = (got["ids"], got["type_ids"], got["offsets"])
    got = program.ask({"ids": result["special"][0]})
    if "error" in got:
        got = {"decoded": got["error"], "skipped": None, "streamed": None, "streamed_skipped": None}
    result["decoded"] = got["decoded"] if got["streamed"] == got["decoded"] else [got["decoded"], got["streamed"]]
    result["skipped"] = got["skipped"] if got["streamed_skipped"] == got["skipped"] else [got["skipped"], got["streamed_skipped"]]
    return result


def describe(folder):
    out = []
    for name in sorted(os.listdir(folder)):
        out.append(name)
        if name in ("tokenizer_config.json", "config.json", "special_tokens_map.json", "added_tokens.json"):
            with open(os.path.join(folder, name), encoding="utf-8") as stream:
                out.append(stream.read()[:1500])
    with open(os.path.join(folder, "tokenizer.json"), encoding="utf-8") as stream:
        tree = json.load(stream)
    del tree["model"]
    if len(tree["added_tokens"]) > 12:
        tree["added_tokens"] = tree["added_tokens"][:12]
    out.append(json.dumps(tree)[:3000])
    return "\n    ".join(out)


def compare(program, folder):
    """(compared, [what differs]) or None where the reference refuses the folder."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except BaseException as error:  # noqa: BLE001
        return repr(error)[:150]
    loaded = program.ask({"load": folder})
    if "error" in loaded:
        return 1, [f"load: {loaded['error']}"]
    total, differ = 0, []
    for text, pair in [(t, None) for t in TEXTS] + PAIRS:
        try:
            want = answers(tokenizer, text, pair)
        except BaseException as error:  # noqa: BLE001
            continue
        got = asked(program, text, pair)
        total += 1
        for key in want:
            if want[key] != got[key]:
                differ.append(f"{key} of {text!r} {pair!r}\n  want {want[key]!r}\n  got  {got[key]!r}")
                break
    return total, differ


FIXTURE = ["BertTokenizerFast", "LayoutLMv2TokenizerFast", "MPNetTokenizerFast", "RobertaTokenizerFast",
           "BartTokenizerFast", "GPT2TokenizerFast", "BloomTokenizerFast", "CohereTokenizerFast", "GPTNeoXTokenizerFast",
           "Qwen2TokenizerFast", "PreTrainedTokenizerFast", "LlamaTokenizerFast", "GemmaTokenizerFast",
           "T5TokenizerFast", "XLMRobertaTokenizerFast", "CodeLlamaTokenizerFast"]


def fixture(out, found, work):
    """Folders as {file: JSON}; a tokenizer.json's model stands once in "models"."""
    texts = [(t, None) for t in TEXTS] + PAIRS
    models, folders = [], []
    for cls in FIXTURE:
        base = found[cls][0]
        for i in range(2 if len(json.dumps(base[1])) > 20000 else 8):
            r = random.Random(f"fixture {cls} {i}")
            folder = make(r, cls, ({}, base[1], base[2]), work)
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder)
                hashes = []
                for text, pair in texts:
                    got = answers(tokenizer, text, pair)
                    parts = []
                    for ids, types, offsets in (got["special"], got["plain"]):
                        parts += ["".join(f"{n};" for n in ids), "".join(f"{n};" for n in types),
                                  "".join(f"{a},{b};" for a, b in offsets)]
                    hashes.append(fnv("\x1f".join(parts + [got["decoded"], got["skipped"]])))
            except BaseException:  # noqa: BLE001
                continue
            files = {}
            for name in sorted(os.listdir(folder)):
                with open(os.path.join(folder, name), encoding="utf-8") as stream:
                    files[name] = json.load(stream)
            first = files.get("tokenizer_config.json", {}).get("bos_token")
            if cls == "GPTNeoXTokenizerFast" and isinstance(first, dict) and first["content"] == "<New>":
                continue  # known to differ in one text: a bos token that is in no vocabulary
            model = files["tokenizer.json"].pop("model")
            if model not in models:
                models.append(model)
            folders.append({"class": cls, "model": models.index(model), "files": files, "hashes": " ".join(hashes)})
    value = {"texts": [[t] if p is None else [t, p] for t, p in texts], "models": models, "folders": folders}
    with open(os.path.join(out, "overrides.json"), "w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=True, separators=(",", ":"))
        stream.write("\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers")
    parser.add_argument("--out")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only")
    parser.add_argument("--show", type=int, default=2)
    arguments = parser.parse_args()
    work = tempfile.mkdtemp()
    if arguments.out:
        fixture(arguments.out, bases(work), work)
        shutil.rmtree(work)
        return 0
    program = Program(arguments.answers)
    total = bad = folders = refused = shown = 0
    summary = {}
    try:
        found = bases(work)
        for cls, entries in sorted(found.items()):
            if arguments.only and arguments.only not in cls:
                continue
            for i in range(arguments.rounds):
                r = random.Random(f"{arguments.seed} {cls} {i}")
                folder = make(r, cls, r.choice(entries), work)
                result = compare(program, folder)
                if isinstance(result, str):
                    refused += 1
                    summary.setdefault(cls, [0, 0, 0, set()])[3].add(result[:90])
                else:
                    folders += 1
                    total += result[0]
                    bad += len(result[1])
                    row = summary.setdefault(cls, [0, 0, 0, set()])
                    row[0] += 1
                    row[1] += bool(result[1])
                    if result[1] and shown < arguments.show:
                        shown += 1
                        print(f"--- {cls} round {i}\n    {describe(folder)}\n" + "\n".join(result[1][:2]))
                shutil.rmtree(folder)
    finally:
        shutil.rmtree(work)
    for cls, row in summary.items():
        if row[1] or arguments.only:
            print(cls, row[:2], sorted(row[3])[:5])
    print(f"{folders} folders, {total} cases, {bad} mismatches; the reference refuses {refused}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
