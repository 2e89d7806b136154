/* Preloaded into a server, makes every flush SLOW_FLUSH_US microseconds longer: a disk that is not this machine's. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_a_little(void) {
    const char *microseconds = getenv("SLOW_FLUSH_US");
    if (microseconds) usleep((useconds_t)atoi(microseconds));
}

int fsync(int file) {
    wait_a_little();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file) {
    wait_a_little();
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}
