// The HTTP client and answers that are hostile, wrong, or only unusual.
#include <zlib.h>

#include "calls.h"
#include "http_client.h"
#include "http_stub.h"
#include "stub.h"

namespace tc = triton::client;
using Client = tc::InferenceServerHttpClient;
using calls::ExpectIn;
using calls::Infer;
using calls::InferLater;
using calls::Input;
using calls::Options;
using http_stub::Always;
using http_stub::Answer;
using http_stub::Identity;
using stub::Peer;
using stub::Server;
using Compression = Client::CompressionType;

namespace {

constexpr auto* Connect = calls::Connect<Client>;
constexpr char kHead[] = R"({"model_name":"m","model_version":"1","outputs":[]})";

// Sends a text to each request, then closes the connection.
Server Once(const std::string& text) {
  return Server([text](const Peer& peer) {
    if (!peer.ReceiveRequest().empty()) peer.Send(text);
  });
}

// Sends a text to a request, and then another one again and again.
Server Endless(const std::string& first, const std::string& again) {
  return Server([=](const Peer& peer) {
    if (peer.ReceiveRequest().empty() || !peer.Send(first)) return;
    while (peer.Send(again)) {
    }
  });
}

// Infer in both ways, each on a client of its own, and expect the same error of both.
tc::Error InferBoth(const Server& server) {
  const tc::Error err = Infer(Connect(server.Url()).get());
  const tc::Error later = InferLater(Connect(server.Url()).get());
  EXPECT_EQ(err.Code(), later.Code()) << err << " and " << later;
  return err;
}

// Compressed zeros.
std::string Zeros(size_t size) {
  std::string out(compressBound(size) + 64, '\0');
  const std::string block(1 << 20, '\0');
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 | 16, 8, Z_DEFAULT_STRATEGY),
            Z_OK);
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  for (size_t done = 0; done < size; done += block.size()) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(block.data()));
    stream.avail_in = static_cast<uInt>(std::min(block.size(), size - done));
    EXPECT_EQ(deflate(&stream, done + block.size() < size ? Z_NO_FLUSH : Z_FINISH),
              done + block.size() < size ? Z_OK : Z_STREAM_END);
  }
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

tc::Error InferCompressed(Client* client) {
  const auto input = Input();
  tc::InferResult* result = nullptr;
  const tc::Error err = client->Infer(&result, Options(), {input.get()}, {}, {}, {},
                                      Compression::NONE, Compression::GZIP);
  delete result;
  return err;
}

// What becomes of an output that the JSON describes, whose bytes follow it.
tc::Error Output(const std::string& output, const std::string& bytes = "") {
  const std::string head = R"({"model_name":"m","model_version":"1","outputs":[)" + output + "]}";
  std::vector<char> body(head.begin(), head.end());
  body.insert(body.end(), bytes.begin(), bytes.end());
  tc::InferResult* made = nullptr;
  const tc::Error err = Client::ParseResponseBody(&made, body, head.size());
  const std::unique_ptr<tc::InferResult> result(made);
  if (!err.IsOk()) return err;
  // Whatever it is, it can be looked at.
  const uint8_t* data = nullptr;
  size_t size = 0;
  std::vector<int64_t> shape;
  std::vector<std::string> texts;
  std::string text;
  for (const auto* name : {"A", "", "none"}) {
    result->Shape(name, &shape);
    result->Datatype(name, &text);
    if (result->RawData(name, &data, &size).IsOk()) text.assign(data, data + size);
    if (const tc::Error of = result->StringData(name, &texts);
        std::string(name) == "A" && result->RequestStatus().IsOk() &&
        output.find("BYTES") != std::string::npos) {
      return of;
    }
  }
  EXPECT_FALSE(result->DebugString().empty());
  return result->RequestStatus();
}

}  // namespace

TEST(HttpAnswers, AreNotDecompressedWithoutLimit) {
  const std::string headers = "Content-Encoding: gzip\r\n";
  const auto bomb = Always(Answer("200 OK", headers, Zeros(size_t{257} << 20)));
  const auto client = Connect(bomb.Url());
  const tc::Error err = InferCompressed(client.get());
  EXPECT_EQ(err.Code(), tc::ErrorCode::RESOURCE_EXHAUSTED) << err;
  ExpectIn("larger than 268435456 bytes, which SetMaxResponseSize() changes", err);
  // What was not asked for is not decompressed.
  EXPECT_EQ(Infer(client.get()).Code(), tc::ErrorCode::DATA_LOSS);
}

TEST(HttpAnswers, AreTakenUpToALimit) {
  const auto server = Always(Answer("200 OK", "", kHead));
  const auto client = Connect(server.Url());
  client->SetMaxResponseSize(sizeof(kHead) - 1);
  EXPECT_TRUE(Infer(client.get()).IsOk());
  client->SetMaxResponseSize(sizeof(kHead) - 2);
  for (const tc::Error& err : {Infer(client.get()), InferLater(client.get())}) {
    EXPECT_EQ(err.Code(), tc::ErrorCode::RESOURCE_EXHAUSTED) << err;
    ExpectIn(server.Url(), err);
  }
  std::string text;
  EXPECT_EQ(client->ServerMetadata(&text).Code(), tc::ErrorCode::RESOURCE_EXHAUSTED);
  client->SetMaxResponseSize(0);
  EXPECT_TRUE(Infer(client.get()).IsOk());
  const auto endless = Endless("HTTP/1.1 200 OK\r\n\r\n", std::string(100000, ' '));
  const auto other = Connect(endless.Url());
  other->SetMaxResponseSize(1 << 20);
  EXPECT_EQ(Infer(other.get()).Code(), tc::ErrorCode::RESOURCE_EXHAUSTED);
}

TEST(HttpAnswers, HaveHeadersUpToALimit) {
  const std::string line = "X-Name: " + std::string(1000, 'x') + "\r\n";
  for (const auto& [first, again] : std::vector<std::pair<std::string, std::string>>{
           {"HTTP/1.1 200 OK\r\n", line},
           {"", "HTTP/1.1 103 Early Hints\r\n" + line + "\r\n"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", line},
           {"HTTP/1.1 200 OK\r\nX-Name: ",
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}) {
    EXPECT_FALSE(InferBoth(Endless(first, again)).IsOk()) << first;
  }
}

TEST(HttpAnswers, ComeAfterInterimResponses) {
  std::string interim;
  for (int i = 0; i < 10; ++i) {
    interim += "HTTP/1.1 103 Early Hints\r\nInference-Header-Content-Length: 1\r\n\r\n";
  }
  const tc::Error err =
      InferBoth(Always("HTTP/1.1 100 Continue\r\n\r\n" + interim + Answer("200 OK", "", kHead)));
  EXPECT_TRUE(err.IsOk()) << err;
  EXPECT_FALSE(
      InferBoth(Once("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")).IsOk());
}

TEST(HttpAnswers, MayEndWithTheConnection) {
  for (const auto* start : {"HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"}) {
    const tc::Error err = InferBoth(Once(std::string(start) + kHead));
    EXPECT_TRUE(err.IsOk()) << start << err;
  }
  EXPECT_FALSE(InferBoth(Once(kHead)).IsOk());  // HTTP/0.9 has no header
}

TEST(HttpAnswers, MayComeInChunks) {
  const std::string start = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string chunks;
  for (const char* at = kHead; *at != '\0'; ++at) chunks += std::string("1;x=y\r\n") + *at + "\r\n";
  tc::Error err = InferBoth(Always(start + chunks + "0\r\nX-Trailer: x\r\n\r\n"));
  EXPECT_TRUE(err.IsOk()) << err;
  for (const auto* wrong : {"FFFFFFFFFFFFFFFF\r\n{}", "FFFFFFFFFFFFFFFFFF\r\n{}", "-1\r\n{}",
                            "x\r\n{}", "\r\n", "2\r\n{}0\r\n\r\n", "2\r\n{}\r\n"}) {
    EXPECT_FALSE(InferBoth(Once(start + wrong)).IsOk()) << wrong;
  }
}

TEST(HttpAnswers, OfOtherStatusesAreErrorsThatNameThem) {
  std::atomic<int> followed{0};
  const Server elsewhere([&](const Peer& peer) {
    if (!peer.ReceiveRequest().empty()) ++followed;
  });
  for (const auto* status : {"201 Created", "301 Moved", "302 Found", "307 Temporary Redirect",
                             "308 Permanent Redirect", "401 Unauthorized", "407 Proxy", "416 Range",
                             "429 Too Many Requests", "599 Odd", "999 Odder"}) {
    const auto server = Always(Answer(
        status, "Location: http://" + elsewhere.Url() + "/\r\nWWW-Authenticate: Basic\r\n", ""));
    const tc::Error err = InferBoth(server);
    ExpectIn(server.Url(), err);
    EXPECT_EQ(err.HttpStatus(), std::stoi(status)) << err;
    EXPECT_NE(err.Code(), tc::ErrorCode::OK);
    const auto client = Connect(server.Url());
    bool live = true;
    EXPECT_TRUE(client->IsServerLive(&live).IsOk());
    EXPECT_FALSE(live);
    std::string text;
    EXPECT_EQ(client->ServerMetadata(&text).HttpStatus(), std::stoi(status));
    EXPECT_EQ(client->UnloadModel("m").HttpStatus(), std::stoi(status));
  }
  EXPECT_EQ(followed, 0);
  for (const auto* none : {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n",
                           "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}) {
    EXPECT_FALSE(InferBoth(Always(none)).IsOk()) << none;
  }
}

TEST(HttpAnswers, AreNoAnswersWhenTheyContradictThemselves) {
  for (const auto* wrong :
       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 900\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Encoding: nonsense\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{}{}{}", "HTTP/9.9 200 OK\r\n\r\n{}",
        "HTTP/1.1 20\r\n\r\n{}", "HTTP/1.1 -200 OK\r\n\r\n{}", "HTTP/2 200\r\n\r\n{}",
        "SSH-2.0-OpenSSH_9.2\r\n", "\r\n\r\n", "\0\0\0\0"}) {
    const auto server = Once(wrong);
    EXPECT_FALSE(InferBoth(server).IsOk()) << wrong;
    EXPECT_FALSE(InferCompressed(Connect(server.Url()).get()).IsOk()) << wrong;
  }
}

TEST(HttpAnswers, MayCallTheirJsonWhatTheyWant) {
  const tc::Error err = InferBoth(
      Always(Answer("200 OK", "Content-Type: text/html; charset=x\r\nSet-Cookie: a=b\r\n", kHead)));
  EXPECT_TRUE(err.IsOk()) << err;
  const auto html = Always(Answer("200 OK", "Content-Type: text/html\r\n", "<html>hello</html>"));
  ExpectIn("<html>hello</html>", InferBoth(html));
  for (const std::string& body :
       {std::string("\xEF\xBB\xBF") + kHead, std::string("\xFF\xFE{\0}\0", 6),
        std::string(R"({"model_name":")") + "\xFF\xC0\x80" + R"(","outputs":[]})",
        std::string(R"({"model_name":"\ud800","outputs":[]})"), std::string(100000, '['),
        std::string(R"({"a":)") + std::string(100000, '{'), std::string("{}\0{}", 5)}) {
    InferBoth(Always(Answer("200 OK", "", body)));
    ExpectIn("500", InferBoth(Always(Answer("500 X", "", body))));
  }
}

// A server may answer before it has read all, and then close.
TEST(HttpAnswers, MayComeEarly) {
  const std::string refusal =
      Answer("413 Content Too Large", "Connection: close\r\n", R"({"error":"too large"})");
  const Server polite([&](const Peer& peer) {
    peer.Receive();
    peer.Send(refusal);
    while (!peer.Receive().empty()) {
    }
  });
  const Server rude([&](const Peer& peer) {
    peer.Receive();
    peer.Send(refusal);
  });
  const auto client = Connect(polite.Url());
  EXPECT_EQ(Infer(client.get(), 0, 32 << 20).Message(), "too large");
  EXPECT_EQ(InferLater(client.get(), 0, 32 << 20).Message(), "too large");
  EXPECT_FALSE(Infer(Connect(rude.Url()).get(), 0, 32 << 20).IsOk());
}

TEST(HttpAnswers, HaveOutputsWithinTheirBytes) {
  const auto binary = [](const std::string& datatype, const std::string& shape,
                         const std::string& size) {
    return R"({"name":"A","datatype":")" + datatype + R"(","shape":)" + shape +
           R"(,"parameters":{"binary_data_size":)" + size + "}}";
  };
  const auto json = [](const std::string& datatype, const std::string& shape,
                       const std::string& data) {
    return R"({"name":"A","datatype":")" + datatype + R"(","shape":)" + shape + R"(,"data":)" +
           data + "}";
  };
  const std::string eight(8, 'x');
  EXPECT_TRUE(Output(binary("INT32", "[2]", "8"), eight).IsOk());
  EXPECT_TRUE(Output(binary("INT32", "[]", "4"), "abcd").IsOk());
  EXPECT_TRUE(Output(binary("INT32", "[0,9223372036854775807,9]", "0")).IsOk());
  for (const auto* shape :
       {"[-1]", "[2,-1]", "[-2,-1]", "[4294967296,4294967296]", "[9223372036854775807]",
        "[9223372036854775807,2]", "[2305843009213693952]", "[2305843009213693952,8]", "[3]", "[1]",
        "[0]", "[1.5]", "[\"2\"]", "[null]", "[[2]]", "2", "\"2\"", "[18446744073709551617]"}) {
    EXPECT_FALSE(Output(binary("INT32", shape, "8"), eight).IsOk()) << shape;
    EXPECT_FALSE(Output(json("INT32", shape, "[1,2]")).IsOk()) << shape;
    EXPECT_FALSE(Output(json("BYTES", shape, R"(["a","b"])")).IsOk()) << shape;
  }
  for (const auto* size : {"9", "-1", "18446744073709551615", "18446744073709551616", "8.5",
                           "\"8\"", "[8]", "true", "{}", "7"}) {
    EXPECT_FALSE(Output(binary("INT32", "[2]", size), eight).IsOk()) << size;
  }
  const std::string one("\x01\0\0\0a", 5);
  EXPECT_TRUE(Output(binary("BYTES", "[1]", "5"), one).IsOk());
  for (const auto* shape : {"[2]", "[0]", "[9223372036854775807]", "[-1]"}) {
    EXPECT_FALSE(Output(binary("BYTES", shape, "5"), one).IsOk()) << shape;
    EXPECT_FALSE(Output(binary("BYTES", shape, "0")).IsOk() && shape[1] != '0') << shape;
  }
  const auto shared = [](const std::string& shape) {
    return R"({"name":"A","datatype":"INT8","shape":)" + shape +
           R"(,"parameters":{"shared_memory_region":"r"}})";
  };
  EXPECT_TRUE(Output(shared("[4]")).IsOk());
  EXPECT_FALSE(Output(shared("[-4]")).IsOk());
  for (const std::string& bytes :
       {std::string("\x04\0\0\0abc", 7), std::string("\xFF\xFF\xFF\xFFxyz", 7),
        std::string("\x01\0\0", 3), std::string("\0\0\0\0\0", 5)}) {
    EXPECT_FALSE(Output(binary("BYTES", "[1]", std::to_string(bytes.size())), bytes).IsOk());
  }
  EXPECT_TRUE(Output(json("FP32", "[3]", "[NaN,Infinity,-Infinity]")).IsOk());
  for (const auto& [datatype, data] :
       std::vector<std::pair<std::string, std::string>>{{"FP32", R"(["nan"])"},
                                                        {"FP32", "[nan]"},
                                                        {"FP32", "[null]"},
                                                        {"FP32", "[1e999]"},
                                                        {"INT32", "[NaN]"},
                                                        {"INT32", "[2147483648]"},
                                                        {"INT8", "[-129]"},
                                                        {"UINT8", "[-1]"},
                                                        {"UINT64", "[18446744073709551616]"},
                                                        {"INT32", "[1.5]"},
                                                        {"BOOL", "[2]"},
                                                        {"BYTES", "[1]"},
                                                        {"BYTES", "[[\"a\"],\"b\"]"},
                                                        {"FP16", "[{}]"},
                                                        {"FP32", "{}"},
                                                        {"FP32", "1"},
                                                        {"NONE", "[1]"},
                                                        {"", "[1]"}}) {
    EXPECT_FALSE(Output(json(datatype, "[1]", data)).IsOk()) << datatype << data;
  }
}

// Of members with the same name, one counts; RFC 8259 leaves open which.
TEST(HttpAnswers, MayRepeatTheirMembers) {
  Output(R"({"name":"A","name":"B","datatype":"INT8","datatype":"INT64","shape":[8],"shape":[1],)"
         R"("parameters":{"binary_data_size":8,"binary_data_size":99}})",
         std::string(8, 'x'));
  Output(R"({"name":"A","datatype":"INT8","shape":[1],"data":[1],"data":[1,2,3]})");
  const std::string twice =
      R"({"name":"A","datatype":"INT8","shape":[4],"parameters":{"binary_data_size":4}})";
  EXPECT_FALSE(Output(twice + "," + twice, "1234").IsOk());
  EXPECT_FALSE(Output(twice + "," + twice, "123456789").IsOk());
}
