# Sourced by convoy, mpirun and orted of a bundle (launch/bundle), by any sh: tells Open MPI and PMIx where they are now.
# Libraries are found by the files' own run paths, so nothing that ranks or ssh load changes; only NVIDIA's libraries, which
# belong to the machine, may need LD_LIBRARY_PATH.
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd -P)

export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"   # Open MPI fails where there is none to look for ssh in
export OPAL_PREFIX="$root" OPAL_EXEC_PREFIX="$root" OPAL_BINDIR="$root/bin" OPAL_LIBDIR="$root/lib"
export OPAL_PKGLIBDIR="$root/lib/openmpi" OPAL_DATADIR="$root/share" OPAL_PKGDATADIR="$root/share/openmpi"
export OPAL_SYSCONFDIR="$root/etc"
export PMIX_PREFIX="$root" PMIX_LIBDIR="$root/lib" PMIX_PKGLIBDIR="$root/lib/pmix" PMIX_SYSCONFDIR="$root/etc"
# Where there is nothing to start daemons with, ranks run on this host; Open MPI 4.1 would give up.
if [ -z "${OMPI_MCA_plm-}${OMPI_MCA_plm_rsh_agent-}${SLURM_JOB_ID-}" ] && ! command -v ssh >/dev/null && ! command -v rsh >/dev/null; then
  export OMPI_MCA_plm=isolated
fi
export HWLOC_PLUGINS_PATH="$root/lib/hwloc"   # there are none: those of the machine belong to another hwloc

# add_nvidia: where the loader does not know cuDNN, the folders of NVIDIA's wheels beside the first python3 in PATH, which
# is what a machine with PyTorch has. CONVOY_NVIDIA_LIBRARIES=DIR:DIR says otherwise.
add_nvidia() {
  if [ -n "${CONVOY_NVIDIA_LIBRARIES-}" ]; then
    export LD_LIBRARY_PATH="$CONVOY_NVIDIA_LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
    return 0
  fi
  if [ ! -e "$root/libexec/libconvoy_cuda.so" ]; then return 0; fi
  if /sbin/ldconfig -p 2>/dev/null | grep -q 'libcudnn\.so\.9'; then return 0; fi
  python=$(command -v python3) || return 0
  for folder in "$(dirname "$(dirname "$python")")"/lib/python3*/*-packages/nvidia/*/lib \
                "$(dirname "$(dirname "$(readlink -f "$python")")")"/lib/python3*/*-packages/nvidia/*/lib; do
    if [ -d "$folder" ]; then LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder; fi
  done
  if [ -n "${LD_LIBRARY_PATH-}" ]; then export LD_LIBRARY_PATH; fi
}
