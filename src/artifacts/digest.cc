#include "artifacts/digest.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

#include "artifacts/web_client.h"
#include "base/error.h"

namespace tensormill {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

class Hasher {
 public:
  explicit Hasher(const EVP_MD* method) : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), method, nullptr) != 1) {
      throw_error(ErrorKind::kInternal, "OpenSSL has no such digest");
    }
  }
  void update(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), bytes.data(), &size);
    return {reinterpret_cast<const char*>(bytes.data()), size};
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

std::string sha256(std::string_view text) {
  Hasher hasher(EVP_sha256());
  hasher.update(text.data(), text.size());
  return hasher.finish();
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data(), &size);
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

std::string digest_of_file(Digest digest, const std::filesystem::path& file,
                           const std::function<bool()>& stopped) {
  Hasher hasher(digest == Digest::kSha256 ? EVP_sha256()
                : digest == Digest::kMd5  ? EVP_md5()
                                          : EVP_sha1());
  if (digest == Digest::kGitBlob) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file, error);
    const std::string head = fmt::format("blob {}", error ? 0 : size);
    hasher.update(head.c_str(), head.size() + 1);
  }
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    throw_error(ErrorKind::kNotFound, "{}: could not be read", file.string());
  }
  std::vector<char> block(kBlock);
  ssize_t count = 0;
  while (!stopped() && (count = ::read(descriptor, block.data(), block.size())) > 0) {
    hasher.update(block.data(), static_cast<size_t>(count));
  }
  ::close(descriptor);
  if (stopped()) throw_cancelled();
  if (count < 0) throw_error(ErrorKind::kNotFound, "{}: could not be read", file.string());
  return hex(hasher.finish());
}

}  // namespace tensormill
