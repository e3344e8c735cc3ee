#include "tokenizer/slow/piece_runs.h"

namespace tensormill {
namespace {

class PieceRuns : public WholeTokenStep {
 public:
  PieceRuns(const SentencePiece& model, const SlowModel::DecodeContext& context,
            const PieceRunOptions& options)
      : model_(model),
        specials_(context.specials),
        options_(options),
        holds_(options.space != RunSpace::kNever && !context.skips_special) {}

  void finish() override {
    end_run();
    next().feed(held_);
    next().end_token();
    next().finish();
  }

 protected:
  void on_token(const std::string& token) override {
    if (!specials_.contains(token)) {
      begin_run();
      decoder_->feed(token);
      decoder_->end_token();
      after_special_ = false;
    } else {
      end_run();
      const bool spaced =
          options_.space == RunSpace::kAlways || (options_.space == RunSpace::kNotFirst && !first_);
      if (spaced && !after_special_) next().feed(" ");
      next().feed(held_);
      held_.clear();
      next().feed(token);
      next().feed(options_.behind_special);
      after_special_ = true;
    }
    first_ = false;
  }

 private:
  class Sink : public DecodeStep {
   public:
    explicit Sink(PieceRuns& runs) : runs_(runs) {}
    void feed(std::string_view text) override { runs_.emit(text); }
    void end_token() override {}
    void finish() override {}

   private:
    PieceRuns& runs_;
  };

  void begin_run() {
    if (decoder_) return;
    decoder_ = model_.make_decoder();
    decoder_->set_next(&sink_);
  }
  void end_run() {
    if (decoder_) decoder_->finish();
    decoder_.reset();
  }
  void emit(std::string_view text) {
    if (holds_) {
      held_.append(text);
    } else {
      next().feed(text);
    }
  }

  const SentencePiece& model_;
  const std::unordered_set<std::string>& specials_;
  PieceRunOptions options_;
  bool holds_, first_ = true, after_special_ = false;
  std::unique_ptr<DecodeStep> decoder_;
  Sink sink_{*this};
  std::string held_;
};

}  // namespace

std::unique_ptr<DecodeStep> make_piece_runs(const SentencePiece& model,
                                            const SlowModel::DecodeContext& context,
                                            const PieceRunOptions& options) {
  return std::make_unique<PieceRuns>(model, context, options);
}

}  // namespace tensormill
