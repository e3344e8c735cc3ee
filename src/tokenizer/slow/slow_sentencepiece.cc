#include "base/error.h"
#include "tokenizer/slow/languages.h"
#include "tokenizer/slow/piece_model.h"
#include "tokenizer/slow/text_steps.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {
namespace {

std::unique_ptr<Tokenizer> with_bos_eos(const SlowFolder& folder, PieceModelOptions options,
                                        bool own_ids) {
  auto model = open_sentencepiece(folder, "tokenizer.model");
  const SentencePieceModel& spec = model->model();
  // Some classes take bos and eos from the model, whatever the files say.
  const auto named = [&](const char* name, int32_t id) {
    if (!own_ids) return folder.special(name);
    if (id < 0 || id >= model->size()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: the model has no {}",
                  folder.file("tokenizer.model").string(), name);
    }
    return model->piece(id);
  };
  Surroundings around;
  if (folder.config.add_bos.value_or(true)) around.before = {named("bos_token", spec.bos_id)};
  if (folder.config.add_eos.value_or(false)) around.after = {named("eos_token", spec.eos_id)};
  if (!own_ids) {  // the second text of a pair as the first
    around.between = around.after;
    around.between.insert(around.between.end(), around.before.begin(), around.before.end());
  }
  return std::make_unique<SlowTokenizer>(
      std::make_unique<PieceModel>(std::move(model), std::move(options)), folder,
      SlowTokenizer::Added{}, std::move(around));
}

class PlBart : public FairseqPieces {
 public:
  PlBart(std::unique_ptr<SentencePiece> pieces, const std::vector<std::string>& languages,
         bool mask)
      : FairseqPieces(std::move(pieces), {"<s>", "<pad>", "</s>", "<unk>"}, 1) {
    for (const std::string& language : languages) add(language);
    if (mask) add("<mask>");
  }
};

// Pieces of one model, ids of a vocab.json.
class ListedPieces : public SlowModel {
 public:
  ListedPieces(const SlowFolder& folder, std::unique_ptr<SentencePiece> source)
      : source_(std::move(source)) {
    const auto file = folder.file("vocab.json");
    const Json json = read_vocabulary_json(file);
    for (const auto& [token, id] : json.items()) {
      const auto number = id.get<int32_t>();
      ids_[token] = number;
      tokens_[number] = token;
    }
    const auto unknown = ids_.find(folder.special("unk_token"));
    if (unknown == ids_.end()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: the unknown token \"{}\" is missing",
                  file.string(), folder.special("unk_token"));
    }
    unknown_ = unknown->second;
  }

  std::vector<std::string> tokenize(std::string_view text) const override {
    return source_->encode(text);
  }
  int32_t size() const override { return static_cast<int32_t>(ids_.size()); }
  std::optional<int32_t> find(std::string_view token) const override {
    const auto known = ids_.find(std::string(token));
    return known == ids_.end() ? std::nullopt : std::optional(known->second);
  }
  std::optional<int32_t> unknown_id() const override { return unknown_; }
  std::string token(int32_t id) const override {
    const auto known = tokens_.find(id);
    return known == tokens_.end() ? tokens_.at(unknown_) : known->second;
  }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    steps.push_back(make_piece_runs(*source_, context, {}));
    steps.push_back(make_strip_text_step());
  }

 protected:
  const SentencePiece& source() const { return *source_; }
  void add(const std::string& token, int32_t id) {
    ids_[token] = id;
    tokens_[id] = token;
  }

 private:
  std::unique_ptr<SentencePiece> source_;
  std::unordered_map<std::string, int32_t> ids_;
  std::unordered_map<int32_t, std::string> tokens_;
  int32_t unknown_ = 0;
};

class M2m100 : public ListedPieces {
 public:
  M2m100(const SlowFolder& folder, const std::vector<std::string>& languages)
      : ListedPieces(folder, open_sentencepiece(folder, "sentencepiece.bpe.model")) {
    size_ = ListedPieces::size();
    int32_t id = size_;
    for (const std::string& code : languages) add("__" + code + "__", id++);
    const auto made_up = folder.config.node().find("num_madeup_words");
    bound_ = id + static_cast<int32_t>(made_up ? made_up->integer(0, 1 << 20) : 8);
  }
  int32_t size() const override { return size_; }
  int32_t id_bound() const override { return bound_; }

 private:
  int32_t size_, bound_ = 0;
};

// A language code at the begin of a text, the source's model to text tokens, the target's back.
class Marian : public ListedPieces {
 public:
  explicit Marian(const SlowFolder& folder)
      : ListedPieces(folder, open_sentencepiece(folder, "source.spm")),
        target_(open_sentencepiece(folder, "target.spm")) {
    if (!folder.flag("separate_vocabs", false)) return;
    const Json json = read_vocabulary_json(folder.file("target_vocab.json"));
    for (const auto& [token, id] : json.items()) target_tokens_[id.get<int32_t>()] = token;
  }

  std::vector<std::string> tokenize(std::string_view text) const override {
    const size_t end = text.starts_with(">>") ? text.find("<<") : std::string_view::npos;
    if (end == std::string_view::npos) return source().encode(text);
    std::vector<std::string> tokens{std::string(text.substr(0, end + 2))};
    for (auto& piece : source().encode(text.substr(end + 2))) tokens.push_back(std::move(piece));
    return tokens;
  }
  std::string token(int32_t id) const override {
    if (target_tokens_.empty()) return ListedPieces::token(id);
    const auto known = target_tokens_.find(id);
    return known == target_tokens_.end() ? ListedPieces::token(-1) : known->second;
  }
  void add_steps(DecodeSteps& steps, const DecodeContext& context) const override {
    steps.push_back(make_piece_runs(*target_, context, {.behind_special = " "}));
    steps.push_back(make_replace_text_step("\u2581", " "));
    steps.push_back(make_strip_text_step());
  }

 private:
  std::unique_ptr<SentencePiece> target_;
  std::unordered_map<int32_t, std::string> target_tokens_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_baichuan(const SlowFolder& folder) {
  return with_bos_eos(folder, pieces_with(RunSpace::kNotFirst), false);
}

std::unique_ptr<Tokenizer> make_internlm(const SlowFolder& folder) {
  PieceModelOptions options = pieces_with(RunSpace::kAlways);
  options.cleans = true;
  return with_bos_eos(folder, std::move(options), true);
}

std::unique_ptr<Tokenizer> make_bert_generation(const SlowFolder& folder) {
  PieceModelOptions options;
  options.strips = true;
  return std::make_unique<SlowTokenizer>(
      std::make_unique<PieceModel>(open_sentencepiece(folder, "spiece.model"), std::move(options)),
      folder, SlowTokenizer::Added{}, Surroundings{});
}

std::unique_ptr<Tokenizer> make_speecht5(const SlowFolder& folder) {
  if (folder.flag("normalize", false)) {
    throw_error(ErrorKind::kUnsupported,
                "{}: normalize: numbers as English words are not supported; expected false",
                folder.config.file);
  }
  PieceModelOptions options = pieces_with(RunSpace::kAlways);
  options.strips = true;
  return std::make_unique<SlowTokenizer>(
      std::make_unique<PieceModel>(open_sentencepiece(folder, "spm_char.model"),
                                   std::move(options)),
      folder, SlowTokenizer::Added{}, Surroundings{{}, {folder.special("eos_token")}});
}

std::unique_ptr<Tokenizer> make_plbart(const SlowFolder& folder) {
  const std::string kind = folder.text("language_codes", "base");
  if (kind != "base" && kind != "multi") {
    throw_error(ErrorKind::kArtifactInvalid, "{}: language_codes: \"{}\", expected base or multi",
                folder.config.file, kind);
  }
  const bool base = kind == "base";
  const auto languages = language_codes(base ? Languages::kPlBartBase : Languages::kPlBartMulti);
  std::string language = folder.text("src_lang", base ? "" : "__en_XX__");
  if (!language.empty() && !language.starts_with("__")) language = "__" + language + "__";
  Surroundings around{{}, {folder.special("eos_token")}};
  if (!language.empty()) around.after.push_back(language);
  return std::make_unique<SlowTokenizer>(
      std::make_unique<PlBart>(open_sentencepiece(folder, "sentencepiece.bpe.model"), languages,
                               base),
      folder, SlowTokenizer::Added{}, std::move(around));
}

std::unique_ptr<Tokenizer> make_m2m100(const SlowFolder& folder) {
  const std::string kind = folder.text("language_codes", "m2m100");
  if (kind != "m2m100" && kind != "wmt21") {
    throw_error(ErrorKind::kArtifactInvalid, "{}: language_codes: \"{}\", expected m2m100 or wmt21",
                folder.config.file, kind);
  }
  const auto languages = language_codes(kind == "wmt21" ? Languages::kWmt21 : Languages::kM2m100);
  Surroundings around{{"__" + folder.text("src_lang", "en") + "__"}, {folder.special("eos_token")}};
  return std::make_unique<SlowTokenizer>(std::make_unique<M2m100>(folder, languages), folder,
                                         SlowTokenizer::Added{}, std::move(around));
}

std::unique_ptr<Tokenizer> make_marian(const SlowFolder& folder) {
  return std::make_unique<SlowTokenizer>(std::make_unique<Marian>(folder), folder,
                                         SlowTokenizer::Added{},
                                         Surroundings{{}, {folder.special("eos_token")}});
}

}  // namespace tensormill
