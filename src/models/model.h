#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/table.h"
#include "nn/ragged_batch.h"
#include "nn/token_places.h"
#include "tensor/tensor.h"

namespace tensormill {

// kDynamicInt8: weights of products in 8 bits by groups, their inputs quantized as they come.
enum class Quantization : uint8_t { kNone, kDynamicInt8 };

struct LoadOptions {
  std::optional<WeightFormat> format;  // none: as stored (a mix: the widest)
  Quantization quantize = Quantization::kNone;
  std::optional<DType>
      cache_type;               // of keys and values: f32, f16, bf16 or i8; none: as the weights
  bool random_weights = false;  // needs config.json alone; normal(0, 0.02) from a fixed seed
  std::string variant;          // of the weights; see choose_weight_files()
  const KernelTable* kernels = nullptr;
  Stream stream = nullptr;
  Device* device = nullptr;  // where the weights go; must outlive the model; null: the host
  // stage, done and total bytes; called often, from the loading thread
  std::function<void(const char* stage, int64_t done, int64_t total)> progress;
};

// What follows from the spec about how sequences may be scheduled; derived by rules(), never set.
struct SequenceRules {
  bool chunks;              // a prompt may be split over steps
  bool shares_prefix;       // full blocks may be shared between sequences with equal tokens
  bool rewinds;             // steps may be taken back
  bool recomputes = false;  // nothing is cached: every step computes whole sequences again
};

// What the engine, the server and `inspect` need to know of a model.
struct ModelInfo {
  std::string model_type;  // config.json's
  int32_t vocabulary = 0, width = 0, layers = 0;
  int32_t head_width = 0;     // of the rows that the head reads: StepOutput.hidden
  int32_t max_positions = 0;  // config.json's limit
  bool hard_position_limit =
      false;  // learned positions: no token beyond max_positions can be computed
  int32_t dynamic_rope_from = 0;  // longer prompts' keys depend on their length; 0: none do
  BlankSpec blanks;               // how tokens get their positions
  std::vector<int32_t> eos_ids;   // generation_config.json, else config.json
  int32_t bos_id = -1, pad_id = -1;
  WeightFormat format = WeightFormat::kF32;  // of what isn't quantized
  Quantization quantize = Quantization::kNone;
  DType cache_type = DType::kF32;  // of keys and values
  int64_t parameters = 0, weight_bytes = 0;
  int64_t cache_bytes_per_token = 0;
  SequenceRules rules{};
};

// Bounds that the activations are sized for.
struct StepLimits {
  int32_t rows = 0, sequences = 0, logit_rows = 0, max_keys = 0;
  bool hidden = false;  // StepOutput.hidden is wanted
};

class KvCache;    // nn/kv_cache.h: planes of keys and values of all layers, [blocks] each
class Workspace;  // models/workspace.h: activations for StepLimits

// A loaded model. Immutable after loading; several workspaces may run it.
class Model {
 public:
  // `folder`: a model's, or a LoRA adapter's, which is merged into its base. Errors: kUnsupported
  // (unknown model_type: lists what is supported), kArtifactInvalid (missing,
  // unused or misshapen tensors, all of them at once, by full name; a config.json key that is
  // missing or absurd).
  static std::unique_ptr<Model> load(const std::filesystem::path& folder,
                                     const LoadOptions& options);
  ~Model();

  const ModelInfo& info() const;
  Device& device() const;
  const KernelTable& kernels() const;
  Stream stream() const;
  std::unique_ptr<KvCache> make_cache(int32_t blocks) const;
  std::unique_ptr<Workspace> make_workspace(const StepLimits& limits) const;

  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  const Impl& impl() const { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// Results of a step, in the workspace on the device, valid until the next step.
struct StepOutput {
  const float* logits;  // [logit_rows, vocabulary]
  const float*
      hidden;  // [rows, head_width]: what the head reads; null unless StepLimits ask for it
};

// Runs one step: only enqueues work on the model's stream, allocates nothing.
StepOutput forward(const Model& model, const RaggedBatch& batch, KvCache& cache,
                   Workspace& workspace);

// Names of all families, for messages and documentation, in ascending order.
std::vector<std::string> supported_model_types();

}  // namespace tensormill
