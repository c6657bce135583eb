#pragma once
// A SLURM of two nodes on this host, for one test: munged, slurmctld and two slurmd, stopped with the object.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "io/temporary_folder.h"
#include "processes.h"
#include "run_command.h"

namespace convoy {

class SlurmCluster {
 public:
  /// Why there can be none here; nothing: there can.
  static std::optional<std::string> obstacle() {
    if (geteuid() != 0) return "SLURM's daemons need root";
    if (run_command(with_sbin("command -v munged slurmctld slurmd mpirun | wc -l")).out != "4\n")
      return "no munged, slurmctld or slurmd: launch/setup --test installs them";
    return {};
  }

  /// Starts it and sets SLURM_CONF for this process and its children.
  SlurmCluster() {
    for (const char* name : {"run", "log", "state", "spool", "tmp/n1", "tmp/n2"})
      std::filesystem::create_directories(path() / name);
    write_bytes(path() / "munge.key", random_bytes(1024));
    std::filesystem::permissions(path() / "munge.key", std::filesystem::perms::owner_read);
    write_bytes(path() / "slurm.conf", configuration());
    setenv("SLURM_CONF", (path() / "slurm.conf").c_str(), 1);
    start("munged --foreground --force --key-file=K/munge.key --socket=K/run/m.sock --pid-file=K/run/m.pid "
          "--log-file=K/log/m.log --seed-file=K/run/m.seed");
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(path() / "run/m.sock"); })) << log("m");
    start("slurmctld -D -c");
    start("slurmd -D -N n1");
    start("slurmd -D -N n2");
    EXPECT_TRUE(eventually([] { return run_command("sinfo -h -t idle -o %D").out == "2\n"; })) << log("ctld") << log("d-n1");
  }
  SlurmCluster(const SlurmCluster&) = delete;
  SlurmCluster& operator=(const SlurmCluster&) = delete;
  /// Ends the jobs, what they may have left, and the daemons; also when a test failed.
  ~SlurmCluster() {
    run_command("scancel --state=RUNNING; scancel --state=PENDING; scancel --state=SUSPENDED");
    eventually([] { return run_command("squeue -h").out.empty(); }, std::chrono::seconds(10));
    for (auto pid = daemons_.rbegin(); pid != daemons_.rend(); ++pid) {
      kill(*pid, SIGTERM);
      if (!eventually([&] { return waitpid(*pid, nullptr, WNOHANG) != 0; }, std::chrono::seconds(5))) {
        kill(*pid, SIGKILL);
        waitpid(*pid, nullptr, 0);
      }
    }
    for (int pid : left_behind()) kill(pid, SIGKILL);
    unsetenv("SLURM_CONF");
  }

  const std::filesystem::path& path() const { return folder_.path(); }
  /// The job's id. `environment`: "NAME=VALUE NAME=VALUE".
  std::string submit(const std::string& environment, const std::string& options, const std::string& arguments) {
    const Outcome outcome = run_command("cd '" + path().string() + "' && " + environment + " sbatch --parsable " + options + " '" +
                                        CONVOY_SOURCE + "/launch/slurm/train.sbatch' " + arguments);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out.substr(0, outcome.out.find('\n'));
  }
  /// "PENDING", "RUNNING", "COMPLETING" (squeue), or the last word on a job that is gone: "COMPLETED", "FAILED", ...
  std::string state(const std::string& job) const { return field(job, "JobState"); }
  std::string field(const std::string& job, const std::string& name) const {
    const std::string all = " " + run_command("scontrol --oneliner show job " + job).out;
    const std::size_t at = all.find(" " + name + "=");
    if (at == all.npos) return "";
    const std::size_t begin = at + name.size() + 2;
    return all.substr(begin, all.find_first_of(" \n", begin) - begin);
  }
  std::string job_log(const std::string& job) const { return bytes_of(path() / ("convoy-" + job + ".log")); }
  /// What to print when a test fails: the job's log, what SLURM says about it, and what its daemons wrote last.
  std::string story(const std::string& job) const {
    const std::string folder = path().string();
    return job_log(job) + run_command("scontrol show job " + job + "; sinfo -N; ps -eo pid,ppid,stat,etime,args | grep '" + folder +
                                      "' | cut -c 1-200; tail -n 25 '" + folder + "'/log/ctld.log; tail -n 25 '" + folder +
                                      "'/log/d-n1.log; tail -n 25 '" + folder + "'/log/d-n2.log")
                              .out;
  }
  /// Whether life number `life` of the job began; a requeued job does not wait for its two minutes.
  bool start_again(const std::string& job, int life) {
    const std::string words = "life " + std::to_string(life) + " (SLURM_RESTART_COUNT)";
    return hastening(job, [&] { return job_log(job).find(words) != std::string::npos; }, std::chrono::seconds(90));
  }
  /// Whether the job ended for good, with as many lives as it takes.
  bool ends(const std::string& job, std::chrono::seconds limit = std::chrono::seconds(120)) {
    return hastening(job, [&] {
      const std::string now = state(job);
      return now == "COMPLETED" || now == "FAILED" || now == "CANCELLED" || now == "TIMEOUT";
    }, limit);
  }
  std::string log(const std::string& name) const { return bytes_of(path() / "log" / (name + ".log")); }

 private:
  /// eventually(), while it lets the job start again after each requeue: 3 s later, not the two minutes of SLURM. Nodes
  /// refuse a job that they ended in this very second, and srun --mpi=pmix fails while the old life's socket is there.
  template <typename Condition>
  bool hastening(const std::string& job, Condition condition, std::chrono::seconds limit) {
    using Clock = std::chrono::steady_clock;
    std::optional<Clock::time_point> held_since;
    return eventually([&] {
      if (condition()) return true;
      if (state(job) != "PENDING") {
        held_since.reset();
      } else if (!held_since) {
        held_since = Clock::now();
      } else if (Clock::now() - *held_since > std::chrono::seconds(3)) {
        run_command("scontrol update jobid=" + job + " StartTime=now");
        held_since.reset();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
      return false;
    }, limit);
  }

  static std::string with_sbin(const std::string& command) { return "PATH=$PATH:/usr/sbin:/sbin; " + command; }

  static std::string random_bytes(std::size_t count) {
    std::ifstream source("/dev/urandom", std::ios::binary);
    std::string bytes(count, '\0');
    source.read(bytes.data(), static_cast<std::streamsize>(count));
    return bytes;
  }

  /// Ports that nobody listens on now.
  static std::vector<int> free_ports(std::size_t count) {
    std::vector<int> sockets, ports;
    while (ports.size() < count) {
      sockets.push_back(socket(AF_INET, SOCK_STREAM, 0));
      sockaddr_in address{};
      address.sin_family = AF_INET;
      socklen_t size = sizeof address;
      if (bind(sockets.back(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
          getsockname(sockets.back(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
        throw std::runtime_error("no free port");
      ports.push_back(ntohs(address.sin_port));
    }
    for (int descriptor : sockets) close(descriptor);
    return ports;
  }

  /// No systemd, no cgroups, no accounting; nodes of four cores each whatever the host has (config_overrides); a TmpFS
  /// of its own for each node, for srun --mpi=pmix makes folders there.
  std::string configuration() const {
    const std::string host = run_command("hostname").out.substr(0, run_command("hostname").out.find('\n'));
    const std::vector<int> ports = free_ports(3);
    const std::string k = path().string();
    std::string text = "ClusterName=convoytest\nSlurmctldHost=" + host + "(127.0.0.1)\nSlurmctldPort=" + std::to_string(ports[0]) +
                       "\nAuthType=auth/munge\nAuthInfo=socket=" + k + "/run/m.sock\nCredType=cred/munge\nSlurmUser=root\n"
                       "SlurmdUser=root\nStateSaveLocation=" + k + "/state\nSlurmdSpoolDir=" + k + "/spool/%n\nSlurmctldPidFile=" + k +
                       "/run/ctld.pid\nSlurmdPidFile=" + k + "/run/d-%n.pid\nSlurmctldLogFile=" + k + "/log/ctld.log\nSlurmdLogFile=" +
                       k + "/log/d-%n.log\nTmpFS=" + k + "/tmp/%n\n";
    text += "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n"
            "AccountingStorageType=accounting_storage/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_Core\n"
            "SchedulerType=sched/builtin\nSchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=100000\n"
            "ReturnToService=2\nSlurmctldTimeout=300\nSlurmdTimeout=300\nInactiveLimit=0\nMpiDefault=none\n"
            "SlurmdParameters=config_overrides\nSwitchType=switch/none\nJobRequeue=1\nKillWait=5\n";
    for (int node = 1; node <= 2; ++node)
      text += "NodeName=n" + std::to_string(node) + " NodeHostname=" + host + " NodeAddr=127.0.0.1 Port=" +
              std::to_string(ports[static_cast<std::size_t>(node)]) + " CPUs=4 State=UNKNOWN\n";
    return text + "PartitionName=p Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP OverSubscribe=YES\n";
  }

  /// A daemon in the foreground, so that its process id is known; it dies with this process. K stands for the folder.
  void start(std::string command) {
    for (std::size_t at = command.find("K/"); at != command.npos; at = command.find("K/", at + path().string().size()))
      command.replace(at, 1, path().string());
    const std::string line = with_sbin("exec " + command + " </dev/null >>'" + (path() / "log/out").string() + "' 2>&1");
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) _exit(1);
      execl("/bin/bash", "bash", "-c", line.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    daemons_.push_back(pid);
  }

  /// Processes whose environment names this cluster's slurm.conf: steps and ranks that outlived their daemons.
  std::vector<int> left_behind() const {
    std::vector<int> pids;
    const std::string mark = "SLURM_CONF=" + (path() / "slurm.conf").string() + '\0';
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos || std::stoi(name) == getpid()) continue;
      if (bytes_of(entry.path() / "environ").find(mark) != std::string::npos) pids.push_back(std::stoi(name));
    }
    return pids;
  }

  TemporaryFolder folder_;
  std::vector<pid_t> daemons_;
};

}  // namespace convoy
