#include "proto/rpc/convert.h"

namespace longwire::rpc {
namespace {

void Put(const Done&, pb::Response* to) { to->mutable_done(); }
void Put(const Bytes&, pb::Response* to) { to->mutable_bytes(); }
void Put(const Value& from, pb::Response* to) { to->mutable_value()->set_value(from.value); }
void Put(const LinkOpened& from, pb::Response* to) {
  pb::LinkOpened* wire = to->mutable_link_opened();
  wire->set_link(from.link);
  wire->set_driver_epoch(from.driver_epoch);
  wire->set_state(static_cast<pb::TargetState>(from.state));
  if (from.description) ToWire(*from.description, wire->mutable_description());
  if (from.stop) ToWire(*from.stop, wire->mutable_stop());
  wire->set_role(ToWire(from.role));
  wire->set_client(from.client);
  wire->set_driver(from.driver);
}
void Put(const MemoryRead& from, pb::Response* to) {
  to->mutable_memory_read()->mutable_sizes()->Add(from.sizes.begin(), from.sizes.end());
}
void Put(const MemoryWritten& from, pb::Response* to) { to->mutable_memory_written()->set_size(from.size); }
void Put(const PlanResult& from, pb::Response* to) {
  pb::PlanResult* wire = to->mutable_plan_result();
  for (const plan::Record& record : from.records) {
    pb::Record* added = wire->add_records();
    added->set_tag(record.tag);
    if (record.space != AddressSpace{}) ToWire(record.space, added->mutable_space());
    added->set_address(record.address);
    added->set_value(record.value);
    added->set_data_size(record.data_size);
  }
  wire->set_ending(static_cast<pb::PlanResult::Ending>(static_cast<int>(from.ending) + 1));
}
void Put(const LinkStatus& from, pb::Response* to) {
  pb::LinkStatus* wire = to->mutable_link_status();
  wire->set_link(from.link);
  wire->set_state(static_cast<pb::TargetState>(from.state));
  wire->set_holder(from.holder);
  wire->set_bytes_received(from.bytes_received);
  wire->set_bytes_sent(from.bytes_sent);
  wire->set_packets_received(from.packets_received);
  wire->set_packets_sent(from.packets_sent);
  wire->set_retransmissions(from.retransmissions);
  wire->set_resends(from.resends);
  wire->set_resets(from.resets);
  wire->set_checksum_errors(from.checksum_errors);
  wire->set_exchanges(from.exchanges);
  wire->set_observers(from.observers);
  wire->set_waiting(from.waiting);
  wire->set_lost(from.lost);
  wire->set_kept_ms(from.kept_ms);
  wire->set_baud(from.baud);
}
void Put(const ClientList& from, pb::Response* to) {
  pb::ClientList* wire = to->mutable_client_list();
  for (const Client& client : from.clients) {
    pb::Client* added = wire->add_clients();
    added->set_id(client.id);
    added->set_name(client.name);
    added->set_role(ToWire(client.role));
    added->set_link(client.link);
    added->set_self(client.self);
    added->set_lost(client.lost);
    added->set_kept_ms(client.kept_ms);
    added->set_waiting(client.waiting);
    added->set_since(client.since);
    added->set_queued_bytes(client.queued_bytes);
    added->set_skipped_bytes(client.skipped_bytes);
  }
}
void Put(const Error& from, pb::Response* to) {
  to->mutable_error()->set_code(static_cast<std::uint32_t>(from.code));
  to->mutable_error()->set_message(from.message);
  to->mutable_error()->set_address(from.address);
  to->mutable_error()->set_os_error(from.os_error);
}

/// An Error is also a possible Answer, so a failed conversion has to say that it is one.
template <class T>
Result<T> Failed(Error error) {
  return Result<T>(boost::system::in_place_error, std::move(error));
}

Result<Answer> Get(const pb::LinkOpened& from) {
  const auto state = FromWire(from.state());
  if (!state) return Failed<Answer>(state.error());
  LinkOpened to{from.link(), from.driver_epoch(), *state};
  if (from.has_description()) {
    auto description = FromWire(from.description());
    if (!description) return Failed<Answer>(description.error());
    to.description = std::move(*description);
  }
  if (from.has_stop()) {
    auto stop = FromWire(from.stop());
    if (!stop) return Failed<Answer>(stop.error());
    to.stop = std::move(*stop);
  }
  to.role = OptionalRoleFromWire(from.role());
  to.client = from.client();
  to.driver = from.driver();
  return Answer(std::move(to));
}

Answer Get(const pb::ClientList& from) {
  ClientList to;
  to.clients.reserve(static_cast<std::size_t>(from.clients_size()));
  for (const pb::Client& client : from.clients()) {
    to.clients.push_back({client.id(), client.name(),
                          OptionalRoleFromWire(client.role()).value_or(Role::kObserver), client.link(),
                          client.self(), client.lost(), client.kept_ms(), client.waiting(), client.since(),
                          client.queued_bytes(), client.skipped_bytes()});
  }
  return to;
}

Result<Answer> Get(const pb::PlanResult& from) {
  const auto ending = EnumFromWire(from.ending(), plan::Ending::kCancelled, "plan_result.ending", 1);
  if (!ending) return Failed<Answer>(ending.error());
  PlanResult to;
  to.ending = *ending;
  to.records.reserve(static_cast<std::size_t>(from.records_size()));
  for (const pb::Record& record : from.records()) {
    const auto space = FromWire(record.space());
    if (!space) return Failed<Answer>(space.error());
    to.records.push_back({record.tag(), *space, record.address(), record.value(), record.data_size()});
  }
  return Answer(std::move(to));
}

Result<Answer> Get(const pb::LinkStatus& from) {
  const auto state = FromWire(from.state());
  if (!state) return Failed<Answer>(state.error());
  LinkStatus to;
  to.link = from.link();
  to.state = *state;
  to.holder = from.holder();
  to.bytes_received = from.bytes_received();
  to.bytes_sent = from.bytes_sent();
  to.packets_received = from.packets_received();
  to.packets_sent = from.packets_sent();
  to.retransmissions = from.retransmissions();
  to.resends = from.resends();
  to.resets = from.resets();
  to.checksum_errors = from.checksum_errors();
  to.exchanges = from.exchanges();
  to.observers = from.observers();
  to.waiting = from.waiting();
  to.lost = from.lost();
  to.kept_ms = from.kept_ms();
  to.baud = from.baud();
  return Answer(std::move(to));
}

Answer Get(const pb::Error& from) {
  return Error{ErrcFromWire(from.code()), from.message(), from.address(), from.os_error()};
}

Result<Answer> GetAnswer(const pb::Response& from) {
  switch (from.answer_case()) {
    case pb::Response::kDone: return Answer(Done{});
    case pb::Response::kBytes: return Answer(Bytes{});
    case pb::Response::kValue: return Answer(Value{from.value().value()});
    case pb::Response::kLinkOpened: return Get(from.link_opened());
    case pb::Response::kMemoryRead: return Answer(MemoryRead{ToNumbers(from.memory_read().sizes())});
    case pb::Response::kMemoryWritten: return Answer(MemoryWritten{from.memory_written().size()});
    case pb::Response::kPlanResult: return Get(from.plan_result());
    case pb::Response::kLinkStatus: return Get(from.link_status());
    case pb::Response::kError: return Get(from.error());
    case pb::Response::kClientList: return Get(from.client_list());
    case pb::Response::ANSWER_NOT_SET: break;
  }
  return Failed<Answer>(Unknown("response"));
}

}  // namespace

void ToWire(const Response& from, pb::Response* to) {
  std::visit([to](const auto& answer) { Put(answer, to); }, from.answer);
}

Result<Response> FromWire(const pb::Response& from) {
  auto answer = GetAnswer(from);
  if (answer) return Response{std::move(*answer)};
  // Somebody waits for this response: an answer of a newer version must end that wait, not the connection.
  if (answer.error().code == Errc::kUnsupported) return Response{Answer(answer.error())};
  return Failed<Response>(answer.error());
}

}  // namespace longwire::rpc
