#include "client/engine/report_json.h"

#include <cinttypes>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace longwire {
namespace {

using Json = nlohmann::ordered_json;

Json FieldsToJson(const Fields& fields);

struct ValueToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool value) const { return value; }
  Json operator()(std::int64_t value) const { return value; }
  Json operator()(Hex value) const {
    char text[24];
    std::snprintf(text, sizeof text, "0x%" PRIx64, value.value);
    return text;
  }
  Json operator()(const std::string& value) const { return value; }
  Json operator()(const std::vector<std::string>& values) const { return values; }
  Json operator()(const std::vector<Fields>& values) const {
    Json list = Json::array();
    for (const Fields& fields : values) list.push_back(FieldsToJson(fields));
    return list;
  }
};

Json FieldsToJson(const Fields& fields) {
  Json object = Json::object();
  for (const Field& field : fields) object[field.name] = std::visit(ValueToJson{}, field.value);
  return object;
}

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string Render(const char* key, std::string_view name, const Report& report) {
  Json json;
  json[key] = name;
  Json rows = Json::array();
  for (const Report::RowData& row : report.rows()) {
    Json object;
    object["kind"] = row.kind;
    object.update(FieldsToJson(row.fields));
    rows.push_back(std::move(object));
  }
  json["rows"] = std::move(rows);
  json["text"] = report.text();
  std::string_view error = report.error();
  if (!error.empty() && error.back() == '\n') error.remove_suffix(1);
  json["error"] = error.empty() ? Json(nullptr) : Json(error);
  return Dump(json);
}

}  // namespace

std::string ReportToJson(std::string_view command, const Report& report) {
  return Render("command", command, report);
}

std::string EventReportToJson(std::string_view kind, const Report& report) {
  return Render("event", kind, report);
}

std::string EventToJson(std::string_view kind, std::string_view text) {
  Json json;
  json["event"] = kind;
  json["text"] = text;
  return Dump(json);
}

}  // namespace longwire
