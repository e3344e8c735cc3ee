#include "artifacts/files.h"
#include "artifacts/tensor_index.h"
#include "artifacts/weight_files.h"

namespace tensormill {
namespace {

const std::string kOne = safetensors(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})", 1);
const std::string kTwo = safetensors(R"({"b":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},)"
                                     R"("extra":{"dtype":"I8","shape":[1],"data_offsets":[2,3]}})",
                                     3);

TEST(Checkpoint, FindsTensorsByName) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", kTwo);
  const auto index = open_checkpoint(folder.path());
  ASSERT_EQ(index->tensors().size(), 2U);
  ASSERT_NE(index->find("b"), nullptr);
  EXPECT_EQ(index->find("b")->view.shape[0], 2);
  EXPECT_EQ(index->find("c"), nullptr);
  EXPECT_EQ(index->find(""), nullptr);
}

TEST(Checkpoint, ReleasedTensorsCanBeReadAgain) {
  const TemporaryFolder folder;
  std::string file =
      safetensors(R"({"w":{"dtype":"I8","shape":[20000],"data_offsets":[0,20000]}})", 20000);
  file.back() = 7;
  folder.write("model.safetensors", file);
  const auto index = open_checkpoint(folder.path());
  const auto* data = static_cast<const int8_t*>(index->find("w")->view.data);
  EXPECT_EQ(data[19999], 7);
  index->release(*index->find("w"));
  EXPECT_EQ(data[19999], 7);
  EXPECT_EQ(data[0], 0);
}

TEST(Checkpoint, TakesASingleFileOfAnyName) {
  const TemporaryFolder folder;
  folder.write("weights.safetensors", kOne);
  folder.write("adapter_model.safetensors", kTwo);
  EXPECT_NE(open_checkpoint(folder.path())->find("a"), nullptr);
  folder.write("other.safetensors", kTwo);
  expect_error(ErrorKind::kArtifactInvalid,
               {"2 weight files", "other.safetensors", "expected one file or an index"},
               [&] { open_checkpoint(folder.path()); });
}

TEST(Checkpoint, TakesASingleFileOfTorchBesideATrainersOwn) {
  for (const char* name : {"weights.pt", "pytorch_model.pth", "model.bin", "pytorch_model-x.bin"}) {
    const TemporaryFolder folder;
    std::filesystem::copy_file(golden("small.bin"), folder.path() / name);
    for (const char* other : {"optimizer.pt", "scheduler.pt", "rng_state_0.pth",
                              "training_args.bin", "adapter_model.bin"}) {
      folder.write(other, "no weights");
    }
    EXPECT_NE(open_checkpoint(folder.path())->find("w"), nullptr) << name;
  }
}

TEST(Checkpoint, AVariantIsAskedForOrTheOnlyOne) {
  const TemporaryFolder folder;
  folder.write("model.fp16.safetensors", kOne);
  EXPECT_NE(open_checkpoint(folder.path())->find("a"), nullptr);
  EXPECT_NE(open_checkpoint(folder.path(), "fp16")->find("a"), nullptr);
  expect_error(ErrorKind::kNotFound, {"\"bf16\"", "model.bf16.safetensors", "there is fp16"},
               [&] { open_checkpoint(folder.path(), "bf16"); });
  std::filesystem::copy_file(golden("small.bin"), folder.path() / "pytorch_model.bf16.bin");
  expect_error(ErrorKind::kArtifactInvalid, {"variants bf16, fp16", "--variant"},
               [&] { open_checkpoint(folder.path()); });
  EXPECT_NE(open_checkpoint(folder.path(), "bf16")->find("w"), nullptr);
  folder.write("model.safetensors", kTwo);
  EXPECT_NE(open_checkpoint(folder.path())->find("b"), nullptr);
  EXPECT_NE(open_checkpoint(folder.path(), "fp16")->find("a"), nullptr);
}

TEST(Checkpoint, AVariantMayBeSharded) {
  const TemporaryFolder folder;
  folder.write("model-00001-of-00002.fp16.safetensors", kOne);
  folder.write("model.fp16-00002-of-00002.safetensors", kTwo);
  folder.write("model.safetensors.index.fp16.json",
               R"({"weight_map":{"a":"model-00001-of-00002.fp16.safetensors",)"
               R"("b":"model.fp16-00002-of-00002.safetensors"}})");
  EXPECT_EQ(open_checkpoint(folder.path())->tensors().size(), 3U);
  const WeightFiles files = choose_weight_files(folder.path(), "");
  EXPECT_TRUE(files.sharded);
  EXPECT_EQ(files.variant, "fp16");
}

TEST(Checkpoint, PrefersSafetensorsToTorch) {
  const TemporaryFolder folder;
  folder.write("pytorch_model.bin", "broken");
  folder.write("model.safetensors", kOne);
  EXPECT_NE(open_checkpoint(folder.path())->find("a"), nullptr);
}

TEST(Checkpoint, PrefersOneFileToAnIndexAndAnIndexOfSafetensorsToTorch) {
  const TemporaryFolder folder;
  folder.write("pytorch_model.bin", "broken");
  folder.write("model-1.safetensors", kTwo);
  folder.write("model.safetensors.index.json", R"({"weight_map":{"b":"model-1.safetensors"}})");
  EXPECT_NE(open_checkpoint(folder.path())->find("b"), nullptr);
  folder.write("model.safetensors", kOne);
  EXPECT_NE(open_checkpoint(folder.path())->find("a"), nullptr);
}

TEST(Checkpoint, ReadsShardsAndWhatTheIndexLeavesOut) {
  const TemporaryFolder folder;
  folder.write("model-1.safetensors", kOne);
  folder.write("model-2.safetensors", kTwo);
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"b":"model-2.safetensors","a":"model-1.safetensors"}})");
  const auto index = open_checkpoint(folder.path());
  ASSERT_EQ(index->tensors().size(), 3U);
  EXPECT_EQ(index->tensors()[0].name, "a");
  EXPECT_NE(index->find("b")->file.find("model-2.safetensors"), std::string::npos);
  EXPECT_NE(index->find("extra"), nullptr);
}

TEST(Checkpoint, AnIndexSaysWhichOfTwoShardsHasATensor) {
  const TemporaryFolder folder;
  folder.write("model-1.safetensors", kTwo);
  folder.write("model-2.safetensors", kTwo);
  const auto write = [&](const char* map) {
    folder.write("model.safetensors.index.json", std::string("{\"weight_map\":{") + map + "}}");
  };
  write(R"("b":"model-1.safetensors","extra":"model-2.safetensors")");
  const auto index = open_checkpoint(folder.path());
  ASSERT_EQ(index->tensors().size(), 2U);
  EXPECT_NE(index->find("b")->file.find("model-1"), std::string::npos);
  EXPECT_NE(index->find("extra")->file.find("model-2"), std::string::npos);
  write(R"("b":"model-1.safetensors","c":"model-2.safetensors")");
  expect_error(ErrorKind::kArtifactInvalid, {"\"c\"", "not in its shard"},
               [&] { open_checkpoint(folder.path()); });
  folder.write("model-3.safetensors", kOne);
  write(R"("b":"model-1.safetensors","a":"model-3.safetensors")");
  EXPECT_EQ(open_checkpoint(folder.path())->tensors().size(), 3U);
}

TEST(Checkpoint, ReadsShardsOfTorch) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(golden("small.bin"), folder.path() / "pytorch_model-1.bin");
  folder.write("pytorch_model.bin.index.json", R"({"weight_map":{"w":"pytorch_model-1.bin"}})");
  const auto index = open_checkpoint(folder.path());
  ASSERT_NE(index->find("w"), nullptr);
  EXPECT_EQ(index->find("w")->view.elements(), 4);
}

TEST(Checkpoint, RefusesABrokenIndex) {
  const TemporaryFolder folder;
  folder.write("model-1.safetensors", kOne);
  const auto expect = [&](const char* json, std::initializer_list<const char*> parts) {
    folder.write("model.safetensors.index.json", json);
    expect_error(ErrorKind::kArtifactInvalid, parts, [&] { open_checkpoint(folder.path()); });
  };
  expect("{", {"model.safetensors.index.json", "no valid JSON"});
  expect("{}", {"model.safetensors.index.json", "\"weight_map\""});
  expect("[]", {"\"weight_map\""});
  expect(R"({"weight_map":{"a":1}})", {"\"a\"", "expected a file name"});
  expect(R"({"weight_map":{"a":"../model-1.safetensors"}})", {"\"a\"", "same folder"});
  expect(R"({"weight_map":{"a":"model-9.safetensors"}})",
         {"index.json", "model-9.safetensors", "\"a\"", "not there"});
  expect(R"({"weight_map":{"a":"model-1.safetensors","b":"model-1.safetensors"}})",
         {"\"b\"", "not in its shard", "model-1.safetensors"});
}

TEST(Checkpoint, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::kNotFound, {folder.path().c_str(), "no weights", "model.safetensors"},
               [&] { open_checkpoint(folder.path()); });
  expect_error(ErrorKind::kNotFound, {"nowhere", "expected a model folder"},
               [&] { open_checkpoint(folder.path() / "nowhere"); });
  folder.write("tf_model.h5", "");
  expect_error(ErrorKind::kNotFound, {"no weights", "tf_model.h5 is of another program"},
               [&] { open_checkpoint(folder.path()); });
  std::filesystem::create_directory(folder.path() / "model.safetensors");
  expect_error(ErrorKind::kArtifactInvalid, {"model.safetensors", "expected a regular file"},
               [&] { open_checkpoint(folder.path()); });
}

}  // namespace
}  // namespace tensormill
