#include "engine/model_runner.h"

#include "engine/device_runner.h"
#include "engine/engine.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"

namespace tensormill {
namespace {

class ModelRunner : public HostRunner {
 public:
  explicit ModelRunner(const Model& model) : model_(model) {}

  const ModelInfo& info() const override { return model_.info(); }
  void prepare(const StepLimits& limits, const EngineOptions& /*options*/) override {
    workspace_ = model_.make_workspace(limits);
  }
  void make_cache(int32_t blocks) override { cache_ = model_.make_cache(blocks); }

 private:
  const float* step(const RaggedBatch& batch) override {
    return forward(model_, batch, *cache_, *workspace_).logits;
  }

  const Model& model_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace

std::unique_ptr<Runner> make_model_runner(const Model& model) {
  if (model.device().on_host()) return std::make_unique<ModelRunner>(model);
  return std::make_unique<DeviceRunner>(model);
}

Engine::Engine(const Model& model, const Tokenizer& tokenizer, const EngineOptions& options)
    : Engine(make_model_runner(model), tokenizer, options) {}

}  // namespace tensormill
