#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/settings.h"
#include "server/dialect.h"

namespace tensormill {

// One token a byte; 256 is "<s>" (added to every prompt), 257 is "</s>".
class FakeTokenizer final : public Tokenizer {
 public:
  using Tokenizer::encode;
  Encoding encode(const EncodeRequest& request) const override {
    Encoding out;
    if (request.add_special) out.ids.push_back(256);
    for (const char c : request.text) out.ids.push_back(static_cast<unsigned char>(c));
    return out;
  }
  std::string decode(std::span<const int32_t> ids, bool skip_special) const override {
    std::string out;
    for (const int32_t id : ids) {
      if (id < 256) out += static_cast<char>(id);
      if (id >= 256 && !skip_special) out += token(id);
    }
    return out;
  }
  int32_t vocabulary_size() const override { return 258; }
  std::optional<int32_t> id_of(std::string_view) const override { return std::nullopt; }
  std::string token(int32_t id) const override {
    return id == 256 ? "<s>" : id == 257 ? "</s>" : std::string(1, static_cast<char>(id));
  }
  bool is_special(int32_t id) const override { return id >= 256; }
  std::string special(std::string_view name) const override {
    return name == "bos_token" ? "<s>" : name == "eos_token" ? "</s>" : "";
  }
};

struct Fixture {
  FakeTokenizer tokenizer;
  Settings settings{SettingScope::kModel};
  std::unique_ptr<ChatTemplate> chat_template = std::make_unique<ChatTemplate>(
      "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
      "{% if add_generation_prompt %}[assistant]{% endif %}");
  ModelInfo info;
  int32_t max_tokens = 100;

  DialectContext context() const {
    return {"m", &settings, &tokenizer, chat_template.get(), &info, max_tokens};
  }
  ParsedCall parse(Dialect dialect, std::string_view body,
                   std::string_view type = "application/json") const {
    return parse_call(dialect, type, body, context());
  }
  // The message of the error that the body gives; its kind in `kind`.
  std::string error(Dialect dialect, std::string_view body,
                    std::string_view type = "application/json") const {
    try {
      parse(dialect, body, type);
    } catch (const Error& failure) {
      return failure.what();
    }
    return "no error";
  }
};

inline TokenEvent token(int32_t id, std::string text, float log_prob,
                        FinishReason finish = FinishReason::kNone, bool special = false) {
  TokenEvent event;
  event.token = id;
  event.text = event.token_text = std::move(text);
  event.log_prob = log_prob;
  event.finish = finish;
  event.special = special;
  return event;
}

inline TokenEvent failure(std::string text) {
  TokenEvent event;
  event.finish = FinishReason::kError;
  event.error = std::move(text);
  return event;
}

// The stub of the contract's examples.
inline std::vector<TokenEvent> stub_events() {
  return {token(100, " w0", 0.0f), token(101, " \"q\"\n é<", -0.5f),
          token(102, " w2", -1.0f, FinishReason::kLength)};
}

// All bytes of a call with one input; each chunk is put behind "|" when `split`.
inline std::string run(ParsedCall& call, std::vector<TokenEvent> events, bool split = false) {
  const SubmittedText submitted[] = {{1, 5, 3}};
  call.formatter->begin(submitted);
  std::string out;
  for (TokenEvent& event : events) {
    const std::string bytes = call.formatter->on_event(0, event);
    if (split && !bytes.empty()) out += "|";
    out += bytes;
  }
  return out + call.formatter->finish();
}

}  // namespace tensormill
