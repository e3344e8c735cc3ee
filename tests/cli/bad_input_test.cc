// The real program on broken folders, files and flags: it must end with its own exit code and a
// message that names what is wrong, within little memory.
#include <functional>

#include "artifacts/files.h"
#include "base/json.h"
#include "cli/program.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

constexpr long kPeakMib = 1024;

fs::path tiny(const std::string& name) {
  return fs::path(TENSORMILL_GOLDEN) / "models" / "llama" / name;
}

constexpr const char* kTokenizer = R"({"version": "1.0", "added_tokens": [], "normalizer": null,
  "pre_tokenizer": null, "post_processor": null, "decoder": null, "model":
  {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";

// A small model folder that serves, until a test spoils it.
class ModelFolder {
 public:
  ModelFolder() {
    folder_.write("config.json", read_text(tiny("grouped.config.json")));
    folder_.write("model.safetensors", read_text(tiny("grouped.weights.safetensors")));
    folder_.write("tokenizer.json", kTokenizer);
  }
  std::string path() const { return folder_.path().string(); }
  void write(const std::string& name, std::string_view text) const { folder_.write(name, text); }
  void remove(const std::string& name) const { fs::remove(folder_.path() / name); }
  std::string weights() const { return read_text(folder_.path() / "model.safetensors"); }

  void config(const std::string& key, const Json& value) const {
    Json config = Json::parse(read_text(folder_.path() / "config.json"));
    config[key] = value;
    write("config.json", config.dump());
  }
  void without(const std::string& key) const {
    Json config = Json::parse(read_text(folder_.path() / "config.json"));
    config.erase(key);
    write("config.json", config.dump());
  }
  // Changes the header of model.safetensors.
  void header(const std::function<void(Json&)>& change) const {
    const std::string file = weights();
    uint64_t length = 0;
    std::memcpy(&length, file.data(), sizeof length);
    Json header = Json::parse(file.substr(8, length));
    change(header);
    const std::string text = header.dump();
    write("model.safetensors", raw<uint64_t>(text.size()) + text + file.substr(8 + length));
  }

 private:
  TemporaryFolder folder_;
};

// Runs the program, which must end with `code` and a message that has all the parts.
void expect_message(const std::vector<std::string>& arguments, int code,
                    const std::vector<std::string>& parts) {
  Program program(arguments);
  EXPECT_EQ(program.wait(), code) << program.said();
  EXPECT_LT(program.peak_mib(), kPeakMib);
  for (const std::string& part : parts) {
    EXPECT_NE(program.said().find(part), std::string::npos)
        << "\"" << program.said() << "\" lacks \"" << part << "\"";
  }
}

void expect_bad_model(const ModelFolder& folder, const std::vector<std::string>& parts) {
  const std::string out = folder.path() + "/out.safetensors";
  expect_message({"forward", folder.path(), "--ids", "1,2", "--out", out}, 1, parts);
  EXPECT_FALSE(fs::exists(out));
}

TEST(BadInput, TheFolderIsGoodAtFirst) {
  const ModelFolder folder;
  expect_message({"forward", folder.path(), "--ids", "1,2", "--out", folder.path() + "/out"}, 0,
                 {});
  expect_message({"generate", folder.path(), "--prompt", "ab", "--max-new-tokens", "2"}, 0, {});
}

TEST(BadInput, Safetensors) {
  const std::string whole = ModelFolder().weights();
  const std::string first = "lm_head.weight";
  struct Case {
    std::function<void(const ModelFolder&)> spoil;
    std::vector<std::string> parts;
  };
  const auto tensor = [&](const char* key, Json value) {
    return [=](const ModelFolder& folder) {
      folder.header([&](Json& header) { header[first][key] = value; });
    };
  };
  const auto file = [](std::string text) {
    return [=](const ModelFolder& folder) { folder.write("model.safetensors", text); };
  };
  const Case cases[] = {
      {[](const ModelFolder& folder) { folder.remove("model.safetensors"); }, {"no weights"}},
      {file(""), {"model.safetensors", "0 bytes, expected"}},
      {file(whole.substr(0, 100)), {"model.safetensors", "header of", "truncated"}},
      {file(whole.substr(0, whole.size() - 1)), {"model.safetensors", "tensor \"", "lie outside"}},
      {file(raw<uint64_t>(uint64_t{1} << 63) + whole.substr(8)), {"expected at most"}},
      {file(safetensors(std::string(100000, '['), 0)), {"header nested deeper"}},
      {tensor("data_offsets", {1000000000, 1000006984}), {first, "lie outside"}},
      {tensor("data_offsets", {-4, 4}), {first, "data_offsets"}},
      {tensor("data_offsets", {8, 6992}), {first, "belong to no tensor"}},
      {tensor("shape", {int64_t{1} << 62, int64_t{1} << 62}), {first, "needs more than 2^64"}},
      {tensor("shape", {194, 18}), {first, "is [194, 18], config.json says [97, 36]"}},
      {tensor("dtype", "X9"), {first, "dtype \"X9\" is not supported"}},
  };
  for (const Case& item : cases) {
    SCOPED_TRACE(item.parts.back());
    const ModelFolder folder;
    item.spoil(folder);
    expect_bad_model(folder, item.parts);
  }
}

TEST(BadInput, ShardIndex) {
  const ModelFolder folder;
  folder.remove("model.safetensors");
  const auto index = [&](const char* text) { folder.write("model.safetensors.index.json", text); };
  index(R"({"weight_map": {"lm_head.weight": "model-00002-of-00002.safetensors"}})");
  expect_bad_model(folder, {"index.json", "model-00002-of-00002.safetensors", "is not there"});
  index(R"({"weight_map": {"lm_head.weight": "../elsewhere.safetensors"}})");
  expect_bad_model(folder, {"expected a file name in the same folder"});
  index(R"({"weight_map": 3})");
  expect_bad_model(folder, {"\"weight_map\": expected an object"});
}

TEST(BadInput, PickleThatCallsAFunction) {
  const ModelFolder folder;
  folder.remove("model.safetensors");
  folder.write("pytorch_model.bin", read_text(golden("calls_tensor.bin")));
  expect_bad_model(folder, {"pytorch_model.bin", "never called"});
  folder.write("pytorch_model.bin", "rubbish");
  expect_bad_model(folder, {"pytorch_model.bin", "expected a file of torch.save"});
}

TEST(BadInput, Config) {
  struct Case {
    const char* key;
    Json value;
    const char* part;
  };
  const Case cases[] = {
      {"model_type", "nope", "supported are"},
      {"hidden_act", "swoosh", "hidden_act is \"swoosh\", supported"},
      {"hidden_size", -1, "hidden_size is -1, expected a whole number from 1"},
      {"hidden_size", 0, "hidden_size is 0"},
      {"vocab_size", 1000000000000, "vocab_size is 1000000000000"},
      {"num_hidden_layers", "2", "num_hidden_layers is \"2\""},
      {"num_hidden_layers", 1024, "more"},
      {"num_attention_heads", 5, "expected a divisor of num_attention_heads"},
      {"rms_norm_eps", 7, "rms_norm_eps is 7, expected a number from 0 to 1"},
      {"rope_scaling", {{"rope_type", "odd"}, {"factor", 2}}, "rope_scaling.rope_type is \"odd\""},
      {"rope_scaling", {{"type", "linear"}}, "rope_scaling.factor is missing"},
      {"tie_word_embeddings", 1, "tie_word_embeddings is 1, expected true or false"},
      {"surprise", 1, "unknown key: surprise"},
  };
  for (const Case& item : cases) {
    SCOPED_TRACE(item.part);
    const ModelFolder folder;
    folder.config(item.key, item.value);
    expect_bad_model(folder, {folder.path(), item.part});
  }
  const ModelFolder folder;
  folder.without("hidden_size");
  expect_bad_model(folder, {"config.json: hidden_size is missing, expected a whole number"});
  folder.write("config.json", R"({"model_type":)");
  expect_bad_model(folder, {"config.json: no valid JSON at line 1"});
  folder.write("config.json", R"({"rope_theta": 1e999})");
  expect_bad_model(folder, {"config.json: a number in it is beyond"});
  folder.write("config.json", "[]");
  expect_bad_model(folder, {"config.json: expected a JSON object"});
  folder.remove("config.json");
  expect_bad_model(folder, {"config.json: No such file"});
}

TEST(BadInput, RandomWeightsBeyondTheMemory) {
  const ModelFolder folder;
  folder.config("vocab_size", 8388608);
  folder.config("hidden_size", 131072);
  folder.config("num_attention_heads", 1024);
  expect_message({"forward", folder.path(), "--random-weights", "--ids", "1", "--out", "x"}, 1,
                 {"the weights need", "this machine has"});
}

TEST(BadInput, Tokenizer) {
  struct Case {
    const char* text;
    const char* part;
  };
  const Case cases[] = {
      {R"({"model":)", "tokenizer.json: no valid JSON at line 1, column 9"},
      {"{}", "\"model\" is missing"},
      {R"({"model": {"type": "Odd"}})", "type \"Odd\" is not supported; supported"},
      {R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})", "vocab[\"a\"]: expected"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 1000000000000}, "merges": []}})",
       "vocab[\"a\"]"},
      {R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a z"]}})", "not in the vocab"},
      {R"({"pre_tokenizer": {"type": "Odd"}, "model": {"type": "BPE", "vocab": {}, "merges": []}})",
       "pre_tokenizer: type \"Odd\""},
  };
  const ModelFolder folder;
  for (const Case& item : cases) {
    folder.write("tokenizer.json", item.text);
    expect_message({"generate", folder.path(), "--prompt", "a"}, 1, {folder.path(), item.part});
  }
  folder.remove("tokenizer.json");
  expect_message({"generate", folder.path(), "--prompt", "a"}, 1, {"no tokenizer.json"});
  folder.write("tokenizer.model", "\xff\xff\xff");
  expect_message({"tokenize", folder.path(), "--text", "a"}, 1, {"no SentencePiece model"});
}

TEST(BadInput, Gguf) {
  const TemporaryFolder folder;
  const std::string whole = read_text(golden("llama.gguf"));
  const auto expect_bad = [&](const std::string& text, const std::vector<std::string>& parts) {
    const fs::path out = folder.path() / "out";
    expect_message({"convert", folder.write("model.gguf", text), out}, 1, parts);
    EXPECT_FALSE(fs::exists(out));
    EXPECT_FALSE(fs::exists(out.string() + ".partial"));
  };
  expect_bad("", {"model.gguf", "truncated"});
  expect_bad(whole.substr(0, 300), {"model.gguf", "at byte", "truncated"});
  expect_bad(whole.substr(0, whole.size() - 1), {"tensor \"", "data section", "truncated"});
  expect_bad(whole.substr(0, 4) + raw<uint32_t>(9) + whole.substr(8), {"GGUF version 9"});
  expect_bad(whole.substr(0, 8) + raw<uint64_t>(uint64_t{1} << 60) + whole.substr(16),
             {"model.gguf"});
  expect_bad(whole.substr(0, 16) + raw<uint64_t>(uint64_t{1} << 60) + whole.substr(24),
             {"model.gguf"});
}

TEST(BadInput, Prompts) {
  const ModelFolder folder;
  const std::string& path = folder.path();
  expect_message({"generate", path, "--prompt", "\xff"}, 1, {"not valid UTF-8 at byte 0"});
  expect_message({"generate", path, "--prompt", std::string(5000, 'b')}, 1, {"size 5", "maximum"});
  expect_message({"generate", path, "--prompt", "a", "--temperature", "-1"}, 1, {"temperature"});
  expect_message({"generate", path, "--prompt", "a", "--top-p", "3"}, 1, {"top_p: 3"});
  expect_message({"generate", path, "--prompt", "a", "--chat"}, 1, {"no chat template"});
  folder.write("chat_template.jinja", "{% if %}");
  expect_message({"generate", path, "--prompt", "a", "--chat"}, 1, {"chat_template.jinja"});
}

TEST(BadInput, Flags) {
  const ModelFolder folder;
  const std::string& path = folder.path();
  const std::vector<std::string> forward = {"forward", path, "--ids", "1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), forward.begin(), forward.end());
    return more;
  };
  expect_message(with({"--out", "/nowhere/at/all"}), 1,
                 {"/nowhere/at/all", "could not be written"});
  expect_message(with({"--out", "/tmp"}), 1, {"/tmp", "could not be written"});
  expect_message(with({"--out", "x", "--dtype", "int9"}), 1, {"--dtype int9: expected f32"});
  expect_message(with({"--out", "x", "--threads", "1000000"}), 2, {"--threads", "1000000"});
  expect_message(with({"--out", "x", "-o", "nokey"}), 2, {"nokey", "expected key=value"});
  expect_message({"forward", path, "--ids", "1,x", "--out", "x"}, 1, {"--ids 1,x"});
  expect_message({"forward", path, "--ids", "97", "--out", "x"}, 1, {"97 is outside"});
  expect_message({"forward", "/nowhere", "--ids", "1", "--out", "x"}, 1, {"/nowhere: no such"});
  expect_message({"sreve"}, 2, {"no subcommand sreve"});
  expect_message({"serve", path, "--what"}, 1, {"--what"});
  for (const char* port : {"70000", "-1", "abc"}) {
    expect_message({"serve", path, "--port", port}, 1, {"--port", port, "expected a port"});
  }
}

TEST(BadInput, Properties) {
  struct Case {
    const char* line;
    std::vector<std::string> parts;
  };
  const Case cases[] = {
      {"option.max_rolling_batch_size=zero", {"expected an integer from 1"}},
      {"option.max_rolling_batch_size=99999999999999", {"from 1 to 2147483647"}},
      {"option.dtype=int3", {"int3", "fp16"}},
      {"option.rolling_batch=odd", {"odd", "auto"}},
      {"option.tensor_parallel_degree=3", {"use 1 or max"}},
      {"engine=Odd", {"Odd", "DeepSpeed"}},
      {"option.max_tokens=\\uZZZZ", {"four hexadecimal digits"}},
  };
  const ModelFolder folder;
  for (const Case& item : cases) {
    folder.write("serving.properties", item.line);
    std::vector<std::string> parts = item.parts;
    parts.push_back("serving.properties:1");
    expect_message({"serve", folder.path(), "--print-config"}, 1, parts);
  }
  folder.write("serving.properties", "option.max_rolling_batch_sise=3");
  expect_message({"serve", folder.path(), "--print-config"}, 0, {"option.max_rolling_batch_size"});
}

}  // namespace
}  // namespace tensormill
