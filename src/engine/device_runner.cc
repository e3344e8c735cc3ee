#include "engine/device_runner.h"

#include <algorithm>
#include <exception>

#include "base/log.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"

namespace tensormill {

DeviceRunner::DeviceRunner(const Model& model) : model_(model), device_(model.device()) {}

// The memory may not go while something runs on it.
DeviceRunner::~DeviceRunner() {
  try {
    device_.wait();
  } catch (const std::exception& error) {
    spdlog::error("{}", error.what());
  }
}

void DeviceRunner::prepare(const StepLimits& limits, const EngineOptions& options) {
  const int64_t before = device_.available();
  const bool chooses = model_.kernels().sample != nullptr;
  const StepShape largest{limits.rows,
                          limits.sequences,
                          limits.logit_rows,
                          limits.max_keys,
                          Scheduler::blocks_for(limits.max_keys),
                          chooses};
  workspace_ = model_.make_workspace(limits);
  if (chooses) {
    sampler_.emplace(model_.kernels(), model_.stream(), device_,
                     DeviceSampler::Sizes{info().vocabulary, limits.logit_rows, limits.sequences,
                                          limits.max_keys});
  }
  const size_t bytes = StepLayout(largest).size() * sizeof(int32_t);
  message_ = Buffer(bytes, "a step's message", device_);
  for (Side& side : sides_) {
    side.message = StagingBuffer(bytes, device_);
    side.results =
        StagingBuffer(static_cast<size_t>(limits.logit_rows) * sizeof(SampleResult), device_);
  }
  recordings_.emplace(device_, largest, options.record_steps && !info().rules.recomputes);
  workspace_bytes_ = before - device_.available();
}

CacheMemory DeviceRunner::memory() const {
  return {device_.available(), device_.name(), device_.total(), info().weight_bytes,
          workspace_bytes_};
}

void DeviceRunner::make_cache(int32_t blocks) {
  cache_ = model_.make_cache(blocks);
  if (!info().rules.recomputes) warm_up(blocks);
}

// Prompts of several lengths: kernels are loaded at their first use, and products choose how they
// run by trying. What is left in the cache belongs to nobody.
void DeviceRunner::warm_up(int32_t blocks) {
  constexpr int32_t kFewest = 64;
  const StepLimits& limits = workspace_->limits();
  const KernelTable& kernels = model_.kernels();
  const int32_t most =
      std::min({limits.rows, limits.max_keys,
                static_cast<int32_t>(std::min<int64_t>(int64_t{blocks} * kBlockTokens, 1 << 20))});
  Sequence sequence;
  for (int32_t i = 0; i < most; ++i) sequence.tokens.push_back(i * 7919 % info().vocabulary);
  for (int32_t b = 0; b < Scheduler::blocks_for(most); ++b) sequence.blocks.push_back(b);
  if (kernels.measure != nullptr) kernels.measure(true, model_.stream());
  for (int32_t rows = most; rows >= std::min(kFewest, most); rows /= 2) {
    sequence.prompt = rows;
    const StepItem item{&sequence, 0, rows, true};
    const StepLayout layout(shape_of({&item, 1}, false));
    auto* const message = sides_[0].message.as<int32_t>();
    layout.write({&item, 1}, message);
    device_.upload_staged(message_.data(), message, layout.size() * sizeof(int32_t));
    forward(model_, layout.batch(message_.as<int32_t>()), *cache_, *workspace_);
    device_.wait();
  }
  if (kernels.measure != nullptr) kernels.measure(false, model_.stream());
}

void DeviceRunner::put_history(int32_t row, std::span<const int32_t> tokens) {
  sampler_->put_history(row, tokens);
}

StepDraft DeviceRunner::begin(const StepShape& shape) {
  draft_.emplace(recordings_->fit(shape));
  return {*draft_, sides_[launched_ % 2].message.as<int32_t>()};
}

void DeviceRunner::launch(std::span<const int32_t> logit_rows) {
  const auto which = static_cast<int>(launched_ % 2);
  Side& side = sides_[launched_ % 2];
  recordings_->run(draft_->shape(), which, [this, &side] { enqueue(*draft_, side); });
  side.chosen = sampler_ ? static_cast<size_t>(draft_->shape().logit_rows) : 0;
  download_logits(logit_rows);
  device_.mark(which);
  ++launched_;
}

StepResults DeviceRunner::collect() {
  const size_t which = collected_++ % 2;
  device_.wait_for(static_cast<int>(which));
  const Side& side = sides_[which];
  return {{side.results.as<SampleResult>(), side.chosen}, host_logits_.as<float>()};
}

void DeviceRunner::enqueue(const StepLayout& layout, const Side& side) {
  const int32_t* const message = message_.as<int32_t>();
  device_.upload_staged(message_.data(), side.message.as<void>(), layout.size() * sizeof(int32_t));
  RaggedBatch batch = layout.batch(message);
  if (sampler_) {
    batch.history = sampler_->history();
    batch.history_stride = sampler_->history_stride();
  }
  logits_ = forward(model_, batch, *cache_, *workspace_).logits;
  if (sampler_ && batch.logit_rows.bound > 0) {
    sampler_->choose(logits_, layout.choices(message), side.results.as<SampleResult>(),
                     batch.logit_rows);
  }
}

void DeviceRunner::download_logits(std::span<const int32_t> rows) {
  const auto vocabulary = static_cast<size_t>(info().vocabulary);
  const size_t bytes = rows.size() * vocabulary * sizeof(float);
  if (host_logits_.size() < bytes) host_logits_ = StagingBuffer(bytes, device_);
  for (size_t begin = 0, end = 0; begin < rows.size(); begin = end) {
    // Rows that follow each other go together.
    while (end < rows.size() && rows[end] - rows[begin] == static_cast<int32_t>(end - begin)) ++end;
    device_.download(host_logits_.as<float>() + begin * vocabulary,
                     logits_ + static_cast<size_t>(rows[begin]) * vocabulary,
                     (end - begin) * vocabulary * sizeof(float));
  }
}

}  // namespace tensormill
