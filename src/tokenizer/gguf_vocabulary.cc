#include "tokenizer/gguf_vocabulary.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

constexpr int64_t kUnknown = 2, kControl = 3, kUserDefined = 4;
constexpr std::string_view kSpace = "\u2581";  // SentencePiece's visible space

enum class Split : uint8_t { kGpt2, kDigits, kLlama3, kQwen2 };

struct PreTokenizer {
  std::string_view name;  // tokenizer.ggml.pre
  Split split;
  bool ignore_merges = false, adds_bos = false, nfc = false;
};

// Which published tokenizers the names stand for.
constexpr PreTokenizer kPreTokenizers[] = {
    {"default", Split::kGpt2},
    {"gpt-2", Split::kGpt2},
    {"gpt2", Split::kGpt2},
    {"phi-2", Split::kGpt2},
    {"mpt", Split::kGpt2},
    {"olmo", Split::kGpt2, false, false, true},
    {"smollm", Split::kDigits},
    {"starcoder", Split::kDigits},
    {"refact", Split::kDigits},
    {"codeshell", Split::kDigits},
    {"command-r", Split::kDigits},
    {"llama-bpe", Split::kLlama3, true, true},
    {"llama3", Split::kLlama3, true, true},
    {"llama-v3", Split::kLlama3, true, true},
    {"qwen2", Split::kQwen2, false, false, true},
    {"deepseek-r1-qwen", Split::kQwen2, false, false, true},
};

constexpr const char* kLlama3Pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
constexpr const char* kQwen2Pattern =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

[[noreturn]] void fail(const GgufVocabulary& v, std::string_view key, std::string_view what) {
  throw_error(ErrorKind::kArtifactInvalid, "{}: key \"tokenizer.{}\": {}", v.origin, key, what);
}

const PreTokenizer& find_pre(const GgufVocabulary& v) {
  const std::string_view name = v.pre.empty() ? std::string_view("default") : v.pre;
  std::string supported;
  for (const PreTokenizer& pre : kPreTokenizers) {
    if (pre.name == name) return pre;
    supported += supported.empty() ? "" : ", ";
    supported += pre.name;
  }
  throw_error(ErrorKind::kUnsupported,
              "{}: key \"tokenizer.ggml.pre\": \"{}\" is not supported; expected {}", v.origin,
              name, supported);
}

bool is_sentencepiece(const GgufVocabulary& v) {
  if (v.model == "llama") return true;
  if (v.model == "gpt2") return false;
  throw_error(ErrorKind::kUnsupported,
              "{}: key \"tokenizer.ggml.model\": \"{}\" is not supported; expected gpt2 or llama",
              v.origin, v.model);
}

const std::string& token(const GgufVocabulary& v, int64_t id, std::string_view key) {
  if (id < 0 || static_cast<size_t>(id) >= v.tokens.size()) {
    fail(v, key, fmt::format("{}, expected an id below {}", id, v.tokens.size()));
  }
  return v.tokens[static_cast<size_t>(id)];
}

void check(const GgufVocabulary& v) {
  if (v.tokens.empty()) fail(v, "ggml.tokens", "missing or empty");
  if (!v.types.empty() && v.types.size() != v.tokens.size()) {
    fail(v, "ggml.token_type",
         fmt::format("{} values, expected one for each of the {} tokens", v.types.size(),
                     v.tokens.size()));
  }
  if (!v.scores.empty() && v.scores.size() != v.tokens.size()) {
    fail(v, "ggml.scores",
         fmt::format("{} values, expected one for each of the {} tokens", v.scores.size(),
                     v.tokens.size()));
  }
}

bool adds_bos(const GgufVocabulary& v) {
  return v.add_bos.value_or(is_sentencepiece(v) || find_pre(v).adds_bos);
}

OrderedJson added_tokens(const GgufVocabulary& v) {
  OrderedJson added = OrderedJson::array();
  for (size_t id = 0; id < v.types.size(); ++id) {
    const int64_t type = v.types[id];
    if (type != kControl && type != kUserDefined && type != kUnknown) continue;
    added.push_back({{"id", id},
                     {"content", v.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", type != kUserDefined}});
  }
  return added;
}

// [bos] A [eos], and the same for B with type 1; null when nothing is added.
OrderedJson template_processor(const GgufVocabulary& v) {
  const bool bos = adds_bos(v) && v.bos, eos = v.add_eos.value_or(false) && v.eos;
  if (!bos && !eos) return nullptr;
  OrderedJson pieces[2], special = OrderedJson::object();
  const auto add = [&](OrderedJson& into, int64_t id, std::string_view key, int type) {
    const std::string& text = token(v, id, key);
    into.push_back({{"SpecialToken", {{"id", text}, {"type_id", type}}}});
    special[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
  };
  for (int type = 0; type < 2; ++type) {
    OrderedJson& part = pieces[type] = OrderedJson::array();
    if (bos) add(part, *v.bos, "ggml.bos_token_id", type);
    part.push_back({{"Sequence", {{"id", type == 0 ? "A" : "B"}, {"type_id", type}}}});
    if (eos) add(part, *v.eos, "ggml.eos_token_id", type);
  }
  OrderedJson pair = pieces[0];
  pair.insert(pair.end(), pieces[1].begin(), pieces[1].end());
  return {{"type", "TemplateProcessing"},
          {"single", pieces[0]},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(special)}};
}

OrderedJson byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

OrderedJson pre_tokenizer(Split split) {
  OrderedJson first;
  switch (split) {
    case Split::kGpt2:
      return byte_level(true);
    case Split::kDigits:
      first = {{"type", "Digits"}, {"individual_digits", true}};
      return {{"type", "Sequence"}, {"pretokenizers", {first, byte_level(true)}}};
    case Split::kLlama3:
    case Split::kQwen2:
      first = {{"type", "Split"},
               {"pattern", {{"Regex", split == Split::kLlama3 ? kLlama3Pattern : kQwen2Pattern}}},
               {"behavior", "Isolated"},
               {"invert", false}};
      return {{"type", "Sequence"}, {"pretokenizers", {first, byte_level(false)}}};
  }
  return nullptr;
}

// Json keeps keys sorted by text and finds them fast; the file's order of the vocabulary is free.
Json token_ids(const GgufVocabulary& v) {
  Json ids = Json::object();
  for (size_t id = 0; id < v.tokens.size(); ++id) ids[v.tokens[id]] = id;
  return ids;
}

// "left right" as ["left", "right"]: the form in which a piece may hold a space.
Json given_merges(const GgufVocabulary& v) {
  Json merges = Json::array();
  for (const std::string& merge : v.merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos || space + 1 == merge.size()) {
      fail(v, "ggml.merges", fmt::format("\"{}\", expected two pieces and a space", merge));
    }
    merges.push_back({merge.substr(0, space), merge.substr(space + 1)});
  }
  return merges;
}

// Every way to put a piece together from two others, in descending order of the piece's score, as
// SentencePiece merges them; the ways of one piece in ascending order of their parts' ids.
Json merges_from_scores(const GgufVocabulary& v) {
  if (v.scores.empty()) fail(v, "ggml.scores", "missing, and so are merges; expected one of them");
  constexpr size_t kMaxPiece = 1024;  // bytes; longer pieces are not made by merging
  std::unordered_map<std::string_view, size_t> ids;
  for (size_t id = 0; id < v.tokens.size(); ++id) ids[v.tokens[id]] = id;
  struct Merge {
    double score;
    size_t left, right;
  };
  std::vector<Merge> merges;
  for (size_t id = 0; id < v.tokens.size(); ++id) {
    const std::string_view piece = v.tokens[id];
    if (piece.size() > kMaxPiece || ids.at(piece) != id) continue;
    const size_t begin = merges.size();
    for (size_t cut = 1; cut < piece.size(); ++cut) {
      const auto left = ids.find(piece.substr(0, cut));
      if (left == ids.end()) continue;
      const auto right = ids.find(piece.substr(cut));
      if (right != ids.end()) merges.push_back({v.scores[id], left->second, right->second});
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(begin), merges.end(),
              [](const Merge& a, const Merge& b) {
                return a.left != b.left ? a.left < b.left : a.right < b.right;
              });
  }
  std::stable_sort(merges.begin(), merges.end(),
                   [](const Merge& a, const Merge& b) { return a.score > b.score; });
  Json result = Json::array();
  for (const Merge& merge : merges) {
    result.push_back({v.tokens[merge.left], v.tokens[merge.right]});
  }
  return result;
}

OrderedJson byte_level_bpe(const GgufVocabulary& v) {
  const PreTokenizer& pre = find_pre(v);
  if (v.merges.empty()) fail(v, "ggml.merges", "missing or empty");
  OrderedJson json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  json["added_tokens"] = added_tokens(v);
  json["normalizer"] = pre.nfc ? OrderedJson{{"type", "NFC"}} : OrderedJson(nullptr);
  json["pre_tokenizer"] = pre_tokenizer(pre.split);
  json["post_processor"] = template_processor(v);
  json["decoder"] = byte_level(true);
  json["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", nullptr},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", false},
                   {"byte_fallback", false},
                   {"ignore_merges", pre.ignore_merges}};
  json["model"]["vocab"] = token_ids(v);
  json["model"]["merges"] = given_merges(v);
  return json;
}

OrderedJson sentencepiece_bpe(const GgufVocabulary& v) {
  const OrderedJson replace = {
      {"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}};
  const OrderedJson restore = {
      {"type", "Replace"}, {"pattern", {{"String", kSpace}}}, {"content", " "}};
  OrderedJson normalizers = OrderedJson::array(), decoders = OrderedJson::array();
  decoders.push_back(restore);
  decoders.push_back({{"type", "ByteFallback"}});
  decoders.push_back({{"type", "Fuse"}});
  if (v.add_space_prefix.value_or(true)) {
    normalizers.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  normalizers.push_back(replace);
  OrderedJson unknown = nullptr;
  if (v.unknown) unknown = token(v, *v.unknown, "ggml.unknown_token_id");
  OrderedJson json = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  json["added_tokens"] = added_tokens(v);
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  json["pre_tokenizer"] = nullptr;
  json["post_processor"] = template_processor(v);
  json["decoder"] = {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  json["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"unk_token", std::move(unknown)},
                   {"continuing_subword_prefix", nullptr},
                   {"end_of_word_suffix", nullptr},
                   {"fuse_unk", true},
                   {"byte_fallback", true},
                   {"ignore_merges", false}};
  json["model"]["vocab"] = token_ids(v);
  json["model"]["merges"] = v.merges.empty() ? merges_from_scores(v) : given_merges(v);
  return json;
}

}  // namespace

OrderedJson gguf_tokenizer(const GgufVocabulary& vocabulary) {
  check(vocabulary);
  return is_sentencepiece(vocabulary) ? sentencepiece_bpe(vocabulary) : byte_level_bpe(vocabulary);
}

OrderedJson gguf_tokenizer_config(const GgufVocabulary& v) {
  check(v);
  OrderedJson json;
  // The class by which other programs know what a template or a prefix space defaults to.
  json["tokenizer_class"] = is_sentencepiece(v) ? "LlamaTokenizer" : "PreTrainedTokenizerFast";
  if (is_sentencepiece(v)) {
    json["legacy"] = true;
    json["add_bos_token"] = adds_bos(v);
    json["add_eos_token"] = v.add_eos.value_or(false);
  }
  const auto name = [&](const char* key, const std::optional<int64_t>& id, const char* source) {
    if (id) json[key] = token(v, *id, source);
  };
  name("bos_token", v.bos, "ggml.bos_token_id");
  name("eos_token", v.eos, "ggml.eos_token_id");
  name("unk_token", v.unknown, "ggml.unknown_token_id");
  name("pad_token", v.padding, "ggml.padding_token_id");
  json["clean_up_tokenization_spaces"] = false;
  if (v.chat_template) json["chat_template"] = *v.chat_template;
  return json;
}

}  // namespace tensormill
