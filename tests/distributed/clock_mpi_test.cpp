#include "clock_checks.h"
#include "support/mpi_world.h"

namespace convoy {
namespace {

TEST(ClockMpi, FindsTheOffsetWithinItsBound) { check_offset(mpi_world().all()); }

}  // namespace
}  // namespace convoy
