#include "fast_thing.h"

int64_t fast_thing_rest(uint32_t number, uint32_t taken) {
    return number < taken ? -1 : (int64_t)(number - taken);
}
