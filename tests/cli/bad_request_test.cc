// The real server under bad requests: each gets an answer that names the field, and the server goes
// on serving others.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "artifacts/files.h"
#include "cli/program.h"

namespace tensormill {
namespace {

constexpr const char* kListening = "inference API listening on http://127.0.0.1:";

class BadRequest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string golden_models = std::string(TENSORMILL_GOLDEN) + "/models/llama/grouped.";
    folder_.write("config.json", read_text(golden_models + "config.json"));
    folder_.write("model.safetensors", read_text(golden_models + "weights.safetensors"));
    std::vector<std::string> arguments = {"serve", "m=" + folder_.path().string(), "--port", "0"};
    folder_.write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},
                                        "merges": ["a b"]}})");
    arguments.insert(arguments.end(), {"-o", "option.max_tokens=64"});
    server_ = std::make_unique<Program>(arguments);
    ASSERT_TRUE(server_->says(kListening)) << server_->said();
    ASSERT_TRUE(server_->says("management API")) << server_->said();
    const size_t at = server_->said().find(kListening) + std::string(kListening).size();
    port_ = static_cast<uint16_t>(std::stoi(server_->said().substr(at)));
  }

  // What the server sends until it closes the connection.
  std::string exchange(const std::string& bytes) const {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const timeval limit{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    EXPECT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    std::string reply;
    char buffer[4096];
    ssize_t count = 0;
    while ((count = ::recv(socket, buffer, sizeof buffer, 0)) > 0) {
      reply.append(buffer, static_cast<size_t>(count));
    }
    ::close(socket);
    return reply;
  }

  std::string post(const std::string& path, const std::string& body) const {
    return exchange("POST " + path +
                    " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
                    "application/json\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
  }

  void expect_bad(const std::string& path, const std::string& body, const std::string& part) const {
    const std::string reply = post(path, body);
    EXPECT_NE(reply.find(part), std::string::npos)
        << body.substr(0, 200) << " -> " << reply << " lacks " << part;
  }

  TemporaryFolder folder_;
  std::unique_ptr<Program> server_;
  uint16_t port_ = 0;
};

TEST_F(BadRequest, EachIsAnsweredAndTheServerStaysUp) {
  const std::string invocations = "/invocations", chat = "/v1/chat/completions";
  const std::pair<const char*, const char*> parameters[] = {
      {R"("max_new_tokens": -1)", "max_new_tokens: -1, expected an integer of at least 1"},
      {R"("max_new_tokens": 1000000000000)",
       "max_new_tokens: 1000000000000, expected an integer from"},
      {R"("max_new_tokens": "x")", "max_new_tokens: \\\"x\\\", expected"},
      {R"("temperature": "hot")", "temperature: \\\"hot\\\", expected a number"},
      {R"("top_p": 2)", "top_p: 2, expected"},
      {R"("top_k": 1.5)", "top_k: 1.5, expected"},
      {R"("stop_sequences": [5])", "stop_sequences: [5], expected"},
      {R"("repetition_penalty": 0)", "repetition_penalty: 0, expected"},
      {R"("do_sample": "yes")", "do_sample: \\\"yes\\\", expected true or false"},
  };
  for (const auto& [parameter, part] : parameters) {
    expect_bad(invocations, std::string(R"({"inputs": "ab", "parameters": {)") + parameter + "}}",
               part);
  }
  const std::pair<std::string, const char*> bodies[] = {
      {"{", "line 1 column 2 (char 1)"},
      {R"({"inputs": 5})", "inputs: int, expected a string"},
      {R"({"parameters": {}})", "inputs: missing"},
      {R"({"inputs": "a", "parameters": 5})", "parameters: int, expected an object"},
      {"{\"inputs\": \"\xff\"}", "no valid UTF-8, byte 0xff at offset 12"},
      {R"({"inputs": ")" + std::string(5000, 'b') + "\"}", "maximum length of 64"},
      {std::string(100000, '['), "nested deeper than"},
  };
  for (const auto& [body, part] : bodies) expect_bad(invocations, body, part);
  expect_bad(chat, R"({"model": "m", "messages": "x"})", "messages: expected a list");
  expect_bad(chat, R"({"model": "m", "messages": [5]})", "messages[0].role: expected a string");
  expect_bad("/predictions/absent", "{}", "HTTP/1.1 404");
  EXPECT_NE(exchange("garbage\r\n\r\n").find("HTTP/1.1 400"), std::string::npos);
  EXPECT_NE(
      exchange("POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\n")
          .find("HTTP/1.1 413"),
      std::string::npos);

  expect_bad(invocations, R"({"inputs": "ab", "parameters": {"max_new_tokens": 2}})",
             "generated_text");
  ASSERT_TRUE(server_->running());
  server_->terminate();
  EXPECT_EQ(server_->wait(), 0) << server_->said();
  EXPECT_LT(server_->peak_mib(), 1024);
}

}  // namespace
}  // namespace tensormill
