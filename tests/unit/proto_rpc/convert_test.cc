#include <gtest/gtest.h>

#include "proto/rpc/frame.h"
#include "tests/unit/proto_rpc/message_fields.h"

namespace longwire::rpc {
namespace {

std::vector<std::byte> Bytes(const std::vector<unsigned char>& bytes) {
  const auto* first = reinterpret_cast<const std::byte*>(bytes.data());
  return {first, first + bytes.size()};
}

template <class T>
T Filled() {
  T value{};
  test::Filler().Fill(value);
  // The only fields that cannot hold just any number.
  if constexpr (std::is_same_v<T, ReadIo> || std::is_same_v<T, WriteIo> || std::is_same_v<T, SetBreakpoint>) {
    value.size = 4;
  }
  return value;
}

/// Encodes, decodes and compares `value` inside the message `Outer`, as filled and with every field at its
/// default.
template <class T, class Wrap, class Unwrap>
void CheckRoundTrip(Wrap wrap, Unwrap unwrap) {
  for (const T& value : {Filled<T>(), T{}}) {
    const auto encoded = EncodeEnvelope({77, wrap(value), {}});
    const auto decoded = DecodeEnvelope(encoded);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->id, 77u);
    const T* back = unwrap(decoded->message);
    ASSERT_NE(back, nullptr) << "came back as another kind";
    EXPECT_TRUE(test::SameFields(value, *back)) << "kind " << testing::internal::GetTypeName<T>();
  }
}

template <class Outer, class Kinds, std::size_t... kIndex>
void CheckAll(std::index_sequence<kIndex...>) {
  (CheckRoundTrip<std::variant_alternative_t<kIndex, typename Kinds::Variant>>(
       [](const auto& value) {
         if constexpr (std::is_same_v<Outer, Response>) {
           return Message(Response{Answer(value)});
         } else {
           return Message(Outer(value));
         }
       },
       [](const Message& message) -> const std::variant_alternative_t<kIndex, typename Kinds::Variant>* {
         const Outer* outer = std::get_if<Outer>(&message);
         if (!outer) return nullptr;
         if constexpr (std::is_same_v<Outer, Response>) {
           return std::get_if<kIndex>(&outer->answer);
         } else {
           return std::get_if<kIndex>(outer);
         }
       }),
   ...);
}

template <class T>
void CheckPlain() {
  CheckRoundTrip<T>([](const T& value) { return Message(value); },
                    [](const Message& message) { return std::get_if<T>(&message); });
}

TEST(Convert, HandshakeMessagesRoundTrip) {
  CheckPlain<Hello>();
  CheckPlain<Welcome>();
  CheckPlain<Reject>();
  CheckPlain<Goodbye>();
  CheckPlain<Keepalive>();
  CheckPlain<Cancel>();
}

TEST(Convert, EveryRequestRoundTrips) {
  CheckAll<Request, Request>(std::make_index_sequence<std::variant_size_v<Request::Variant>>());
}

TEST(Convert, EveryAnswerRoundTrips) {
  CheckAll<Response, Answer>(std::make_index_sequence<std::variant_size_v<Answer::Variant>>());
}

TEST(Convert, EveryEventRoundTrips) {
  CheckAll<Event, Event>(std::make_index_sequence<std::variant_size_v<Event::Variant>>());
}

TEST(Convert, NumberedEventsAndRequestsSentAgainKeepTheirMarks) {
  const auto event = DecodeEnvelope(EncodeEnvelope({41, Event(Resumed{3}), {}}));
  ASSERT_TRUE(event);
  EXPECT_EQ(event->id, 41u);
  EXPECT_FALSE(event->resent);
  const auto request = DecodeEnvelope(EncodeEnvelope({42, Request(Crash{}), {}, true}));
  ASSERT_TRUE(request);
  EXPECT_TRUE(request->resent);
}

TEST(Convert, WhatAnOlderPeerLeavesOutIsKnownToBeAbsent) {
  const auto opened = DecodeEnvelope(EncodeEnvelope({1, Response{LinkOpened{}}, {}}));
  ASSERT_TRUE(opened);
  EXPECT_FALSE(std::get<LinkOpened>(std::get<Response>(opened->message).answer).role);
  const auto hello = DecodeEnvelope(EncodeEnvelope({0, Hello{}, {}}));
  ASSERT_TRUE(hello);
  EXPECT_FALSE(std::get<Hello>(hello->message).keep_ms);
}

TEST(Convert, HelloOfANewerVersionIsAccepted) {
  // Composed for this test, as a later version might say it: protocol 1..3, capabilities "plans" and "warp",
  // and the extra fields 900 (text), 901 (number) and, in the envelope, 950 (message).
  const auto bytes = Bytes({0x12, 0x2C, 0x08, 0x01, 0x10, 0x03, 0x18, 0x01, 0x22, 0x05, 0x70, 0x6C, 0x61,
                            0x6E, 0x73, 0x22, 0x04, 0x77, 0x61, 0x72, 0x70, 0x2A, 0x0E, 0x6C, 0x6F, 0x6E,
                            0x67, 0x77, 0x69, 0x72, 0x65, 0x20, 0x39, 0x2E, 0x30, 0x2E, 0x30, 0xA2, 0x38,
                            0x03, 0x6E, 0x65, 0x77, 0xA8, 0x38, 0x07, 0xB2, 0x3B, 0x02, 0x08, 0x01});
  const auto decoded = DecodeEnvelope(bytes);
  ASSERT_TRUE(decoded) << decoded.error().message;
  const auto* hello = std::get_if<Hello>(&decoded->message);
  ASSERT_NE(hello, nullptr);
  EXPECT_EQ(hello->protocol_minimum, 1u);
  EXPECT_EQ(hello->protocol_maximum, 3u);
  EXPECT_EQ(hello->role, Role::kDriver);
  EXPECT_EQ(hello->capabilities, (std::vector<std::string>{"plans", "warp"}));
  EXPECT_EQ(hello->software, "longwire 9.0.0");
}

// What the first programs said on the wire, frame header included. Later versions must go on understanding
// it.
//
// kd 0.1.0 without a password, on a host named lab: the whole of what it sent before it was answered.
const std::vector<unsigned char> kFirstHello = {0x1d, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x12, 0x1b,
                                                0x08, 0x01, 0x10, 0x01, 0x18, 0x01, 0x2a, 0x0e, 0x6c, 0x6f,
                                                0x6e, 0x67, 0x77, 0x69, 0x72, 0x65, 0x20, 0x30, 0x2e, 0x31,
                                                0x2e, 0x30, 0x3a, 0x03, 0x6c, 0x61, 0x62};
// kdsrv 0.1.0, to that hello.
const std::vector<unsigned char> kFirstWelcome = {0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1a, 0x12,
                                                  0x08, 0x01, 0x1a, 0x0e, 0x6c, 0x6f, 0x6e, 0x67, 0x77, 0x69,
                                                  0x72, 0x65, 0x20, 0x30, 0x2e, 0x31, 0x2e, 0x30};

Result<Envelope> DecodeFrame(const std::vector<unsigned char>& frame) {
  const std::vector<std::byte> bytes = Bytes(frame);
  const auto header = DecodeFrameHeader(
      std::span<const std::byte, kFrameHeaderBytes>(bytes.data(), kFrameHeaderBytes), false);
  if (!header) return header.error();
  EXPECT_EQ(kFrameHeaderBytes + header->envelope_bytes, bytes.size());
  return DecodeEnvelope(std::span(bytes).subspan(kFrameHeaderBytes));
}

TEST(Convert, HelloRecordedFromTheFirstVersionIsUnderstood) {
  const auto decoded = DecodeFrame(kFirstHello);
  ASSERT_TRUE(decoded) << decoded.error().message;
  const auto* hello = std::get_if<Hello>(&decoded->message);
  ASSERT_NE(hello, nullptr);
  EXPECT_EQ(hello->protocol_minimum, 1u);
  EXPECT_EQ(hello->protocol_maximum, 1u);
  EXPECT_EQ(hello->role, Role::kDriver);
  EXPECT_EQ(hello->software, "longwire 0.1.0");
  EXPECT_EQ(hello->host, "lab");
}

TEST(Convert, WelcomeRecordedFromTheFirstVersionIsUnderstood) {
  const auto decoded = DecodeFrame(kFirstWelcome);
  ASSERT_TRUE(decoded) << decoded.error().message;
  const auto* welcome = std::get_if<Welcome>(&decoded->message);
  ASSERT_NE(welcome, nullptr);
  EXPECT_EQ(welcome->protocol, 1u);
  EXPECT_EQ(welcome->software, "longwire 0.1.0");
}

Errc ErrorOf(const std::vector<unsigned char>& bytes) {
  const auto decoded = DecodeEnvelope(Bytes(bytes));
  return decoded ? Errc::kInternal : decoded.error().code;
}

TEST(Convert, UnknownKindIsUnsupportedAndKeepsItsId) {
  const auto decoded = DecodeEnvelope(Bytes({0x08, 0x2A, 0xA2, 0x38, 0x00}));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::kUnsupported);
  EXPECT_EQ(decoded.error().address, 42u);
}

TEST(Convert, UnknownRequestIsUnsupported) {
  EXPECT_EQ(ErrorOf({0x08, 0x05, 0x42, 0x00}), Errc::kUnsupported);
}

TEST(Convert, UnknownAnswerEndsTheWaitOfItsRequest) {
  const auto decoded = DecodeEnvelope(Bytes({0x08, 0x05, 0x4A, 0x00}));
  ASSERT_TRUE(decoded);
  const auto* response = std::get_if<Response>(&decoded->message);
  ASSERT_NE(response, nullptr);
  const auto* error = std::get_if<Error>(&response->answer);
  ASSERT_NE(error, nullptr);
  EXPECT_EQ(error->code, Errc::kUnsupported);
}

TEST(Convert, RefusesWhatNoVersionMaySend) {
  EXPECT_EQ(ErrorOf({0xFF, 0xFF, 0xFF}), Errc::kMalformed) << "not protobuf";
  EXPECT_EQ(ErrorOf({0x42, 0x02, 0x5A, 0x00}), Errc::kMalformed) << "request without id";
  EXPECT_EQ(ErrorOf({0x12, 0x02, 0x08, 0x01}), Errc::kMalformed) << "hello without role";
  EXPECT_EQ(ErrorOf({0x12, 0x06, 0x08, 0x03, 0x10, 0x01, 0x18, 0x01}), Errc::kMalformed)
      << "minimum above maximum";
  EXPECT_EQ(ErrorOf({0x12, 0x06, 0x08, 0x01, 0x10, 0x01, 0x18, 0x63}), Errc::kUnsupported)
      << "role of a newer version";
  EXPECT_EQ(ErrorOf({0x1A, 0x00}), Errc::kMalformed) << "welcome without version";
  EXPECT_EQ(ErrorOf({0x08, 0x01, 0x42, 0x04, 0x62, 0x02, 0x10, 0x03}), Errc::kMalformed) << "I/O of 3 bytes";
}

template <class T>
Errc ErrorOfRequest(T request) {
  const auto decoded = DecodeEnvelope(EncodeEnvelope({1, Request(std::move(request)), {}}));
  return decoded ? Errc::kInternal : decoded.error().code;
}

TEST(Convert, ChecksEnumsAndRanges) {
  RunPlan operation;
  operation.plan.program.push_back({static_cast<plan::Op>(plan::kLastOp + 1)});
  EXPECT_EQ(ErrorOfRequest(operation), Errc::kUnsupported);
  RunPlan program;
  program.plan.program.resize(plan::kMaxInstructions + 1);
  EXPECT_EQ(ErrorOfRequest(program), Errc::kMalformed);
  RunPlan patterns;
  patterns.plan.patterns.resize(plan::kMaxPatterns + 1);
  EXPECT_EQ(ErrorOfRequest(patterns), Errc::kMalformed);
  RunPlan pattern;
  pattern.plan.patterns.emplace_back(plan::kMaxPatternBytes + 1);
  EXPECT_EQ(ErrorOfRequest(pattern), Errc::kMalformed);
  EXPECT_EQ(ErrorOfRequest(SetBreakpoint{static_cast<BreakpointKind>(9), 0, 1}), Errc::kUnsupported);
  EXPECT_EQ(ErrorOfRequest(SetBreakpoint{static_cast<BreakpointKind>(0), 0, 1}), Errc::kMalformed);
  EXPECT_EQ(ErrorOfRequest(SetBreakpoint{BreakpointKind::kCode, 0, 3}), Errc::kMalformed);
  EXPECT_EQ(ErrorOfRequest(ReadMemory{{static_cast<AddressSpace::Kind>(7), 0}}), Errc::kUnsupported);
  EXPECT_EQ(ErrorOfRequest(ReadMemory{{AddressSpace::Kind::kPhysical, 5}}), Errc::kMalformed);
}

TEST(Convert, BoundsExceptionParameters) {
  StopEvent stop;
  stop.exception.parameters.resize(16);
  const auto decoded = DecodeEnvelope(EncodeEnvelope({0, Event(stop), {}}));
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().code, Errc::kMalformed);
}

TEST(Convert, ErrorNumberOfANewerVersionBecomesInternal) {
  const auto encoded =
      EncodeEnvelope({3, Response{Answer(Error{static_cast<Errc>(999), "new trouble"})}, {}});
  const auto decoded = DecodeEnvelope(encoded);
  ASSERT_TRUE(decoded);
  const auto& error = std::get<Error>(std::get<Response>(decoded->message).answer);
  EXPECT_EQ(error.code, Errc::kInternal);
  EXPECT_EQ(error.message, "new trouble");
}

TEST(Frame, HeaderRoundTripsLittleEndian) {
  const auto bytes = EncodeFrameHeader({0x0102, 0x03040506});
  EXPECT_EQ(bytes[0], std::byte{2});
  EXPECT_EQ(bytes[4], std::byte{6});
  const auto small = EncodeFrameHeader({100, 200});
  const auto header = DecodeFrameHeader(small, true);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->envelope_bytes, 100u);
  EXPECT_EQ(header->bulk_bytes, 200u);
}

TEST(Frame, LimitsDependOnTheWelcome) {
  const auto accepts = [](std::size_t envelope, std::size_t bulk, bool greeted) {
    return DecodeFrameHeader(
               EncodeFrameHeader({static_cast<std::uint32_t>(envelope), static_cast<std::uint32_t>(bulk)}),
               greeted)
        .has_value();
  };
  EXPECT_TRUE(accepts(kMaxHelloBytes, 0, false));
  EXPECT_FALSE(accepts(kMaxHelloBytes + 1, 0, false));
  EXPECT_FALSE(accepts(10, 1, false));
  EXPECT_TRUE(accepts(kMaxEnvelopeBytes, kMaxBulkBytes, true));
  EXPECT_FALSE(accepts(kMaxEnvelopeBytes + 1, 0, true));
  EXPECT_FALSE(accepts(1, kMaxBulkBytes + 1, true));
  EXPECT_FALSE(accepts(0, 0, true));
}

TEST(Frame, HeadIsHeaderAndEnvelope) {
  const Envelope envelope{4, Request(BreakIn{}), std::vector<std::byte>(9)};
  const auto head = EncodeFrameHead(envelope);
  const auto body = EncodeEnvelope(envelope);
  ASSERT_EQ(head.size(), kFrameHeaderBytes + body.size());
  EXPECT_TRUE(std::equal(body.begin(), body.end(), head.begin() + kFrameHeaderBytes));
  const auto header = DecodeFrameHeader(std::span<const std::byte, kFrameHeaderBytes>(head.data(), 8), true);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->envelope_bytes, body.size());
  EXPECT_EQ(header->bulk_bytes, 9u);
}

}  // namespace
}  // namespace longwire::rpc
