#include "engine/model_runner.h"

#include "engine/engine.h"
#include "models/workspace.h"
#include "nn/kv_cache.h"

namespace tensormill {
namespace {

class ModelRunner : public Runner {
 public:
  explicit ModelRunner(const Model& model) : model_(model) {}

  const ModelInfo& info() const override { return model_.info(); }
  void prepare(int32_t blocks, const StepLimits& limits) override {
    cache_ = model_.make_cache(blocks);
    workspace_ = model_.make_workspace(limits);
  }
  const float* step(const RaggedBatch& batch) override {
    return forward(model_, batch, *cache_, *workspace_).logits;
  }

 private:
  const Model& model_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<Workspace> workspace_;
};

}  // namespace

std::unique_ptr<Runner> make_model_runner(const Model& model) {
  return std::make_unique<ModelRunner>(model);
}

Engine::Engine(const Model& model, const Tokenizer& tokenizer, const EngineOptions& options)
    : Engine(make_model_runner(model), tokenizer, options) {}

}  // namespace tensormill
