#include "tokenizer/regex.h"

#include <ctime>

#include "base/error.h"
#include "base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace tensormill {
namespace {

constexpr uint32_t kMatchLimit = 10'000'000, kDepthLimit = 10'000, kHeapLimitKiB = 32 * 1024;
constexpr size_t kStackBytes = 32 * 1024, kMaxStackBytes = 8 * 1024 * 1024;
constexpr uint32_t kMaxPatternBytes = 1 << 16;
// The limits above are for each place where a match may start. So that many slow places don't add
// up, the clock is looked at behind every kWindow of them.
constexpr size_t kWindow = 64;
constexpr double kMaxSeconds = 10, kMaxSecondsPerByte = 1e-6;

struct Deleter {
  void operator()(pcre2_code* p) const { pcre2_code_free(p); }
  void operator()(pcre2_compile_context* p) const { pcre2_compile_context_free(p); }
  void operator()(pcre2_match_context* p) const { pcre2_match_context_free(p); }
  void operator()(pcre2_match_data* p) const { pcre2_match_data_free(p); }
  void operator()(pcre2_jit_stack* p) const { pcre2_jit_stack_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Deleter>;

// What a match writes to. One a thread, made at its first match.
struct MatchState {
  Owned<pcre2_match_data> data{pcre2_match_data_create(1, nullptr)};
  Owned<pcre2_match_context> context{pcre2_match_context_create(nullptr)};
  Owned<pcre2_jit_stack> stack{pcre2_jit_stack_create(kStackBytes, kMaxStackBytes, nullptr)};

  MatchState() {
    if (!data || !context || !stack) {
      throw_error(ErrorKind::kOutOfMemory, "regular expressions: no memory for a match");
    }
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_depth_limit(context.get(), kDepthLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKiB);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

MatchState& match_state() {
  static thread_local MatchState state;
  return state;
}

// Counts the places where a match was looked for; spend() is false when they took too long. The
// time of this thread's work counts, whatever else the machine does; but asking for it takes a
// system call, so the coarse clock, which costs next to nothing, has to pass the limit first.
class Budget {
 public:
  explicit Budget(size_t bytes)
      : allowed_(kMaxSeconds + kMaxSecondsPerByte * static_cast<double>(bytes)),
        end_(seconds(clock_) + allowed_) {}

  bool spend(size_t places) {
    places_ += places;
    if (places_ < kWindow) return true;
    places_ = 0;
    if (seconds(clock_) < end_) return true;
    if (clock_ == CLOCK_THREAD_CPUTIME_ID) return false;
    clock_ = CLOCK_THREAD_CPUTIME_ID;
    end_ = seconds(clock_) + allowed_;
    return true;
  }

 private:
  static double seconds(clockid_t clock) {
    std::timespec time{};
    clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  clockid_t clock_ = CLOCK_MONOTONIC_COARSE;
  double allowed_, end_;
  size_t places_ = 0;
};

std::string message_of(int error) {
  PCRE2_UCHAR buffer[200];
  if (pcre2_get_error_message(error, buffer, sizeof buffer) < 0) return "unknown error";
  return reinterpret_cast<const char*>(buffer);
}

}  // namespace

struct Regex::Code {
  Owned<pcre2_code> code;
  bool jit = false;
  std::string pattern, origin;

  // False when no match starts at one of `places` bytes from `start` on; `text` must be valid
  // UTF-8.
  bool match(std::string_view text, size_t start, size_t places, size_t& begin, size_t& end) const {
    MatchState& state = match_state();
    pcre2_set_offset_limit(state.context.get(), start + places - 1);
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    const int result = jit ? pcre2_jit_match(code.get(), subject, text.size(), start, 0,
                                             state.data.get(), state.context.get())
                           : pcre2_match(code.get(), subject, text.size(), start,
                                         PCRE2_NO_UTF_CHECK, state.data.get(), state.context.get());
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) fail(message_of(result));
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(state.data.get());
    begin = range[0];
    end = range[1];
    return true;
  }

  bool find(std::string_view text, size_t start, Budget& budget, size_t& begin, size_t& end) const {
    while (true) {
      const bool found = match(text, start, kWindow, begin, end);
      if (!budget.spend(found ? begin - start + 1 : kWindow)) fail("it takes too long");
      if (found) return true;
      start += kWindow;
      while (start < text.size() && is_utf8_continuation(text[start])) ++start;
      if (start > text.size()) return false;
    }
  }

  [[noreturn]] void fail(std::string_view why) const {
    throw_error(ErrorKind::kBadRequest,
                "the text can't be split by the tokenizer's regular expression {} ({}): {}",
                pattern, origin, why);
  }
};

Regex::Regex(std::string_view pattern, std::string_view origin) : code_(std::make_unique<Code>()) {
  if (pattern.size() > kMaxPatternBytes) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: a regular expression of {} bytes, at most {}",
                origin, pattern.size(), kMaxPatternBytes);
  }
  code_->pattern = pattern;
  code_->origin = origin;
  const std::string translated = translate_regex(pattern, origin);
  Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  if (!context) throw_error(ErrorKind::kOutOfMemory, "{}: no memory to compile", origin);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE column = 0;
  code_->code.reset(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C |
                        PCRE2_NO_AUTO_CAPTURE | PCRE2_USE_OFFSET_LIMIT,
                    &error, &column, context.get()));
  if (!code_->code) {
    throw_error(ErrorKind::kArtifactInvalid, "{}: regular expression \"{}\": {} (column {} of {})",
                origin, pattern, message_of(error), column, translated);
  }
  code_->jit = pcre2_jit_compile(code_->code.get(), PCRE2_JIT_COMPLETE) == 0;
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

void Regex::find_all(std::string_view text, ByteRanges& out) const {
  out.clear();
  size_t at = 0, begin = 0, end = 0;
  Budget budget(text.size());
  while (at <= text.size() && code_->find(text, at, budget, begin, end)) {
    const bool empty = begin == end;
    if (!empty || out.empty() || out.back().second != begin) out.emplace_back(begin, end);
    at = end;
    if (empty) at += end < text.size() ? utf8_length(text[end]) : 1;
  }
}

Pattern::Pattern(const JsonNode& node) {
  if (const auto literal = node.find("String")) {
    literal_ = literal->text();
    if (literal_.empty()) regex_ = std::make_shared<Regex>("", "");
  } else if (const auto regex = node.find("Regex")) {
    regex_ = std::make_shared<Regex>(regex->text(), regex->where());
  } else {
    node.fail("expected {\"String\": ...} or {\"Regex\": ...}");
  }
}

void Pattern::find_all(std::string_view text, ByteRanges& out) const {
  if (regex_) return regex_->find_all(text, out);
  out.clear();
  for (size_t at = text.find(literal_); at != std::string_view::npos;
       at = text.find(literal_, at + literal_.size())) {
    out.emplace_back(at, at + literal_.size());
  }
}

}  // namespace tensormill
