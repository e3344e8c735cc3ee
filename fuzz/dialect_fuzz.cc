#include "base/error.h"
#include "server/dialect.h"

namespace {

using namespace tensormill;

// The first byte chooses API and content type, the rest is the body.
void run(const uint8_t* data, size_t size, const DialectContext& context) {
  static constexpr const char* kTypes[] = {"application/json", "text/plain", "",
                                           "application/x-www-form-urlencoded"};
  const auto dialect = static_cast<Dialect>(data[0] % 3);
  const char* type = kTypes[data[0] / 3 % 4];
  try {
    ParsedCall call =
        parse_call(dialect, type, {reinterpret_cast<const char*>(data) + 1, size - 1}, context);
    const std::vector<SubmittedText> submitted(call.requests.size());
    call.formatter->begin(submitted);
    for (size_t i = call.requests.size(); i-- > 0;) {
      TokenEvent event;
      event.token = 65;
      event.text = event.token_text = "A";
      event.top = {{66, -1.0f}};
      call.formatter->on_event(i, event);
      event.finish = FinishReason::kLength;
      call.formatter->on_event(i, event);
    }
    call.formatter->finish();
  } catch (const Error& error) {
    error_reply(dialect, error, *context.settings);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto kTokenizer = byte_tokenizer(256);
  static const Settings kSettings(SettingScope::kModel);
  static const ChatTemplate kTemplate("{{ messages | tojson }}");
  static const ModelInfo kInfo;
  if (size > 0) run(data, size, {"m", &kSettings, kTokenizer.get(), &kTemplate, &kInfo, 100});
  return 0;
}
