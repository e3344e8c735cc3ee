#include "models/host_batch.h"

#include <algorithm>
#include <memory>
#include <numeric>

#include "base/error.h"
#include "models/device_batch.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"

namespace tensormill {

void HostBatch::clear() {
  *this = HostBatch();
}

void HostBatch::add(std::span<const int32_t> tokens, int32_t begin, int32_t prompt_length,
                    std::span<const int32_t> blocks, Logits logits, const TokenPlaces& places) {
  const auto sequence = static_cast<int32_t>(keys_.size());
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (logits == Logits::kAll || (logits == Logits::kLast && i + 1 == tokens.size())) {
      logit_row_.push_back(static_cast<int32_t>(tokens_.size()));
    }
    tokens_.push_back(tokens[i]);
    const int32_t slot = begin + static_cast<int32_t>(i);
    slots_.push_back(slot);
    for (int axis = 0; axis < 2; ++axis) positions_[axis].push_back(places.position(axis, slot));
    row_sequence_.push_back(sequence);
    prompts_.push_back(prompt_length);
  }
  row_begin_.push_back(static_cast<int32_t>(tokens_.size()));
  keys_.push_back(begin + static_cast<int32_t>(tokens.size()));
  prefix_.push_back(places.prefix());
  blocks_.emplace_back(blocks.begin(), blocks.end());
}

const RaggedBatch& HostBatch::batch() {
  size_t stride = 0;
  for (const std::vector<int32_t>& blocks : blocks_) stride = std::max(stride, blocks.size());
  tables_.assign(stride * blocks_.size(), 0);
  for (size_t s = 0; s < blocks_.size(); ++s) {
    std::copy(blocks_[s].begin(), blocks_[s].end(),
              tables_.begin() + static_cast<std::ptrdiff_t>(s * stride));
  }
  counts_[0] = static_cast<int32_t>(tokens_.size());
  counts_[1] = static_cast<int32_t>(keys_.size());
  counts_[2] = static_cast<int32_t>(logit_row_.size());
  batch_.rows = {&counts_[0], counts_[0]};
  batch_.sequences = {&counts_[1], counts_[1]};
  batch_.logit_rows = {&counts_[2], counts_[2]};
  batch_.max_keys = keys_.empty() ? 0 : *std::max_element(keys_.begin(), keys_.end());
  batch_.tokens = tokens_.data();
  batch_.slots = slots_.data();
  for (int axis = 0; axis < 2; ++axis) batch_.positions[axis] = positions_[axis].data();
  batch_.row_sequence = row_sequence_.data();
  batch_.prompts = prompts_.data();
  batch_.row_begin = row_begin_.data();
  batch_.keys = keys_.data();
  batch_.prefix = prefix_.data();
  batch_.logit_row = logit_row_.data();
  batch_.tables = tables_.data();
  batch_.table_stride = static_cast<int32_t>(stride);
  return batch_;
}

namespace {

void append(Device& device, const float* values, int64_t count, std::vector<float>& to) {
  const size_t before = to.size();
  to.resize(before + static_cast<size_t>(count));
  device.download(&to[before], values, static_cast<size_t>(count) * sizeof(float));
}

void check_sequence(const ModelInfo& info, const std::vector<int32_t>& sequence, size_t number) {
  if (sequence.empty()) {
    throw_error(ErrorKind::kBadRequest, "sequence {} is empty, expected token ids", number);
  }
  for (const int32_t id : sequence) {
    if (id >= 0 && id < info.vocabulary) continue;
    throw_error(ErrorKind::kBadRequest, "sequence {}: token {} is outside the vocabulary of {}",
                number, id, info.vocabulary);
  }
  if (info.hard_position_limit && sequence.size() > static_cast<size_t>(info.max_positions)) {
    throw_error(ErrorKind::kBadRequest, "sequence {} has {} tokens, the model has {} positions",
                number, sequence.size(), info.max_positions);
  }
}

}  // namespace

void visit_sequences(const Model& model, const std::vector<std::vector<int32_t>>& sequences,
                     int32_t chunk, const std::function<void(const VisitedChunk&)>& visit) {
  const ModelInfo& info = model.info();
  size_t longest = 0;
  for (size_t s = 0; s < sequences.size(); ++s) {
    check_sequence(info, sequences[s], s + 1);
    longest = std::max(longest, sequences[s].size());
  }
  if (!info.rules.chunks) chunk = static_cast<int32_t>(longest);
  // One sequence after the other in the same blocks: what `forward` returns must not depend on
  // company anyway.
  const auto rows = std::min(chunk, static_cast<int32_t>(longest));
  std::vector<int32_t> blocks((longest + kBlockTokens - 1) / kBlockTokens);
  std::iota(blocks.begin(), blocks.end(), 0);
  const std::unique_ptr<KvCache> cache = model.make_cache(static_cast<int32_t>(blocks.size()));
  const std::unique_ptr<Workspace> workspace =
      model.make_workspace({rows, 1, rows, static_cast<int32_t>(longest), true});
  HostBatch batch;
  DeviceBatch brought(model.device());
  for (size_t s = 0; s < sequences.size(); ++s) {
    const std::span<const int32_t> sequence = sequences[s];
    const auto length = static_cast<int32_t>(sequence.size());
    const TokenPlaces places = find_places(info.blanks, sequence);
    for (int32_t begin = 0; begin < length; begin += rows) {
      const int32_t count = std::min(rows, length - begin);
      batch.clear();
      batch.add(sequence.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)), begin,
                length, blocks, HostBatch::Logits::kAll, places);
      visit({s, begin, count, forward(model, brought.bring(batch.batch()), *cache, *workspace)});
    }
  }
}

AllRows run_sequences(const Model& model, const std::vector<std::vector<int32_t>>& sequences,
                      int32_t chunk) {
  const ModelInfo& info = model.info();
  AllRows all;
  visit_sequences(model, sequences, chunk, [&](const VisitedChunk& visited) {
    append(model.device(), visited.output.logits, int64_t{visited.count} * info.vocabulary,
           all.logits);
    append(model.device(), visited.output.hidden, int64_t{visited.count} * info.head_width,
           all.hidden);
    model.device().wait();
    all.rows += visited.count;
  });
  return all;
}

}  // namespace tensormill
