#include "client/commands/module_text.h"

#include <cstdio>
#include <ctime>

#include "client/engine/event_text.h"
#include "client/symbols/pe_version.h"

namespace longwire {
namespace {

constexpr std::size_t kNameWidth = 10, kStateWidth = 23;

std::string Padded(std::string text, std::size_t width) {
  if (text.size() < width) text.resize(width, ' ');
  return text;
}

/// "Tue Dec  8 03:10:11 2020"
std::string TimeText(std::uint32_t stamp) {
  std::time_t time = stamp;
  std::tm parts{};
  char text[64];
  if (!gmtime_r(&time, &parts) || std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts) == 0)
    return "";
  return text;
}

std::string Digits(std::uint32_t value) {
  char text[16];
  std::snprintf(text, sizeof text, "%08X", value);
  return text;
}

std::string StampText(std::uint32_t stamp) {
  if (stamp == 0) return "Unavailable (00000000)";
  return TimeText(stamp) + " (" + Digits(stamp) + ")";
}

std::string FileName(const Module& module) {
  return module.image_name().empty() ? module.image_path() : module.image_name();
}

void AppendVersion(std::string& block, const PeVersion& version) {
  char text[160];
  auto line = [&](const char* label, const std::string& value) {
    block += "\n    " + Padded(label, 18) + value;
  };
  line("File version:", FormatVersion(version.file_version));
  line("Product version:", FormatVersion(version.product_version));
  std::snprintf(text, sizeof text, "%X (Mask %X)", version.flags, version.flags_mask);
  line("File flags:", text);
  std::snprintf(text, sizeof text, "%X%s", version.os, version.os == 0x40004 ? " NT Win32" : "");
  line("File OS:", text);
  const char* kind = version.type == 1   ? " App"
                     : version.type == 2 ? " Dll"
                     : version.type == 3 ? " Driver"
                                         : "";
  std::snprintf(text, sizeof text, "%X.%X%s", version.type, version.subtype, kind);
  line("File type:", text);
  std::snprintf(text, sizeof text, "%08X.%08X", static_cast<unsigned>(version.date >> 32),
                static_cast<unsigned>(version.date));
  line("File date:", text);
  if (!version.translations.empty()) {
    std::snprintf(text, sizeof text, "%04x.%04x", version.translations[0].first,
                  version.translations[0].second);
    line("Translations:", text);
  }
  if (version.strings.empty()) return;
  block += "\n    Information from resource tables:";
  for (const auto& [name, value] : version.strings) {
    block += "\n        " + Padded(name + ":", 18) + EscapeTargetText(value);
  }
}

std::string VerboseBlock(Session& session, Module& module) {
  SymbolLoader& loader = session.symbols().loader();
  Result<const PeHeaders*> headers = loader.Headers(module);
  RvaReader read = [&](std::uint32_t rva, std::span<std::byte> out) {
    return loader.ReadImage(module, rva, out);
  };
  std::uint32_t stamp = headers ? (*headers)->timestamp : module.timestamp();
  std::string block = "    Loaded symbol image file: " + EscapeTargetText(FileName(module));
  if (module.image()) block += "\n    Mapped memory image file: " + module.image()->path();
  block += "\n    Image path: " + EscapeTargetText(module.image_path());
  block += "\n    Image name: " + EscapeTargetText(FileName(module));
  bool hash = headers && IsReproducibleBuild(**headers, read);
  block += "\n    Timestamp:        ";
  block +=
      hash ? Digits(stamp) + " (This is a reproducible build file hash, not a timestamp)" : StampText(stamp);
  block += "\n    CheckSum:         " + Digits(headers ? (*headers)->checksum : module.checksum());
  block += "\n    ImageSize:        " + Digits(headers ? (*headers)->size_of_image : module.record().size);
  if (headers) {
    if (Result<PeVersion> version = ReadPeVersion(**headers, read)) AppendVersion(block, *version);
  } else {
    block += "\n    Unable to read image header for " + EscapeTargetText(FileName(module)) + " at " +
             session.Address(module.base());
  }
  return block;
}

std::string SymbolColumn(const Module& module) {
  std::string flags;
  if (module.mismatched()) flags = "# ";
  return flags + "(" + std::string(SymbolStateName(module.state())) + ")";
}

}  // namespace

std::string ModuleListHeader(unsigned pointer_size) {
  return pointer_size == 8 ? "start             end                 module name"
                           : "start    end        module name";
}

void ReportModule(Session& session, Module& module, const ModuleListStyle& style, Report& report) {
  std::string range = session.Address(module.base()) + " " + session.Address(module.end()) + "   ";
  std::string line;
  if (style.names_only) {
    line = module.name();
  } else if (style.time_stamp) {
    line = range + Padded(module.name(), kNameWidth - 2) + " " + EscapeTargetText(FileName(module)) + " " +
           StampText(module.timestamp());
  } else if (style.path) {
    line = range + Padded(module.name(), kNameWidth - 2) + " " + EscapeTargetText(module.image_path());
  } else if (style.image_name) {
    line = range + Padded(module.name(), kNameWidth - 2) + " " + EscapeTargetText(FileName(module));
  } else {
    line = range + Padded(module.name(), kNameWidth) + " " + Padded(SymbolColumn(module), kStateWidth) +
           module.symbol_path();
  }
  if (style.verbose && !style.names_only) line += "\n" + VerboseBlock(session, module);
  report.Row("module",
             {{"name", module.name()},
              {"base", Hex{module.base()}},
              {"end", Hex{module.end()}},
              {"image_name", module.image_name()},
              {"image_path", module.image_path()},
              {"timestamp", Hex{module.timestamp()}},
              {"checksum", Hex{module.checksum()}},
              {"symbols", std::string(SymbolStateName(module.state()))},
              {"symbol_file", module.symbol_path()}},
             line);
}

void ReportUnloadedModule(const Session& session, const ModuleRecord& module, Report& report) {
  report.Row("unloaded_module",
             {{"image_name", module.image_name},
              {"base", Hex{module.base}},
              {"end", Hex{module.base + module.size}}},
             session.Address(module.base) + " " + session.Address(module.base + module.size) + "   " +
                 EscapeTargetText(module.image_name));
}

}  // namespace longwire
