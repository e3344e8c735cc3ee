#include <algorithm>
#include <fstream>
#include <tuple>
#include <unordered_map>

#include "tokenizer/byte_alphabet.h"
#include "tokenizer/slow/convert.h"
#include "tokenizer/slow/stages.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {
namespace {

constexpr const char* kQwen2Pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kClipPattern =
    "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

Json bpe_model(const SlowFolder& folder, MergeLines lines, Json unk = nullptr,
               std::string_view suffix = "") {
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", std::move(unk)},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", suffix.empty() ? Json(nullptr) : Json(suffix)},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", read_vocabulary_json(folder.file("vocab.json"))},
          {"merges", merges_json(read_merges_file(folder.file("merges.txt"), lines))}};
}

bool prefix_space(const SlowFolder& folder) {
  const bool otherwise = folder.config.tokenizer_class == "LayoutLMv3Tokenizer";
  return folder.config.add_prefix_space.value_or(otherwise);
}

Conversion byte_level(const SlowFolder& folder) {
  Conversion result;
  result.tree["model"] = bpe_model(folder, MergeLines::kInner);
  result.tree["pre_tokenizer"] = byte_level_json(prefix_space(folder));
  result.tree["decoder"] = byte_level_json(true);
  return result;
}

}  // namespace

Conversion convert_gpt2(const SlowFolder& folder) {
  Conversion result = byte_level(folder);
  if (!folder.config.add_bos.value_or(false)) {
    result.processor = [](const IdOf&) { return byte_level_json(true, true, false); };
    return result;
  }
  const std::string bos = folder.special("bos_token");
  result.processor = [bos](const IdOf& id_of) {
    return template_json({bos, "$A"}, {bos, "$A", "$B:1"}, id_of);
  };
  return result;
}

Conversion convert_roberta(const SlowFolder& folder) {
  Conversion result = byte_level(folder);
  const std::string cls = folder.special("cls_token"), sep = folder.special("sep_token");
  const bool prefix = prefix_space(folder);
  result.processor = [cls, sep, prefix](const IdOf& id_of) {
    Json json = pair_processing_json("RobertaProcessing", cls, sep, id_of);
    json["trim_offsets"] = true;
    json["add_prefix_space"] = prefix;
    return json;
  };
  return result;
}

Conversion convert_deberta(const SlowFolder& folder) {
  Conversion result = byte_level(folder);
  result.processor = [](const IdOf& id_of) {
    return template_json({"[CLS]", "$A", "[SEP]"}, {"[CLS]", "$A", "[SEP]", "$B:1", "[SEP]:1"},
                         id_of);
  };
  return result;
}

Conversion convert_blenderbot(const SlowFolder& folder) {
  Conversion result = byte_level(folder);
  const std::string eos = folder.special("eos_token");
  result.processor = [eos](const IdOf& id_of) {
    return template_json({"$A", eos}, {"$A", "$B:1"}, id_of);
  };
  return result;
}

Conversion convert_qwen2(const SlowFolder& folder) {
  Conversion result;
  result.tree["model"] = bpe_model(folder, MergeLines::kAfterTitle);
  result.tree["normalizer"] = {{"type", "NFC"}};
  result.tree["pre_tokenizer"] =
      sequence_json("pretokenizers", Json::array({split_json(kQwen2Pattern, "Isolated"),
                                                  byte_level_json(prefix_space(folder), false)}));
  result.tree["decoder"] = byte_level_json(true);
  result.processor = [](const IdOf&) { return byte_level_json(true, true, false); };
  return result;
}

Conversion convert_clip(const SlowFolder& folder) {
  Conversion result;
  result.tree["model"] = bpe_model(folder, MergeLines::kClip, folder.special("unk_token"), "</w>");
  result.tree["normalizer"] = sequence_json(
      "normalizers",
      Json::array({{{"type", "NFC"}}, replace_regex_json("\\s+", " "), {{"type", "Lowercase"}}}));
  result.tree["pre_tokenizer"] = sequence_json(
      "pretokenizers",
      Json::array({split_json(kClipPattern, "Removed", true), byte_level_json(false)}));
  result.tree["decoder"] = byte_level_json(true);
  const std::string bos = folder.special("bos_token"), eos = folder.special("eos_token");
  result.processor = [bos, eos](const IdOf& id_of) {
    Json json = pair_processing_json("RobertaProcessing", bos, eos, id_of);
    json["trim_offsets"] = false;
    json["add_prefix_space"] = false;
    return json;
  };
  return result;
}

Conversion convert_openai_gpt(const SlowFolder& folder) {
  Conversion result;
  const std::string unk = folder.special("unk_token");
  result.tree["model"] = bpe_model(folder, MergeLines::kInner, unk, "</w>");
  result.tree["normalizer"] = bert_normalizer_json(true, nullptr, true);
  result.tree["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  result.tree["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
  if (result.tree["model"]["vocab"].contains(unk)) {
    result.tree["added_tokens"] =
        Json::array({{{"content", unk}, {"special", true}, {"normalized", false}}});
  }
  return result;
}

Conversion convert_herbert(const SlowFolder& folder) {
  Conversion result;
  result.tree["model"] =
      bpe_model(folder, MergeLines::kAllEnded, folder.special("unk_token"), "</w>");
  Json& merges = result.tree["model"]["merges"];
  if (!merges.empty() && merges[0][0].get<std::string>().find("#version:") != std::string::npos) {
    merges.erase(0);
  }
  result.tree["normalizer"] = bert_normalizer_json(true, false, false);
  result.tree["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  result.tree["decoder"] = {{"type", "BPEDecoder"}, {"suffix", "</w>"}};
  const std::string cls = folder.special("cls_token"), sep = folder.special("sep_token");
  result.processor = [cls, sep](const IdOf& id_of) {
    return pair_processing_json("BertProcessing", cls, sep, id_of);
  };
  return result;
}

namespace {

constexpr const char* kTiktokenPattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

std::string in_alphabet(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text.append(byte_character(static_cast<uint8_t>(byte)));
  return text;
}

// Every way to put a token together from two others, by the token's rank.
Json tiktoken_merges(const std::vector<std::pair<std::string, int32_t>>& tokens) {
  std::unordered_map<std::string_view, int32_t> ranks;
  for (const auto& [token, rank] : tokens) ranks[token] = rank;
  struct Merge {
    int32_t rank, left_rank, right_rank;
    std::string_view left, right;
  };
  std::vector<Merge> merges;
  for (const auto& [token, rank] : tokens) {
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const auto left = ranks.find(std::string_view(token).substr(0, cut));
      if (left == ranks.end()) continue;
      const auto right = ranks.find(std::string_view(token).substr(cut));
      if (right == ranks.end()) continue;
      merges.push_back({rank, left->second, right->second, left->first, right->first});
    }
  }
  std::stable_sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.rank, a.left_rank, a.right_rank) <
           std::tie(b.rank, b.left_rank, b.right_rank);
  });
  Json json = Json::array();
  for (const Merge& merge : merges) {
    json.push_back(Json::array({in_alphabet(merge.left), in_alphabet(merge.right)}));
  }
  return json;
}

}  // namespace

Conversion convert_tiktoken(const SlowFolder& folder) {
  const auto tokens = read_tiktoken_file(folder.file("tokenizer.model"));
  Json vocabulary = Json::object();
  for (const auto& [token, rank] : tokens) vocabulary[in_alphabet(token)] = rank;
  Conversion result;
  result.tree["model"] = {{"type", "BPE"},
                          {"unk_token", nullptr},
                          {"fuse_unk", false},
                          {"byte_fallback", false},
                          {"ignore_merges", true},
                          {"vocab", std::move(vocabulary)},
                          {"merges", tiktoken_merges(tokens)}};
  result.tree["pre_tokenizer"] = sequence_json(
      "pretokenizers",
      Json::array({split_json(kTiktokenPattern, "Isolated"), byte_level_json(false, false)}));
  result.tree["decoder"] = byte_level_json(true);
  Json added = Json::array();
  for (const auto& special : folder.config.additional) {
    added.push_back({{"content", special.token.content}, {"special", true}, {"normalized", false}});
  }
  result.tree["added_tokens"] = std::move(added);
  result.processor = [](const IdOf&) { return byte_level_json(true, true, false); };
  return result;
}

bool is_tiktoken_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string line;
  return std::getline(stream, line) && line.size() < 1000 &&
         line.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
             "0123456789+/= \r") == std::string::npos &&
         line.find(' ') != std::string::npos;
}

}  // namespace tensormill
