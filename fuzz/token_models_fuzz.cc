// The first byte says what the rest is: a model of a tokenizer.json, a text for one of several
// models, or ids for one of several decoders. Streamed text must be decode()'s, and a model read as
// text the same as one read as a tree.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

constexpr const char* kModels[] = {
    R"({"type": "Unigram", "unk_id": 0, "byte_fallback": true, "vocab": [["<unk>", 0], ["a", -1],
        ["b", -2], ["ab", -2.5], ["<0x41>", -9], ["<0xC3>", -9], ["<0xA9>", -9], ["a", -1.5]]})",
    R"({"type": "Unigram", "vocab": [["a", 0], ["b", 0], ["aa", 0], ["", 1]]})",
    R"({"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 9, "vocab": {"[UNK]": 0, "a": 1, "##a": 2, "##ab": 3, "b": 4}})",
    R"({"type": "WordLevel", "unk_token": "u", "vocab": {"u": 7, "a": 1, "ab": 2}})",
    R"({"type": "BPE", "unk_token": "u", "fuse_unk": true, "continuing_subword_prefix": "#",
        "end_of_word_suffix": "/", "vocab": {"u": 0, "a": 1, "#a": 2, "aa": 3, "#a/": 4, "aa/": 5},
        "merges": [["a", "#a"], ["aa", "#a/"], ["a", "#a/"]]})"};

constexpr const char* kDecoders[] = {
    R"({"type": "WordPiece", "prefix": "##", "cleanup": true})",
    R"({"type": "BPEDecoder", "suffix": "b"})",
    R"({"type": "BPEDecoder", "suffix": ""})",
    R"({"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": true})",
    R"({"type": "Metaspace", "replacement": "a", "prepend_scheme": "first"})",
    R"({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"},
        {"type": "Strip", "content": "a", "start": 2, "stop": 2}]})",
    R"({"type": "Sequence", "decoders": [{"type": "ByteLevel"},
        {"type": "Replace", "pattern": {"Regex": "a*"}, "content": "b"}]})",
    R"({"type": "Sequence", "decoders": [
        {"type": "CTC", "pad_token": "", "word_delimiter_token": "", "cleanup": false},
        {"type": "WordPiece", "prefix": "", "cleanup": false}, {"type": "BPEDecoder", "suffix": "c"}]})"};

std::unique_ptr<Tokenizer> load(std::string_view json) {
  static const std::filesystem::path folder = [] {
    std::string pattern = (std::filesystem::temp_directory_path() / "fuzzXXXXXX").string();
    return std::filesystem::path(mkdtemp(pattern.data()));
  }();
  std::ofstream(folder / "tokenizer.json", std::ios::binary) << json;
  return load_tokenizer(folder);
}

void check(bool holds) {
  if (!holds) std::abort();
}

void check_stream(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  DecodeStream stream(tokenizer, false);
  std::string streamed;
  for (const int32_t id : ids) {
    const std::string piece = stream.step(id);
    check(find_invalid_utf8(piece) == std::string::npos);
    streamed += piece;
  }
  streamed += stream.finish();
  check(streamed == tokenizer.decode(ids, false));
}

// "" where the tokenizer refuses the text.
std::string answer_of(const Tokenizer& tokenizer, std::string_view text) {
  try {
    const Encoding encoding = tokenizer.encode({.text = text, .details = true});
    check(encoding.ids.size() == encoding.offsets.size());
    check_stream(tokenizer, encoding.ids);
    std::string answer;
    for (const int32_t id : encoding.ids) answer += std::to_string(id) + tokenizer.token(id) + ' ';
    return answer;
  } catch (const Error&) {
    return "";
  }
}

std::unique_ptr<Tokenizer> load_or_null(const std::string& json) {
  try {
    return load(json);
  } catch (const Error&) {
    return nullptr;
  }
}

void check_model(std::string_view model) {
  const std::string text = std::string("{\"model\": ").append(model) + "}";
  const auto as_text = load_or_null(text);
  // The second of two models counts, and none of them is read as text then.
  const auto as_tree = load_or_null("{\"model\": {}, " + text.substr(1));
  check((as_text == nullptr) == (as_tree == nullptr));
  if (!as_text) return;
  for (const char* sample : {"ab", "a b <unk> 12 \xc3\xa9", "\xc4\xa0"}) {
    check(answer_of(*as_text, sample) == answer_of(*as_tree, sample));
  }
}

void check_text(size_t model, std::string_view text) {
  static const auto tokenizers = [] {
    std::vector<std::unique_ptr<Tokenizer>> list;
    for (const char* json : kModels) list.push_back(load(std::string("{\"model\": ") + json + "}"));
    return list;
  }();
  (void)answer_of(*tokenizers[model % std::size(kModels)], text);
}

void check_ids(size_t decoder, std::string_view data) {
  static const auto tokenizers = [] {
    std::vector<std::unique_ptr<Tokenizer>> list;
    for (const char* json : kDecoders) {
      list.push_back(
          load(std::string(R"({"model": {"type": "WordLevel", "unk_token": "a", "vocab": {
          "a": 0, "b": 1, "##a": 2, " b": 3, "": 4, "<0xC3>": 5, "<0xA9>": 6, "aab": 7, "\u00c3": 8,
          "\u00a9": 9, " .": 10, "c c": 11, " do not": 12, "\u00e9": 13, "aaa": 14, "<0x+A>": 15}},
          "decoder": )") +
               json + "}"));
    }
    return list;
  }();
  std::vector<int32_t> ids;
  for (const char byte : data) ids.push_back(byte & 15);
  check_stream(*tokenizers[decoder % std::size(kDecoders)], ids);
}

}  // namespace
}  // namespace tensormill

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] < 32) {
    tensormill::check_model(rest);
  } else if (data[0] < 128) {
    tensormill::check_text(data[0], rest);
  } else {
    tensormill::check_ids(data[0], rest);
  }
  return 0;
}
