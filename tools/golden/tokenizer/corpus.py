"""Texts that every tokenizer is compared on: scripts, emoji, controls, runs, special tokens."""
import random


def corpus():
    texts = []
    a = texts.append
    a(""); a(" "); a("  "); a("\n"); a("Hello world"); a(" Hello  world ! "); a("The quick brown fox jumps over the lazy dog.")
    a("I'm you're he'll they've we'd it's don't CAN'T I'M IT'S 'Ll'RE ''s 'ſ 'ſs 'S")
    a("def f(x):\n    return x**2\n\n\n\tif  x:\r\n  pass\r\n\r\n")
    a("1 12 123 1234 12345 3.14159 1,000,000 ٣٤٥ १२३ ½ Ⅷ ² ④ 〇")
    a("naïve café résumé Ångström e\u0301 n\u0303 A\u030a \u212b \u1e9b\u0323 \u0958 \ufb01 ﬁ ǅ")
    a("\u0041\u0301\u0316 q\u0307\u0323 \u1100\u1161\u11a8 \uac00\u11a8 \u0f71\u0f72 \u0344 \u2126 \uf900")
    a("中文分词测试。你好,世界!日本語テキスト カタカナ ひらがな がぎ が 한국어 텍스트")
    a("Привет, мир! Ελληνικά κείμενο. עִבְרִית العربية نَصّ हिन्दी पाठ ไทย ภาษา தமிழ் తెలుగు ಕನ್ನಡ മലയാളം සිංහල ລາວ བོད་ မြန်မာ ქართული Հայերեն አማርኛ ខ្មែរ ᏣᎳᎩ ᐃᓄᒃᑎᑐᑦ ᠮᠣᠩᠭᠣᠯ")
    a("😀 👨‍👩‍👧‍👦 🏳️‍🌈 🇺🇳 👍🏽 ❤️ ☠️ 🫠 1️⃣ 🧑🏿‍🚀")
    a("\x00\x01\x02\x07\x08\x0b\x0c\x0e\x1b\x7f\x80\x85\x9f\u200b\u200c\u200d\u200e\u2028\u2029\ufeff\ufffd\uffff\U0010ffff")
    a("a\u00a0b\u1680c\u180ed\u2000e\u200af\u202fg\u205fh\u3000i\u0085j\u2028k")
    a("\t\ttabs\t \t mixed \n \n\n  \r \r\n x\u3000\u3000y   ")
    a("a"*300); a("ab"*200); a(" "*70); a("\n"*40); a("▁"*20); a("=-"*60); a("!?"*50+"…"*30); a("0"*100); a("é"*120); a("中"*100); a("😀"*50)
    a("▁Hello ▁▁ world▁ x ▁"); a("Ġhello Ċ Ā ĠĠ"); a("<0x0A><0x00> <0xE4><0xBD>")
    for s in ["<s>","</s>","<unk>","<pad>","<mask>","<|endoftext|>","<|padding|>","[PAD]","<|begin_of_text|>","<|eot_id|>","<|im_start|>","<|im_end|>","<think>","</think>","<tool_call>","<|extratoken_1|>","<|extratoken_14|>","<|endofprompt|>","<|start_header_id|>"]:
        a(s); a("x "+s+" y"); a("a"+s+"b"+s+s+"  "+s+" "); a(s+"\n"+s)
    a("<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>user\nHi!<|im_end|>\n<|im_start|>assistant\n")
    a("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhat is 2+2?<|eot_id|>")
    a("[INST] <<SYS>>\nBe nice.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] more [/INST]")
    a("<|endoftext <|endoftext|> <|endoftext|>|> <<|endoftext|>> <s <s> < s> </s</s>")
    a("x   y    z        w                        24                         25")
    a("https://example.com/path?q=1&r=%20#frag user@mail.org C:\\dir\\file.txt $x_1+y^{2}$ #tag @me")
    a("camelCaseString HTTPServer XMLHttpRequest iPhone ABCdef ABC DEFghi ÀÉÎõü ǅabc ʰʷ")
    a("\"quotes\" 'single' “curly” ‘x’ «g» (parens) [brackets] {braces} <tags/> — – - … • ©®™ €£¥ ±×÷ ∑∫∂ → ⇒")
    r=random.Random(7)
    ranges=[(0x20,0x7e),(0xa0,0x24f),(0x250,0x36f),(0x370,0x52f),(0x590,0x6ff),(0x900,0xdff),(0xe00,0x11ff),(0x1e00,0x23ff),(0x2500,0x2bff),(0x3000,0x30ff),(0x4e00,0x9fff),(0xa000,0xabff),(0xac00,0xd7a3),(0xf900,0xfdff),(0xfe00,0xffef),(0x10000,0x107ff),(0x1d400,0x1d7ff),(0x1f300,0x1faff),(0x20000,0x2ffff),(0xe0000,0xe01ef),(0,0x1f)]
    for i in range(60):
        s=""
        for j in range(r.randint(1,40)):
            k=r.random()
            if k<0.35: lo,hi=ranges[0]
            else: lo,hi=ranges[r.randrange(len(ranges))]
            s+=chr(r.randint(lo,hi))
            if r.random()<0.2: s+=r.choice([" ","\n","  ","\t","'s","\u0301","123"])
        a(s)
    return texts
