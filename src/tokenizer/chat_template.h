#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "tokenizer/tokenizer.h"

namespace tensormill {

// A Jinja chat template, compiled once. Immutable and thread-safe. Behaves as transformers'
// apply_chat_template: trim_blocks and lstrip_blocks on, loop controls, raise_exception,
// strftime_now.
class ChatTemplate {
 public:
  // Throws kArtifactInvalid with line and column of a syntax error.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();

  // variables: an object with messages, add_generation_prompt, bos_token, eos_token, tools,
  // documents and whatever else the caller passes on. kBadRequest with the template's line when it
  // fails or calls raise_exception. Ordered, because tojson shows keys in the order they came in.
  std::string render(const nlohmann::ordered_json& variables) const;

 private:
  struct Program;
  std::unique_ptr<Program> program_;
};

// The template of a folder: chat_template.jinja, else tokenizer_config.json's chat_template (text,
// or a list of named ones: "default"), else the class default of transformers 4.36 for
// LlamaTokenizer(Fast). Null when there is none.
std::unique_ptr<ChatTemplate> load_chat_template(const std::filesystem::path& folder);

}  // namespace tensormill
