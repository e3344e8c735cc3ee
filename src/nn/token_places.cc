#include "nn/token_places.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"

namespace tensormill {
namespace {

// Slot of the blank, or -1.
int32_t find_blank(const BlankSpec& spec, std::span<const int32_t> context) {
  const auto first_of = [&](std::span<const int32_t> ids) {
    const auto found = std::find_first_of(context.begin(), context.end(), ids.begin(), ids.end());
    return found == context.end() ? -1 : static_cast<int32_t>(found - context.begin());
  };
  if (!spec.by_kind) return first_of(spec.masks);
  for (const int32_t& id : spec.masks) {
    if (const int32_t slot = first_of({&id, 1}); slot >= 0) return slot;
  }
  return -1;
}

}  // namespace

TokenPlaces find_places(const BlankSpec& spec, std::span<const int32_t> prompt) {
  if (!spec.fills()) return {};
  const auto start = std::find(prompt.begin(), prompt.end(), spec.start);
  if (start == prompt.end()) {
    throw_error(ErrorKind::kBadRequest,
                "the prompt lacks token {}, from which on this model writes its answer",
                spec.start);
  }
  const auto context = static_cast<int32_t>(start - prompt.begin());
  const int32_t blank = find_blank(spec, prompt.first(static_cast<size_t>(context)));
  if (blank < 0) {
    throw_error(ErrorKind::kBadRequest,
                "the prompt lacks a blank for this model to fill before token {}: expected one of "
                "the tokens {}",
                spec.start, fmt::join(spec.masks, ", "));
  }
  return {true, context, blank};
}

}  // namespace tensormill
