#include "engine/scheduler.h"

#include <algorithm>

namespace tensormill {
Scheduler::Scheduler(BlockPool& pool, const SchedulerOptions& options)
    : pool_(pool), options_(options) {
  options_.token_budget = std::max(options.token_budget, options.max_sequences);
  running_.reserve(static_cast<size_t>(options.max_sequences));
  items_.reserve(static_cast<size_t>(options.max_sequences));
  for (int32_t seat = options.max_sequences; seat-- > 0;) seats_.push_back(seat);
}

// Every running sequence must be able to decode, and a prompt that can't be cut must fit beside
// them.
int32_t Scheduler::row_limit(const SchedulerOptions& options) {
  const int32_t budget = std::max(options.token_budget, options.max_sequences);
  if (options.rules.chunks) return budget;
  return std::max(budget, options.max_tokens + options.max_sequences);
}

void Scheduler::add(Sequence* sequence) {
  waiting_.push_back(sequence);
}

void Scheduler::remove(Sequence* sequence) {
  std::erase(running_, sequence);
  std::erase(waiting_, sequence);
  release(*sequence);
}

std::span<const StepItem> Scheduler::plan(bool may_preempt, double prompt_work) {
  items_.clear();
  prompt_planned_ = false;
  const int64_t preemptions = preemptions_;
  const auto decoding = std::count_if(running_.begin(), running_.end(),
                                      [](const Sequence* s) { return s->due() == 1; });
  work_left_ = decoding > 0 ? prompt_work : std::numeric_limits<double>::infinity();
  int32_t budget = options_.token_budget - static_cast<int32_t>(decoding);  // for prompts
  if (!plan_running(may_preempt, budget)) {
    items_.clear();
  } else if (preemptions == preemptions_) {
    admit(budget);
  }
  return items_;
}

// False where there are too few blocks and nothing may be preempted.
bool Scheduler::plan_running(bool may_preempt, int32_t& budget) {
  // Oldest first: whoever is preempted for want of blocks comes later, so it isn't planned yet.
  for (size_t i = 0; i < running_.size(); ++i) {
    Sequence& sequence = *running_[i];
    const bool decodes = sequence.due() == 1;
    const int32_t wanted = decodes ? 1 : prompt_share(sequence, budget);
    if (wanted == 0) continue;
    int32_t count = grow(sequence, wanted);
    if (count < wanted && !may_preempt) return false;
    while (count < wanted && running_.size() > i + 1) {
      preempt_youngest();
      count = grow(sequence, wanted);
    }
    if (count < wanted && (decodes || !options_.rules.chunks)) {
      preempt_youngest();  // itself
      return true;
    }
    if (count == 0) continue;
    schedule(sequence, count);
    if (!decodes) budget -= count;
  }
  return true;
}

void Scheduler::launched() {
  for (const StepItem& item : items_) {
    Sequence& sequence = *item.sequence;
    if (!options_.rules.recomputes) sequence.computed = item.first + item.count;
    if (item.samples) ++sequence.ahead;
  }
}

void Scheduler::complete(std::span<const StepItem> items) {
  for (const StepItem& item : items) {
    if (item.sequence == nullptr) continue;
    Sequence& sequence = *item.sequence;
    if (item.samples) --sequence.ahead;
    if (!shares() || options_.rules.recomputes) continue;
    const int32_t computed = item.first + item.count;
    for (; (sequence.published + 1) * kBlockTokens <= computed; ++sequence.published) {
      const int32_t block = sequence.blocks[static_cast<size_t>(sequence.published)];
      sequence.content = pool_.publish(block, key(sequence, sequence.published));
    }
  }
}

// Rows of a prompt (or of a sequence to be computed again) for this step.
int32_t Scheduler::prompt_share(const Sequence& sequence, int32_t budget) const {
  const int32_t due = sequence.due();
  const int32_t cheap = options_.cost.fits(sequence.computed, work_left_);
  if (!options_.rules.chunks) return due <= std::min(budget, cheap) || !prompt_planned_ ? due : 0;
  const bool worth_it = due <= cheap || cheap >= kLeastChunk;
  const int32_t most = worth_it ? cheap : prompt_planned_ ? 0 : kLeastChunk;
  return std::clamp(std::min(budget, most), 0, due);
}

// Takes blocks for up to `count` more tokens; returns for how many there is room.
int32_t Scheduler::grow(Sequence& sequence, int32_t count) {
  if (options_.rules.recomputes) return count;
  const int32_t needed = blocks_for(int64_t{sequence.computed} + count);
  while (static_cast<int32_t>(sequence.blocks.size()) < needed) {
    const int32_t block = pool_.take();
    if (block < 0) break;
    sequence.blocks.push_back(block);
  }
  const int64_t room = int64_t{kBlockTokens} * static_cast<int64_t>(sequence.blocks.size());
  return static_cast<int32_t>(std::min<int64_t>(count, room - sequence.computed));
}

void Scheduler::admit(int32_t budget) {
  while (!waiting_.empty() && budget > 0 &&
         static_cast<int32_t>(running_.size()) < options_.max_sequences) {
    Sequence& sequence = *waiting_.front();
    if (!fits(sequence)) return;
    const int32_t count = prompt_share(sequence, budget);
    if (count == 0) {
      release(sequence);
      return;
    }
    waiting_.pop_front();
    running_.push_back(&sequence);
    sequence.started = true;
    sequence.in_history = false;
    sequence.seat = seats_.back();
    seats_.pop_back();
    shared_tokens_ += sequence.computed;
    schedule(sequence, grow(sequence, count));
    budget -= count;
  }
}

// Finds what is cached of a waiting sequence and whether the rest fits into the free blocks, with
// some over for the running ones to grow: a prompt computed only to be preempted is lost work.
bool Scheduler::fits(Sequence& sequence) {
  if (options_.rules.recomputes) return true;
  share_prefix(sequence);
  const int32_t needed = blocks_for(static_cast<int64_t>(sequence.tokens.size())) -
                         static_cast<int32_t>(sequence.blocks.size());
  const auto reserve = static_cast<int32_t>(running_.size() / 4);
  if (running_.empty() || pool_.free() >= needed + reserve) return true;
  release(sequence);
  return false;
}

void Scheduler::share_prefix(Sequence& sequence) {
  if (!shares()) return;
  // The last token is always computed: its logits are needed.
  const auto shareable = (static_cast<int32_t>(sequence.tokens.size()) - 1) / kBlockTokens;
  while (sequence.published < shareable) {
    const BlockPool::Found found = pool_.find(key(sequence, sequence.published));
    if (found.block < 0) break;
    sequence.blocks.push_back(found.block);
    sequence.content = found.content;
    ++sequence.published;
  }
  sequence.computed = sequence.published * kBlockTokens;
}

void Scheduler::release(Sequence& sequence) {
  // The last block first: a beginning is worth keeping longer than what follows it.
  for (auto block = sequence.blocks.rbegin(); block != sequence.blocks.rend(); ++block) {
    pool_.release(*block);
  }
  sequence.blocks.clear();
  if (sequence.seat >= 0) seats_.push_back(sequence.seat);
  sequence.seat = -1;
  sequence.computed = sequence.published = 0;
  sequence.content = BlockPool::kRoot;
}

void Scheduler::preempt_youngest() {
  Sequence* youngest = running_.back();
  running_.pop_back();
  release(*youngest);
  waiting_.push_front(youngest);
  ++preemptions_;
}

void Scheduler::schedule(Sequence& sequence, int32_t count) {
  if (sequence.due() > 1) {
    prompt_planned_ = true;
    work_left_ -= options_.cost.of(sequence.computed, count);
  }
  items_.push_back({&sequence, sequence.computed, count, count == sequence.due()});
}

// Dynamic rope turns the keys of a long prompt by angles that its whole length decides; those of
// other tokens follow from their positions.
BlockPool::Key Scheduler::key(const Sequence& sequence, int32_t block) const {
  const int32_t from = options_.dynamic_rope_from;
  const auto first = static_cast<size_t>(block) * kBlockTokens;
  return {sequence.content, std::span(sequence.tokens).subspan(first, kBlockTokens),
          from > 0 && sequence.prompt > from ? sequence.prompt : 0};
}

}  // namespace tensormill
