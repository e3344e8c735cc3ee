// Every family against transformers: logits and hidden rows, and greedy continuations.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "fixture.h"
#include "models/host_batch.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"

namespace tensormill {
namespace {

constexpr int32_t kChunk = 64;

// Largest difference, relative to the largest expected value.
struct Difference {
  double worst = 0, largest = 0;
  void add(const float* got, const float* expected, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      worst = std::max(worst, std::abs(double{got[i]} - double{expected[i]}));
      if (std::isnan(got[i])) worst = INFINITY;
      largest = std::max(largest, std::abs(double{expected[i]}));
    }
  }
  double relative() const { return worst / largest; }
};

struct Differences {
  double logits, hidden;
};

Differences compare(const Variant& variant, const Model& model) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(variant.golden() / (variant.name + ".expected.safetensors"),
                             folder.path() / "model.safetensors");
  const auto expected = open_checkpoint(folder.path());
  const auto* logits = static_cast<const float*>(expected->find("logits")->view.data);
  const auto* hidden = static_cast<const float*>(expected->find("hidden")->view.data);
  const ModelInfo& info = model.info();
  Difference of_logits, of_hidden;
  for (size_t p = 0; p < variant.prompts.size(); ++p) {
    const AllRows all = run_sequences(model, {variant.prompts[p]}, kChunk);
    for (const int32_t row : variant.rows[p]) {
      of_logits.add(&all.logits[static_cast<size_t>(row) * info.vocabulary], logits,
                    info.vocabulary);
      of_hidden.add(&all.hidden[static_cast<size_t>(row) * info.width], hidden, info.width);
      logits += info.vocabulary;
      hidden += info.width;
    }
  }
  return {of_logits.relative(), of_hidden.relative()};
}

std::vector<int32_t> greedy(const Model& model, const std::vector<int32_t>& prompt, size_t count) {
  const auto total = static_cast<int32_t>(prompt.size() + count);
  std::vector<int32_t> blocks(static_cast<size_t>(total + kBlockTokens - 1) / kBlockTokens);
  std::iota(blocks.begin(), blocks.end(), 0);
  const auto cache = model.make_cache(static_cast<int32_t>(blocks.size()));
  const auto workspace = model.make_workspace({total, 1, 1, total});
  std::vector<int32_t> tokens = prompt, result;
  int32_t begin = 0;
  HostBatch batch;
  while (result.size() < count) {
    batch.clear();
    batch.add(std::span(tokens).subspan(static_cast<size_t>(begin)), begin,
              static_cast<int32_t>(prompt.size()), blocks, HostBatch::Logits::kLast);
    begin = static_cast<int32_t>(tokens.size());
    const StepOutput out = forward(model, batch.batch(), *cache, *workspace);
    const float* best = std::max_element(out.logits, out.logits + model.info().vocabulary);
    result.push_back(static_cast<int32_t>(best - out.logits));
    tokens.push_back(result.back());
  }
  return result;
}

class Parity : public testing::TestWithParam<Variant> {};

TEST_P(Parity, F32) {
  const Variant& variant = GetParam();
  const auto model = variant.load(load_options(WeightFormat::kF32));
  const Differences difference = compare(variant, *model);
  EXPECT_LT(difference.logits, 1e-4);
  EXPECT_LT(difference.hidden, 1e-4);
  EXPECT_EQ(greedy(*model, variant.prompts[static_cast<size_t>(variant.greedy_prompt)],
                   variant.greedy.size()),
            variant.greedy);
}

// The files hold f16: the weights are exact, keys and values round.
TEST_P(Parity, F16) {
  const Variant& variant = GetParam();
  const auto model = variant.load(load_options(WeightFormat::kF16));
  const Differences difference = compare(variant, *model);
  EXPECT_LT(difference.logits, 2e-2);
  EXPECT_LT(difference.hidden, 2e-2);
}

TEST_P(Parity, Bf16) {
  const Variant& variant = GetParam();
  const auto model = variant.load(load_options(WeightFormat::kBF16));
  const Differences difference = compare(variant, *model);
  EXPECT_LT(difference.logits, 2e-1);
  EXPECT_LT(difference.hidden, 2e-1);
}

std::string test_name(const testing::TestParamInfo<Variant>& info) {
  return test_text(info.param.family + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Models, Parity, testing::ValuesIn(variants()), test_name);

}  // namespace
}  // namespace tensormill
