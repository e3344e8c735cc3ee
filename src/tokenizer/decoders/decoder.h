#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/json_node.h"

namespace tensormill {

// One step from tokens to text, as a stream: a token comes as any number of feed()s and one
// end_token(), finish() ends the sequence. A step hands on to the next one as soon as what it has
// can't change any more.
class DecodeStep {
 public:
  virtual ~DecodeStep() = default;
  virtual void feed(std::string_view text) = 0;
  virtual void end_token() = 0;
  virtual void finish() = 0;

  void set_next(DecodeStep* next) { next_ = next; }

 protected:
  DecodeStep& next() { return *next_; }

 private:
  DecodeStep* next_ = nullptr;
};

// A step that needs each token as a whole.
class WholeTokenStep : public DecodeStep {
 public:
  void feed(std::string_view text) final { token_.append(text); }
  void end_token() final {
    on_token(token_);
    token_.clear();
  }

 protected:
  virtual void on_token(const std::string& token) = 0;

 private:
  std::string token_;
};

using DecodeSteps = std::vector<std::unique_ptr<DecodeStep>>;

// Makes the steps for one sequence. Immutable and thread-safe.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void add_steps(DecodeSteps& steps) const = 0;
};

// From a value of tokenizer.json's "decoder". Without a "type" it is the first of BPEDecoder,
// WordPiece, CTC and Strip whose fields are there.
std::unique_ptr<Decoder> make_decoder(const JsonNode& node);

// One function for each file of decoders/.
std::unique_ptr<Decoder> make_bpe_decoder(const JsonNode& node);
std::unique_ptr<Decoder> make_byte_fallback(const JsonNode& node);
std::unique_ptr<Decoder> make_byte_level_decoder(const JsonNode& node);
std::unique_ptr<Decoder> make_ctc(const JsonNode& node);
std::unique_ptr<Decoder> make_decoder_sequence(const JsonNode& node);
std::unique_ptr<Decoder> make_fuse(const JsonNode& node);
std::unique_ptr<Decoder> make_metaspace_decoder(const JsonNode& node);
std::unique_ptr<Decoder> make_replace_decoder(const JsonNode& node);
std::unique_ptr<Decoder> make_strip_decoder(const JsonNode& node);
std::unique_ptr<Decoder> make_word_piece_decoder(const JsonNode& node);

// All tokens are one from here on.
std::unique_ptr<DecodeStep> make_fuse_step();

// What a tokenizer.json without decoder means: tokens joined by spaces.
std::unique_ptr<Decoder> make_space_joiner();

}  // namespace tensormill
