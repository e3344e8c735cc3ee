#include "sampling/device_sampler.h"

namespace tensormill {

DeviceSampler::DeviceSampler(const KernelTable& kernels, Stream stream, Device& device,
                             const Sizes& sizes)
    : kernels_(kernels),
      stream_(stream),
      device_(device),
      sizes_(sizes),
      history_(static_cast<size_t>(sizes.sequences) * static_cast<size_t>(sizes.max_tokens) *
                   sizeof(int32_t),
               "the sequences' tokens", device),
      scratch_(kernels.sample_scratch(sizes.rows, sizes.vocabulary), "the choice of tokens",
               device) {}

void DeviceSampler::put_history(int32_t row, std::span<const int32_t> tokens) {
  device_.upload(history_.as<int32_t>() + row * history_stride(), tokens.data(),
                 tokens.size_bytes());
}

void DeviceSampler::choose(const float* logits, const SampleRow* rows, SampleResult* results,
                           Live live) {
  SampleArgs args{};
  args.logits = logits;
  args.vocabulary = sizes_.vocabulary;
  args.rows = rows;
  args.history = history_.as<int32_t>();
  args.history_stride = history_stride();
  args.results = results;
  args.scratch = scratch_.data();
  args.live = live;
  sample(kernels_, args, stream_);
}

}  // namespace tensormill
