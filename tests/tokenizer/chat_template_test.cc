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
            "chat template, line 3: no");
  EXPECT_EQ(error_of("a\n{% set x = 1 %}\n{{ x.y.z }}", ErrorKind::kBadRequest),
            "chat template, line 3: 'int object' has no attribute 'y'");
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
