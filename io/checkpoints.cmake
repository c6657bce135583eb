# Checkpoints and the run folder.
set(checkpoints_sources
  atomic_file.cpp
  checkpoint_digest.cpp
  checkpoint_folder.cpp
  checkpoint_hdf5.cpp
  checkpoint_read.cpp
  checkpoint_saver.cpp
  checkpoint_snapshot.cpp
  checkpoint_write.cpp
  describe_checkpoint.cpp
  hdf5_descriptor.cpp
  bench_checkpoint.cpp
  run_folder.cpp
  run_lock.cpp
  run_record.cpp
  write_fault.cpp)
