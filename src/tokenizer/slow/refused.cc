#include "tokenizer/slow/refused.h"

#include <algorithm>
#include <iterator>

namespace tensormill {
namespace {

constexpr std::string_view kJieba = "it cuts words with jieba, whose dictionary is not built in";
constexpr std::string_view kSpeech = "it turns letters or sounds of speech models into ids";
constexpr std::string_view kImages = "it belongs to a model of images";
constexpr std::string_view kTables = "it takes tables beside texts";
constexpr std::string_view kEntities = "it takes entities beside texts";

constexpr RefusedClass kClasses[] = {
    {"BertweetTokenizer", "vocab.txt, bpe.codes",
     "it cuts tweets with NLTK's rules and the emoji package"},
    {"ClvpTokenizer", "vocab.json, merges.txt", kSpeech},
    {"CpmAntTokenizer", "vocab.txt", kJieba},
    {"CpmTokenizer", "spiece.model", kJieba},
    {"DiaTokenizer", "none", kSpeech},
    {"ErnieMTokenizer", "sentencepiece.bpe.model, vocab.txt",
     "the reference keeps it only for old code"},
    {"GPTSanJapaneseTokenizer", "vocab.txt, emoji.json",
     "the reference keeps it only for old code"},
    {"JukeboxTokenizer", "artists.json, genres.json, lyrics.json",
     "it takes artists and genres beside lyrics"},
    {"LukeTokenizer", "vocab.json, merges.txt, entity_vocab.json", kEntities},
    {"MLukeTokenizer", "sentencepiece.bpe.model, entity_vocab.json", kEntities},
    {"MgpstrTokenizer", "vocab.json", kImages},
    {"MyT5Tokenizer", "byte_maps.json", "its rewriting of bytes is not written here"},
    {"ParakeetCTCTokenizer", "tokenizer.json", kSpeech},
    {"RagTokenizer", "question_encoder_tokenizer/, generator_tokenizer/",
     "it is two tokenizers; load the folder of one of them"},
    {"RoCBertTokenizer", "vocab.txt, word_shape.json, word_pronunciation.json",
     "it gives shapes and sounds of characters beside ids"},
    {"SiglipTokenizer", "spiece.model", kImages},
    {"Speech2Text2Tokenizer", "vocab.json, merges.txt", kSpeech},
    {"Speech2TextTokenizer", "vocab.json, sentencepiece.bpe.model", kSpeech},
    {"TapasTokenizer", "vocab.txt", kTables},
    {"TapexTokenizer", "vocab.json, merges.txt", kTables},
    {"TransfoXLTokenizer", "vocab.pkl", "its vocabulary is a pickle, which may hold any code"},
    {"VitsTokenizer", "vocab.json", kSpeech},
    {"Wav2Vec2CTCTokenizer", "vocab.json", kSpeech},
    {"Wav2Vec2PhonemeCTCTokenizer", "vocab.json", kSpeech},
};

}  // namespace

const RefusedClass* find_refused_class(std::string_view name) {
  const auto* found = std::find_if(std::begin(kClasses), std::end(kClasses),
                                   [&](const RefusedClass& row) { return row.name == name; });
  return found == std::end(kClasses) ? nullptr : found;
}

}  // namespace tensormill
