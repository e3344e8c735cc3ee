#include "artifacts/torch_tree.h"

#include <algorithm>
#include <bit>

#include "artifacts/torch_rebuild.h"
#include "base/error.h"
#include "base/mmap.h"

namespace tensormill {
namespace {

using Kind = Pickle::Kind;

constexpr int kMaxDepth = 16;
constexpr size_t kMaxVisited = size_t{1} << 18, kMaxName = 1024, kMost = 200;

}  // namespace

std::string to_text(const PlainValue& value) {
  struct Printer {
    std::string operator()(std::nullptr_t) const { return "None"; }
    std::string operator()(bool b) const { return b ? "True" : "False"; }
    std::string operator()(int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const { return fmt::format("{}", d); }
    std::string operator()(const std::string& s) const { return '"' + s.substr(0, kMost) + '"'; }
    std::string operator()(const NotPlain& other) const { return other.what.substr(0, kMost); }
  };
  return std::visit(Printer{}, value);
}

TorchTree::TorchTree(std::span<const std::byte> bytes, std::string origin,
                     std::shared_ptr<const void> owner)
    : origin_(std::make_unique<const std::string>(std::move(origin))),
      owner_(std::move(owner)),
      archive_(std::make_unique<TorchArchive>(bytes, *origin_)) {
  if (archive_->root().kind != Kind::kDict) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected a dictionary at the top", *origin_);
  }
}

TorchTree TorchTree::open(const std::filesystem::path& file) {
  std::shared_ptr<const MappedFile> mapped = MappedFile::open(file);
  TorchTree tree(mapped->bytes(), file.string(), mapped);
  tree.mapped_ = std::move(mapped);
  return tree;
}

std::vector<std::string> TorchTree::keys() const {
  const Pickle& pickle = archive_->pickle();
  const std::vector<Pickle::Ref>& items = archive_->root().items;
  std::vector<std::string> result;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (pickle.at(items[i]).kind == Kind::kString) result.push_back(pickle.at(items[i]).text);
  }
  return result;
}

const Pickle::Value* TorchTree::find(std::string_view key) const {
  const Pickle& pickle = archive_->pickle();
  const std::vector<Pickle::Ref>& items = archive_->root().items;
  for (size_t i = items.size() / 2; i-- > 0;) {  // the last one counts
    const Pickle::Value& name = pickle.at(items[2 * i]);
    if (name.kind == Kind::kString && name.text == key) return &pickle.at(items[2 * i + 1]);
  }
  return nullptr;
}

PlainValue TorchTree::to_plain(const Pickle::Value& value) const {
  switch (value.kind) {
    case Kind::kNone:
      return nullptr;
    case Kind::kBool:
      return value.number != 0;
    case Kind::kInt:
      return value.number;
    case Kind::kFloat:
      return std::bit_cast<double>(value.number);
    case Kind::kString:
      return value.text;
    case Kind::kTuple:
    case Kind::kList:
      return NotPlain{"a list"};
    case Kind::kDict:
      return NotPlain{"a dictionary"};
    case Kind::kGlobal:
    case Kind::kInert:
      return NotPlain{value.text};
    case Kind::kBytes:
    case Kind::kStorage:
    case Kind::kTensor:
      break;
  }
  return NotPlain{"data"};
}

PlainValue TorchTree::plain(std::string_view key, PlainValue missing) const {
  const Pickle::Value* value = find(key);
  return value == nullptr ? std::move(missing) : to_plain(*value);
}

PlainValues TorchTree::attributes(std::string_view key) const {
  const Pickle& pickle = archive_->pickle();
  const Pickle::Value* value = find(key);
  if (value != nullptr && value->kind == Kind::kInert && value->items.size() == 1) {
    value = &pickle.at(value->items[0]);
  }
  PlainValues result;
  if (value == nullptr || value->kind != Kind::kDict) return result;
  for (size_t i = 0; i + 1 < value->items.size(); i += 2) {
    const Pickle::Value& name = pickle.at(value->items[i]);
    if (name.kind == Kind::kString) result[name.text] = to_plain(pickle.at(value->items[i + 1]));
  }
  return result;
}

void TorchTree::collect(const Pickle::Value& dict, const std::string& prefix, int depth,
                        TensorFile& file) {
  const Pickle& pickle = archive_->pickle();
  if (depth > kMaxDepth) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\": dictionaries nested deeper than {}",
                *origin_, prefix, kMaxDepth);
  }
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const Pickle::Value& key = pickle.at(dict.items[i]);
    const Pickle::Value& value = pickle.at(dict.items[i + 1]);
    if (++visited_ > kMaxVisited) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\": more than {} entries", *origin_, prefix,
                  kMaxVisited);
    }
    if (key.kind != Kind::kString) continue;
    if (prefix.size() + key.text.size() >= kMaxName) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: \"{}\": a name of more than {} bytes", *origin_,
                  prefix, kMaxName);
    }
    const std::string name = prefix.empty() ? key.text : prefix + '.' + key.text;
    if (value.kind == Kind::kDict) {
      collect(value, name, depth + 1, file);
    } else if (value.kind == Kind::kTensor) {
      const Pickle::Tensor& tensor = pickle.tensors[static_cast<size_t>(value.number)];
      file.tensors.push_back({name, archive_->view(name, tensor), *origin_});
    } else if (value.kind == Kind::kInert && value.carries_data) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" {}", *origin_, name,
                  not_a_tensor(value));
    }
  }
}

TensorFile TorchTree::tensors(std::string_view key) {
  TensorFile file;
  const Pickle::Value* dict = find(key);
  if (dict != nullptr && dict->kind == Kind::kDict) collect(*dict, "", 0, file);
  std::sort(file.tensors.begin(), file.tensors.end(),
            [](const NamedTensor& a, const NamedTensor& b) { return a.name < b.name; });
  for (size_t i = 1; i < file.tensors.size(); ++i) {
    if (file.tensors[i].name == file.tensors[i - 1].name) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: tensor \"{}\" is there twice", *origin_,
                  file.tensors[i].name);
    }
  }
  file.owners = archive_->owners();
  if (owner_) file.owners.push_back(owner_);
  if (mapped_) file.mapped.push_back(mapped_);
  return file;
}

}  // namespace tensormill
