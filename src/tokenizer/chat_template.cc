#include "tokenizer/chat_template.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "base/error.h"
#include "base/json.h"
#include "tokenizer/jinja/content_parts.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/parser.h"
#include "tokenizer/jinja/text.h"

namespace tensormill {

struct ChatTemplate::Programs {
  std::map<std::string, jinja::Program> named;
  std::string broken;  // why there is none
};

ChatTemplate::ChatTemplate(std::unique_ptr<Programs> programs) : programs_(std::move(programs)) {}

ChatTemplate::ChatTemplate(std::string_view source)
    : ChatTemplate(Sources{{"default", std::string(source)}}) {}

ChatTemplate::ChatTemplate(const Sources& sources) : programs_(std::make_unique<Programs>()) {
  for (const auto& [name, source] : sources)
    programs_->named.insert_or_assign(name, jinja::parse(source));
}

std::unique_ptr<ChatTemplate> ChatTemplate::broken(std::string reason) {
  auto programs = std::make_unique<Programs>();
  programs->broken = std::move(reason);
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::move(programs)));
}

ChatTemplate::~ChatTemplate() = default;

std::string ChatTemplate::render(const OrderedJson& variables) const {
  if (!programs_->broken.empty())
    throw_error(ErrorKind::kBadRequest, "the model's chat template can't be used: {}",
                programs_->broken);
  const auto& named = programs_->named;
  const auto tools = variables.find("tools");
  auto found = named.end();
  if (tools != variables.end() && !tools->is_null()) found = named.find("tool_use");
  if (found == named.end()) found = named.find("default");
  if (found == named.end()) {
    std::string names;
    for (const auto& [name, program] : named) {
      if (!names.empty()) names += ", ";
      names += name;
    }
    throw_error(ErrorKind::kBadRequest,
                "the model has several chat templates ({}) and none of the name \"default\"",
                names);
  }
  return jinja::interpret(found->second, variables);
}

bool ChatTemplate::reads_content_parts() const {
  return std::any_of(programs_->named.begin(), programs_->named.end(),
                     [](const auto& entry) { return jinja::reads_content_parts(entry.second); });
}

namespace {

// The text that a message ends with: its content, or the last part of it that has one.
std::string& last_text(OrderedJson& message) {
  OrderedJson* text = nullptr;
  if (message.is_object() && message.contains("content")) {
    OrderedJson& content = message["content"];
    if (content.is_string()) text = &content;
    if (content.is_array()) {
      for (OrderedJson& part : content) {
        if (part.is_object() && part.contains("text") && part["text"].is_string())
          text = &part["text"];
      }
    }
  }
  if (!text)
    throw_error(ErrorKind::kBadRequest,
                "continue_final_message: the last message has no text to go on with");
  return text->get_ref<std::string&>();
}

}  // namespace

std::string ChatTemplate::render_open_ended(OrderedJson variables) const {
  static constexpr std::string_view kMark = "CONTINUE_FINAL_MESSAGE_TAG ";
  constexpr std::string_view kBareMark = kMark.substr(0, kMark.size() - 1);
  const auto messages = variables.find("messages");
  if (messages == variables.end() || !messages->is_array() || messages->empty())
    throw_error(ErrorKind::kBadRequest,
                "continue_final_message: there is no message to go on with");
  std::string& text = last_text(messages->back());
  const std::string wanted(jinja::strip(text, true, true));
  text += kMark;
  std::string rendered = render(variables);
  const size_t mark = rendered.rfind(kBareMark);
  if (mark == std::string::npos || rendered.find(wanted) == std::string::npos) {
    throw_error(ErrorKind::kBadRequest,
                "continue_final_message: the chat template doesn't show the last message as it is");
  }
  const bool whole = std::string_view(rendered).substr(mark).starts_with(kMark);
  rendered.resize(mark);
  // Where the template took the blank behind the mark, it takes those behind a message.
  return whole ? rendered : std::string(jinja::strip(rendered, false, true));
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
      default_system ? fmt::format("'{}'", kLlamaSystem) : std::string("false");
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

[[noreturn]] void fail(const std::filesystem::path& file, std::string_view expected) {
  throw_error(ErrorKind::kArtifactInvalid, "{}: chat_template must be {}", file.string(), expected);
}

// One template, a list of named ones, or an object of them.
ChatTemplate::Sources read_sources(const Json& value, const std::filesystem::path& file) {
  if (value.is_string()) return {{"default", value.get<std::string>()}};
  ChatTemplate::Sources sources;
  const auto add = [&](const Json& name, const Json& source) {
    if (!name.is_string() || !source.is_string()) fail(file, "made of texts");
    sources.emplace_back(name.get<std::string>(), source.get<std::string>());
  };
  if (value.is_object()) {
    for (const auto& [name, source] : value.items()) add(name, source);
  } else if (value.is_array()) {
    for (const Json& entry : value) {
      if (!entry.is_object() || !entry.contains("name") || !entry.contains("template"))
        fail(file, "a list of objects with name and template");
      add(entry["name"], entry["template"]);
    }
  } else {
    fail(file, "a string or a list");
  }
  return sources;
}

std::unique_ptr<ChatTemplate> compile(const ChatTemplate::Sources& sources,
                                      const std::filesystem::path& file) {
  if (sources.empty()) return nullptr;
  try {
    return std::make_unique<ChatTemplate>(sources);
  } catch (const Error& error) {
    throw_error(error.kind(), "{}: {}", file.string(), error.what());
  }
}

// The files that newer versions of transformers keep templates in.
std::unique_ptr<ChatTemplate> load_jinja_files(const std::filesystem::path& folder) {
  ChatTemplate::Sources sources;
  std::filesystem::path named = folder;
  const auto own = folder / "chat_template.jinja";
  if (std::filesystem::exists(own)) {
    named = own;
    sources.emplace_back("default", read_text(own));
  }
  const auto more = folder / "additional_chat_templates";
  if (std::filesystem::is_directory(more)) {
    for (const auto& entry : std::filesystem::directory_iterator(more)) {
      if (entry.path().extension() != ".jinja") continue;
      if (sources.empty()) named = more;
      sources.emplace_back(entry.path().stem().string(), read_text(entry.path()));
    }
  }
  if (sources.size() < 2) return compile(sources, named);
  for (const auto& [name, source] : sources)  // says which of the files is wrong
    compile({{name, source}}, name == "default" ? own : more / (name + ".jinja"));
  return compile(sources, named);
}

// The value of chat_template in a file of JSON; null where there is none.
std::unique_ptr<ChatTemplate> load_from(const Json& json, const std::filesystem::path& file) {
  if (!json.is_object())
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected an object", file.string());
  const auto found = json.find("chat_template");
  if (found == json.end() || found->is_null()) return nullptr;
  return compile(read_sources(*found, file), file);
}

}  // namespace

std::unique_ptr<ChatTemplate> load_chat_template(const std::filesystem::path& folder) {
  if (auto found = load_jinja_files(folder)) return found;
  const auto file = folder / "tokenizer_config.json";
  Json config = Json::object();
  if (std::filesystem::exists(file)) {
    config = read_json_file(file);
    if (auto found = load_from(config, file)) return found;
  }
  const auto processor = folder / "chat_template.json";
  if (std::filesystem::exists(processor)) {
    if (auto found = load_from(read_json_file(processor), processor)) return found;
  }
  const auto name = config.find("tokenizer_class");
  if (name == config.end() || (*name != "LlamaTokenizer" && *name != "LlamaTokenizerFast"))
    return nullptr;
  const auto flag = config.find("use_default_system_prompt");
  return std::make_unique<ChatTemplate>(
      llama_template(flag != config.end() && flag->is_boolean() && flag->get<bool>()));
}

}  // namespace tensormill
