#include "launch/train/model_trainer.h"

#include "launch/train/async/async_trainer.h"
#include "launch/train/trainer.h"

namespace convoy {

std::unique_ptr<ModelTrainer> make_trainer(const Config& config, Team& team, RunFolder* folder) {
  if (is_async(config)) return std::make_unique<AsyncTrainer>(config, team, folder);
  return std::make_unique<Trainer>(config, team, folder);  // --mode=sync
}

}  // namespace convoy
