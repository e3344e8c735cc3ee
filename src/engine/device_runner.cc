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
  device_.upload_staged(message_.data(), side.message.as<int32_t>(),
                        draft_->size() * sizeof(int32_t));
  recordings_->run(draft_->shape(), [this] { enqueue(*draft_); });
  if (sampler_) {
    side.chosen = static_cast<size_t>(draft_->shape().logit_rows);
    device_.download(side.results.as<void>(), sampler_->results(),
                     side.chosen * sizeof(SampleResult));
  }
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

void DeviceRunner::enqueue(const StepLayout& layout) {
  const int32_t* const message = message_.as<int32_t>();
  RaggedBatch batch = layout.batch(message);
  if (sampler_) {
    batch.history = sampler_->history();
    batch.history_stride = sampler_->history_stride();
  }
  logits_ = forward(model_, batch, *cache_, *workspace_).logits;
  if (sampler_ && batch.logit_rows.bound > 0) {
    sampler_->choose(logits_, layout.choices(message), batch.logit_rows);
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
