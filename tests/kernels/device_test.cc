#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "copies.h"
#include "tensor/tensor.h"

namespace tensormill::testing {
namespace {

// Memory that is more than a piece of what it travels in.
TEST(Device, TakesLargeUploadsWhole) {
  if (gpu() == nullptr) GTEST_SKIP() << "no GPU";
  for (const size_t bytes : {size_t{1} << 22, (size_t{37} << 20) + 13}) {
    std::vector<uint8_t> from(bytes), back(bytes);
    for (size_t i = 0; i < bytes; ++i) from[i] = static_cast<uint8_t>(i * 2654435761U >> 13);
    const std::vector<uint8_t> kept = from;
    const Buffer buffer(bytes, "a test", *gpu());
    gpu()->upload(buffer.data(), from.data(), bytes);
    std::memset(from.data(), 0, bytes);
    gpu()->download(back.data(), buffer.data(), bytes);
    gpu()->wait();
    EXPECT_EQ(back, kept) << bytes;
  }
}

struct Shape {
  int32_t rows, inner, step;  // every step-th row of the weight
};

// A weight's rows in many pieces, and rows longer than a piece.
TEST(Device, PacksLargeWeights) {
  if (gpu() == nullptr) GTEST_SKIP() << "no GPU";
  for (const auto& [rows, inner, step] : {Shape{1025, 4096, 1}, {700, 4096, 2}, {3, 1100000, 1}}) {
    const auto count = static_cast<size_t>(rows) * static_cast<size_t>(inner);
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 1000003);
    std::vector<int32_t> map(static_cast<size_t>((rows - 1) * step + 1), -1);
    for (int32_t r = 0; r < rows; ++r) map[static_cast<size_t>(r * step)] = r;
    const auto outputs = static_cast<int32_t>(map.size());
    const KernelTable& kernels = gpu()->kernels();
    const Buffer packed(kernels.packed_bytes(WeightFormat::kF32, outputs, inner), "a test", *gpu());
    kernels.pack({{values.data(), DType::kF32, false, rows, inner, map.data(), 0, outputs},
                  packed.data(),
                  WeightFormat::kF32,
                  outputs,
                  inner},
                 gpu()->stream());
    std::vector<float> back(packed.size() / sizeof(float));
    gpu()->download(back.data(), packed.data(), packed.size());
    gpu()->wait();
    const size_t row = back.size() / map.size();
    for (size_t r = 0; r < map.size(); ++r) {
      const std::vector<float> expected =
          map[r] < 0 ? std::vector<float>(static_cast<size_t>(inner))
                     : std::vector<float>(values.begin() + map[r] * int64_t{inner},
                                          values.begin() + (map[r] + 1) * int64_t{inner});
      const float* got = &back[r * row];
      ASSERT_TRUE(std::equal(expected.begin(), expected.end(), got)) << rows << " row " << r;
    }
  }
}

}  // namespace
}  // namespace tensormill::testing
