#include "tokenizer/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

OrderedJson golden(const std::string& name) {
  std::ifstream file(std::string(TENSORMILL_GOLDEN) + "/chat_template/" + name);
  return OrderedJson::parse(file);
}

std::string render(std::string_view source, const OrderedJson& variables = OrderedJson::object()) {
  return ChatTemplate(source).render(variables);
}

std::string error_of(std::string_view source, ErrorKind expected,
                     const OrderedJson& variables = OrderedJson::object()) {
  try {
    const std::string text = render(source, variables);
    ADD_FAILURE() << "no error from " << source << ", but " << text.substr(0, 100);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), expected) << source << ": " << error.what();
    return error.what();
  }
  return {};
}

TEST(ChatTemplate, RendersAsJinja) {
  const OrderedJson all = golden("cases.json");
  ASSERT_GT(all["cases"].size(), 50u);
  for (const OrderedJson& each : all["cases"]) {
    const auto source = each["template"].get<std::string>();
    try {
      EXPECT_EQ(render(source, all["variables"]), each["expected"].get<std::string>()) << source;
    } catch (const Error& error) {
      ADD_FAILURE() << source << "\n" << error.what();
    }
  }
}

TEST(ChatTemplate, FailsWhereJinjaFails) {
  const OrderedJson all = golden("cases.json");
  for (const OrderedJson& each : all["errors"]) {
    const auto source = each.get<std::string>();
    const std::string message = error_of(source, ErrorKind::kBadRequest, all["variables"]);
    EXPECT_TRUE(message.starts_with("chat template, line 1: ")) << message;
  }
  for (const OrderedJson& each : all["syntax"]) {
    const std::string message =
        error_of(each.get<std::string>(), ErrorKind::kArtifactInvalid, all["variables"]);
    EXPECT_TRUE(message.starts_with("chat template, line ")) << message;
  }
}

TEST(ChatTemplate, NamesLineAndColumn) {
  EXPECT_EQ(error_of("a\nb\n{{ 1 + }}", ErrorKind::kArtifactInvalid),
            "chat template, line 3, column 8: expected an expression");
  EXPECT_EQ(error_of("a\n\n{{ raise_exception('no') }}", ErrorKind::kBadRequest),
            "chat template, line 3: no, in \"{{ raise_exception('no') }}\"");
  EXPECT_EQ(error_of("a\n{% set x = 1 %}\n{{ x.y.z }}", ErrorKind::kBadRequest),
            "chat template, line 3: 'int object' has no attribute 'y', in \"{{ x.y.z }}\"");
  EXPECT_EQ(error_of("{% include 'x' %}", ErrorKind::kArtifactInvalid),
            "chat template, line 1, column 4: 'include' needs other templates, and a chat template "
            "stands alone, found 'include'");
}

TEST(ChatTemplate, GenerationBlocksAreTransparent) {
  EXPECT_EQ(render("a{% generation %}b{% set x = 1 %}{% endgeneration %}{{ x }}c"), "abc");
}

TEST(ChatTemplate, TellsTheTime) {
  EXPECT_EQ(render("{{ strftime_now('%%') }}"), "%");
  EXPECT_EQ(render("{{ strftime_now('%Y') | int > 2020 }}"), "True");
}

TEST(ChatTemplate, ToJsonKeepsTheOrderOfKeys) {
  OrderedJson variables;
  variables["x"] = OrderedJson::parse(R"({"z": 1, "a": {"c": 2, "b": 3}})");
  EXPECT_EQ(render("{{ x | tojson }}", variables), R"({"z": 1, "a": {"c": 2, "b": 3}})");
}

TEST(ChatTemplate, WorkIsBounded) {
  const ErrorKind bad = ErrorKind::kBadRequest;
  error_of("{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}", bad);
  error_of(
      "{% set ns = namespace(s='xxxxxxxx') %}{% for i in range(60) %}"
      "{% set ns.s = ns.s + ns.s %}{% endfor %}",
      bad);
  error_of(
      "{% set ns = namespace(s=[1]) %}{% for i in range(60) %}"
      "{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s }}",
      bad);
  error_of("{{ ('a' * 1000000) | replace('a', 'b' * 1000000) }}", bad);
  error_of("{{ 'a' * 1000000000000 }}", bad);
  error_of("{{ ([('a' * 1000000)] * 10000) | join }}", bad);
  error_of("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", bad);
  error_of("{{ '%999999999d' % 1 }}", bad);
  error_of(
      "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}"
      "{% set ns.x = [ns.x] %}{% endfor %}",
      bad);
  error_of(
      "{% set a = [[0] * 100000] * 60 %}{% for i in range(100000) %}"
      "{{ loop.changed(a) }}{% endfor %}",
      bad);
}

TEST(ChatTemplate, DeepSourceIsRefused) {
  const auto many = [](std::string_view text, int n) {
    std::string out;
    for (int i = 0; i < n; ++i) out += text;
    return out;
  };
  const ErrorKind invalid = ErrorKind::kArtifactInvalid;
  error_of("{{ " + many("(", 100000) + "1" + many(")", 100000) + " }}", invalid);
  error_of("{{ 1" + many("+1", 10000) + " }}", invalid);
  error_of("{{ " + many("not ", 10000) + "1 }}", invalid);
  error_of("{{ " + many("-", 10000) + "1 }}", invalid);
  error_of("{{ a" + many(".b", 10000) + " }}", invalid);
  error_of("{{ a" + many("|upper", 10000) + " }}", invalid);
  error_of(many("{% if 1 %}", 1000) + many("{% endif %}", 1000), invalid);
  error_of("{% if 1 %}" + many("{% elif 1 %}", 1000) + "{% endif %}", invalid);
  error_of("{% for " + many("(", 1000) + "a" + many(")", 1000) + " in b %}{% endfor %}", invalid);
  error_of("\xff", invalid);
}

// Values that hold each other through namespaces and macros are let go at the end.
TEST(ChatTemplate, CyclesEnd) {
  EXPECT_EQ(render("{% set a = namespace() %}{% set a.me = a %}{% set a.l = [a] %}"
                   "{% macro m() %}{% set inner = m %}{% endmacro %}{% set a.m = m %}{{ m() }}ok"),
            "ok");
  EXPECT_EQ(render("{% set a = namespace(f=none) %}{% for i in range(9999) %}"
                   "{% macro g() %}{{ i }}{% endmacro %}{% set a.f = g %}{% endfor %}{{ a.f() }}"),
            "9998");
}

class Folder {
 public:
  Folder() : path_(std::filesystem::path(testing::TempDir()) / "chat_template_test") {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, std::string_view text) const {
    std::ofstream(path_ / name) << text;
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(LoadChatTemplate, PrefersTheFileOfItsOwn) {
  const Folder folder;
  EXPECT_EQ(load_chat_template(folder.path()), nullptr);
  folder.write("tokenizer_config.json", R"({"chat_template": "config {{ n }}"})");
  EXPECT_EQ(load_chat_template(folder.path())->render({{"n", 3}}), "config 3");
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "rag", "template": "r"},
                                     {"name": "default", "template": "named"}]})");
  EXPECT_EQ(load_chat_template(folder.path())->render(OrderedJson::object()), "named");
  folder.write("chat_template.jinja", "own");
  EXPECT_EQ(load_chat_template(folder.path())->render(OrderedJson::object()), "own");
}

TEST(LoadChatTemplate, NamedTemplates) {
  const Folder folder;
  const OrderedJson plain = OrderedJson::object(), tools = {{"tools", OrderedJson::array()}};
  folder.write("tokenizer_config.json",
               R"({"chat_template": [{"name": "default", "template": "d"},
                                     {"name": "tool_use", "template": "t"}]})");
  EXPECT_EQ(load_chat_template(folder.path())->render(plain), "d");
  EXPECT_EQ(load_chat_template(folder.path())->render(tools), "t");
  EXPECT_EQ(load_chat_template(folder.path())->render({{"tools", nullptr}}), "d");
  std::filesystem::create_directory(folder.path() / "additional_chat_templates");
  folder.write("additional_chat_templates/tool_use.jinja", "file {{ tools | length }}\n");
  folder.write("chat_template.jinja", "own");
  EXPECT_EQ(load_chat_template(folder.path())->render(tools), "file 0");
  EXPECT_EQ(load_chat_template(folder.path())->render(plain), "own");
  std::filesystem::remove(folder.path() / "chat_template.jinja");
  try {
    load_chat_template(folder.path())->render(plain);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "the model has several chat templates (tool_use) and none of the name \"default\"");
  }
  folder.write("additional_chat_templates/tool_use.jinja", "{{");
  folder.write("chat_template.jinja", "own");
  try {
    load_chat_template(folder.path());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("tool_use.jinja: chat template, line 1"),
              std::string::npos);
  }
}

TEST(LoadChatTemplate, ProcessorsFileComesLast) {
  const Folder folder;
  folder.write("chat_template.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(load_chat_template(folder.path())->render(OrderedJson::object()), "processor");
  folder.write("tokenizer_config.json", R"({"chat_template": "config"})");
  EXPECT_EQ(load_chat_template(folder.path())->render(OrderedJson::object()), "config");
}

TEST(ChatTemplate, ABrokenOneSaysWhy) {
  try {
    ChatTemplate::broken("x.json: line 3")->render(OrderedJson::object());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadRequest);
    EXPECT_STREQ(error.what(), "the model's chat template can't be used: x.json: line 3");
  }
}

// As apply_chat_template with continue_final_message.
TEST(ChatTemplate, OpenEnded) {
  const auto end = [](std::string_view source, std::string_view content) {
    return ChatTemplate(source).render_open_ended(
        {{"messages",
          {{{"role", "user"}, {"content", "q"}},
           {{"role", "assistant"}, {"content", OrderedJson::parse(content)}}}}});
  };
  constexpr std::string_view kAll = "{% for m in messages %}<{{ m.content }}>{% endfor %}!";
  EXPECT_EQ(end(kAll, R"("a b ")"), "<q><a b ");
  constexpr std::string_view kTrims = "{% for m in messages %}<{{ m.content | trim }}>{% endfor %}";
  EXPECT_EQ(end(kTrims, R"(" a b ")"), "<q><a b");
  constexpr std::string_view kParts =
      "{% for m in messages[1:] %}{% for c in m.content %}{{ c.text }};{% endfor %}{% endfor %}";
  EXPECT_EQ(end(kParts, R"([{"text": "x"}, {"text": "y"}, {"type": "image"}])"), "x;y");
  EXPECT_THROW(end("none of it", R"("a")"), Error);
  EXPECT_THROW(end(kAll, "[]"), Error);
  EXPECT_THROW(end(kAll, "null"), Error);
}

TEST(ChatTemplate, KnowsWhetherItReadsParts) {
  const auto reads = [](std::string_view source) {
    return ChatTemplate(source).reads_content_parts();
  };
  EXPECT_FALSE(
      reads("{% for m in messages %}{{ m.content }}{{ m['content'] | trim }}{% endfor %}"));
  EXPECT_TRUE(reads("{% for m in messages %}{% for c in m.content %}{% endfor %}{% endfor %}"));
  EXPECT_TRUE(reads("{% if x %}{% for c in m['content'][1:] %}{% endfor %}{% endif %}"));
  EXPECT_TRUE(reads("{% set c = m.content %}{% for p in c %}{% endfor %}"));
  EXPECT_TRUE(reads("{% macro r(content) %}{% for p in content %}{% endfor %}{% endmacro %}"));
  EXPECT_TRUE(reads("{{ m.content | selectattr('type', 'equalto', 'text') | list }}"));
  EXPECT_TRUE(reads("{{ messages[0]['content'][0]['text'] }}"));
}

TEST(LoadChatTemplate, RefusesWhatIsNoTemplate) {
  const Folder folder;
  for (const char* config : {R"({"chat_template": 3})", R"({"chat_template": [3]})", R"([])", "{",
                             R"({"chat_template": "{{"})",
                             R"({"chat_template": [{"name": "default", "template": 1}]})"}) {
    folder.write("tokenizer_config.json", config);
    try {
      load_chat_template(folder.path());
      ADD_FAILURE() << config;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kArtifactInvalid);
      EXPECT_NE(std::string(error.what()).find("tokenizer_config.json"), std::string::npos);
    }
  }
}

TEST(LoadChatTemplate, LlamaHasADefault) {
  const Folder folder;
  const auto variables = OrderedJson::parse(
      R"({"bos_token": "<s>", "eos_token": "</s>", "messages": [{"role": "user", "content": " hi "}]})");
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizerFast"})");
  EXPECT_EQ(load_chat_template(folder.path())->render(variables), "<s>[INST] hi [/INST]");
  folder.write("tokenizer_config.json",
               R"({"tokenizer_class": "LlamaTokenizer", "use_default_system_prompt": true})");
  const std::string text = load_chat_template(folder.path())->render(variables);
  EXPECT_TRUE(text.starts_with("<s>[INST] <<SYS>>\nYou are a helpful, respectful")) << text;
  EXPECT_TRUE(text.ends_with("don't share false information.\n<</SYS>>\n\n hi [/INST]")) << text;
  folder.write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer"})");
  EXPECT_EQ(load_chat_template(folder.path()), nullptr);
}

TEST(LoadChatTemplate, RendersRealTemplates) {
  const OrderedJson cases = golden("real.json");
  ASSERT_GT(cases.size(), 30u);
  const char* data = std::getenv("TENSORMILL_TEST_DATA");
  if (!data) GTEST_SKIP() << cases.size() << " cases need TENSORMILL_TEST_DATA";
  for (const OrderedJson& each : cases) {
    const auto name = each["tokenizer"].get<std::string>();
    const auto folder = std::filesystem::path(data) / "tokenizers" / name;
    const auto chat_template = load_chat_template(folder);
    ASSERT_NE(chat_template, nullptr) << folder;
    EXPECT_EQ(chat_template->render(each["variables"]), each["expected"].get<std::string>())
        << name << ": " << each["title"];
  }
}

}  // namespace
}  // namespace tensormill
