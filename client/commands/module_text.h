#pragma once

#include <string>

#include "client/engine/report.h"
#include "client/engine/session.h"
#include "client/symbols/module.h"

namespace longwire {

/// What `lm` shows (engine.md 3.3).
struct ModuleListStyle {
  bool path = false;        ///< f: image path instead of symbols
  bool image_name = false;  ///< n
  bool time_stamp = false;  ///< t
  bool verbose = false;     ///< v
  bool names_only = false;  ///< 1m
};

/// "start             end                 module name"
std::string ModuleListHeader(unsigned pointer_size);
/// One row of kind "module", with the lines of the style.
void ReportModule(Session& session, Module& module, const ModuleListStyle& style, Report& report);
void ReportUnloadedModule(const Session& session, const ModuleRecord& module, Report& report);

}  // namespace longwire
