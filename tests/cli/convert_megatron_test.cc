#include <algorithm>
#include <fstream>

#include "artifacts/files.h"
#include "artifacts/safetensors.h"
#include "artifacts/tensor_index.h"
#include "base/json.h"
#include "cli/command.h"
#include "models/host_batch.h"
#include "models/model.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;

void convert(const fs::path& in, const fs::path& out, std::vector<std::string> options = {}) {
  CLI::App app;
  const CommandRunner run = declare_convert(app);
  std::vector<std::string> arguments = {in.string(), out.string(), "--log-level", "off"};
  arguments.insert(arguments.end(), options.begin(), options.end());
  std::reverse(arguments.begin(), arguments.end());
  app.parse(arguments);
  EXPECT_EQ(run(), 0);
}

fs::path megatron(const std::string& name) {
  return golden("megatron/" + name);
}
fs::path rank_file(const std::string& name) {
  return megatron(name) / "mp_rank_00" / "model_optim_rng.pt";
}

// Every tensor of `out` is the reference's, bit for bit.
void expect_reference(const fs::path& out, const std::string& reference) {
  const auto index = open_checkpoint(out);
  const TensorFile expected = read_safetensors(megatron(reference + ".safetensors"));
  EXPECT_EQ(index->tensors().size(), expected.tensors.size());
  ASSERT_EQ(expected.tensors.size(), 28U);
  for (const NamedTensor& tensor : expected.tensors) {
    const NamedTensor* made = index->find(tensor.name);
    if (made == nullptr) {
      ADD_FAILURE() << tensor.name << " is missing";
      continue;
    }
    expect_same(*made, tensor);
  }
}

class ConvertMegatron : public testing::Test {
 protected:
  // A copy of a golden checkpoint that a test may change.
  fs::path copy(const std::string& name) const {
    fs::copy(megatron(name), folder_.path() / "in", fs::copy_options::recursive);
    return folder_.path() / "in";
  }
  void expect_refused(ErrorKind kind, std::initializer_list<const char*> parts, const fs::path& in,
                      const std::vector<std::string>& options = {}) const {
    expect_error(kind, parts, [&] { convert(in, out_, options); });
    EXPECT_FALSE(fs::exists(out_));
  }
  // Replaces the one place of `from` in a file by as many bytes.
  static void patch(const fs::path& file, const std::string& from, const std::string& to) {
    std::string bytes = read_text(file);
    ASSERT_EQ(from.size(), to.size());
    const size_t place = bytes.find(from);
    ASSERT_NE(place, std::string::npos) << from;
    bytes.replace(place, from.size(), to);
    std::ofstream(file, std::ios::binary) << bytes;
  }

  TemporaryFolder folder_;
  const fs::path out_ = folder_.path() / "out";
};

TEST_F(ConvertMegatron, FirstVersionWithoutArguments) {
  const fs::path in = copy("v0");
  folder_.write("in/config.json", R"({"n_head": 4, "vocab_size": 27, "n_inner": null})");
  folder_.write("in/gpt2-vocab.json", R"({"a": 0, "<|endoftext|>": 26})");
  folder_.write("in/merges.txt", "#version: 0.2\n");
  convert(in, out_);
  expect_reference(out_, "v0");
  EXPECT_EQ(read_json_file(out_ / "config.json"), Json::parse(R"({
    "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 27,
    "n_positions": 12, "n_embd": 8, "n_inner": 20, "n_layer": 2, "n_head": 4,
    "tie_word_embeddings": true, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
    "bos_token_id": 26, "eos_token_id": 26, "torch_dtype": "float16"})"));
  EXPECT_TRUE(fs::exists(out_ / "vocab.json"));
  EXPECT_TRUE(fs::exists(out_ / "merges.txt"));
}

TEST_F(ConvertMegatron, OneFileRanksAndZipAreTheSameModel) {
  const std::string config = R"({"model_type": "gpt2", "n_head": 4, "vocab_size": 27})";
  folder_.write("config.json", config);
  fs::copy_file(rank_file("v0"), folder_.path() / "model_optim_rng.pt");
  fs::copy_file(megatron("v0.zip"), folder_.path() / "v0.zip");
  const fs::path ranks = copy("v0_tp2");
  folder_.write("in/config.json", config);
  int made = 0;
  for (const fs::path& in :
       {folder_.path() / "model_optim_rng.pt", folder_.path() / "v0.zip", ranks,
        ranks / "mp_rank_01", ranks / "mp_rank_00" / "model_optim_rng.pt"}) {
    SCOPED_TRACE(in.string());
    const fs::path out = folder_.path() / ("out" + std::to_string(made++));
    convert(in, out);
    expect_reference(out, "v0");
  }
}

TEST_F(ConvertMegatron, SecondVersionKeepsThePaddedVocabularyThatItNames) {
  convert(megatron("v1"), out_);
  expect_reference(out_, "v1");
  const Json config = read_json_file(out_ / "config.json");
  EXPECT_EQ(config["activation_function"], "gelu_fast");
  EXPECT_EQ(config["vocab_size"], 32);
  EXPECT_FALSE(config.contains("eos_token_id"));
}

TEST_F(ConvertMegatron, LaterVersionsAsTheReferenceMergesThem) {
  const Json reference = read_json_file(megatron("v3.config.json"));
  int made = 0;
  for (const char* name : {"v3", "v3_tp2", "v1_tp2", "run", "run/iter_0000007"}) {
    SCOPED_TRACE(name);
    const fs::path out = folder_.path() / ("out" + std::to_string(made++));
    convert(megatron(name), out);
    expect_reference(out, "v3");
    const Json config = read_json_file(out / "config.json");
    for (const char* key :
         {"architectures", "vocab_size", "n_positions", "n_embd", "n_inner", "n_layer", "n_head",
          "bos_token_id", "eos_token_id", "model_type", "layer_norm_epsilon"}) {
      EXPECT_EQ(config[key], reference[key]) << key;
    }
    EXPECT_EQ(config["activation_function"], made == 1 ? "gelu_new" : "gelu");
  }
}

TEST_F(ConvertMegatron, DtypeNarrowsEveryTensor) {
  convert(megatron("v3_tp2"), out_, {"--dtype", "bf16"});
  const auto index = open_checkpoint(out_);
  for (const NamedTensor& tensor : index->tensors()) {
    EXPECT_EQ(tensor.view.type, DType::kBF16) << tensor.name;
  }
  EXPECT_EQ(read_json_file(out_ / "config.json")["torch_dtype"], "bfloat16");
}

TEST_F(ConvertMegatron, HeadsAreNeverGuessed) {
  expect_refused(ErrorKind::kArtifactInvalid, {"heads", "\"n_head\"", "--heads N"}, megatron("v0"));
  expect_refused(ErrorKind::kArtifactInvalid, {"3 heads", "width 8"}, megatron("v0"),
                 {"--heads", "3"});
  expect_refused(ErrorKind::kArtifactInvalid, {"num_attention_heads is 4", "--heads"},
                 megatron("v3"), {"--heads", "2"});
  expect_refused(ErrorKind::kBadRequest, {"--heads", "gpt2.gguf"}, golden("gpt2.gguf"),
                 {"--heads", "2"});
  convert(megatron("v0"), out_, {"--heads", "4"});
  EXPECT_EQ(read_json_file(out_ / "config.json")["n_head"], 4);
}

TEST_F(ConvertMegatron, RefusesWhatIsMissing) {
  const fs::path in = copy("v3_tp2");
  fs::remove_all(in / "mp_rank_01");
  expect_refused(ErrorKind::kArtifactInvalid, {"tensor_model_parallel_size is 2", "1 tensor rank"},
                 in);
  fs::remove_all(in);
  copy("run");
  const fs::path iteration = in / "iter_0000007";
  fs::remove_all(iteration / "mp_rank_01_000");
  expect_refused(ErrorKind::kArtifactInvalid, {"tensor rank 1 of pipeline rank 0 is missing"}, in);
  fs::remove(iteration / "mp_rank_00_001" / "model_optim_rng.pt");
  expect_refused(ErrorKind::kArtifactInvalid, {"mp_rank_00_001", "no model_optim_rng.pt"}, in);
  folder_.write("in/latest_checkpointed_iteration.txt", "8");
  expect_refused(ErrorKind::kArtifactInvalid, {"names \"iter_0000008\"", "not there"}, in);
  folder_.write("in/latest_checkpointed_iteration.txt", "soon");
  expect_refused(ErrorKind::kArtifactInvalid, {"\"soon\"", "number of an iteration"}, in);
}

TEST_F(ConvertMegatron, RefusesRanksThatDisagree) {
  const fs::path in = copy("v3_tp2");
  fs::copy_file(megatron("v1_tp2/mp_rank_01/model_optim_rng.pt"),
                in / "mp_rank_01" / "model_optim_rng.pt", fs::copy_options::overwrite_existing);
  expect_refused(ErrorKind::kArtifactInvalid, {"mp_rank_01", "\"checkpoint_version\" is 1", "3"},
                 in);
  fs::copy_file(rank_file("v3"), in / "mp_rank_01" / "model_optim_rng.pt",
                fs::copy_options::overwrite_existing);
  expect_refused(ErrorKind::kArtifactInvalid,
                 {"mp_rank_01", "args.tensor_model_parallel_size is 1", "2 in mp_rank_00"}, in);
  fs::remove_all(in);
  copy("v0_tp2");
  fs::copy_file(rank_file("v0"), in / "mp_rank_01" / "model_optim_rng.pt",
                fs::copy_options::overwrite_existing);
  expect_refused(ErrorKind::kArtifactInvalid, {"mp_rank_01", "shards of one tensor agree"}, in,
                 {"--heads", "4"});
}

TEST_F(ConvertMegatron, RefusesOtherModelsAndVersions) {
  const fs::path in = copy("v3"), file = in / "mp_rank_00" / "model_optim_rng.pt";
  const std::string whole = read_text(file);
  const auto with = [&](const std::string& from, const std::string& to) {
    std::ofstream(file, std::ios::binary) << whole;
    patch(file, from, to);
    return in;
  };
  expect_refused(
      ErrorKind::kUnsupported, {"\"checkpoint_version\" is 5"},
      with(std::string("G\x40\x08\0\0\0\0\0\0", 9), std::string("G\x40\x14\0\0\0\0\0\0", 9)));
  expect_refused(ErrorKind::kUnsupported, {"\"language_model.decoder.", "a T5 model"},
                 with("encoder", "decoder"));
  expect_refused(ErrorKind::kUnsupported, {"language_model.pooler_", "GPT-2"},
                 with("encoder", "pooler_"));
  expect_refused(ErrorKind::kUnsupported, {"layers.1.mlp.dense_4h_to_x.bias", "GPT-2"},
                 with("layers.1.mlp.dense_4h_to_h.bias", "layers.1.mlp.dense_4h_to_x.bias"));
  // Then there is a third layer, of one tensor.
  expect_refused(ErrorKind::kArtifactInvalid, {"layers.2.input_layernorm.weight", "missing"},
                 with("layers.1.mlp.dense_4h_to_h.bias", "layers.2.mlp.dense_4h_to_h.bias"));
  const size_t number = whole.find('K', whole.find("num_layers"));
  const std::string two =
      whole.substr(whole.find("num_layers"), number + 2 - whole.find("num_layers"));
  std::string three = two;
  three.back() = 3;
  expect_refused(ErrorKind::kArtifactInvalid, {"args.num_layers is 3", "tensors have 2"},
                 with(two, three));
}

TEST_F(ConvertMegatron, RefusesBrokenFiles) {
  const std::string whole = read_text(rank_file("v0"));
  for (const size_t size : {whole.size() - 1, whole.size() / 2, size_t{20}}) {
    const fs::path cut = folder_.write("model_optim_rng.pt", whole.substr(0, size));
    expect_refused(ErrorKind::kArtifactInvalid, {"model_optim_rng.pt"}, cut, {"--heads", "4"});
  }
  const std::string zip = read_text(rank_file("v3"));
  expect_refused(ErrorKind::kArtifactInvalid, {"model_optim_rng.pt", "truncated"},
                 folder_.write("model_optim_rng.pt", zip.substr(0, zip.size() / 2)));
  expect_refused(ErrorKind::kArtifactInvalid, {"small.bin", "the key \"model\""},
                 golden("small.bin"));
  fs::create_directories(folder_.path() / "empty" / "release");
  expect_refused(ErrorKind::kArtifactInvalid, {"release", "tensor rank 0", "missing"},
                 folder_.path() / "empty");
}

TEST_F(ConvertMegatron, RefusesAConfigThatContradicts) {
  const fs::path in = copy("v0");
  const auto with = [&](const char* config) {
    folder_.write("in/config.json", config);
    return in;
  };
  expect_refused(ErrorKind::kArtifactInvalid, {"n_layer is 3", "2"},
                 with(R"({"n_head": 4, "n_layer": 3})"));
  expect_refused(ErrorKind::kArtifactInvalid, {"33 tokens", "32 rows"},
                 with(R"({"n_head": 4, "vocab_size": 33})"));
  expect_refused(ErrorKind::kUnsupported, {"another model"},
                 with(R"({"n_head": 4, "model_type": "megatron-bert"})"));
  expect_refused(ErrorKind::kArtifactInvalid, {"\"n_head\"", "integer"}, with(R"({"n_head": []})"));
}

std::vector<float> logits(const fs::path& folder) {
  LoadOptions options;
  options.kernels = cpu_kernels("auto");
  const auto model = Model::load(folder, options);
  return run_sequences(*model, {{1, 5, 26, 3, 0, 7}, {2, 2}}, 4).logits;
}

// It runs, and computes what the reference's tensors do.
TEST_F(ConvertMegatron, TheFolderRuns) {
  convert(megatron("v1_tp2"), out_);
  const std::vector<float> split = logits(out_);
  ASSERT_EQ(split.size(), size_t{8} * 27);
  const fs::path other = folder_.path() / "other";
  fs::create_directory(other);
  fs::copy_file(megatron("v3.safetensors"), other / "model.safetensors");
  fs::copy_file(out_ / "config.json", other / "config.json");
  EXPECT_EQ(split, logits(other));
}

}  // namespace
}  // namespace tensormill
