#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace tensormill {

// The Jinja chat templates of a model, compiled once. Immutable and thread-safe. Behaves as
// transformers' apply_chat_template: trim_blocks and lstrip_blocks on, loop controls, generation
// blocks, raise_exception, strftime_now, a sandbox. Work, nesting and sizes are bounded.
class ChatTemplate {
 public:
  using Sources = std::vector<std::pair<std::string, std::string>>;  // name, text

  // Throws kArtifactInvalid with line and column of a syntax error.
  explicit ChatTemplate(std::string_view source);
  // Several, by name. "tool_use" serves requests with tools, "default" all others.
  explicit ChatTemplate(const Sources& sources);
  // One that can't be used: every rendering fails with the reason.
  static std::unique_ptr<ChatTemplate> broken(std::string reason);
  ~ChatTemplate();

  // variables: an object with messages, add_generation_prompt, bos_token, eos_token, tools,
  // documents and whatever else the caller passes on. kBadRequest with the template's line when it
  // fails or calls raise_exception. Ordered, because tojson shows keys in the order they came in.
  std::string render(const nlohmann::ordered_json& variables) const;

  // As render, but the text ends where the content of the last message ends, so that the model
  // goes on with it. kBadRequest also where that message has no text or the template doesn't show
  // it as it is.
  std::string render_open_ended(nlohmann::ordered_json variables) const;

  // Whether content may be a list of parts. Other templates want one string.
  bool reads_content_parts() const;

 private:
  struct Programs;
  explicit ChatTemplate(std::unique_ptr<Programs> programs);
  std::unique_ptr<Programs> programs_;
};

// The template of a folder: chat_template.jinja and additional_chat_templates/*.jinja, else
// tokenizer_config.json's chat_template (a text, or several named ones), else chat_template.json,
// else the class default of transformers 4.36 for LlamaTokenizer(Fast). Null when there is none.
// Errors: kArtifactInvalid naming the file, line and column.
std::unique_ptr<ChatTemplate> load_chat_template(const std::filesystem::path& folder);

}  // namespace tensormill
