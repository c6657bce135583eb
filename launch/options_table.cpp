// The options of a run, section by section.
#include "launch/options_table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/models/registry.h"

// A row is a table's row: kept as laid out here.
// clang-format off
namespace convoy {
namespace {

using enum OptionType;

constexpr double kMostInt = 2147483647;   // options that the code holds in an int
constexpr double kMostLong = 1e15;        // steps and samples: exact in a double

}  // namespace

std::vector<std::string> takers(const std::string& words) {
  std::vector<std::string> list;
  for (std::size_t begin = 0; begin < words.size();) {
    const std::size_t end = std::min(words.find(", ", begin), words.size());
    list.push_back(words.substr(begin, end - begin));
    begin = end + 2;
  }
  return list;
}

std::vector<OptionSpec> run_options() {
  return {
      {.name = "config", .type = path, .help = "config file: INI, [train] epochs=5 stands for "
       "--train.epochs=5; the command line overrides it", .commands = {"*"}, .lasting = false},
      {.name = "run", .type = text, .help = "name of the run: its folder under --runs",
       .commands = takers(kRun), .same_as = "model.name"},
      {.name = "runs", .type = path, .value = "runs", .help = "folder of all runs", .commands = takers(kRun)},
      {.name = "resume", .type = path, .help = "go on from a checkpoint: 'latest' takes the newest of the run "
       "that verifies, or starts afresh where there is none; a FILE must verify", .commands = takers(kRun),
       .lasting = false},
      {.name = "allow-changed", .type = yes_no, .value = "no", .help = "resume although the run record "
       "differs; bits are then no longer guaranteed", .commands = takers(kRun), .lasting = false},
      {.name = "init-from", .type = path, .help = "begin with the parameters and statistics of a checkpoint, or of a run's "
       "folder (its best checkpoint, else the latest), by their names; what has another shape there, as a classifier of other "
       "classes, keeps its first values", .commands = takers(kRun)},
      {.name = "init-from-layers", .type = text, .value = "*", .help = "the layers that --init-from sets: 'conv1,stage2*'; * "
       "stands for any characters, a name for all layers within it", .commands = takers(kRun)},
      {.name = "freeze", .type = text, .help = "layers that are not trained: 'conv1,stage2*', as for init-from-layers; their "
       "batch normalisation uses its running statistics", .commands = takers(kRun)},
      {.name = "seed", .type = integer, .value = "1", .help = "the seed that the [seed] options follow",
       .commands = takers(kRun), .least = 0},
      {.name = "device", .type = choice, .value = "auto", .help = "where to compute; auto: a GPU for each rank "
       "where there are GPUs, else the cpu", .commands = takers(kCompute), .choices = {"auto", "cpu", "cuda"},
       .refused = {{"gpu", "GPUs are NVIDIA's here: say cuda"}, {"reference", "the "
       "reference engine computes in double precision and serves the tests; runs are fp32"}}},
      {.name = "precision", .type = choice, .value = "fp32", .help = "of the computation; bf16, fp16: data and the "
       "weights that meet them have 16 bits, parameters, sums and losses 32 (fp16 scales the loss); tf32: fp32 whose "
       "convolutions and dense layers round their factors to 10 bits, on GPUs", .commands = takers(kPrecision),
       .choices = {"fp32", "tf32", "bf16", "fp16"}, .refused = {{"fp64", "runs compute in 32 bits or fewer; double "
       "precision serves the tests"}}},
      {.name = "recompute", .type = choice, .value = "off", .help = "activations that backward makes again instead of keeping "
       "them: less memory, more time, the same bits; cheap: results of norms, ReLUs, concatenations and the like; blocks: "
       "whole segments between a few that are kept, convolutions too", .commands = takers(kPrecision),
       .choices = {"off", "cheap", "blocks"}},
      {.name = "device", .type = choice, .value = "cpu", .help = "whose memory the gradients are in; cuda: a GPU for each "
       "rank", .commands = takers("bench reduce"), .choices = {"cpu", "cuda"}},
      {.name = "share-gpu", .type = yes_no, .value = "no", .help = "let several ranks of a host compute on one GPU, in "
       "turns", .commands = takers("train, plan, evaluate, bench reduce")},
      {.name = "mode", .type = choice, .value = "sync", .help = "how ranks work together; sync: data-parallel, "
       "one all-reduce a step; async: workers push gradients to parameter servers, and pull, at their own pace; local: replicas that "
       "train apart for some steps, then become their average; ensemble: several models, each trained by a part of the ranks; model: "
       "pairs of ranks with a tower of the network each (alexnet)", .commands = takers(kRun),
       .choices = {"sync", "async", "local", "ensemble", "model"}},
      {.name = "servers", .type = text, .value = "colocated", .help = "async: how many ranks, the first ones, keep the parameters, a "
       "slice each; colocated: every rank keeps a slice and works too", .commands = takers(kRun)},
      {.name = "fetch-every", .type = integer, .value = "1", .help = "async: micro-batches between two pulls of a worker, which moves "
       "its own copy by plain SGD meanwhile", .commands = takers(kRun), .least = 1, .most = 1e6},
      {.name = "push-every", .type = integer, .value = "1", .help = "async: micro-batches whose gradients a push sums up",
       .commands = takers(kRun), .least = 1, .most = 1e6},
      {.name = "pull", .type = choice, .value = "ahead", .help = "async; ahead: parameters are pulled while the micro-batch before is "
       "computed; fresh: when its push is on the way", .commands = takers(kRun), .choices = {"ahead", "fresh"}},
      {.name = "max-clock-gap", .type = text, .value = "none", .help = "async: micro-batches that the fastest worker may be ahead of "
       "the slowest; 0: all micro-batches of a step are summed and applied at once, with the bits of mode sync",
       .commands = takers(kRun)},
      {.name = "staleness-scaling", .type = choice, .value = "none", .help = "async; inverse: the rate of a push is divided by the "
       "versions between its pull and its application", .commands = takers(kRun), .choices = {"none", "inverse"}},
      {.name = "delay-compensation", .type = real, .value = "0", .help = "async: lambda of DC-ASGD, which corrects a gradient by what "
       "the parameters have moved since its pull (0: none)", .commands = takers(kRun), .least = 0, .most = 1e6},
      {.name = "replay", .type = path, .help = "async: repeat the run whose pushes.jsonl this is, update by update, with the same "
       "options otherwise; one rank gives the bits of many", .commands = takers("train"), .lasting = false},
      {.name = "backup-workers", .type = integer, .value = "0", .help = "sync: micro-batches handed out besides those of a step; the "
       "step ends with the first virtual-workers of them and drops the rest (0: none)", .commands = takers(kRun), .least = 0,
       .most = 65536},
      {.name = "members", .type = integer, .value = "0", .help = "models of an ensemble; trained in turn where ranks are fewer",
       .commands = takers(kRun), .least = 0, .most = 999},
      {.name = "member-mode", .type = choice, .value = "sync", .help = "how the ranks of one member work together",
       .commands = takers(kRun), .choices = {"sync", "async", "local", "model"}},
      {.name = "member-seeds", .type = choice, .value = "order", .help = "what differs between members; order: seed.order, "
       "seed.augment and seed.dropout, so that all begin with the same weights; all: seed.init too. Member K has the config's seeds "
       "plus K - 1", .commands = takers(kRun), .choices = {"order", "all"}},
      {.name = "member-overrides", .type = text, .help = "options of single members, counted from 1: "
       "'7:model.width=1.25; 7:optim.rate=0.02'", .commands = takers(kRun)},
      {.name = "replicas", .type = integer, .value = "0", .help = "local: how many; the same on any number of ranks up to this "
       "one", .commands = takers(kRun), .least = 0, .most = 65536},
      {.name = "average-every", .type = integer, .value = "8", .help = "local: steps between two averages of the replicas; they "
       "are averaged where an epoch ends, too", .commands = takers(kRun), .least = 1, .most = kMostLong},
      {.name = "local-from", .type = real, .value = "0", .help = "local: the epoch before which steps are synchronous (post-local "
       "SGD)", .commands = takers(kRun), .least = 0, .most = 1e6},
      {.name = "virtual-workers", .type = integer, .value = "8", .help = "micro-batches that every batch is "
       "cut into, on any number of ranks up to this one; it divides train.batch", .commands = takers(kRun),
       .least = 1, .most = 65536},
      {.name = "reduction", .type = choice, .value = "deterministic", .help = "of gradients; fast: MPI's own "
       "all-reduce, whose bits depend on the number of ranks", .commands = takers(kRun),
       .choices = {"deterministic", "fast"}},
      {.name = "reduction-dtype", .type = choice, .value = "fp32", .help = "of gradients and of their sums between "
       "micro-batches; bf16: rounded after every addition and half the bytes on the wire, on any number of ranks the same "
       "bits; losses, counts and batch-norm statistics stay fp32", .commands = takers("train, plan, bench reduce"),
       .choices = {"fp32", "bf16"}},
      {.name = "timeout", .type = integer, .value = "600", .help = "seconds that a living rank may keep "
       "others waiting before the run ends (three times that before the first step)", .commands = takers("train, plan, evaluate, bench reduce"), .least = 1, .most = 86400},
      {.name = "inject", .type = text, .help = "break the run on purpose: "
       "'kill:rank=2@step=37; slow:rank=1,compute=50ms'; more above", .commands = takers(kRun), .lasting = false},
      {.name = "on-nan", .type = choice, .value = "stop", .help = "what to do with a step whose loss or gradients "
       "are not finite; skip: leave it out; rewind: go back to the newest checkpoint and leave it out, three times "
       "at most", .commands = takers(kRun), .choices = {"stop", "skip", "rewind"}},
      {.name = "on-audit", .type = choice, .value = "stop", .help = "what to do when the ranks' parameters differ; "
       "repair: copy what the majority has (bits are then no longer guaranteed)", .commands = takers(kRun),
       .choices = {"stop", "repair"}},
  };
}

std::vector<OptionSpec> train_options() {
  return {
      {.name = "train.label-smoothing", .type = real, .value = "0", .help = "share of the target that all classes have alike "
       "(Szegedy et al. 2016: 0.1)", .commands = takers(kRun), .least = 0, .most = 0.999},
      {.name = "train.init", .type = text, .help = "first weights of layers by patterns, the last that matches: "
       "'*:xavier,fc*:gaussian(0.01)'; gaussian, uniform, fan-in-uniform, xavier, xavier-normal, he, he-uniform, he-fan-out, "
       "orthogonal", .commands = takers(kRun)},
      {.name = "train.epochs", .type = integer, .value = "10", .help = "passes over the training split; "
       "schedules end with the last", .commands = takers(kRun), .least = 1, .most = 1e6},
      {.name = "train.steps", .type = integer, .value = "0", .help = "end after this many steps (0: after "
       "train.epochs); schedules still follow train.epochs", .commands = takers(kRun), .least = 0,
       .most = kMostLong},
      {.name = "train.batch", .type = integer, .value = "64", .help = "samples per step, over all ranks",
       .commands = takers(kRun), .least = 1, .most = 1 << 24},
      {.name = "train.log-every", .type = integer, .value = "50", .help = "steps between two progress lines "
       "where stderr is no terminal, and between two lines of metrics.jsonl", .commands = takers(kRun),
       .least = 1, .most = kMostLong},
      {.name = "train.audit-every", .type = integer, .value = "100", .help = "steps between two comparisons of all "
       "parameters across ranks (0: before checkpoints only)", .commands = takers(kRun), .least = 0,
       .most = kMostLong},
  };
}

std::vector<OptionSpec> data_options() {
  return {
      {.name = "data.path", .type = path, .help = "folder of shards; or, with data.images and data.labels, any "
       "HDF5 file or folder of such files", .commands = takers("train, plan, evaluate, data info, data verify, "
       "data stats, bench loader")},
      {.name = "data.images", .type = text, .help = "foreign HDF5: the dataset that holds the images (/x)",
       .commands = takers(std::string(kRead) + ", data info")},
      {.name = "data.labels", .type = text, .help = "foreign HDF5: the dataset that holds the labels (/y)",
       .commands = takers(std::string(kRead) + ", data info")},
      {.name = "data.validation", .type = real, .value = "0", .help = "share of the training split to hold out "
       "where no validation split is stored", .commands = takers(kRead), .least = 0, .most = 0.9},
      {.name = "data.split", .type = choice, .value = "test", .help = "the split to read",
       .commands = takers("evaluate"), .choices = {"train", "validation", "test"}},
      {.name = "data.split", .type = choice, .value = "train", .help = "the split to read",
       .commands = takers("data stats, bench loader"), .choices = {"train", "validation", "test"}},
      {.name = "data.split", .type = choice, .value = "all", .help = "the split to check",
       .commands = takers("data verify"), .choices = {"all", "train", "validation", "test"}},
      {.name = "data.order", .type = text, .value = "full-v1", .help = "order of the training stream: full-v1, "
       "or blocks-v1:K (blocks of K stored neighbours) for storage that hates random reads",
       .commands = takers("train, plan, bench loader")},
      {.name = "data.stage", .type = text, .value = "auto", .help = "copy shards once per node, verified: ram, "
       "a folder on a local disk, none, or auto (ram where they fit a quarter of memory)",
       .commands = takers("train, plan")},
      {.name = "data.threads", .type = integer, .value = "1", .help = "threads that read ahead, per rank",
       .commands = takers("train, plan, evaluate"), .least = 1, .most = 256},
      {.name = "data.size", .type = integers, .help = "extents that pictures are brought to while they are read (224 or "
       "224x224); needed for encoded ones. Empty: images as they are stored", .commands = takers("train, plan, bench loader, checkpoint import"),
       .least = 1, .most = 65500},
      {.name = "data.resize-short", .type = integer, .value = "0", .help = "evaluation brings the shorter side to so many "
       "pixels and takes data.size from the centre (0: as large a part as its form allows)",
       .commands = takers("train, plan, bench loader, checkpoint import"), .least = 0, .most = 65500},
      {.name = "data.resize-short", .type = integer, .value = "0", .help = "the shorter side of pictures, from which data.size is "
       "taken (0: as the training run's evaluations had it)", .commands = takers("evaluate"), .least = 0, .most = 65500},
      {.name = "data.view", .type = choice, .value = "centre", .help = "what training shows of a picture: its centre as in "
       "evaluation; random-resized-crop: a part of random area and aspect; resize-crop: the shorter side is brought to a random "
       "length, then a random part of data.size", .commands = takers("train, plan, bench loader"), .choices = {"centre",
       "random-resized-crop", "resize-crop"}},
      {.name = "data.area", .type = text, .value = "0.08,1", .help = "random-resized-crop: least and greatest share of the "
       "picture's area", .commands = takers("train, plan, bench loader")},
      {.name = "data.aspect", .type = text, .value = "3/4,4/3", .help = "random-resized-crop: least and greatest width / height",
       .commands = takers("train, plan, bench loader")},
      {.name = "data.short-side", .type = integers, .value = "256", .help = "resize-crop: pixels of the shorter side, or the "
       "least and the greatest (256,512)", .commands = takers("train, plan, bench loader"), .least = 1, .most = 65500},
      {.name = "data.brightness", .type = real, .value = "0", .help = "a random factor up to so far from 1, of all channels",
       .commands = takers("train, plan, bench loader"), .least = 0, .most = 10},
      {.name = "data.contrast", .type = real, .value = "0", .help = "likewise, of the distance to the image's mean luminance",
       .commands = takers("train, plan, bench loader"), .least = 0, .most = 10},
      {.name = "data.saturation", .type = real, .value = "0", .help = "likewise, of the distance to the pixel's luminance",
       .commands = takers("train, plan, bench loader"), .least = 0, .most = 10},
      {.name = "data.color-noise", .type = real, .value = "0", .help = "AlexNet's: a random shift along the principal "
       "components of the data set's colours, of so many standard deviations (0.1)",
       .commands = takers("train, plan, bench loader"), .least = 0, .most = 10},
      {.name = "data.cutout", .type = integer, .value = "0", .help = "side of a random square of the mean colour (0: none)",
       .commands = takers("train, plan, bench loader"), .least = 0, .most = 65500},
      {.name = "data.mixup", .type = real, .value = "0", .help = "alpha: samples and their labels are mixed in pairs, with shares "
       "of the distribution Beta(alpha, alpha) (0: none)", .commands = takers("train, plan"), .least = 0, .most = 1},
      {.name = "data.crop", .type = integers, .help = "extent of a random crop per axis (28 or 28x28; empty: "
       "the whole image)", .commands = takers("train, plan, bench loader"), .least = 1, .most = kMostInt},
      {.name = "data.pad", .type = integers, .help = "border of zeros around the image from which crops may "
       "reach, per axis (4 or 4x4)", .commands = takers("train, plan, bench loader"), .least = 0,
       .most = kMostInt},
      {.name = "data.flip", .type = yes_no, .value = "no", .help = "mirror left and right with probability 1/2",
       .commands = takers("train, plan, bench loader")},
      {.name = "data.normalize", .type = yes_no, .value = "yes", .help = "subtract the training split's mean "
       "per channel and divide by its standard deviation", .commands = takers("train, plan, bench loader")},
  };
}

std::vector<OptionSpec> own_model_options() {
  struct Use {
    std::string help;
    std::vector<std::string> models;  // that describe it so
  };
  std::vector<std::pair<std::string, std::vector<Use>>> uses;  // by option
  for (const ModelEntry& model : models()) {
    for (const ModelOption& option : model.options) {
      const std::string name = fmt::format("model.{}", option.name);
      const std::string help = fmt::format("{} ({} unless given)", option.help, option.fallback);
      auto row = std::find_if(uses.begin(), uses.end(), [&](const auto& r) { return r.first == name; });
      if (row == uses.end()) row = uses.insert(uses.end(), {name, {}});
      auto use = std::find_if(row->second.begin(), row->second.end(), [&](const Use& u) { return u.help == help; });
      if (use == row->second.end()) use = row->second.insert(use, Use{help, {}});
      use->models.push_back(model.name);
    }
  }
  std::vector<OptionSpec> rows;
  for (const auto& [name, each] : uses) {
    std::string help;
    for (const Use& use : each)
      help += fmt::format("{}{}: {}", help.empty() ? "" : "; ", fmt::join(use.models, ", "), use.help);
    rows.push_back({.name = name, .type = text, .help = help, .commands = takers(kModel)});
  }
  return rows;
}

std::vector<OptionSpec> model_options() {
  return {
      {.name = "model.name", .type = text, .help = "the network; convoy model list names all",
       .commands = takers("train, plan, model show, checkpoint import")},
      {.name = "model.classes", .type = integer, .value = "0", .help = "outputs (0: as many as the data has "
       "classes)", .commands = takers(kModel), .least = 0, .most = kMostInt},
      {.name = "model.batch-norm", .type = choice, .value = "micro-batch", .help = "what batch normalisation "
       "takes its statistics over while training; global: the whole batch, on cpus; every micro-batch of a rank then has a "
       "thread and memory of its own", .commands = takers("train, plan, bench step"), .choices = {"micro-batch", "global"}},
  };
}

std::vector<OptionSpec> optim_options() {
  return {
      {.name = "optim.name", .type = choice, .value = "sgd", .help = "the optimizer; rmsprop: as TensorFlow has it, epsilon "
       "under the root and the rate inside the momentum; adamw: adam whose decay is apart from the gradient; adagrad: "
       "Downpour's; lars: sgd with a rate for each layer", .commands = takers(kRun), .choices = {"sgd", "rmsprop", "adam", "adamw", "adagrad", "lars"}},
      {.name = "optim.rate", .type = real, .value = "0.01", .help = "learning rate, before the schedule",
       .commands = takers(kRun), .least = 1e-12, .most = 1e6},
      {.name = "optim.momentum", .type = real, .value = "0.9", .help = "momentum of sgd, rmsprop and lars (0: none)",
       .commands = takers(kRun), .least = 0, .most = 1},
      {.name = "optim.nesterov", .type = yes_no, .value = "no", .help = "Nesterov's momentum (sgd)",
       .commands = takers(kRun)},
      {.name = "optim.beta1", .type = real, .value = "0.9", .help = "adam, adamw: decay of the mean of gradients",
       .commands = takers(kRun), .least = 0, .most = 0.999999},
      {.name = "optim.beta2", .type = real, .value = "0.999", .help = "adam, adamw: decay of the mean of their squares",
       .commands = takers(kRun), .least = 0, .most = 0.99999999},
      {.name = "optim.rho", .type = real, .value = "0.9", .help = "rmsprop: decay of the mean of squares",
       .commands = takers(kRun), .least = 0, .most = 0.999999},
      {.name = "optim.epsilon", .type = real, .value = "1e-08", .help = "adam, adamw, adagrad, rmsprop: what keeps the divisor from 0 "
       "(Inception v3: 1)", .commands = takers(kRun), .least = 0, .most = 1e6},
      {.name = "optim.trust", .type = real, .value = "0.001", .help = "lars: the trust coefficient; biases and normalisation "
       "parameters have the plain rate", .commands = takers(kRun), .least = 1e-12, .most = 1e6},
      {.name = "optim.clip-norm", .type = real, .value = "0", .help = "largest norm of all gradients together, which are scaled "
       "down to it (0: any)", .commands = takers(kRun), .least = 0, .most = 1e12},
      {.name = "optim.clip-value", .type = real, .value = "0", .help = "largest magnitude of an element of a gradient (0: any)",
       .commands = takers(kRun), .least = 0, .most = 1e12},
      {.name = "optim.rate-factor", .type = text, .help = "factors on the learning rate of layers: 'conv1:0.1,stage2*:0.5'; * "
       "stands for any characters, a name for all layers within it, and a later entry overrules", .commands = takers(kRun)},
      {.name = "optim.average", .type = choice, .value = "none", .help = "keep averaged weights, for evaluate and predict "
       "--weights=average; polyak: the mean over all updates; ema: exponential", .commands = takers(kRun),
       .choices = {"none", "polyak", "ema"}},
      {.name = "optim.average-decay", .type = real, .value = "0.999", .help = "ema: how much stays at an update; less during "
       "the first, (1 + updates) / (10 + updates)", .commands = takers(kRun), .least = 1e-6, .most = 0.99999999},
      {.name = "optim.average-from", .type = real, .value = "0", .help = "polyak: epochs whose updates do not count",
       .commands = takers(kRun), .least = 0, .most = 1e6},
      {.name = "optim.decay", .type = real, .value = "0", .help = "weight decay, added to the gradient (adamw: "
       "times the rate, taken off the weights)",
       .commands = takers(kRun), .least = 0, .most = 1},
      {.name = "optim.decay-biases", .type = yes_no, .value = "no", .help = "decay biases and normalisation "
       "parameters too", .commands = takers(kRun)},
      {.name = "optim.schedule", .type = choice, .value = "constant", .help = "of the learning rate",
       .commands = takers(kRun), .choices = {"constant", "step", "poly", "cosine", "exponential"}},
      {.name = "optim.gamma", .type = real, .value = "0.1", .help = "schedules step and exponential: the "
       "factor at each step, or per epoch", .commands = takers(kRun), .least = 1e-9, .most = 1},
      {.name = "optim.step-epochs", .type = integer, .value = "0", .help = "schedule step: epochs between "
       "steps (0: at optim.milestones)", .commands = takers(kRun), .least = 0, .most = 1e6},
      {.name = "optim.milestones", .type = integers, .help = "schedule step: the epochs at which the rate "
       "falls", .commands = takers(kRun), .least = 1, .most = 1e6},
      {.name = "optim.power", .type = real, .value = "1", .help = "schedule poly: (1 - epoch / epochs) to this "
       "power", .commands = takers(kRun), .least = 0, .most = 100},
      {.name = "optim.warmup-epochs", .type = real, .value = "0", .help = "epochs over which the rate first "
       "rises linearly", .commands = takers(kRun), .least = 0, .most = 1e6},
      {.name = "optim.warmup", .type = choice, .value = "linear", .help = "how the rate rises; constant: it stays at "
       "optim.warmup-start until the warm-up is over", .commands = takers(kRun), .choices = {"linear", "constant"}},
      {.name = "optim.warmup-start", .type = real, .value = "0", .help = "where warm-up begins, as a share of "
       "the rate", .commands = takers(kRun), .least = 0, .most = 1},
  };
}

std::vector<OptionSpec> seed_options() {
  std::vector<OptionSpec> rows;
  const std::pair<const char*, const char*> purposes[] = {{"init", "initial values of parameters"},
                                                          {"order", "order of the training stream"},
                                                          {"augment", "crops and flips"},
                                                          {"dropout", "dropout"}};
  for (const auto& [purpose, help] : purposes) {
    rows.push_back({.name = fmt::format("seed.{}", purpose), .type = integer,
                    .help = fmt::format("seed of the {}", help), .commands = takers(kRun), .least = 0,
                    .same_as = "seed"});
  }
  return rows;
}

std::vector<OptionSpec> checkpoint_options() {
  return {
      {.name = "checkpoint.every-steps", .type = integer, .value = "0", .help = "steps between checkpoints (0: "
       "by epochs only)", .commands = takers(kRun), .least = 0, .most = kMostLong},
      {.name = "checkpoint.every-epochs", .type = integer, .value = "1", .help = "epochs between checkpoints "
       "(0: by steps only); a run that ends always writes one", .commands = takers(kRun), .least = 0,
       .most = 1e6},
      {.name = "checkpoint.keep", .type = integer, .value = "3", .help = "the newest so many are kept, and the "
       "best", .commands = takers(kRun), .least = 1, .most = 1e6},
  };
}

std::vector<OptionSpec> distributed_options() {
  return {
      {.name = "distributed.bucket-bytes", .type = integer, .value = "4194304", .help = "gradients travel in "
       "buckets of about this size", .commands = takers("train, plan, bench reduce"), .least = 4, .most = 1 <<
       30},
      {.name = "distributed.transport", .type = choice, .value = "auto", .help = "of gradients between GPUs; nccl: from "
       "device to device; host: through the hosts' memory and MPI; auto: nccl where every rank has it and none share a GPU. "
       "The same bits either way", .commands = takers(kRun), .choices = {"auto", "nccl", "host"}},
  };
}

std::vector<OptionSpec> device_options() {
  return {
      {.name = "device.threads", .type = integer, .value = "0", .help = "threads per rank, each with "
       "micro-batches of its own (0: the cores of the node shared among its ranks); changes no bit",
       .commands = takers(kCompute), .least = 0, .most = 4096},
      {.name = "device.threads-per-micro-batch", .type = integer, .value = "1", .help = "threads that share "
       "one micro-batch; part of the run record", .commands = takers("train, plan, bench step"), .least = 1,
       .most = 4096},
      {.name = "device.isa", .type = choice, .value = "default", .help = "pins the instruction set, so that "
       "machines of different kinds give the same bits", .commands = takers(kCompute), .choices = {"default",
       "avx2", "avx512"}},
  };
}

const std::vector<OptionSpec>& option_table() {
  static const std::vector<OptionSpec> table = [] {
    std::vector<OptionSpec> rows;
    for (const auto part : {run_options, tool_options, train_options, data_options, model_options,
                            own_model_options, optim_options, seed_options, checkpoint_options,
                            distributed_options, device_options}) {
      for (OptionSpec& row : part()) rows.push_back(std::move(row));
    }
    return rows;
  }();
  return table;
}

}  // namespace convoy
