#include "proto/rpc/convert.h"

namespace longwire::rpc {
namespace {

void Put(const StopEvent& from, pb::Event* to) { ToWire(from, to->mutable_stop()); }
void Put(const Resumed& from, pb::Event* to) { to->mutable_resumed()->set_stop_counter(from.stop_counter); }
void Put(const Output& from, pb::Event* to) {
  to->mutable_output()->set_text(from.text);
  to->mutable_output()->set_processor(from.processor);
  to->mutable_output()->set_skipped(from.skipped);
  to->mutable_output()->set_history(from.history);
}
void Put(const PromptRequested& from, pb::Event* to) {
  to->mutable_prompt_requested()->set_text(from.text);
  to->mutable_prompt_requested()->set_maximum_answer(from.maximum_answer);
}
void Put(const ModuleChanged& from, pb::Event* to) {
  ToWire(from.change, to->mutable_module_changed()->mutable_change());
  to->mutable_module_changed()->set_module_counter(from.module_counter);
}
void Put(const FileRequested& from, pb::Event* to) {
  pb::FileRequested* wire = to->mutable_file_requested();
  wire->set_request(from.request);
  wire->set_operation(static_cast<pb::FileRequested::Operation>(from.operation));
  wire->set_name(from.name);
  wire->set_handle(from.handle);
  wire->set_offset(from.offset);
  wire->set_length(from.length);
}
void Put(const LinkChanged& from, pb::Event* to) {
  pb::LinkChanged* wire = to->mutable_link_changed();
  wire->set_state(static_cast<pb::TargetState>(from.state));
  if (from.description) ToWire(*from.description, wire->mutable_description());
  wire->set_text(from.text);
  wire->set_error(static_cast<std::uint32_t>(from.error));
  wire->set_failed(from.failed);
  wire->set_closed(from.closed);
}
void Put(const DriverChanged& from, pb::Event* to) {
  pb::DriverChanged* wire = to->mutable_driver_changed();
  wire->set_driver(from.driver);
  wire->set_driver_epoch(from.driver_epoch);
  wire->set_why(static_cast<pb::DriverChanged::Why>(from.why));
  wire->set_self(from.self);
  wire->set_client(from.client);
  wire->set_kept_ms(from.kept_ms);
}
void Put(const ClientChanged& from, pb::Event* to) {
  to->mutable_client_changed()->set_client(from.client);
  to->mutable_client_changed()->set_joined(from.joined);
  to->mutable_client_changed()->set_id(from.id);
  to->mutable_client_changed()->set_role(ToWire(from.role));
}
void Put(const LinkQueued& from, pb::Event* to) {
  to->mutable_link_queued()->set_position(from.position);
  to->mutable_link_queued()->set_holder(from.holder);
  to->mutable_link_queued()->set_link(from.link);
}
void Put(const DiagnosedStep& from, pb::Event* to) {
  pb::DiagnosedStep* wire = to->mutable_diagnosed_step();
  wire->set_step(static_cast<std::uint32_t>(from.step));
  wire->set_outcome(static_cast<std::uint32_t>(from.outcome));
  wire->set_text(from.text);
  wire->set_finding(from.finding);
  wire->set_finding_name(from.finding_name);
  wire->set_next(from.next);
  wire->set_code(static_cast<std::uint32_t>(from.code));
}

Result<Event> Get(const pb::DiagnosedStep& from) {
  const auto step = EnumFromWire(from.step(), kLastDoctorStep, "diagnosed_step.step");
  if (!step) return step.error();
  const auto outcome = EnumFromWire(from.outcome(), kLastStepOutcome, "diagnosed_step.outcome");
  if (!outcome) return outcome.error();
  if (from.finding() > 0xFFFF) return Malformed("diagnosed_step.finding");
  return Event(DiagnosedStep{*step, *outcome, from.text(), static_cast<std::uint16_t>(from.finding()),
                             from.finding_name(), from.next(), ErrcFromWire(from.code())});
}

Result<Event> Get(const pb::FileRequested& from) {
  const auto operation =
      EnumFromWire(from.operation(), FileRequested::Operation::kClose, "file_requested.operation");
  if (!operation) return operation.error();
  return Event(
      FileRequested{from.request(), *operation, from.name(), from.handle(), from.offset(), from.length()});
}

Result<Event> Get(const pb::LinkChanged& from) {
  const auto state = FromWire(from.state());
  if (!state) return state.error();
  LinkChanged to{*state};
  if (from.has_description()) {
    auto description = FromWire(from.description());
    if (!description) return description.error();
    to.description = std::move(*description);
  }
  to.text = from.text();
  to.error = ErrcFromWire(from.error());
  to.failed = from.failed();
  to.closed = from.closed();
  return Event(std::move(to));
}

DriverChanged Get(const pb::DriverChanged& from) {
  const auto why = EnumFromWire(from.why(), DriverChanged::Why::kEvicted, "driver_changed.why");
  return {from.driver(), from.driver_epoch(), why ? *why : DriverChanged::Why::kUnspecified,
          from.self(),   from.client(),       from.kept_ms()};
}

}  // namespace

void ToWire(const Event& from, pb::Event* to) {
  std::visit([to](const auto& event) { Put(event, to); }, from);
}

Result<Event> FromWire(const pb::Event& from) {
  switch (from.kind_case()) {
    case pb::Event::kStop: {
      auto stop = FromWire(from.stop());
      if (!stop) return stop.error();
      return Event(std::move(*stop));
    }
    case pb::Event::kResumed: return Event(Resumed{from.resumed().stop_counter()});
    case pb::Event::kOutput: {
      const auto& wire = from.output();
      return Event(Output{wire.text(), wire.processor(), wire.skipped(), wire.history()});
    }
    case pb::Event::kPromptRequested: {
      const auto& wire = from.prompt_requested();
      return Event(PromptRequested{wire.text(), wire.maximum_answer()});
    }
    case pb::Event::kModuleChanged: {
      const auto& wire = from.module_changed();
      return Event(ModuleChanged{FromWire(wire.change()), wire.module_counter()});
    }
    case pb::Event::kFileRequested: return Get(from.file_requested());
    case pb::Event::kLinkChanged: return Get(from.link_changed());
    case pb::Event::kDriverChanged: return Event(Get(from.driver_changed()));
    case pb::Event::kClientChanged: {
      const auto& wire = from.client_changed();
      return Event(ClientChanged{wire.client(), wire.joined(), wire.id(), OptionalRoleFromWire(wire.role())});
    }
    case pb::Event::kLinkQueued: {
      const auto& wire = from.link_queued();
      return Event(LinkQueued{wire.position(), wire.holder(), wire.link()});
    }
    case pb::Event::kDiagnosedStep: return Get(from.diagnosed_step());
    case pb::Event::KIND_NOT_SET: break;
  }
  return Unknown("event");
}

}  // namespace longwire::rpc
