#include "launch/dispatch.h"

int main(int argc, char** argv) { return convoy::dispatch({argv + 1, argv + argc}); }
