#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "server/http.h"

namespace tensormill {

// Results of calls made with x-synchronous: false, until they are fetched with x-starting-token.
// All on the I/O thread.
class AsyncResults {
 public:
  // Answers with a token at once; what the returned exchange is told is kept under it.
  std::shared_ptr<HttpExchange> begin(HttpExchange& client);
  // Answers with what is there from the token's index on, at most `max_items` chunks ("": all).
  void fetch(HttpExchange& client, const std::string& token, const std::string& max_items);
  // Forgets results that nobody asked for during an hour, and the oldest above 256 MiB.
  void evict();

 private:
  struct Result {
    HttpHead head;
    std::vector<std::string> chunks;
    bool done = false;
    size_t bytes = 0;
    std::chrono::steady_clock::time_point touched = std::chrono::steady_clock::now();
  };
  class Recorder;

  std::map<std::string, std::shared_ptr<Result>> results_;
};

}  // namespace tensormill
