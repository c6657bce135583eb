#include "launch/commands/checkpoint_transfer.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/tensor/error.h"
#include "io/onnx.h"
#include "launch/errors.h"
#include "launch/train/plans.h"
#include "launch/train/run_spec.h"
#include "launch/train/trained_model.h"
#include "launch/transfer/onnx_graph.h"
#include "launch/transfer/weights.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

void require(const Config& config, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (config.get<std::string>(name).empty())
      throw UsageError(fmt::format("{}{} is missing: convoy {} --help", std::string_view(name).find('.') == std::string_view::npos ? "--" : "",
                                   name, config.command()));
}

/// "123.675,116.28,103.53" or one number for all channels.
std::vector<double> channel_numbers(const Config& config, const char* option, std::size_t channels,
                                    const std::vector<double>& of_colors, double of_others) {
  const auto text = config.get<std::string>(option);
  if (text.empty()) return channels == 3 ? of_colors : std::vector<double>(channels, of_others);
  std::vector<double> numbers;
  for (const char *at = text.data(), *end = at + text.size();; ++at) {
    double number = 0;
    const auto [stop, error] = std::from_chars(at, end, number);
    if (error != std::errc{} || !std::isfinite(number) || (stop != end && *stop != ','))
      throw UsageError(fmt::format("--{}={}: expected numbers separated by commas", option, text));
    numbers.push_back(number);
    if ((at = stop) == end) break;
  }
  if (numbers.size() == 1) numbers.resize(channels, numbers.front());
  if (numbers.size() != channels)
    throw UsageError(fmt::format("--{}={}: {} numbers for {} channels", option, text, numbers.size(), channels));
  return numbers;
}

/// What the images will be: no data set is at hand.
DatasetInfo data_of(const Config& config) {
  DatasetInfo info;
  info.task = "classification";
  info.dtype = DType::u8;
  info.samples = kSamplesUnknown;
  info.class_names = config.get<std::vector<std::string>>("class-names");
  auto image = config.get<std::vector<std::int64_t>>("image");
  const Shape paper = find_model(config.get<std::string>("model.name")).input;
  if (image.empty()) image.assign(paper.extents().begin(), paper.extents().end());
  if (image.size() < 2 || image.size() > 4)
    throw UsageError(fmt::format("--image has {} numbers; expected 1 to 3 extents and the channels, as 224x224x3", image.size()));
  if (const auto size = config.get<std::vector<std::int64_t>>("data.size"); !size.empty()) {
    image = {size.front(), size.back(), image.back()};
    info.has_views = true;
  }
  info.sample = Shape(image);
  // torchvision.transforms' constants for ImageNet, times 255.
  const auto channels = static_cast<std::size_t>(image.back());
  info.channel_mean = channel_numbers(config, "mean", channels, {123.675, 116.28, 103.53}, 0);
  info.channel_std = channel_numbers(config, "deviation", channels, {58.395, 57.12, 57.375}, 255);
  for (double deviation : info.channel_std)
    if (!(deviation > 0)) throw UsageError(fmt::format("--deviation: {} is not above 0", deviation));
  return info;
}

/// The config of a run that could have trained it.
Config training_config(const Config& config, std::int64_t classes) {
  std::vector<std::string> words{fmt::format("--seed={}", config.get<std::uint64_t>("seed")), "--virtual-workers=1",
                                 "--train.batch=8"};
  for (const char* section : {"model", "data"})
    for (const auto& [name, value] : config.section(section))
      if (name != "classes") words.push_back(fmt::format("--{}.{}={}", section, name, value));
  const auto given = config.get<std::int64_t>("model.classes");
  words.push_back(fmt::format("--model.classes={}", given > 0 ? given : classes));
  return Config::parse("train", words);
}

/// With model.classes as given, else as many as the file has outputs.
Config training_config_for(const Config& config, const DatasetInfo& data, const Safetensors& content) {
  const ModelEntry& model = find_model(config.get<std::string>("model.name"));
  if (config.get<std::int64_t>("model.classes") > 0) return training_config(config, 0);
  const std::int64_t some = std::max<std::int64_t>(model.classes, static_cast<std::int64_t>(data.class_names.size()));
  const Task task = make_run_spec(training_config(config, some), data).task;
  const std::int64_t found = classes_in(content, task, build_inference_graph(task).graph);
  return training_config(config, found > 0 ? found : some);
}

int import(const Config& config) {
  const auto input = config.get<fs::path>("input"), output = config.get<fs::path>("output");
  const DatasetInfo data = data_of(config);
  const Safetensors content = read_safetensors(input);
  const Config training = training_config_for(config, data, content);
  const RunSpec spec = make_run_spec(training, data);
  const InferenceGraph inference = build_inference_graph(spec.task);
  ModelState state = state_for_inference(inference.graph, spec.seeds.init);
  take_weights(content, spec.task, inference.graph, input.string(), state);
  Checkpoint checkpoint;
  store(state, checkpoint);
  checkpoint.config = training.text();
  checkpoint.graph_hash = build_training_graph(spec.task, spec.bucket_bytes, spec.gradient_sums).hash;
  checkpoint.run_record = make_run_record(training, spec, data, *make_cpu_backend(), checkpoint.graph_hash);
  checkpoint.metrics = R"({"train": null, "validation": null})";
  const std::int64_t bytes = write_checkpoint(output, checkpoint);
  fmt::print("{}: {}, {} tensors, {} bytes\n", output.string(), spec.task.model, content.tensors.size(), bytes);
  return kDone;
}

int export_(const Config& config) {
  std::vector<std::string> passed_over;
  const TrainedModel model = load_trained_model(config.get<fs::path>("path"), config.get<std::string>("weights") == "average", passed_over);
  for (const std::string& damage : passed_over) fmt::print(stderr, "[export] passed over, damaged: {}\n", damage);
  const InferenceGraph inference = build_inference_graph(model.task);
  const auto output = config.get<fs::path>("output");
  if (config.get<std::string>("to") == "onnx") {
    OnnxModel onnx = onnx_model(inference, model.state, model.task);
    write_onnx(output, onnx);
    fmt::print("{}: {}, {} nodes, opset {}\n", output.string(), model.task.model, onnx.nodes.size(), kOnnxOpset);
    return kDone;
  }
  const Safetensors content = weights_of(model.state, model.task, inference.graph, model.checkpoint.updates);
  write_safetensors(output, content);
  fmt::print("{}: {}, {} tensors, names: {}\n", output.string(), model.task.model, content.tensors.size(),
             content.metadata.at("convoy.names"));
  return kDone;
}

}  // namespace

Action checkpoint_import_action() {
  return {.path = "checkpoint import",
          .summary = "make a checkpoint of weights from another program",
          .usage = "checkpoint import --from=safetensors --input=FILE --output=FILE.h5 --model.name=NAME [--model.OPTION=VALUE]",
          .description =
              "FILE holds the tensors of a network in PyTorch's layout, under torchvision's names where torchvision has "
              "the network (resnet-18 to resnet-152 with --model.stride-on=3x3, wide-resnet-50-2, vgg-11, -13, -16 and -19, "
              "densenet-121 to densenet-201), else under convoy's, dots for slashes, as export writes them. A tensor too "
              "many, too few or of another shape is refused (status 3); f64, bf16 and f16 become f32.\n"
              "\n"
              "The checkpoint serves evaluate, predict and export. With --data.size=224 --data.resize-short=256 it takes "
              "pictures of any size, else images of --image's extents.",
          .examples = "convoy checkpoint import --from=safetensors --input=resnet50.safetensors --output=resnet50.h5 \\\n"
                      "  --model.name=resnet-50 --model.stride-on=3x3 --data.size=224 --data.resize-short=256",
          .check = [](const Config& config) { require(config, {"from", "input", "output", "model.name"}); },
          .run = import};
}

Action checkpoint_export_action() {
  return {.path = "checkpoint export",
          .summary = "write a checkpoint's network for other programs",
          .usage = "checkpoint export PATH --to=safetensors|onnx --output=FILE",
          .description =
              "PATH is a checkpoint file, or a run's folder: then its best checkpoint, or its latest.\n"
              "\n"
              "safetensors: parameters and running statistics in PyTorch's layout, under torchvision's names where torchvision "
              "has the network (load_state_dict takes them), else under convoy's, dots for slashes; the metadata say which.\n"
              "\n"
              "onnx: the network for inference (opset 13). Input `images` is float32 [batch, channels, height, width] of "
              "values as they are stored (0 to 255 for bytes): the normalisation is part of the graph. Output `logits` is "
              "[batch, classes]. Extents are those of training; the batch is open.",
          .examples = "convoy checkpoint export runs/resnet --to=safetensors --output=resnet.safetensors\n"
                      "convoy checkpoint export runs/resnet --to=onnx --output=resnet.onnx",
          .positional = "path",
          .check = [](const Config& config) { require(config, {"path", "to", "output"}); },
          .run = export_};
}

}  // namespace convoy
