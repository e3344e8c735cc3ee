#include "ops/linear.h"

#include "ops/check.h"

namespace tensormill {

namespace {

void require_linear(const KernelTable& kernels, const LinearArgs& args, const char* op) {
  require_live(args.live, op);
  const Packed* weight = args.weight;
  require(weight != nullptr && weight->data != nullptr, op, "a packed weight");
  require(weight->outputs > 0 && weight->inner > 0, op, "a weight of positive sizes");
  require(kernels.stores(weight->format), op, "a weight format that this device stores");
  require_input(kernels, args.in, weight->format, weight->inner, op);
  require(args.copies <= 1 || (args.bias == nullptr && args.addend == nullptr &&
                               weight->format != WeightFormat::kInt8 && args.out.q == nullptr),
          op, "no bias or addend, and nothing in 8 bits, for several weights");
  require(args.in_step >= 0 && args.out_step >= 0, op, "steps of 0 or more");
  require(!args.gated || weight->outputs % 2 == 0, op, "pairs of gate and up rows");
  require(args.softcap >= 0, op, "a softcap of 0 or more");
  require(args.addend != args.out.x ||
              (args.out.type == DType::kF32 && !args.gated && args.out.stride == weight->outputs),
          op, "an output like the addend where they are one");
  require_rows(args.out, args.gated ? weight->outputs / 2 : weight->outputs, op);
}

}  // namespace

void linear(const KernelTable& kernels, const LinearArgs& args, Stream stream) {
  require_linear(kernels, args, "linear");
  kernels.linear(args, stream);
}

void norm_linear(const KernelTable& kernels, const ResidualArgs& norm,
                 std::span<const LinearArgs> products, Stream stream) {
  constexpr const char* kOp = "norm_linear";
  require_residual(norm, kOp);
  for (const LinearArgs& product : products) {
    require_linear(kernels, product, kOp);
    require(product.in.x == norm.y.x && product.in.type == norm.y.type &&
                product.in.stride == norm.y.stride && product.in.q == norm.y.q &&
                product.weight->inner == norm.width && product.live.count == norm.live.count,
            kOp, "products that read the norm's output");
  }
  kernels.norm_linear(norm, products.data(), static_cast<int32_t>(products.size()), stream);
}

}  // namespace tensormill
