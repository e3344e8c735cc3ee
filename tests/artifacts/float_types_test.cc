#include "artifacts/float_types.h"

#include <bit>
#include <cmath>
#include <limits>

#include "artifacts/files.h"
#include "artifacts/half.h"
#include "artifacts/safetensors.h"

namespace tensormill {
namespace {

TEST(Half, EveryValueComesBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = half_to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(half_to_float(float_to_half(value))));
      EXPECT_EQ(bits & 0x7c00, 0x7c00U);
    } else {
      ASSERT_EQ(float_to_half(value), half) << value;
    }
    const float wide = bfloat16_to_float(half);
    if (!std::isnan(wide)) {
      ASSERT_EQ(float_to_bfloat16(wide), half) << wide;
    }
  }
}

TEST(Half, RoundsToNearestEven) {
  EXPECT_EQ(half_to_float(0x3c01), 1 + 0x1p-10F);
  EXPECT_EQ(float_to_half(1 + 0x1p-11F), 0x3c00);             // a tie goes to even
  EXPECT_EQ(float_to_half(1 + 0x1.8p-10F), 0x3c02);           // the tie above goes up
  EXPECT_EQ(float_to_half(1 + 0x1p-11F + 0x1p-20F), 0x3c01);  // over the tie
  EXPECT_EQ(float_to_half(65504), 0x7bff);
  EXPECT_EQ(float_to_half(65519.99F), 0x7bff);
  EXPECT_EQ(float_to_half(65520), 0x7c00);
  EXPECT_EQ(float_to_half(-1e9F), 0xfc00);
  EXPECT_EQ(float_to_half(0x1p-24F), 0x0001);
  EXPECT_EQ(float_to_half(0x1p-25F), 0x0000);
  EXPECT_EQ(float_to_half(0x1.8p-25F), 0x0001);
  EXPECT_EQ(float_to_half(-0.0F), 0x8000);
  EXPECT_EQ(float_to_bfloat16(1 + 0x1p-8F), 0x3f80);
  EXPECT_EQ(float_to_bfloat16(1 + 0x1.8p-7F), 0x3f82);
  EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7f800001U)))));
}

class OneTensor final : public TensorIndex {
 public:
  explicit OneTensor(NamedTensor tensor) : all_{std::move(tensor)} {}
  const NamedTensor* find(std::string_view) const override { return all_.data(); }
  TensorValues read(const NamedTensor& tensor, int64_t first, int64_t count) const override {
    return {rows_of(tensor.view, first, count), nullptr};
  }
  void release(const NamedTensor&) const override {}
  const std::vector<NamedTensor>& tensors() const override { return all_; }

 private:
  std::vector<NamedTensor> all_;
};

TEST(WriteCheckpoint, ConvertsFloatsAndRefusesWhatFloat16CantHold) {
  const TemporaryFolder folder;
  const double values[3] = {1.0, -0.5, 70000.0};
  const OneTensor index({"w", {values, DType::kF64, {3}}, "f"});
  const auto ignore = [](uint64_t, uint64_t) {};
  const auto path = folder.path() / "m.safetensors";
  const DType f32 = DType::kF32, f16 = DType::kF16;
  write_checkpoint(index, &f32, path, ignore);
  const TensorFile wide = read_safetensors(path);
  EXPECT_EQ(static_cast<const float*>(wide.tensors[0].view.data)[2], 70000.0F);
  write_checkpoint(index, nullptr, path, ignore);
  EXPECT_EQ(read_safetensors(path).tensors[0].view.type, DType::kF64);
  expect_error(ErrorKind::kArtifactInvalid, {"\"w\"", "70000", "bf16"},
               [&] { write_checkpoint(index, &f16, path, ignore); });
}

}  // namespace
}  // namespace tensormill
