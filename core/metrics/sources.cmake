set(metrics_sources confusion.cpp confusion_text.cpp top_k.cpp)
