// Every family in the rolling batch: prompts of all lengths together, the reference's greedy
// tokens.

#include <gtest/gtest.h>

#include <vector>

#include "engine/engine.h"
#include "engine/fakes.h"
#include "models/fixture.h"

namespace tensormill {
namespace {

class EngineOnFamily : public testing::TestWithParam<Variant> {};

TEST_P(EngineOnFamily, AnswersAsTheReferenceInCompany) {
  const Variant& variant = GetParam();
  ThreadTeam team(2);
  LoadOptions load = load_options(WeightFormat::kF32);
  run_on_test_device(load, &team);
  const auto model = variant.load(load);
  const auto tokenizer = byte_tokenizer(model->info().vocabulary);
  EngineOptions options;
  options.max_tokens = 1024;
  options.max_sequences = 5;  // fewer than requests: some join later
  options.step_token_budget = 48;
  options.team = &team;
  CollectingSink sink;
  Engine engine(*model, *tokenizer, options);
  std::vector<uint64_t> ids, watched;
  for (int round = 0; round < 2; ++round) {
    for (size_t p = 0; p < variant.prompts.size(); ++p) {
      // A prompt that fills all positions has no answer.
      if (static_cast<int32_t>(variant.prompts[p].size()) == model->info().max_positions) continue;
      GenerationRequest request;
      request.prompt = variant.prompts[p];
      request.max_new_tokens = static_cast<int32_t>(variant.greedy.size());
      request.ignore_eos = true;
      request.sink = &sink;
      ids.push_back(engine.submit(request));
      if (static_cast<int32_t>(p) == variant.greedy_prompt) watched.push_back(ids.back());
    }
  }
  sink.wait_ended(ids.size());
  for (const uint64_t id : ids) {
    EXPECT_EQ(sink.answer(id).finish, FinishReason::kLength) << sink.answer(id).error;
  }
  for (const uint64_t id : watched) EXPECT_EQ(sink.answer(id).tokens, variant.greedy);
}

std::string test_name(const testing::TestParamInfo<Variant>& info) {
  return test_text(info.param.family + "_" + info.param.name);
}

INSTANTIATE_TEST_SUITE_P(Models, EngineOnFamily, testing::ValuesIn(variants()), test_name);

}  // namespace
}  // namespace tensormill
