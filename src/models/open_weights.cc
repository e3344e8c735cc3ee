#include "models/open_weights.h"

#include "models/merge_adapter.h"

namespace tensormill {

std::unique_ptr<TensorIndex> open_weights(const ModelFolder& parts, const std::string& variant,
                                          Description& description, Open open) {
  std::unique_ptr<TensorIndex> weights = open == Open::kHeaders
                                             ? open_headers(parts.base, variant)
                                             : open_checkpoint(parts.base, variant);
  if (!parts.adapter) return weights;
  weights = merge_adapter(description.model, std::move(weights), open_adapter(parts.given));
  const TransformerSpec& spec = description.model.spec;
  description.info.vocabulary = spec.stacks.front().embedding.vocabulary;
  description.info.parameters = count_parameters(spec);
  return weights;
}

}  // namespace tensormill
