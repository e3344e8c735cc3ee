// The first byte says what the rest is: a tokenizer.json, a SentencePiece model, a pattern with a
// text, or a text for a tokenizer that goes through every stage.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/decode_stream.h"
#include "tokenizer/regex.h"
#include "tokenizer/sentencepiece_model.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

constexpr const char* kTokenizer = R"({
  "added_tokens": [{"id": 9, "content": "<s>", "special": true, "lstrip": true},
                   {"id": 10, "content": "aB", "single_word": true, "rstrip": true}],
  "normalizer": {"type": "Sequence", "normalizers": [
    {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "StripAccents"},
    {"type": "Strip", "strip_left": true, "strip_right": true}]},
  "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
    {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"},
    {"type": "Punctuation"}, {"type": "Digits", "individual_digits": false},
    {"type": "Split", "pattern": {"Regex": "\\s+|\\w"}, "behavior": "MergedWithNext",
     "invert": false}]},
  "decoder": {"type": "Sequence", "decoders": [
    {"type": "ByteFallback"}, {"type": "Fuse"},
    {"type": "Strip", "content": "a", "start": 1, "stop": 2}]},
  "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
            "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "_": 4, "<0x41>": 5, "<0xC3>": 6,
                      "<0xA9>": 7, "aab": 8},
            "merges": ["a b", "a ab"]}})";

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

void exercise(const Tokenizer& tokenizer, std::string_view text) {
  const Encoding encoding = tokenizer.encode({.text = text, .details = true});
  check(tokenizer.encode(text).ids == encoding.ids);
  check(encoding.ids.size() == encoding.offsets.size());
  const auto length = static_cast<int32_t>(count_code_points(text));
  for (const auto& [begin, end] : encoding.offsets)
    check(0 <= begin && begin <= end && end <= length);
  DecodeStream stream(tokenizer, false);
  std::string streamed;
  for (const int32_t id : encoding.ids) streamed += stream.step(id);
  streamed += stream.finish();
  check(streamed == tokenizer.decode(encoding.ids, false));
}

void run(uint8_t kind, std::string_view data) {
  if (kind % 4 == 0) {
    exercise(*load(data), "a b <s> 12 \xc3\xa9");
  } else if (kind % 4 == 1) {
    (void)parse_sentencepiece(data, "fuzz");
  } else if (kind % 4 == 2) {
    const size_t cut = data.find('\0');
    if (cut == std::string_view::npos || find_invalid_utf8(data) != std::string_view::npos) return;
    ByteRanges matches;
    Regex(data.substr(0, cut), "fuzz").find_all(data.substr(cut + 1), matches);
  } else {
    static const std::unique_ptr<Tokenizer> tokenizer = load(kTokenizer);
    exercise(*tokenizer, data);
  }
}

}  // namespace
}  // namespace tensormill

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    tensormill::run(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const tensormill::Error&) {
    return 0;
  }
  return 0;
}
