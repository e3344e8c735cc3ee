#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/encoding.h"

namespace tensormill {

// Text of tokens that come one by one; the pieces joined are decode() of all of them. What may
// still change is held back.
class IncrementalDecoder {
 public:
  virtual ~IncrementalDecoder() = default;
  virtual void push(int32_t id, std::string& out) = 0;  // appends; ids out of range add nothing
  virtual void finish(std::string& out) = 0;
};

// A tokenizer as a model folder describes it. Immutable and thread-safe after loading.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Texts must be valid UTF-8 (kBadRequest otherwise).
  virtual Encoding encode(const EncodeRequest& request) const = 0;
  Encoding encode(std::string_view text, bool add_special = true) const {
    return encode({.text = text, .add_special = add_special});
  }

  // What the tokenizer's files say about texts that are too long. encode() cuts nothing unless its
  // request says so.
  virtual std::optional<Truncation> truncation() const { return std::nullopt; }

  // The text of a whole sequence. Bytes that are no valid UTF-8 become U+FFFD. Ids out of range:
  // kBadRequest.
  virtual std::string decode(std::span<const int32_t> ids, bool skip_special = true) const = 0;

  // The stream behind DecodeStream; must not outlive the tokenizer. As it stands here it is right
  // where the text of a sequence is that of its tokens, joined.
  virtual std::unique_ptr<IncrementalDecoder> start_decoding(bool skip_special = true) const;

  virtual int32_t vocabulary_size() const = 0;  // added tokens included
  virtual std::optional<int32_t> id_of(std::string_view token) const = 0;
  virtual std::string token(
      int32_t id) const = 0;  // as it stands in the vocabulary; "" where unused
  virtual bool is_special(int32_t id) const = 0;

  // Texts of the special tokens of tokenizer_config.json; "" where there is none. name:
  // "bos_token", "eos_token", "unk_token", "pad_token" ...
  virtual std::string special(std::string_view name) const = 0;

 protected:
  // decode() by start_decoding(), for classes that have their own of that.
  std::string decode_as_stream(std::span<const int32_t> ids, bool skip_special) const;
};

// From tokenizer.json, else from the files of the tokenizer class that tokenizer_config.json or
// config.json names (docs/tokenizer-files.md); without a name, vocab.json + merges.txt or
// tokenizer.model. With special_tokens_map.json and added_tokens.json where they are there.
// kNotFound when none is there, kUnsupported for classes that aren't known.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& folder);

// One token a byte (ids 0..255), for models without tokenizer files. Ids of 256 and more decode to
// "".
std::unique_ptr<Tokenizer> byte_tokenizer(int32_t vocabulary_size);

}  // namespace tensormill
