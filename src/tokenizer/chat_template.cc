#include "tokenizer/chat_template.h"

#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"

namespace tensormill {

struct ChatTemplate::Program {
  jinja::Program program;
};

ChatTemplate::ChatTemplate(std::string_view source)
    : program_(std::make_unique<Program>(Program{jinja::parse(source)})) {}

ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const OrderedJson& variables) const {
  return jinja::interpret(program_->program, variables);
}

namespace {

// What Llama-2 chat models expect; the tokenizer classes of Llama give it to folders that bring no
// template of their own. @SYSTEM@: the message for conversations without one, or false.
constexpr std::string_view kLlamaTemplate = R"({%- if messages[0]['role'] == 'system' %}
{%- set system, turns = messages[0]['content'], messages[1:] %}
{%- else %}
{%- set system = @SYSTEM@ if '<<SYS>>' not in messages[0]['content'] else false %}
{%- set turns = messages %}
{%- endif %}
{%- for turn in turns %}
{%- if (turn['role'] == 'user') == (loop.index0 % 2 == 1) %}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{%- set text = turn['content'] %}
{%- if loop.first and system != false %}
{%- set text = '<<SYS>>\n' ~ system ~ '\n<</SYS>>\n\n' ~ text %}
{%- endif %}
{%- set text = text.strip() %}
{%- if turn['role'] == 'user' %}
{{- bos_token ~ '[INST] ' ~ text ~ ' [/INST]' }}
{%- elif turn['role'] == 'system' %}
{{- '<<SYS>>\n' ~ text ~ '\n<</SYS>>\n\n' }}
{%- elif turn['role'] == 'assistant' %}
{{- ' ' ~ text ~ ' ' ~ eos_token }}
{%- endif %}
{%- endfor %})";

// The system message published with Llama 2, for folders that ask for it
// (use_default_system_prompt).
constexpr std::string_view kLlamaSystem =
    "You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, "
    "while being safe. Your answers should not include any harmful, unethical, racist, sexist, "
    "toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased "
    "and positive in nature.\\n\\nIf a question does not make any sense, or is not factually "
    "coherent, explain why instead of answering something not correct. If you don\\'t know the "
    "answer to a question, please don\\'t share false information.";

std::string llama_template(bool default_system) {
  std::string source(kLlamaTemplate);
  const std::string system =
      default_system ? "'" + std::string(kLlamaSystem) + "'" : std::string("false");
  constexpr std::string_view kMark = "@SYSTEM@";
  return source.replace(source.find(kMark), kMark.size(), system);
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw_error(ErrorKind::kNotFound, "{}: could not be read", file.string());
  return std::move(text).str();
}

// The template named "default" of a list of named ones; null where there is none.
const Json* named_default(const Json& list, const std::filesystem::path& file) {
  for (const Json& entry : list) {
    if (!entry.is_object() || !entry.contains("name") || !entry.contains("template")) {
      throw_error(ErrorKind::kArtifactInvalid,
                  "{}: chat_template must be a list of objects with name and template",
                  file.string());
    }
    if (entry["name"] == "default") return &entry["template"];
  }
  return nullptr;
}

std::unique_ptr<ChatTemplate> compile(const std::string& source,
                                      const std::filesystem::path& file) {
  try {
    return std::make_unique<ChatTemplate>(source);
  } catch (const Error& error) {
    throw_error(error.kind(), "{}: {}", file.string(), error.what());
  }
}

}  // namespace

std::unique_ptr<ChatTemplate> load_chat_template(const std::filesystem::path& folder) {
  const auto own = folder / "chat_template.jinja";
  if (std::filesystem::exists(own)) return compile(read_text(own), own);
  const auto file = folder / "tokenizer_config.json";
  if (!std::filesystem::exists(file)) return nullptr;
  const Json config = read_json_file(file);
  if (!config.is_object())
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected an object", file.string());
  if (const auto found = config.find("chat_template"); found != config.end() && !found->is_null()) {
    const Json* source = found->is_array() ? named_default(*found, file) : &*found;
    if (!source) return nullptr;
    if (!source->is_string()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: chat_template must be a string or a list",
                  file.string());
    }
    return compile(source->get<std::string>(), file);
  }
  const auto name = config.find("tokenizer_class");
  if (name == config.end() || (*name != "LlamaTokenizer" && *name != "LlamaTokenizerFast"))
    return nullptr;
  const auto flag = config.find("use_default_system_prompt");
  return std::make_unique<ChatTemplate>(
      llama_template(flag != config.end() && flag->is_boolean() && flag->get<bool>()));
}

}  // namespace tensormill
