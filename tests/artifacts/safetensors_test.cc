#include "artifacts/safetensors.h"

#include "artifacts/files.h"
#include "artifacts/safetensors_writer.h"

namespace tensormill {
namespace {

void expect_bad(const std::string& bytes, std::initializer_list<const char*> parts) {
  expect_error(ErrorKind::kArtifactInvalid, parts,
               [&] { parse_safetensors(as_bytes(bytes), "model.safetensors"); });
}

TEST(Safetensors, ReadsEveryTypeInAscendingOrderOfNames) {
  const std::string file =
      safetensors(R"({"__metadata__":{"format":"pt"},)"
                  R"("b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
                  R"("a":{"dtype":"BF16","shape":[2,1],"data_offsets":[8,12]},)"
                  R"("c":{"dtype":"BOOL","shape":[],"data_offsets":[12,13]},)"
                  R"("d":{"dtype":"F32","shape":[0,7],"data_offsets":[13,13]}})",
                  13);
  const TensorFile read = parse_safetensors(as_bytes(file), "f");
  ASSERT_EQ(read.tensors.size(), 4U);
  EXPECT_EQ(read.tensors[0].name, "a");
  EXPECT_EQ(read.tensors[0].view.type, DType::kBF16);
  EXPECT_EQ(read.tensors[0].view.shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(read.tensors[1].view.type, DType::kF64);
  EXPECT_EQ(read.tensors[2].view.type, DType::kBool);
  EXPECT_EQ(read.tensors[2].view.elements(), 1);
  EXPECT_EQ(read.tensors[3].view.elements(), 0);
}

TEST(Safetensors, ViewsWhatIsNotAligned) {
  std::string file = safetensors(R"({"s":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("w":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})",
                                 9);
  const float values[2] = {1.5F, -2.25F};
  std::memcpy(file.data() + file.size() - 8, values, 8);
  const TensorFile read = parse_safetensors(as_bytes(file), "f");
  EXPECT_EQ(read.tensors[1].view.data, file.data() + file.size() - 8);
}

TEST(Safetensors, RefusesBrokenHeaders) {
  expect_bad("", {"model.safetensors", "0 bytes", "at least 8"});
  expect_bad(raw<uint64_t>(100) + "{}", {"header of 100 bytes", "at most 2"});
  expect_bad(raw<uint64_t>(UINT64_MAX) + "{}", {"header of 18446744073709551615 bytes"});
  expect_bad(safetensors("{\"a\":", 0), {"no valid JSON"});
  expect_bad(safetensors("[]", 0), {"expected a JSON object"});
  expect_bad(safetensors(R"({"a": 1e999})", 0), {"beyond a double's range"});
  expect_bad(safetensors("{\"a\":[[[[[[1]]]]]]}", 0), {"nested deeper"});
  expect_bad(safetensors(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]},)"
                         R"("a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}})",
                         1),
             {"\"a\"", "twice"});
}

TEST(Safetensors, AHeaderAloneGivesNamesAndShapes) {
  const char* header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("b":{"dtype":"F16","shape":[3],"data_offsets":[8,14]}})";
  const std::string alone = safetensors(header, 0);
  const TensorFile read = parse_safetensors(as_bytes(alone), "f", true);
  ASSERT_EQ(read.tensors.size(), 2U);
  EXPECT_EQ(read.tensors[1].view.shape, (std::vector<int64_t>{3}));
  EXPECT_EQ(read.tensors[1].view.data, nullptr);
  expect_bad(alone, {"\"a\"", "bytes 0 to 8 lie outside the file's data section of 0 bytes"});
  const std::string whole = safetensors(header, 14);
  EXPECT_NE(parse_safetensors(as_bytes(whole), "f", true).tensors[1].view.data, nullptr);
  const auto header_of = [](const std::string& bytes) {
    return [&bytes] { parse_safetensors(as_bytes(bytes), "f", true); };
  };
  const std::string cut = safetensors(header, 13);
  expect_error(ErrorKind::kArtifactInvalid, {"\"b\"", "section of 13 bytes"}, header_of(cut));
  const std::string absurd =
      safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,9]}})", 0);
  expect_error(ErrorKind::kArtifactInvalid, {"needs 8 bytes"}, header_of(absurd));
}

TEST(Safetensors, RefusesBrokenTensors) {
  const auto one = [](const char* entry, size_t data) {
    return safetensors(std::string("{\"w\":") + entry + "}", data);
  };
  expect_bad(one("7", 0), {"\"w\"", "expected an object"});
  expect_bad(one(R"({"shape":[1],"data_offsets":[0,1]})", 1), {"\"w\"", "\"dtype\""});
  expect_bad(one(R"({"dtype":"I8","data_offsets":[0,1]})", 1), {"\"w\"", "\"shape\""});
  expect_bad(one(R"({"dtype":"I8","shape":[-1],"data_offsets":[0,1]})", 1), {"-1 is no size"});
  expect_bad(one(R"({"dtype":"I8","shape":[1]})", 1), {"\"w\"", "\"data_offsets\""});
  expect_bad(one(R"({"dtype":"I8","shape":[1],"data_offsets":[0.5,1]})", 1), {"[begin, end]"});
  expect_bad(one(R"({"dtype":"F32","shape":[2,3],"data_offsets":[0,20]})", 20),
             {"\"w\"", "shape [2, 3] of f32 needs 24 bytes", "span 20"});
  expect_bad(one(R"({"dtype":"I8","shape":[4],"data_offsets":[0,4]})", 3),
             {"bytes 0 to 4", "outside", "3 bytes"});
  expect_bad(one(R"({"dtype":"I8","shape":[4],"data_offsets":[4,0]})", 4), {"bytes 4 to 0"});
  expect_bad(one(R"({"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0),
             {"needs more than 2^64 bytes"});
  expect_bad(one(R"({"dtype":"I8","shape":[1],"data_offsets":[0,1]})", 2),
             {"end at byte 1", "file has 2"});
  expect_error(ErrorKind::kUnsupported, {"\"w\"", "F8_E4M3", "BF16"}, [&] {
    const auto file = one(R"({"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]})", 1);
    parse_safetensors(as_bytes(file), "f");
  });
}

TEST(Safetensors, RefusesOverlapsAndGaps) {
  const auto two = [](const char* second) {
    return safetensors(
        std::string(R"({"a":{"dtype":"I8","shape":[4],"data_offsets":[0,4]},"b":)") + second + "}",
        8);
  };
  expect_bad(two(R"({"dtype":"I8","shape":[5],"data_offsets":[3,8]})"),
             {"\"b\"", "begins at byte 3", "ends at 4"});
  expect_bad(two(R"({"dtype":"I8","shape":[3],"data_offsets":[5,8]})"),
             {"\"b\"", "begins at byte 5, expected 4"});
}

TEST(SafetensorsWriter, RoundTripsWithEveryTensorAligned) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.safetensors";
  const float wide[3] = {1, 2, 3};
  const uint8_t bytes[5] = {9, 8, 7, 6, 5};
  SafetensorsWriter writer(path, {{"z", DType::kU8, {5}}, {"y", DType::kF32, {3, 1}}});
  ASSERT_EQ(writer.entries()[0].name, "y");
  writer.write(wide, sizeof wide);
  EXPECT_FALSE(std::filesystem::exists(path));
  writer.write(bytes, sizeof bytes);
  writer.finish();
  const TensorFile read = read_safetensors(path);
  ASSERT_EQ(read.tensors.size(), 2U);
  EXPECT_EQ(std::memcmp(read.tensors[0].view.data, wide, sizeof wide), 0);
  EXPECT_EQ(std::memcmp(read.tensors[1].view.data, bytes, sizeof bytes), 0);
  EXPECT_EQ(read.tensors[0].view.shape, (std::vector<int64_t>{3, 1}));
  EXPECT_NE(read_text(path).find(R"("__metadata__":{"format":"pt"})"), std::string::npos);
}

TEST(SafetensorsWriter, LeavesNothingWhenItIsNotFinished) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "m.safetensors";
  {
    SafetensorsWriter writer(path, {{"a", DType::kU8, {2}}});
    writer.write("x", 1);
    expect_error(ErrorKind::kInternal, {"1 bytes", "expected 2"}, [&] { writer.finish(); });
    expect_error(ErrorKind::kInternal, {"more than"}, [&] { writer.write("xyz", 3); });
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  expect_error(ErrorKind::kInternal, {"nowhere", "No such file"},
               [&] { SafetensorsWriter writer(folder.path() / "nowhere" / "m", {}); });
}

}  // namespace
}  // namespace tensormill
