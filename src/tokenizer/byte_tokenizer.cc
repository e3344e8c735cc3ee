#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace tensormill {
namespace {

constexpr int32_t kBytes = 256;

class ByteStream : public IncrementalDecoder {
 public:
  void push(int32_t id, std::string& out) override {
    if (id < 0 || id >= kBytes) return;
    bytes_.push_back(static_cast<char>(id));
    const size_t certain = bytes_.size() - incomplete_utf8_tail(bytes_);
    out.append(replace_invalid_utf8(std::string_view(bytes_).substr(0, certain)));
    bytes_.erase(0, certain);
  }
  void finish(std::string& out) override {
    out.append(replace_invalid_utf8(bytes_));
    bytes_.clear();
  }

 private:
  std::string bytes_;
};

class ByteTokenizer : public Tokenizer {
 public:
  explicit ByteTokenizer(int32_t vocabulary_size) : size_(vocabulary_size) {}

  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override {
    std::vector<Encoding> encodings;
    encodings.push_back(encode_one(request.text, 0, request.details));
    if (request.pair) encodings.push_back(encode_one(*request.pair, 1, request.details));
    if (request.truncation) truncate_encodings(encodings, *request.truncation);
    Encoding result = std::move(encodings[0]);
    if (request.pair) append_encoding(result, std::move(encodings[1]));
    return result;
  }

  Encoding encode_one(std::string_view text, int32_t number, bool details) const {
    if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
      throw_error(ErrorKind::kBadRequest, "the text is not valid UTF-8 at byte {}", at);
    }
    Encoding encoding;
    int32_t code_point = -1;
    for (const char byte : text) {
      const int32_t id = static_cast<uint8_t>(byte);
      if (id >= size_) {
        throw_error(ErrorKind::kBadRequest, "byte {} is not in the vocabulary of {}", id, size_);
      }
      if (!is_utf8_continuation(byte)) ++code_point;
      encoding.ids.push_back(id);
      if (!details) continue;
      encoding.tokens.push_back(token(id));
      encoding.offsets.emplace_back(code_point, code_point + 1);
    }
    const size_t count = encoding.ids.size();
    encoding.type_ids.assign(count, number);
    if (!details) return encoding;
    encoding.words.assign(count, 0);
    encoding.sequences.assign(count, number);
    encoding.special.assign(count, 0);
    return encoding;
  }

  std::string decode(std::span<const int32_t> ids, bool) const override {
    std::string text;
    ByteStream stream;
    for (const int32_t id : ids) {
      if (id < 0 || id >= size_) {
        throw_error(ErrorKind::kBadRequest, "token id {} is not in the vocabulary of {}", id,
                    size_);
      }
      stream.push(id, text);
    }
    stream.finish(text);
    return text;
  }

  std::unique_ptr<IncrementalDecoder> start_decoding(bool) const override {
    return std::make_unique<ByteStream>();
  }

  int32_t vocabulary_size() const override { return size_; }

  std::optional<int32_t> id_of(std::string_view token) const override {
    if (token.size() != 1 || static_cast<uint8_t>(token[0]) >= size_) return std::nullopt;
    return static_cast<uint8_t>(token[0]);
  }

  std::string token(int32_t id) const override {
    return id >= 0 && id < kBytes ? std::string(1, static_cast<char>(id)) : "";
  }

  bool is_special(int32_t) const override { return false; }
  std::string special(std::string_view) const override { return ""; }

 private:
  int32_t size_;
};

}  // namespace

std::unique_ptr<Tokenizer> byte_tokenizer(int32_t vocabulary_size) {
  if (vocabulary_size < 1) {
    throw_error(ErrorKind::kArtifactInvalid, "a vocabulary of {} tokens, expected at least 1",
                vocabulary_size);
  }
  return std::make_unique<ByteTokenizer>(vocabulary_size);
}

}  // namespace tensormill
