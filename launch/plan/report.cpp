#include "launch/plan/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/train/save_times.h"

namespace convoy {
namespace {

std::string mebibytes(std::size_t bytes) { return fmt::format("{:12.2f} MiB", static_cast<double>(bytes) / (1 << 20)); }

std::string size_text(std::size_t bytes) {
  if (bytes >= std::size_t{1} << 20) return fmt::format("{:.4g} MiB", static_cast<double>(bytes) / (1 << 20));
  return fmt::format("{:.4g} KiB", static_cast<double>(bytes) / (1 << 10));
}

std::string hours_text(double hours) {
  if (hours < 1.0 / 60) return readable_seconds(3600 * hours);
  return hours < 0.1 ? fmt::format("{:.1f} min", 60 * hours) : fmt::format("{:.2f} h", hours);
}

std::string first_lines(const Planner& planner, const RankPlan& plan, const Config& config) {
  const RunSpec& spec = planner.spec();
  return fmt::format(
      "{}: batch {} in {} micro-batches of {}; {} samples, {} steps; {} rank{} with {} thread{}, at most {} micro-batches per "
      "rank, gradients in {} bucket{}\n{:.1f} million multiply-adds in a micro-batch, forward and backward{}\n",
      spec.task.model, plan.batch, plan.virtual_workers, plan.micro_batch, spec.samples, plan.steps, plan.ranks,
      plan.ranks == 1 ? "" : "s", plan.threads, plan.threads == 1 ? "" : "s", plan.micro_batches, plan.buckets,
      plan.buckets == 1 ? "" : "s", 1e-6 * plan.multiply_adds,
      spec.task.recompute == Recompute::off ? "" : ", activations made again (" + config.get<std::string>("recompute") + ")");
}

std::string memory_lines(const MemoryOfRank& memory) {
  const std::pair<const char*, std::size_t> rows[] = {{"activations (arena)", memory.arena},
                                                      {"scratch of kernels", memory.scratch},
                                                      {"gradients of leaves", memory.leaves},
                                                      {"reduction tree", memory.reduction},
                                                      {"parameters", memory.parameters},
                                                      {"optimizer slots", memory.slots},
                                                      {"batch-norm state", memory.state},
                                                      {"samples read ahead", memory.samples},
                                                      {"total", memory.total()}};
  std::string text = "\nMemory of one rank\n";
  for (const auto& [name, bytes] : rows) text += fmt::format("  {:<22}{}\n", name, mebibytes(bytes));
  return text;
}

std::string mode_lines(const RankPlan& plan) {
  std::string text = fmt::format(
      "\nTime on {} node{} of {} rank{}: a micro-batch {}, what a step does once {} ({})\n"
      "  {:<18}{:>11}{:>13}{:>12}{:>11}{:>13}{:>13}{:>10}\n",
      plan.nodes, plan.nodes == 1 ? "" : "s", plan.per_node, plan.per_node == 1 ? "" : "s",
      readable_seconds(plan.micro_batch_seconds), readable_seconds(plan.update_seconds),
      plan.measured ? "from a measurement of this network" : "by the roofline alone: at best",
      "mode", "step", "samples/s", "efficiency", "exposed", "MB in node", "MB by NICs", "whole run");
  for (const ModePlan& mode : plan.modes)
    text += fmt::format("  {:<18}{:>11}{:>13.1f}{:>10.1f} %{:>11}{:>13.2f}{:>13.2f}{:>10}\n", mode.mode,
                        readable_seconds(mode.step_seconds), mode.samples_per_second, 100 * mode.efficiency,
                        readable_seconds(mode.exposed_seconds), 1e-6 * mode.intra_bytes, 1e-6 * mode.inter_bytes,
                        hours_text(mode.hours));
  return text;
}

const BucketPlan& best_of(const std::vector<BucketPlan>& sizes) {
  return *std::min_element(sizes.begin(), sizes.end(),
                           [](const BucketPlan& a, const BucketPlan& b) { return a.step_seconds < b.step_seconds; });
}

std::string bucket_line(const RankPlan& plan) {
  if (plan.bucket_sizes.empty()) return "";
  const BucketPlan& best = best_of(plan.bucket_sizes);
  const double now = plan.modes.front().step_seconds;
  if (best.step_seconds > 0.99 * now) return "Buckets: no other size saves a hundredth of a step\n";
  return fmt::format("Buckets: distributed.bucket-bytes = {} ({}) saves {:.1f} % of a step in mode sync\n", best.bytes,
                     size_text(best.bytes), 100 * (1 - best.step_seconds / now));
}

std::string server_line(const RankPlan& plan) {
  if (!plan.servers) return "";
  const auto& [workers, servers, forecast] = *plan.servers;
  return fmt::format("Async: {} worker{}, {} server{}: {:.1f} pushes/s, held up by the {}; a gradient is {:.1f} updates late in the "
                     "mean; servers busy {:.0f} %, network {:.0f} %\n",
                     workers, workers == 1 ? "" : "s", servers, servers == 1 ? "" : "s", forecast.pushes_per_second,
                     forecast.bottleneck, forecast.staleness, 100 * forecast.server_busy, 100 * forecast.nic_busy);
}

std::string save_line(const RankPlan& plan) {
  if (!plan.saves) return "";
  const double step = plan.modes.front().step_seconds;
  return fmt::format("Checkpoints of {}: one every {} ({:.0f} steps; Daly 2006) makes the run {:.2f} % longer, failures included\n",
                     readable_bytes(static_cast<std::int64_t>(plan.checkpoint_bytes)), readable_seconds(plan.saves->interval),
                     std::max(1.0, plan.saves->interval / step), 100 * (plan.saves->factor - 1));
}

std::string one_plan(const Planner& planner, const RankPlan& plan, const Config& config, const Cluster* cluster) {
  std::string text = first_lines(planner, plan, config) + memory_lines(plan.memory);
  if (!cluster) return text;
  const double taken = static_cast<double>(plan.memory.total()) * (cluster->is_host() ? plan.per_node : 1);
  if (cluster->memory_bytes > 0 && taken > cluster->memory_bytes)
    text += fmt::format("  does not fit: {} has {}\n", cluster->is_host() ? "a node" : "a GPU",
                        mebibytes(static_cast<std::size_t>(cluster->memory_bytes)));
  return text + mode_lines(plan) + "\n" + bucket_line(plan) + server_line(plan) + save_line(plan);
}

std::string table(const std::vector<RankPlan>& plans, const Config& config, const Planner& planner) {
  std::string text = fmt::format("{}, {}\n{:>6}{:>7}{:>8}{:>14}", planner.spec().task.model, config.get<std::string>("precision"),
                                 "ranks", "nodes", "batch", "MiB a rank");
  if (plans.back().modes.empty()) text += "\n";
  for (const ModePlan& mode : plans.back().modes)
    text += fmt::format("{:>26}{}", mode.mode, &mode == &plans.back().modes.back() ? "\n" : "");
  for (const RankPlan& plan : plans) {
    text += fmt::format("{:>6}{:>7}{:>8}{:>14.1f}", plan.ranks, plan.nodes, plan.batch,
                        static_cast<double>(plan.memory.total()) / (1 << 20));
    for (const ModePlan& mode : plan.modes)
      text += fmt::format("{:>17} {:>6.1f} %", readable_seconds(mode.step_seconds), 100 * mode.efficiency);
    text += "\n";
  }
  return text;
}

nlohmann::ordered_json memory_json(const MemoryOfRank& memory) {
  return {{"activations", memory.arena}, {"scratch", memory.scratch},         {"leaf_gradients", memory.leaves},
          {"reduction", memory.reduction}, {"parameters", memory.parameters}, {"optimizer", memory.slots},
          {"state", memory.state},         {"samples_read_ahead", memory.samples}, {"booked", memory.booked()},
          {"total", memory.total()}};
}

void add_forecast(nlohmann::ordered_json& json, const RankPlan& plan) {
  json["micro_batch_seconds"] = plan.micro_batch_seconds;
  json["update_seconds"] = plan.update_seconds;
  json["compute_seconds"] = plan.compute_seconds;
  json["measured"] = plan.measured;
  for (const ModePlan& mode : plan.modes)
    json["modes"].push_back({{"mode", mode.mode},
                             {"step_seconds", mode.step_seconds},
                             {"samples_per_second", mode.samples_per_second},
                             {"efficiency", mode.efficiency},
                             {"exposed_seconds", mode.exposed_seconds},
                             {"bytes_in_node_per_rank", mode.intra_bytes},
                             {"bytes_by_nics_per_node", mode.inter_bytes},
                             {"nic_busy", mode.nic_busy},
                             {"hours", mode.hours}});
  for (const BucketPlan& bucket : plan.bucket_sizes)
    json["bucket_sizes"].push_back({{"bytes", bucket.bytes}, {"step_seconds", bucket.step_seconds}});
  if (!plan.bucket_sizes.empty()) json["best_bucket_bytes"] = best_of(plan.bucket_sizes).bytes;
  if (plan.servers)
    json["servers"] = {{"workers", plan.servers->workers},
                       {"servers", plan.servers->servers},
                       {"pushes_per_second", plan.servers->forecast.pushes_per_second},
                       {"staleness", plan.servers->forecast.staleness},
                       {"staleness_shares", plan.servers->forecast.staleness_shares},
                       {"worker_busy", plan.servers->forecast.worker_busy},
                       {"server_busy", plan.servers->forecast.server_busy},
                       {"network_busy", plan.servers->forecast.nic_busy},
                       {"bottleneck", plan.servers->forecast.bottleneck}};
  json["checkpoint_bytes"] = plan.checkpoint_bytes;
  if (plan.saves) json["checkpoint_interval_seconds"] = plan.saves->interval;
  if (plan.saves) json["failure_factor"] = plan.saves->factor;
}

nlohmann::ordered_json rank_json(const Planner& planner, const RankPlan& plan, const Config& config) {
  nlohmann::ordered_json json{{"model", planner.spec().task.model},
                              {"ranks", plan.ranks},
                              {"nodes", plan.nodes},
                              {"threads_per_rank", plan.threads},
                              {"batch", plan.batch},
                              {"virtual_workers", plan.virtual_workers},
                              {"micro_batch", plan.micro_batch},
                              {"samples", planner.spec().samples},
                              {"steps", plan.steps},
                              {"buckets", plan.buckets},
                              {"recompute", config.get<std::string>("recompute")},
                              {"micro_batch_multiply_adds", plan.multiply_adds},
                              {"bytes_per_rank", memory_json(plan.memory)}};
  if (!plan.modes.empty()) add_forecast(json, plan);
  return json;
}

}  // namespace

std::string plan_text(const Planner& planner, const std::vector<RankPlan>& plans, const Config& config, const Cluster* cluster) {
  return plans.size() == 1 ? one_plan(planner, plans.front(), config, cluster) : table(plans, config, planner);
}

nlohmann::ordered_json plan_json(const Planner& planner, const std::vector<RankPlan>& plans, const Config& config) {
  if (plans.size() == 1) return rank_json(planner, plans.front(), config);
  nlohmann::ordered_json json{{"plans", nlohmann::ordered_json::array()}};
  for (const RankPlan& plan : plans) json["plans"].push_back(rank_json(planner, plan, config));
  return json;
}

}  // namespace convoy
