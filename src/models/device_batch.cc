#include "models/device_batch.h"

#include <algorithm>
#include <vector>

namespace tensormill {

const RaggedBatch& DeviceBatch::bring(const RaggedBatch& host) {
  batch_ = host;
  if (device_.on_host()) return batch_;
  std::vector<int32_t> message;
  std::vector<std::pair<const int32_t**, size_t>> sections;
  const auto section = [&](const int32_t*& pointer, int64_t count) {
    if (pointer == nullptr) return;
    sections.emplace_back(&pointer, message.size());
    message.insert(message.end(), pointer, pointer + count);
  };
  const int64_t rows = host.rows.bound, sequences = host.sequences.bound;
  for (Live* live : {&batch_.rows, &batch_.sequences, &batch_.logit_rows}) section(live->count, 1);
  for (const int32_t** each : {&batch_.tokens, &batch_.slots, &batch_.positions[0],
                               &batch_.positions[1], &batch_.row_sequence, &batch_.prompts}) {
    section(*each, rows);
  }
  section(batch_.row_begin, sequences + 1);
  section(batch_.keys, sequences);
  section(batch_.prefix, sequences);
  section(batch_.logit_row, host.logit_rows.bound);
  section(batch_.tables, sequences * host.table_stride);
  const size_t bytes = message.size() * sizeof(int32_t);
  if (memory_.size() < bytes) memory_ = Buffer(bytes, "a step's message", device_);
  device_.upload(memory_.data(), message.data(), bytes);
  for (const auto& [pointer, at] : sections) *pointer = memory_.as<int32_t>() + at;
  return batch_;
}

}  // namespace tensormill
