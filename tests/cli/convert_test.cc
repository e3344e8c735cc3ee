#include <cmath>

#include "artifacts/files.h"
#include "artifacts/safetensors.h"
#include "artifacts/tensor_index.h"
#include "base/json.h"
#include "cli/command.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

void convert(const fs::path& in, const fs::path& out, const std::string& dtype = "") {
  CLI::App app;
  const CommandRunner run = declare_convert(app);
  std::vector<std::string> arguments = {"warn", "--log-level", out.string(), in.string()};
  if (!dtype.empty()) arguments.insert(arguments.begin(), {dtype, "--dtype"});
  app.parse(arguments);  // takes them from the back
  EXPECT_EQ(run(), 0);
}

const float* values(const NamedTensor& tensor) {
  return static_cast<const float*>(tensor.view.data);
}

// Converts golden `name`.gguf with --dtype f32 and compares every tensor with the reference's.
Json check_gguf(const std::string& name, const TemporaryFolder& folder) {
  const fs::path out = folder.path() / "out";
  convert(golden(name + ".gguf"), out, "f32");
  const auto index = open_checkpoint(out);
  const TensorFile expected = read_safetensors(golden(name + "_gguf.safetensors"));
  EXPECT_EQ(index->tensors().size(), expected.tensors.size());
  for (const NamedTensor& tensor : expected.tensors) {
    const NamedTensor* made = index->find(tensor.name);
    if (made == nullptr) {
      ADD_FAILURE() << tensor.name << " is missing";
      continue;
    }
    expect_same(*made, tensor);
  }
  return read_json_file(out / "config.json");
}

TEST(Convert, LlamaAsTheReferenceReadsIt) {
  const TemporaryFolder folder;
  const Json config = check_gguf("llama", folder);
  const Json expected = Json::parse(R"({
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
    "vocab_size": 271, "max_position_embeddings": 64, "hidden_size": 32, "intermediate_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "rms_norm_eps": 1e-05, "rope_theta": 5000.0, "attention_bias": false, "mlp_bias": false,
    "tie_word_embeddings": false, "torch_dtype": "float32", "bos_token_id": 1,
    "eos_token_id": 2})");
  EXPECT_EQ(config, expected) << config.dump(2);
  const Json tokenizer = read_json_file(folder.path() / "out" / "tokenizer.json");
  EXPECT_EQ(tokenizer["model"]["vocab"].size(), 271U);
  const Json tokenizer_config = read_json_file(folder.path() / "out" / "tokenizer_config.json");
  EXPECT_EQ(tokenizer_config["eos_token"], "</s>");
  EXPECT_EQ(tokenizer_config["model_max_length"], 64);
  EXPECT_EQ(tokenizer_config["chat_template"],
            "{% for m in messages %}<s>{{ m['content'] }}{% endfor %}");
}

TEST(Convert, Gpt2TransposesItsProducts) {
  const TemporaryFolder folder;
  const Json config = check_gguf("gpt2", folder);
  EXPECT_EQ(config["model_type"], "gpt2");
  EXPECT_EQ(config["n_inner"], 128);
  EXPECT_EQ(config["n_positions"], 16);
  EXPECT_EQ(config["tie_word_embeddings"], true);
}

TEST(Convert, GptNeoxGathersEachHead) {
  const TemporaryFolder folder;
  const Json config = check_gguf("gpt_neox", folder);
  EXPECT_EQ(config["model_type"], "gpt_neox");
  EXPECT_EQ(config["rotary_pct"], 0.25);
  EXPECT_EQ(config["use_parallel_residual"], true);
}

TEST(Convert, PicksTheTypeFromTheSource) {
  const TemporaryFolder folder;
  convert(golden("llama.gguf"), folder.path() / "quantized");
  for (const NamedTensor& tensor : open_checkpoint(folder.path() / "quantized")->tensors()) {
    EXPECT_EQ(tensor.view.type, DType::kBF16) << tensor.name;
  }
  convert(golden("gpt2.gguf"), folder.path() / "plain");
  EXPECT_EQ(open_checkpoint(folder.path() / "plain")->tensors()[0].view.type, DType::kF32);
  convert(golden("llama.gguf"), folder.path() / "half", "f16");
  EXPECT_EQ(open_checkpoint(folder.path() / "half")->tensors()[0].view.type, DType::kF16);
}

TEST(Convert, TorchFolderKeepsItsOtherFiles) {
  const TemporaryFolder folder;
  const fs::path in = folder.path() / "in", out = folder.path() / "out";
  fs::create_directory(in);
  fs::copy_file(golden("small.bin"), in / "pytorch_model.bin");
  folder.write("in/config.json", R"({"model_type":"x","torch_dtype":"float32"})");
  folder.write("in/vocab.txt", "a\n");
  folder.write("in/training_args.bin", "no");
  convert(in, out);
  EXPECT_EQ(read_text(out / "vocab.txt"), "a\n");
  EXPECT_EQ(read_text(out / "config.json"), read_text(in / "config.json"));
  EXPECT_FALSE(fs::exists(out / "training_args.bin"));
  const auto index = open_checkpoint(out);
  ASSERT_NE(index->find("w"), nullptr);
  EXPECT_EQ(values(*index->find("w"))[3], 3.0F);
  convert(in, folder.path() / "narrow", "bf16");
  EXPECT_EQ(read_json_file(folder.path() / "narrow" / "config.json")["torch_dtype"], "bfloat16");
  EXPECT_EQ(open_checkpoint(folder.path() / "narrow")->find("w")->view.type, DType::kBF16);
}

TEST(Convert, FindsTheOnlyGgufOfAFolder) {
  const TemporaryFolder folder;
  const fs::path in = folder.path() / "in";
  fs::create_directory(in);
  fs::copy_file(golden("gpt2.gguf"), in / "model-F32.gguf");
  convert(in, folder.path() / "out");
  EXPECT_TRUE(fs::exists(folder.path() / "out" / "tokenizer.json"));
}

TEST(Convert, LeavesNothingBehindWhenItFails) {
  const TemporaryFolder folder;
  const fs::path out = folder.path() / "out";
  expect_error(ErrorKind::kBadRequest, {"--dtype \"int8\"", "bf16"},
               [&] { convert(golden("llama.gguf"), out, "int8"); });
  expect_error(ErrorKind::kNotFound, {"nowhere.gguf"},
               [&] { convert(folder.path() / "nowhere.gguf", out); });
  const fs::path cut = folder.write("cut.gguf", read_text(golden("llama.gguf")).substr(0, 60000));
  expect_error(ErrorKind::kArtifactInvalid, {"cut.gguf", "truncated"}, [&] { convert(cut, out); });
  std::string renamed = read_text(golden("llama.gguf"));
  renamed.replace(renamed.find("blk.0.ffn_up"), 12, "blk.0.ffn_xx");
  const fs::path unknown = folder.write("unknown.gguf", renamed);
  expect_error(ErrorKind::kUnsupported, {"unknown.gguf", "\"blk.0.ffn_xx.weight\""},
               [&] { convert(unknown, out); });
  for (const char* left : {"out", "out.partial"}) {
    EXPECT_FALSE(fs::exists(folder.path() / left)) << left;
  }
  fs::create_directory(out);
  folder.write("out/mine.txt", "precious");
  expect_error(ErrorKind::kBadRequest, {"out", "new or empty"},
               [&] { convert(golden("llama.gguf"), out); });
  EXPECT_EQ(read_text(out / "mine.txt"), "precious");
}

}  // namespace
}  // namespace tensormill
