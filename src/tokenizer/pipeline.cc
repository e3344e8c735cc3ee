#include "tokenizer/pipeline.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/clean_up.h"

namespace tensormill {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;

// Byte positions of a text as code point positions; asked in roughly ascending order.
class CodePointCounter {
 public:
  explicit CodePointCounter(std::string_view text)
      : text_(text), ascii_(count_code_points(text) == text.size()) {}

  int32_t operator()(size_t byte) {
    if (ascii_) return static_cast<int32_t>(byte);
    while (byte_ < byte) {
      ++byte_;
      if (byte_ == text_.size() || !is_utf8_continuation(text_[byte_])) ++count_;
    }
    while (byte_ > byte) {
      if (byte_ == text_.size() || !is_utf8_continuation(text_[byte_])) --count_;
      --byte_;
    }
    return count_;
  }

 private:
  std::string_view text_;
  bool ascii_;
  size_t byte_ = 0;
  int32_t count_ = 0;
};

Span span_of(const Piece& piece, size_t begin, size_t end) {
  if (piece.spans != nullptr) {
    if (begin == end) return {piece.begin, piece.begin};
    return {piece.spans[begin].begin, piece.spans[end - 1].end};
  }
  // A token may be a part of a code point; its offsets are those of the whole one.
  while (begin > 0 && is_utf8_continuation(piece.text[begin])) --begin;
  while (end < piece.text.size() && is_utf8_continuation(piece.text[end])) ++end;
  return {static_cast<uint32_t>(piece.begin + begin), static_cast<uint32_t>(piece.begin + end)};
}

void add_offsets(const Piece& piece, const std::vector<ModelToken>& tokens,
                 CodePointCounter& code_point, Encoding& out) {
  size_t at = 0;
  Span span{piece.begin, piece.begin};
  for (const ModelToken& token : tokens) {
    if (token.bytes != kSamePlace) {
      const size_t end = std::min(at + token.bytes, piece.text.size());
      span = span_of(piece, std::min(at, end), end);
      at = end;
    }
    const int32_t begin = code_point(span.begin);
    out.offsets.emplace_back(begin, code_point(span.end));
  }
}

void check_text(std::string_view text) {
  if (text.size() > kMaxTextBytes) {
    throw_error(ErrorKind::kBadRequest, "the text has {} bytes, at most {} can be tokenized",
                text.size(), kMaxTextBytes);
  }
  if (const size_t at = find_invalid_utf8(text); at != std::string_view::npos) {
    throw_error(ErrorKind::kBadRequest, "the text is not valid UTF-8 at byte {}", at);
  }
}

class TextSink : public DecodeStep {
 public:
  void feed(std::string_view text) override { text_.append(text); }
  void end_token() override {}
  void finish() override {}
  std::string& text() { return text_; }

 private:
  std::string text_;
};

}  // namespace

// A model's scratch for the time of one encode().
class Pipeline::BorrowedScratch {
 public:
  explicit BorrowedScratch(const Pipeline& pipeline) : pipeline_(pipeline) {
    {
      const std::lock_guard lock(pipeline_.mutex_);
      if (!pipeline_.idle_.empty()) {
        scratch_ = std::move(pipeline_.idle_.back());
        pipeline_.idle_.pop_back();
      }
    }
    if (!scratch_) scratch_ = pipeline_.parts_.model->make_scratch();
  }
  ~BorrowedScratch() {
    const std::lock_guard lock(pipeline_.mutex_);
    pipeline_.idle_.push_back(std::move(scratch_));
  }
  ModelScratch& operator*() { return *scratch_; }

 private:
  const Pipeline& pipeline_;
  std::unique_ptr<ModelScratch> scratch_;
};

class Pipeline::Stream : public IncrementalDecoder {
 public:
  Stream(const Pipeline& pipeline, bool skip_special)
      : pipeline_(pipeline), skip_special_(skip_special) {
    pipeline.parts_.decoder->add_steps(steps_);
    steps_.push_back(std::make_unique<TextSink>());
    sink_ = static_cast<TextSink*>(steps_.back().get());
    for (size_t i = 0; i + 1 < steps_.size(); ++i) steps_[i]->set_next(steps_[i + 1].get());
  }

  void push(int32_t id, std::string& out) override {
    const std::string_view token = pipeline_.token_view(id);
    if (token.data() == nullptr) return;
    if (skip_special_ && pipeline_.parts_.added.is_special(token)) return;
    steps_.front()->feed(token);
    steps_.front()->end_token();
    drain(out, false);
  }

  void finish(std::string& out) override {
    steps_.front()->finish();
    drain(out, true);
  }

 private:
  void drain(std::string& out, bool last) {
    std::string& text = sink_->text();
    if (pipeline_.parts_.clean_up_spaces) {
      const size_t certain = last ? text.size() : clean_up_border(text);
      out.append(clean_up_spaces(std::string_view(text).substr(0, certain)));
      text.erase(0, certain);
    } else {
      out.append(text);
      text.clear();
    }
  }

  const Pipeline& pipeline_;
  bool skip_special_;
  DecodeSteps steps_;
  TextSink* sink_;
};

Pipeline::Pipeline(PipelineParts parts) : parts_(std::move(parts)) {}
Pipeline::~Pipeline() = default;

Encoding Pipeline::encode_one(std::string_view text, const Normalizer* normalizer, int32_t number,
                              bool details) const {
  check_text(text);
  const bool track = details || (parts_.pre_tokenizer && parts_.pre_tokenizer->needs_places());
  PreTokenized pieces(text, track);
  parts_.added.split(pieces, normalizer);
  if (parts_.pre_tokenizer) parts_.pre_tokenizer->apply(pieces);
  Encoding out;
  out.ids.reserve(text.size() / 3);
  BorrowedScratch scratch(*this);
  CodePointCounter code_point(details ? text : std::string_view());
  std::vector<ModelToken> tokens;
  int32_t word = 0;
  for (const Piece& piece : pieces.pieces()) {
    tokens.clear();
    if (piece.token >= 0) {
      tokens.push_back({piece.token, static_cast<uint32_t>(piece.text.size())});
    } else {
      parts_.model->tokenize(piece.text, pieces.byte_level(), *scratch, tokens);
    }
    for (const ModelToken& token : tokens) out.ids.push_back(token.id);
    if (details) {
      add_offsets(piece, tokens, code_point, out);
      add_texts(piece, pieces.byte_level(), tokens, out);
      out.words.resize(out.ids.size(), word);
    }
    ++word;
  }
  out.type_ids.assign(out.ids.size(), number);
  if (details) {
    out.sequences.assign(out.ids.size(), number);
    out.special.assign(out.ids.size(), 0);
  }
  return out;
}

void Pipeline::add_texts(const Piece& piece, bool byte_level, const std::vector<ModelToken>& tokens,
                         Encoding& out) const {
  if (piece.token >= 0) {
    out.tokens.emplace_back(piece.text);
    return;
  }
  const int32_t verbatim = parts_.model->verbatim_id();
  size_t at = 0;
  for (const ModelToken& token : tokens) {
    const std::string_view own = piece.text.substr(std::min(at, piece.text.size()), token.bytes);
    if (token.bytes != kSamePlace) at += token.bytes;
    if (token.id != verbatim) {
      out.tokens.emplace_back(parts_.model->token(token.id));
    } else if (!byte_level) {
      out.tokens.emplace_back(own);
    } else {
      std::string& text = out.tokens.emplace_back();
      for (const char byte : own) text.append(byte_character(static_cast<uint8_t>(byte)));
    }
  }
}

Encoding Pipeline::encode(const EncodeRequest& request) const {
  const Normalizer* normalizer = parts_.normalizer.get();
  const Processor* processor = parts_.processor.get();
  const auto gap = parts_.infilling ? parts_.infilling->texts(request) : std::nullopt;
  if (!gap) return encode_with(request, normalizer, processor);
  EncodeRequest changed = request;
  if (gap->behind.empty()) {
    changed.text = std::string_view(gap->before).substr(1);
    changed.pair.reset();
    return encode_with(changed, normalizer, processor);
  }
  changed.text = gap->before;
  changed.pair = gap->behind;
  changed.add_special = true;
  const auto& around = request.add_special ? parts_.infilling->special : parts_.infilling->plain;
  return encode_with(changed, parts_.infilling->normalizer.get(), around.get());
}

Encoding Pipeline::encode_with(const EncodeRequest& request, const Normalizer* normalizer,
                               const Processor* processor) const {
  std::vector<Encoding> encodings;
  encodings.push_back(encode_one(request.text, normalizer, 0, request.details));
  if (request.pair) encodings.push_back(encode_one(*request.pair, normalizer, 1, request.details));
  if (request.truncation) {
    Truncation truncation = *request.truncation;
    const bool adds = request.add_special && processor != nullptr;
    const int64_t added = adds ? processor->added(request.pair.has_value()) : 0;
    if (truncation.max_length < added || truncation.stride < 0) {
      throw_error(ErrorKind::kBadRequest,
                  "truncation: max_length {} and stride {}; there are {} special tokens",
                  truncation.max_length, truncation.stride, added);
    }
    truncation.max_length -= added;
    truncate_encodings(encodings, truncation);
  }
  if (processor) processor->apply(encodings, request);
  if (encodings.empty()) return {};  // a template of special tokens that are not wanted
  Encoding result = std::move(encodings[0]);
  for (size_t i = 1; i < encodings.size(); ++i) append_encoding(result, std::move(encodings[i]));
  if (request.details) name_special_tokens(result);
  return result;
}

// Gives tokens the texts that the processor didn't know.
void Pipeline::name_special_tokens(Encoding& encoding) const {
  for (size_t i = 0; i < encoding.ids.size(); ++i) {
    if (encoding.tokens[i].empty()) encoding.tokens[i] = token_view(encoding.ids[i]);
  }
  for (Encoding& piece : encoding.overflowing) name_special_tokens(piece);
}

std::string Pipeline::decode(std::span<const int32_t> ids, bool skip_special) const {
  return decode_as_stream(ids, skip_special);
}

std::unique_ptr<IncrementalDecoder> Pipeline::start_decoding(bool skip_special) const {
  return std::make_unique<Stream>(*this, skip_special);
}

int32_t Pipeline::vocabulary_size() const {
  return std::max(parts_.model->id_bound(), parts_.added.id_bound());
}

std::optional<int32_t> Pipeline::id_of(std::string_view token) const {
  const auto added = parts_.added.id_of(token);
  return added ? added : parts_.model->id_of(token);
}

std::string_view Pipeline::token_view(int32_t id) const {
  const AddedToken* added = parts_.added.token(id);
  return added != nullptr ? std::string_view(added->content) : parts_.model->token(id);
}

std::string Pipeline::token(int32_t id) const {
  return std::string(token_view(id));
}

bool Pipeline::is_special(int32_t id) const {
  return parts_.added.is_special(token_view(id));
}

std::string Pipeline::special(std::string_view name) const {
  const auto found = parts_.specials.find(name);
  return found == parts_.specials.end() ? "" : found->second;
}

}  // namespace tensormill
