#include "artifacts/torch_tree.h"

#include "artifacts/files.h"
#include "artifacts/megatron_checkpoint.h"

namespace tensormill {
namespace {

std::filesystem::path megatron(const std::string& name) {
  return golden("megatron/" + name);
}

TEST(TorchTree, ReadsSettingsAndNestedTensors) {
  TorchTree tree = TorchTree::open(megatron("v3/mp_rank_00/model_optim_rng.pt"));
  EXPECT_TRUE(tree.has("optimizer"));
  EXPECT_EQ(to_text(tree.plain("checkpoint_version", nullptr)), "3");
  EXPECT_EQ(to_text(tree.plain("nothing", int64_t{9})), "9");
  const PlainValues args = tree.attributes("args");
  const auto text = [&](const char* key) { return to_text(args.at(key)); };
  EXPECT_EQ(text("hidden_size"), "8");
  EXPECT_EQ(text("openai_gelu"), "True");
  EXPECT_EQ(text("num_experts"), "None");
  EXPECT_EQ(text("lr"), "0.00015");
  EXPECT_EQ(text("tokenizer_type"), "\"GPT2BPETokenizer\"");
  EXPECT_EQ(text("params_dtype"), "torch float16");
  EXPECT_EQ(text("model_type"), "megatron.model.enums ModelType");
  EXPECT_EQ(text("data_path"), "a list");
  const TensorFile model = tree.tensors("model");
  ASSERT_EQ(model.tensors.size(), 28U);
  EXPECT_EQ(model.tensors[0].name, "language_model.embedding.position_embeddings.weight");
  EXPECT_EQ(model.tensors[0].view.shape, (std::vector<int64_t>{12, 8}));
  EXPECT_TRUE(model.owners.empty() || model.owners.size() == 1);  // nothing was copied
}

TEST(TorchTree, BoundsDepthAndEntries) {
  using namespace std::string_literals;
  const std::string key = "X\x01\x00\x00\x00"s;
  // Each dictionary holds the one before it many times: 64^16 ways through.
  std::string bytes = "\x80\x02}q\x00"s;
  for (char level = 1; level <= 12; ++level) {
    bytes += "}(";
    for (int i = 0; i < 64; ++i) {
      bytes += key + static_cast<char>('0' + i) + "h" + static_cast<char>(level - 1);
    }
    bytes += "uq"s + level;
  }
  bytes += "}X\x05\x00\x00\x00modelh\x0cs."s;
  const auto archive = [](const std::string& pickle) {
    const std::string magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s;
    return magic + "\x80\x02M\xe9\x03.\x80\x02}." + pickle + "\x80\x02].";
  };
  const std::string wide = archive(bytes);
  expect_error(ErrorKind::kArtifactInvalid, {"f:", "more than 262144 entries"},
               [&] { TorchTree(as_bytes(wide), "f", nullptr).tensors("model"); });
  // A dictionary that holds itself.
  const std::string cycle =
      archive("\x80\x02}X\x05\x00\x00\x00model}q\x01X\x01\x00\x00\x00xh\x01ss."s);
  expect_error(ErrorKind::kArtifactInvalid, {"nested deeper than 16"},
               [&] { TorchTree(as_bytes(cycle), "f", nullptr).tensors("model"); });
  const std::string list = archive("\x80\x02]."s);
  expect_error(ErrorKind::kArtifactInvalid, {"f: expected a dictionary at the top"},
               [&] { TorchTree(as_bytes(list), "f", nullptr); });
}

TEST(Megatron, KnowsItsCheckpointsByTheirNames) {
  for (const char* name : {"v0", "v0.zip", "run", "run/iter_0000007", "v3_tp2",
                           "v1/mp_rank_00/model_optim_rng.pt", "v1/mp_rank_00"}) {
    EXPECT_TRUE(is_megatron_checkpoint(megatron(name))) << name;
  }
  EXPECT_FALSE(is_megatron_checkpoint(golden("gpt2.gguf")));
  EXPECT_FALSE(is_megatron_checkpoint(golden("")));
}

TEST(Megatron, OrdersRanksByPipelineAndTensor) {
  const MegatronCheckpoint all = open_megatron_checkpoint(megatron("run"));
  EXPECT_EQ(all.tensor_ranks, 2U);
  EXPECT_EQ(all.pipeline_ranks, 2U);
  EXPECT_EQ(all.version, 3);
  ASSERT_EQ(all.ranks.size(), 4U);
  EXPECT_EQ(all.rank(1, 0).origin, "mp_rank_00_001");
  EXPECT_EQ(all.rank(0, 1).origin, "mp_rank_01_000");
  ASSERT_EQ(all.beside.size(), 2U);
  EXPECT_EQ(all.beside[0].filename(), "iter_0000007");
  EXPECT_EQ(all.beside[1].filename(), "run");
}

}  // namespace
}  // namespace tensormill
