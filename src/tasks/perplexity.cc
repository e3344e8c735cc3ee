#include "tasks/perplexity.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "base/error.h"
#include "kernels/table.h"
#include "models/host_batch.h"
#include "tensor/host_values.h"

namespace tensormill {
namespace {

// -ln of the token's share; NaN where the logits are not finite.
double token_loss(const LogitKernels& kernels, std::span<const float> logits, int32_t token) {
  const auto count = static_cast<int64_t>(logits.size());
  const RowPeak peak = kernels.peak(logits.data(), count);
  if (!peak.finite) return std::numeric_limits<double>::quiet_NaN();
  const double logit = logits[static_cast<size_t>(token)];
  return std::log(kernels.sum_exp(logits.data(), count, peak.value)) + double{peak.value} - logit;
}

}  // namespace

TextWindows cut_windows(const Tokenizer& tokenizer, std::string_view text, int32_t context) {
  const std::vector<int32_t> plain = tokenizer.encode(text, false).ids;
  const std::vector<int32_t> whole = tokenizer.encode(text, true).ids;
  const auto begin = std::search(whole.begin(), whole.end(), plain.begin(), plain.end());
  const std::span<const int32_t> added(whole.begin(), begin == whole.end() ? whole.begin() : begin);
  TextWindows result;
  result.added = static_cast<int32_t>(added.size());
  result.text_tokens = static_cast<int64_t>(plain.size());
  const size_t least = added.empty() ? 2 : added.size() + 1;
  if (context < 0 || static_cast<size_t>(context) < least) {
    throw_error(ErrorKind::kBadRequest,
                "windows of {} tokens, expected at least {}: {} stand first", context, least,
                std::max<size_t>(1, added.size()));
  }
  const size_t step = static_cast<size_t>(context) - added.size();
  for (size_t at = 0; at < plain.size(); at += step) {
    const size_t count = std::min(step, plain.size() - at);
    if (added.size() + count < least) break;
    std::vector<int32_t>& window = result.windows.emplace_back(added.begin(), added.end());
    const auto first = plain.begin() + static_cast<std::ptrdiff_t>(at);
    window.insert(window.end(), first, first + static_cast<std::ptrdiff_t>(count));
  }
  if (result.windows.empty()) {
    throw_error(ErrorKind::kBadRequest, "the text has {} tokens: nothing to score", plain.size());
  }
  return result;
}

Loss text_loss(const Model& model, const TextWindows& text, int32_t chunk, ThreadTeam& team,
               const std::function<void(size_t windows, const Loss&)>& progress) {
  const auto vocabulary = static_cast<size_t>(model.info().vocabulary);
  const int32_t first = std::max(1, text.added);
  const KernelTable& host =
      model.kernels().logits != nullptr ? model.kernels() : *cpu_kernels("auto");
  const LogitKernels& kernels = *host.logits();
  Loss loss;
  std::vector<double> losses;
  visit_sequences(model, text.windows, chunk, [&](const VisitedChunk& visited) {
    const std::vector<int32_t>& window = text.windows[visited.sequence];
    const auto length = static_cast<int32_t>(window.size());
    // The row of a token says what comes after it.
    const int32_t begin = std::max(visited.begin + 1, first);
    const int32_t end = std::min(visited.begin + visited.count + 1, length);
    const HostValues<float> logits(model.device(), visited.output.logits,
                                   static_cast<size_t>(visited.count) * vocabulary);
    losses.assign(static_cast<size_t>(std::max(0, end - begin)), 0);
    team.parallel(end - begin, 1, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const auto row = static_cast<size_t>(begin + i - 1 - visited.begin);
        losses[static_cast<size_t>(i)] =
            token_loss(kernels, {logits.data() + row * vocabulary, vocabulary},
                       window[static_cast<size_t>(begin + i)]);
      }
    });
    for (const double one : losses) loss.sum += one;
    loss.scored += static_cast<int64_t>(losses.size());
    if (std::isnan(loss.sum)) {
      throw_error(ErrorKind::kInternal, "window {}: logits that are not finite",
                  visited.sequence + 1);
    }
    if (progress && visited.begin + visited.count == length) progress(visited.sequence + 1, loss);
  });
  return loss;
}

}  // namespace tensormill
