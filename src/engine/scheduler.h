#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <span>
#include <vector>

#include "engine/block_pool.h"
#include "engine/prompt_cost.h"
#include "models/model.h"
#include "nn/token_places.h"

namespace tensormill {

// What the scheduler knows of a request.
struct Sequence {
  std::vector<int32_t> tokens;  // prompt and output so far; room for all of them reserved
  int32_t prompt = 0;           // how many of them are the request's own
  int32_t limit = std::numeric_limits<int32_t>::max();  // tokens that it may grow to
  bool started = false;                                 // has been admitted before
  TokenPlaces places;                                   // of its tokens

  // The scheduler's own:
  int32_t ahead = 0;     // tokens that steps under way choose: they follow `tokens`
  int32_t seat = -1;     // of max_sequences, while it runs
  int32_t computed = 0;  // tokens whose keys are in the cache, or will be after the steps under way
  std::vector<int32_t> blocks;                    // room for all of them reserved
  int32_t published = 0;                          // how many of the blocks can be found by others
  BlockPool::Content content = BlockPool::kRoot;  // of the last of those

  // Set by others: tokens stand in the device's history at `seat`. False whenever a seat is taken.
  bool in_history = false;

  int32_t length() const { return static_cast<int32_t>(tokens.size()) + ahead; }
  // What the next step has to compute before the sequence can go on: nothing where a step under way
  // chooses its last token.
  int32_t due() const { return length() < limit ? length() - computed : 0; }
};

// A sequence's part of a step: tokens [first, first + count).
struct StepItem {
  Sequence* sequence;  // null in a step under way: it has ended since
  int32_t first, count;
  bool samples;  // the last of them is the sequence's last token
};

struct SchedulerOptions {
  int32_t max_sequences = 32;
  int32_t token_budget = 512;  // of a step
  int32_t max_tokens = 1024;   // of a sequence
  SequenceRules rules{true, true, true};
  bool prefix_sharing = true;
  int32_t dynamic_rope_from = 0;  // longer prompts' keys depend on their length; 0: none do
  PromptCost cost{};              // of prompt tokens, where a step's work is bounded
};

// Decides what each step computes. Pure bookkeeping: no device, no clock, no thread.
//
// A step may be planned while the one before is under way: a token that is chosen there is computed
// by its place alone. Nothing is preempted then, since the tokens to compute again aren't known.
//
// Sequences run in the order they came. Each running one that decodes gets its token; what is left
// of the budget goes to prompts, the oldest first. Beside sequences that decode their work may be
// bounded, too: kLeastChunk tokens are computed whatever the bound, and no fewer but at a prompt's
// end. When blocks run out, the youngest running
// sequence goes back to the front of the queue, to be computed again later: the oldest always moves
// on, so every sequence ends. Where nothing is cached, a sequence needs no blocks and each of its
// tokens computes it whole: as many of them as the budget holds, the oldest first.
class Scheduler {
 public:
  static constexpr int32_t kLeastChunk = 16;

  Scheduler(BlockPool& pool, const SchedulerOptions& options);

  // Puts a sequence at the end of the queue. It must fit: see blocks_for.
  void add(Sequence* sequence);
  // Takes a waiting or running sequence out and gives its blocks back.
  void remove(Sequence* sequence);

  // The next step; empty when there is nothing to do, or nothing without preempting. Valid until
  // the next call. `prompt_work`: what prompts may cost at most where sequences decode in the step.
  std::span<const StepItem> plan(bool may_preempt = true,
                                 double prompt_work = std::numeric_limits<double>::infinity());
  // Tells that the planned step is under way.
  void launched();
  // Tells that such a step has been computed, the oldest first. Before its tokens are appended.
  void complete(std::span<const StepItem> items);

  std::span<Sequence* const> running() const { return running_; }
  const std::deque<Sequence*>& waiting() const { return waiting_; }
  int64_t preemptions() const { return preemptions_; }
  int64_t shared_tokens() const { return shared_tokens_; }

  // Most rows of a step.
  static int32_t row_limit(const SchedulerOptions& options);
  int32_t row_limit() const { return row_limit(options_); }
  static int32_t blocks_for(int64_t tokens) {
    return static_cast<int32_t>((tokens + kBlockTokens - 1) / kBlockTokens);
  }

 private:
  bool shares() const { return options_.prefix_sharing && options_.rules.shares_prefix; }
  int32_t prompt_share(const Sequence& sequence, int32_t budget) const;
  bool plan_running(bool may_preempt, int32_t& budget);
  int32_t grow(Sequence& sequence, int32_t count);
  void admit(int32_t budget);
  bool fits(Sequence& sequence);
  void share_prefix(Sequence& sequence);
  void release(Sequence& sequence);
  void preempt_youngest();
  void schedule(Sequence& sequence, int32_t count);
  BlockPool::Key key(const Sequence& sequence, int32_t block) const;

  BlockPool& pool_;
  SchedulerOptions options_;
  std::deque<Sequence*> waiting_;
  std::vector<Sequence*> running_;  // oldest first
  std::vector<int32_t> seats_;      // free ones
  std::vector<StepItem> items_;
  bool prompt_planned_ = false;  // in this step
  double work_left_ = 0;         // for its prompts
  int64_t preemptions_ = 0, shared_tokens_ = 0;
};

}  // namespace tensormill
