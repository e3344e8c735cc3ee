// What `inspect` says of a published folder, with and without weights.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "cli/program_output.h"

namespace tensormill {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class Inspect : public testing::Test {
 protected:
  Inspect() : folder_(fs::path(testing::TempDir()) / "tensormill_inspect") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    fs::copy_file(golden() / "grouped.config.json", folder_ / "config.json");
    std::ifstream in(golden() / "grouped.weights.safetensors", std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    weights_ = text.str();
    std::memcpy(&header_bytes_, weights_.data(), sizeof header_bytes_);
  }
  ~Inspect() override { fs::remove_all(folder_); }

  static fs::path golden() { return fs::path(TENSORMILL_GOLDEN) / "models/llama"; }
  void write_weights(const std::string& bytes) const {
    std::ofstream(folder_ / "model.safetensors", std::ios::binary) << bytes;
  }
  std::string header() const { return weights_.substr(0, 8 + header_bytes_); }

  fs::path folder_;
  std::string weights_;
  uint64_t header_bytes_ = 0;
};

TEST_F(Inspect, AConfigAlone) {
  EXPECT_THAT(output("inspect " + folder_.string()),
              AllOf(HasSubstr("family           llama"), HasSubstr("parameters       24876"),
                    HasSubstr("mode             fused kernels"), HasSubstr("memory as"),
                    HasSubstr("no weights here")));
}

TEST_F(Inspect, AHeaderIsCheckedAndItsDataMissed) {
  write_weights(header());
  EXPECT_THAT(output("inspect " + folder_.string()),
              AllOf(HasSubstr("family           llama"), HasSubstr("memory as"),
                    HasSubstr("21 tensors, all accounted for; their data is not there, it would "
                              "load as f16")));
  EXPECT_THAT(output("forward --ids 1 --out x " + folder_.string()),
              HasSubstr("lie outside the file's data section of 0 bytes"));
  write_weights(weights_);
  EXPECT_THAT(output("inspect " + folder_.string()),
              HasSubstr("21 tensors, all accounted for; loads as f16"));
}

TEST_F(Inspect, TypesOfTheCache) {
  write_weights(weights_);
  const std::string inspect = "inspect --device cpu " + folder_.string();
  EXPECT_THAT(output(inspect), HasSubstr("keys and values  f16, 0.1 KiB a token (f32 0.2 KiB, "
                                         "bf16 0.1 KiB, int8 0.1 KiB)"));
  EXPECT_THAT(output(inspect + " --kv-cache-dtype int8"),
              HasSubstr("keys and values  int8, 0.1 KiB a token (f32"));
  EXPECT_THAT(output(inspect + " --kv-cache-dtype fp8"),
              AllOf(HasSubstr("option.kv_cache_dtype=fp8"), HasSubstr("use int8")));
}

TEST_F(Inspect, AHeaderOfAnotherModelIsAnError) {
  std::string other = header();
  const size_t at = other.find("model.layers.1.mlp.up_proj");
  ASSERT_NE(at, other.npos);
  other.replace(at, 26, "model.layers.1.mlp.uq_proj");
  write_weights(other);
  EXPECT_THAT(output("inspect " + folder_.string()),
              AllOf(HasSubstr("missing tensors: model.layers.1.mlp.up_proj.weight"),
                    HasSubstr("doesn't use: model.layers.1.mlp.uq_proj.weight")));
}

}  // namespace
}  // namespace tensormill
