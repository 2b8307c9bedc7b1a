#include "client/symbols/symbol_path.h"

#include <cstdlib>

#include "client/symbols/folded_name.h"

namespace longwire {
namespace {

constexpr std::string_view kDefaultServer = "https://msdl.microsoft.com/download/symbols";
constexpr std::size_t kMaximumPath = 32 << 10;

using Element = SymbolPath::Element;

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool TakePrefix(std::string_view& text, std::string_view lower_case_prefix) {
  if (text.size() < lower_case_prefix.size()) return false;
  if (!EqualFolded(text.substr(0, lower_case_prefix.size()), lower_case_prefix)) return false;
  text.remove_prefix(lower_case_prefix.size());
  return true;
}

bool IsHttp(std::string_view store) { return TakePrefix(store, "http://") || TakePrefix(store, "https://"); }

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.emplace_back(Trimmed(text.substr(0, end)));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

Result<Element> ParseChain(std::string_view chain, std::string_view whole) {
  Element element{Element::Kind::kStoreChain, {}};
  if (Trimmed(chain).empty()) {
    element.stores = {"", std::string(kDefaultServer)};
    return element;
  }
  element.stores = Split(chain, '*');
  for (std::size_t i = 0; i < element.stores.size(); ++i) {
    // "srv*CACHE*https://server*" is written often: the trailing part adds nothing to a server.
    if (IsHttp(element.stores[i]) && i + 2 == element.stores.size() && element.stores.back().empty())
      element.stores.pop_back();
    if (IsHttp(element.stores[i]) && i + 1 != element.stores.size())
      return Error{Errc::kUsage,
                   "in '" + std::string(whole) + "' the web store must be the last of its chain"};
  }
  if (element.stores.size() == 1 && IsHttp(element.stores[0]))
    element.stores.insert(element.stores.begin(), "");
  return element;
}

Result<Element> ParseElement(std::string_view text) {
  const std::string_view whole = text;
  if (TakePrefix(text, "cache*")) return Element{Element::Kind::kCache, {std::string(Trimmed(text))}};
  if (TakePrefix(text, "srv*")) return ParseChain(text, whole);
  if (TakePrefix(text, "debuginfod*")) return Element{Element::Kind::kStoreChain, Split(text, '*')};
  if (TakePrefix(text, "symsrv*")) {
    const std::size_t star = text.find('*');  // the server module's name means nothing here
    if (star == std::string_view::npos)
      return Error{Errc::kUsage,
                   "'" + std::string(whole) + "' lacks the stores: write symsrv*symsrv.dll*STORE"};
    return ParseChain(text.substr(star + 1), whole);
  }
  if (IsHttp(text)) return Error{Errc::kUsage, "a web store needs srv* before it: srv*" + std::string(whole)};
  if (text.find('*') != std::string_view::npos)
    return Error{Errc::kUsage,
                 "'" + std::string(whole) + "' is neither a directory nor srv*, cache* or DebugInfoD*"};
  return Element{Element::Kind::kDirectory, {std::string(text)}};
}

}  // namespace

Result<SymbolPath> SymbolPath::Parse(std::string_view text) {
  if (text.size() > kMaximumPath) return Error{Errc::kLimitExceeded, "the path is longer than 32 KiB"};
  SymbolPath path;
  path.text_ = Trimmed(text);
  for (const std::string& part : Split(text, ';')) {
    if (part.empty()) continue;
    auto element = ParseElement(part);
    if (!element) return element.error();
    path.elements_.push_back(*std::move(element));
  }
  return path;
}

std::string SymbolPath::Expanded() const {
  std::string text;
  for (const Element& element : elements_) {
    if (!text.empty()) text += ';';
    const auto store = [](const std::string& s) { return s.empty() ? DefaultStore() : s; };
    switch (element.kind) {
      case Element::Kind::kDirectory: text += element.stores[0]; break;
      case Element::Kind::kCache: text += "cache*" + store(element.stores[0]); break;
      case Element::Kind::kStoreChain:
        if (element.stores.size() == 2 && element.stores[0].empty() && IsHttp(element.stores[1])) {
          text += "cache*" + DefaultStore() + ";SRV*" + element.stores[1];
          break;
        }
        text += "srv";
        for (const std::string& s : element.stores) text += "*" + store(s);
        break;
    }
  }
  return text;
}

std::string DefaultStore() {
  const auto variable = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const auto home = variable("DBGHELP_HOMEDIR"); !home.empty()) return home + "/sym";
  if (const auto cache = variable("XDG_CACHE_HOME"); !cache.empty()) return cache + "/longwire/sym";
  return variable("HOME") + "/.cache/longwire/sym";
}

}  // namespace longwire
