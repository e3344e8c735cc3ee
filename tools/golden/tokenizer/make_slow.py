"""Compares tokenizers that load from slow files with transformers, and makes the fixture of them.

    make_slow.py --answers PROGRAM [--only NAME] [--full]    compares, prints mismatches and counts
    make_slow.py --out FOLDER                                writes slow.json

PROGRAM is the one of the target tokenizer_answers. Each class is compared twice: with a
tokenizer_config.json that says as little as can be, and with what save_pretrained of the slow class
writes. --full takes all texts of corpus.py.
"""
import argparse
import base64
import json
import os
import shutil
import sys
import tempfile
import warnings

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import transformers  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

import slow_folders  # noqa: E402
from corpus import corpus  # noqa: E402
from differential import Program  # noqa: E402
from make_golden import fnv, packed  # noqa: E402


WORDS = ("the The quick Mr. Mrs No. pp. e.g. i.e U.S.A. a.m. etc. l'eau d'un can't 'tis they've Jones' rock'n'roll "
         "5,300 1,2,3 3.14 No. 5 pp. 12 art. z.B. usw. т.е. г. км. naïve café Привет мир, 中文 分词。 日本語、 한국어 ... .. .... "
         "… , ; : ! ? ( ) [ ] { } < > \" ' '' `` ` « » “ ” „ ‘ ’ – — -- - a-b x-y-z @-@ & | &amp; % $ € £5 ¿ ¡ / \\ # @user "
         "50 % nº\u00a05 1\u00a0000\u00a0000 \u00a0% ,\u00a0x \u00a0ºC \u00a0? ,\" .\" ...\" \", \". ） （ ： ； ！ ？ ， 。 ０９ ．５ "
         "DOTMULTI DOTDOT <s> </s> <unk> <mask> [MASK] \n \t \u3000 \u200b \x1c \ufeff é e\u0301 ﬁ ß İ Σ ς 😀 👍🏽 🇺🇳 "
         "def f(x): return x**2 == 4; http://a.b/c?d=e&f user@mail.org C:\\dir").split(" ")


def mixed_texts(count):
    """Words and signs in any order, with and without spaces between."""
    import random
    r = random.Random(11)
    texts = []
    for i in range(count):
        space = (" ", "", "  ", " ", "\u00a0")[i % 5]
        texts.append(space.join(r.choice(WORDS) for _ in range(r.randint(1, 30))))
    return texts + [" ".join(r.choice(WORDS) for _ in range(4000)), "x" * 5000, "ab " * 3000]


def texts_for(full):
    texts = corpus()
    texts = texts + mixed_texts(160) if full else [t for t in texts[:46] if len(t) < 200] + texts[-12:]
    return texts + [
        "a <mask> b<mask>c  <mask>  [MASK] d [MASK]", "<extra_id_0> x <extra_id_99>", "en_XX hello de_DE __en__ >>fr<< x",
        "abc ab abcd ﬁne Ａ①…", "<user> <start_of_turn>x<end_of_turn>", " '' `` 5, 12, 3,4", "Hello, y'all! How are you 😁 ?",
        "he said , \" do n't ! \" . ' quoted ' we 've ? I 'm n't", "[CLS] a [SEP] b [PAD] [UNK]", "  leading and trailing  ",
        "<unk_5> <mask_1> <mask_2> <madeupword3>", "ΑΣ ΑΣΑ ΣΑΣ. İstanbul", "[gMASK]sop <n> <|tab|> <|blank_5|>x\n\ty",
        "Mr. Smith (i.e. No. 5) paid 5,300 €: \"too much,\" he said... didn't he? L'eau d'un the dogs' house a-b & 1\u00a0000.'",
        "« Bonjour » ， 。 （x） “y,” ‘z’ 5 % nº\u00a05 @-@ a @-@ b &amp; [c] DOTMULTI .. naïve Ångström ÉTÉ. the.",
        "<|startofprev|> a prompt<|startoftranscript|><|0.00|> it was<|7.24|><|1.|> <|2.5|>x <|٣.٤|><|9"]


PAIRS = [("Hello there", "General <mask> x"), (" a", "b "), ("x </s>", "y</s>"), ("one, two", "dog [SEP]")]


def write(folder, files, config):
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as stream:
            stream.write(content)
    with open(os.path.join(folder, "tokenizer_config.json"), "w", encoding="utf-8") as stream:
        json.dump(config, stream)


def saved_by_slow_class(name, folder, target):
    """What the slow class saves; None where it has none."""
    cls = getattr(transformers, name, None)
    if cls is None:
        return None
    cls.from_pretrained(folder).save_pretrained(target)
    if os.path.exists(os.path.join(target, "tokenizer.json")):
        os.remove(os.path.join(target, "tokenizer.json"))
    return target


def answer(tokenizer, text):
    ids = tokenizer(text, padding=False)["input_ids"]
    plain = tokenizer(text, add_special_tokens=False, padding=False)["input_ids"]
    return {"ids": ids, "plain": plain, "decoded": tokenizer.decode(ids),
            "skipped": tokenizer.decode(ids, skip_special_tokens=True)}


def folders(work, only, code):
    sources = [slow_folders.fast_folders(work), slow_folders.slow_only_folders(work)]
    sources += [slow_folders.remote_folders(work, code)] if code else []
    for source in sources:
        for name, files, config in source:
            if only and only not in name and not (only == "SLOW" and sources.index(source) > 0):
                continue
            cls = name.split("+")[0]
            plain = tempfile.mkdtemp(dir=work)
            write(plain, files, dict(config, tokenizer_class=cls))
            yield name, plain
            try:
                saved = saved_by_slow_class(cls.removesuffix("Fast"), plain, tempfile.mkdtemp(dir=work))
            except Exception as error:  # noqa: BLE001
                print(f"{name}: not saved: {error!r}"[:200])
                saved = None
            if saved:
                yield name + "+saved", saved


def reference(folder):
    with open(os.path.join(folder, "tokenizer_config.json"), encoding="utf-8") as stream:
        name = json.load(stream)["tokenizer_class"]
    if name == "BlenderbotSmallTokenizer":  # its fast class is of the byte level, and not in the table
        return transformers.BlenderbotSmallTokenizer.from_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder, trust_remote_code=True)


def compare(arguments, work):
    program = Program(arguments.answers)
    texts = texts_for(arguments.full)
    total = bad = 0
    for name, folder in folders(work, arguments.only, arguments.code):
        try:
            tokenizer = reference(folder)
        except Exception as error:  # noqa: BLE001
            print(f"{name}: the reference fails: {error!r}"[:300])
            continue
        loaded = program.ask({"load": folder})
        if "error" in loaded:
            print(f"{name}: {loaded['error']}")
            bad += 1
            continue
        wrong = 0
        for text in texts:
            try:
                want = answer(tokenizer, text)
            except BaseException as error:  # noqa: BLE001
                if arguments.verbose:
                    print(f"{name}: the reference fails on {text!r}: {error!r}"[:200])
                continue
            got = program.ask({"text": text})
            if "error" in got:
                got = {key: got["error"] for key in want}
            else:
                got["decoded_stream"], got["skipped_stream"] = got["streamed"], got["streamed_skipped"]
                want["decoded_stream"], want["skipped_stream"] = want["decoded"], want["skipped"]
            total += 1
            differ = [key for key in want if want[key] != got[key]]
            if differ:
                wrong += 1
                if wrong <= arguments.show:
                    for key in differ[:2]:
                        print(f"{name}: {key} of {text[:80]!r}\n  want {str(want[key])[:300]!r}\n  got  {str(got[key])[:300]!r}")
        for text, pair in PAIRS:
            try:
                want = tokenizer(text, pair, padding=False)
                plain = tokenizer(text, pair, add_special_tokens=False, padding=False)["input_ids"]
            except BaseException:  # noqa: BLE001
                continue
            got = program.ask({"encode": text, "pair": pair})
            bare = program.ask({"encode": text, "pair": pair, "special": False})
            total += 1
            types = want.get("token_type_ids")
            if len(types or []) != len(want["input_ids"]):  # some classes count other tokens than there are
                types = None
            if (got.get("ids"), bare.get("ids")) != (want["input_ids"], plain) or types not in (None, got["type_ids"]):
                wrong += 1
                if wrong <= arguments.show:
                    print(f"{name}: {text!r} {pair!r}\n  want {want['input_ids']} {types} {plain}\n  got  {got} {bare.get('ids')}")
        # Ids that no text gives: all of the vocabulary, some at a time.
        import random
        r = random.Random(5)
        size = min(len(tokenizer), loaded["ok"])
        for _ in range(20):
            ids = [r.randrange(size) for _ in range(r.randint(1, 12))]
            if size > 100000:
                ids = [r.choice([r.randrange(300), r.randrange(55000), r.randrange(0xe000, 0xe010)]) for _ in ids]
            try:
                want = [tokenizer.decode(ids), tokenizer.decode(ids, skip_special_tokens=True)]
            except BaseException:  # noqa: BLE001
                continue
            got = program.ask({"ids": ids})
            total += 1
            if "error" in got or [got["decoded"], got["skipped"], got["streamed"], got["streamed_skipped"]] != want * 2:
                wrong += 1
                if wrong <= arguments.show:
                    print(f"{name}: ids {ids} {[tokenizer.convert_ids_to_tokens(i) for i in ids]}\n  want {want!r}\n  got  {got!r}")
        if wrong or arguments.verbose:
            print(f"{name}: {wrong} of {len(texts) + 20} differ")
        bad += wrong
    print(f"{total} comparisons, {bad} mismatches")
    return 1 if bad else 0


# The fixture has what save_pretrained writes for one class of each kind; compare() takes it of all.
SAVED = ("BertTokenizer", "BertJapaneseTokenizer", "CTRLTokenizer", "CanineTokenizer", "GPT2Tokenizer+bos+prefix", "GPTSw3Tokenizer",
         "LlamaTokenizer+new", "M2M100Tokenizer+lang", "MBart50Tokenizer+lang", "MarianTokenizer", "PLBartTokenizer+lang",
         "PegasusTokenizer+offset", "RobertaTokenizer", "T5Tokenizer+new", "WhisperTokenizer+bare", "XLMRobertaTokenizer",
         "XLMTokenizer")


def blob_of(file, content):
    """JSON as a value, text as a string, anything else in base64. The order of emoji.json counts."""
    if file.endswith(".json") and file != "emoji.json":
        return {"json": json.loads(content)}
    try:
        return content.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def fixture(out, work, code):
    texts = texts_for(False)
    blobs, answers, entries = [], [], []

    def place_in(table, value):
        if value not in table:
            table.append(value)
        return table.index(value)

    for name, folder in folders(work, None, code):
        if name.endswith("+saved") and name.removesuffix("+saved") not in SAVED:
            continue
        try:
            tokenizer = reference(folder)
        except Exception as error:  # noqa: BLE001
            print(f"{name}: the reference fails: {error!r}"[:300])
            continue
        hashes = ""
        for text in texts:
            try:
                got = answer(tokenizer, text)
            except BaseException:  # noqa: BLE001
                hashes += "----"
                continue
            rest = "\x1f".join(("".join(f"{i};" for i in got["plain"]), got["decoded"], got["skipped"]))
            hashes += fnv("".join(f"{i};" for i in got["ids"]) + "\x1f" + rest)[:4]
        files = {}
        for file in sorted(os.listdir(folder)):
            if file.endswith(".py") or file in ("__pycache__", "special_tokens_map.json"):
                continue
            with open(os.path.join(folder, file), "rb") as stream:
                files[file] = place_in(blobs, blob_of(file, stream.read()))
        entries.append([name, place_in(answers, hashes), files])  # classes with the same answers share them
    value = {"texts": texts, "blobs": blobs, "hashes": answers, "tokenizers": entries}
    with open(os.path.join(out, "slow.json"), "w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=False, separators=(",", ":"))
        stream.write("\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--answers")
    parser.add_argument("--out")
    parser.add_argument("--only")
    parser.add_argument("--code", help="a folder with the code of checkpoints: see slow_folders.remote_folders")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--show", type=int, default=2)
    arguments = parser.parse_args()
    work = tempfile.mkdtemp()
    try:
        if arguments.out:
            fixture(arguments.out, work, arguments.code)
            return 0
        return compare(arguments, work)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    sys.exit(main())
