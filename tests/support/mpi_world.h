#pragma once
// The world of a test that runs under mpirun; support/mpi_main.cpp makes it.
#include "distributed/world.h"

namespace convoy {

World& mpi_world();

}  // namespace convoy
