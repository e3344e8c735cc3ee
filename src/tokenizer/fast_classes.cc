#include "tokenizer/fast_classes.h"

#include <algorithm>
#include <iterator>

namespace tensormill {
namespace {

using PrefixSpace = FastClass::PrefixSpace;

// Ascending names.
constexpr FastClass kClasses[] = {
    {.name = "AlbertTokenizer",
     .specials = "bos=[CLS] eos=[SEP] unk=<unk> sep=[SEP] pad=<pad> cls=[CLS] mask=[MASK]~l"},
    {.name = "BartTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~ln",
     .trims = true},
    {.name = "BarthezTokenizer",
     .specials = "bos=<s> eos=</s> unk=<unk> sep=</s> cls=<s> pad=<pad> mask=<mask>~l"},
    {.name = "BertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "BigBirdTokenizer",
     .specials = "bos=<s>~ eos=</s>~ unk=<unk>~ sep=[SEP]~ pad=<pad>~ cls=[CLS]~ mask=[MASK]~l"},
    {.name = "BlenderbotSmallTokenizer",
     .specials = "bos=<|endoftext|> eos=<|endoftext|> unk=<|endoftext|>"},
    {.name = "BlenderbotTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l",
     .trims = true},
    {.name = "BloomTokenizer",
     .specials = "unk=<unk> bos=<s> eos=</s> pad=<pad>",
     .nested_prefix = true},
    {.name = "CLIPTokenizer",
     .specials = "unk=<|endoftext|> bos=<|startoftext|> eos=<|endoftext|> pad=<|endoftext|>"},
    {.name = "CamembertTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l +=<s>NOTUSED "
                 "+=</s>NOTUSED +=<unk>NOTUSED"},
    {.name = "CodeGenTokenizer",
     .specials = "unk=<|endoftext|> bos=<|endoftext|> eos=<|endoftext|>"},
    {.name = "CodeLlamaTokenizer", .specials = "unk=<unk> bos=<s> eos=</s>"},
    {.name = "CohereTokenizer",
     .specials = "unk=<UNK> bos=<BOS_TOKEN> eos=<|END_OF_TURN_TOKEN|>",
     .nested_prefix = true},
    {.name = "ConvBertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "DPRContextEncoderTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "DPRQuestionEncoderTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "DPRReaderTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "DebertaTokenizer",
     .specials = "bos=[CLS] eos=[SEP] unk=[UNK] sep=[SEP] cls=[CLS] pad=[PAD] mask=[MASK]"},
    {.name = "DebertaV2Tokenizer",
     .specials = "bos=[CLS] eos=[SEP] unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]"},
    {.name = "DistilBertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "ElectraTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "FNetTokenizer",
     .specials = "unk=<unk> sep=[SEP]~ pad=<pad> cls=[CLS]~ mask=[MASK]~l"},
    {.name = "FunnelTokenizer",
     .specials = "unk=<unk> sep=<sep> pad=<pad> cls=<cls> mask=<mask> bos=<s> eos=</s>",
     .cases = true,
     .chinese = true},
    {.name = "GPT2Tokenizer", .specials = "unk=<|endoftext|> bos=<|endoftext|> eos=<|endoftext|>"},
    {.name = "GPTNeoXTokenizer",
     .specials = "unk=<|endoftext|> bos=<|endoftext|> eos=<|endoftext|> pad="},
    {.name = "GemmaTokenizer", .specials = "unk=<unk> bos=<bos> eos=<eos> pad=<pad>"},
    {.name = "HerbertTokenizer", .specials = "cls=<s> unk=<unk> pad=<pad> mask=<mask> sep=</s>"},
    {.name = "LEDTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~ln",
     .trims = true},
    {.name = "LayoutLMTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "LayoutLMv2Tokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true},
    {.name = "LayoutLMv3Tokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>",
     .trims = true,
     .prefix = PrefixSpace::kYes},
    {.name = "LayoutXLMTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l"},
    {.name = "LlamaTokenizer",
     .specials = "unk=<unk> bos=<s> eos=</s>",
     .prefix = PrefixSpace::kAsFile},
    {.name = "LongformerTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l",
     .trims = true},
    {.name = "LxmertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "MBart50Tokenizer",
     .specials = "eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l"},
    {.name = "MBartTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l"},
    {.name = "MPNetTokenizer",
     .specials = "bos=<s>~ eos=</s>~ sep=</s>~ cls=<s>~ unk=[UNK]~ pad=<pad>~ mask=<mask>~l",
     .cases = true},
    {.name = "MT5Tokenizer",
     .specials = "eos=</s> unk=<unk> pad=<pad>",
     .prefix = PrefixSpace::kAsFile},
    {.name = "MarkupLMTokenizer",
     .specials = "bos=<s>~ eos=</s>~ unk=<unk>~ sep=</s>~ pad=<pad>~ cls=<s>~ mask=<mask>~l"},
    {.name = "MobileBertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "MvpTokenizer",
     .specials = "bos=<s>~ eos=</s>~ sep=</s>~ cls=<s>~ unk=<unk>~ pad=<pad>~ mask=<mask>~l",
     .trims = true},
    {.name = "NllbTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~ln"},
    {.name = "NougatTokenizer", .specials = "unk=<unk> bos=<s> eos=</s> pad=<pad>"},
    {.name = "OpenAIGPTTokenizer", .specials = "unk=<unk>"},
    {.name = "PegasusTokenizer", .specials = "pad=<pad> eos=</s> unk=<unk> mask=<mask_2>"},
    {.name = "Qwen2Tokenizer",
     .specials = "unk=<|endoftext|>~ bos= eos=<|endoftext|>~ pad=<|endoftext|>~"},
    {.name = "RealmTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "ReformerTokenizer", .specials = "eos=</s> unk=<unk>"},
    {.name = "RemBertTokenizer",
     .specials = "bos=[CLS] eos=[SEP] unk=<unk> sep=[SEP] pad=<pad> cls=[CLS] mask=[MASK]~l"},
    {.name = "RetriBertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "RoFormerTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true},
    {.name = "RobertaTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l",
     .trims = true},
    {.name = "SeamlessM4TTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad>"},
    {.name = "SplinterTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true},
    {.name = "SqueezeBertTokenizer",
     .specials = "unk=[UNK] sep=[SEP] pad=[PAD] cls=[CLS] mask=[MASK]",
     .cases = true,
     .chinese = true},
    {.name = "T5Tokenizer",
     .specials = "eos=</s> unk=<unk> pad=<pad>",
     .prefix = PrefixSpace::kAsFile},
    {.name = "UdopTokenizer", .specials = "eos=</s> sep=</s> unk=<unk> pad=<pad>"},
    {.name = "WhisperTokenizer",
     .specials = "unk=<|endoftext|>~ bos=<|endoftext|>~ eos=<|endoftext|>~"},
    {.name = "XGLMTokenizer", .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad>"},
    {.name = "XLMRobertaTokenizer",
     .specials = "bos=<s> eos=</s> sep=</s> cls=<s> unk=<unk> pad=<pad> mask=<mask>~l"},
    {.name = "XLNetTokenizer",
     .specials =
         "bos=<s> eos=</s> unk=<unk> sep=<sep> pad=<pad> cls=<cls> mask=<mask>~l +=<eop> +=<eod>"},
};

bool is_type(const Json& tree, const char* stage, std::string_view type) {
  const auto found = tree.find(stage);
  return found != tree.end() && found->is_object() && found->value("type", "") == type;
}

void set_normalizer(const FastClass& row, const TokenizerConfig& config, Json& tree) {
  if (!is_type(tree, "normalizer", "BertNormalizer")) return;
  Json& normalizer = tree["normalizer"];
  normalizer["lowercase"] = config.node().flag_or("do_lower_case", true);
  const auto accents = config.node().find("strip_accents");
  normalizer["strip_accents"] = accents ? Json(accents->flag()) : Json(nullptr);
  if (row.chinese) {
    normalizer["handle_chinese_chars"] = config.node().flag_or("tokenize_chinese_chars", true);
  }
}

// The prefix space that the class is made with; none: the file's stays.
std::optional<bool> prefix_space(const FastClass* row, const TokenizerConfig& config) {
  if (config.add_prefix_space) return config.add_prefix_space;
  const bool is_null = config.options.contains("add_prefix_space");
  const PrefixSpace otherwise = row == nullptr ? PrefixSpace::kNo : row->prefix;
  if (is_null || otherwise == PrefixSpace::kAsFile) return std::nullopt;
  return otherwise == PrefixSpace::kYes;
}

void set_processor(const TokenizerConfig& config, std::optional<bool> prefix, Json& tree) {
  if (!is_type(tree, "post_processor", "RobertaProcessing") &&
      !is_type(tree, "post_processor", "ByteLevel")) {
    return;
  }
  Json& processor = tree["post_processor"];
  if (prefix) processor["add_prefix_space"] = *prefix;
  processor["trim_offsets"] = config.node().flag_or("trim_offsets", true);
}

// Of all stages in stages.
void set_nested_prefix(Json& value) {
  if (!value.is_structured()) return;
  for (auto& [key, item] : value.items()) {
    if (key == "add_prefix_space") {
      item = true;
    } else {
      set_nested_prefix(item);
    }
  }
}

}  // namespace

const FastClass* find_fast_class(std::string_view name) {
  const auto* found = std::lower_bound(
      std::begin(kClasses), std::end(kClasses), name,
      [](const FastClass& row, std::string_view wanted) { return row.name < wanted; });
  return found != std::end(kClasses) && found->name == name ? found : nullptr;
}

void apply_class_options(const TokenizerConfig& config, Json& tree) {
  const FastClass* row = find_fast_class(config.tokenizer_class);
  const std::optional<bool> prefix = prefix_space(row, config);
  if (prefix && is_type(tree, "pre_tokenizer", "ByteLevel")) {
    tree["pre_tokenizer"]["add_prefix_space"] = *prefix;
  }
  if (row == nullptr) return;
  if (row->cases) set_normalizer(*row, config, tree);
  if (row->trims) set_processor(config, prefix, tree);
  if (row->nested_prefix && prefix.value_or(false)) {
    for (const char* stage : {"pre_tokenizer", "decoder"}) {
      if (tree.contains(stage)) set_nested_prefix(tree[stage]);
    }
  }
}

}  // namespace tensormill
