#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "tensor/tensor.h"

namespace tensormill {
namespace {

TEST(Buffer, IsZeroedAlignedAndWritable) {
  for (const size_t bytes : {size_t{1}, size_t{4096}, size_t{5000}, size_t{3} << 20}) {
    const Buffer buffer(bytes, "test");
    ASSERT_EQ(buffer.size(), bytes);
    ASSERT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(buffer.as<uint8_t>()[i], 0);
    std::memset(buffer.data(), 0xff, bytes);
  }
}

TEST(Buffer, LargeOnesBeginAtAHugePage) {
  const Buffer buffer(size_t{5} << 20, "test");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (size_t{2} << 20), 0u);
}

int64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  int64_t kib = 0;
  for (std::string word; status >> word;) {
    if (word == "RssAnon:" && status >> kib) return kib << 10;
  }
  return 0;
}

TEST(Buffer, ALittleMoreThanHugePagesTakesALittleMore) {
  constexpr size_t kMiB = size_t{1} << 20, kBytes = 2 * kMiB + (kMiB >> 4);
  constexpr int64_t kBuffers = 32;
  const int64_t before = resident_bytes();
  std::vector<Buffer> buffers;
  for (int64_t i = 0; i < kBuffers; ++i) {
    buffers.emplace_back(kBytes, "test");
    std::memset(buffers.back().data(), 1, kBytes);
  }
  EXPECT_LT(resident_bytes() - before, kBuffers * int64_t{3 * kMiB});
}

TEST(Buffer, EmptyHasNoMemory) {
  EXPECT_EQ(Buffer(0, "test").data(), nullptr);
  EXPECT_EQ(Buffer().size(), 0u);
}

TEST(Buffer, Moves) {
  Buffer one(100, "test");
  one.as<int>()[3] = 7;
  Buffer two = std::move(one);
  EXPECT_EQ(two.as<int>()[3], 7);
  Buffer three(10, "test");
  three = std::move(two);
  EXPECT_EQ(three.as<int>()[3], 7);
  EXPECT_EQ(three.size(), 100u);
}

TEST(Buffer, SaysWhatWasTooLarge) {
  try {
    const Buffer buffer(SIZE_MAX - 5, "KV cache");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("KV cache"), std::string::npos);
  }
  EXPECT_THROW(Buffer(size_t{1} << 60, "KV cache"), Error);
}

}  // namespace
}  // namespace tensormill
