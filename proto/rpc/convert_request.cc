#include "proto/rpc/convert.h"

namespace longwire::rpc {
namespace {

// ---- to the wire ----

void Put(const OpenLink& from, pb::Request* to) {
  to->mutable_open_link()->set_link(from.link);
  to->mutable_open_link()->set_break_in(from.break_in);
  to->mutable_open_link()->set_break_on_reboot(from.break_on_reboot);
  to->mutable_open_link()->set_when_busy(static_cast<pb::WhenBusy>(from.when_busy));
  to->mutable_open_link()->set_scroll_back(from.scroll_back);
  to->mutable_open_link()->set_since_ms(from.since_ms);
  to->mutable_open_link()->set_watch(from.watch);
}
void Put(const CloseLink& from, pb::Request* to) { to->mutable_close_link()->set_resume(from.resume); }
void Put(const ReadMemory& from, pb::Request* to) {
  pb::ReadMemory* wire = to->mutable_read_memory();
  if (from.space != AddressSpace{}) ToWire(from.space, wire->mutable_space());
  for (const ReadRange& range : from.ranges) {
    pb::ReadRange* added = wire->add_ranges();
    added->set_address(range.address);
    added->set_size(range.size);
  }
  wire->set_uncached(from.uncached);
}
void Put(const WriteMemory& from, pb::Request* to) {
  if (from.space != AddressSpace{}) ToWire(from.space, to->mutable_write_memory()->mutable_space());
  to->mutable_write_memory()->set_address(from.address);
}
void Put(const RunPlan& from, pb::Request* to) {
  pb::RunPlan* wire = to->mutable_run_plan();
  for (const plan::Instruction& instruction : from.plan.program) {
    pb::Instruction* added = wire->add_program();
    added->set_op(static_cast<std::uint32_t>(instruction.op));
    added->set_a(instruction.a);
    added->set_b(instruction.b);
    added->set_c(instruction.c);
    added->set_size(instruction.size);
    added->set_target(instruction.target);
    added->set_immediate(instruction.immediate);
  }
  for (const auto& pattern : from.plan.patterns) wire->add_patterns(pattern.data(), pattern.size());
}
void Put(const GetContext& from, pb::Request* to) {
  to->mutable_get_context()->set_processor(from.processor);
}
void Put(const SetContext& from, pb::Request* to) {
  to->mutable_set_context()->set_processor(from.processor);
}
void Put(const ReadControlSpace& from, pb::Request* to) {
  to->mutable_read_control_space()->set_processor(from.processor);
  to->mutable_read_control_space()->set_selector(from.selector);
  to->mutable_read_control_space()->set_size(from.size);
}
void Put(const WriteControlSpace& from, pb::Request* to) {
  to->mutable_write_control_space()->set_processor(from.processor);
  to->mutable_write_control_space()->set_selector(from.selector);
}
void Put(const ReadMsr& from, pb::Request* to) {
  to->mutable_read_msr()->set_processor(from.processor);
  to->mutable_read_msr()->set_number(from.number);
}
void Put(const WriteMsr& from, pb::Request* to) {
  to->mutable_write_msr()->set_processor(from.processor);
  to->mutable_write_msr()->set_number(from.number);
  to->mutable_write_msr()->set_value(from.value);
}
void Put(const ReadIo& from, pb::Request* to) {
  to->mutable_read_io()->set_port(from.port);
  to->mutable_read_io()->set_size(from.size);
}
void Put(const WriteIo& from, pb::Request* to) {
  to->mutable_write_io()->set_port(from.port);
  to->mutable_write_io()->set_size(from.size);
  to->mutable_write_io()->set_value(from.value);
}
void Put(const SetBreakpoint& from, pb::Request* to) {
  to->mutable_set_breakpoint()->set_kind(static_cast<pb::BreakpointKind>(from.kind));
  to->mutable_set_breakpoint()->set_address(from.address);
  to->mutable_set_breakpoint()->set_size(from.size);
}
void Put(const ClearBreakpoint& from, pb::Request* to) { to->mutable_clear_breakpoint()->set_id(from.id); }
void Put(const Resume& from, pb::Request* to) {
  pb::Resume* wire = to->mutable_resume();
  wire->set_stop_counter(from.stop_counter);
  wire->set_driver_epoch(from.driver_epoch);
  wire->set_step(from.step);
  wire->set_handled(from.handled);
  wire->mutable_temporary_breakpoints()->Add(from.temporary_breakpoints.begin(),
                                             from.temporary_breakpoints.end());
  if (from.processor) wire->set_processor(*from.processor);
}
void Put(const BreakIn&, pb::Request* to) { to->mutable_break_in(); }
void Put(const SwitchProcessor& from, pb::Request* to) {
  to->mutable_switch_processor()->set_processor(from.processor);
}
void Put(const AnswerPrompt& from, pb::Request* to) { to->mutable_answer_prompt()->set_text(from.text); }
void Put(const AnswerFile& from, pb::Request* to) {
  to->mutable_answer_file()->set_request(from.request);
  to->mutable_answer_file()->set_status(from.status);
  to->mutable_answer_file()->set_handle(from.handle);
  to->mutable_answer_file()->set_length(from.length);
}
void Put(const Reboot&, pb::Request* to) { to->mutable_reboot(); }
void Put(const Crash&, pb::Request* to) { to->mutable_crash(); }
void Put(const Resynchronize&, pb::Request* to) { to->mutable_resynchronize(); }
void Put(const Configure& from, pb::Request* to) {
  pb::Configure* wire = to->mutable_configure();
  if (from.break_on_reboot) wire->set_break_on_reboot(*from.break_on_reboot);
  if (from.stop_on_module) wire->set_stop_on_module(*from.stop_on_module);
  if (from.trace_packets) wire->set_trace_packets(*from.trace_packets);
  if (from.baud) wire->set_baud(*from.baud);
}
void Put(const GetLinkStatus&, pb::Request* to) { to->mutable_get_link_status(); }
void Put(const EndServer& from, pb::Request* to) { to->mutable_end_server()->set_force(from.force); }
void Put(const TakeDriver& from, pb::Request* to) { to->mutable_take_driver()->set_force(from.force); }
void Put(const HandOver& from, pb::Request* to) { to->mutable_hand_over()->set_client(from.client); }
void Put(const ListClients&, pb::Request* to) { to->mutable_list_clients(); }
void Put(const EvictClient& from, pb::Request* to) { to->mutable_evict_client()->set_client(from.client); }
void Put(const Diagnose& from, pb::Request* to) { to->mutable_diagnose()->set_link(from.link); }

// ---- from the wire ----

Result<Request> Get(const pb::OpenLink& from) {
  if (from.when_busy() < 0 || from.when_busy() > static_cast<int>(WhenBusy::kObserve)) {
    return Unknown("open_link.when_busy");
  }
  return Request(OpenLink{from.link(), from.break_in(), from.break_on_reboot(),
                          static_cast<WhenBusy>(from.when_busy()), from.scroll_back(), from.since_ms(),
                          from.watch()});
}

Result<Request> Get(const pb::ReadMemory& from) {
  const auto space = FromWire(from.space());
  if (!space) return space.error();
  ReadMemory to{*space};
  to.ranges.reserve(static_cast<std::size_t>(from.ranges_size()));
  for (const pb::ReadRange& range : from.ranges()) to.ranges.push_back({range.address(), range.size()});
  to.uncached = from.uncached();
  return Request(std::move(to));
}

Result<Request> Get(const pb::WriteMemory& from) {
  const auto space = FromWire(from.space());
  if (!space) return space.error();
  return Request(WriteMemory{*space, from.address()});
}

/// Checks only that the values fit; plan::Validate judges the program, so that a bad one is answered and not
/// fatal.
Result<Request> Get(const pb::RunPlan& from) {
  if (static_cast<std::size_t>(from.program_size()) > plan::kMaxInstructions) return Malformed("program");
  if (static_cast<std::size_t>(from.patterns_size()) > plan::kMaxPatterns) return Malformed("patterns");
  RunPlan to;
  to.plan.program.reserve(static_cast<std::size_t>(from.program_size()));
  for (const pb::Instruction& instruction : from.program()) {
    if (instruction.op() > plan::kLastOp) return Unknown("program.op");
    if ((instruction.a() | instruction.b() | instruction.c()) > 0xFF) return Malformed("program.register");
    to.plan.program.push_back(
        {static_cast<plan::Op>(instruction.op()), static_cast<std::uint8_t>(instruction.a()),
         static_cast<std::uint8_t>(instruction.b()), static_cast<std::uint8_t>(instruction.c()),
         instruction.size(), instruction.target(), instruction.immediate()});
  }
  for (const std::string& pattern : from.patterns()) {
    if (pattern.size() > plan::kMaxPatternBytes) return Malformed("patterns");
    to.plan.patterns.push_back(ToBytes(pattern));
  }
  return Request(std::move(to));
}

bool IsIoSize(std::uint32_t size) { return size == 1 || size == 2 || size == 4; }

Result<Request> Get(const pb::ReadIo& from) {
  if (!IsIoSize(from.size())) return Malformed("read_io.size");
  return Request(ReadIo{from.port(), from.size()});
}

Result<Request> Get(const pb::WriteIo& from) {
  if (!IsIoSize(from.size())) return Malformed("write_io.size");
  return Request(WriteIo{from.port(), from.size(), from.value()});
}

Result<Request> Get(const pb::SetBreakpoint& from) {
  const auto kind = EnumFromWire(from.kind(), BreakpointKind::kIo, "set_breakpoint.kind");
  if (!kind) return kind.error();
  if (!IsIoSize(from.size()) && from.size() != 8) return Malformed("set_breakpoint.size");
  return Request(SetBreakpoint{*kind, from.address(), from.size()});
}

Request Get(const pb::Configure& from) {
  Configure to;
  if (from.has_break_on_reboot()) to.break_on_reboot = from.break_on_reboot();
  if (from.has_stop_on_module()) to.stop_on_module = from.stop_on_module();
  if (from.has_trace_packets()) to.trace_packets = from.trace_packets();
  if (from.has_baud()) to.baud = from.baud();
  return to;
}

Request Get(const pb::Resume& from) {
  Resume to{from.stop_counter(),
            from.driver_epoch(),
            from.step(),
            from.handled(),
            ToNumbers(from.temporary_breakpoints()),
            std::nullopt};
  if (from.has_processor()) to.processor = from.processor();
  return to;
}

}  // namespace

void ToWire(const Request& from, pb::Request* to) {
  std::visit([to](const auto& request) { Put(request, to); }, from);
}

Result<Request> FromWire(const pb::Request& from) {
  switch (from.kind_case()) {
    case pb::Request::kOpenLink: return Get(from.open_link());
    case pb::Request::kCloseLink: return Request(CloseLink{from.close_link().resume()});
    case pb::Request::kReadMemory: return Get(from.read_memory());
    case pb::Request::kWriteMemory: return Get(from.write_memory());
    case pb::Request::kRunPlan: return Get(from.run_plan());
    case pb::Request::kGetContext: return Request(GetContext{from.get_context().processor()});
    case pb::Request::kSetContext: return Request(SetContext{from.set_context().processor()});
    case pb::Request::kReadControlSpace: {
      const auto& wire = from.read_control_space();
      return Request(ReadControlSpace{wire.processor(), wire.selector(), wire.size()});
    }
    case pb::Request::kWriteControlSpace: {
      const auto& wire = from.write_control_space();
      return Request(WriteControlSpace{wire.processor(), wire.selector()});
    }
    case pb::Request::kReadMsr:
      return Request(ReadMsr{from.read_msr().processor(), from.read_msr().number()});
    case pb::Request::kWriteMsr: {
      const auto& wire = from.write_msr();
      return Request(WriteMsr{wire.processor(), wire.number(), wire.value()});
    }
    case pb::Request::kReadIo: return Get(from.read_io());
    case pb::Request::kWriteIo: return Get(from.write_io());
    case pb::Request::kSetBreakpoint: return Get(from.set_breakpoint());
    case pb::Request::kClearBreakpoint: return Request(ClearBreakpoint{from.clear_breakpoint().id()});
    case pb::Request::kResume: return Get(from.resume());
    case pb::Request::kBreakIn: return Request(BreakIn{});
    case pb::Request::kSwitchProcessor: return Request(SwitchProcessor{from.switch_processor().processor()});
    case pb::Request::kAnswerPrompt: return Request(AnswerPrompt{from.answer_prompt().text()});
    case pb::Request::kAnswerFile: {
      const auto& wire = from.answer_file();
      return Request(AnswerFile{wire.request(), wire.status(), wire.handle(), wire.length()});
    }
    case pb::Request::kReboot: return Request(Reboot{});
    case pb::Request::kCrash: return Request(Crash{});
    case pb::Request::kResynchronize: return Request(Resynchronize{});
    case pb::Request::kConfigure: return Get(from.configure());
    case pb::Request::kGetLinkStatus: return Request(GetLinkStatus{});
    case pb::Request::kEndServer: return Request(EndServer{from.end_server().force()});
    case pb::Request::kTakeDriver: return Request(TakeDriver{from.take_driver().force()});
    case pb::Request::kHandOver: return Request(HandOver{from.hand_over().client()});
    case pb::Request::kListClients: return Request(ListClients{});
    case pb::Request::kEvictClient: return Request(EvictClient{from.evict_client().client()});
    case pb::Request::kDiagnose: return Request(Diagnose{from.diagnose().link()});
    case pb::Request::KIND_NOT_SET: break;
  }
  return Unknown("request");
}

}  // namespace longwire::rpc
