// Options of one command or a few: no section, and no part of a run.
#include "launch/options_table.h"

// clang-format off
namespace convoy {
namespace {

using enum OptionType;

OptionSpec format_option(const std::string& commands, std::vector<std::string> forms, const std::string& help) {
  return {.name = "format", .type = choice, .value = "text", .help = help, .commands = takers(commands),
          .choices = std::move(forms), .lasting = false};
}

}  // namespace

std::vector<OptionSpec> tool_options() {
  return {
      format_option("evaluate, model list, plan, data import, data info, data verify, data stats, checkpoint "
       "list, checkpoint show, checkpoint verify, checkpoint diff, checkpoint repair, doctor, bench step, bench "
       "ops, bench loader, bench reduce, bench push-pull, bench checkpoint, "
       "version", {"text", "json"}, "form of the results on stdout"),
      format_option("predict", {"text", "json"}, "form of the table: text (tab-separated) or json"),
      format_option("model show", {"text", "json", "dot"}, "form of the layer table; dot is Graphviz"),

      // data import
      {.name = "from", .type = choice, .help = "form of the input", .commands = takers("data import"),
       .choices = {"idx", "cifar10", "cifar100", "image-folder"}},
      {.name = "input", .type = path, .help = "folder that holds the files to import; image-folder: or a list, PATH and LABEL",
       .commands = takers("data import")},
      {.name = "output", .type = path, .help = "folder to write the shards to",
       .commands = takers("data import")},
      {.name = "shards", .type = integer, .value = "0", .help = "shards per split (0: one for every 128 MiB, "
       "at least 4)", .commands = takers("data import"), .least = 0, .most = 99999},
      {.name = "class-names", .type = texts, .help = "names of the classes, in the order of their labels, "
       "separated by commas; where the input has names of its own, those are the default",
       .commands = takers("data import")},
      {.name = "overwrite", .type = yes_no, .value = "no", .help = "replace splits that the output folder "
       "already holds", .commands = takers("data import")},
      {.name = "encoding", .type = choice, .value = "auto", .help = "image-folder: how pictures are stored; raw: as pixels, all "
       "of one size; auto: raw where all are PNG of one size and kind, else jpeg where there is one, else png",
       .commands = takers("data import"), .choices = {"auto", "jpeg", "png", "raw"}},
      {.name = "channels", .type = choice, .value = "3", .help = "image-folder: of encoded pictures, once decoded: 3 (RGB) or 1 "
       "(gray)", .commands = takers("data import"), .choices = {"1", "3"}},
      {.name = "resize-short", .type = integer, .value = "0", .help = "image-folder: pictures whose shorter side is longer are "
       "brought to so many pixels there (0: none are)", .commands = takers("data import"), .least = 0, .most = 65500},
      {.name = "quality", .type = integer, .value = "95", .help = "image-folder: of JPEG that is written", .commands =
       takers("data import"), .least = 1, .most = 100},
      {.name = "split", .type = choice, .value = "train", .help = "image-folder: the split that the pictures of a list are",
       .commands = takers("data import"), .choices = {"train", "validation", "test"}},
      {.name = "skip-bad", .type = yes_no, .value = "no", .help = "image-folder: leave unreadable images out, "
       "and say so, instead of failing", .commands = takers("data import")},

      // model, plan, evaluate, predict
      {.name = "input", .type = integers, .help = "extents of one image, then its channels (28x28x1); empty: "
       "the paper's", .commands = takers("model show, bench step, bench ops"), .least = 1, .most = 65536},
      {.name = "ranks", .type = integers, .value = "1", .help = "ranks that the run will have; several, as 1,8,64,512: a line "
       "for each", .commands = takers("plan"), .least = 1, .most = 65536, .lasting = false},
      {.name = "cluster", .type = path, .help = "file that describes the machines (experiments/scaling/clusters has some); time, "
       "traffic and efficiency are simulated on them. With --probe: written", .commands = takers("plan"), .lasting = false},
      {.name = "probe", .type = yes_no, .value = "no", .help = "measure this machine first, in seconds: the run's network, and "
       "under mpirun -n 2 or more what lies between the ranks", .commands = takers("plan"), .lasting = false},
      {.name = "compare", .type = path, .help = "a run's folder: set what its ranks took beside what --cluster predicts; "
       "model and data are the run's", .commands = takers("plan"), .lasting = false},
      {.name = "batch-per-rank", .type = integer, .value = "0", .help = "the batch grows with the ranks: one micro-batch of so many "
       "samples each, whatever train.batch and virtual-workers say (0: it does not)", .commands = takers("plan"), .least = 0,
       .most = 1 << 20, .lasting = false},
      {.name = "samples", .type = integer, .value = "0", .help = "plan without data: so many training samples of the model's image "
       "(0: read them from data.path)", .commands = takers("plan"), .least = 0, .most = 1e12, .lasting = false},
      {.name = "image", .type = integers, .help = "with samples: extents of an image, then channels (28x28x1; empty: the paper's)",
       .commands = takers("plan"), .least = 1, .most = 65536, .lasting = false},
      {.name = "programs", .type = yes_no, .value = "no", .help = "print both programs with their memory plan",
       .commands = takers("plan"), .lasting = false},
      {.name = "weights", .type = choice, .value = "last", .help = "which weights of the checkpoint; average: those of a run "
       "with optim.average", .commands = takers("evaluate, predict, checkpoint export"), .choices = {"last", "average"}},
      {.name = "checkpoint", .type = texts, .help = "a checkpoint file, a run's folder (its best "
       "checkpoint, else its latest), or an ensemble's folder or ensemble.h5; several are averaged", .commands = takers("evaluate")},
      {.name = "table", .type = yes_no, .value = "no", .help = "print the errors of the first 1, 2, ... of the models for every one of "
       "--crops", .commands = takers("evaluate"), .lasting = false},
      {.name = "crops", .type = choices, .value = "1", .help = "the views of an image that are averaged; 1: its middle; 10: "
       "corners, middle, and all mirrored; 144: GoogLeNet's, of squares of four sizes; dense: the whole image through the net as a "
       "convolution, and mirrored", .commands = takers("evaluate"), .choices = {"1", "10", "144", "dense"}},
      {.name = "checkpoint", .type = path, .help = "a checkpoint file, or a run's folder (its best checkpoint, "
       "else its latest)", .commands = takers("predict")},
      {.name = "input", .type = path, .help = "folder of JPEG and PNG images", .commands = takers("predict")},
      {.name = "output", .type = path, .help = "folder for the table (empty: stdout)",
       .commands = takers("predict")},
      {.name = "output", .type = path, .help = "folder for confusion.png and mistakes.png (empty: the run's)",
       .commands = takers("evaluate")},
      {.name = "top", .type = integer, .value = "5", .help = "classes listed per image",
       .commands = takers("predict"), .least = 1, .most = 1000},
      {.name = "logits", .type = yes_no, .value = "no", .help = "write the logits of all classes, in their order, instead",
       .commands = takers("predict")},

      // bench
      {.name = "model", .type = text, .help = "the network; convoy model list names all",
       .commands = takers("bench step, bench ops")},
      {.name = "threads-per-micro-batch", .type = integer, .value = "0", .help = "threads that share one micro-batch (0: "
       "all, divided by the micro-batches)", .commands = takers("bench step"), .least = 0, .most = 4096},
      {.name = "batch", .type = integer, .value = "128", .help = "samples per step",
       .commands = takers("bench step, bench ops"), .least = 1, .most = 1 << 24},
      {.name = "batch", .type = integer, .value = "32", .help = "samples per micro-batch",
       .commands = takers("bench loader"), .least = 1, .most = 1 << 20},
      {.name = "input", .type = integers, .value = "28,28,1", .help = "extents and channels of the images to "
       "make where data.path is empty", .commands = takers("bench loader"), .least = 1, .most = 65536},
      {.name = "decode", .type = choice, .value = "none", .help = "jpeg: measure decoding: data.path holds encoded pictures, or "
       "some of input's extents (375x500x3) are made", .commands = takers("bench loader"), .choices = {"none", "jpeg"}},
      {.name = "steps", .type = integer, .value = "20", .help = "steps per measurement",
       .commands = takers("bench step"), .least = 1, .most = 1e6},
      {.name = "virtual-workers", .type = integer, .value = "1", .help = "micro-batches of the batch",
       .commands = takers("bench step"), .least = 1, .most = 65536},
      {.name = "profile", .type = yes_no, .value = "no", .help = "print the time of every op",
       .commands = takers("bench step")},
      {.name = "limits", .type = yes_no, .value = "no", .help = "also measure the machine's limits, and print the share "
       "that the step reaches", .commands = takers("bench step")},
      {.name = "dump", .type = path, .help = "write one step to this file (images, labels, loss, parameters before and "
       "after) instead of timing", .commands = takers("bench step")},
      {.name = "elements", .type = integer, .value = "25000000", .help = "floats of the gradient",
       .commands = takers("bench reduce, bench push-pull"), .least = 1, .most = 1e10},
      {.name = "servers", .type = integer, .value = "1", .help = "ranks that keep the parameters, the first ones",
       .commands = takers("bench push-pull"), .least = 1, .most = 65536},
      {.name = "output", .type = path, .value = ".", .help = "folder on the disk to measure",
       .commands = takers("bench checkpoint")},
      {.name = "bytes", .type = integer, .value = "100000000", .help = "size of the checkpoint",
       .commands = takers("bench checkpoint"), .least = 1024, .most = 1e12},
      {.name = "tensors", .type = integer, .value = "64", .help = "tensors in the checkpoint",
       .commands = takers("bench checkpoint"), .least = 1, .most = 100000},
      {.name = "repetitions", .type = integer, .value = "7", .help = "measured, alternating",
       .commands = takers("bench reduce, bench push-pull, bench checkpoint, bench step, bench ops, bench loader"), .least = 1,
       .most = 100000},

      // checkpoint, doctor
      {.name = "from", .type = choice, .help = "form of the file", .commands = takers("checkpoint import"),
       .choices = {"safetensors"}},
      {.name = "input", .type = path, .help = "the file to import", .commands = takers("checkpoint import")},
      {.name = "output", .type = path, .help = "the checkpoint file to write", .commands = takers("checkpoint import")},
      {.name = "image", .type = integers, .help = "extents of the images that the network is for, then channels (224x224x3; "
       "empty: the paper's); data.size, where given, replaces the extents", .commands = takers("checkpoint import"), .least = 1,
       .most = 65536},
      {.name = "mean", .type = text, .help = "of the stored values, one for all channels or one each, separated by commas: what "
       "the network expects to be subtracted (empty: torchvision's 123.675,116.28,103.53 for 3 channels, else 0)",
       .commands = takers("checkpoint import")},
      {.name = "deviation", .type = text, .help = "likewise, what to divide by (empty: torchvision's 58.395,57.12,57.375 for 3 "
       "channels, else 255)", .commands = takers("checkpoint import")},
      {.name = "class-names", .type = texts, .help = "names of the classes, in the order of the outputs, separated by commas",
       .commands = takers("checkpoint import")},
      {.name = "seed", .type = integer, .value = "1", .help = "of the constants that a model draws (lenet-5's output codes)",
       .commands = takers("checkpoint import"), .least = 0},
      {.name = "to", .type = choice, .help = "form of the file", .commands = takers("checkpoint export"),
       .choices = {"safetensors", "onnx"}},
      {.name = "output", .type = path, .help = "the file to write", .commands = takers("checkpoint export")},
      {.name = "path", .type = path, .help = "a checkpoint file, or a run's folder",
       .commands = takers("checkpoint list, checkpoint show, checkpoint verify, checkpoint repair, checkpoint export")},
      {.name = "paths", .type = texts, .help = "two checkpoint files or run folders",
       .commands = takers("checkpoint diff")},
      {.name = "all", .type = yes_no, .value = "no", .help = "name every tensor, not only the first 20",
       .commands = takers("checkpoint show")},
      {.name = "dry-run", .type = yes_no, .value = "no", .help = "say what would be done, and do nothing",
       .commands = takers("checkpoint repair"), .lasting = false},
      {.name = "path", .type = path, .help = "a run's folder", .commands = takers("doctor")},
      {.name = "verify", .type = yes_no, .value = "no", .help = "also verify checkpoints, from the newest to the "
       "first good one", .commands = takers("doctor"), .lasting = false},
  };
}

}  // namespace convoy
