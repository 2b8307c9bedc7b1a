#include "client/options/kd_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace longwire {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

using Variables = std::map<std::string, std::string>;

Result<KdOptions> Parse(std::vector<std::string> words, Variables variables = {}) {
  return ParseKdOptions(words, [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}
KdOptions Options(std::vector<std::string> words, Variables variables = {}) {
  auto options = Parse(std::move(words), std::move(variables));
  EXPECT_TRUE(options) << options.error().message;
  return options ? *options : KdOptions{};
}
std::string ErrorOf(std::vector<std::string> words, Variables variables = {}) {
  auto options = Parse(std::move(words), std::move(variables));
  if (options) return "no error";
  EXPECT_EQ(options.error().code, Errc::kUsage);
  return options.error().message;
}
std::string RefusalOf(std::vector<std::string> words) {
  auto refused = RefuseUnsupported(Options(std::move(words)));
  if (refused) return "supported";
  EXPECT_EQ(ExitCodeFor(refused.error().code), 2);
  return refused.error().message;
}

// Numbers are those of the worked examples, remote-debugging.md 2.15; those of cdb that rest on the option
// rules the programs share are tried with kd.

TEST(WorkedExamples, E02ServerLinkAndLocalSymbolPath) {
  const auto options = Options(
      {"-k",
       "kdsrv:server=@{tcp:server=10.0.0.5,port=1234,password=secret},trans=@{com:port=com1,baud=57600}",
       "-y", "srv*"});
  EXPECT_EQ(options.kernel.server->server, "10.0.0.5");
  EXPECT_EQ(options.kernel.trans, "com:port=com1,baud=57600");
  EXPECT_EQ(options.symbol_path, "srv*");
}

TEST(WorkedExamples, E05BracesExpanded) {
  const std::string message =
      ErrorOf({"-k", "kdsrv:server=@tcp:server=h,trans=@com:port=com1",
               "kdsrv:server=@tcp:server=h,trans=@baud=57600", "kdsrv:server=@port=1,trans=@com:port=com1",
               "kdsrv:server=@port=1,trans=@baud=57600", "-y", "srv*"});
  EXPECT_EQ(message,
            "the shell removed the braces of the kernel string; quote it: kd -k "
            "'kdsrv:server=@{tcp:server=h,port=1},trans=@{com:port=com1,baud=57600}'");
}

TEST(WorkedExamples, E07E08E32KernelStringErrorsNameTheOption) {
  EXPECT_THAT(ErrorOf({"-k", "kdsrv:server=tcp:server=h,port=1,trans=com:port=com1"}),
              HasSubstr("-k: key 'server'"));
  EXPECT_THAT(ErrorOf({"-k", "kdsrv:server=@{tcp:server=h,port=1,trans=@{com:}"}),
              HasSubstr("is not closed"));
  EXPECT_THAT(ErrorOf({"-k", "com:port=2,baud=115200"}), HasSubstr("bare number"));
}

TEST(WorkedExamples, E10Local) {
  const auto options = Options({"-k", "kdsrv:server=@{<Local>},trans=@{com:port=com2,baud=115200}"});
  EXPECT_FALSE(options.kernel.server);
  EXPECT_EQ(options.kernel.trans, "com:port=com2,baud=115200");
}

TEST(WorkedExamples, E12ServerIsNotFirst) {
  EXPECT_EQ(ErrorOf({"-v", "-server", "tcp:port=1025"}), "-server must be the first option");
  EXPECT_EQ(Options({"-server", "tcp:port=1025", "-v"}).server->port.first, 1025);
}

TEST(WorkedExamples, E13CaseMattersForServer) {
  EXPECT_THAT(ErrorOf({"-SERVER", "tcp:port=1025"}), HasSubstr("case matters here, write -server"));
}

TEST(WorkedExamples, E14E15E42Remote) {
  EXPECT_EQ(Options({"-remote", "tcp:Port=1025,Server=BOX17"}).remote->server, "BOX17");
  EXPECT_EQ(Options({"-remote", "tcp:server=fe80::1%eth0,port=5005"}).remote->server, "fe80::1%eth0");
  EXPECT_EQ(Options({"-remote", "tcp:server=h,port=1"}).session, KdOptions::Session::kRemoteClient);
}

TEST(WorkedExamples, E16ARemoteClientCannotStartASession) {
  EXPECT_THAT(ErrorOf({"-remote", "tcp:server=BOX17,port=1025", "-k", "com:port=com1"}),
              HasSubstr("-k begins a session, which a -remote client cannot do"));
  EXPECT_THAT(ErrorOf({"-remote", "tcp:server=BOX17,port=1025", "-z", "x.dmp"}),
              HasSubstr("-z begins a session"));
}

TEST(WorkedExamples, E39ServerAndClientAtOnce) {
  EXPECT_THAT(ErrorOf({"-server", "tcp:port=1", "-remote", "tcp:server=h,port=2"}),
              HasSubstr("exclude each other"));
}

TEST(WorkedExamples, E40QueryStandsAlone) {
  EXPECT_EQ(ErrorOf({"-QR", "\\\\BOX17", "-v"}), "option -QR stands alone; leave the other options out");
  const auto options = Options({"-QR", "\\\\BOX17"});
  EXPECT_EQ(options.action, KdOptions::Action::kQueryServers);
  EXPECT_EQ(options.action_argument, "\\\\BOX17");
  EXPECT_FALSE(options.stale_servers);
  EXPECT_EQ(ErrorOf({"-k", "com:port=com1", "-QR", "h"}),
            "option -QR stands alone; leave the other options out");
  EXPECT_EQ(ErrorOf({"-QRa", "h", "--json", "-v"}), "option -QRa stands alone; leave the other options out");
  EXPECT_THAT(ErrorOf({"-QR"}), HasSubstr("-QR"));
}

TEST(KdOptions, QueryTakesStaleServersAndJson) {
  const auto options = Options({"-QRa", "h", "--json"});
  EXPECT_EQ(options.action, KdOptions::Action::kQueryServers);
  EXPECT_EQ(options.action_argument, "h");
  EXPECT_TRUE(options.stale_servers && options.json);
  EXPECT_EQ(RefusalOf({"-QR", "h"}), "supported");
}

TEST(KdOptions, NoKernelStringMeansTheEnvironment) {
  for (const auto& words : std::vector<std::vector<std::string>>{{}, {"-k"}, {"-v", "/k"}}) {
    const auto options = Options(words);
    EXPECT_EQ(options.session, KdOptions::Session::kKernel);
    EXPECT_EQ(options.kernel.trans, "");
    EXPECT_FALSE(options.kernel.server);
  }
}

TEST(KdOptions, ABareKernelOptionTakesALaterLink) {
  const auto options = Options({"-k", "-d", "net:port=50000,key=1.2.3.4"});
  EXPECT_EQ(options.kernel.trans, "net:port=50000,key=1.2.3.4");
  EXPECT_EQ(options.reboot_break, KdOptions::RebootBreak::kFirstModule);
  EXPECT_THAT(ErrorOf({"-k", "-d"}), HasSubstr("-k without a link string must be the last option"));
  EXPECT_THAT(ErrorOf({"-k", "-d", "prog"}), HasSubstr("takes no argument 'prog'"));
  EXPECT_THAT(ErrorOf({"-k", "com:", "-k", "com:"}), HasSubstr("given twice"));
}

TEST(KdOptions, StrayWordsWithPasswordsAreNotRepeated) {
  EXPECT_THAT(ErrorOf({"tcp:port=1,password=abc"}), Not(HasSubstr("abc")));
}

TEST(KdOptions, RunTogetherLettersAndBreaks) {
  const auto options = Options({"-rnv", "-bonc", "-b"});
  EXPECT_TRUE(options.show_registers && options.noisy_symbols && options.verbose && options.break_on_connect);
  EXPECT_EQ(options.reboot_break, KdOptions::RebootBreak::kInitialization);
  const auto x = Options({"-x", "-c", "g"});
  EXPECT_EQ(x.reboot_break, KdOptions::RebootBreak::kInitialization);
  EXPECT_THAT(x.commands, ElementsAre("eb nt!NtGlobalFlag 9;g", "g"));
}

TEST(KdOptions, EveryOptionOfTheListParses) {
  const auto options = Options({"-myob",   "-m",        "-kqm",          "-noshell", "-clines",  "77",
                                "-cf",     "start.txt", "-logau",        "a.log",    "-akdexts", "-i",
                                "img",     "-srcpath",  "src",           "-lines",   "-s",       "-snul",
                                "-SUP",    "-sflags",   "0x30237",       "-failinc", "-ee",      "MASM",
                                "-t",      "3",         "--wait",        "9",        "--json",   "--queue",
                                "--since", "10m",       "--resume-wait", "7"});
  EXPECT_TRUE(options.ignore_versions && options.modem && options.quiet && options.no_shell &&
              options.source_lines);
  EXPECT_TRUE(options.no_deferred_symbols && options.strict_symbols && options.json);
  EXPECT_EQ(options.joining, KdOptions::Joining::kQueue);
  EXPECT_EQ(options.since, std::chrono::seconds(600));
  EXPECT_EQ(options.resume_wait, std::chrono::seconds(7));
  EXPECT_EQ(options.history_lines, 77u);
  EXPECT_EQ(options.script, "start.txt");
  EXPECT_TRUE(options.log->append && options.log->unicode);
  EXPECT_EQ(options.log->path, "a.log");
  EXPECT_EQ(options.default_extension, "kdexts");
  EXPECT_EQ(options.image_path, "img");
  EXPECT_EQ(options.source_path, "src");
  EXPECT_THAT(options.symbol_switches, ElementsAre("snul", "sup"));
  EXPECT_EQ(options.symbol_flags, 0x30237u);
  EXPECT_EQ(options.error_level, 3);
  EXPECT_EQ(options.wait_seconds, 9u);
  EXPECT_FALSE(Options({"-logo", "b.log"}).log->append);
  EXPECT_TRUE(RefuseUnsupported(options));
}

TEST(KdOptions, AgesOfPastOutput) {
  using std::chrono::seconds;
  EXPECT_EQ(Options({"--since", "all"}).since, seconds(0));
  EXPECT_EQ(Options({"--since", "90"}).since, seconds(90));
  EXPECT_EQ(Options({"--since", "90s"}).since, seconds(90));
  EXPECT_EQ(Options({"--since", "2h"}).since, seconds(7200));
  EXPECT_EQ(Options({"--since", "1d"}).since, seconds(86400));
  EXPECT_FALSE(Options({}).since);
  EXPECT_EQ(Options({"--observe"}).joining, KdOptions::Joining::kObserve);
  EXPECT_EQ(Options({"--take"}).joining, KdOptions::Joining::kTake);
}

TEST(KdOptions, WhatHasNoEffectIsTold) {
  const auto options = Options({"-s", "-y", "sym", "-SES", "-v"});
  EXPECT_TRUE(RefuseUnsupported(options));
  EXPECT_THAT(options.warnings, ElementsAre("-s has no effect yet", "-ses has no effect yet"));
}

TEST(KdOptions, WrongArgumentsAreNamed) {
  EXPECT_THAT(ErrorOf({"-t", "4"}), HasSubstr("-t takes a number from 0 to 3"));
  EXPECT_THAT(ErrorOf({"-sflags", "0xzz"}), HasSubstr("-sflags"));
  EXPECT_THAT(ErrorOf({"-sflags", "0x123456789"}), HasSubstr("-sflags"));
  EXPECT_THAT(ErrorOf({"-ee", "perl"}), HasSubstr("masm or c++"));
  EXPECT_THAT(ErrorOf({"-wait", "soon"}), HasSubstr("-wait takes a number"));
  EXPECT_THAT(ErrorOf({"--since", "yesterday"}), HasSubstr("--since takes all, or an age"));
  EXPECT_THAT(ErrorOf({"--resume-wait", "-1"}), HasSubstr("-resume-wait takes a number"));
  EXPECT_THAT(ErrorOf({"--take", "--queue"}), HasSubstr("exclude each other"));
  EXPECT_THAT(ErrorOf({"-kx", "com:"}), HasSubstr("-kx takes an exdi: string"));
  EXPECT_THAT(ErrorOf({"-kl", "-k", "com:port=com1"}), HasSubstr("exclude each other"));
  EXPECT_THAT(ErrorOf({"-premote", "x"}), HasSubstr("unknown option -premote"));
  EXPECT_THAT(ErrorOf({"-k", "@/nonexistent/longwire"}), HasSubstr("No such file"));
}

TEST(KdOptions, WhatIsMissingSaysSo) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"-kl"},
                                             {"-z", "a.dmp", "-z", "b.dmp"},
                                             {"-remote", "tcp:server=h,port=1"},
                                             {"-server", "tcp:port=1"},
                                             {"-secure"},
                                             {"-noio"},
                                             {"-cfr", "x"},
                                             {"-iu", "remdbgeng://x"},
                                             {"-wake", "12"},
                                             {"-zp", "x"},
                                             {"-ee", "c++"}}) {
    EXPECT_THAT(RefusalOf(words), HasSubstr("not supported yet")) << words[0];
  }
  EXPECT_EQ(RefusalOf({"-version"}), "supported");
  EXPECT_EQ(RefusalOf({"-?"}), "supported");
}

TEST(KdEnvironment, FillsWhatOptionsLeaveOpen) {
  const Variables variables{{"_NT_SYMBOL_PATH", "srv*https://symbols.example"},
                            {"_NT_ALT_SYMBOL_PATH", "/nonexistent-longwire;/tmp"},
                            {"_NT_EXECUTABLE_IMAGE_PATH", "/nonexistent-longwire"},
                            {"_NT_DEBUG_LOG_FILE_APPEND", "/tmp/a.log"},
                            {"_NT_DEBUG_HISTORY_SIZE", "55"},
                            {"_NT_DEBUG_OPTIONS", "NOVERSIONCHECK,NOEXTWARNING"},
                            {"KDQUIET", ""}};
  const auto options = Options({}, variables);
  EXPECT_EQ(options.symbol_path, "/tmp;srv*https://symbols.example");
  EXPECT_EQ(options.image_path, "");
  EXPECT_TRUE(options.log->append && options.quiet && options.ignore_versions &&
              options.no_extension_warning);
  EXPECT_EQ(options.history_lines, 55u);
  const auto overridden = Options({"-y", "/sym", "-logo", "b.log", "-clines", "1"}, variables);
  EXPECT_EQ(overridden.symbol_path, "/sym");
  EXPECT_EQ(overridden.log->path, "b.log");
  EXPECT_EQ(overridden.history_lines, 1u);
}

TEST(KdEnvironment, WrongValuesAndTheKnownMisprint) {
  EXPECT_THAT(ErrorOf({}, {{"_NT_DEBUG_CACHE_SIZE", "big"}}),
              HasSubstr("_NT_DEBUG_CACHE_SIZE is not a number"));
  EXPECT_THAT(ErrorOf({}, {{"_NT_EXPR_EVAL", "perl"}}), HasSubstr("_NT_EXPR_EVAL"));
  const auto options = Options({}, {{"_NT_LOG_FILE_OPEN", "x.log"}});
  EXPECT_EQ(options.log->path, "x.log");
  EXPECT_THAT(options.warnings, ElementsAre(HasSubstr("misprint")));
}

TEST(KdUsage, QuotesItsExamples) { EXPECT_THAT(std::string(KdUsage()), HasSubstr("'kdsrv:server=@{")); }

}  // namespace
}  // namespace longwire
