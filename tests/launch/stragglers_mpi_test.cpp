#include "stragglers_checks.h"

#include "support/mpi_world.h"

namespace convoy {
namespace {

TEST(StragglersMpi, NamesALateRankByAlignedClocks) { check_stragglers(mpi_world().all()); }

}  // namespace
}  // namespace convoy
