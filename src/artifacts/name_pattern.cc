#include "artifacts/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8  // the library asks for it
#include <pcre2.h>

#include "base/error.h"

namespace tensormill {
namespace {

constexpr uint32_t kMatchLimit = 200'000, kHeapLimitKiB = 16 * 1024;
constexpr size_t kMaxPattern = 20'000;

struct Free {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

}  // namespace

struct NamePattern::Code {
  Owned<pcre2_code> code;
  Owned<pcre2_match_context> context;
  std::string pattern, origin;

  // The match's groups; null: none.
  Owned<pcre2_match_data> match(std::string_view name, uint32_t options) const {
    Owned<pcre2_match_data> data(pcre2_match_data_create_from_pattern(code.get(), nullptr));
    const int found =
        pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(name.data()), name.size(), 0,
                    options | PCRE2_ANCHORED, data.get(), context.get());
    if (found == PCRE2_ERROR_NOMATCH) return nullptr;
    if (found < 0) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: the pattern \"{}\" fails on \"{}\" (error {})",
                  origin, pattern, name, found);
    }
    return data;
  }
};

NamePattern::NamePattern(const std::string& pattern, std::string_view origin)
    : code_(std::make_unique<Code>()) {
  int error = 0;
  PCRE2_SIZE at = 0;
  if (pattern.size() <= kMaxPattern) {
    code_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                    PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C, &error, &at,
                                    nullptr));
  }
  if (!code_->code) {
    PCRE2_UCHAR text[128] = "it is too long";
    if (error != 0) pcre2_get_error_message(error, text, sizeof text);
    throw_error(ErrorKind::kArtifactInvalid, "{}: the pattern \"{}\" at column {}: {}", origin,
                pattern.substr(0, 200), at, reinterpret_cast<const char*>(text));
  }
  code_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code_->context.get(), kMatchLimit);
  pcre2_set_heap_limit(code_->context.get(), kHeapLimitKiB);
  code_->pattern = pattern;
  code_->origin = origin;
}

NamePattern::~NamePattern() = default;
NamePattern::NamePattern(NamePattern&&) noexcept = default;
NamePattern& NamePattern::operator=(NamePattern&&) noexcept = default;

bool NamePattern::matches(std::string_view name, bool whole) const {
  return code_->match(name, whole ? PCRE2_ENDANCHORED : 0) != nullptr;
}

std::optional<std::string> NamePattern::first_group(std::string_view name) const {
  const Owned<pcre2_match_data> data = code_->match(name, 0);
  if (!data || pcre2_get_ovector_count(data.get()) < 2) return std::nullopt;
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get()) + 2;
  if (range[0] == PCRE2_UNSET) return std::nullopt;
  return std::string(name.substr(range[0], range[1] - range[0]));
}

}  // namespace tensormill
