#pragma once
// Encoded pictures into shards: each rank its share of the shards, then rank 0 the end. Private to io/import.
#include "io/import/search.h"
#include "io/import/session.h"

namespace convoy {

/// This rank's shards of all splits: those numbered rank, rank + ranks, ... Files that are bad go to the part of the report that
/// belongs to their shard; without skip_bad a shard with one is left out. `resumed` counts shards found finished.
void make_encoded_shards(const ImportOptions& options, const ImportPlan& plan, std::int64_t& resumed);

/// Rank 0, once all ranks are done: attributes, names, and all numbers of the report but those of the search.
ImportReport finish_encoded(const ImportOptions& options, const ImportPlan& plan, ImportSession& session);

}  // namespace convoy
