#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "fixture.h"
#include "models/device_batch.h"
#include "models/host_batch.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"
#include "nn/token_places.h"
#include "tensor/host_values.h"

namespace tensormill {

// What the tests allow, of the largest expected value.
inline double tolerance(WeightFormat format) {
  return format == WeightFormat::kF32 ? 1e-4 : 2e-2;
}

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

// Runs the fixture's prompts in chunks, where the model may, and compares the rows that are known.
inline Differences compare(const Variant& variant, const Model& model) {
  constexpr int32_t kChunk = 64;
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
      of_hidden.add(&all.hidden[static_cast<size_t>(row) * info.head_width], hidden,
                    info.head_width);
      logits += info.vocabulary;
      hidden += info.head_width;
    }
  }
  return {of_logits.relative(), of_hidden.relative()};
}

// The best token after the prompt and after each of the reference's tokens but the last. The prompt
// comes in chunks, where the model may; where nothing is cached, with all tokens before.
inline std::vector<int32_t> best_tokens(const Variant& variant, const Model& model) {
  std::vector<int32_t> tokens = variant.prompts[static_cast<size_t>(variant.greedy_prompt)];
  const auto prompt = static_cast<int32_t>(tokens.size());
  const SequenceRules& rules = model.info().rules;
  const int32_t chunk = rules.chunks ? 7 : prompt;
  const TokenPlaces places = find_places(model.info().blanks, tokens);
  tokens.insert(tokens.end(), variant.greedy.begin(), variant.greedy.end() - 1);
  const auto total = static_cast<int32_t>(tokens.size());
  std::vector<int32_t> blocks(static_cast<size_t>(total + kBlockTokens - 1) / kBlockTokens);
  std::iota(blocks.begin(), blocks.end(), 0);
  const auto cache = model.make_cache(static_cast<int32_t>(blocks.size()));
  const auto workspace = model.make_workspace({rules.recomputes ? total : chunk, 1, 1, total});
  std::vector<int32_t> result;
  HostBatch batch;
  DeviceBatch brought(model.device());
  const auto vocabulary = static_cast<size_t>(model.info().vocabulary);
  int32_t begin = 0;
  while (begin < total) {
    const int32_t count = begin < prompt ? std::min(chunk, prompt - begin) : 1;
    const int32_t first = rules.recomputes ? 0 : begin;
    begin += count;
    batch.clear();
    batch.add(
        std::span(tokens).subspan(static_cast<size_t>(first), static_cast<size_t>(begin - first)),
        first, prompt, blocks, HostBatch::Logits::kLast, places);
    const float* at = forward(model, brought.bring(batch.batch()), *cache, *workspace).logits;
    if (begin < prompt) continue;
    const HostValues<float> logits(model.device(), at, vocabulary);
    const float* best = std::max_element(logits.data(), logits.data() + vocabulary);
    result.push_back(static_cast<int32_t>(best - logits.data()));
  }
  return result;
}

// Whether the reference's choice at a step is so clear that this format must make it too. In f32
// every one is.
inline bool must_agree(const Variant& variant, size_t step, WeightFormat format) {
  return format == WeightFormat::kF32 || double{variant.gaps[step]} > tolerance(format);
}

}  // namespace tensormill
