/* A disk that fails when it is told to, and keeps a record of what was done to it.

   Preloaded into a daemon (LD_PRELOAD). It looks at the database and its journal alone: files whose
   name begins with "mailbox.db". In the folder FAULTY_DISK
     fault   says what fails: "<operation> <end of the file's name> <errno> <let pass> <fail>", where the
             operation is "sync", "write", or "short" (half of the data is written, then it fails);
     record  gets every operation, if the file is there: see power_cut.py.  */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char fault_path[4096];
static int record_file = -1;
static int short_file = -1; /* the one whose next write fails */

static struct {
    ino_t inode; /* a new file is a new fault */
    char operation[16], suffix[64];
    int error;
    long pass, fail;
} fault;

__attribute__((constructor)) static void begin(void)
{
    char path[4096];
    const char *folder = getenv("FAULTY_DISK");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    if (!folder)
        return;
    snprintf(fault_path, sizeof fault_path, "%s/fault", folder);
    snprintf(path, sizeof path, "%s/record", folder);
    record_file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static const char *database_file(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    if (strncmp(name, "mailbox.db", 10) || strstr(name, "-shm") || strstr(name, "-lock"))
        return NULL;
    return name;
}

static const char *name_of(int file, char *path, size_t size)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = fault_path[0] ? readlink(link, path, size - 1) : -1;
    if (length < 0)
        return NULL;
    path[length] = 0;
    return database_file(path);
}

static int ends_with(const char *name, const char *suffix)
{
    size_t length = strlen(name), end = strlen(suffix);
    return length >= end && !strcmp(name + length - end, suffix);
}

static int error_of(const char *operation, const char *name)
{
    struct stat status;
    if (stat(fault_path, &status))
        return 0;
    if (status.st_ino != fault.inode) {
        FILE *file = fopen(fault_path, "r");
        if (!file)
            return 0;
        if (fscanf(file, "%15s %63s %d %ld %ld", fault.operation, fault.suffix, &fault.error,
                   &fault.pass, &fault.fail) == 5)
            fault.inode = status.st_ino;
        fclose(file);
    }
    if (strcmp(operation, fault.operation) || !ends_with(name, fault.suffix))
        return 0;
    if (fault.pass > 0) {
        fault.pass--;
        return 0;
    }
    if (fault.fail <= 0)
        return 0;
    fault.fail--;
    return fault.error;
}

static void record(char operation, const char *name, uint64_t offset, const void *data, size_t length)
{
    if (record_file < 0)
        return;
    uint16_t name_length = strlen(name);
    uint32_t data_length = data ? length : 0;
    struct iovec parts[] = {{&operation, 1}, {&name_length, 2}, {&offset, 8}, {&data_length, 4},
                            {(void *)name, name_length}, {(void *)data, data_length}};
    if (writev(record_file, parts, 6) < 0)
        abort();
}

static ssize_t write_at(int file, const char *name, const void *data, size_t length, off_t offset,
                        int moves)
{
    ssize_t written = -1;
    pthread_mutex_lock(&mutex);
    int error = short_file == file ? ENOSPC : error_of("write", name);
    short_file = -1;
    if (!error) {
        if (error_of("short", name)) {
            length /= 2;
            short_file = file;
        }
        written = moves ? real_write(file, data, length) : real_pwrite(file, data, length, offset);
        error = errno;
        if (written > 0)
            record('W', name, offset, data, written);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return written;
}

ssize_t write(int file, const void *data, size_t length)
{
    char path[4096];
    const char *name = name_of(file, path, sizeof path);
    if (!name)
        return real_write(file, data, length);
    return write_at(file, name, data, length, lseek(file, 0, SEEK_CUR), 1);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset)
{
    char path[4096];
    const char *name = name_of(file, path, sizeof path);
    return name ? write_at(file, name, data, length, offset, 0)
                : real_pwrite(file, data, length, offset);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t offset)
{
    return pwrite64(file, data, length, offset);
}

static int sync_with(int (*real)(int), int file)
{
    char path[4096];
    const char *name = name_of(file, path, sizeof path);
    if (!name)
        return real(file);
    pthread_mutex_lock(&mutex);
    int error = error_of("sync", name);
    /* Tests pull no plug: the record says what would have been on the disk. */
    record(error ? 'F' : 'S', name, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    errno = error;
    return error ? -1 : 0;
}

int fsync(int file) { return sync_with(real_fsync, file); }

int fdatasync(int file) { return sync_with(real_fdatasync, file); }

int ftruncate64(int file, off64_t size)
{
    char path[4096];
    const char *name = name_of(file, path, sizeof path);
    if (!name)
        return real_ftruncate(file, size);
    pthread_mutex_lock(&mutex);
    int result = real_ftruncate(file, size);
    if (!result)
        record('T', name, size, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

int ftruncate(int file, off_t size) { return ftruncate64(file, size); }

int unlink(const char *path)
{
    const char *name = database_file(path);
    int result = real_unlink(path);
    if (name && !result) {
        pthread_mutex_lock(&mutex);
        record('U', name, 0, NULL, 0);
        pthread_mutex_unlock(&mutex);
    }
    return result;
}
