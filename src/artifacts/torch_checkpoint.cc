#include "artifacts/torch_checkpoint.h"

#include <fmt/ranges.h>

#include <map>

#include "artifacts/torch_archive.h"
#include "artifacts/torch_rebuild.h"
#include "base/error.h"
#include "base/mmap.h"

namespace tensormill {
namespace {

using Kind = Pickle::Kind;

constexpr int kMaxWrappers = 4;  // {"model": {"module": {...}}}
// Under what trainers save the tensors, the surest first.
constexpr std::string_view kWrappers[] = {
    "state_dict", "model_state_dict", "model", "module", "checkpoint", "net", "weights", "params"};

class TorchReader {
 public:
  TorchReader(std::span<const std::byte> bytes, const std::string& origin)
      : origin_(origin), archive_(bytes, origin), pickle_(archive_.pickle()) {}

  TensorFile read() {
    std::map<std::string, const Pickle::Value*> named;
    const Pickle::Value& dict = state_dict();
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
      const Pickle::Value& key = pickle_.at(dict.items[i]);
      if (key.kind == Kind::kString) named[key.text] = &pickle_.at(dict.items[i + 1]);
    }
    for (const auto& [name, value] : named) {
      if (value->kind == Kind::kInert && value->carries_data) {
        throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" {}", origin_, name,
                    not_a_tensor(*value));
      }
      if (value->kind != Kind::kTensor) continue;
      const Pickle::Tensor& tensor = pickle_.tensors[static_cast<size_t>(value->number)];
      file_.tensors.push_back({name, archive_.view(name, tensor), origin_});
    }
    file_.owners = std::move(archive_.owners());
    return std::move(file_);
  }

 private:
  // `inert`: what would be made of tensors counts, too.
  bool has_tensor(const Pickle::Value& dict, bool inert) const {
    for (size_t i = 1; i < dict.items.size(); i += 2) {
      const Pickle::Value& value = pickle_.at(dict.items[i]);
      if (value.kind == Kind::kTensor) return true;
      if (inert && value.kind == Kind::kInert && value.carries_data) return true;
    }
    return false;
  }

  // What the file would have had called where tensors were expected; empty if nothing.
  std::string called_instead(const Pickle::Value& value) const {
    const auto note = [](std::string_view what, std::string_view global) {
      return fmt::format("; {} is the result of \"{}\", which is never called", what, global);
    };
    if (value.kind == Kind::kInert) return note("this file", value.text);
    if (value.kind != Kind::kDict) return "";
    for (size_t i = 0; i + 1 < value.items.size(); i += 2) {
      const Pickle::Value& key = pickle_.at(value.items[i]);
      const Pickle::Value& item = pickle_.at(value.items[i + 1]);
      if (key.kind == Kind::kString && item.kind == Kind::kInert) {
        return note(fmt::format("\"{}\"", key.text), item.text);
      }
    }
    return "";
  }

  // The dictionary under the first of kWrappers that has one; null: none.
  const Pickle::Value* unwrap(const Pickle::Value& dict) const {
    for (const std::string_view wrapper : kWrappers) {
      for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
        const Pickle::Value& key = pickle_.at(dict.items[i]);
        const Pickle::Value& value = pickle_.at(dict.items[i + 1]);
        if (key.kind == Kind::kString && key.text == wrapper && value.kind == Kind::kDict) {
          return &value;
        }
      }
    }
    return nullptr;
  }

  // The dictionary that holds the tensors: the top one, or the one that a trainer wrapped.
  const Pickle::Value& state_dict() const {
    const Pickle::Value* dict = &pickle_.at(pickle_.root);
    for (int depth = 0; depth < kMaxWrappers; ++depth) {
      if (dict->kind != Kind::kDict) break;
      if (has_tensor(*dict, false)) return *dict;
      const Pickle::Value* inner = unwrap(*dict);
      if (inner == nullptr) break;
      dict = inner;
    }
    if (dict->kind == Kind::kDict && has_tensor(*dict, true)) return *dict;
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: expected a dictionary of tensors, or one under {}{}", origin_,
                fmt::join(kWrappers, ", "), called_instead(*dict));
  }

  const std::string& origin_;
  TorchArchive archive_;
  const Pickle& pickle_;
  TensorFile file_;
};

}  // namespace

TensorFile parse_torch_checkpoint(std::span<const std::byte> bytes, const std::string& origin) {
  return TorchReader(bytes, origin).read();
}

TensorFile read_torch_checkpoint(const std::filesystem::path& file) {
  const std::shared_ptr<const MappedFile> mapped = MappedFile::open(file);
  const std::string origin = file.string();
  TensorFile result = parse_torch_checkpoint(mapped->bytes(), origin);
  result.mapped.push_back(mapped);
  return result;
}

}  // namespace tensormill
