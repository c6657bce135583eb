# Tests of checkpoints and the run folder.
convoy_add_test(io_checkpoint_test LABELS unit
  SOURCES checkpoint_test.cpp checkpoint_digest_test.cpp checkpoint_damage_test.cpp checkpoint_folder_test.cpp
    checkpoint_saver_test.cpp checkpoint_repair_test.cpp checkpoint_diff_test.cpp
    describe_checkpoint_test.cpp ensemble_file_test.cpp push_log_test.cpp run_folder_test.cpp safetensors_test.cpp ../support/hdf5_leaks.cpp
  LINK convoy_io fmt::fmt nlohmann_json::nlohmann_json ${HDF5_C_LIBRARIES})
target_compile_definitions(io_checkpoint_test PRIVATE CONVOY_PEER_PYTHON="${CONVOY_PEER_PYTHON}")
target_include_directories(io_checkpoint_test SYSTEM PRIVATE ${HDF5_C_INCLUDE_DIRS})
convoy_add_test(io_checkpoint_fault_test LABELS fault
  SOURCES checkpoint_fault_test.cpp LINK convoy_io fmt::fmt)
# The flight recorder; a driver plays ranks that are killed.
add_executable(ring_driver ../support/ring_driver.cpp)
target_link_libraries(ring_driver PRIVATE convoy_io convoy_flags)
convoy_add_test(io_ring_test LABELS unit
  SOURCES ring_file_test.cpp run_lives_test.cpp LINK convoy_io)
target_compile_definitions(io_ring_test PRIVATE CONVOY_RING_DRIVER="$<TARGET_FILE:ring_driver>")
add_dependencies(io_ring_test ring_driver)
convoy_add_test(io_flip_test LABELS fault
  SOURCES flip_test.cpp LINK convoy_io fmt::fmt)
