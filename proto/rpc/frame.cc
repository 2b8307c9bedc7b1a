#include "proto/rpc/frame.h"

#include <google/protobuf/arena.h>

#include "proto/rpc/convert.h"

namespace longwire::rpc {
namespace {

constexpr int kMaximumCapabilities = 256;
constexpr std::size_t kMaximumTokenBytes = 256;

void StoreU32(std::byte* to, std::uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint32_t LoadU32(const std::byte* from) {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value |= std::to_integer<std::uint32_t>(from[i]) << (8 * i);
  return value;
}

/// Memory for one message; most fit the block on the stack, so that a message costs no heap allocation of
/// protobuf.
class MessageMemory {
 public:
  MessageMemory() : arena_(Options(block_)) {}
  pb::Envelope* NewEnvelope() { return google::protobuf::Arena::CreateMessage<pb::Envelope>(&arena_); }

 private:
  static google::protobuf::ArenaOptions Options(std::array<char, 2048>& block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block.data();
    options.initial_block_size = block.size();
    return options;
  }
  alignas(8) std::array<char, 2048> block_;
  google::protobuf::Arena arena_;
};

void Put(const Hello& from, pb::Envelope* to) {
  pb::Hello* wire = to->mutable_hello();
  wire->set_protocol_minimum(from.protocol_minimum);
  wire->set_protocol_maximum(from.protocol_maximum);
  wire->set_role(static_cast<pb::Role>(from.role));
  for (const std::string& capability : from.capabilities) wire->add_capabilities(capability);
  wire->set_software(from.software);
  wire->set_user(from.user);
  wire->set_host(from.host);
  wire->set_resume_token(from.resume_token.data(), from.resume_token.size());
  wire->set_last_event(from.last_event);
  if (from.keep_ms) wire->set_keep_ms(*from.keep_ms);
}
void Put(const Welcome& from, pb::Envelope* to) {
  pb::Welcome* wire = to->mutable_welcome();
  wire->set_protocol(from.protocol);
  for (const std::string& capability : from.capabilities) wire->add_capabilities(capability);
  wire->set_software(from.software);
  wire->set_resume_token(from.resume_token.data(), from.resume_token.size());
  wire->set_resumed(from.resumed);
  wire->set_keep_ms(from.keep_ms);
  wire->set_next_event(from.next_event);
  wire->set_restarted(from.restarted);
  wire->set_notice(from.notice);
}
void Put(const Reject& from, pb::Envelope* to) {
  pb::Reject* wire = to->mutable_reject();
  wire->set_code(static_cast<std::uint32_t>(from.code));
  wire->set_text(from.text);
  wire->set_protocol_minimum(from.protocol_minimum);
  wire->set_protocol_maximum(from.protocol_maximum);
}
void Put(const Goodbye& from, pb::Envelope* to) {
  to->mutable_goodbye()->set_code(static_cast<std::uint32_t>(from.code));
  to->mutable_goodbye()->set_text(from.text);
}
void Put(const Keepalive& from, pb::Envelope* to) { to->mutable_keepalive()->set_next_ms(from.next_ms); }
void Put(const Cancel& from, pb::Envelope* to) { to->mutable_cancel()->set_id(from.id); }
void Put(const Request& from, pb::Envelope* to) { ToWire(from, to->mutable_request()); }
void Put(const Response& from, pb::Envelope* to) { ToWire(from, to->mutable_response()); }
void Put(const Event& from, pb::Envelope* to) { ToWire(from, to->mutable_event()); }

Result<Hello> Get(const pb::Hello& from) {
  const auto role = EnumFromWire(from.role(), Role::kAdmin, "hello.role");
  if (!role) return role.error();
  if (from.protocol_minimum() == 0 || from.protocol_minimum() > from.protocol_maximum()) {
    return Malformed("hello.protocol_minimum");
  }
  if (from.capabilities_size() > kMaximumCapabilities) return Malformed("hello.capabilities");
  if (from.resume_token().size() > kMaximumTokenBytes) return Malformed("hello.resume_token");
  Hello to;
  to.protocol_minimum = from.protocol_minimum();
  to.protocol_maximum = from.protocol_maximum();
  to.role = *role;
  to.capabilities.assign(from.capabilities().begin(), from.capabilities().end());
  to.software = from.software();
  to.user = from.user();
  to.host = from.host();
  to.resume_token = ToBytes(from.resume_token());
  to.last_event = from.last_event();
  if (from.has_keep_ms()) to.keep_ms = from.keep_ms();
  return to;
}

Result<Welcome> Get(const pb::Welcome& from) {
  if (from.protocol() == 0) return Malformed("welcome.protocol");
  if (from.capabilities_size() > kMaximumCapabilities) return Malformed("welcome.capabilities");
  if (from.resume_token().size() > kMaximumTokenBytes) return Malformed("welcome.resume_token");
  Welcome to;
  to.protocol = from.protocol();
  to.capabilities.assign(from.capabilities().begin(), from.capabilities().end());
  to.software = from.software();
  to.resume_token = ToBytes(from.resume_token());
  to.resumed = from.resumed();
  to.keep_ms = from.keep_ms();
  to.next_event = from.next_event();
  to.restarted = from.restarted();
  to.notice = from.notice();
  return to;
}

/// Messages are moved as little as can be: this runs once for each message of a session.
template <class Value>
Result<void> Store(Result<Value> value, Message& to) {
  if (!value) return value.error();
  to.emplace<Value>(std::move(*value));
  return {};
}

Result<void> GetMessage(const pb::Envelope& from, Message& to) {
  switch (from.kind_case()) {
    case pb::Envelope::kHello: return Store(Get(from.hello()), to);
    case pb::Envelope::kWelcome: return Store(Get(from.welcome()), to);
    case pb::Envelope::kReject: {
      const auto& wire = from.reject();
      to = Reject{ErrcFromWire(wire.code()), wire.text(), wire.protocol_minimum(), wire.protocol_maximum()};
      return {};
    }
    case pb::Envelope::kGoodbye:
      to = Goodbye{ErrcFromWire(from.goodbye().code()), from.goodbye().text()};
      return {};
    case pb::Envelope::kKeepalive: to = Keepalive{from.keepalive().next_ms()}; return {};
    case pb::Envelope::kCancel: to = Cancel{from.cancel().id()}; return {};
    case pb::Envelope::kRequest:
      if (from.id() == 0) return Malformed("id");
      return Store(FromWire(from.request()), to);
    case pb::Envelope::kResponse:
      if (from.id() == 0) return Malformed("id");
      return Store(FromWire(from.response()), to);
    case pb::Envelope::kEvent: return Store(FromWire(from.event()), to);
    case pb::Envelope::KIND_NOT_SET: break;
  }
  return Unknown("kind");
}

/// Serialized envelope behind `room` bytes left free.
std::vector<std::byte> Serialize(const Envelope& envelope, std::size_t room) {
  MessageMemory memory;
  pb::Envelope* wire = memory.NewEnvelope();
  wire->set_id(envelope.id);
  wire->set_resent(envelope.resent);
  std::visit([wire](const auto& message) { Put(message, wire); }, envelope.message);
  std::vector<std::byte> bytes(room + wire->ByteSizeLong());
  wire->SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(bytes.data() + room));
  return bytes;
}

}  // namespace

Errc ErrcFromWire(std::uint32_t code) {
  const bool known = code >= 1 && code <= static_cast<std::uint32_t>(Errc::kInternal);
  return known ? static_cast<Errc>(code) : Errc::kInternal;
}

std::array<std::byte, kFrameHeaderBytes> EncodeFrameHeader(FrameHeader header) {
  std::array<std::byte, kFrameHeaderBytes> bytes;
  StoreU32(bytes.data(), header.envelope_bytes);
  StoreU32(bytes.data() + 4, header.bulk_bytes);
  return bytes;
}

Result<FrameHeader> DecodeFrameHeader(std::span<const std::byte, kFrameHeaderBytes> bytes,
                                      bool authenticated) {
  const FrameHeader header{LoadU32(bytes.data()), LoadU32(bytes.data() + 4)};
  const std::size_t envelope_limit = authenticated ? kMaxEnvelopeBytes : kMaxHelloBytes;
  const std::size_t bulk_limit = authenticated ? kMaxBulkBytes : 0;
  if (header.envelope_bytes == 0 || header.envelope_bytes > envelope_limit ||
      header.bulk_bytes > bulk_limit) {
    return Error{Errc::kMalformed,
                 "The peer sent a frame of " + std::to_string(header.envelope_bytes) + "+" +
                     std::to_string(header.bulk_bytes) +
                     " bytes, which is not a frame of this protocol; is the other side longwire, and "
                     "do both sides give a password or none?"};
  }
  return header;
}

std::vector<std::byte> EncodeEnvelope(const Envelope& envelope) { return Serialize(envelope, 0); }

std::vector<std::byte> EncodeFrameHead(const Envelope& envelope) {
  std::vector<std::byte> bytes = Serialize(envelope, kFrameHeaderBytes);
  StoreU32(bytes.data(), static_cast<std::uint32_t>(bytes.size() - kFrameHeaderBytes));
  StoreU32(bytes.data() + 4, static_cast<std::uint32_t>(envelope.bulk.size()));
  return bytes;
}

Result<Envelope> DecodeEnvelope(std::span<const std::byte> bytes) {
  MessageMemory memory;
  pb::Envelope* wire = memory.NewEnvelope();
  if (bytes.size() > kMaxEnvelopeBytes ||
      !wire->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error{Errc::kMalformed, "A message of the peer is not a longwire message."};
  }
  Result<Envelope> envelope = Envelope{wire->id(), Keepalive{}, {}, wire->resent()};
  if (const auto got = GetMessage(*wire, envelope->message); !got) {
    Error error = got.error();
    error.address = wire->id();
    envelope = std::move(error);
  }
  return envelope;
}

}  // namespace longwire::rpc
