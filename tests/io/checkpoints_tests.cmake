# Tests of checkpoints and the run folder.
convoy_add_test(io_checkpoint_test LABELS unit
  SOURCES checkpoint_test.cpp checkpoint_digest_test.cpp checkpoint_damage_test.cpp checkpoint_folder_test.cpp
    checkpoint_saver_test.cpp checkpoint_repair_test.cpp
    describe_checkpoint_test.cpp run_folder_test.cpp ../support/hdf5_leaks.cpp
  LINK convoy_io fmt::fmt nlohmann_json::nlohmann_json ${HDF5_C_LIBRARIES})
target_include_directories(io_checkpoint_test SYSTEM PRIVATE ${HDF5_C_INCLUDE_DIRS})
convoy_add_test(io_checkpoint_fault_test LABELS fault
  SOURCES checkpoint_fault_test.cpp LINK convoy_io fmt::fmt)
