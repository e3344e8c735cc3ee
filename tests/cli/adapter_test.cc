// What the program does with the folder of an adapter.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "base/json.h"
#include "cli/program_output.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

std::string bytes_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class AdapterCommands : public testing::Test {
 protected:
  AdapterCommands() : folder_(fs::path(testing::TempDir()) / "tensormill_adapter") {
    fs::remove_all(folder_);
    const fs::path golden(TENSORMILL_GOLDEN), llama = golden / "models/llama";
    fs::create_directories(folder_ / "base");
    fs::copy_file(llama / "tied.config.json", folder_ / "base/config.json");
    fs::copy_file(llama / "tied.weights.safetensors", folder_ / "base/model.fp16.safetensors");
    fs::copy(golden / "artifacts/adapters/llama_tied_both", adapter());
  }
  ~AdapterCommands() override { fs::remove_all(folder_); }

  fs::path adapter() const { return folder_ / "adapter"; }
  std::string forward(const fs::path& model, const char* out) const {
    output("forward --dtype f32 --ids 3,1,4,1,5 --out " + (folder_ / out).string() + " " +
           model.string());
    return bytes_of(folder_ / out);
  }

  fs::path folder_;
};

TEST_F(AdapterCommands, InspectSaysWhatIsMergedAndHowTheFilesWereChosen) {
  EXPECT_THAT(output("inspect " + adapter().string()),
              AllOf(HasSubstr("adapter          LoRA of rank 2, alpha 4, 4 modules; merged into"),
                    HasSubstr("model.fp16.safetensors, variant fp16"),
                    HasSubstr("names            begin with \"model.\"; \"model.\" is usual"),
                    HasSubstr("the variant \"fp16\" is taken"), HasSubstr("all accounted for")));
  EXPECT_THAT(output("inspect --variant bf16 " + adapter().string()),
              AllOf(HasSubstr("no weights of the variant \"bf16\""), HasSubstr("there is fp16")));
}

TEST_F(AdapterCommands, ConvertWritesAModelThatNeedsNeitherAdapterNorBase) {
  const std::string merged = forward(adapter(), "before");
  const std::string base = forward(folder_ / "base", "alone");
  ASSERT_FALSE(merged.empty());
  EXPECT_NE(merged, base);
  const fs::path out = folder_ / "out";
  EXPECT_THAT(output("convert --dtype f32 " + adapter().string() + " " + out.string()),
              AllOf(HasSubstr("is merged into"), HasSubstr("is ready")));
  EXPECT_FALSE(fs::exists(out / "adapter_config.json"));
  EXPECT_FALSE(read_json_file(out / "config.json").at("tie_word_embeddings").get<bool>());
  fs::remove_all(folder_ / "base");
  EXPECT_EQ(forward(out, "after"), merged);
  EXPECT_THAT(output("inspect " + adapter().string()), HasSubstr("is neither a folder"));
}

TEST_F(AdapterCommands, TheOriginalLayoutIsRefusedWithWhatToDo) {
  fs::remove(folder_ / "base/config.json");
  std::ofstream(folder_ / "base/params.json") << "{}";
  EXPECT_THAT(output("inspect " + (folder_ / "base").string()),
              AllOf(HasSubstr("params.json is of the original layout"),
                    HasSubstr("Hugging Face conversion")));
}

}  // namespace
}  // namespace tensormill
