/* What Python sees of fast-thing. After a change run `make header`. */

#ifndef FAST_THING_H
#define FAST_THING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is left of a number; -1 if there is too little. */
int64_t fast_thing_rest(uint32_t number, uint32_t taken);

#ifdef __cplusplus
}
#endif

#endif
