"""Folders of tokenizer classes without tokenizer.json: small vocabularies trained here.

Each entry is (name, files, config): files are {name: bytes}, config is tokenizer_config.json.
"""
import base64
import io
import json
import os

import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

TRAINING = [
    "The quick brown fox jumps over the lazy dog. It's the dog that doesn't care, we'll see.",
    "Tokenizers split text into pieces; the pieces are numbers, and the numbers are read again.",
    "def encode(text):\n    return [ids[t] for t in split(text)]\n",
    "naïve café, Привет мир, 中文分词测试, 日本語テキスト, 한국어, ελληνικά, العربية",
    "In 2024 there were 1234 reasons, 56 of them good. 3.14159 is not one of 1,000,000.",
]
LINES = [line for text in TRAINING for line in text.split("\n") if line] * 3
# A small set of rules in place of NFKC's, whose table has a quarter of a megabyte.
RULES = [("ﬁ", "fi"), ("Ａ", "A"), ("\u00a0", " "), ("\t", " "), ("\u3000", " "), ("①", "1"), ("\u212b", "Å"),
         ("e\u0301", "é"), ("\u200b", ""), ("…", "..."), ("ab", "AB"), ("abc", "xyz")]


def spm(folder, model_type="unigram", size=330, rules=True, **more):
    """A SentencePiece model's bytes."""
    options = dict(vocab_size=size, model_type=model_type, character_coverage=0.98, minloglevel=2,
                   hard_vocab_limit=False, normalization_rule_name="identity")
    if rules == "nmt_nfkc":
        options["normalization_rule_name"] = "nmt_nfkc"
    elif rules:
        path = folder + "/rules.tsv"
        with open(path, "w", encoding="utf-8") as stream:
            for source, target in RULES:
                stream.write(" ".join(f"{ord(c):X}" for c in source) + "\t"
                             + " ".join(f"{ord(c):X}" for c in target) + "\n")
        del options["normalization_rule_name"]
        options["normalization_rule_tsv"] = path
    options.update(more)
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(LINES), model_writer=out, **options)
    return out.getvalue()


def byte_bpe(special, size=340):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.train_from_iterator(LINES, trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return tokenizer


def vocab_and_merges(special, size=340, title=True):
    model = json.loads(byte_bpe(special, size).to_str())["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return {"vocab.json": json.dumps(model["vocab"], ensure_ascii=False).encode(),
            "merges.txt": ("#version: 0.2\n" * title + "\n".join(merges) + "\n").encode()}


def word_bpe(special, byte_level=False, size=340, lower=False, title=True, counted=False):
    """BPE with "</w>" at the end of words."""
    lines = [line.lower() if lower else line for line in LINES]
    tokenizer = Tokenizer(models.BPE(unk_token=special[0], end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if byte_level else \
        pre_tokenizers.BertPreTokenizer()
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else []
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, show_progress=False, end_of_word_suffix="</w>",
        initial_alphabet=alphabet))
    model = json.loads(tokenizer.to_str())["model"]
    vocab = model["vocab"]
    for token in [c + "</w>" for c in alphabet]:
        vocab.setdefault(token, len(vocab))
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    if counted:
        merges = [f"{m} {1000 - i}" for i, m in enumerate(merges)]
    return vocab, ("#version: 0.2\n" * title + "\n".join(merges) + "\n").encode()


def as_json(vocab):
    return json.dumps(vocab, ensure_ascii=False).encode()


def word_pieces(special, lower):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator([line.lower() if lower else line for line in LINES], trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=special, show_progress=False))
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return "".join(token + "\n" for token, _ in vocab).encode()


def tiktoken_file():
    """Ranks of all bytes, then of what the merges of a byte level BPE make."""
    table = {c: b for b, c in byte_characters().items()}
    model = json.loads(byte_bpe([], 420).to_str())["model"]
    tokens = [bytes([b]) for b in range(256)]
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        token = bytes(table[c] for c in left + right)
        if token not in tokens:
            tokens.append(token)
    return b"".join(base64.b64encode(t) + b" %d\n" % i for i, t in enumerate(tokens))


def byte_characters():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for byte in range(256):
        if byte in printable:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(256 + extra)
            extra += 1
    return table


BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
GPT2 = ["<|endoftext|>"]


def fast_folders(folder):
    """Classes that the reference converts."""
    gpt2 = vocab_and_merges(GPT2)
    for name in ("GPT2Tokenizer", "CodeGenTokenizer"):
        yield name, gpt2, {}
    yield "GPT2Tokenizer+bos+prefix", gpt2, {"add_bos_token": True, "add_prefix_space": True}
    yield "GPT2Tokenizer+notitle", vocab_and_merges(GPT2, title=False), {}
    yield "Qwen2Tokenizer", vocab_and_merges(["<|endoftext|>", "<|im_start|>"]), {}
    roberta = vocab_and_merges(ROBERTA)
    for name in ("RobertaTokenizer", "BartTokenizer", "LongformerTokenizer", "LEDTokenizer", "BlenderbotTokenizer",
                 "MvpTokenizer"):
        yield name, roberta, {}
    yield "RobertaTokenizer+prefix", roberta, {"add_prefix_space": True, "mask_token": "<mask>", "bos_token": "<s>"}
    whisper = vocab_and_merges(GPT2)
    yield "WhisperTokenizer+bare", whisper, {}
    names = ["<|startoftranscript|>", *[f"<|{code}|>" for code in LANGUAGES], "<|translate|>", "<|transcribe|>",
             "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    whisper = dict(whisper, **{"added_tokens.json": as_json({token: 340 + i for i, token in enumerate(names)}),
                               "normalizer.json": b'{"colour": "color"}'})
    specials = {"additional_special_tokens": ["<|endoftext|>", *names], "pad_token": "<|endoftext|>"}
    yield "WhisperTokenizer", whisper, specials
    yield "WhisperTokenizer+french", whisper, dict(specials, language="French", task="translate")
    yield "WhisperTokenizer+times", whisper, dict(specials, language="de", predict_timestamps=True, add_prefix_space=True)
    yield "DebertaTokenizer", vocab_and_merges(BERT), {}
    vocab, merges = word_bpe(["<|endoftext|>", "<|startoftext|>"], byte_level=True, lower=True)
    yield "CLIPTokenizer", {"vocab.json": as_json(vocab), "merges.txt": merges}, {}
    vocab, merges = word_bpe(["<unk>"], lower=True)
    yield "OpenAIGPTTokenizer", {"vocab.json": as_json(vocab), "merges.txt": merges}, {}
    lower, cased = word_pieces(BERT, True), word_pieces(BERT, False)
    for name in ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "LayoutLMTokenizer", "ConvBertTokenizer",
                 "MobileBertTokenizer", "SqueezeBertTokenizer", "LxmertTokenizer", "DPRReaderTokenizer"):
        yield name, {"vocab.txt": lower}, {}
    yield "BertTokenizer+cased", {"vocab.txt": cased}, {"do_lower_case": False}
    yield "BertTokenizer+accents", {"vocab.txt": lower}, {"strip_accents": False, "tokenize_chinese_chars": False,
                                                         "clean_up_tokenization_spaces": False}
    yield "BertTokenizer+plain", {"vocab.txt": lower}, {"do_basic_tokenize": False}
    yield "MPNetTokenizer", {"vocab.txt": word_pieces(["<s>", "<pad>", "</s>", "[UNK]", "<mask>"], True)}, {}
    yield "FunnelTokenizer", {"vocab.txt": word_pieces(["<pad>", "<unk>", "<cls>", "<sep>", "<mask>", "<s>", "</s>"],
                                                       True)}, {}
    yield "SplinterTokenizer", {"vocab.txt": word_pieces(BERT + ["[QUESTION]"], True)}, {}
    yield from fast_sentencepiece(folder)
    yield "PreTrainedTokenizerFast", {"tokenizer.model": tiktoken_file()}, {
        "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>",
        "additional_special_tokens": ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]}
    yield "LlamaTokenizer+tiktoken", {"tokenizer.model": tiktoken_file()}, {
        "bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}


def fast_sentencepiece(folder):
    plain = {"tokenizer.model": spm(folder, "bpe", 460, rules=False, byte_fallback=True, user_defined_symbols=["<user>"])}
    yield "LlamaTokenizer", plain, {}
    yield "LlamaTokenizer+new", plain, {"legacy": False, "add_eos_token": True}
    yield "LlamaTokenizer+noprefix", plain, {"legacy": False, "add_prefix_space": False, "add_bos_token": False}
    yield "LlamaTokenizer+unigram", {"tokenizer.model": spm(folder, "unigram", 460, byte_fallback=True)}, {}
    yield "GemmaTokenizer", {"tokenizer.model": spm(
        folder, "bpe", 480, rules=False, byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>",
        user_defined_symbols=["<start_of_turn>", "<end_of_turn>", "\n\n", "▁▁"])}, {}
    fairseq = {"sentencepiece.bpe.model": spm(folder)}
    bpe = {"sentencepiece.bpe.model": spm(folder, "bpe")}
    for name in ("XLMRobertaTokenizer", "CamembertTokenizer", "MBartTokenizer", "MBart50Tokenizer", "NllbTokenizer",
                 "XGLMTokenizer"):
        yield name, fairseq, {}
    yield "BarthezTokenizer", {"sentencepiece.bpe.model": spm(folder, pad_id=1, unk_id=3, bos_id=0, eos_id=2)}, {}
    yield "NllbTokenizer+bpe", bpe, {"src_lang": "fra_Latn", "tgt_lang": "deu_Latn"}
    yield "NllbTokenizer+legacy", bpe, {"legacy_behaviour": True}
    yield "MBartTokenizer+lang", fairseq, {"src_lang": "de_DE"}
    yield "MBart50Tokenizer+lang", fairseq, {"src_lang": "ro_RO", "additional_special_tokens": ["<more>"]}
    yield "SeamlessM4TTokenizer", fairseq, {"additional_special_tokens": ["__eng__", "__fra__"]}
    yield "SeamlessM4TTokenizer+lang", bpe, {"additional_special_tokens": ["__eng__", "__fra__", "__deu__"],
                                             "src_lang": "deu", "add_prefix_space": False}
    t5 = {"spiece.model": spm(folder, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)}
    yield "T5Tokenizer", t5, {}
    yield "T5Tokenizer+new", t5, {"legacy": False, "extra_ids": 10}
    yield "T5Tokenizer+noprefix", t5, {"legacy": False, "add_prefix_space": False}
    yield "PegasusTokenizer", {"spiece.model": spm(folder, pad_id=0, eos_id=1, unk_id=2, bos_id=-1)}, {}
    yield "PegasusTokenizer+offset", t5, {"offset": 0, "mask_token_sent": None, "mask_token": "[MASK]"}
    albert = {"spiece.model": spm(folder, pad_id=0, unk_id=1, bos_id=-1, eos_id=-1,
                                  control_symbols=["[CLS]", "[SEP]", "[MASK]"])}
    yield "AlbertTokenizer", albert, {}
    yield "AlbertTokenizer+accents", albert, {"keep_accents": True, "do_lower_case": False}
    yield "FNetTokenizer", albert, {}
    yield "RemBertTokenizer", {"sentencepiece.model": spm(folder, pad_id=0, unk_id=1, unk_piece="[UNK]", bos_id=-1,
                                                          eos_id=-1, control_symbols=["[CLS]", "[SEP]", "[MASK]"],
                                                          pad_piece="[PAD]")}, {}
    yield "BigBirdTokenizer", {"spiece.model": spm(folder, pad_id=0, eos_id=1, unk_id=100 * 0 + 3, bos_id=2,
                                                   control_symbols=["[SEP]", "[MASK]", "[CLS]"])}, {}
    yield "ReformerTokenizer", {"spiece.model": spm(folder, "bpe", pad_id=-1, bos_id=-1, eos_id=1, unk_id=0)}, {}
    yield "DebertaV2Tokenizer", {"spm.model": spm(folder, pad_id=0, unk_id=3, unk_piece="[UNK]", bos_id=1, eos_id=2,
                                                  pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]",
                                                  user_defined_symbols=["[MASK]"])}, {}
    yield "DebertaV2Tokenizer+punct", {"spm.model": spm(folder, pad_id=0, unk_id=3, unk_piece="[UNK]", bos_id=1,
                                                        eos_id=2, pad_piece="[PAD]", bos_piece="[CLS]",
                                                        eos_piece="[SEP]")}, {"split_by_punct": True, "do_lower_case": True}
    yield "XLNetTokenizer", {"spiece.model": spm(folder, unk_id=0, bos_id=1, eos_id=2, control_symbols=[
        "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"])}, {}


def slow_only_folders(folder):
    """Classes that work as Python code."""
    fairseq = {"sentencepiece.bpe.model": spm(folder)}
    yield "PLBartTokenizer", fairseq, {}
    yield "PLBartTokenizer+multi", fairseq, {"language_codes": "multi", "src_lang": "python"}
    yield "PLBartTokenizer+lang", fairseq, {"src_lang": "java", "tgt_lang": "en_XX"}
    model = spm(folder, size=400)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    words = ["<s>", "<pad>", "</s>", "<unk>"] + [pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size() - 20)]
    vocab = as_json({word: i for i, word in enumerate(words)})
    yield "M2M100Tokenizer", {"sentencepiece.bpe.model": model, "vocab.json": vocab}, {}
    yield "M2M100Tokenizer+lang", {"sentencepiece.bpe.model": model, "vocab.json": vocab}, {
        "src_lang": "de", "additional_special_tokens": ["__af__", "__am__", "__ar__"]}
    target = spm(folder, "unigram", 300, rules=False)
    back = sentencepiece.SentencePieceProcessor(model_proto=target)
    more = [back.id_to_piece(i) for i in range(3, back.get_piece_size())]
    words = list(dict.fromkeys(["</s>", "<unk>"] + words[4:] + more + [">>fr<<", "<pad>"]))
    yield "MarianTokenizer", {"source.spm": model, "target.spm": target, "vocab.json": as_json(
        {word: i for i, word in enumerate(words)})}, {"source_lang": "en", "target_lang": "fr"}
    yield "SpeechT5Tokenizer", {"spm_char.model": spm(folder, "char", 90, bos_id=0, pad_id=1, eos_id=2, unk_id=3)}, {}
    yield "SpeechT5Tokenizer+word", {"spm_char.model": spm(folder, "word", 60, bos_id=0, pad_id=1, eos_id=2, unk_id=3)}, {}
    yield "BertGenerationTokenizer", {"spiece.model": spm(folder, "bpe", pad_id=0, eos_id=1, bos_id=2, unk_id=3,
                                                          user_defined_symbols=["<user>", "▁▁", "ab"])}, {}
    yield "ByT5Tokenizer", {}, {}
    yield "CanineTokenizer", {}, {}
    yield "PerceiverTokenizer", {}, {}
    vocab, merges = word_bpe(["<unk>"])
    vocab = {(t[:-4] if t.endswith("</w>") else t + "@@"): i for t, i in vocab.items() if t != "<unk>"}
    vocab["<unk>"] = 0
    yield "CTRLTokenizer", {"vocab.json": as_json(vocab), "merges.txt": merges}, {}
    vocab, merges = word_bpe(["__null__"], lower=True)
    vocab = {(t[:-4] if t.endswith("</w>") else t + "@@"): i + 3 for t, i in vocab.items() if t != "__null__"}
    vocab.update({"__null__": 0, "__start__": 1, "__end__": 2, "__unk__": 3, "__newln__": len(vocab) + 4})
    yield "BlenderbotSmallTokenizer", {"vocab.json": as_json(vocab), "merges.txt": merges}, {}
    yield from moses_folders()
    yield from more_slow_folders(folder)
    yield "EsmTokenizer", {"vocab.txt": "\n".join(["<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-",
                                                   "<null_1>", "<mask>"]).encode()}, {}
    yield "BertJapaneseTokenizer", {"vocab.txt": word_pieces(BERT, False)}, {"word_tokenizer_type": "basic"}
    yield "BertJapaneseTokenizer+lower", {"vocab.txt": word_pieces(BERT, True)}, {
        "word_tokenizer_type": "basic", "do_lower_case": True}


def more_slow_folders(folder):
    vocab, merges = word_bpe(["<unk>"], title=False, counted=True)
    lines = [(t[:-4] if t.endswith("</w>") else t + "@@") + " 5\n" for t in vocab if t != "<unk>"]
    yield "PhobertTokenizer", {"vocab.txt": "".join(lines).encode(), "bpe.codes": merges}, {}
    model = spm(folder)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
    lines = [f"{pieces.id_to_piece(i)} 1\n" for i in range(3, pieces.get_piece_size() - 9)]
    yield "BartphoTokenizer", {"sentencepiece.bpe.model": model, "dict.txt": "".join(lines).encode()}, {}
    yield "XLMProphetNetTokenizer", {"prophetnet.tokenizer": model}, {}
    yield "ProphetNetTokenizer", {"prophetnet.tokenizer": word_pieces(BERT + ["[X_SEP]"], True)}, {}
    yield "ProphetNetTokenizer+cased", {"prophetnet.tokenizer": word_pieces(BERT, False)}, {
        "do_lower_case": False, "tokenize_chinese_chars": False}
    yield "GPTSw3Tokenizer", {"spiece.model": spm(folder, "bpe", 460, rules=False, byte_fallback=True, pad_id=0, unk_id=1,
                                                  bos_id=2, eos_id=3, eos_piece="<|endoftext|>",
                                                  remove_extra_whitespaces=False)}, {}
    emoji = {"emoji": {"\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466": "<|emoji1|>", "\U0001f600": "<|emoji2|>",
                       "\U0001f468": "<|emoji3|>", ":)": "<|emoji2|>"},
             "emoji_inv": {f"<|emoji{i}|>": c for i, c in ((1, "\U0001f46a"), (2, "\U0001f600"), (3, "\U0001f468"))}}
    words = ["the", "qu", "ick", "日本", "本,夲", "日", "語", "テキ,てき", "a,Ａ", "b", "c", "d", "e", "Pr", "1", "12", "1,①", "がぎ",
             "<SP>", "<BR>", "<TAB>", "<BLOCK>", "<KIGOU>", "<U2000U2BFF>", "<|emoji1|>", "<|emoji2|>", "<|emoji3|>",
             *[f"<|byte{i}|>" for i in range(256)], "ー", "<", "<s", "<|startoftext|>", "<|endoftext|>"]
    yield "GPTNeoXJapaneseTokenizer", {"vocab.txt": "".join(w + "\n" for w in words).encode(), "emoji.json": as_json(emoji)}, {}


def moses_folders():
    """Classes that call sacremoses."""
    vocab, merges = word_bpe(["<unk>", "<s>", "</s>", "<pad>", *[f"<special{i}>" for i in range(10)]], lower=True, title=False)
    files = {"vocab.json": as_json(vocab), "merges.txt": merges}
    yield "XLMTokenizer", files, {}
    yield "XLMTokenizer+cased", files, {"do_lowercase_and_remove_accent": False}
    yield "FlaubertTokenizer", files, {}
    yield "FlaubertTokenizer+lower", files, {"do_lowercase": True}
    yield "BioGptTokenizer", files, {}
    back = as_json({token: i for i, token in enumerate(reversed(list(vocab)))})
    files = {"vocab-src.json": as_json(vocab), "vocab-tgt.json": back, "merges.txt": merges}
    yield "FSMTTokenizer", files, {"langs": ["en", "ru"]}
    yield "FSMTTokenizer+de", files, {"langs": ["de", "en"], "do_lower_case": True}
    yield "FSMTTokenizer+ru", files, {"langs": ["ru", "de"]}


def remote_folders(folder, code):
    """Classes whose code comes with their checkpoints; `code` holds it: qwen.py, glm1.py, glm3.py, glm4.py,
    baichuan.py, internlm.py, internlm2.py. What is not there is left out."""
    def with_code(name, cls, files, config):
        path = f"{code}/{name}.py"
        if not os.path.exists(path):
            return None
        with open(path, "rb") as stream:
            files = dict(files, **{f"{name}.py": stream.read()})
        return dict(files), dict(config, auto_map={"AutoTokenizer": [f"{name}.{cls}", None]})

    llama = {"tokenizer.model": spm(folder, "bpe", 460, rules=False, byte_fallback=True, user_defined_symbols=["<user>"],
                                    remove_extra_whitespaces=False)}
    glm = {"tokenizer.model": spm(folder, "bpe", 460, rules=False, byte_fallback=True, remove_extra_whitespaces=False)}
    ice = {"ice_text.model": spm(
        folder, "unigram", 460, bos_id=-1, eos_id=-1, pad_id=3, user_defined_symbols=["<n>", "<|tab|>", *[f"<|blank_{i}|>" for i in range(2, 81)]],
        control_symbols=["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "</s>"])}
    tick = tiktoken_file()
    added = {str(2000 + i): {"content": t, "special": True, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
             for i, t in enumerate(["<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|user|>"])}
    for name, cls, files, config in (
            ("qwen", "QWenTokenizer", {"qwen.tiktoken": tick}, {}),
            ("glm1", "ChatGLMTokenizer", ice, {"num_image_tokens": 0}),
            ("glm1", "ChatGLMTokenizer+images", ice, {}),
            ("glm1", "ChatGLMTokenizer+lower", ice, {"num_image_tokens": 0, "do_lower_case": True}),
            ("glm3", "ChatGLMTokenizer+3", glm, {}),
            ("glm3", "ChatGLMTokenizer+3+roles", glm, {"encode_special_tokens": True}),
            ("glm4", "ChatGLM4Tokenizer", {"tokenizer.model": tick}, {
                "added_tokens_decoder": added, "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
                "additional_special_tokens": ["<|endoftext|>", "[MASK]", "[gMASK]", "<sop>", "<|user|>"]}),
            ("baichuan", "BaichuanTokenizer", llama, {}),
            ("internlm", "InternLMTokenizer", llama, {}),
            ("internlm2", "InternLM2Tokenizer", llama, {}),
            ("internlm2", "InternLM2Tokenizer+eos", glm, {"add_eos_token": True})):
        made = with_code(name, cls.split("+")[0], files, config)
        if made:
            yield cls, *made
