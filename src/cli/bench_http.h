#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "cli/bench_trace.h"

namespace tensormill {

// Include it in .cc files only.

struct HttpLoad {
  std::string url, model, served_model;
  std::vector<int32_t> concurrency;
  int32_t prompt_tokens = 0, new_tokens = 0;
  std::vector<TraceItem> trace;  // lengths of the requests, in place of the two
  int32_t shared_prefix = 0;     // tokens that all prompts begin with
  int32_t requests = 0;          // of a run; 0: the trace's, else four a connection, 16 at least
  int32_t warm_up = -1;          // requests before the first run; -1: one a connection
  int32_t repeat = 0;
};

// http://host:port/path; without a path /invocations. Errors: kBadRequest.
struct HttpPlace {
  std::string host, port, path;
};
HttpPlace parse_url(std::string_view url);

// Whether a line of a streamed reply ("data: {...}" or "{...}") brings text of a token.
bool carries_token(std::string_view line);

// Streams requests over as many connections as each concurrency says, each sending its next one
// when the last has ended: `warm_up` of them, then `repeat` runs that count. One thread that sleeps
// in poll() does it, so that the client takes little of the cores that it shares with the server.
// Errors: kBadRequest for an address that doesn't answer as HTTP; kInternal for a request that
// fails. Where the server runs on this machine, its memory is looked at after each run.
OrderedJson load_server(const HttpLoad& load);
void print_load(const OrderedJson& result);

}  // namespace tensormill
