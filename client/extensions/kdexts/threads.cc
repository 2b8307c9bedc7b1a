#include "threads.h"

#include <algorithm>
#include <cinttypes>
#include <iterator>

namespace kdexts {
namespace {

constexpr const char* kThreadType = "nt!_ETHREAD";

// Every field of the display; what the symbols do not have is left out of it.
constexpr const char* kFields[] = {
    "Cid",
    "Tcb.Teb",
    "Tcb.State",
    "Tcb.WaitReason",
    "Tcb.WaitMode",
    "Tcb.Alertable",
    "Tcb.WaitTime",
    "Tcb.ContextSwitches",
    "Tcb.UserTime",
    "Tcb.KernelTime",
    "Tcb.InitialStack",
    "Tcb.KernelStack",
    "Tcb.StackBase",
    "Tcb.StackLimit",
    "Tcb.Priority",
    "Tcb.BasePriority",
    "Tcb.Win32Thread",
    "Tcb.Process",
    "Tcb.ApcState.Process",
    "Tcb.IdealProcessor",
    "Tcb.NextProcessor",
    "Tcb.WaitBlockList",
    "Win32StartAddress",
    "StartAddress",
};

std::string StateText(lw::Debugger& debugger, const lw::Structure& thread) {
  std::optional<std::uint64_t> state = thread.Get("Tcb.State");
  if (!state) return "<state unreadable>";
  std::string name = debugger.Enumerator("nt!_KTHREAD_STATE", static_cast<std::int64_t>(*state));
  if (name == "Running") {
    return lw::Text("RUNNING on processor %" PRIu64, thread.Get("Tcb.NextProcessor").value_or(0));
  }
  if (name != "Waiting") return name;
  const std::string reason = debugger.Enumerator(
      "nt!_KWAIT_REASON", static_cast<std::int64_t>(thread.Get("Tcb.WaitReason").value_or(0)));
  const char* mode = thread.Get("Tcb.WaitMode").value_or(0) == 0 ? "KernelMode" : "UserMode";
  const char* alertable = thread.Get("Tcb.Alertable").value_or(0) == 0 ? "Non-Alertable" : "Alertable";
  return "WAIT: (" + reason + ") " + mode + " " + alertable;
}

const char* ObjectName(std::uint64_t type) {
  // DISPATCHER_HEADER.Type, the KOBJECTS values of public headers.
  switch (type) {
    case 0: return "NotificationEvent";
    case 1: return "SynchronizationEvent";
    case 2: return "Mutant";
    case 3: return "ProcessObject";
    case 4: return "QueueObject";
    case 5: return "Semaphore";
    case 6: return "Thread";
    case 8: return "NotificationTimer";
    case 9: return "SynchronizationTimer";
    default: return "Unknown object";
  }
}

void ShowWait(lw::Debugger& debugger, const lw::Structure& thread, const std::string& indent) {
  std::optional<std::uint64_t> first = thread.Get("Tcb.WaitBlockList");
  std::uint64_t block = first.value_or(0);
  for (int i = 0; block != 0 && i < 64; ++i) {
    lw::Structure wait(debugger, "nt!_KWAIT_BLOCK", block);
    std::optional<std::uint64_t> object = wait.Get("Object");
    if (!object || *object == 0) return;
    lw::Structure header(debugger, "nt!_DISPATCHER_HEADER", *object);
    debugger.Print(lw::Text("%s    %016" PRIx64 "  %s\n", indent.c_str(), *object,
                            ObjectName(header.Get("Type").value_or(~0ull) & 0x7f)));
    std::optional<std::uint64_t> next = wait.Get("NextWaitBlock");
    if (!next || *next == first) return;
    block = *next;
  }
}

void ShowStack(lw::Debugger& debugger, const lw::Structure& thread, bool brief, const std::string& indent) {
  lw_frame frames[128];
  std::uint32_t count = 0;
  std::uint64_t ip = 0, sp = 0, fp = 0;
  const std::string state = debugger.Enumerator(
      "nt!_KTHREAD_STATE", static_cast<std::int64_t>(thread.Get("Tcb.State").value_or(0)));
  if (state != "Running") {
    // A thread that does not run left a switch frame where its kernel stack pointer points.
    lw::Structure frame(debugger, "nt!_KSWITCH_FRAME", thread.Get("Tcb.KernelStack").value_or(0));
    std::optional<std::uint64_t> return_address = frame.Get("Return");
    std::optional<std::uint64_t> size = debugger.TypeSize("nt!_KSWITCH_FRAME");
    if (!return_address || !size) {
      debugger.Print(indent + "Stack: the thread's switch frame cannot be read\n");
      return;
    }
    ip = *return_address;
    sp = frame.address() + *size;
    fp = frame.Get("Rbp").value_or(0);
  } else if (debugger.host().current_thread(debugger.session()) != thread.address()) {
    debugger.Print(indent + "Stack: running on another processor; switch to it with ~Ns and use k\n");
    return;
  }
  if (debugger.host().walk_stack(debugger.session(), ip, sp, fp, frames, std::size(frames), &count) != 0) {
    debugger.Print(indent + "Unable to get stack trace: " + debugger.LastError() + "\n");
    return;
  }
  debugger.Print(indent + "Child-SP          RetAddr               Call Site\n");
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string name = debugger.NameOf(frames[i].instruction_pointer);
    debugger.Print(lw::Text(
        "%s%08x`%08x %08x`%08x     %s\n", indent.c_str(),
        static_cast<unsigned>(frames[i].stack_pointer >> 32), static_cast<unsigned>(frames[i].stack_pointer),
        static_cast<unsigned>(frames[i].return_address >> 32),
        static_cast<unsigned>(frames[i].return_address),
        !name.empty() ? name.c_str() : lw::Text("0x%" PRIx64, frames[i].instruction_pointer).c_str()));
    if (brief && i >= 3) break;
  }
}

void ShowDetails(lw::Debugger& debugger, const lw::Structure& thread, const std::string& indent) {
  auto line = [&](const std::string& text) { debugger.Print(indent + text + "\n"); };
  line("Not impersonating");
  if (std::optional<std::uint64_t> process = ProcessOfThread(debugger, thread.address())) {
    const std::string image = lw::Structure(debugger, "nt!_EPROCESS", *process).GetText("ImageFileName");
    line(lw::Text("Owning Process            %016" PRIx64 "       Image:         %s", *process,
                  image.c_str()));
  }
  line("Attached Process          N/A            Image:         N/A");
  if (auto wait = thread.Get("Tcb.WaitTime")) line(lw::Text("Wait Start TickCount      %" PRIu64, *wait));
  if (auto switches = thread.Get("Tcb.ContextSwitches")) {
    line(lw::Text("Context Switch Count      %-8" PRIu64 " IdealProcessor: %" PRIu64, *switches,
                  thread.Get("Tcb.IdealProcessor").value_or(0)));
  }
  if (auto time = thread.Get("Tcb.UserTime")) line("UserTime                  " + TickTime(debugger, *time));
  if (auto time = thread.Get("Tcb.KernelTime"))
    line("KernelTime                " + TickTime(debugger, *time));
  std::optional<std::uint64_t> start = thread.Get("Win32StartAddress");
  if (!start || *start == 0) start = thread.Get("StartAddress");
  if (start)
    line(lw::Text("Win32 Start Address %s (0x%016" PRIx64 ")", debugger.NameOf(*start).c_str(), *start));
  if (auto initial = thread.Get("Tcb.InitialStack")) {
    line(lw::Text("Stack Init %016" PRIx64 " Current %016" PRIx64, *initial,
                  thread.Get("Tcb.KernelStack").value_or(0)));
  }
  if (auto base = thread.Get("Tcb.StackBase")) {
    line(lw::Text("Base %016" PRIx64 " Limit %016" PRIx64 " Call 0000000000000000", *base,
                  thread.Get("Tcb.StackLimit").value_or(0)));
  }
  if (auto priority = thread.Get("Tcb.Priority")) {
    line(lw::Text("Priority %" PRIu64 " BasePriority %" PRIu64, *priority,
                  thread.Get("Tcb.BasePriority").value_or(0)));
  }
}

}  // namespace

std::optional<std::uint64_t> ProcessOfThread(lw::Debugger& debugger, std::uint64_t thread) {
  lw::Structure structure(debugger, kThreadType, thread);
  std::optional<std::uint64_t> process = structure.Get("Tcb.Process");
  if (!process || *process == 0) process = structure.Get("Tcb.ApcState.Process");
  return process;
}

std::vector<lw_span> ThreadSpans(lw::Debugger& debugger, std::uint64_t link_offset) {
  std::vector<lw_span> spans;
  spans.push_back({0, 2 * debugger.pointer_size()});
  for (const char* name : kFields) {
    if (std::optional<lw_field_info> field = debugger.Field(kThreadType, name)) {
      spans.push_back({static_cast<std::int64_t>(field->offset - link_offset), field->size});
    }
  }
  return spans;
}

std::string TickTime(lw::Debugger& debugger, std::uint64_t ticks) {
  // KeMaximumIncrement: 100 ns units in one tick of the clock.
  std::optional<std::uint64_t> where = debugger.Symbol("nt!KeMaximumIncrement");
  const std::uint64_t increment = where ? debugger.ReadUnsigned(*where, 4).value_or(156250) : 156250;
  const std::uint64_t ms = ticks * increment / 10000;
  return lw::Text("%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 ".%03" PRIu64, ms / 3600000, ms / 60000 % 60,
                  ms / 1000 % 60, ms % 1000);
}

void ShowThread(lw::Debugger& debugger, std::uint64_t address, unsigned flags, const std::string& indent) {
  lw::Structure thread(debugger, kThreadType, address);
  const std::uint64_t process_id = thread.Get("Cid.UniqueProcess").value_or(0);
  const std::uint64_t thread_id = thread.Get("Cid.UniqueThread").value_or(0);
  const std::uint64_t teb = thread.Get("Tcb.Teb").value_or(0);
  const std::uint64_t win32 = thread.Get("Tcb.Win32Thread").value_or(0);
  const std::string state = StateText(debugger, thread);
  lw::Row(debugger, "thread")
      .Hex("address", address)
      .Number("process_id", static_cast<std::int64_t>(process_id))
      .Number("thread_id", static_cast<std::int64_t>(thread_id))
      .Hex("teb", teb)
      .String("state", state)
      .End(lw::Text("%sTHREAD %016" PRIx64 "  Cid %04" PRIx64 ".%04" PRIx64 "  Teb: %016" PRIx64
                    " Win32Thread: %016" PRIx64 " %s",
                    indent.c_str(), address, process_id, thread_id, teb, win32, state.c_str()));
  if (flags & kThreadWaits) {
    if (state.starts_with("WAIT")) ShowWait(debugger, thread, indent);
    ShowDetails(debugger, thread, indent);
  }
  if (flags & kThreadStack) ShowStack(debugger, thread, (flags & kThreadBriefStack) != 0, indent);
  if (flags & (kThreadWaits | kThreadStack)) debugger.Print("\n");
}

lw_status Thread(const lw_host* host, lw_session* session, const char* arguments) {
  lw::Debugger debugger(host, session);
  std::string text = arguments;
  std::uint64_t thread = host->current_thread(session);
  unsigned flags = kThreadWaits | kThreadStack;
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin != std::string::npos) {
    const std::size_t end = text.find_first_of(" \t", begin);
    std::optional<std::uint64_t> address = debugger.Evaluate(text.substr(begin, end - begin));
    if (!address) {
      debugger.Error(debugger.LastError());
      return 1;
    }
    thread = *address;
    const std::size_t flags_at = end == std::string::npos ? end : text.find_first_not_of(" \t", end);
    if (flags_at != std::string::npos) {
      std::optional<std::uint64_t> value = debugger.Evaluate(text.substr(flags_at));
      if (!value) {
        debugger.Error(debugger.LastError());
        return 1;
      }
      flags = static_cast<unsigned>(*value);
    }
  }
  if (!debugger.TypeSize(kThreadType)) {
    debugger.Error("!thread needs the kernel's types: " + debugger.LastError());
    return 18;
  }
  if (!lw::Structure(debugger, kThreadType, thread).Get("Tcb.State")) {
    debugger.Error(lw::Text("%016" PRIx64 ": not a readable thread", thread));
    return 17;
  }
  ShowThread(debugger, thread, flags, "");
  return 0;
}

}  // namespace kdexts
