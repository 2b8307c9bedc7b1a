#include "client/commands/target_text.h"

#include <cinttypes>
#include <cstdio>
#include <ctime>

#include "client/engine/event_text.h"
#include "client/engine/module_reader.h"

namespace longwire {
namespace {

constexpr std::uint64_t kSharedData64 = 0xFFFFF78000000000, kSharedData32 = 0xFFDF0000;
constexpr std::size_t kSharedDataBytes = 0x3D8, kSharedDataTimeBytes = 0x20;
constexpr std::uint64_t kTicksPerSecond = 10'000'000, kUnixEpoch = 116444736000000000;

struct Suite {
  std::uint32_t bit;
  const char* name;
};
constexpr Suite kSuites[] = {{0x1, "SmallBusiness"}, {0x2, "Enterprise"},  {0x10, "TerminalServer"},
                             {0x40, "EmbeddedNT"},   {0x80, "DataCenter"}, {0x100, "SingleUserTS"},
                             {0x200, "Personal"},    {0x400, "Blade"}};

std::string Name64(std::uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "0x%08x`%08x", static_cast<unsigned>(value >> 32),
                static_cast<unsigned>(value));
  return text;
}

const char* ArchitectureName(Architecture architecture) {
  switch (architecture) {
    case Architecture::kAmd64: return "x64";
    case Architecture::kX86: return "x86 compatible";
    case Architecture::kArm64: return "ARM 64-bit (AArch64)";
  }
  return "";
}

/// "Windows 10"; "Windows" for a version without a known name.
std::string ProductName(std::uint64_t major, std::uint64_t minor) {
  if (major == 10) return "Windows 10";
  if (major == 6 && minor == 3) return "Windows 8.1";
  if (major == 6 && minor == 2) return "Windows 8";
  if (major == 6 && minor == 1) return "Windows 7";
  if (major == 6 && minor == 0) return "Windows Vista";
  if (major == 5 && minor == 2) return "Windows Server 2003";
  if (major == 5 && minor == 1) return "Windows XP";
  return "Windows";
}

/// From the version the target itself keeps.
std::string ProductName(std::span<const std::byte> shared) {
  if (shared.size() < 0x274) return "Windows";
  return ProductName(LoadLittle(shared, 0x26C, 4), LoadLittle(shared, 0x270, 4));
}

std::string ProductLine(std::span<const std::byte> shared) {
  if (shared.size() < 0x2D4) return "";
  std::uint64_t type = LoadLittle(shared, 0x264, 4), suites = LoadLittle(shared, 0x2D0, 4);
  std::string line = "Product: ";
  line += type == 1   ? "WinNt"
          : type == 2 ? "LanManNt"
          : type == 3 ? "Server"
                      : "<" + std::to_string(type) + ">";
  if (suites != 0) line += ", suite:";
  for (const Suite& suite : kSuites) {
    if (suites & suite.bit) line += std::string(" ") + suite.name;
  }
  return line;
}

std::string TimeLines(std::span<const std::byte> shared) {
  if (shared.size() < 0x20) return "";
  std::uint64_t uptime = LoadLittle(shared, 0x08, 8), now = LoadLittle(shared, 0x14, 8);
  std::string lines;
  char text[128];
  if (now > kUnixEpoch) {
    std::uint64_t since = now - kUnixEpoch;
    std::time_t seconds = static_cast<std::time_t>(since / kTicksPerSecond);
    std::tm parts{};
    char date[48] = "", year[8] = "";
    if (gmtime_r(&seconds, &parts)) {
      std::strftime(date, sizeof date, "%a %b %e %H:%M:%S", &parts);
      std::strftime(year, sizeof year, "%Y", &parts);
    }
    std::snprintf(text, sizeof text, "Debug session time: %s.%03u %s (UTC + 0:00)\n", date,
                  static_cast<unsigned>(since / 10'000 % 1000), year);
    lines += text;
  }
  std::uint64_t seconds = uptime / kTicksPerSecond;
  std::snprintf(text, sizeof text, "System Uptime: %" PRIu64 " days %" PRIu64 ":%02u:%02u.%03u\n",
                seconds / 86400, seconds / 3600 % 24, static_cast<unsigned>(seconds / 60 % 60),
                static_cast<unsigned>(seconds % 60), static_cast<unsigned>(uptime / 10'000 % 1000));
  return lines + text;
}

/// A zero-terminated string of at most 128 characters; empty if it cannot be read.
std::string ReadText(Session& session, std::uint64_t address) {
  std::vector<std::byte> bytes(128);
  Result<std::size_t> read = session.Read(address, bytes);
  std::string text;
  for (std::size_t i = 0; read && i < *read && bytes[i] != std::byte{0}; ++i)
    text += static_cast<char>(bytes[i]);
  return EscapeTargetText(text);
}

std::uint64_t SharedDataAddress(const Session& session) {
  return session.architecture() == Architecture::kX86 ? kSharedData32 : kSharedData64;
}

}  // namespace

Result<void> ReportTargetTime(Session& session, Report& report) {
  std::vector<std::byte> shared(kSharedDataTimeBytes);
  if (Result<void> read = session.ReadExact(SharedDataAddress(session), shared); !read) return read.error();
  std::string lines = TimeLines(shared);
  lines.pop_back();
  report.Row(
      "time",
      {{"system_time", Hex{LoadLittle(shared, 0x14, 8)}}, {"uptime", Hex{LoadLittle(shared, 0x08, 8)}}},
      lines);
  return {};
}

std::string HostTime() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char date[64] = "";
  if (gmtime_r(&now, &parts)) std::strftime(date, sizeof date, "%a %b %e %H:%M:%S %Y", &parts);
  return std::string(date) + " (UTC + 0:00)";
}

/// Of a user minidump: the system its process ran on.
void ReportProcessVersion(Session& session, const rpc::UserProcess& process, Report& report) {
  const rpc::TargetDescription& description = *session.target().description();
  std::string text = ProductName(process.system_major, process.system_minor) + " Version " +
                     std::to_string(description.minor_version);
  if (!process.service_pack.empty()) text += " (" + EscapeTargetText(process.service_pack) + ")";
  text += description.processors > 1 ? " MP (" + std::to_string(description.processors) + " procs)" : " UP";
  text += std::string(" Free ") + ArchitectureName(session.architecture());
  report.Row("target",
             {{"build", static_cast<std::int64_t>(description.minor_version)},
              {"machine", Hex{description.machine}},
              {"processors", static_cast<std::int64_t>(description.processors)},
              {"process", static_cast<std::int64_t>(process.id)},
              {"threads", static_cast<std::int64_t>(process.threads.size())}},
             text);
}

void ReportTargetVersion(Session& session, Report& report) {
  const auto& description = session.target().description();
  if (!description) return;
  if (const rpc::UserProcess* process = session.user_process())
    return ReportProcessVersion(session, *process, report);
  const std::uint64_t shared_address = SharedDataAddress(session);
  std::vector<std::byte> shared(kSharedDataBytes);
  std::string lab;
  if (session.halted()) {
    std::uint64_t lab_address = session.DebuggerData(0x208).value_or(0);
    rpc::ReadRange ranges[] = {{shared_address, kSharedDataBytes}, {lab_address, 128}};
    session.target().Prefetch(session.address_space(), std::span(ranges, lab_address != 0 ? 2 : 1));
    Result<std::size_t> read = session.Read(shared_address, shared);
    shared.resize(read ? *read : 0);
    if (lab_address != 0) lab = ReadText(session, lab_address);
  } else {
    shared.clear();
  }
  std::string first = ProductName(shared) + " Kernel Version " + std::to_string(description->minor_version);
  first +=
      description->processors > 1 ? " MP (" + std::to_string(description->processors) + " procs)" : " UP";
  first += (description->major_version & 0xFF) == 0x0C ? " Checked " : " Free ";
  first += ArchitectureName(session.architecture());
  std::string text = first + "\n";
  if (std::string product = ProductLine(shared); !product.empty()) text += product + "\n";
  if (!lab.empty()) text += "Edition build lab: " + lab + "\n";
  if (session.pointer_size() == 8) {
    text += "Kernel base = " + Name64(description->kernel_base) +
            " PsLoadedModuleList = " + Name64(description->loaded_module_list) + "\n";
  } else {
    text += "Kernel base = 0x" + session.Address(description->kernel_base) + " PsLoadedModuleList = 0x" +
            session.Address(description->loaded_module_list) + "\n";
  }
  text += TimeLines(shared);
  report.Row("target",
             {{"build", static_cast<std::int64_t>(description->minor_version)},
              {"machine", Hex{description->machine}},
              {"processors", static_cast<std::int64_t>(description->processors)},
              {"kernel_base", Hex{description->kernel_base}},
              {"loaded_module_list", Hex{description->loaded_module_list}},
              {"build_lab", lab}},
             "");
  report.Text(text);
}

}  // namespace longwire
