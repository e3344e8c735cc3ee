// A sequence's results are the same bits alone and in company, whole and in chunks, on any threads.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>

#include "models/host_batch.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"
#include "nn/token_places.h"
#include "parity.h"

namespace tensormill {
namespace {

// One sequence as the steps of a test run it.
struct Running {
  std::vector<int32_t> tokens;  // prompt, then tokens that "were generated"
  int32_t prompt = 0;
  TokenPlaces places;
  std::vector<int32_t> blocks;
  int32_t done = 0;
  std::vector<float> logits;  // [rows computed, vocabulary]
};

constexpr int32_t kBlocks = 251;  // prime, and more than the sequences need

std::vector<Running> make_sequences(const Variant& variant, const ModelInfo& info) {
  std::vector<Running> sequences;
  int32_t block = 0;
  for (const std::vector<int32_t>& prompt : variant.prompts) {
    Running& sequence = sequences.emplace_back();
    sequence.tokens = prompt;
    sequence.prompt = static_cast<int32_t>(prompt.size());
    sequence.places = find_places(info.blanks, prompt);
    sequence.tokens.insert(sequence.tokens.end(), variant.greedy.begin(),
                           variant.greedy.begin() + 5);
    // Blocks of different sequences alternate, so that a wrong table shows.
    for (size_t b = 0; b * kBlockTokens < sequence.tokens.size(); ++b) {
      sequence.blocks.push_back(static_cast<int32_t>(variant.prompts.size()) * block++ % kBlocks);
    }
  }
  return sequences;
}

// Runs the sequences until all their tokens are done. Step i of sequence s takes chunk(s, i) prompt
// tokens; after the prompt one token a step. Where nothing is cached, all tokens before come again
// and all their logits are kept.
template <class Chunk>
void run(const Model& model, std::span<Running> sequences, Chunk&& chunk) {
  int32_t rows = 0, longest = 0;
  for (const Running& sequence : sequences) {
    rows += static_cast<int32_t>(sequence.tokens.size());
    longest = std::max(longest, static_cast<int32_t>(sequence.tokens.size()));
  }
  const auto cache = model.make_cache(kBlocks);
  const auto workspace =
      model.make_workspace({rows, static_cast<int32_t>(sequences.size()), rows, longest});
  const auto vocabulary = static_cast<size_t>(model.info().vocabulary);
  HostBatch batch;
  DeviceBatch brought(model.device());
  for (int step = 0;; ++step) {
    batch.clear();
    std::vector<std::pair<Running*, int32_t>> taken;
    for (size_t s = 0; s < sequences.size(); ++s) {
      Running& sequence = sequences[s];
      const auto total = static_cast<int32_t>(sequence.tokens.size());
      const int32_t left = sequence.prompt - sequence.done;
      const int32_t count = left > 0 ? std::min(left, chunk(s, step)) : 1;
      if (sequence.done == total || count == 0) continue;
      const int32_t first = model.info().rules.recomputes ? 0 : sequence.done;
      const int32_t computed = sequence.done + count - first;
      batch.add(std::span(sequence.tokens)
                    .subspan(static_cast<size_t>(first), static_cast<size_t>(computed)),
                first, sequence.prompt, sequence.blocks, HostBatch::Logits::kAll, sequence.places);
      sequence.done += count;
      taken.emplace_back(&sequence, computed);
    }
    if (taken.empty()) {
      const bool all_done = std::all_of(sequences.begin(), sequences.end(), [](const Running& s) {
        return s.done == static_cast<int32_t>(s.tokens.size());
      });
      if (all_done) return;
      continue;
    }
    const RaggedBatch& on_device = brought.bring(batch.batch());
    const HostValues<float> values(model.device(),
                                   forward(model, on_device, *cache, *workspace).logits,
                                   static_cast<size_t>(on_device.logit_rows.bound) * vocabulary);
    const float* logits = values.data();
    for (auto& [sequence, computed] : taken) {
      const float* end = logits + static_cast<size_t>(computed) * vocabulary;
      sequence->logits.insert(sequence->logits.end(), logits, end);
      logits = end;
    }
  }
}

constexpr int32_t kWhole = 1 << 20;

// Uneven chunks, or, where prompts may not be cut, whole prompts that come in at different steps.
int32_t uneven(const SequenceRules& rules, size_t s, int step) {
  if (!rules.chunks) return step < static_cast<int>(s) ? 0 : kWhole;
  return static_cast<int32_t>(s * 29 + static_cast<size_t>(step) * 37 + 1) % 90 + 1;
}

class Ragged : public testing::TestWithParam<Variant> {};

TEST_P(Ragged, SameBitsInAnyCompany) {
  constexpr auto kNone = Quantization::kNone, kInt8 = Quantization::kDynamicInt8;
  const struct {
    WeightFormat format;
    Quantization quantize;
    std::optional<DType> cache;
  } kTypes[] = {{WeightFormat::kF32, kNone, {}},
                {WeightFormat::kF16, kNone, {}},
                {WeightFormat::kBF16, kNone, {}},
                {WeightFormat::kBF16, kInt8, {}},
                {WeightFormat::kBF16, kNone, DType::kI8}};
  for (const auto& [format, quantize, cache] : kTypes) {
    if ((quantize == kInt8 || cache == DType::kI8) && on_gpu()) continue;
    LoadOptions single = load_options(format);
    single.quantize = quantize;
    single.cache_type = cache;
    const auto model = GetParam().load(single);
    const ModelInfo& info = model->info();
    std::vector<Running> alone = make_sequences(GetParam(), info);
    for (Running& sequence : alone) {
      run(*model, {&sequence, 1}, [](size_t, int) { return kWhole; });
    }
    ThreadTeam team(2);
    LoadOptions options = single;
    run_on_test_device(options, &team);
    const auto threaded = GetParam().load(options);
    std::vector<Running> together = make_sequences(GetParam(), info);
    run(*threaded, together, [&](size_t s, int step) { return uneven(info.rules, s, step); });
    for (size_t s = 0; s < alone.size(); ++s) {
      ASSERT_EQ(alone[s].logits.size(), together[s].logits.size());
      if (on_gpu()) {  // there the last bits may depend on a step's rows
        Difference difference;
        difference.add(together[s].logits.data(), alone[s].logits.data(),
                       static_cast<int64_t>(alone[s].logits.size()));
        EXPECT_LE(difference.relative(), tolerance(format)) << "sequence " << s;
        continue;
      }
      EXPECT_EQ(std::memcmp(alone[s].logits.data(), together[s].logits.data(),
                            alone[s].logits.size() * sizeof(float)),
                0)
          << "sequence " << s;
    }
  }
}

std::string test_name(const testing::TestParamInfo<Variant>& info) {
  return test_text(info.param.family + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Models, Ragged, testing::ValuesIn(variants()), test_name);

}  // namespace
}  // namespace tensormill
