#include "artifacts/other_content.h"

namespace tensormill {
namespace {

constexpr size_t kTarMagic = 257;  // where a tar archive says "ustar"

struct Beginning {
  std::string_view text, meaning;
};
constexpr Beginning kBeginnings[] = {
    {"version https://git-lfs", "; it is a pointer of Git LFS: the file itself was not downloaded"},
    {"<!DOCTYPE", "; it is a web page"},
    {"<html", "; it is a web page"},
    {"GGUF", "; it is a GGUF file: see `tensormill convert`"},
    {"\x89HDF", "; it is an HDF5 file"},
};

}  // namespace

std::string_view other_content(std::span<const std::byte> bytes) {
  if (bytes.empty()) return "; it is empty";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Beginning& row : kBeginnings) {
    if (text.starts_with(row.text)) return row.meaning;
  }
  if (text.size() > kTarMagic && text.substr(kTarMagic).starts_with("ustar")) {
    return "; it is a tar archive, as torch before 0.1.10 wrote: save it again with a later torch";
  }
  if (text.size() > 1 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5) {
    return "; it is a pickle that torch.save didn't write";
  }
  return "";
}

}  // namespace tensormill
