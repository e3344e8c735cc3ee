#include "artifacts/gguf.h"

#include "artifacts/files.h"
#include "artifacts/safetensors.h"

namespace tensormill {
namespace {

std::string text(std::string_view value) {
  return raw<uint64_t>(value.size()) + std::string(value);
}

std::string key(std::string_view name, uint32_t type, const std::string& value) {
  return text(name) + raw(type) + value;
}

std::string tensor(std::string_view name, std::initializer_list<uint64_t> sizes, uint32_t type,
                   uint64_t offset) {
  std::string result = text(name) + raw(static_cast<uint32_t>(sizes.size()));
  for (const uint64_t size : sizes) result += raw(size);
  return result + raw(type) + raw(offset);
}

// A file of these keys and tensors, padded to 32 bytes, and `data` zero bytes.
std::string gguf(std::initializer_list<std::string> keys,
                 std::initializer_list<std::string> tensors, size_t data, uint32_t version = 3) {
  std::string file =
      "GGUF" + raw(version) + raw<uint64_t>(tensors.size()) + raw<uint64_t>(keys.size());
  for (const std::string& part : keys) file += part;
  for (const std::string& part : tensors) file += part;
  file.resize((file.size() + 31) / 32 * 32, '\0');
  return file + std::string(data, '\0');
}

void expect_bad(const std::string& bytes, std::initializer_list<const char*> parts,
                ErrorKind kind = ErrorKind::kArtifactInvalid) {
  expect_error(kind, parts, [&] { GgufFile::parse(as_bytes(bytes), "m.gguf"); });
}

TEST(Gguf, ReadsMetadataOfEveryType) {
  const std::string file = gguf(
      {key("u8", 0, raw<uint8_t>(200)), key("i8", 1, raw<int8_t>(-3)),
       key("u16", 2, raw<uint16_t>(60000)), key("i16", 3, raw<int16_t>(-3)),
       key("u32", 4, raw<uint32_t>(4000000000)), key("i32", 5, raw<int32_t>(-3)),
       key("f32", 6, raw(1e-5F)), key("bool", 7, raw<uint8_t>(1)), key("text", 8, text("hi")),
       key("u64", 10, raw<uint64_t>(1)), key("i64", 11, raw<int64_t>(-9)), key("f64", 12, raw(0.1)),
       key("ints", 9, raw<uint32_t>(5) + raw<uint64_t>(2) + raw<int32_t>(7) + raw<int32_t>(-7)),
       key("floats", 9, raw<uint32_t>(6) + raw<uint64_t>(1) + raw(0.5F)),
       key("texts", 9, raw<uint32_t>(8) + raw<uint64_t>(2) + text("a") + text("")),
       key("nested", 9,
           raw<uint32_t>(9) + raw<uint64_t>(1) + raw<uint32_t>(0) + raw<uint64_t>(2) + "xy")},
      {}, 0, 2);
  const GgufFile read = GgufFile::parse(as_bytes(file), "f");
  const std::pair<const char*, int64_t> integers[] = {
      {"u8", 200},         {"i8", -3},  {"u16", 60000}, {"i16", -3},
      {"u32", 4000000000}, {"i32", -3}, {"u64", 1},     {"i64", -9}};
  for (const auto& [name, value] : integers) EXPECT_EQ(read.integer(name), value) << name;
  EXPECT_EQ(read.number("f32"), 1e-5);  // the shortest decimal, not the float's exact value
  EXPECT_EQ(read.number("f64"), 0.1);
  EXPECT_EQ(read.number("u8"), 200.0);
  EXPECT_EQ(read.boolean("bool"), true);
  EXPECT_EQ(read.text("text"), "hi");
  EXPECT_EQ(*read.integers("ints"), (std::vector<int64_t>{7, -7}));
  EXPECT_EQ(*read.numbers("floats"), (std::vector<double>{0.5}));
  EXPECT_EQ(*read.texts("texts"), (std::vector<std::string>{"a", ""}));
  EXPECT_EQ(read.metadata().count("nested"), 1U);
  EXPECT_EQ(read.text("absent"), std::nullopt);
  EXPECT_EQ(read.size("absent", 1, 9, 5), 5);
  expect_error(ErrorKind::kArtifactInvalid, {"\"text\"", "expected an integer"},
               [&] { read.integer("text"); });
  expect_error(ErrorKind::kArtifactInvalid, {"\"absent\"", "missing"},
               [&] { read.size("absent", 1, 9); });
  expect_error(ErrorKind::kArtifactInvalid, {"\"i64\"", "-9", "expected 1 to 9"},
               [&] { read.size("i64", 1, 9); });
}

TEST(Gguf, ReadsTensorsRowMajor) {
  const std::string file =
      gguf({}, {tensor("a", {3, 2}, 0, 0), tensor("q", {64, 2}, 2, 32)}, 32 + 4 * 18);
  const GgufFile read = GgufFile::parse(as_bytes(file), "f");
  EXPECT_EQ(read.tensors().at("a").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(read.tensors().at("a").data.size(), 24U);
  EXPECT_EQ(read.tensors().at("q").data.size(), 72U);
  EXPECT_STREQ(read.tensors().at("q").type->name, "Q4_0");
}

TEST(Gguf, RefusesBrokenFiles) {
  expect_bad("GG", {"m.gguf", "magic", "needs 4 bytes"});
  expect_bad("GGML" + std::string(40, '\0'), {"no \"GGUF\""});
  expect_bad(gguf({}, {}, 0, 1), {"version 1", "expected 2 or 3"}, ErrorKind::kUnsupported);
  expect_bad(gguf({}, {}, 0, 0x03000000), {"big-endian"}, ErrorKind::kUnsupported);
  expect_bad("GGUF" + raw<uint32_t>(3) + raw<uint64_t>(UINT64_MAX) + raw<uint64_t>(0),
             {"a tensor's name", "truncated"});
  expect_bad("GGUF" + raw<uint32_t>(3) + raw<uint64_t>(0) + raw<uint64_t>(UINT64_MAX), {"a key"});
  expect_bad(gguf({key("k", 13, "")}, {}, 64), {"\"k\"", "type 13"});
  expect_bad(gguf({key("k", 10, raw<uint64_t>(UINT64_MAX))}, {}, 0), {"\"k\"", "too large"});
  expect_bad(gguf({key("k", 7, "\1"), key("k", 7, "\1")}, {}, 0), {"\"k\"", "twice"});
  expect_bad(gguf({key("k", 8, raw<uint64_t>(1 << 30))}, {}, 0), {"k at byte", "needs 1073741824"});
  expect_bad(gguf({key("k", 9, raw<uint32_t>(8) + raw<uint64_t>(uint64_t{1} << 60))}, {}, 0),
             {"\"k\"", "array of 1152921504606846976 values"});
  std::string nest;
  for (int i = 0; i < 20; ++i) nest += raw<uint32_t>(9) + raw<uint64_t>(1);
  expect_bad(gguf({key("k", 9, nest)}, {}, 64), {"\"k\"", "nested too deep"});
  expect_bad(gguf({key("general.alignment", 4, raw<uint32_t>(24))}, {}, 0),
             {"general.alignment", "24", "power of two"});
}

TEST(Gguf, RefusesBrokenTensors) {
  expect_bad(gguf({}, {tensor("w", {1, 1, 1, 1, 1}, 0, 0)}, 64), {"\"w\"", "5 dimensions"});
  expect_bad(gguf({}, {tensor("w", {0}, 0, 0)}, 64), {"\"w\"", "dimension 0 is 0"});
  expect_bad(gguf({}, {tensor("w", {uint64_t{1} << 40, uint64_t{1} << 40}, 0, 0)}, 64),
             {"\"w\"", "dimension 1"});
  expect_bad(gguf({}, {tensor("w", {uint64_t{1} << 62}, 0, 0)}, 64), {"\"w\"", "outside"});
  expect_bad(gguf({}, {tensor("w", {16}, 99, 0)}, 64), {"\"w\"", "type 99", "Q4_K"},
             ErrorKind::kUnsupported);
  expect_bad(gguf({}, {tensor("w", {33}, 2, 0)}, 64), {"\"w\"", "rows of 33", "multiple of 32"});
  expect_bad(gguf({}, {tensor("w", {16}, 0, 0)}, 60), {"\"w\"", "outside", "60 bytes"});
  expect_bad(gguf({}, {tensor("w", {1}, 0, 8)}, 64), {"\"w\"", "offset 8", "alignment 32"});
  expect_bad(gguf({}, {tensor("w", {1}, 0, 0), tensor("w", {1}, 0, 32)}, 64), {"\"w\"", "twice"});
  expect_bad(gguf({}, {tensor("w", {1}, 0, 0), tensor("x", {1}, 0, 0)}, 64), {"\"x\"", "another"});
  expect_bad(gguf({}, {tensor("w", {16}, 0, 0), tensor("x", {1}, 0, 32)}, 64),
             {"\"x\"", "overlaps"});
}

TEST(GgufTypes, WidenAsTheReferenceDoes) {
  const TensorFile golden_blocks = read_safetensors(golden("gguf_blocks.safetensors"));
  int types = 0;
  for (uint32_t id = 0; id < 64; ++id) {
    const GgufType* type = find_gguf_type(id);
    if (type == nullptr) continue;
    const NamedTensor *blocks = nullptr, *values = nullptr;
    for (const NamedTensor& candidate : golden_blocks.tensors) {
      if (candidate.name == std::string(type->name) + ".blocks") blocks = &candidate;
      if (candidate.name == std::string(type->name) + ".values") values = &candidate;
    }
    ASSERT_TRUE(blocks != nullptr && values != nullptr) << type->name;
    ASSERT_EQ(blocks->view.shape[1], type->bytes) << type->name;
    ASSERT_EQ(values->view.elements(), type->elements * blocks->view.shape[0]) << type->name;
    std::vector<float> out(static_cast<size_t>(type->elements));
    for (int64_t block = 0; block < blocks->view.shape[0]; ++block) {
      type->dequantize(static_cast<const uint8_t*>(blocks->view.data) + block * type->bytes,
                       out.data());
      const float* expected = static_cast<const float*>(values->view.data) + block * type->elements;
      for (size_t i = 0; i < out.size(); ++i) {
        ASSERT_EQ(out[i], expected[i]) << type->name << " block " << block << " value " << i;
      }
    }
    ++types;
  }
  EXPECT_EQ(types, 16);
}

}  // namespace
}  // namespace tensormill
