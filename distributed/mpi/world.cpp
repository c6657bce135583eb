#include "distributed/world.h"

#include <fmt/format.h>
#include <mpi.h>

#include <exception>

#include "core/tensor/error.h"
#include "distributed/mpi/bad_news.h"
#include "distributed/mpi/check.h"
#include "distributed/mpi/mpi_communicator.h"

namespace convoy {
namespace {

/// MPI_Init and MPI_Finalize.
class MpiSession {
 public:
  MpiSession(int* argc, char*** argv) {
    int provided = MPI_THREAD_SINGLE;
    CONVOY_MPI(MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided));
    CONVOY_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    CONVOY_MPI(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN));
    if (provided < MPI_THREAD_MULTIPLE) {
      throw LibraryError(
          fmt::format("this MPI grants thread level {}, but convoy needs MPI_THREAD_MULTIPLE ({}): its "
                      "communication thread talks "
                      "while others compute. Use an MPI that was built with threads (Open MPI 4, MPICH 4).",
                      provided, static_cast<int>(MPI_THREAD_MULTIPLE)));
    }
  }
  ~MpiSession() { static_cast<void>(MPI_Finalize()); }
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
};

MPI_Comm duplicate_world() {
  MPI_Comm duplicate = MPI_COMM_NULL;
  CONVOY_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &duplicate));
  return duplicate;
}

}  // namespace

struct World::State {  // members die in reverse: the listener before the communicator before MPI
  State(int* argc, char*** argv) : session(argc, argv), all(duplicate_world()), bad_news(duplicate_world()) {}
  MpiSession session;
  MpiCommunicator all;
  BadNewsChannel bad_news;
  int exceptions_at_start = std::uncaught_exceptions();
};

World::World(int* argc, char*** argv) : state_(std::make_unique<State>(argc, argv)) {}

World::~World() {
  // Alone in MPI_Finalize a rank would be deaf, so all meet first, while the listeners still run.
  if (std::uncaught_exceptions() > state_->exceptions_at_start) fail(1, "an exception left the program");
  try {
    state_->all.at("the end of the run", -1);
    state_->all.barrier();
  } catch (const PeerError& error) {
    fail(1, error.what(), {.rank = error.peer()});
  } catch (const std::exception& error) {
    fail(1, error.what());
  }
}

Communicator& World::all() { return state_->all; }
int World::rank() { return state_->all.rank(); }
int World::size() { return state_->all.size(); }

std::string World::library_version() {
  char words[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  CONVOY_MPI(MPI_Get_library_version(words, &length));
  const std::string version(words, static_cast<std::size_t>(length));
  return version.substr(0, version.find_first_of(",\n"));
}

std::string World::host() const {
  char name[MPI_MAX_PROCESSOR_NAME] = "";
  int length = 0;
  CONVOY_MPI(MPI_Get_processor_name(name, &length));
  return {name, static_cast<std::size_t>(length)};
}

void World::on_bad_news(std::function<void(const BadNews&)> handler) {
  state_->bad_news.on_bad_news(std::move(handler));
}

void World::fail(int status, const std::string& reason, const Blame& blame) {
  state_->bad_news.fail(status, reason, blame);
}

void World::end_alone(int status) { state_->bad_news.end(status); }

void World::explain_bad_news(std::function<void(BadNews&)> explain) {
  state_->bad_news.explain_bad_news(std::move(explain));
}

void World::at_bad_end(std::function<void()> last_act) { state_->bad_news.at_bad_end(std::move(last_act)); }

}  // namespace convoy
