#pragma once

#include <cstdint>

#include "kernels/table.h"
#include "tensor/tensor.h"

namespace tensormill {

// How a product is divided over ranks. kInputs leaves a partial sum: the residual step that reads
// it adds the bias, once.
enum class Split : uint8_t { kOutputs, kInputs, kVocabulary };

struct LinearSpec {
  int32_t outputs = 0, inner = 0;
  int32_t copies = 1;  // weights of this shape, one after another: experts, heads
  Split split = Split::kOutputs;
  bool bias = false;
  Activation activation = Activation::kNone;
  bool gated = false;            // outputs are pairs (gate_i, up_i)
  float scale = 0, softcap = 0;  // of the outputs, 0: none
  bool int8 = false;             // stored in kInt8, whatever the model's format
};

// A weight [outputs, inner] (or several of one shape, without biases), packed once for the kernels,
// and its bias. Launches nothing.
class Linear {
 public:
  Linear() = default;
  explicit Linear(const LinearSpec& spec) : spec_(spec) {}
  Linear(Linear&&) noexcept = default;
  Linear& operator=(Linear&&) noexcept = default;

  // Memory for weight and bias, zeroed, in the model's format unless the spec says int8. The
  // kernels must outlive this. Errors: kOutOfMemory.
  void allocate(WeightFormat format, const KernelTable& kernels, Device& device);
  // Adds this bias to the other's, which has as many outputs and is allocated, and forgets it.
  // Before commit().
  void move_bias_to(Linear& other);
  // Bytes that allocate() takes.
  int64_t bytes(WeightFormat format, const KernelTable& kernels) const;
  // How allocate() stores it.
  WeightFormat format(WeightFormat model) const { return spec_.int8 ? WeightFormat::kInt8 : model; }
  // The bias where the host writes it, [outputs] or null; commit() ends that.
  float* host_bias() { return static_cast<float*>(bias_.host()); }
  void commit() { bias_.commit(); }

  const LinearSpec& spec() const { return spec_; }
  void* weight(int32_t copy = 0) const;
  float* bias() const { return bias_.as<float>(); }  // [outputs] or null
  Packed packed(int32_t copy = 0) const {
    return {weight(copy), format_, spec_.outputs, spec_.inner};
  }

  // in: [rows, inner]; out: [rows, outputs], half as wide where gated. The Linear must stay where
  // it is while the arguments are in use.
  LinearArgs args(const Rows& in, const Rows& out, Live live) const;

 private:
  LinearSpec spec_;
  WeightFormat format_ = WeightFormat::kF32;
  Device* device_ = nullptr;
  size_t copy_bytes_ = 0;
  Buffer weight_, bias_;
  Packed packed_{};
};

}  // namespace tensormill
