set(optim_sources schedule.cpp)
