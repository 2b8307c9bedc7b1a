#include "tests/unit/client_commands_data/debugged_sample.h"

#include "client/symbols/pe_image.h"

namespace longwire {
namespace {

constexpr std::uint64_t kModuleList = 0xfffff80000010000;
constexpr std::uint64_t kEntryBytes = 0x1000;

}  // namespace

DebuggedSample::DebuggedSample() {
  LoadImage(std::string(LW_INSPECTED_DIR) + "/inspected.sys", kInspected, kModuleList + kEntryBytes);
  LoadImage(std::string(LW_SAMPLE_DIR) + "/sample.sys", kSample, kModuleList + 2 * kEntryBytes);
  target.Put(kModuleList, kModuleList + kEntryBytes, 8);
  target.Put(kModuleList + kEntryBytes, kModuleList + 2 * kEntryBytes, 8);
  target.Put(kModuleList + 2 * kEntryBytes, kModuleList, 8);
  rpc::TargetDescription description = *target.description();
  description.loaded_module_list = kModuleList;
  target.SetDescription(description);
  PutStack();
  PutObject();
  // The page behind this one is not there.
  PutText(0xffffe00e0e4bcfe0, "Hello World");
  PutText(kData, "Hello World");

  registers = RegisterSet(Architecture::kAmd64, std::vector<std::byte>(0x4d0));
  registers.Set("rip", kSample + 0x106d);
  registers.Set("rsp", kStack);
  registers.Set("rax", 0x11);
  registers.Set("rbx", 1);
  registers.Set("efl", 0x50246);
  registers.Set("cs", 0x10);
  registers.Set("ss", 0x18);
  registers.Set("ds", 0x2b);
  rpc::StopEvent stop;
  stop.stop_counter = 1;
  stop.program_counter = registers.program_counter();
  stop.module_counter = 1;
  stop.context.assign(registers.context().begin(), registers.context().end());
  target.Halt(stop);

  SessionOptions options;
  options.symbol_path = std::string(LW_INSPECTED_DIR) + ";" + LW_SAMPLE_DIR;
  session =
      std::make_unique<Session>(target, interrupt, options, [this](std::string_view text) { notes += text; });
  AddMemoryCommands(table);
  AddExpressionCommands(table);
  AddRegisterCommands(table);
  AddDisassemblyCommands(table);
  AddStackCommands(table);
  AddTypeCommands(table);
  AddNameCommands(table);
}

void DebuggedSample::SetContext(const RegisterSet& changed) {
  rpc::StopEvent stop = *target.stop();
  ++stop.stop_counter;
  stop.program_counter = changed.program_counter();
  stop.context.assign(changed.context().begin(), changed.context().end());
  target.Halt(stop);
  session->OnEvent(stop);
}

void DebuggedSample::LoadImage(const std::string& path, std::uint64_t base, std::uint64_t entry) {
  Result<std::unique_ptr<PeFile>> file = PeFile::Open(path);
  ASSERT_TRUE(file) << file.error().message;
  const PeHeaders& headers = (*file)->headers();
  for (std::uint32_t rva = 0; rva < headers.size_of_image; rva += 0x200) {
    std::vector<std::byte> bytes(0x200);
    (*file)->Read(rva, bytes);
    target.Map(base + rva, bytes);
  }
  const std::string name = path.substr(path.rfind('/') + 1);
  target.Put(entry + 0x30, base, 8);
  target.Put(entry + 0x40, headers.size_of_image, 4);
  target.Put(entry + 0x9c, headers.timestamp, 4);
  target.PutUnicode(entry + 0x48, entry + 0x200, "\\SystemRoot\\System32\\drivers\\" + name);
  target.PutUnicode(entry + 0x58, entry + 0x400, name);
}

// SampleHandler stopped behind its prologue, called by SampleStart, called by SampleEntry.
void DebuggedSample::PutStack() {
  target.Put(kStack, 7, 8);                        // inner_sum
  target.Put(kStack + 0x0c, 5, 4);                 // local_total
  target.Put(kStack + 0x10, kSample + 0x3040, 8);  // device
  target.Put(kStack + 0x1c, 5, 4);                 // code
  target.Put(kStack + 0x20, kSample + 0x103d, 8);
  target.Put(kStack + 0x28, 0x7e, 8);  // home area of SampleHandler
  target.Put(kStack + 0x60, kSample + 0x10d4, 8);
  target.Put(kStack + 0xa0, 0, 8);
}

void DebuggedSample::PutObject() {
  target.Put(kObject, 3, 2);
  target.Put(kObject + 2, 0x600, 2);
  target.Put(kObject + 8, kObject + 8, 8);
  target.Put(kObject + 0x10, kObject + 8, 8);
  target.Put(kObject + 0x18, 0xffffc08bdce94180, 8);
  target.PutUnicode(kObject + 0x28, kName, "\\Device\\mydrv0");
  target.Put(kObject + 0x38, 0x15, 4);
  target.Put(kObject + 0x3c, 2, 4);
  target.Put(kObject + 0x40, 0x11, 4);
  target.Put(kObject + 0x50, 'a', 1);
  PutText(kObject + 0x51, "System");
  target.Put(kObject + 0x60, kName + 0x100, 8);
  PutText(kName + 0x100, "label");
  target.Put(kObject + 0x70, 0x3ff8000000000000, 8);
}

void DebuggedSample::PutBytes(std::uint64_t address, std::initializer_list<unsigned> bytes) {
  for (const unsigned byte : bytes) target.Put(address++, byte, 1);
}

void DebuggedSample::PutText(std::uint64_t address, const std::string& text) {
  for (const char c : text) target.Put(address++, static_cast<unsigned char>(c), 1);
}

std::string DebuggedSample::Run(const std::string& line) {
  const Report report = Reported(line);
  return report.text() + report.error();
}

Report DebuggedSample::Reported(const std::string& line) {
  Report report{{}};
  std::string pending;
  (void)table.Execute(*session, line, report, pending);
  return report;
}

std::uint64_t DebuggedSample::RoundTrips(const std::string& line) {
  const std::uint64_t before = target.counters().round_trips;
  Run(line);
  return target.counters().round_trips - before;
}

}  // namespace longwire
