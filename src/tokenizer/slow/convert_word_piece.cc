#include "tokenizer/slow/convert.h"
#include "tokenizer/slow/stages.h"
#include "tokenizer/slow/vocabulary_files.h"

namespace tensormill {
namespace {

// Everything but the processor. do_basic_tokenize makes no difference to the fast classes.
Conversion word_piece(const SlowFolder& folder) {
  Json vocabulary = Json::object();
  int32_t id = 0;
  for (const std::string& token : read_token_lines(folder.file("vocab.txt"))) {
    vocabulary[token] = id++;
  }
  const auto accents = folder.config.node().find("strip_accents");
  Conversion result;
  result.tree["model"] = {{"type", "WordPiece"},
                          {"unk_token", folder.special("unk_token")},
                          {"continuing_subword_prefix", "##"},
                          {"max_input_chars_per_word", 100},
                          {"vocab", std::move(vocabulary)}};
  result.tree["normalizer"] = bert_normalizer_json(folder.flag("tokenize_chinese_chars", true),
                                                   accents ? Json(accents->flag()) : Json(nullptr),
                                                   folder.flag("do_lower_case", true));
  result.tree["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  result.tree["decoder"] = {{"type", "WordPiece"}, {"prefix", "##"}, {"cleanup", true}};
  return result;
}

// A template of the class's own cls and sep.
void set_template(const SlowFolder& folder, Conversion& result,
                  std::function<Words(const std::string&, const std::string&)> single,
                  std::function<Words(const std::string&, const std::string&)> pair) {
  const std::string cls = folder.special("cls_token"), sep = folder.special("sep_token");
  result.processor = [single = single(cls, sep), pair = pair(cls, sep)](const IdOf& id_of) {
    return template_json(single, pair, id_of);
  };
}

Words one_text(const std::string& cls, const std::string& sep) {
  return {cls, "$A", sep};
}
Words two_texts(const std::string& cls, const std::string& sep) {
  return {cls, "$A", sep, "$B:1", sep + ":1"};
}

}  // namespace

Conversion convert_bert(const SlowFolder& folder) {
  Conversion result = word_piece(folder);
  set_template(folder, result, one_text, two_texts);
  return result;
}

Conversion convert_funnel(const SlowFolder& folder) {
  Conversion result = word_piece(folder);
  set_template(
      folder, result,
      [](const auto& cls, const auto& sep) {
        return Words{cls + ":2", "$A", sep};
      },
      [](const auto& cls, const auto& sep) {
        return Words{cls + ":2", "$A", sep, "$B:1", sep + ":1"};
      });
  return result;
}

Conversion convert_mpnet(const SlowFolder& folder) {
  Conversion result = word_piece(folder);
  set_template(folder, result, one_text, [](const auto& cls, const auto& sep) {
    return Words{cls, "$A", sep, sep, "$B:1", sep + ":1"};
  });
  return result;
}

Conversion convert_splinter(const SlowFolder& folder) {
  Conversion result = word_piece(folder);
  const std::string question = folder.text("question_token", "[QUESTION]");
  const bool right = folder.text("padding_side", "right") == "right";
  set_template(folder, result, one_text, [&](const auto& cls, const auto& sep) {
    return right ? Words{cls, "$A", question, ".", sep, "$B:1", sep + ":1"}
                 : Words{cls, "$A", sep, "$B:1", question, ".", sep + ":1"};
  });
  return result;
}

// The reference cuts Chinese text into words with jieba's dictionary, which this program doesn't
// have: here each Chinese character is a word.
Conversion convert_roformer(const SlowFolder& folder) {
  Conversion result = word_piece(folder);
  result.tree["normalizer"]["handle_chinese_chars"] = true;
  set_template(folder, result, one_text, two_texts);
  return result;
}

}  // namespace tensormill
