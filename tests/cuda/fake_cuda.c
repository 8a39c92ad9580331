/* A CUDA driver without a GPU, to test our calls of the real one: what is needed of its interface, on
 * memory of the host.
 *
 * It is strict where the real one is. Device addresses can't be used on the host. Copies happen when
 * their stream is synchronised, and not before. Most functions need a context that is current in the
 * calling thread. Handles are opened by another process, never by the one that made them.
 *
 * The environment sets it up: FAKE_CUDA_DEVICES, FAKE_CUDA_MEMORY (bytes of each device), and
 * FAKE_CUDA_DIRECTORY for the files that hold the memory.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
};

#define DEVICE_BIT (1ull << 60)
#define MAX_DEVICES 8
#define MAX_COPIES 64
#define MAX_DEPTH 8

typedef struct { unsigned char reserved[64]; } Handle;
typedef struct { char magic[8]; uint64_t size; int32_t pid, number; } HandleContent;
typedef struct { int device, retained; } Context;
typedef struct { void *to; const void *from; size_t size; } Copy;
typedef struct { Copy copies[MAX_COPIES]; int count; } Stream;
typedef struct Block { struct Block *next; char *host; size_t size; int device, number, opened; } Block;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Context contexts[MAX_DEVICES];
static Block *blocks;
static int initialized, numbers, synchronized;
static __thread Context *stack[MAX_DEPTH];
static __thread int depth;

static long setting(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value ? atol(value) : otherwise;
}

static void path_of(char *path, size_t size, int pid, int number) {
    const char *directory = getenv("FAKE_CUDA_DIRECTORY");
    snprintf(path, size, "%s/fake-cuda-%d-%d", directory ? directory : "/tmp", pid, number);
}

/* For the tests */

int fake_live_blocks(void) {
    int count = 0;
    for (Block *block = blocks; block; block = block->next) count++;
    return count;
}

int fake_depth(void) { return depth; }

int fake_synchronized(void) { return synchronized; }

void *fake_host(uint64_t address) { return (void *)(address & ~DEVICE_BIT); }

/* Errors */

int cuGetErrorName(int code, const char **name) {
    switch (code) {
    case INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; return SUCCESS;
    case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; return SUCCESS;
    case NOT_INITIALIZED: *name = "CUDA_ERROR_NOT_INITIALIZED"; return SUCCESS;
    case NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; return SUCCESS;
    case INVALID_DEVICE: *name = "CUDA_ERROR_INVALID_DEVICE"; return SUCCESS;
    case INVALID_CONTEXT: *name = "CUDA_ERROR_INVALID_CONTEXT"; return SUCCESS;
    }
    *name = NULL; /* as for codes that a driver does not know */
    return INVALID_VALUE;
}

int cuGetErrorString(int code, const char **text) {
    *text = code == INVALID_HANDLE ? NULL : "as the fake driver finds";
    return *text ? SUCCESS : INVALID_VALUE;
}

/* Devices and contexts */

int cuInit(unsigned flags) {
    if (flags) return INVALID_VALUE;
    if (setting("FAKE_CUDA_DEVICES", 2) < 1) return NO_DEVICE;
    initialized = 1;
    return SUCCESS;
}

int cuDeviceGet(int *device, int number) {
    if (!initialized) return NOT_INITIALIZED;
    if (number < 0 || number >= setting("FAKE_CUDA_DEVICES", 2)) return INVALID_DEVICE;
    *device = number + 1000; /* not the number, so that it can't be taken for it */
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(Context **context, int device) {
    if (device < 1000 || device >= 1000 + MAX_DEVICES) return INVALID_DEVICE;
    *context = &contexts[device - 1000];
    (*context)->device = device - 1000;
    (*context)->retained++;
    return SUCCESS;
}

int cuCtxPushCurrent_v2(Context *context) {
    if (context < contexts || context >= contexts + MAX_DEVICES || !context->retained)
        return INVALID_CONTEXT;
    if (depth == MAX_DEPTH) return INVALID_VALUE;
    stack[depth++] = context;
    return SUCCESS;
}

int cuCtxPopCurrent_v2(Context **context) {
    if (!depth) return INVALID_CONTEXT;
    *context = stack[--depth];
    return SUCCESS;
}

/* Memory */

static Block *add(char *host, size_t size, int number, int opened) {
    Block *block = malloc(sizeof *block);
    *block = (Block){blocks, host, size, stack[depth - 1]->device, number, opened};
    return blocks = block;
}

static char *map(const char *path, size_t size, int flags) {
    int descriptor = open(path, O_RDWR | flags, 0600);
    if (descriptor < 0) return NULL;
    char *host = MAP_FAILED;
    if (!(flags & O_CREAT) || !ftruncate(descriptor, (off_t)size))
        host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    return host == MAP_FAILED ? NULL : host;
}

int cuMemAlloc_v2(uint64_t *address, size_t size) {
    if (!depth) return INVALID_CONTEXT;
    if (!size) return INVALID_VALUE;
    if (size > (size_t)setting("FAKE_CUDA_MEMORY", 64 << 20)) return OUT_OF_MEMORY;
    char path[512];
    pthread_mutex_lock(&lock);
    int number = ++numbers;
    path_of(path, sizeof path, getpid(), number);
    char *host = map(path, size, O_CREAT | O_EXCL);
    if (host) {
        memset(host, 0xAA, size); /* device memory is not zeroed */
        *address = (uint64_t)add(host, size, number, 0)->host | DEVICE_BIT;
    }
    pthread_mutex_unlock(&lock);
    return host ? SUCCESS : OUT_OF_MEMORY;
}

static int give_back(uint64_t address, int opened) {
    if (!depth) return INVALID_CONTEXT;
    int result = INVALID_VALUE;
    pthread_mutex_lock(&lock);
    for (Block **at = &blocks; *at; at = &(*at)->next) {
        Block *block = *at;
        if (((uint64_t)block->host | DEVICE_BIT) != address || block->opened != opened) continue;
        if (block->device != stack[depth - 1]->device) break;
        char path[512];
        path_of(path, sizeof path, getpid(), block->number);
        if (!opened) unlink(path);
        munmap(block->host, block->size);
        *at = block->next;
        free(block);
        result = SUCCESS;
        break;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

int cuMemFree_v2(uint64_t address) { return give_back(address, 0); }

int cuIpcCloseMemHandle(uint64_t address) { return give_back(address, 1); }

static Block *find(uint64_t address, size_t size) {
    char *host = fake_host(address);
    for (Block *block = blocks; block; block = block->next)
        if (block->host <= host && host + size <= block->host + block->size) return block;
    return NULL;
}

/* Streams */

int cuStreamCreate(Stream **stream, unsigned flags) {
    if (!depth) return INVALID_CONTEXT;
    if (flags > 1) return INVALID_VALUE;
    *stream = calloc(1, sizeof **stream);
    return SUCCESS;
}

static int enqueue(Stream *stream, uint64_t to, uint64_t from, size_t size) {
    if (!depth) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    int known = (!(to & DEVICE_BIT) || find(to, size)) && (!(from & DEVICE_BIT) || find(from, size));
    if (known && stream->count < MAX_COPIES)
        stream->copies[stream->count++] = (Copy){fake_host(to), fake_host(from), size};
    else
        known = 0;
    pthread_mutex_unlock(&lock);
    return known ? SUCCESS : INVALID_VALUE;
}

int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, Stream *stream) {
    if (!(to & DEVICE_BIT) || (uint64_t)from & DEVICE_BIT) return INVALID_VALUE;
    return enqueue(stream, to, (uint64_t)from, size);
}

int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, Stream *stream) {
    if ((uint64_t)to & DEVICE_BIT || !(from & DEVICE_BIT)) return INVALID_VALUE;
    return enqueue(stream, (uint64_t)to, from, size);
}

int cuMemcpyAsync(uint64_t to, uint64_t from, size_t size, Stream *stream) {
    return enqueue(stream, to, from, size);
}

int cuStreamSynchronize(Stream *stream) {
    if (!depth) return INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < stream->count; i++)
        memcpy(stream->copies[i].to, stream->copies[i].from, stream->copies[i].size);
    stream->count = 0;
    synchronized++;
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}

/* Handles for other processes */

int cuIpcGetMemHandle(Handle *handle, uint64_t address) {
    if (!depth) return INVALID_CONTEXT;
    Block *block = find(address, 1);
    if (!block || block->opened) return INVALID_VALUE;
    HandleContent content = {"FAKECUD", block->size, getpid(), block->number};
    memset(handle, 0x5A, sizeof *handle);
    memcpy(handle, &content, sizeof content);
    return SUCCESS;
}

int cuIpcOpenMemHandle_v2(uint64_t *address, Handle handle, unsigned flags) {
    if (!depth) return INVALID_CONTEXT;
    if (flags != 1) return INVALID_VALUE;
    HandleContent content;
    memcpy(&content, &handle, sizeof content);
    /* The last byte as well, which a structure that is passed wrongly lacks. */
    if (memcmp(content.magic, "FAKECUD", 8) || handle.reserved[63] != 0x5A) return INVALID_HANDLE;
    if (content.pid == getpid()) return INVALID_CONTEXT;
    char path[512];
    path_of(path, sizeof path, content.pid, content.number);
    char *host = map(path, content.size, 0);
    if (!host) return INVALID_HANDLE;
    pthread_mutex_lock(&lock);
    *address = (uint64_t)add(host, content.size, content.number, 1)->host | DEVICE_BIT;
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}
