/* Preloaded into a process, sets its wall clock off by the seconds in the file CLOCK_OFFSET names, as that file is at the
 * moment. Time that only passes (CLOCK_MONOTONIC) stays as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

static int (*real)(clockid_t, struct timespec *);
static volatile int64_t *offset;

__attribute__((constructor)) static void begin(void) {
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *seconds = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (seconds != MAP_FAILED) offset = seconds;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    if (!real) begin();
    int failed = real(id, now);
    if (!failed && id == CLOCK_REALTIME && offset) now->tv_sec += *offset;
    return failed;
}
