#include "engine/step_message.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "engine/fake_device.h"
#include "engine/step_recordings.h"

namespace tensormill {
namespace {

std::vector<int32_t> part(const int32_t* begin, int32_t count) {
  return {begin, begin + count};
}

class StepMessage : public testing::Test {
 protected:
  StepMessage() {
    prompt_.tokens = {10, 11, 12, 13, 14};
    prompt_.prompt = 5;
    prompt_.blocks = {7, 8};  // the second one for later
    decoding_.tokens.assign(40, 3);
    decoding_.prompt = 39;
    decoding_.blocks = {4, 5};
    decoding_.ahead = 1;
    decoding_.seat = 6;
    items_ = {{&prompt_, 1, 3, false}, {&decoding_, 40, 1, true}};
  }
  Sequence prompt_, decoding_;
  std::vector<StepItem> items_;
};

TEST_F(StepMessage, HoldsRowsTablesAndTokensToCome) {
  const StepShape shape = shape_of(items_, false);
  EXPECT_EQ(shape.rows, 4);
  EXPECT_EQ(shape.logit_rows, 1);
  EXPECT_EQ(shape.max_keys, 41);
  EXPECT_EQ(shape.blocks, 2);
  EXPECT_FALSE(shape.decodes());
  const StepLayout layout(shape);
  std::vector<int32_t> message(layout.size(), -9);
  layout.write(items_, message.data());
  const RaggedBatch batch = layout.batch(message.data());
  EXPECT_EQ(part(batch.tokens, 4), (std::vector<int32_t>{11, 12, 13, ~6}));
  EXPECT_EQ(part(batch.slots, 4), (std::vector<int32_t>{1, 2, 3, 40}));
  EXPECT_EQ(part(batch.row_sequence, 4), (std::vector<int32_t>{0, 0, 0, 1}));
  EXPECT_EQ(part(batch.prompts, 4), (std::vector<int32_t>{5, 5, 5, 39}));
  EXPECT_EQ(part(batch.row_begin, 3), (std::vector<int32_t>{0, 3, 4}));
  EXPECT_EQ(part(batch.keys, 2), (std::vector<int32_t>{4, 41}));
  EXPECT_EQ(part(batch.tables, 4), (std::vector<int32_t>{7, 0, 4, 5}));
  EXPECT_EQ(*batch.logit_row, 3);
  EXPECT_EQ(std::count(message.begin(), message.end(), -9), 0);
}

TEST_F(StepMessage, WhatAShapeHasBeyondItsItemsIsHarmless) {
  StepShape shape = shape_of(items_, true);
  shape.rows += 2;
  shape.sequences += 3;
  shape.logit_rows += 2;
  shape.blocks += 1;
  const StepLayout layout(shape);
  std::vector<int32_t> message(layout.size(), -9);
  layout.write(items_, message.data());
  SampleRow choice{};
  choice.length = 41;
  choice.banned_ids[kMaxBanned - 1] = 17;
  layout.write_choice(0, choice, message.data());
  const RaggedBatch batch = layout.batch(message.data());
  EXPECT_EQ(*batch.rows.count, 4);
  EXPECT_EQ(batch.rows.bound, 6);
  EXPECT_EQ(*batch.sequences.count, 2);
  EXPECT_EQ(batch.sequences.bound, 5);
  EXPECT_EQ(*batch.logit_rows.count, 1);
  EXPECT_EQ(part(batch.row_begin, 6), (std::vector<int32_t>{0, 3, 4, 4, 4, 4}));
  EXPECT_EQ(part(batch.keys, 5), (std::vector<int32_t>{4, 41, 0, 0, 0}));
  EXPECT_EQ(part(batch.tables, 6), (std::vector<int32_t>{7, 0, 0, 4, 5, 0}));
  EXPECT_EQ(layout.choices(message.data())[0].length, 41);
  EXPECT_EQ(layout.choices(message.data())[0].banned_ids[kMaxBanned - 1], 17);
  EXPECT_EQ(layout.choices(message.data())[1].length, 0);
  EXPECT_EQ(std::count(message.begin(), message.end(), -9), 0);
}

StepShape decode_shape(int32_t rows, int32_t max_keys) {
  return {rows, rows, rows, max_keys, Scheduler::blocks_for(max_keys), true};
}

TEST(StepRecordings, FewSizes) {
  std::vector<int32_t> sizes;
  for (int32_t rows = 1; rows <= 128; ++rows) {
    const int32_t size = recorded_rows(rows);
    EXPECT_GE(size, rows);
    if (sizes.empty() || sizes.back() != size) sizes.push_back(size);
  }
  EXPECT_EQ(sizes, (std::vector<int32_t>{1,  2,  3,  4,  5,  6,  7,  8,  10, 12, 14,  16,
                                         20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128}));
}

TEST(StepRecordings, ShapesStayWithinTheLargest) {
  FakeDevice device;
  const StepRecordings recordings(device, decode_shape(18, 5000), true);
  StepShape shape = recordings.fit(decode_shape(9, 100));
  EXPECT_EQ(shape.rows, 10);
  EXPECT_EQ(shape.blocks, 64);
  EXPECT_EQ(shape.max_keys, 2048);
  shape = recordings.fit(decode_shape(17, 4500));
  EXPECT_EQ(shape.rows, 18);
  EXPECT_EQ(shape.blocks, 157);
  EXPECT_EQ(shape.max_keys, 5000);
  StepShape prompt = decode_shape(9, 100);
  prompt.rows = 50;
  prompt.logit_rows = 1;
  shape = StepRecordings(device, {1000, 18, 18, 5000, 157, true}, true).fit(prompt);
  EXPECT_EQ(shape.rows, 56);
  EXPECT_EQ(shape.sequences, 10);
  EXPECT_EQ(shape.logit_rows, 10);
  EXPECT_EQ(shape.blocks, 64);
  prompt.logit_rows = 0;
  EXPECT_EQ(recordings.fit(prompt).rows, 18);  // no step has more
  EXPECT_EQ(recordings.fit(prompt).logit_rows, 0);
  prompt.rows = 600;
  EXPECT_EQ(recordings.fit(prompt).rows, 600);
  EXPECT_EQ(recordings.fit(prompt).blocks, 4);
}

// With as many rows as sequences each sequence would be taken to have one.
TEST(StepRecordings, PromptsStayPrompts) {
  FakeDevice device;
  for (const int32_t most : {256, 200, 160, 34}) {
    const StepRecordings recordings(device, {most, most, most, 2048, 64, true}, true);
    for (int32_t sequences = 1; sequences < most; ++sequences) {
      for (int32_t rows = sequences + 1; rows <= most; ++rows) {
        const StepShape shape = recordings.fit({rows, sequences, 1, 100, 4, true});
        ASSERT_GT(shape.rows, shape.sequences) << rows << " rows of " << sequences;
        ASSERT_GE(shape.rows, rows);
        ASSERT_GE(shape.sequences, sequences);
        ASSERT_LE(shape.rows, most);
      }
    }
  }
}

TEST(StepRecordings, PromptsThatComeOften) {
  FakeDevice device;
  StepRecordings recordings(device, {512, 64, 64, 2048, 64, true}, true);
  const std::function<void()> work = [] {};
  const auto run = [&](int32_t rows, int32_t sequences, int times) {
    const StepShape shape = recordings.fit({rows, sequences, 1, 100, 4, true});
    for (int i = 0; i < times; ++i) recordings.run(shape, 0, work);
  };
  run(100, 1, 8);
  EXPECT_EQ(device.recorded, 0);
  run(100, 1, 3);
  EXPECT_EQ(device.recorded, 1);
  EXPECT_EQ(device.replayed, 3);
  for (int32_t sequences = 2; sequences <= 12; ++sequences) {
    for (int32_t rows = 16; rows < 256; rows = recorded_rows(rows + 1)) run(rows, sequences, 9);
  }
  EXPECT_EQ(device.recorded, 64);
  run(8, 8, 2);  // all decode
  EXPECT_EQ(device.recorded, 65);
  run(300, 1, 20);  // too long
  EXPECT_EQ(device.recorded, 65);
}

TEST(StepRecordings, RecordsAtTheSecondUse) {
  FakeDevice device;
  StepRecordings recordings(device, decode_shape(8, 2048), true);
  int runs = 0;
  const std::function<void()> work = [&runs] { ++runs; };
  for (int i = 1; i <= 4; ++i) {
    recordings.run(recordings.fit(decode_shape(3, 100)), 0, work);
    EXPECT_EQ(runs, i);
    EXPECT_EQ(device.recorded, i >= 2 ? 1 : 0);
    EXPECT_EQ(device.replayed, std::max(0, i - 1));
  }
  recordings.run(recordings.fit(decode_shape(3, 100)), 1, work);  // the other side
  EXPECT_EQ(device.recorded, 1);
  device.fails_to_record = true;
  for (int i = 6; i <= 9; ++i) {
    recordings.run(recordings.fit(decode_shape(4, 100)), 0, work);
    EXPECT_EQ(runs, i);
  }
}

}  // namespace
}  // namespace tensormill
