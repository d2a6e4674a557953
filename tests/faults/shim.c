/* Loaded with LD_PRELOAD: counts the operations on files below one folder, and at one of them fails it, sends this
 * process a signal, or moves its clock. Whatever is linked with the C library is seen: Python, SQLite, libjpeg. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define MOST_FILES 65536

static char base[4096];
static size_t base_length;
static atomic_long operations;
static long at, times;
static int with_error, with_signal, log_file = -1;
static long seconds_off;
static atomic_int clock_moved;
static atomic_char below[MOST_FILES]; /* by file descriptor */

/* Watch files below `folder`. The operations number `position` and up, `count` of them (0: all that follow), fail with
 * `error`, or at the first the process gets `signal` or its clock moves by `seconds`. Each operation that this happens
 * to, or each at all where `position` is 0, is written to the descriptor `log`. */
void faults_arm(const char *folder, long position, long count, int error, int signal, long seconds, int log) {
    snprintf(base, sizeof base, "%s", folder);
    base_length = strlen(base);
    operations = 0;
    at = position;
    times = count;
    with_error = error;
    with_signal = signal;
    seconds_off = seconds;
    log_file = log;
}

static int is_below(int folder, const char *path) {
    if (base_length == 0 || path == NULL) return 0;
    if (path[0] == '/') return strncmp(path, base, base_length) == 0;
    return folder >= 0 && folder < MOST_FILES && below[folder];
}

static int is_file_below(int file) { return base_length != 0 && file >= 0 && file < MOST_FILES && below[file]; }

static void note(const char *what, const char *path, int file) {
    char line[8400], name[4096] = "", link[64];
    if (path == NULL || path[0] != '/') {
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        long length = syscall(SYS_readlinkat, AT_FDCWD, link, name, sizeof name - 1);
        if (length > 0) name[length] = 0;
    }
    const char *slash = name[0] && path ? "/" : "";
    long position = operations;
    int length = snprintf(line, sizeof line, "%ld\t%s\t%s%s%s\n", position, what, name, slash, path ? path : "");
    syscall(SYS_write, log_file, line, length);
}

/* Whether the operation fails; errno is set then. */
static int fails(const char *what, const char *path, int file) {
    long number = atomic_fetch_add(&operations, 1) + 1;
    if (at == 0) {
        if (log_file >= 0) note(what, path, file);
        return 0;
    }
    if (number < at || (times != 0 && number >= at + times)) return 0;
    if (log_file >= 0) note(what, path, file);
    if (seconds_off) clock_moved = 1;
    if (with_signal && number == at) kill(getpid(), with_signal);
    if (with_error == 0) return 0;
    errno = with_error;
    return 1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

static void opened(int file) {
    if (file >= 0 && file < MOST_FILES) below[file] = 1;
}

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, name, const char *, int, ...); \
        va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
        if (!is_below(-1, path)) return real(path, flags, mode); \
        if (fails("open", path, -1)) return -1; \
        int file = real(path, flags, mode); opened(file); return file; }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, name, int, const char *, int, ...); \
        va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more); \
        if (!is_below(folder, path)) return real(folder, path, flags, mode); \
        if (fails("open", path, folder)) return -1; \
        int file = real(folder, path, flags, mode); opened(file); return file; }
OPENAT(openat)
OPENAT(openat64)

int close(int file) {
    REAL(int, close, int);
    if (file >= 0 && file < MOST_FILES) below[file] = 0;
    return real(file);
}

#define BY_FILE(type, name, what, parameters, arguments, ...) \
    type name parameters { \
        REAL(type, name, __VA_ARGS__); \
        if (is_file_below(file) && fails(what, NULL, file)) return -1; \
        return real arguments; }
BY_FILE(ssize_t, write, "write", (int file, const void *data, size_t size), (file, data, size), int, const void *, size_t)
BY_FILE(ssize_t, pwrite, "write", (int file, const void *data, size_t size, off_t offset), (file, data, size, offset), int, const void *, size_t, off_t)
BY_FILE(ssize_t, pwrite64, "write", (int file, const void *data, size_t size, off64_t offset), (file, data, size, offset), int, const void *, size_t, off64_t)
BY_FILE(ssize_t, writev, "write", (int file, const struct iovec *data, int count), (file, data, count), int, const struct iovec *, int)
BY_FILE(ssize_t, read, "read", (int file, void *data, size_t size), (file, data, size), int, void *, size_t)
BY_FILE(ssize_t, pread, "read", (int file, void *data, size_t size, off_t offset), (file, data, size, offset), int, void *, size_t, off_t)
BY_FILE(ssize_t, pread64, "read", (int file, void *data, size_t size, off64_t offset), (file, data, size, offset), int, void *, size_t, off64_t)
BY_FILE(int, fsync, "fsync", (int file), (file), int)
BY_FILE(int, fdatasync, "fsync", (int file), (file), int)
BY_FILE(int, fstat, "stat", (int file, struct stat *found), (file, found), int, struct stat *)
BY_FILE(int, fstat64, "stat", (int file, struct stat64 *found), (file, found), int, struct stat64 *)

#define BY_PATH(name, what, parameters, arguments, ...) \
    int name parameters { \
        REAL(int, name, __VA_ARGS__); \
        if (is_below(-1, path) && fails(what, path, -1)) return -1; \
        return real arguments; }
BY_PATH(stat, "stat", (const char *path, struct stat *found), (path, found), const char *, struct stat *)
BY_PATH(stat64, "stat", (const char *path, struct stat64 *found), (path, found), const char *, struct stat64 *)
BY_PATH(lstat, "stat", (const char *path, struct stat *found), (path, found), const char *, struct stat *)
BY_PATH(lstat64, "stat", (const char *path, struct stat64 *found), (path, found), const char *, struct stat64 *)
BY_PATH(mkdir, "mkdir", (const char *path, mode_t mode), (path, mode), const char *, mode_t)
BY_PATH(unlink, "unlink", (const char *path), (path), const char *)
BY_PATH(rmdir, "unlink", (const char *path), (path), const char *)

#define BY_PATH_AT(name, what, parameters, arguments, ...) \
    int name parameters { \
        REAL(int, name, __VA_ARGS__); \
        if (is_below(folder, path) && fails(what, path, folder)) return -1; \
        return real arguments; }
BY_PATH_AT(fstatat, "stat", (int folder, const char *path, struct stat *found, int flags), (folder, path, found, flags), int, const char *, struct stat *, int)
BY_PATH_AT(fstatat64, "stat", (int folder, const char *path, struct stat64 *found, int flags), (folder, path, found, flags), int, const char *, struct stat64 *, int)
BY_PATH_AT(mkdirat, "mkdir", (int folder, const char *path, mode_t mode), (folder, path, mode), int, const char *, mode_t)
BY_PATH_AT(unlinkat, "unlink", (int folder, const char *path, int flags), (folder, path, flags), int, const char *, int)

int rename(const char *path, const char *target) {
    REAL(int, rename, const char *, const char *);
    if ((is_below(-1, path) || is_below(-1, target)) && fails("rename", target, -1)) return -1;
    return real(path, target);
}
int renameat(int folder, const char *path, int other, const char *target) {
    REAL(int, renameat, int, const char *, int, const char *);
    if ((is_below(folder, path) || is_below(other, target)) && fails("rename", target, other)) return -1;
    return real(folder, path, other, target);
}
int renameat2(int folder, const char *path, int other, const char *target, unsigned int flags) {
    REAL(int, renameat2, int, const char *, int, const char *, unsigned int);
    if ((is_below(folder, path) || is_below(other, target)) && fails("rename", target, other)) return -1;
    return real(folder, path, other, target, flags);
}
int link(const char *path, const char *target) {
    REAL(int, link, const char *, const char *);
    if ((is_below(-1, path) || is_below(-1, target)) && fails("link", target, -1)) return -1;
    return real(path, target);
}
int linkat(int folder, const char *path, int other, const char *target, int flags) {
    REAL(int, linkat, int, const char *, int, const char *, int);
    if ((is_below(folder, path) || is_below(other, target)) && fails("link", target, other)) return -1;
    return real(folder, path, other, target, flags);
}

DIR *opendir(const char *path) {
    REAL(DIR *, opendir, const char *);
    if (is_below(-1, path) && fails("listdir", path, -1)) return NULL;
    return real(path);
}
DIR *fdopendir(int file) {
    REAL(DIR *, fdopendir, int);
    if (is_file_below(file) && fails("listdir", NULL, file)) return NULL;
    return real(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME && clock_moved) now->tv_sec += seconds_off;
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    int result = (int)syscall(SYS_gettimeofday, now, zone);
    if (result == 0 && clock_moved) now->tv_sec += seconds_off;
    return result;
}
time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place) *place = now.tv_sec;
    return now.tv_sec;
}
