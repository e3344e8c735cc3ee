#include "models/gguf_family.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace tensormill {
namespace {

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string text(std::string_view value) {
  return raw<uint64_t>(value.size()) + std::string(value);
}

// A llama file of width 32 with 2 heads or as many as asked for, these further keys and, if not
// empty, a table of rope factors.
class LlamaFile {
 public:
  explicit LlamaFile(uint32_t heads = 2) : heads_(heads) {}
  void add(std::string_view name, uint32_t value) {
    keys_ += text(name) + raw<uint32_t>(4) + raw(value);
    ++count_;
  }
  void add(std::string_view name, float value) {
    keys_ += text(name) + raw<uint32_t>(6) + raw(value);
    ++count_;
  }
  void add(std::string_view name, std::string_view value) {
    keys_ += text(name) + raw<uint32_t>(8) + text(value);
    ++count_;
  }
  GgufFile read(const std::vector<float>& factors = {}) {
    add("general.architecture", "llama");
    add("llama.context_length", 64U);
    add("llama.embedding_length", 32U);
    add("llama.block_count", 2U);
    add("llama.feed_forward_length", 64U);
    add("llama.attention.head_count", heads_);
    bytes_ =
        "GGUF" + raw<uint32_t>(3) + raw<uint64_t>(factors.empty() ? 1 : 2) + raw(count_) + keys_;
    const auto tensor = [](std::string_view name, uint64_t size, uint64_t offset, int rank) {
      std::string sizes = raw(size) + (rank == 2 ? raw<uint64_t>(1) : "");
      return text(name) + raw(rank) + sizes + raw<uint32_t>(0) + raw(offset);
    };
    bytes_ += tensor("token_embd.weight", 32, 0, 2);
    if (!factors.empty()) bytes_ += tensor("rope_freqs.weight", factors.size(), 128, 1);
    bytes_.resize((bytes_.size() + 31) / 32 * 32 + 128);
    for (const float factor : factors) bytes_ += raw(factor);
    return GgufFile::parse({reinterpret_cast<const std::byte*>(bytes_.data()), bytes_.size()}, "f");
  }

 private:
  uint32_t heads_;
  std::string keys_, bytes_;
  uint64_t count_ = 0;
};

OrderedJson config(const GgufFile& file) {
  return find_gguf_family(file).config(file);
}

void expect_error(const GgufFile& file, ErrorKind kind, const char* part) {
  try {
    config(file);
    FAIL() << "expected an error about " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), testing::HasSubstr(part));
  }
}

LlamaFile complete(uint32_t heads = 2) {
  LlamaFile file(heads);
  file.add("llama.attention.layer_norm_rms_epsilon", 1e-5F);
  return file;
}

TEST(GgufFamily, FindsTheParametersOfARopeTable) {
  LlamaFile file = complete();
  file.add("llama.rope.freq_base", 500000.0F);
  // What transformers makes of factor 8 over 8192 positions for heads of 16.
  const OrderedJson json = config(file.read({1, 1, 1, 1, 2.69453025F, 8, 8, 8}));
  EXPECT_EQ(json["rope_scaling"]["rope_type"], "llama3");
  EXPECT_EQ(json["rope_scaling"]["factor"], 8.0);
  EXPECT_EQ(json["rope_scaling"]["original_max_position_embeddings"], 8192);
}

TEST(GgufFamily, RefusesARopeTableThatNothingMakes) {
  LlamaFile file = complete();
  const GgufFile read = file.read({1, 1, 1, 3, 2.69453025F, 8, 8, 8});
  expect_error(read, ErrorKind::kUnsupported, "rope_freqs.weight");
  LlamaFile wrong = complete();
  expect_error(wrong.read({1, 1}), ErrorKind::kArtifactInvalid, "expected 8 values of F32");
}

TEST(GgufFamily, LinearScalingAndDefaults) {
  LlamaFile file = complete();
  file.add("llama.rope.scaling.type", "linear");
  file.add("llama.rope.scaling.factor", 4.0F);
  const OrderedJson json = config(file.read());
  EXPECT_EQ(json["rope_scaling"], OrderedJson::parse(R"({"rope_type":"linear","factor":4.0})"));
  EXPECT_EQ(json["rope_theta"], 10000.0);
  EXPECT_EQ(json["num_key_value_heads"], 2);
  LlamaFile other = complete();
  other.add("llama.rope.scaling.type", "yarn");
  expect_error(other.read(), ErrorKind::kUnsupported, "\"yarn\"");
}

TEST(GgufFamily, RefusesMissingAndAbsurdKeys) {
  LlamaFile none;
  expect_error(none.read(), ErrorKind::kArtifactInvalid, "layer_norm_rms_epsilon\" is missing");
  LlamaFile keys = complete();
  keys.add("llama.attention.head_count_kv", 3U);
  expect_error(keys.read(), ErrorKind::kArtifactInvalid, "head_count_kv\": 3, expected 1 to 2");
  LlamaFile odd = complete();
  odd.add("llama.rope.dimension_count", 7U);
  expect_error(odd.read(), ErrorKind::kArtifactInvalid, "expected an even number");
  expect_error(complete(33).read(), ErrorKind::kArtifactInvalid, "heads of 0 elements");
  LlamaFile experts = complete();
  experts.add("llama.expert_count", 8U);
  expect_error(experts.read(), ErrorKind::kUnsupported, "llama.expert_count");
}

TEST(GgufFamily, NamesFitWholeOrNotAtAll) {
  const std::vector<GgufName> names = {{"blk.{L}.attn_q", "layers.{L}.q", true},
                                       {"output", "head"}};
  const GgufSource weight = match_gguf_name(names, "blk.12.attn_q.weight");
  EXPECT_EQ(weight.name, "layers.12.q.weight");
  EXPECT_TRUE(weight.transposed);
  EXPECT_FALSE(match_gguf_name(names, "blk.12.attn_q.bias").transposed);
  EXPECT_EQ(match_gguf_name(names, "output.weight").name, "head.weight");
  for (const char* other : {"blk..attn_q.weight", "blk.1.attn_qkv.weight", "blk.x.attn_q.weight",
                            "output", "output.scale", "xoutput.weight", ""}) {
    EXPECT_EQ(match_gguf_name(names, other).name, "") << other;
  }
}

TEST(GgufFamily, UnknownArchitectureListsTheKnownOnes) {
  std::string bytes = "GGUF" + raw<uint32_t>(3) + raw<uint64_t>(0) + raw<uint64_t>(1) +
                      text("general.architecture") + raw<uint32_t>(8) + text("mystery");
  const auto file =
      GgufFile::parse({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()}, "f");
  expect_error(file, ErrorKind::kUnsupported,
               "architecture \"mystery\" is not supported; expected gpt2, gptneox, llama");
}

}  // namespace
}  // namespace tensormill
