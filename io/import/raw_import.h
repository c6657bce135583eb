#pragma once
// Pictures that are all alike, stored as pixels. Private to io/import.
#include "io/import/search.h"
#include "io/import/session.h"

namespace convoy {

/// Reads, checks and stores all files of the plan's lists; those that cannot be read or are unlike the first go to `report.bad`
/// and the parts of the report, and without skip_bad nothing is stored: the result has then no splits.
ImportReport import_raw(const ImportOptions& options, const ImportPlan& plan, ImportSession& session, SearchReport& report);

}  // namespace convoy
