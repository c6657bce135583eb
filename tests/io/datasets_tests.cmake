# Tests of the data sets on disk.
convoy_add_test(io_datasets_test LABELS unit
  SOURCES crc32c_test.cpp hdf5_test.cpp shard_test.cpp loader_test.cpp import_test.cpp foreign_test.cpp hostile_data_test.cpp odd_inputs_test.cpp image_import_test.cpp encoded_data_test.cpp augmentation_test.cpp picture_crops_test.cpp bench_loader_test.cpp
    ../support/hdf5_leaks.cpp
  LINK convoy_io ZLIB::ZLIB fmt::fmt ${HDF5_C_LIBRARIES})
target_include_directories(io_datasets_test SYSTEM PRIVATE ${HDF5_C_INCLUDE_DIRS})
target_compile_definitions(io_datasets_test PRIVATE CONVOY_SHARED_DATA="${CONVOY_SHARED_DATA}")
