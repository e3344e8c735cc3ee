#include "artifacts/torch_checkpoint.h"

#include <bit>

#include "artifacts/files.h"
#include "artifacts/safetensors.h"
#include "artifacts/unpickler.h"

namespace tensormill {
namespace {

class TorchCheckpoint : public testing::TestWithParam<const char*> {};

TEST_P(TorchCheckpoint, HasTheTensorsThatTorchWrote) {
  const TensorFile expected = read_safetensors(golden("torch_expected.safetensors"));
  const TensorFile read = read_torch_checkpoint(golden(GetParam()));
  ASSERT_EQ(read.tensors.size(), expected.tensors.size());
  ASSERT_EQ(read.tensors.size(), 18U);
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    expect_same(read.tensors[i], expected.tensors[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Forms, TorchCheckpoint,
                         testing::Values("plain.bin", "protocol5.bin", "wrapped.bin",
                                         "deflated.bin", "big_endian.bin", "legacy.bin"));

// Storages that are parts of others, names that are bytes.
TEST(OldTorchCheckpoint, OfPython2) {
  const TensorFile expected = read_safetensors(golden("python2_parts.safetensors"));
  const TensorFile read = read_torch_checkpoint(golden("python2_parts.bin"));
  ASSERT_EQ(read.tensors.size(), expected.tensors.size());
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    expect_same(read.tensors[i], expected.tensors[i]);
  }
}

void expect_bad(const char* file, std::initializer_list<const char*> parts) {
  expect_error(ErrorKind::kArtifactInvalid, parts, [&] { read_torch_checkpoint(golden(file)); });
}

TEST(TorchCheckpointErrors, NeverCallsAndMindsOnlyWhatATensorNeeds) {
  const TensorFile read = read_torch_checkpoint(golden("calls_unused.bin"));
  ASSERT_EQ(read.tensors.size(), 1U);
  EXPECT_EQ(read.tensors[0].name, "w");
  expect_bad("calls_tensor.bin", {"calls_tensor.bin", "\"w\"", "surprise", "never called"});
}

// An array where a tensor should be is named; beside the tensors it is never looked at.
TEST(TorchCheckpointErrors, ArraysOfNumpy) {
  expect_bad("numpy_tensor.bin", {"numpy_tensor.bin", "\"v\" is an array of numpy"});
  expect_bad("numpy_only.bin", {"\"v\" is an array of numpy", "torch.from_numpy()"});
  const TensorFile read = read_torch_checkpoint(golden("numpy_beside.bin"));
  ASSERT_EQ(read.tensors.size(), 1U);
  EXPECT_EQ(read.tensors[0].name, "w");
}

TEST(TorchCheckpointErrors, NotOfTorch) {
  const auto expect = [](const std::string& bytes, const char* what) {
    expect_error(ErrorKind::kArtifactInvalid, {"f: expected a file of torch.save", what},
                 [&] { parse_torch_checkpoint(as_bytes(bytes), "f"); });
  };
  expect("\x80\x04\x95", "a pickle that torch.save didn't write");
  expect("<!DOCTYPE html>", "a web page");
  expect("version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS");
  expect("", "it is empty");
  std::string tar(512, '\0');
  tar.replace(0, 7, "storage").replace(257, 5, "ustar");
  expect(tar, "a tar archive, as torch before 0.1.10 wrote");
}

TEST(TorchCheckpointErrors, NameFileAndTensor) {
  expect_bad("torch_expected.safetensors", {"expected a file of torch.save", "torch before 1.6"});
  expect_bad("no_storage.bin", {"\"w\"", "data/0", "missing"});
  expect_bad("short_storage.bin", {"\"w\"", "12 bytes", "expected 4 elements of f32"});
  expect_bad("out_of_bounds.bin", {"\"w\"", "shape [4]", "at 1", "storage of 4"});
  expect_bad("huge_stride.bin", {"\"w\"", "strides [4611686018427387904, 4611686018427387904]"});
  expect_bad("expanded.bin", {"\"w\"", "shape [1099511627776]"});
  expect_bad("negative.bin", {"\"w\"", "malformed offset, shape or strides"});
  expect_bad("no_tensors.bin", {"expected a dictionary of tensors", "state_dict"});
}

// Every prefix, and every single changed byte: an error or tensors, but nothing else. Sanitizers
// watch the memory.
void expect_survival(const char* name) {
  const std::string file = read_text(golden(name));
  const auto attempt = [](const std::string& bytes) {
    try {
      parse_torch_checkpoint(as_bytes(bytes), "f");
    } catch (const Error&) {
      return false;
    }
    return true;
  };
  EXPECT_TRUE(attempt(file));
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(attempt(file.substr(0, size))) << size;
  }
  int accepted = 0;
  for (size_t place = 0; place < file.size(); ++place) {
    for (const char flip : {'\x01', '\x80', '\xff'}) {
      std::string changed = file;
      changed[place] = static_cast<char>(changed[place] ^ flip);
      accepted += attempt(changed) ? 1 : 0;
    }
  }
  EXPECT_GT(accepted, 0);  // padding and values may change
}

TEST(TorchCheckpointErrors, SurvivesTruncationAndChangedBytes) {
  expect_survival("small.bin");
  expect_survival("legacy.bin");
  expect_survival("python2_parts.bin");
}

void expect_bad_pickle(const std::string& bytes, std::initializer_list<const char*> parts) {
  expect_error(ErrorKind::kArtifactInvalid, parts, [&] { unpickle(as_bytes(bytes), "data.pkl"); });
}

TEST(Unpickler, RefusesBrokenPickles) {
  expect_bad_pickle("", {"data.pkl", "byte 0", "needs 1 bytes"});
  expect_bad_pickle("\x80\x01.", {"protocol 1", "expected 2 to 5"});
  expect_bad_pickle("\x80\x02.", {"empty stack"});
  expect_bad_pickle("\x80\x02h\x05.", {"memo 5 was never set"});
  expect_bad_pickle("\x80\x02t.", {"no mark"});
  expect_bad_pickle(
      "\x80\x02"
      "Na.",
      {"looks at an empty stack"});
  expect_bad_pickle("\x80\x02NNs.", {"empty stack"});
  expect_bad_pickle("\x80\x02NNa.", {"no container"});
  expect_bad_pickle("\x80\x02}(Nu.", {"key without a value"});
  expect_bad_pickle("\x80\x02X\xff\xff\xff\xff.", {"needs 4294967295 bytes", "1 are left"});
  expect_bad_pickle("\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", {"18446744073709551615"});
  expect_bad_pickle("\x80\x02S'x'\n.", {"opcode 0x53"});
  expect_bad_pickle(
      "\x80\x02"
      "cposix",
      {"without its end of line"});
  expect_bad_pickle(
      "\x80\x02"
      "c" +
          std::string(300, 'x') + "\nsystem\n.",
      {"name of 300 bytes"});
}

// A namespace as trainers pickle it, of a class that is never made.
TEST(Unpickler, KeepsTheStateOfPlainObjects) {
  using namespace std::string_literals;
  const std::string bytes =
      "\x80\x02"
      "cargparse\nNamespace\n)\x81}(X\x01\x00\x00\x00rG\x3f\xf8\x00\x00\x00\x00\x00\x00"
      "X\x01\x00\x00\x00nNub."s;
  const Pickle pickle = unpickle(as_bytes(bytes), "p");
  const Pickle::Value& object = pickle.at(pickle.root);
  ASSERT_EQ(object.kind, Pickle::Kind::kInert);
  EXPECT_EQ(object.text, "argparse Namespace");
  ASSERT_EQ(object.items.size(), 1U);
  const Pickle::Value& state = pickle.at(object.items[0]);
  ASSERT_EQ(state.kind, Pickle::Kind::kDict);
  ASSERT_EQ(state.items.size(), 4U);
  EXPECT_EQ(pickle.at(state.items[0]).text, "r");
  EXPECT_EQ(std::bit_cast<double>(pickle.at(state.items[1]).number), 1.5);
}

TEST(Unpickler, ReadsIntegersOfEveryWidth) {
  using namespace std::string_literals;
  const std::string bytes =
      "\x80\x02(J\xfe\xff\xff\xffK\xffM\x01\x02\x8a\x02\x00\x80\x8a\x00"
      "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01t."s;
  const Pickle pickle = unpickle(as_bytes(bytes), "p");
  const auto& items = pickle.at(pickle.root).items;
  ASSERT_EQ(items.size(), 6U);
  const int64_t expected[] = {-2, 255, 513, -32768, 0};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(pickle.at(items[i]).kind, Pickle::Kind::kInt);
    EXPECT_EQ(pickle.at(items[i]).number, expected[i]);
  }
  EXPECT_EQ(pickle.at(items[5]).kind, Pickle::Kind::kInert);
}

TEST(Unpickler, BoundsWhatAPickleMayMake) {
  expect_bad_pickle("\x80\x02" + std::string((size_t{1} << 22) + 1, 'N'), {"more than 4194304"});
  // A list that holds itself, and lists nested a million deep, are only references.
  EXPECT_EQ(unpickle(as_bytes("\x80\x02]q\x01h\x01"
                              "a."),
                     "p")
                .values.size(),
            1U);
  const std::string deep = "\x80\x02" + std::string(1000000, ']') + std::string(999999, 'a') + ".";
  EXPECT_EQ(unpickle(as_bytes(deep), "p").values.size(), 1000000U);
}

}  // namespace
}  // namespace tensormill
