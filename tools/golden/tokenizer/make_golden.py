"""Makes tests/golden/tokenizer/*.json with transformers' fast tokenizers as the reference.

    make_golden.py OUT [REAL]

OUT is the folder of the fixtures, REAL a folder with one folder for each real tokenizer (its files
are not copied: only what they should give). small.json holds whole tokenizers, trained here.
"""
import base64
import io
import json
import os
import sys
import tempfile

import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers import processors, trainers, Regex
from transformers import (GPT2TokenizerFast, GPTNeoXTokenizerFast, LlamaTokenizerFast,
                          PreTrainedTokenizerFast, Qwen2TokenizerFast, RobertaTokenizerFast)

from corpus import corpus

REAL = {
    "gpt2": GPT2TokenizerFast, "gpt4o": GPT2TokenizerFast, "gpt_neox": GPTNeoXTokenizerFast,
    "gptj": GPT2TokenizerFast, "internlm": LlamaTokenizerFast, "llama2": LlamaTokenizerFast,
    "llama3": PreTrainedTokenizerFast, "opt": GPT2TokenizerFast, "qwen3": Qwen2TokenizerFast,
    "roberta": RobertaTokenizerFast,
}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")
TRAINING = [
    "The quick brown fox jumps over the lazy dog. It's the dog that doesn't care, we'll see.",
    "Tokenizers split text into pieces; the pieces are numbers, and the numbers are read again.",
    "def encode(text):\n    return [ids[t] for t in split(text)]\n",
    "naïve café, Привет мир, 中文分词测试, 日本語テキスト, 한국어, ελληνικά, العربية",
    "In 2024 there were 1234 reasons, 56 of them good. 3.14159 is not one of 1,000,000.",
]


def fnv(text):
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return format(value, "016x")


def answers(tokenizer, text):
    encoding = tokenizer(text, return_offsets_mapping=True)
    ids = encoding["input_ids"]
    return {
        "ids": ids,
        "offsets": [list(pair) for pair in encoding["offset_mapping"]],
        "plain": tokenizer(text, add_special_tokens=False)["input_ids"],
        "decoded": tokenizer.decode(ids),
        "skipped": tokenizer.decode(ids, skip_special_tokens=True),
    }


def packed(ids):
    """Differences as variable-length integers (zigzag), then base64."""
    out, last = bytearray(), 0
    for value in ids:
        delta = value - last
        last = value
        delta = delta * 2 if delta >= 0 else -delta * 2 - 1
        while True:
            out.append((delta & 0x7f) | (0x80 if delta > 0x7f else 0))
            delta >>= 7
            if not delta:
                break
    return base64.b64encode(bytes(out)).decode()


def compact(tokenizer, text):
    """[packed ids, hash of everything else]"""
    answer = answers(tokenizer, text)
    offsets = "".join(f"{begin},{end};" for begin, end in answer["offsets"])
    plain = "".join(f"{token};" for token in answer["plain"])
    rest = "\x1f".join((offsets, plain, answer["decoded"], answer["skipped"]))
    return [packed(answer["ids"]), fnv(rest)]


def real_fixture(folder):
    texts = corpus()
    result = {"texts": texts, "tokenizers": {}}
    for name, cls in REAL.items():
        tokenizer = cls.from_pretrained(os.path.join(folder, name))
        result["tokenizers"][name] = [compact(tokenizer, text) for text in texts]
    return result


def trained(model, trainer, normalizer=None, pre_tokenizer=None, decoder=None, processor=None):
    tokenizer = Tokenizer(model)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(TRAINING * 3, trainer)
    if decoder:
        tokenizer.decoder = decoder
    if processor:
        tokenizer.post_processor = processor(tokenizer)
    return tokenizer


def byte_bpe(pre_tokenizer, special, size=330, model=None, **more):
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    return trained(model or models.BPE(), trainer, pre_tokenizer=pre_tokenizer,
                   decoder=decoders.ByteLevel(), **more)


def small_byte_level():
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain = byte_bpe(byte_level, ["<|endoftext|>"])
    plain.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=True)
    plain.add_tokens([
        AddedToken("[LEFT]", lstrip=True), AddedToken("[RIGHT]", rstrip=True),
        AddedToken("[BOTH]", lstrip=True, rstrip=True, normalized=False),
        AddedToken("word", single_word=True), AddedToken("Cafe\u0301"),
        AddedToken("<a>"), AddedToken("<a><b>"), AddedToken("<a", normalized=False)])
    yield "gpt2_like", plain, {"tokenizer_class": "GPT2Tokenizer"}
    prefixed = byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=True), ["<s>", "</s>", "<pad>", "<unk>"])
    prefixed.post_processor = processors.RobertaProcessing(
        ("</s>", 1), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    yield "prefixed", prefixed, {"tokenizer_class": "PreTrainedTokenizerFast", "add_prefix_space": True,
                                 "bos_token": "<s>", "clean_up_tokenization_spaces": True}
    smol = byte_bpe(pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level]),
                    ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    yield "digits", smol, {"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|im_end|>",
                           "additional_special_tokens": ["<|im_start|>", "<|im_end|>"]}
    split = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    llama3 = byte_bpe(split, ["<|bos|>", "<|eos|>"], model=models.BPE(ignore_merges=True))
    llama3.normalizer = normalizers.NFC()
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|bos|> $A", pair="<|bos|> $A <|bos|> $B",
                                      special_tokens=[("<|bos|>", 0)])])
    yield "split_regex", llama3, {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|bos|>",
                                  "eos_token": "<|eos|>", "clean_up_tokenization_spaces": True}


def small_character_level():
    specials = ["<unk>", "<s>", "</s>"]
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    sp_decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                    decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=specials + bytes_, show_progress=False)
    llama = trained(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True), trainer,
                    normalizer=spaces, pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="never"),
                    decoder=sp_decoder)
    llama = Tokenizer.from_str(json.dumps(dict(json.loads(llama.to_str()), pre_tokenizer=None,
                                               added_tokens=json.loads(llama.to_str())["added_tokens"][:3])))
    yield "llama_like", llama, {"tokenizer_class": "LlamaTokenizer", "add_eos_token": True}
    for scheme in ("first", "always", "never"):
        metaspace = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        model = models.BPE(unk_token="<unk>", fuse_unk=scheme == "first")
        trainer = trainers.BpeTrainer(vocab_size=260, special_tokens=specials, limit_alphabet=60,
                                      show_progress=False)
        tokenizer = trained(model, trainer, pre_tokenizer=metaspace,
                            decoder=decoders.Metaspace(prepend_scheme=scheme))
        yield "metaspace_" + scheme, tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast"}
    words = normalizers.Sequence([
        normalizers.NFD(), normalizers.StripAccents(), normalizers.Lowercase(),
        normalizers.Strip(), normalizers.Replace(Regex(r"\s{2,}"), " ")])
    trainer = trainers.BpeTrainer(vocab_size=260, special_tokens=["[UNK]"], limit_alphabet=60,
                                  continuing_subword_prefix="##", end_of_word_suffix="</w>", show_progress=False)
    tokenizer = trained(
        models.BPE(unk_token="[UNK]", continuing_subword_prefix="##", end_of_word_suffix="</w>"),
        trainer, normalizer=words,
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation()]))
    yield "words", tokenizer, {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}


def small_stages():
    """One vocabulary of characters and a few pairs under each splitter and normalizer."""
    characters = sorted(set("".join(TRAINING) + "".join(chr(c) for c in range(32, 127))))
    vocab = {c: i for i, c in enumerate(["<unk>"] + characters)}
    pairs = [("t", "h"), ("th", "e"), ("1", "2"), ("-", "-"), (" ", "a")]
    for left, right in pairs:
        vocab[left + right] = len(vocab)

    def tokenizer(**stages):
        result = Tokenizer(models.BPE(vocab=vocab, merges=pairs, unk_token="<unk>"))
        result.decoder = decoders.Fuse()
        for stage, value in stages.items():
            setattr(result, stage, value)
        return result

    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            for pattern in ("-", Regex(r"\w+|\d")):
                kind = "string" if pattern == "-" else "regex"
                yield (f"split_{behavior}_{invert}_{kind}",
                       tokenizer(pre_tokenizer=pre_tokenizers.Split(pattern, behavior, invert)), config)
        yield (f"punctuation_{behavior}",
               tokenizer(pre_tokenizer=pre_tokenizers.Punctuation(behavior)), config)
    yield "digits_together", tokenizer(pre_tokenizer=pre_tokenizers.Digits(False)), config
    yield "whitespace_split", tokenizer(pre_tokenizer=pre_tokenizers.WhitespaceSplit()), config
    for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"):
        yield form, tokenizer(normalizer=getattr(normalizers, form)()), config
    yield "strip_right", tokenizer(normalizer=normalizers.Strip(left=False, right=True)), config
    yield "strip_decoder", tokenizer(decoder=decoders.Sequence([
        decoders.Replace("a", "-"), decoders.Fuse(), decoders.Strip("-", 2, 1)])), config


def files_of(tokenizer, config):
    return {"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": json.dumps(config)}


def vocab_merges_files():
    tokenizer = byte_bpe(pre_tokenizers.ByteLevel(add_prefix_space=False), ["<s>", "<pad>", "</s>", "<unk>"])
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.model.save(folder)
        files = {name: open(os.path.join(folder, name), encoding="utf-8").read()
                 for name in ("vocab.json", "merges.txt")}
    token = {"__type": "AddedToken", "content": "</s>", "lstrip": False, "normalized": True,
             "rstrip": False, "single_word": False}
    files["tokenizer_config.json"] = json.dumps(
        {"add_bos_token": True, "add_prefix_space": False, "bos_token": token, "eos_token": token,
         "unk_token": token, "pad_token": dict(token, content="<pad>"), "tokenizer_class": "GPT2Tokenizer"})
    files["added_tokens.json"] = json.dumps({"<extra>": len(json.loads(files["vocab.json"]))})
    return files


def sentencepiece_files(legacy):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING * 3), model_writer=out, vocab_size=460, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", character_coverage=0.98, user_defined_symbols=["<user>"],
        minloglevel=2)
    return {"tokenizer.model": {"base64": base64.b64encode(out.getvalue()).decode()},
            "tokenizer_config.json": json.dumps({"tokenizer_class": "LlamaTokenizer", "legacy": legacy})}


def small_fixture():
    sources = [(name, files_of(tokenizer, config))
               for generator in (small_byte_level, small_character_level, small_stages)
               for name, tokenizer, config in generator()]
    sources.append(("vocab_merges", vocab_merges_files()))
    sources.append(("sentencepiece_legacy", sentencepiece_files(True)))
    sources.append(("sentencepiece", sentencepiece_files(False)))
    texts = [t for t in corpus()[:46] if len(t) < 200]
    texts += ["a [LEFT] b  [RIGHT]  c [BOTH] d", "word words word. sword word", "Café Cafe\u0301 <a><b><a",
              "<s>x</s> <pad><unk> <extra> <user> y", "<|bos|>x <|eos|> y<|im_end|>", "aa-a--", "the-the--12 12a",
              "he said , \" do n't ! \" . ' quoted ' we 've ? I 'm n't"]
    classes = {"GPT2Tokenizer": GPT2TokenizerFast, "LlamaTokenizer": LlamaTokenizerFast,
               "PreTrainedTokenizerFast": PreTrainedTokenizerFast}
    result = []
    for name, files in sources:
        with tempfile.TemporaryDirectory() as folder:
            for file, content in files.items():
                raw = base64.b64decode(content["base64"]) if isinstance(content, dict) else content.encode()
                with open(os.path.join(folder, file), "wb") as stream:
                    stream.write(raw)
            cls = classes[json.loads(files["tokenizer_config.json"])["tokenizer_class"]]
            tokenizer = cls.from_pretrained(folder)
            # Stages get the texts that tell them apart (no empty one: the reference's Strip decoder
            # panics on it), whole tokenizers get all.
            chosen = texts if "tokenizer.json" not in files or len(files["tokenizer.json"]) > 4000 else \
                [t for t in texts if 0 < len(t) < 100 and t.isascii()][:12] + texts[11:13] + texts[-8:]
            cases = [[texts.index(text)] + compact(tokenizer, text) for text in chosen]
        result.append({"name": name, "files": files, "cases": cases})
    return {"texts": texts, "tokenizers": result}


def write(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
        json.dump(value, stream, ensure_ascii=True, separators=(",", ":"))
        stream.write("\n")


def main():
    write(sys.argv[1], "small.json", small_fixture())
    if len(sys.argv) > 2:
        write(sys.argv[1], "real.json", real_fixture(sys.argv[2]))


if __name__ == "__main__":
    main()
