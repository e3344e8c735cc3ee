#include "nn/linear.h"

#include <cstddef>

namespace tensormill {

void Linear::allocate(WeightFormat format, const KernelTable& kernels, Device& device) {
  format_ = this->format(format);
  device_ = &device;
  copy_bytes_ = kernels.packed_bytes(format_, spec_.outputs, spec_.inner);
  weight_ = Buffer(static_cast<size_t>(spec_.copies) * copy_bytes_, "weights", device);
  if (spec_.bias) {
    bias_ = Buffer(static_cast<size_t>(spec_.outputs) * sizeof(float), "biases", device);
  }
  packed_ = packed();
}

void* Linear::weight(int32_t copy) const {
  if (copy == 0) return weight_.data();
  return weight_.as<std::byte>() + static_cast<size_t>(copy) * copy_bytes_;
}

void Linear::move_bias_to(Linear& other) {
  if (!spec_.bias) return;
  if (!other.spec_.bias) {
    other.bias_ = Buffer(bias_.size(), "biases", *device_);
    other.spec_.bias = true;
  }
  float *from = host_bias(), *to = other.host_bias();
  for (int32_t i = 0; i < spec_.outputs; ++i) to[i] += from[i];
  bias_ = Buffer();
  spec_.bias = false;
}

int64_t Linear::bytes(WeightFormat format, const KernelTable& kernels) const {
  const int64_t bias = spec_.bias ? int64_t{spec_.outputs} * int64_t{sizeof(float)} : 0;
  return spec_.copies * static_cast<int64_t>(kernels.packed_bytes(this->format(format),
                                                                  spec_.outputs, spec_.inner)) +
         bias;
}

LinearArgs Linear::args(const Rows& in, const Rows& out, Live live) const {
  LinearArgs args{};
  args.weight = &packed_;
  args.bias = spec_.split == Split::kInputs ? nullptr : bias();
  args.act = spec_.activation;
  args.gated = spec_.gated;
  args.scale = spec_.scale;
  args.softcap = spec_.softcap;
  args.in = in;
  args.out = out;
  args.copies = spec_.copies;
  args.live = live;
  return args;
}

}  // namespace tensormill
