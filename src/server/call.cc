#include "server/call.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "base/utf8.h"
#include "server/server_json.h"

namespace tensormill {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

// What the server itself says about an error; none: the dialect words it.
std::optional<ApiError> admission_error(const std::exception& error, const std::string& model) {
  if (const auto* own = dynamic_cast<const ApiError*>(&error)) return *own;
  const auto* typed = dynamic_cast<const Error*>(&error);
  if (typed && typed->kind() == ErrorKind::kOverloaded) {
    return ApiError(503, "WlmCapacityException",
                    "Worker queue capacity exceeded for model: " + model);
  }
  return std::nullopt;
}

ErrorKind kind_of(const ApiError& error) {
  switch (error.status()) {
    case 400:
      return ErrorKind::kBadRequest;
    case 404:
      return ErrorKind::kNotFound;
    case 503:
      return ErrorKind::kOverloaded;
    default:
      return ErrorKind::kInternal;
  }
}

std::chrono::seconds predict_timeout(const ServedModel& model) {
  return std::chrono::seconds(model.config.settings.integer("option.predict_timeout"));
}

}  // namespace

void EventInbox::push(Call& call, std::span<TokenEvent> events) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    for (TokenEvent& event : events) filling_.emplace_back(&call, std::move(event));
    wake = !std::exchange(posted_, true);
  }
  if (wake) post_([this] { drain(); });
}

void EventInbox::drain() {
  {
    const std::lock_guard lock(mutex_);
    posted_ = false;
    emptying_.swap(filling_);
  }
  for (auto& [call, event] : emptying_) call->on_event(event);
  emptying_.clear();
}

void Call::aim(ModelHandle model, Dialect dialect) {
  model_ = std::move(model);
  dialect_ = dialect;
}

SubmittedText Call::submit_one(TextRequest request) {
  if (dialect_ != Dialect::kLmiRolling) return model_->backend->submit(std::move(request));
  constexpr size_t kShown = 1000;
  std::string shown = request.prompt.substr(0, kShown);
  shown.resize(shown.size() - incomplete_utf8_tail(shown));
  try {
    return model_->backend->submit(std::move(request));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadRequest) throw;
    throw Error(error.kind(), fmt::format("Request: `{}` failed due to: {}", shown, error.what()));
  }
}

void Call::submit() {
  try {
    submitted_.reserve(parsed_.requests.size());
    for (TextRequest& request : parsed_.requests) {
      if (cancelled_) break;
      request.generation.sink = this;
      submitted_.push_back(submit_one(std::move(request)));
    }
  } catch (...) {
    submit_error_ = std::current_exception();
  }
  parsed_.requests.clear();
  parsed_.requests.shrink_to_fit();
}

void Call::on_submitted() {
  submitted_done_ = true;
  submitted_at_ = last_event_ = Clock::now();
  if (submitted_.size() > 1) {
    for (size_t i = 0; i < submitted_.size(); ++i) inputs_[submitted_[i].id] = i;
  }
  if (submit_error_) {
    fail(submit_error_);
  } else if (!replied_) {
    try {
      parsed_.formatter->begin(submitted_);
      if (submitted_.empty()) complete();
    } catch (...) {
      fail(std::current_exception());
    }
  } else {
    cancel_all();  // the client left meanwhile
  }
  auto early = std::move(early_);
  for (TokenEvent& event : early) process(event);
  if (finished()) environment_.ended(*this);
}

void Call::on_event(TokenEvent& event) {
  if (!submitted_done_) {
    early_.push_back(std::move(event));
    return;
  }
  process(event);
  if (finished()) environment_.ended(*this);
}

void Call::process(TokenEvent& event) {
  last_event_ = Clock::now();
  if (admitted_ > 0 && !std::exchange(first_event_seen_, true)) {
    environment_.metrics->queue_time(model_->config.name,
                                     duration_cast<microseconds>(first_admission_.load() - began_));
  }
  const bool last = event.finish != FinishReason::kNone;
  if (last) ++ended_;
  if (replied_) return;
  try {
    const bool failed =
        event.finish == FinishReason::kError || event.finish == FinishReason::kCancelled;
    if (failed && !streaming_) {
      if (*environment_.draining || event.finish == FinishReason::kCancelled) {
        throw ApiError(503, "WlmException", "Worker shutting down");
      }
      throw Error(ErrorKind::kInternal, event.error);
    }
    send(parsed_.formatter->on_event(input_of(event.request), event));
    if (!replied_ && ended_ == submitted_.size()) complete();
  } catch (...) {
    fail(std::current_exception());
  }
}

size_t Call::input_of(uint64_t request) const {
  return inputs_.empty() ? 0 : inputs_.at(request);
}

void Call::send(const std::string& bytes) {
  if (bytes.empty() || !parsed_.formatter->chunked()) return;
  if (!streaming_) {
    streaming_ = true;
    HttpHead head;
    if (auto type = parsed_.formatter->content_type(); !type.empty()) {
      head.headers.emplace_back("content-type", std::move(type));
    }
    exchange_->begin(std::move(head));
  }
  if (!exchange_->write(bytes)) {
    cancel_all();
    done(499);
  }
}

void Call::complete() {
  std::string rest = parsed_.formatter->finish();
  if (parsed_.formatter->chunked()) {
    send(rest);
    if (replied_) return;
    exchange_->finish();
  } else {
    HttpHead head;
    if (auto type = parsed_.formatter->content_type(); !type.empty()) {
      head.headers.emplace_back("content-type", std::move(type));
    }
    exchange_->reply(std::move(head), std::move(rest));
  }
  done(200);
}

void Call::fail(std::exception_ptr error) {
  cancel_all();
  if (replied_) return;
  if (streaming_) {
    exchange_->abort();
    return done(500);
  }
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::exception& caught) {
    reply_failure(caught);
  }
}

void Call::reply_failure(const std::exception& error) {
  const std::string name = model_ ? model_->config.name : std::string();
  const auto own = admission_error(error, name);
  if (own && dialect_ != Dialect::kOpenAi) {
    reply_error(*exchange_, *own);
    return done(own->status());
  }
  ErrorKind kind = ErrorKind::kInternal;
  std::string message = error.what();
  if (own) {
    message = own->what();
    kind = kind_of(*own);
  } else if (const auto* typed = dynamic_cast<const Error*>(&error)) {
    kind = typed->kind();
  }
  static const Settings kDefaults(SettingScope::kModel);
  Reply reply =
      error_reply(dialect_, Error(kind, message), model_ ? model_->config.settings : kDefaults);
  HttpHead head{reply.status, header_safe(reply.reason), {}};
  if (!reply.content_type.empty()) head.headers.emplace_back("content-type", reply.content_type);
  if (dialect_ == Dialect::kLmiRolling && reply.status == 200) {
    exchange_->begin(std::move(head));  // as everything in rolling mode: chunked
    exchange_->write(reply.body);
    exchange_->finish();
  } else {
    exchange_->reply(std::move(head), std::move(reply.body));
  }
  // A 200 that carries an error counts as what it is.
  done(reply.status == 200 ? 424 : reply.status);
}

void Call::done(int status) {
  replied_ = true;
  environment_.metrics->count_response(status);
  if (submitted_done_ && model_) {
    environment_.metrics->request_latency(model_->config.name,
                                          duration_cast<microseconds>(Clock::now() - began_));
  }
}

void Call::cancel_all() {
  cancelled_ = true;
  if (!submitted_done_) return;  // on_submitted() comes back here
  for (const SubmittedText& request : submitted_) model_->backend->cancel(request.id);
}

void Call::client_left() {
  if (replied_) return;
  cancel_all();
  done(499);
}

void Call::admitted(uint64_t) {
  const auto now = Clock::now();
  model_->last_admission = last_admission_ = now;
  if (admitted_ == 0) first_admission_ = now;
  ++admitted_;
}

void Call::check_timeouts(Clock::time_point now) {
  // What waits in the queue has no deadline here: see time_out_waiting().
  if (replied_ || !submitted_done_ || admitted_ <= ended_) return;
  const bool dynamic = dialect_ == Dialect::kLmiDynamic && !parsed_.formatter->chunked();
  if (dynamic) {
    if (now - first_admission_.load() >= predict_timeout(*model_)) {
      fail(std::make_exception_ptr(
          ApiError(503, "WlmException", "java.util.concurrent.TimeoutException")));
    }
  } else if (now - std::max(last_event_, last_admission_.load()) >=
             environment_.chunked_read_timeout) {
    fail(std::make_exception_ptr(
        ApiError(503, "WlmException",
                 fmt::format("No token within {} seconds (chunked_read_timeout)",
                             environment_.chunked_read_timeout.count()))));
  }
}

void Call::time_out_waiting() {
  const auto seconds = predict_timeout(*model_).count();
  if (dialect_ == Dialect::kLmiDynamic) {
    fail(std::make_exception_ptr(
        ApiError(503, "WlmException", "java.util.concurrent.TimeoutException")));
  } else {
    fail(std::make_exception_ptr(
        ApiError(503, "TranslateException", fmt::format("Time out in: {}", seconds))));
  }
}

}  // namespace tensormill
