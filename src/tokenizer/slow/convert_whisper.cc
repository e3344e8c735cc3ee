#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "tokenizer/slow/convert.h"
#include "tokenizer/slow/python_text.h"
#include "tokenizer/slow/stages.h"

namespace tensormill {
namespace {

// Code and name of each language, in the order of their tokens.
constexpr const char* kLanguages =
    "en=english zh=chinese de=german es=spanish ru=russian ko=korean fr=french ja=japanese "
    "pt=portuguese tr=turkish pl=polish ca=catalan nl=dutch ar=arabic sv=swedish it=italian "
    "id=indonesian hi=hindi fi=finnish vi=vietnamese he=hebrew uk=ukrainian el=greek ms=malay "
    "cs=czech ro=romanian da=danish hu=hungarian ta=tamil no=norwegian th=thai ur=urdu "
    "hr=croatian bg=bulgarian lt=lithuanian la=latin mi=maori ml=malayalam cy=welsh sk=slovak "
    "te=telugu fa=persian lv=latvian bn=bengali sr=serbian az=azerbaijani sl=slovenian "
    "kn=kannada et=estonian mk=macedonian br=breton eu=basque is=icelandic hy=armenian ne=nepali "
    "mn=mongolian bs=bosnian kk=kazakh sq=albanian sw=swahili gl=galician mr=marathi pa=punjabi "
    "si=sinhala km=khmer sn=shona yo=yoruba so=somali af=afrikaans oc=occitan ka=georgian "
    "be=belarusian tg=tajik sd=sindhi gu=gujarati am=amharic yi=yiddish lo=lao uz=uzbek "
    "fo=faroese ht=haitian_creole ps=pashto tk=turkmen nn=nynorsk mt=maltese sa=sanskrit "
    "lb=luxembourgish my=myanmar bo=tibetan tl=tagalog mg=malagasy as=assamese tt=tatar "
    "haw=hawaiian ln=lingala ha=hausa ba=bashkir jw=javanese su=sundanese yue=cantonese";
// Other names of some of them.
constexpr const char* kAliases =
    "my=burmese ca=valencian nl=flemish ht=haitian lb=letzeburgesch ps=pushto pa=panjabi "
    "ro=moldavian ro=moldovan si=sinhalese es=castilian zh=mandarin";

struct Language {
  std::string code, name;
};

std::vector<Language> read_languages(const char* text) {
  std::vector<Language> languages;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    const size_t equal = word.find('=');
    languages.push_back({word.substr(0, equal), word.substr(equal + 1)});
    std::replace(languages.back().name.begin(), languages.back().name.end(), '_', ' ');
  }
  return languages;
}

// The place of a language, given by its code or name, among the languages' tokens.
int32_t language_index(const SlowFolder& folder, const std::string& given) {
  const std::string text = python_lower(given);
  std::string code = text;
  for (const Language& alias : read_languages(kAliases)) {
    if (alias.name == text) code = alias.code;
  }
  const auto languages = read_languages(kLanguages);
  for (size_t i = 0; i < languages.size(); ++i) {
    if (languages[i].code == code || languages[i].name == text) return static_cast<int32_t>(i);
  }
  throw_error(ErrorKind::kArtifactInvalid,
              "{}: language: \"{}\" is none of Whisper's; expected a code or an English name of "
              "one, as \"fr\" or \"french\"",
              folder.config.file, given);
}

std::string task_token(const SlowFolder& folder, const std::string& task) {
  if (task == "transcribe" || task == "translate") return "<|" + task + "|>";
  throw_error(ErrorKind::kArtifactInvalid, "{}: task: \"{}\", expected transcribe or translate",
              folder.config.file, task);
}

}  // namespace

Conversion convert_whisper(const SlowFolder& folder) {
  constexpr const char* kStart = "<|startoftranscript|>";
  constexpr const char* kLanguage = "<|language|>";
  Conversion result = convert_gpt2(folder);
  const Json& vocabulary = result.tree["model"]["vocab"];
  const auto& added = folder.config.added;
  const std::vector<TokenizerConfig::Special> specials = folder.config.all_specials();
  const auto known = [&](const std::string& token) {  // what is missing is the unknown token
    const bool there =
        vocabulary.contains(token) ||
        std::any_of(specials.begin(), specials.end(),
                    [&](const auto& special) { return special.token.content == token; }) ||
        std::any_of(added.begin(), added.end(),
                    [&](const auto& item) { return item.second.content == token; });
    return there ? token : folder.special("unk_token");
  };
  const std::string start = known(kStart), eos = folder.special("eos_token");
  Words prefix = {start};
  int32_t language = 0;
  if (const std::string name = folder.text("language", ""); !name.empty()) {
    language = language_index(folder, name);
    prefix.emplace_back(kLanguage);
  }
  if (const std::string task = folder.text("task", ""); !task.empty()) {
    prefix.push_back(known(task_token(folder, task)));
  }
  if (!folder.flag("predict_timestamps", false)) prefix.push_back(known("<|notimestamps|>"));
  result.processor = [prefix, start, language, eos](const IdOf& id_of) {
    Words single = prefix, pair = prefix;
    single.insert(single.end(), {"$A", eos});
    pair.insert(pair.end(), {"$A", "$B:1", eos});
    // Languages have the ids behind the start's, whatever their tokens are.
    const IdOf with_language = [&](const std::string& token) {
      return token == kLanguage ? id_of(start) + 1 + language : id_of(token);
    };
    return template_json(single, pair, with_language);
  };
  return result;
}

}  // namespace tensormill
