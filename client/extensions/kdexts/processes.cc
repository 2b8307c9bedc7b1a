#include "processes.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>
#include <iterator>
#include <sstream>

#include "threads.h"

namespace kdexts {
namespace {

constexpr const char* kProcessType = "nt!_EPROCESS";
constexpr std::uint32_t kMaxProcesses = 65536, kMaxThreads = 65536;
constexpr std::uint32_t kActiveProcessHead = 0x50;  // in KDDEBUGGER_DATA64 (kd-protocol.md 5.2)
constexpr unsigned kTimes = 1, kThreads = 2, kStacks = 4, kBrief = 8;

constexpr const char* kFields[] = {
    "UniqueProcessId",
    "InheritedFromUniqueProcessId",
    "Pcb.DirectoryTableBase",
    "Peb",
    "ObjectTable",
    "ImageFileName",
    "Session",
    "VadRoot",
    "VadCount",
    "NumberOfPrivatePages",
    "ModifiedPageCount",
    "NumberOfLockedPages",
    "DeviceMap",
    "Token",
    "CreateTime",
    "CommitCharge",
    "Pcb.UserTime",
    "Pcb.KernelTime",
    "Pcb.BasePriority",
    "Pcb.ThreadListHead",
    "PeakVirtualSize",
    "VirtualSize",
};

struct Request {
  enum class Which { kAll, kCurrent, kOne } which = Which::kCurrent;
  std::uint64_t value = 0;  // EPROCESS or process id
  unsigned flags = 3;
  std::string image;
};

/// Reads `text`; false with the reason in the debugger's error text.
bool Parse(lw::Debugger& debugger, const char* text, Request& request) {
  std::istringstream in(text);
  std::string word;
  bool has_flags = false;
  for (int position = 0; in >> word; ++position) {
    if (position == 0 && word == "-1") continue;
    const bool is_image = word.find('.') != std::string::npos && word.find('`') == std::string::npos;
    if (is_image) {
      request.image = word;
      if (position == 0) request.which = Request::Which::kAll;
      continue;
    }
    std::optional<std::uint64_t> value = debugger.Evaluate(word);
    if (!value) {
      if (position < 2) {
        debugger.Error(debugger.LastError());
        return false;
      }
      request.image = word;
      continue;
    }
    if (position == 0) {
      request.which = *value == 0 ? Request::Which::kAll : Request::Which::kOne;
      request.value = *value;
      request.flags = *value == 0 ? 3 : 0xf;
    } else if (!has_flags) {
      request.flags = static_cast<unsigned>(*value);
      has_flags = true;
    } else {
      request.image = word;
    }
  }
  return true;
}

/// A NUL-ended name of at most 15 characters compares with the image's own cut name.
bool SameImage(const std::string& a, const std::string& b) {
  return strncasecmp(a.c_str(), b.c_str(), 14) == 0;
}

class ProcessList {
 public:
  explicit ProcessList(lw::Debugger& debugger) : debugger_(debugger) {}

  /// Reads what every display needs, and with `threads` the threads too, in one round trip.
  bool ReadAhead(bool threads);
  std::vector<std::uint64_t> Addresses();

 private:
  lw::Debugger& debugger_;
  std::uint64_t head_ = 0, links_ = 0;
};

bool ProcessList::ReadAhead(bool threads) {
  std::optional<lw_field_info> links = debugger_.Field(kProcessType, "ActiveProcessLinks");
  if (!links) {
    debugger_.Error("!process needs the kernel's types: " + debugger_.LastError());
    return false;
  }
  links_ = links->offset;
  std::uint64_t head = 0;
  if (debugger_.host().debugger_data(debugger_.session(), kActiveProcessHead, &head, sizeof head) == 0 &&
      head != 0) {
    head_ = head;
  } else if (std::optional<std::uint64_t> symbol = debugger_.Symbol("nt!PsActiveProcessHead")) {
    head_ = *symbol;
  } else {
    debugger_.Error(
        "The list of processes cannot be found: the target has no debugger data block and "
        "nt!PsActiveProcessHead "
        "is not in the symbols.");
    return false;
  }
  std::vector<lw_span> spans{{0, 2 * debugger_.pointer_size()}};
  for (const char* name : kFields) {
    if (std::optional<lw_field_info> field = debugger_.Field(kProcessType, name)) {
      spans.push_back({static_cast<std::int64_t>(field->offset - links_), field->size});
    }
  }
  std::vector<lw_follow> follows;
  std::optional<lw_field_info> table = debugger_.Field(kProcessType, "ObjectTable");
  std::optional<lw_field_info> handles = debugger_.Field("nt!_HANDLE_TABLE", "HandleCount");
  if (table && handles) {
    follows.push_back({static_cast<std::int64_t>(table->offset - links_), ~0ull,
                       static_cast<std::int64_t>(handles->offset), handles->size});
  }
  lw_list list{head_,
               kMaxProcesses,
               static_cast<std::uint32_t>(spans.size()),
               static_cast<std::uint32_t>(follows.size()),
               0,
               spans.data(),
               follows.data(),
               nullptr};
  std::vector<lw_span> thread_spans;
  lw_list inner{};
  std::optional<lw_field_info> thread_head = debugger_.Field(kProcessType, "Pcb.ThreadListHead");
  std::optional<lw_field_info> thread_link = debugger_.Field("nt!_ETHREAD", "Tcb.ThreadListEntry");
  if (threads && thread_head && thread_link) {
    thread_spans = ThreadSpans(debugger_, thread_link->offset);
    inner = {thread_head->offset - links_,
             kMaxThreads,
             static_cast<std::uint32_t>(thread_spans.size()),
             0,
             0,
             thread_spans.data(),
             nullptr,
             nullptr};
    list.inner = &inner;
  }
  // A failure costs round trips only: the walk below reads what it needs itself.
  debugger_.host().prefetch_list(debugger_.session(), lw::Debugger::kCurrent, &list);
  return true;
}

std::vector<std::uint64_t> ProcessList::Addresses() {
  std::vector<std::uint64_t> found;
  std::optional<std::uint64_t> link = debugger_.ReadPointer(head_);
  while (link && *link != head_ && *link != 0 && found.size() < kMaxProcesses && !debugger_.interrupted()) {
    if (!found.empty() && found.front() == *link - links_) break;  // a cycle that misses the head
    found.push_back(*link - links_);
    link = debugger_.ReadPointer(*link);
  }
  if (!link) debugger_.Print("The list of processes is broken here: " + debugger_.LastError() + "\n");
  return found;
}

std::string SessionText(const lw::Structure& process, lw::Debugger& debugger) {
  std::optional<std::uint64_t> session = process.Get("Session");
  if (!session || *session == 0) return "none";
  std::optional<std::uint64_t> id =
      lw::Structure(debugger, "nt!_MM_SESSION_SPACE", *session).Get("SessionId");
  return id ? std::to_string(*id) : "none";
}

void ShowTimes(lw::Debugger& debugger, const lw::Structure& process) {
  auto line = [&](const char* label, const std::string& value) {
    debugger.Print(lw::Text("    %-33s %s\n", label, value.c_str()));
  };
  if (auto root = process.Get("VadRoot")) {
    debugger.Print(lw::Text(
        "    VadRoot %016" PRIx64 " Vads %" PRIu64 " Clone 0 Private %" PRIu64 ". Modified %" PRIu64
        ". Locked %" PRIu64 ".\n",
        *root, process.Get("VadCount").value_or(0), process.Get("NumberOfPrivatePages").value_or(0),
        process.Get("ModifiedPageCount").value_or(0), process.Get("NumberOfLockedPages").value_or(0)));
  }
  if (auto map = process.Get("DeviceMap")) debugger.Print(lw::Text("    DeviceMap %016" PRIx64 "\n", *map));
  // The low four bits of an EX_FAST_REF count references.
  if (auto token = process.Get("Token")) line("Token", lw::Text("%016" PRIx64, *token & ~std::uint64_t{0xf}));
  if (auto time = process.Get("Pcb.UserTime")) line("UserTime", TickTime(debugger, *time));
  if (auto time = process.Get("Pcb.KernelTime")) line("KernelTime", TickTime(debugger, *time));
  if (auto size = process.Get("VirtualSize")) line("VirtualSize", std::to_string(*size >> 20) + " Mb");
  if (auto size = process.Get("PeakVirtualSize"))
    line("PeakVirtualSize", std::to_string(*size >> 20) + " Mb");
  if (auto priority = process.Get("Pcb.BasePriority")) line("BasePriority", std::to_string(*priority));
  if (auto charge = process.Get("CommitCharge")) line("CommitCharge", std::to_string(*charge));
  debugger.Print("\n");
}

void ShowThreads(lw::Debugger& debugger, const lw::Structure& process, unsigned flags) {
  std::optional<std::uint64_t> head = process.AddressOf("Pcb.ThreadListHead");
  std::optional<lw_field_info> link_field = debugger.Field("nt!_ETHREAD", "Tcb.ThreadListEntry");
  if (!head || !link_field) {
    debugger.Print("        Threads: " + debugger.LastError() + "\n");
    return;
  }
  unsigned thread_flags = kThreadWaits;
  if (flags & kStacks) thread_flags |= kThreadStack;
  if (flags & kBrief) thread_flags |= kThreadBriefStack;
  std::optional<std::uint64_t> link = debugger.ReadPointer(*head);
  for (std::uint32_t i = 0;
       link && *link != *head && *link != 0 && i < kMaxThreads && !debugger.interrupted(); ++i) {
    ShowThread(debugger, *link - link_field->offset, thread_flags, "        ");
    link = debugger.ReadPointer(*link);
  }
}

void ShowProcess(lw::Debugger& debugger, std::uint64_t address, unsigned flags) {
  lw::Structure process(debugger, kProcessType, address);
  const std::uint64_t id = process.Get("UniqueProcessId").value_or(0);
  const std::uint64_t parent = process.Get("InheritedFromUniqueProcessId").value_or(0);
  const std::uint64_t peb = process.Get("Peb").value_or(0);
  const std::uint64_t directory = process.Get("Pcb.DirectoryTableBase").value_or(0);
  const std::uint64_t table = process.Get("ObjectTable").value_or(0);
  const std::uint64_t handles =
      table == 0 ? 0 : lw::Structure(debugger, "nt!_HANDLE_TABLE", table).Get("HandleCount").value_or(0);
  const std::string image = process.GetText("ImageFileName");
  const std::string session = SessionText(process, debugger);
  std::string text = lw::Text("PROCESS %016" PRIx64 "\n", address);
  text += lw::Text("    SessionId: %s  Cid: %04" PRIx64 "    Peb: %s  ParentCid: %04" PRIx64 "\n",
                   session.c_str(), id, peb == 0 ? "00000000" : lw::Text("%010" PRIx64, peb).c_str(), parent);
  text += lw::Text("    DirBase: %08" PRIx64 "  ObjectTable: %016" PRIx64 "  HandleCount: %3" PRIu64 ".\n",
                   directory, table, handles);
  text += "    Image: " + image + "\n";
  lw::Row(debugger, "process")
      .Hex("address", address)
      .Number("process_id", static_cast<std::int64_t>(id))
      .Number("parent_id", static_cast<std::int64_t>(parent))
      .Hex("peb", peb)
      .Hex("directory_base", directory)
      .Hex("object_table", table)
      .Number("handle_count", static_cast<std::int64_t>(handles))
      .String("image", image)
      .String("session", session)
      .End(text);
  if (flags & kTimes) ShowTimes(debugger, process);
  if (flags & kThreads) ShowThreads(debugger, process, flags);
}

std::optional<std::uint64_t> FindOne(lw::Debugger& debugger, const Request& request) {
  if (request.which == Request::Which::kCurrent) {
    if (std::uint64_t selected = debugger.host().current_process(debugger.session())) return selected;
    std::optional<std::uint64_t> process =
        ProcessOfThread(debugger, debugger.host().current_thread(debugger.session()));
    if (!process) debugger.Error("The current process is not known: " + debugger.LastError());
    return process;
  }
  // Process ids are small, EPROCESS addresses are kernel addresses.
  if (request.value >> 47 != 0 || (debugger.pointer_size() == 4 && request.value >= 0x80000000))
    return request.value;
  debugger.Print(lw::Text("Searching for Process with Cid == %" PRIx64 "\n", request.value));
  ProcessList list(debugger);
  if (!list.ReadAhead(false)) return std::nullopt;
  for (std::uint64_t address : list.Addresses()) {
    if (lw::Structure(debugger, kProcessType, address).Get("UniqueProcessId") == request.value)
      return address;
  }
  return 0;
}

}  // namespace

lw_status Process(const lw_host* host, lw_session* session, const char* arguments) {
  lw::Debugger debugger(host, session);
  Request request;
  if (!Parse(debugger, arguments, request)) return 1;
  if (request.which != Request::Which::kAll) {
    std::optional<std::uint64_t> process = FindOne(debugger, request);
    if (!process) return 18;
    if (*process != 0) ShowProcess(debugger, *process, request.flags);
    return 0;
  }
  ProcessList list(debugger);
  if (!list.ReadAhead((request.flags & kThreads) != 0)) return 18;
  if (request.image.empty()) debugger.Print("**** NT ACTIVE PROCESS DUMP ****\n");
  for (std::uint64_t address : list.Addresses()) {
    if (debugger.interrupted()) break;
    if (!request.image.empty() &&
        !SameImage(lw::Structure(debugger, kProcessType, address).GetText("ImageFileName"), request.image)) {
      continue;
    }
    ShowProcess(debugger, address, request.flags);
  }
  return 0;
}

}  // namespace kdexts
