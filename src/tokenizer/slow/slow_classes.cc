#include <iterator>

#include "tokenizer/slow/slow_models.h"

namespace tensormill {
namespace {

constexpr std::string_view kXlmSpecials =
    "bos=<s> unk=<unk> sep=</s> pad=<pad> cls=</s> mask=<special1> +=<special0> +=<special1> "
    "+=<special2> +=<special3> +=<special4> +=<special5> +=<special6> +=<special7> +=<special8> "
    "+=<special9>";

constexpr TokenizerClass kClasses[] = {
    {"BaichuanTokenizer", "bos=<s>~n eos=</s>~n unk=<unk>~n", nullptr, make_baichuan},
    {"BartphoTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~ln",
     nullptr, make_bartpho},
    {"BertGenerationTokenizer", "bos=<s> eos=</s> unk=<unk> sep=<::::> pad=<pad>", nullptr,
     make_bert_generation},
    {"BertJapaneseTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", nullptr,
     make_bert_japanese},
    {"BioGptTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad>", nullptr, make_biogpt},
    {"BlenderbotSmallTokenizer", "bos=__start__ eos=__end__ unk=__unk__ pad=__null__", nullptr,
     make_blenderbot_small},
    {"ByT5Tokenizer", "eos=</s>~lrn unk=<unk>~lrn pad=<pad>~lrn", nullptr, make_byt5},
    {"CTRLTokenizer", "unk=<unk>", nullptr, make_ctrl},
    {"CanineTokenizer",
     "bos=\ue000~n eos=\ue001~n sep=\ue001~n pad=\\0~n cls=\ue000~n mask=\ue003~ln", nullptr,
     make_canine},
    {"ChatGLM4Tokenizer", "", nullptr, make_chatglm4},
    {"ChatGLMTokenizer", "", nullptr, make_chatglm},
    {"EsmTokenizer", "eos=<eos> unk=<unk> pad=<pad> cls=<cls> mask=<mask>", nullptr, make_esm},
    {"FSMTTokenizer", "bos=<s> unk=<unk> sep=</s> pad=<pad>", nullptr, make_fsmt},
    {"FlaubertTokenizer", kXlmSpecials, nullptr, make_flaubert},
    {"GPTNeoXJapaneseTokenizer",
     "bos=<|startoftext|> eos=<|endoftext|> unk=<|endoftext|> pad=<|endoftext|>", nullptr,
     make_gpt_neox_japanese},
    {"GPTSw3Tokenizer", "bos=<s> eos=<|endoftext|> unk=<unk> pad=<pad>", nullptr, make_gpt_sw3},
    {"InternLM2Tokenizer", "bos=<s> eos=</s> unk=<unk> pad=</s>", nullptr, make_internlm},
    {"InternLMTokenizer", "bos=<s> eos=</s> unk=<unk> pad=</s>", nullptr, make_internlm},
    {"M2M100Tokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad>", nullptr, make_m2m100},
    {"MarianTokenizer", "eos=</s> unk=<unk> pad=<pad>", nullptr, make_marian},
    {"PLBartTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~ln",
     nullptr, make_plbart, true},
    {"PerceiverTokenizer",
     "bos=[BOS]~n eos=[EOS]~n sep=[SEP]~n pad=[PAD]~n cls=[CLS]~n mask=[MASK]~n", nullptr,
     make_perceiver},
    {"PhobertTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>",
     nullptr, make_phobert},
    {"ProphetNetTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] mask=[MASK]", nullptr, make_prophetnet,
     true},
    {"QWenTokenizer", "", nullptr, make_qwen},
    {"SpeechT5Tokenizer", "bos=<s> eos=</s> unk=<unk> pad=<pad>", nullptr, make_speecht5},
    {"XLMProphetNetTokenizer",
     "bos=[SEP] eos=[SEP] unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", nullptr,
     make_xlm_prophetnet},
    {"XLMTokenizer", kXlmSpecials, nullptr, make_xlm},
};

}  // namespace

const TokenizerClass* find_slow_class(std::string_view name) {
  for (const TokenizerClass& row : kClasses) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace tensormill
