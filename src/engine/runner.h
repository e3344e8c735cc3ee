#pragma once

#include <cstdint>
#include <span>

#include "engine/memory_plan.h"
#include "engine/step_message.h"
#include "models/model.h"

namespace tensormill {

// Where the next step is to be written, and how it is laid out.
struct StepDraft {
  StepLayout layout;
  int32_t* message;
};

// Valid until the next step is launched.
struct StepResults {
  // [logit rows]: what the runner chose. Empty where it doesn't choose.
  std::span<const SampleResult> chosen;
  const float* logits = nullptr;  // [rows that were asked for, vocabulary]
};

// What computes the engine's steps: two at most are under way at a time. Called by one thread.
class Runner {
 public:
  virtual ~Runner() = default;

  virtual const ModelInfo& info() const = 0;

  // Called once each, in this order, before the first step: makes all that steps need but the
  // cache; says what memory is left; makes the cache.
  virtual void prepare(const StepLimits& limits, const EngineOptions& options) = 0;
  virtual CacheMemory memory() const = 0;
  virtual void make_cache(int32_t blocks) = 0;

  // Whether it chooses tokens itself. Then steps may hold tokens that a step under way chooses.
  virtual bool chooses() const = 0;
  // The beginning of a row of the history: what the steps launched from now on find there.
  virtual void put_history(int32_t row, std::span<const int32_t> tokens) = 0;

  // A layout for at least this shape.
  virtual StepDraft begin(const StepShape& shape) = 0;
  // Starts the step that was written into the last draft. `logit_rows`, in ascending order: those
  // whose logits are wanted. What it throws fails the requests of this step.
  virtual void launch(std::span<const int32_t> logit_rows) = 0;
  // Waits for the oldest step under way. What it throws fails the requests of that step.
  virtual StepResults collect() = 0;
  // Asked after a step that failed: whether all later ones will, whatever they hold.
  virtual bool lost() { return false; }
};

// A runner whose steps are computed when they are launched, and which leaves choices to the engine.
class HostRunner : public Runner {
 public:
  CacheMemory memory() const override;
  bool chooses() const override { return false; }
  void put_history(int32_t /*row*/, std::span<const int32_t> /*tokens*/) override {}
  StepDraft begin(const StepShape& shape) override;
  void launch(std::span<const int32_t> logit_rows) override;
  StepResults collect() override { return {{}, logits_}; }

 private:
  // Logits [batch.logit_rows, vocabulary], valid until the next step.
  virtual const float* step(const RaggedBatch& batch) = 0;

  std::vector<int32_t> message_;
  RaggedBatch batch_;
  const float* logits_ = nullptr;
};

}  // namespace tensormill
