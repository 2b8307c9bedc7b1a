#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proto/address_space.h"
#include "proto/diagnosis.h"
#include "proto/error.h"
#include "proto/plan/plan.h"
#include "proto/rpc/one_of.h"

/// The messages between a smart client and a KD connection server, as values. docs/protocol.md describes the
/// wire; convert.cc translates to and from protobuf, and nothing above it sees a protobuf type.
namespace longwire::rpc {

inline constexpr std::uint32_t kProtocolMinimum = 1;  ///< oldest protocol version this build speaks
inline constexpr std::uint32_t kProtocolMaximum = 1;  ///< newest

enum class Role : std::uint8_t { kDriver = 1, kObserver = 2, kAdmin = 3 };

// Capabilities: what both sides name is in use on the connection.
/// Sessions outlive connections: tokens, numbered events, requests sent again (docs/protocol.md, "Survival").
inline constexpr char kResumeCapability[] = "resume";
/// Taking over, handing over, waiting in line, lists of clients, and the events that tell of them.
inline constexpr char kRolesCapability[] = "roles";
/// Output printed before the client came (OpenLink::scroll_back).
inline constexpr char kScrollBackCapability[] = "scroll-back";
/// Diagnose is answered.
inline constexpr char kDiagnoseCapability[] = "diagnose";
/// Resume::processor is heeded, or refused.
inline constexpr char kStepProcessorCapability[] = "step-processor";
/// Configure::trace_packets is heeded, or refused.
inline constexpr char kPacketTraceCapability[] = "packet-trace";
/// Configure::baud is heeded, or refused.
inline constexpr char kLineSpeedCapability[] = "line-speed";

// ---- handshake
// ------------------------------------------------------------------------------------------------

/// First message of the client. Answered by Welcome or Reject.
struct Hello {
  std::uint32_t protocol_minimum = kProtocolMinimum, protocol_maximum = kProtocolMaximum;
  Role role = Role::kDriver;
  std::vector<std::string> capabilities;
  std::string software;                 ///< "longwire 0.1.0"
  std::string user, host;               ///< who the holder is, for listings and refusals; not trusted
  std::vector<std::byte> resume_token;  ///< of an earlier Welcome, empty for a new session
  std::uint64_t last_event = 0;         ///< with a token: number of the newest event seen
  /// How long a lost session shall be kept, at most as long as the server does; nullopt: so long.
  std::optional<std::uint64_t> keep_ms;
};

struct Welcome {
  std::uint32_t protocol = kProtocolMaximum;  ///< the version both speak from now on
  std::vector<std::string> capabilities;
  std::string software;
  std::vector<std::byte> resume_token;  ///< of this session, with the capability "resume"
  bool resumed = false;                 ///< the session of the Hello's token goes on
  std::uint64_t keep_ms = 0;            ///< how long a lost session is kept
  /// Resumed: number of the first event that follows. More than last_event + 1: those between are gone.
  std::uint64_t next_event = 0;
  bool restarted = false;  ///< resumed by a server that was restarted meanwhile
  std::string notice;      ///< not resumed: what became of the session, for a person
};

struct Reject {
  Errc code = Errc::kInternal;
  std::string text;
  std::uint32_t protocol_minimum = kProtocolMinimum, protocol_maximum = kProtocolMaximum;
};

/// Last message of either side: why the connection ends.
struct Goodbye {
  Errc code = Errc::kClosed;
  std::string text;
};

/// Of who sent nothing else for a while.
struct Keepalive {
  std::uint32_t next_ms = 0;  ///< when the next follows at the latest; 0: said by an older peer
};

/// Takes back request `id`: it is answered with kCancelled as soon as it can be. Overtakes the queue.
struct Cancel {
  std::uint64_t id = 0;
};

// ---- facts about a target
// -------------------------------------------------------------------------------------

enum class TargetState : std::uint8_t { kOffline = 1, kSynchronizing = 2, kRunning = 3, kHalted = 4 };

/// A module the target itself named.
struct NamedModule {
  std::string name;
  std::uint64_t base = 0;
  std::uint32_t size = 0, checksum = 0, timestamp = 0;
};

/// The process that a user minidump is of. Its threads are what a stop calls processors.
struct UserThread {
  std::uint32_t id = 0, suspend_count = 0;
  std::uint64_t teb = 0;
};
struct UserProcess {
  std::uint32_t id = 0;
  std::uint32_t system_major = 0, system_minor = 0;  ///< of the operating system
  std::string service_pack;
  std::vector<UserThread> threads;  ///< at most 4096
};

/// What is known of a target since it answered (kd-protocol.md 3.4, 5.2). Constant until it restarts.
/// Addresses of 32-bit targets have 32 bits everywhere in these messages; servers take them sign-extended,
/// too.
struct TargetDescription {
  std::uint16_t major_version = 0, minor_version = 0;
  std::uint8_t protocol_version = 0, secondary_version = 0;
  std::uint16_t flags = 0;
  std::uint16_t machine = 0;  ///< 0x8664 AMD64, 0x014C x86, 0xAA64 ARM64
  std::uint64_t kernel_base = 0, loaded_module_list = 0, debugger_data_list = 0;
  std::uint64_t debugger_data_address = 0;  ///< of KDDEBUGGER_DATA64, 0 if there is none
  std::vector<std::byte> debugger_data;     ///< the block, Size bytes; empty if there is none
  std::uint32_t processors = 1;
  /// Of a target whose memory does not hold its module list (a triage dump); empty: read the lists.
  std::vector<NamedModule> modules, unloaded_modules;
  std::optional<UserProcess> process;  ///< none: the target is a machine
};

struct ExceptionRecord {
  std::uint32_t code = 0, flags = 0;
  std::uint64_t record = 0, address = 0;
  std::vector<std::uint64_t> parameters;  ///< at most 15
  bool first_chance = true;
};

struct ModuleChange {
  bool unload = false;
  std::string path;  ///< as the target spelled it; empty if it sent none
  std::uint64_t base = 0, process_id = 0;
  std::uint32_t checksum = 0, size = 0;
  bool all = false;  ///< every module and symbol is void: the target is about to restart
};

struct Bugcheck {
  std::uint32_t code = 0;
  std::array<std::uint64_t, 4> parameters{};
};

struct MemoryChunk {
  std::uint64_t address = 0;
  std::vector<std::byte> bytes;
};

/// Why and where the target stopped, with what every client asks next.
struct StopEvent {
  enum class Reason : std::uint8_t { kException = 1, kModule = 2, kCommandString = 3 };
  Reason reason = Reason::kException;
  std::uint64_t stop_counter = 0;  ///< +1 at each stop of this target
  std::uint64_t driver_epoch = 0;
  std::uint32_t processor = 0, processors = 1;
  std::uint64_t thread = 0;  ///< KTHREAD address
  std::uint64_t program_counter = 0;
  ExceptionRecord exception;               ///< kException
  std::optional<ModuleChange> module;      ///< kModule
  std::string command;                     ///< kCommandString: "name: command"
  std::vector<std::uint64_t> breakpoints;  ///< ids of the breakpoints that were hit
  bool break_in = false;                   ///< answer to a break-in request
  bool restarted = false;                  ///< first stop after the target restarted
  std::optional<Bugcheck> bugcheck;
  std::uint64_t dr6 = 0, dr7 = 0;
  std::uint64_t module_counter = 0;  ///< changes when the module list may have changed
  // Expedited: empty when the link is too slow or the read failed.
  std::vector<std::byte> context;   ///< CONTEXT record of `processor`
  std::vector<MemoryChunk> memory;  ///< bytes at the program counter and at the stack pointer
};

// ---- requests (client to server) and what answers them
// ----------------------------------------------------------

/// What a client that wants to drive does when another one drives: be refused (kLinkInUse), wait in line,
/// take over, or join as an observer.
enum class WhenBusy : std::uint8_t { kRefuse = 0, kQueue = 1, kTake = 2, kObserve = 3 };

/// Opens, or joins, a kernel link of the server's machine. Answered by LinkOpened at once (the target may
/// answer later), or with WhenBusy::kQueue when its turn has come; LinkQueued events come meanwhile, and
/// Cancel leaves the line. In a session that was resumed, OpenLink of its own link is answered with the
/// present state.
struct OpenLink {
  std::string link;       ///< text of trans=@{...}; empty: the server's environment decides
  bool break_in = false;  ///< ask the target to stop as soon as it answers
  bool break_on_reboot = false;
  WhenBusy when_busy = WhenBusy::kRefuse;
  std::uint64_t scroll_back = 0;  ///< bytes of past output wanted; they come as events behind the answer
  std::uint64_t since_ms = 0;     ///< of these only what is younger than this; 0: any age
  /// Observe, and only what is open already (else kNotFound): a client whose role is to watch by now,
  /// whatever it said in its Hello.
  bool watch = false;
};
struct LinkOpened {
  std::string link;  ///< canonical, secrets masked
  std::uint64_t driver_epoch = 0;
  TargetState state = TargetState::kOffline;
  std::optional<TargetDescription> description;
  std::optional<StopEvent> stop;  ///< when halted
  std::optional<Role> role;       ///< of this client at the link; nullopt (older servers): as in its Hello
  std::uint64_t client = 0;       ///< its number, as ListClients has it
  std::string driver;             ///< who drives; empty: nobody
};

/// Gives the link back. The server removes every breakpoint first.
struct CloseLink {
  bool resume = false;  ///< true: let the target run (`qd`); false: leave it as it is (`q`)
};

struct ReadRange {
  std::uint64_t address = 0, size = 0;
};
/// Reads ranges of one address space. Answered by MemoryRead; bytes of all ranges follow one another in the
/// bulk part.
struct ReadMemory {
  AddressSpace space;
  std::vector<ReadRange> ranges;
  bool uncached = false;
};
struct MemoryRead {
  std::vector<std::uint64_t>
      sizes;  ///< bytes read of each range; fewer than asked: the byte behind is unreadable
};

/// Bytes to write are the bulk part. Answered by MemoryWritten.
struct WriteMemory {
  AddressSpace space;
  std::uint64_t address = 0;
};
struct MemoryWritten {
  std::uint64_t size = 0;
};

/// Answered by PlanResult; the records' bytes are the bulk part.
struct RunPlan {
  plan::Plan plan;
};
struct PlanResult {
  std::vector<plan::Record> records;
  plan::Ending ending = plan::Ending::kFinished;
};

/// Answered by Bytes: the CONTEXT record of the target's architecture (kd-protocol.md 5.9).
struct GetContext {
  std::uint32_t processor = 0;
};
/// The CONTEXT is the bulk part. Answered by Done.
struct SetContext {
  std::uint32_t processor = 0;
};
/// kd-protocol.md 3.5. Answered by Bytes.
struct ReadControlSpace {
  std::uint32_t processor = 0;
  std::uint64_t selector = 0;
  std::uint32_t size = 0;
};
struct WriteControlSpace {
  std::uint32_t processor = 0;
  std::uint64_t selector = 0;
};
/// Answered by Value.
struct ReadMsr {
  std::uint32_t processor = 0, number = 0;
};
struct WriteMsr {
  std::uint32_t processor = 0, number = 0;
  std::uint64_t value = 0;
};
struct ReadIo {
  std::uint64_t port = 0;
  std::uint32_t size = 1;
};
struct WriteIo {
  std::uint64_t port = 0;
  std::uint32_t size = 1, value = 0;
};

enum class BreakpointKind : std::uint8_t { kCode = 1, kExecute = 2, kWrite = 3, kReadWrite = 4, kIo = 5 };
/// kCode is planted in memory; the others use a debug register. Answered by Value: the id of the breakpoint.
struct SetBreakpoint {
  BreakpointKind kind = BreakpointKind::kCode;
  std::uint64_t address = 0;
  std::uint32_t size = 1;  ///< 1, 2, 4, 8 for debug registers
};
struct ClearBreakpoint {
  std::uint64_t id = 0;
};

/// Ends the stop `stop_counter`. Answered by Done once the target acknowledged; the next stop is an event.
struct Resume {
  std::uint64_t stop_counter = 0, driver_epoch = 0;
  bool step = false;    ///< one instruction of `processor`
  bool handled = true;  ///< false: `gn`, the exception goes on to the target
  std::vector<std::uint64_t>
      temporary_breakpoints;  ///< planted for this run only, removed by the server at the stop
  /// That steps; absent: the one that stopped. kUnsupported where only that one can.
  std::optional<std::uint32_t> processor;
};
/// Asks a running target to stop. Answered by Done at once, overtakes the queue; the stop is an event.
struct BreakIn {};
/// The processor becomes the one that "stopped": a Stopped event follows. Answered by Done.
struct SwitchProcessor {
  std::uint32_t processor = 0;
};
struct AnswerPrompt {
  std::string text;
};
struct AnswerFile {  ///< answer to FileRequested; the bulk part holds the bytes of a read
  std::uint64_t request = 0;
  std::uint32_t status = 0;  ///< NTSTATUS
  std::uint64_t handle = 0, length = 0;
};
struct Reboot {};
struct Crash {};
/// Throws away the state of the line and synchronizes again (Ctrl-R, .restart).
struct Resynchronize {};
struct Configure {
  std::optional<bool> break_on_reboot;
  std::optional<bool> stop_on_module;  ///< `sxe ld`: report module loads and unloads as stops
  std::optional<bool> trace_packets;   ///< Ctrl-D: Output events tell the packets of the line
  /// Ctrl-A: of the link's serial device until the link is closed. kUnsupported where it has none;
  /// kLinkFailed: the device does not run at this speed, and goes on at the one before.
  std::optional<std::uint32_t> baud;
};
struct GetLinkStatus {};
struct LinkStatus {
  std::string link;
  TargetState state = TargetState::kOffline;
  std::string holder;
  std::uint64_t bytes_received = 0, bytes_sent = 0, packets_received = 0, packets_sent = 0;
  std::uint64_t retransmissions = 0, resends = 0, resets = 0, checksum_errors = 0;
  std::uint64_t exchanges = 0;  ///< KD request/reply pairs
  std::uint32_t observers = 0, waiting = 0;
  bool lost = false;          ///< the holder's connection is lost and its session kept
  std::uint64_t kept_ms = 0;  ///< for so long yet
  std::uint32_t baud = 0;     ///< of a serial device; 0: the link has no such speed
};
/// `.endpsrv`. Answered by Done, or kBusy naming the other clients.
struct EndServer {
  bool force = false;
};

/// Makes an observer the driver of the link it has open. Answered by LinkOpened, or kLinkInUse. `force`: also
/// from a driver who is there, and who goes on as an observer.
struct TakeDriver {
  bool force = false;
};
/// The driver makes another client of the link its driver and goes on as an observer. Answered by Done;
/// kNotFound, kUnsupported (that client cannot drive).
struct HandOver {
  std::uint64_t client = 0;
};
/// Who uses the link of this connection; without a link, everybody. Answered by ClientList.
struct ListClients {};
struct Client {
  std::uint64_t id = 0;
  std::string name;  ///< user@host
  Role role = Role::kObserver;
  std::string link;
  bool self = false;          ///< the one who asked
  bool lost = false;          ///< its connection is lost and its session kept
  std::uint64_t kept_ms = 0;  ///< for so long yet
  bool waiting = false;       ///< waits to drive
  std::uint64_t since = 0;    ///< Unix time, seconds
  std::uint64_t queued_bytes = 0;
  std::uint64_t skipped_bytes = 0;  ///< of output that it did not take
};
struct ClientList {
  std::vector<Client> clients;
};
/// Ends the session of another client; only for the user who runs the server. Answered by Done.
struct EvictClient {
  std::uint64_t client = 0;
};
/// Examines a kernel link that nobody uses, step by step: each is told by an event DiagnosedStep. Answered by
/// Done when it is over, within half a minute at the most.
struct Diagnose {
  std::string link;  ///< as in OpenLink
};

using Request =
    OneOf<OpenLink, CloseLink, ReadMemory, WriteMemory, RunPlan, GetContext, SetContext, ReadControlSpace,
          WriteControlSpace, ReadMsr, WriteMsr, ReadIo, WriteIo, SetBreakpoint, ClearBreakpoint, Resume,
          BreakIn, SwitchProcessor, AnswerPrompt, AnswerFile, Reboot, Crash, Resynchronize, Configure,
          GetLinkStatus, EndServer, TakeDriver, HandOver, ListClients, EvictClient, Diagnose>;

struct Done {};
struct Bytes {};  ///< the bulk part is the answer
struct Value {
  std::uint64_t value = 0;
};

using Answer = OneOf<Done, Bytes, Value, LinkOpened, MemoryRead, MemoryWritten, PlanResult, LinkStatus, Error,
                     ClientList>;
struct Response {
  Answer answer;
};

// ---- events (server to client, unasked)
// ------------------------------------------------------------------------

struct Resumed {
  std::uint64_t stop_counter = 0;  ///< of the stop that ended
};
struct Output {
  std::string text;  ///< debug output, raw bytes of the target: escape before showing
  std::uint32_t processor = 0;
  std::uint64_t skipped = 0;  ///< bytes dropped before this text because the client was slow
  bool history = false;       ///< printed before this client came (OpenLink::scroll_back)
};
struct PromptRequested {
  std::string text;
  std::uint32_t maximum_answer = 0;
};
struct ModuleChanged {
  ModuleChange change;
  std::uint64_t module_counter = 0;
};
struct FileRequested {
  enum class Operation : std::uint8_t { kCreate = 1, kRead = 2, kWrite = 3, kClose = 4 };
  std::uint64_t request = 0;
  Operation operation = Operation::kCreate;
  std::string name;
  std::uint64_t handle = 0, offset = 0;
  std::uint32_t length = 0;
};
struct LinkChanged {
  TargetState state = TargetState::kOffline;
  std::optional<TargetDescription> description;  ///< when the target (re)answered
  std::string text;                              ///< what happened, for a person; may be empty
  Errc error = Errc::kInternal;                  ///< meaningful when `failed`
  bool failed = false;                           ///< the link itself failed (device gone, target silent)
  bool closed = false;                           ///< and nobody tries to open it again
};
/// Who drives the link changed; told to everyone who uses it, the former and the new driver included.
struct DriverChanged {
  enum class Why : std::uint8_t {
    kUnspecified = 0,  ///< an older server, or a newer reason
    kOpened = 1,
    kHandedOver = 2,
    kTaken = 3,
    kLost = 4,      ///< the driver's connection is lost; it may come back within `kept_ms`
    kReturned = 5,  ///< and did
    kLeft = 6,
    kEvicted = 7
  };
  std::string driver;  ///< empty: nobody
  std::uint64_t driver_epoch = 0;
  Why why = Why::kUnspecified;
  bool self = false;         ///< the receiver of this event drives now
  std::uint64_t client = 0;  ///< number of the driver; 0: nobody drives
  std::uint64_t kept_ms = 0;
};
struct ClientChanged {
  std::string client;
  bool joined = true;
  std::uint64_t id = 0;
  std::optional<Role> role;
};
/// To a client whose OpenLink waits for the link; again whenever its place changes.
struct LinkQueued {
  std::uint32_t position = 0;  ///< 1: next
  std::string holder;
  std::string link;
};

using Event = OneOf<StopEvent, Resumed, Output, PromptRequested, ModuleChanged, FileRequested, LinkChanged,
                    DriverChanged, ClientChanged, LinkQueued, DiagnosedStep>;

// ---- envelope
// ----------------------------------------------------------------------------------------------------

using Message = OneOf<Hello, Welcome, Reject, Goodbye, Keepalive, Cancel, Request, Response, Event>;

/// The outer message. A request has an id unlike those of the session's other requests; its response echoes
/// it. With the capability "resume" an event has its number in the session as id.
struct Envelope {
  std::uint64_t id = 0;  ///< 0 for everything else
  Message message;
  std::vector<std::byte> bulk;  ///< rides behind the protobuf part
  bool resent = false;          ///< a request that was sent before, on a connection that was lost
};

}  // namespace longwire::rpc
