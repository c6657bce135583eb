set(optim_sources schedule.cpp update_program.cpp)
