set(backend_sources backend.cpp host_device.cpp module.cpp elf_file.cpp cuda_driver.cpp cuda_module.cpp timing.cpp)
