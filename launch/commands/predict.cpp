// convoy predict: the classes of a folder of images.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/metrics/top_k.h"
#include "core/tensor/error.h"
#include "io/files.h"
#include "io/inside.h"
#include "io/picture_bytes.h"
#include "io/picture_viewer.h"
#include "io/png.h"
#include "launch/commands/commands.h"
#include "launch/data_options.h"
#include "launch/printable.h"
#include "launch/train/plans.h"
#include "launch/train/predictor.h"
#include "launch/train/run_spec.h"

namespace convoy {
namespace {

struct Prediction {
  std::string file;                    // relative to the input folder
  std::vector<int> classes;            // the likeliest first
  std::vector<float> numbers;          // of all classes: probabilities, or logits
};

struct Results {
  std::vector<Prediction> predictions;
  std::vector<std::string> failures;   // one message per file that could not be read
};

/// All JPEG and PNG files below the folder, in byte order; hidden ones are left out, as the importer does.
std::vector<std::filesystem::path> find_images(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder))
    throw DataError(fmt::format("--input={}: there is no such folder", folder.string()));
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::string ending = entry.path().extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    if ((ending != ".png" && ending != ".jpg" && ending != ".jpeg") || entry.path().filename().string().starts_with(".")) continue;
    refuse_link_out(folder, entry.path());
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw DataError(fmt::format("--input={}: no .jpg, .jpeg or .png files in this folder", folder.string()));
  return files;
}

/// As evaluation reads samples: the centre of a picture of any size, or an image of the very extents.
class ImageReader {
 public:
  explicit ImageReader(const TrainedModel& model) : model_(model) {
    if (!model.data.has_views) return;
    set_view(model.config, view_);
    viewer_ = std::make_unique<PictureViewer>(view_.size, static_cast<int>(model.task.image[-1]));
  }

  Tensor read(const std::filesystem::path& file) {
    if (!viewer_) return read_exact(file);
    Tensor image(model_.task.image, DType::u8);
    const auto centre = [this](std::int64_t height, std::int64_t width) {
      return centre_view(height, width, view_.size, view_.resize_short);
    };
    viewer_->show(file, centre, image.bytes());
    return image;
  }

 private:
  Tensor read_exact(const std::filesystem::path& file) const;

  const TrainedModel& model_;
  DatasetOptions view_;
  std::unique_ptr<PictureViewer> viewer_;
};

Tensor ImageReader::read_exact(const std::filesystem::path& file) const {
  const TrainedModel& model = model_;
  const std::vector<std::byte> bytes = read_whole(file);
  const auto channels = model.task.image[-1];
  Tensor image = is_jpeg(bytes) && (channels == 1 || channels == 3)
                     ? upright(decode_jpeg(bytes, file.string(), static_cast<int>(channels)), exif_orientation(bytes))
                     : decode_png(bytes, file.string());
  if (image.shape() != model.task.image || image.dtype() != model.task.stored)
    throw DataError(fmt::format("{}: {} {} where the model takes {} {}", file.string(), name_of(image.dtype()),
                                image.shape().str(), name_of(model.task.stored), model.task.image.str()));
  return image;
}

Results predict_all(const std::vector<std::filesystem::path>& files, const std::filesystem::path& folder,
                    TrainedModel& model, const Backend& backend, int top, Predictor::Result result) {
  Results results;
  const StateMemory memory(model.state, backend.device());
  Predictor predictor(model, memory, backend, result);
  ImageReader reader(model);
  std::vector<Tensor> images;
  std::vector<std::string> names;
  const auto flush = [&] {
    const auto rows = predictor.run(images);
    for (std::size_t row = 0; row < rows.size(); ++row)
      results.predictions.push_back({names[row], top_k(rows[row], top), rows[row]});
    images.clear();
    names.clear();
  };
  for (const auto& file : files) {
    try {
      images.push_back(reader.read(file));
      names.push_back(std::filesystem::relative(file, folder).string());
    } catch (const DataError& error) {
      results.failures.emplace_back(error.what());
    }
    if (static_cast<std::int64_t>(images.size()) == predictor.batch()) flush();
  }
  if (!images.empty()) flush();
  return results;
}

std::string class_name(const TrainedModel& model, int index) {
  const auto& names = model.data.class_names;
  return static_cast<std::size_t>(index) < names.size() ? names[static_cast<std::size_t>(index)] : std::to_string(index);
}

std::string escaped(std::string text) {
  for (char& c : text)
    if (c == '\t' || c == '\n' || c == '\r') c = ' ';  // a table's separators
  return text;
}

std::string table_text(const Results& results, const TrainedModel& model, int top) {
  std::string text = "file";
  for (int rank = 1; rank <= top; ++rank) text += fmt::format("\tclass{}\tprobability{}", rank, rank);
  text += "\n";
  for (const Prediction& prediction : results.predictions) {
    text += escaped(prediction.file);
    for (int index : prediction.classes)
      text += fmt::format("\t{}\t{:.6f}", escaped(class_name(model, index)),
                          prediction.numbers[static_cast<std::size_t>(index)]);
    text += "\n";
  }
  return text;
}

std::string table_json(const Results& results, const TrainedModel& model) {
  auto json = nlohmann::ordered_json::array();
  for (const Prediction& prediction : results.predictions) {
    auto classes = nlohmann::ordered_json::array();
    for (int index : prediction.classes)
      classes.push_back({{"class", class_name(model, index)},
                         {"probability", prediction.numbers[static_cast<std::size_t>(index)]}});
    json.push_back({{"file", prediction.file}, {"classes", classes}});
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string logits_text(const Results& results, const TrainedModel& model) {
  std::string text = "file";
  for (int index = 0; index < model.task.classes; ++index) text += "\t" + escaped(class_name(model, index));
  text += "\n";
  for (const Prediction& prediction : results.predictions)
    text += fmt::format("{}\t{}\n", escaped(prediction.file), fmt::join(prediction.numbers, "\t"));
  return text;
}

std::string logits_json(const Results& results) {
  auto json = nlohmann::ordered_json::array();
  for (const Prediction& prediction : results.predictions) json.push_back({{"file", prediction.file}, {"logits", prediction.numbers}});
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

/// Into the folder `output`, or to stdout where there is none.
void write_table(const std::string& text, const std::filesystem::path& output, const std::string& name) {
  if (output.empty()) {
    fmt::print("{}", text);
    return;
  }
  std::filesystem::create_directories(output);
  std::ofstream file(output / name, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw Error(fmt::format("{}: could not be written (disk full?)", (output / name).string()));
  fmt::print("{}\n", (output / name).string());
}

int predict(const Config& config) {
  const auto folder = config.get<std::filesystem::path>("input");
  const auto files = find_images(folder);
  std::vector<std::string> passed_over;
  TrainedModel model = load_trained_model(config.get<std::string>("checkpoint"),
                                          config.get<std::string>("weights") == "average", passed_over);
  for (const std::string& damage : passed_over) fmt::print(stderr, "[predict] passed over, damaged: {}\n", damage);
  const auto backend = make_backend(config, {}, computation_of(model));
  backend->adopt_plans(recorded_plans(model.checkpoint.run_record));
  const int top = static_cast<int>(std::min<std::int64_t>(config.get<std::int64_t>("top"), model.task.classes));
  const bool logits = config.get<bool>("logits"), json = config.get<std::string>("format") == "json";
  const Results results = predict_all(files, folder, model, *backend, top,
                                      logits ? Predictor::Result::logits : Predictor::Result::probabilities);
  const std::string table = logits ? (json ? logits_json(results) : logits_text(results, model))
                                   : (json ? table_json(results, model) : table_text(results, model, top));
  write_table(table, config.get<std::filesystem::path>("output"), json ? "predictions.json" : "predictions.tsv");
  for (const std::string& failure : results.failures) fmt::print(stderr, "[predict] {}\n", printable(failure));
  if (!results.failures.empty())
    throw DataError(fmt::format("{} of {} images could not be classified; the table holds the others",
                                results.failures.size(), files.size()));
  return 0;
}

void check(const Config& config) {
  if (config.get<std::string>("checkpoint").empty())
    throw UsageError("--checkpoint is missing: a checkpoint file or a run folder");
  if (config.get<std::filesystem::path>("input").empty()) throw UsageError("--input is missing: a folder of JPEG or PNG images");
}

}  // namespace

Command predict_command() {
  return {"predict",
          "classify the images of a folder",
          {{.path = "predict",
            .summary = "classify the images of a folder",
            .usage = "predict --checkpoint=PATH --input=DIR [--output=DIR] [--top=5 | --logits] [--format=text|json]",
            .description =
                "Reads every JPEG and PNG file below DIR: pictures of any size where the model was trained with data.size, of "
                "which it takes the centre as evaluation does; else images of the extents that it was trained on. It "
                "writes a table: file, then the likeliest classes with their probabilities. Text is tab-separated. The table "
                "goes to stdout, or into predictions.tsv or predictions.json in --output. Images that cannot be read are "
                "named on stderr and the exit status is then 3; the others are classified. It computes in the precision that "
                "the model was trained in (tf32 on the cpu: in fp32). --logits writes, of every image, what the network gives before "
                "the softmax: a column for each class.",
            .examples = "convoy predict --checkpoint=runs/lenet-5 --input=photos --output=results\n"
                        "convoy predict --checkpoint=runs/lenet-5 --input=photos --top=1",
            .check = check,
            .run = predict}}};
}

}  // namespace convoy
