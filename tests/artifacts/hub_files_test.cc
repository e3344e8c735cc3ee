#include "artifacts/hub_files.h"

#include <gmock/gmock.h>

#include "artifacts/hub.h"
#include "artifacts/snapshot_cache.h"
#include "files.h"

namespace tensormill {
namespace {

using testing::ElementsAre;
using Names = std::vector<std::string>;

NeededFiles choose(const Names& names, const std::string& variant = "") {
  return choose_files(names, variant, "m");
}

TEST(HubFiles, OneFormatOfWeights) {
  const NeededFiles both = choose({"config.json", "model.safetensors", "pytorch_model.bin",
                                   "model.fp16.safetensors", "tf_model.h5", "adapter_x.safetensors",
                                   "consolidated.safetensors", "onnx/model.onnx"});
  EXPECT_THAT(both.weights, ElementsAre("model.safetensors"));
  EXPECT_THAT(both.companions, ElementsAre("config.json"));
  EXPECT_FALSE(both.adapter);
  const NeededFiles stale = choose({"model.safetensors", "model.safetensors.index.json"});
  EXPECT_THAT(stale.weights, ElementsAre("model.safetensors"));
  EXPECT_EQ(stale.index, "");
  EXPECT_THAT(choose({"pytorch_model.bin", "model.fp16.safetensors"}).weights,
              ElementsAre("pytorch_model.bin"));
  EXPECT_EQ(choose({"pytorch_model.bin.index.json", "x.gguf"}).index,
            "pytorch_model.bin.index.json");
  EXPECT_THAT(choose({"own-name.safetensors", "training_args.bin"}).weights,
              ElementsAre("own-name.safetensors"));
  EXPECT_THAT(choose({"m.Q8_0.gguf"}).weights, ElementsAre("m.Q8_0.gguf"));
  EXPECT_TRUE(choose({"a.safetensors", "b.safetensors"}).weights.empty());
  EXPECT_TRUE(choose({"config.json", "training_args.bin"}).weights.empty());
  expect_error(ErrorKind::kUnsupported, {"2 GGUF files", "a.gguf", "convert"}, [] {
    choose({"a.gguf", "b.gguf"});
  });
}

TEST(HubFiles, Variants) {
  const Names names = {"model.safetensors", "model.fp16.safetensors",
                       "model.safetensors.index.bf16.json"};
  EXPECT_THAT(choose(names).weights, ElementsAre("model.safetensors"));
  EXPECT_THAT(choose(names, "fp16").weights, ElementsAre("model.fp16.safetensors"));
  EXPECT_EQ(choose(names, "bf16").index, "model.safetensors.index.bf16.json");
  expect_error(ErrorKind::kNotFound, {"no weights of variant x", "bf16, fp16"},
               [&] { choose(names, "x"); });
  // The only ones there are.
  EXPECT_THAT(choose({"model.fp16.safetensors"}).weights, ElementsAre("model.fp16.safetensors"));
  EXPECT_EQ(choose({"model.fp16.safetensors"}).variant, "fp16");
}

TEST(HubFiles, CompanionsAndAdapters) {
  const NeededFiles needed =
      choose({".gitattributes", "README.md", "LICENSE.txt", "config.json", "generation_config.json",
              "tokenizer.model", "merges.txt", "vocab.json", "qwen.tiktoken", "chat_template.jinja",
              "additional_chat_templates/tool_use.jinja", "trainer_state.json", "modeling_x.py",
              "original/params.json", "special_tokens_map.json", "model.safetensors.index.json"});
  EXPECT_THAT(needed.companions,
              ElementsAre("config.json", "generation_config.json", "tokenizer.model", "merges.txt",
                          "vocab.json", "qwen.tiktoken", "chat_template.jinja",
                          "additional_chat_templates/tool_use.jinja", "special_tokens_map.json"));
  const NeededFiles adapter =
      choose({"adapter_config.json", "adapter_model.bin", "adapter_model.safetensors"});
  EXPECT_TRUE(adapter.adapter);
  EXPECT_THAT(adapter.weights, ElementsAre("adapter_model.safetensors"));
  EXPECT_FALSE(choose({"adapter_config.json", "config.json", "model.safetensors"}).adapter);
}

TEST(HubFiles, ParsesTheListing) {
  const HubListing listing = parse_model_info(
      R"({"sha": "c0ffee", "siblings": [
           {"rfilename": "config.json", "size": 12, "blobId": "b10b"},
           {"rfilename": "model.safetensors", "size": 130, "blobId": "p0inter",
            "lfs": {"sha256": "5ha", "size": 99999999999, "pointerSize": 134}},
           {"rfilename": "../../etc/passwd"}, {"rfilename": "/abs"}, {"rfilename": "a\\b"},
           {"rfilename": "bare"}]})",
      "here");
  EXPECT_EQ(listing.commit, "c0ffee");
  ASSERT_EQ(listing.files.size(), 3u);
  EXPECT_EQ(listing.files[0].blob, "b10b");
  EXPECT_EQ(listing.files[0].size, 12);
  EXPECT_EQ(listing.files[1].sha256, "5ha");
  EXPECT_EQ(listing.files[1].blob, "");
  EXPECT_EQ(listing.files[1].size, 99999999999);
  EXPECT_EQ(listing.files[2].size, -1);
  for (const char* bad : {"", "[]", "{}", R"({"sha": "a/b", "siblings": []})", R"({"sha": "x"})",
                          R"({"sha": "x", "siblings": [1]})", "<html>"}) {
    expect_error(ErrorKind::kArtifactInvalid, {"here"}, [&] { parse_model_info(bad, "here"); });
  }
}

TEST(HubFiles, WhatAFolderLacks) {
  const TemporaryFolder folder;
  const auto lacks = [&](ModelParts parts = ModelParts::kAll) {
    return missing_of_folder(folder.path(), parts, "");
  };
  EXPECT_EQ(lacks(), "config.json");
  folder.write("config.json", "{}");
  EXPECT_EQ(lacks(), "weights");
  EXPECT_EQ(lacks(ModelParts::kWithoutWeights), "");
  folder.write("model.safetensors.index.json",
               R"({"weight_map": {"x": "model-2.safetensors", "y": "model-1.safetensors"}})");
  folder.write("model-1.safetensors", "");
  EXPECT_EQ(lacks(), "model-2.safetensors");
  folder.write("model-2.safetensors", "");
  EXPECT_EQ(lacks(), "");
  folder.write("model.safetensors.index.json", R"({"weight_map": {"x": "../../up"}})");
  EXPECT_NE(lacks(), "");
}

TEST(SnapshotCache, PathsThatAreSafe) {
  for (const char* good : {"a", "a/b.c", "..a", "a..b/c", "..."}) EXPECT_TRUE(is_safe_path(good));
  for (const char* bad : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\\b", "a\nb"}) {
    EXPECT_FALSE(is_safe_path(bad)) << bad;
  }
  EXPECT_TRUE(is_commit(std::string(40, 'a')));
  EXPECT_FALSE(is_commit("main"));
}

TEST(SnapshotCache, ReadsWhatOthersWrote) {
  const TemporaryFolder folder;
  const SnapshotCache cache(folder.path(), "models--a--b");
  EXPECT_FALSE(cache.find("main"));
  std::filesystem::create_directories(cache.folder() / "refs/refs/pr");
  std::filesystem::create_directories(cache.snapshot("abc"));
  folder.write("models--a--b/refs/main", "abc");
  folder.write("models--a--b/refs/refs/pr/1", "gone");
  folder.write("models--a--b/refs/evil", "../../..");
  EXPECT_EQ(cache.find("main"), cache.snapshot("abc"));
  EXPECT_EQ(cache.commit_of("refs/pr/1"), "gone");
  EXPECT_FALSE(cache.find("refs/pr/1"));
  EXPECT_FALSE(cache.find("evil"));
  cache.set_ref("v1", "abc");
  EXPECT_EQ(read_text(cache.folder() / "refs/v1"), "abc");
}

TEST(HubSettings, AsHuggingfaceHubReadsThem) {
  const TemporaryFolder folder;
  std::map<std::string, std::string> values = {{"HOME", "/h"}};
  const auto settings = [&] {
    return hub_settings([&](const char* name) {
      const auto found = values.find(name);
      return found == values.end() ? std::string() : found->second;
    });
  };
  EXPECT_EQ(settings().cache, "/h/.cache/huggingface/hub");
  EXPECT_EQ(settings().token, "");
  EXPECT_EQ(settings().offline, "");
  values["XDG_CACHE_HOME"] = "$HOME/x";
  EXPECT_EQ(settings().cache, "/h/x/huggingface/hub");
  values["HF_HOME"] = "~/hf";
  EXPECT_EQ(settings().cache, "/h/hf/hub");
  values["HUGGINGFACE_HUB_CACHE"] = "/old";
  EXPECT_EQ(settings().cache, "/old");
  values["HF_HUB_CACHE"] = "${HOME}/new";
  EXPECT_EQ(settings().cache, "/h/new");
  values["HF_ENDPOINT"] = "http://x/";
  EXPECT_EQ(settings().endpoint, "http://x");
  values["TRANSFORMERS_OFFLINE"] = "On";
  EXPECT_EQ(settings().offline, "TRANSFORMERS_OFFLINE");
  values["HF_TOKEN_PATH"] = folder.write("t", "hf_file\n");
  EXPECT_EQ(settings().token, "hf_file");
  values["HF_TOKEN"] = " hf_x \n";
  EXPECT_EQ(settings().token, "hf_x");
  values["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1";
  EXPECT_EQ(settings().token, "");
}

}  // namespace
}  // namespace tensormill
