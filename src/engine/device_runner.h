#pragma once

#include <array>
#include <memory>
#include <optional>

#include "engine/engine.h"
#include "engine/runner.h"
#include "engine/step_recordings.h"
#include "sampling/device_sampler.h"
#include "tensor/staging_buffer.h"

namespace tensormill {

// Runs a model on a device that works by itself: a step reads one message from the host's memory,
// and writes what it chose there. All of that may be recorded and replayed.
class DeviceRunner : public Runner {
 public:
  explicit DeviceRunner(const Model& model);
  ~DeviceRunner() override;

  const ModelInfo& info() const override { return model_.info(); }
  void prepare(const StepLimits& limits, const EngineOptions& options) override;
  CacheMemory memory() const override;
  void make_cache(int32_t blocks) override;
  bool chooses() const override { return sampler_.has_value(); }
  void put_history(int32_t row, std::span<const int32_t> tokens) override;
  StepDraft begin(const StepShape& shape) override;
  void launch(std::span<const int32_t> logit_rows) override;
  StepResults collect() override;
  bool lost() override { return device_.lost(); }

 private:
  void warm_up(int32_t blocks);
  // The host's side of one of the two steps that may be under way.
  struct Side {
    StagingBuffer message, results;
    size_t chosen = 0;  // logit rows of the step
  };
  void enqueue(const StepLayout& layout, const Side& side);
  void download_logits(std::span<const int32_t> rows);

  const Model& model_;
  Device& device_;
  std::unique_ptr<Workspace> workspace_;
  std::unique_ptr<KvCache> cache_;
  std::optional<DeviceSampler> sampler_;  // none where the host chooses
  std::optional<StepRecordings> recordings_;
  std::optional<StepLayout> draft_;
  Buffer message_;
  std::array<Side, 2> sides_;
  StagingBuffer host_logits_;      // made when they are first asked for
  const float* logits_ = nullptr;  // of the last step, on the device
  int64_t workspace_bytes_ = 0;
  size_t launched_ = 0, collected_ = 0;
};

}  // namespace tensormill
