#include "tokenizer/slow/classes.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "tokenizer/slow/convert.h"
#include "tokenizer/slow/languages.h"

namespace tensormill {
namespace {

constexpr TokenizerClass kClasses[] = {
    {"AlbertTokenizer", "bos=[CLS] eos=[SEP] unk=<unk> sep=[SEP] pad=<pad> cls=[CLS] mask=[MASK]~l",
     convert_albert},
    {"BartTokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=</s>~n pad=<pad>~n cls=<s>~n mask=<mask>~ln",
     convert_roberta},
    {"BarthezTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~l",
     convert_barthez},
    {"BertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert, nullptr,
     true},
    {"BigBirdTokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=[SEP]~n pad=<pad>~n cls=[CLS]~n mask=[MASK]~ln",
     convert_big_bird},
    {"BlenderbotTokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=</s>~n pad=<pad>~n cls=<s>~n mask=<mask>~l",
     convert_blenderbot},
    {"BloomTokenizer", "bos=<s> eos=</s> unk=<unk> pad=<pad>", nullptr},
    {"CLIPTokenizer",
     "bos=<|startoftext|>~n eos=<|endoftext|>~n unk=<|endoftext|>~n pad=<|endoftext|>",
     convert_clip},
    {"CamembertTokenizer",
     "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~l +=<s>NOTUSED "
     "+=</s>NOTUSED +=<unk>NOTUSED",
     convert_camembert},
    {"CodeGenTokenizer", "bos=<|endoftext|>~ eos=<|endoftext|>~ unk=<|endoftext|>~", convert_gpt2},
    {"CodeLlamaTokenizer", "bos=<s>~ eos=</s>~ unk=<unk>~", convert_llama},
    {"CohereTokenizer", "bos=<BOS_TOKEN> eos=<|END_OF_TURN_TOKEN|> unk=<UNK>", nullptr},
    {"ConvBertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"DPRContextEncoderTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     convert_bert, nullptr, true},
    {"DPRQuestionEncoderTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     convert_bert, nullptr, true},
    {"DPRReaderTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"DebertaTokenizer",
     "bos=[CLS]~ eos=[SEP]~ unk=[UNK]~ sep=[SEP]~ pad=[PAD]~ cls=[CLS]~ mask=[MASK]~ln",
     convert_deberta},
    {"DebertaV2Tokenizer",
     "bos=[CLS] eos=[SEP] unk=[UNK]~n sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     convert_deberta_v2},
    {"DistilBertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"ElectraTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"FNetTokenizer", "unk=<unk> sep=[SEP]~ pad=<pad> cls=[CLS]~ mask=[MASK]~l", convert_fnet},
    {"FunnelTokenizer", "bos=<s> eos=</s> unk=<unk> sep=<sep> pad=<pad> cls=<cls> mask=<mask>",
     convert_funnel, nullptr, true},
    {"GPT2Tokenizer", "bos=<|endoftext|>~n eos=<|endoftext|>~n unk=<|endoftext|>~n", convert_gpt2},
    {"GPTNeoXTokenizer", "bos=<|endoftext|> eos=<|endoftext|> unk=<|endoftext|>", convert_gpt2},
    {"GemmaTokenizer", "bos=<bos>~ eos=<eos>~ unk=<unk>~ pad=<pad>~", convert_gemma},
    {"HerbertTokenizer",
     "bos=<s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask> +=<special0> +=<special1> "
     "+=<special2> +=<special3> +=<special4> +=<special5> +=<special6> +=<special7> +=<special8> "
     "+=<special9>",
     convert_herbert},
    {"LEDTokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=</s>~n pad=<pad>~n cls=<s>~n mask=<mask>~ln",
     convert_roberta},
    {"LayoutLMTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"LayoutLMv2Tokenizer", "unk=[UNK]~ sep=[SEP]~ pad=[PAD]~ cls=[CLS]~ mask=[MASK]~",
     convert_bert},
    {"LayoutLMv3Tokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=</s>~n pad=<pad>~n cls=<s>~n mask=<mask>~ln",
     convert_roberta},
    {"LayoutXLMTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~l",
     convert_xlm_roberta},
    {"LlamaTokenizer", "bos=<s>~ eos=</s>~ unk=<unk>~", convert_llama},
    {"LongformerTokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=</s>~n pad=<pad>~n cls=<s>~n mask=<mask>~l",
     convert_roberta},
    {"LxmertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"MBart50Tokenizer", "eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~ln",
     convert_mbart50},
    {"MBartTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~l",
     convert_mbart},
    {"MPNetTokenizer", "bos=<s>~ eos=</s>~ unk=[UNK]~ sep=</s>~ pad=<pad>~ cls=<s>~ mask=<mask>~l",
     convert_mpnet, nullptr, true},
    {"MT5Tokenizer", "eos=</s>~ unk=<unk>~ pad=<pad>~", convert_t5},
    {"MobileBertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"MvpTokenizer", "bos=<s>~ eos=</s>~ unk=<unk>~ sep=</s>~ pad=<pad>~ cls=<s>~ mask=<mask>~l",
     convert_roberta},
    {"NllbTokenizer", "bos=<s>~ eos=</s>~ unk=<unk>~ sep=</s> pad=<pad>~ cls=<s> mask=<mask>~ln",
     convert_nllb},
    {"OpenAIGPTTokenizer", "unk=<unk>", convert_openai_gpt},
    {"PegasusTokenizer", "eos=</s> unk=<unk> pad=<pad> mask=<mask_2>", convert_pegasus},
    {"PreTrainedTokenizer", "", convert_tiktoken},
    {"Qwen2Tokenizer", "eos=<|endoftext|>~ unk=<|endoftext|>~ pad=<|endoftext|>~", convert_qwen2},
    {"RealmTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert},
    {"ReformerTokenizer", "eos=</s> unk=<unk>", convert_reformer},
    {"RemBertTokenizer",
     "bos=[CLS] eos=[SEP] unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]~ln", convert_rembert},
    {"RetriBertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert},
    {"RoFormerTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_roformer},
    {"RobertaTokenizer",
     "bos=<s>~n eos=</s>~n unk=<unk>~n sep=</s>~n pad=<pad>~n cls=<s>~n mask=<mask>~l",
     convert_roberta},
    {"SeamlessM4TTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s>",
     convert_seamless_m4t},
    {"SplinterTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_splinter},
    {"SqueezeBertTokenizer", "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]", convert_bert,
     nullptr, true},
    {"T5Tokenizer", "eos=</s>~ unk=<unk>~ pad=<pad>~", convert_t5},
    {"UdopTokenizer", "eos=</s>~ unk=<unk>~ sep=</s>~ pad=<pad>~", convert_udop},
    {"WhisperTokenizer", "bos=<|endoftext|>~ eos=<|endoftext|>~ unk=<|endoftext|>~",
     convert_whisper},
    {"XGLMTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s>", convert_xglm},
    {"XLMRobertaTokenizer", "bos=<s> eos=</s> unk=<unk> sep=</s> pad=<pad> cls=<s> mask=<mask>~l",
     convert_xlm_roberta},
    {"XLNetTokenizer",
     "bos=<s> eos=</s> unk=<unk> sep=<sep> pad=<pad> cls=<cls> mask=<mask>~l +=<eop> +=<eod>",
     convert_xlnet},
};

bool same_text(const TokenizerConfig::Special& a, const std::string& text) {
  return a.token.content == text;
}

// "<mask>~ln" as a token.
TokenizerConfig::Special read_default(std::string_view text) {
  TokenizerConfig::Special special;
  const size_t flags = text.rfind('~');
  special.as_text = flags == std::string_view::npos;
  special.token.content = text.substr(0, flags);
  if (special.token.content == "\\0") special.token.content.assign(1, '\0');
  special.token.special = true;
  special.token.normalized = false;
  if (special.as_text) return special;
  for (const char flag : text.substr(flags + 1)) {
    if (flag == 'l') special.token.lstrip = true;
    if (flag == 'r') special.token.rstrip = true;
    if (flag == 'n') special.token.normalized = true;
  }
  return special;
}

void add_additional(const std::string& text, TokenizerConfig& config) {
  const auto same = [&](const TokenizerConfig::Special& known) { return same_text(known, text); };
  if (std::any_of(config.additional.begin(), config.additional.end(), same)) return;
  TokenizerConfig::Special special = read_default(text);
  config.additional.push_back(std::move(special));
}

void add_extra_ids(TokenizerConfig& config) {
  const auto extra = [](const TokenizerConfig::Special& special) {
    return special.token.content.find("<extra_id_") != std::string::npos;
  };
  if (std::any_of(config.additional.begin(), config.additional.end(), extra)) return;
  const auto given = config.node().find("extra_ids");
  const int64_t count = given ? given->integer(0, 1 << 20) : 100;
  for (int64_t i = 0; i < count; ++i) add_additional(fmt::format("<extra_id_{}>", i), config);
}

// The masks that Pegasus was trained with, in the order of its list.
void add_pegasus_masks(TokenizerConfig& config) {
  const bool named = config.options.contains("mask_token_sent");
  const std::string sentence = config.node().text_or("mask_token_sent", named ? "" : "<mask_1>");
  const auto given = config.node().find("offset");
  const int64_t offset = given ? given->integer(0, 1 << 20) : 103;
  std::vector<TokenizerConfig::Special> list = std::move(config.additional);
  config.additional.clear();
  if (!sentence.empty()) add_additional(sentence, config);
  for (auto& special : list) {
    if (special.token.content != sentence) config.additional.push_back(std::move(special));
  }
  const auto count = static_cast<int64_t>(config.additional.size());
  const int64_t first = config.names_additional ? count : 2;
  const int64_t end = config.names_additional ? offset - 1 : offset;
  for (int64_t i = first; i < end; ++i) add_additional(fmt::format("<unk_{}>", i), config);
}

// A token that an option names, as text or with flags; "" where the option is null.
std::string option_token(const TokenizerConfig& config, const char* key,
                         std::string_view otherwise) {
  if (!config.options.contains(key)) return std::string(otherwise);
  const auto node = config.node().find(key);
  if (!node) return "";
  return node->value().is_string() ? node->text() : read_added_token(*node).content;
}

constexpr std::pair<const char*, const char*> kInfillingTokens[] = {{"prefix_token", "▁<PRE>"},
                                                                    {"middle_token", "▁<MID>"},
                                                                    {"suffix_token", "▁<SUF>"},
                                                                    {"eot_token", "▁<EOT>"}};

void add_languages(Languages languages, TokenizerConfig& config) {
  for (const std::string& code : language_codes(languages)) add_additional(code, config);
}

void add_additional_defaults(std::string_view name, TokenizerConfig& config) {
  if (name == "T5Tokenizer" || name == "MT5Tokenizer") add_extra_ids(config);
  if (name == "PegasusTokenizer") add_pegasus_masks(config);
  if (name == "CodeLlamaTokenizer") {
    for (const auto& [key, otherwise] : kInfillingTokens) {
      const std::string text = option_token(config, key, otherwise);
      if (!text.empty()) add_additional(text, config);
    }
  }
  if (name == "MBartTokenizer") {  // the codes first, whatever the files list
    std::vector<TokenizerConfig::Special> list = std::move(config.additional);
    config.additional.clear();
    add_languages(Languages::kMBart, config);
    for (auto& special : list) add_additional(special.token.content, config);
  }
  if (name == "MBart50Tokenizer") add_languages(Languages::kMBart50, config);
  if (name == "NllbTokenizer" && !config.names_additional) {
    add_languages(Languages::kNllb, config);
  }
  if (name == "PLBartTokenizer") {
    const bool multi = config.node().text_or("language_codes", "base") == "multi";
    std::vector<TokenizerConfig::Special> list = std::move(config.additional);
    config.additional.clear();
    add_languages(multi ? Languages::kPlBartMulti : Languages::kPlBartBase, config);
    for (auto& special : list) add_additional(special.token.content, config);
  }
  if (name == "ByT5Tokenizer" && !config.names_additional) {
    const auto given = config.node().find("extra_ids");
    const int64_t count = given ? given->integer(0, 1 << 20) : 125;
    for (int64_t i = 0; i < count; ++i) add_additional(fmt::format("<extra_id_{}>", i), config);
  }
  if (name == "XGLMTokenizer") {
    for (int i = 0; i < 7; ++i) add_additional(fmt::format("<madeupword{}>", i), config);
  }
}

}  // namespace

InfillingTokens infilling_tokens(const TokenizerConfig& config) {
  if (config.tokenizer_class != "CodeLlamaTokenizer") return {};
  const auto token = [&config](size_t i) {
    return option_token(config, kInfillingTokens[i].first, kInfillingTokens[i].second);
  };
  return {.prefix = token(0),
          .middle = token(1),
          .suffix = token(2),
          .fill = option_token(config, "fill_token", "<FILL_ME>")};
}

const TokenizerClass* find_tokenizer_class(std::string_view name) {
  for (const TokenizerClass& row : kClasses) {
    if (row.name == name) return &row;
  }
  return find_slow_class(name);
}

void add_class_defaults(std::string_view name, std::string_view specials, TokenizerConfig& config) {
  std::istringstream words{std::string(specials)};
  for (std::string word; words >> word;) {
    const size_t equal = word.find('=');
    const std::string key = word.substr(0, equal) + "_token", text = word.substr(equal + 1);
    if (key == "+_token") {
      if (!config.names_additional) add_additional(text, config);
      continue;
    }
    const auto known = config.specials.find(key);
    if (text.empty()) {
      config.specials.emplace(key, std::nullopt);
      continue;
    }
    TokenizerConfig::Special special = read_default(text);
    if (known == config.specials.end()) {
      config.specials[key] = std::move(special);
    } else if (known->second && known->second->as_text && !special.as_text) {
      special.token.content = known->second->token.content;
      known->second = std::move(special);
    }
  }
  add_additional_defaults(name, config);
}

}  // namespace tensormill
