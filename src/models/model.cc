#include "models/model.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "models/describe.h"
#include "models/load_progress.h"
#include "models/loader.h"
#include "models/model_impl.h"
#include "models/open_weights.h"
#include "models/weight_format.h"
#include "models/weight_plan.h"
#include "models/workspace.h"
#include "nn/rope.h"

namespace tensormill {
namespace {

Buffer floats_on(Device& device, const std::vector<float>& values) {
  Buffer buffer(values.size() * sizeof(float), "frequencies and slopes", device);
  if (!values.empty()) device.upload(buffer.data(), values.data(), buffer.size());
  return buffer;
}

void lay_out_slopes(Model::Impl& model) {
  for (const std::vector<BranchSpec>& kind : model.stack().kinds) {
    std::vector<Buffer>& slopes = model.slopes.emplace_back();
    for (const BranchSpec& branch : kind) {
      const auto* attention = std::get_if<AttentionSpec>(&branch.body);
      slopes.push_back(attention == nullptr ? Buffer()
                                            : floats_on(*model.device, attention->bias.slopes));
    }
  }
}

void lay_out_ropes(Model::Impl& model) {
  const std::vector<RopeSpec> ropes = distinct_ropes(model.spec);
  for (const RopeSpec& rope : ropes) {
    model.ropes.push_back({rope, floats_on(*model.device, inverse_frequencies(rope)),
                           floats_on(*model.device, long_frequencies(rope))});
  }
  for (const std::vector<BranchSpec>& kind : model.stack().kinds) {
    std::vector<int32_t>& indices = model.rope_of.emplace_back();
    for (const BranchSpec& branch : kind) {
      const auto* attention = std::get_if<AttentionSpec>(&branch.body);
      const bool turns = attention != nullptr && attention->rope.dim > 0;
      indices.push_back(
          turns ? static_cast<int32_t>(std::find(ropes.begin(), ropes.end(), attention->rope) -
                                       ropes.begin())
                : -1);
    }
  }
}

// Without a seed of the checkpoint every layer has its own.
void draw_hashes(Model::Impl& model) {
  constexpr uint32_t kSeed = 20200113;
  for_each_attention(model.spec, [&](const AttentionSpec& attention) {
    if (attention.core != Core::kHashed) return;
    const auto layer = static_cast<uint32_t>(model.hashes.size());
    model.hashes.emplace_back(attention, kSeed + layer,
                              model.hashes.empty() ? nullptr : &model.hashes.front());
  });
}

// Asked with the model's real arguments, so that no request finds out first.
void check_device(const Model::Impl& model, WeightFormat format, const std::string& file) {
  if (!model.kernels->stores(format)) {
    throw_error(ErrorKind::kUnsupported, "{}: {} kernels have no {} weights", file,
                model.kernels->name, dtype_name(plain_type(format)));
  }
  if (model.info.quantize == Quantization::kDynamicInt8 &&
      !model.kernels->stores(WeightFormat::kInt8)) {
    throw_error(ErrorKind::kUnsupported,
                "{}: {} kernels have no int8 weights; load it without dynamic_int8, or on the CPU",
                file, model.kernels->name);
  }
  const DType plain = plain_type(format), cache = model.info.cache_type;
  for_each_attention(model.spec, [&](const AttentionSpec& spec) {
    if (spec.core != Core::kDense) return;
    if (model.kernels->runs(attention_shape(spec, format, plain, *model.kernels))) return;
    throw_error(ErrorKind::kUnsupported,
                "{}: {} kernels can't run attention of {} heads on {} of {} values each", file,
                model.kernels->name, spec.heads, spec.kv_heads, spec.dim);
  });
  if (keeps_cache(model.spec, format, cache, *model.kernels)) return;
  throw_error(ErrorKind::kUnsupported,
              "{}: kv_cache_dtype={}: {} ({} kernels) keeps keys and values as bf16, f16 or f32; "
              "int8 is for CPUs",
              file, cache_type_name(cache), model.device->name(), model.kernels->name);
}

void tell_cache_type(const Model::Impl& model, const std::string& file) {
  const ModelInfo& info = model.info;
  const char* name = cache_type_name(info.cache_type);
  if (model.cache_layers.empty()) {
    spdlog::warn("{}: kv_cache_dtype={} has no effect: {} keeps no keys and values", file, name,
                 info.model_type);
    return;
  }
  spdlog::info("{}: kv_cache_dtype={}: {} bytes of keys and values a token", file, name,
               info.cache_bytes_per_token);
}

}  // namespace

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

const ModelInfo& Model::info() const {
  return impl_->info;
}

std::unique_ptr<Model> Model::load(const std::filesystem::path& folder,
                                   const LoadOptions& options) {
  Description description = describe_model(folder);
  find_blank_tokens(description.parts.tokenizer, description.info.blanks);
  std::unique_ptr<TensorIndex> checkpoint;
  if (!options.random_weights) {
    checkpoint = open_weights(description.parts, options.variant, description);
  }
  auto impl = std::make_unique<Impl>();
  impl->spec = description.model.spec;
  impl->info = std::move(description.info);
  impl->info.quantize = options.quantize;
  impl->kernels = options.kernels;
  impl->stream = options.stream;
  impl->device = options.device == nullptr ? &host_device() : options.device;
  lay_out_ropes(*impl);
  lay_out_slopes(*impl);
  impl->cache_layers = cache_layers(impl->spec);

  const LoadProgress progress = logged_progress(folder.string(), options.progress);
  const LoadContext context{*impl->kernels, impl->stream, *impl->device, progress};
  ModelWeights weights = lay_out(impl->spec, options.quantize);
  std::vector<PlannedTensor> plan;
  WeightFormat format = options.format.value_or(description.usual_format);
  if (!options.random_weights) {
    plan = plan_weights(description.model, *checkpoint, weights);
    verify(description.model, *checkpoint, plan);
    format = options.format.value_or(stored_format(plan));
  }
  impl->info.cache_type = options.cache_type.value_or(plain_type(format));
  check_device(*impl, format, description.file);
  draw_hashes(*impl);
  allocate(weights, impl->spec, format, *impl->kernels, *impl->device);
  if (options.random_weights) {
    fill_random(weights, impl->spec, context);
  } else {
    fill_weights(weights, impl->spec, plan, *checkpoint, context);
  }
  fill_computed(weights, impl->spec);
  commit(weights);
  impl->device->wait();  // kernels read weights ahead of what is enqueued before them
  impl->weights = std::move(weights);
  impl->info.format = format;
  impl->info.weight_bytes = weight_bytes(impl->weights, impl->spec, format, *impl->kernels);
  impl->info.cache_bytes_per_token =
      cache_bytes_per_token(impl->cache_layers, impl->info.cache_type);
  if (options.cache_type) tell_cache_type(*impl, description.file);
  if (options.quantize == Quantization::kDynamicInt8) {
    constexpr double kMiB = 1024.0 * 1024;
    spdlog::info("{}: dynamic_int8: products in 8 bits, the rest as {}; weights {:.1f} MiB",
                 folder.string(), dtype_name(plain_type(format)),
                 static_cast<double>(impl->info.weight_bytes) / kMiB);
  }
  return std::make_unique<Model>(std::move(impl));
}

Device& Model::device() const {
  return *impl_->device;
}

const KernelTable& Model::kernels() const {
  return *impl_->kernels;
}

Stream Model::stream() const {
  return impl_->stream;
}

std::unique_ptr<KvCache> Model::make_cache(int32_t blocks) const {
  return std::make_unique<KvCache>(impl_->cache_layers, impl_->info.cache_type, blocks,
                                   *impl_->device);
}

std::unique_ptr<Workspace> Model::make_workspace(const StepLimits& limits) const {
  return std::make_unique<Workspace>(workspace_sizes(impl_->spec, impl_->weights.format,
                                                     *impl_->kernels, limits, impl_->info.quantize),
                                     *impl_->device);
}

}  // namespace tensormill
