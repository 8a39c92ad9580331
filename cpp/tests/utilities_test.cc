// Shared memory, JSON, timers and texts.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "http_client.h"
#include "json_utils.h"
#include "shm_utils.h"
#include "text.h"

namespace tc = triton::client;
namespace internal = triton::client::internal;

TEST(SharedMemory, IsMadeMappedAndRemoved) {
  const std::string key = "/tritonclient_test_" + std::to_string(getpid());
  int descriptor = -1;
  ASSERT_TRUE(tc::CreateSharedMemoryRegion(key, 4096, &descriptor).IsOk());
  void* address = nullptr;
  ASSERT_TRUE(tc::MapSharedMemory(descriptor, 0, 4096, &address).IsOk());
  std::memset(address, 1, 4096);
  EXPECT_TRUE(tc::UnmapSharedMemory(address, 4096).IsOk());
  // Beyond its end is an error, and not a signal later.
  EXPECT_EQ(tc::MapSharedMemory(descriptor, 4096, 1, &address).Code(), tc::ErrorCode::OUT_OF_RANGE);
  EXPECT_EQ(address, nullptr);
  EXPECT_TRUE(tc::CloseSharedMemory(descriptor).IsOk());
  EXPECT_TRUE(tc::UnlinkSharedMemoryRegion(key).IsOk());
  const tc::Error err = tc::UnlinkSharedMemoryRegion(key);
  EXPECT_EQ(err.Code(), tc::ErrorCode::NOT_FOUND);
  EXPECT_NE(err.Message().find("No such file"), std::string::npos) << err;
  EXPECT_FALSE(tc::CloseSharedMemory(-1).IsOk());
  EXPECT_FALSE(tc::CreateSharedMemoryRegion("", 1, &descriptor).IsOk());
  EXPECT_FALSE(tc::CreateSharedMemoryRegion(key, SIZE_MAX, &descriptor).IsOk());
}

TEST(SharedMemory, OfARegionEndsWithIt) {
  const std::string key = "/tritonclient_region_" + std::to_string(getpid());
  {
    tc::SharedMemoryRegion region;
    ASSERT_TRUE(tc::SharedMemoryRegion::Create(&region, key, 64).IsOk());
    std::memset(region.Data(), 1, region.ByteSize());
    const tc::SharedMemoryRegion moved = std::move(region);
    EXPECT_EQ(moved.Key(), key);
  }
  EXPECT_FALSE(tc::UnlinkSharedMemoryRegion(key).IsOk());
}

TEST(Json, IsParsedWithNanAndErrorsThatNameThePlace) {
  rapidjson::Document document;
  EXPECT_TRUE(tc::ParseJson(&document, R"({"a":[NaN,-Infinity]})").IsOk());
  EXPECT_TRUE(tc::ParseJson(&document, R"({"a\"NaN.5":"Inf.","b":Inf})").IsOk());
  for (const char* broken : {"[NaNe-4]", "[-Inf.5]", "[1,InfinityE2]"}) {
    EXPECT_FALSE(tc::ParseJson(&document, broken).IsOk()) << broken;
  }
  const tc::Error err = tc::ParseJson(&document, "{\"a\":}");
  EXPECT_NE(err.Message().find("offset 5"), std::string::npos) << err;
  EXPECT_FALSE(tc::ParseJson(nullptr, "{}").IsOk());
  EXPECT_FALSE(tc::ParseJson(&document, std::string(1000000, '[')).IsOk());
}

TEST(Json, HasTheNumbersThatTheStandardLibraryReads) {
  rapidjson::Document document;
  for (const std::string text :
       {"1844674407370955161551", "18446744073709551615.5", "1.8446744073709551615999", "0e50",
        "0.0e-50", "-0.0", "1e-320", "-1e-400", "1e-99999999999", "2.2250738585072011e-308",
        "1.7976931348623157e308", "123456789012345678901234567890", "9223372036854775808.0",
        "-9223372036854775809", "18446744073709551616", "9007199254740993.0"}) {
    ASSERT_TRUE(tc::ParseJson(&document, text).IsOk()) << text;
    EXPECT_EQ(document.GetDouble(), std::strtod(text.c_str(), nullptr)) << text;
    EXPECT_EQ(std::signbit(document.GetDouble()), text.front() == '-') << text;
  }
  const std::string zeros = "0." + std::string(400, '0') + "1e+50";
  ASSERT_TRUE(tc::ParseJson(&document, zeros).IsOk());
  EXPECT_EQ(document.GetDouble(), 0.0);
  for (const char* large : {"1.8e308", "-99999999999999999e308", "1e999999999999"}) {
    EXPECT_FALSE(tc::ParseJson(&document, large).IsOk()) << large;
    EXPECT_TRUE(document.HasParseError());
  }
  ASSERT_TRUE(
      tc::ParseJson(&document, "[-9223372036854775808,18446744073709551615,-1,4294967295]").IsOk());
  EXPECT_EQ(document[0].GetInt64(), INT64_MIN);
  EXPECT_EQ(document[1].GetUint64(), UINT64_MAX);
  EXPECT_EQ(document[2].GetInt(), -1);
  EXPECT_EQ(document[3].GetUint(), UINT32_MAX);
}

TEST(Timers, CountFromOneStepToTheNext) {
  using Kind = tc::RequestTimers::Kind;
  tc::RequestTimers timers;
  EXPECT_EQ(timers.Duration(Kind::SEND_START, Kind::SEND_END), UINT64_MAX);
  timers.CaptureTimestamp(Kind::SEND_START);
  timers.CaptureTimestamp(Kind::SEND_END);
  EXPECT_LT(timers.Duration(Kind::SEND_START, Kind::SEND_END), UINT64_MAX);
  timers.Reset();
  EXPECT_EQ(timers.Timestamp(Kind::SEND_START), 0U);
}

TEST(Texts, AreEncoded) {
  EXPECT_EQ(internal::Base64("", 0), "");
  EXPECT_EQ(internal::Base64("f", 1), "Zg==");
  EXPECT_EQ(internal::Base64("foob", 4), "Zm9vYg==");
  EXPECT_EQ(internal::Base64("foobar", 6), "Zm9vYmFy");
  EXPECT_EQ(internal::PercentEncoded("a/\xc3\xa9~"), "a%2F%C3%A9~");
  EXPECT_TRUE(internal::IsUtf8("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
  for (const std::string bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3", "\x80"}) {
    EXPECT_FALSE(internal::IsUtf8(bad));
  }
}
