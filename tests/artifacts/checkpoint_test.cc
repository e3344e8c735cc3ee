#include "artifacts/files.h"
#include "artifacts/tensor_index.h"

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

TEST(Checkpoint, TakesASingleFileOfAnyName) {
  const TemporaryFolder folder;
  folder.write("model.fp16.safetensors", kOne);
  folder.write("adapter_model.safetensors", kTwo);
  EXPECT_NE(open_checkpoint(folder.path())->find("a"), nullptr);
  folder.write("other.safetensors", kTwo);
  expect_error(ErrorKind::kArtifactInvalid,
               {"2 weight files", "model.fp16.safetensors", "expected one file or an index"},
               [&] { open_checkpoint(folder.path()); });
}

TEST(Checkpoint, PrefersSafetensorsToTorch) {
  const TemporaryFolder folder;
  folder.write("pytorch_model.bin", "broken");
  folder.write("model.safetensors", kOne);
  EXPECT_NE(open_checkpoint(folder.path())->find("a"), nullptr);
}

TEST(Checkpoint, ReadsShardsAndHoldsOnlyWhatTheIndexMaps) {
  const TemporaryFolder folder;
  folder.write("model-1.safetensors", kOne);
  folder.write("model-2.safetensors", kTwo);
  folder.write("model.safetensors.index.json",
               R"({"weight_map":{"b":"model-2.safetensors","a":"model-1.safetensors"}})");
  const auto index = open_checkpoint(folder.path());
  ASSERT_EQ(index->tensors().size(), 2U);
  EXPECT_EQ(index->tensors()[0].name, "a");
  EXPECT_NE(index->find("b")->file.find("model-2.safetensors"), std::string::npos);
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
  std::filesystem::create_directory(folder.path() / "model.safetensors");
  expect_error(ErrorKind::kArtifactInvalid, {"model.safetensors", "expected a regular file"},
               [&] { open_checkpoint(folder.path()); });
}

}  // namespace
}  // namespace tensormill
