#pragma once

namespace tensormill {

// How long steps take here, learnt as they run, and how many prompt tokens a step may hold so that
// the sequences which decode in it don't wait longer than a target for their next token.
class StepPace {
 public:
  // target: seconds of a step; 0: as long as it takes.
  explicit StepPace(double target) : target_(target) {}

  // What the prompts of a step may cost (see PromptCost) beside sequences that decode; infinite
  // without a target, or where nothing is known yet. Where decoding takes more than half of the
  // target, prompts take as long again, so that they move on.
  double prompt_work() const;

  // A step was computed: what its prompt tokens cost, whether sequences decoded in it, seconds.
  void measured(double work, bool decodes, double seconds);

 private:
  double target_;
  double decode_ = 0;  // seconds of a step that decodes alone; 0: none was seen
  double token_ = 0;   // seconds of a token at a prompt's beginning
};

}  // namespace tensormill
