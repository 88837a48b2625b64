/* libcuda.so.1 for machines without a GPU: memory is the host's, kernels are launched and do not run, calls are noted.

   Two devices of compute capability 9.0. `calls` is the names of all calls since `forget`, one a line; `launch` is the
   last launch: grid, block, bytes of shared memory, stream, kernel, arguments (8 bytes each, `wanted` of them), and
   `device` the one on which it was.
   A function that is not here is there under its name in the notes, and returns "not supported". */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES 2
#define NOT_SUPPORTED 801

typedef int Result;
typedef uint64_t Address;
typedef struct { int device; char bytes[256]; } Context;
typedef struct { Context *context; char bytes[256]; } Stream;
typedef struct { uint64_t from; uint64_t size; int device; } Block;
typedef struct { unsigned grid[3], block[3], shared; void *stream; } Config; /* CUlaunchConfig begins so */

char calls[1 << 20];
uint64_t launch[8 + 64];
int wanted, capturing, device = -1;
static size_t end;
static Context contexts[DEVICES];
static __thread Context *stack[64];
static __thread int depth;
#define current (stack[depth])
static Block blocks[65536];
static int block_count;

void forget(void) { end = 0, calls[0] = 0; }

static Result note(const char *name) {
    size_t size = strlen(name);
    if (end + size + 2 < sizeof calls) {
        memcpy(calls + end, name, size);
        end += size;
        calls[end++] = '\n', calls[end] = 0;
    }
    return 0;
}
#define NOTE note(__func__)

static Result absent(void) { return note("absent"), NOT_SUPPORTED; }

Result cuInit(unsigned flags) { return NOTE; }
Result cuDriverGetVersion(int *version) { return *version = 13000, NOTE; }
Result cuDeviceGetCount(int *count) { return *count = DEVICES, NOTE; }
Result cuDeviceGet(int *device, int ordinal) { return *device = ordinal, ordinal < DEVICES ? NOTE : 101; }
Result cuDeviceGetName(char *name, int size, int device) { return snprintf(name, size, "Stand-in %d", device), NOTE; }
Result cuDeviceGetUuid_v2(char *uuid, int device) { return memset(uuid, device + 1, 16), NOTE; }
Result cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = 1ull << 34, NOTE; }
Result cuDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
    case 1: *value = 1024; break;
    case 8: *value = 49152; break;
    case 10: *value = 32; break;
    case 16: *value = 132; break;
    case 39: *value = 2048; break;
    case 41: *value = 1; break;
    case 75: *value = 9; break;
    case 76: *value = 0; break;
    case 81: *value = 233472; break;
    case 97: *value = 232448; break;
    default: *value = attribute < 8 ? 65535 : 0;
    }
    return NOTE;
}

Result cuDevicePrimaryCtxRetain(Context **context, int device) {
    contexts[device].device = device;
    return *context = &contexts[device], NOTE;
}
Result cuDevicePrimaryCtxRelease_v2(int device) { return NOTE; }
Result cuDevicePrimaryCtxReset_v2(int device) { return NOTE; }
Result cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { return *flags = 0, *active = 1, NOTE; }
Result cuCtxGetCurrent(Context **context) { return *context = current, NOTE; }
Result cuCtxSetCurrent(Context *context) { return current = context, NOTE; }
Result cuCtxPushCurrent_v2(Context *context) {
    if (depth == 63) fprintf(stderr, "the stand-in's stack of contexts is full\n"), abort();
    return stack[++depth] = context, NOTE;
}
Result cuCtxPopCurrent_v2(Context **context) {
    *context = current;
    return depth ? (depth--, NOTE) : (current = 0, NOTE);
}
Result cuCtxGetDevice(int *device) { return current ? (*device = current->device, NOTE) : (NOTE, 201); }
Result cuCtxGetDevice_v2(int *device, Context *context) {
    context = context ? context : current;
    return context ? (*device = context->device, NOTE) : (NOTE, 201);
}
Result cuCtxGetId(Context *context, unsigned long long *id) { return *id = (uintptr_t)(context ? context : current), NOTE; }
Result cuCtxSynchronize(void) { return NOTE; }
Result cuCtxGetFlags(unsigned *flags) { return *flags = 0, NOTE; }
Result cuCtxGetLimit(size_t *value, int limit) { return *value = 0, NOTE; }
Result cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, *greatest = -5, NOTE; }

Result cuMemGetInfo_v2(size_t *left, size_t *total) { return *left = *total = 1ull << 34, NOTE; }
static Result allocated(Address *address, size_t size) {
    void *memory = 0;
    if (posix_memalign(&memory, 512, size + 512)) return 2;
    memset(memory, 0xff, size);
    if (block_count < 65536) blocks[block_count++] = (Block){(Address)memory, size, current ? current->device : 0};
    return *address = (Address)memory, 0;
}
static void freed(Address address) {
    for (int i = 0; i < block_count; i++)
        if (blocks[i].from == address) { blocks[i] = blocks[--block_count]; break; }
    free((void *)address);
}
Result cuMemAlloc_v2(Address *address, size_t size) { return NOTE, allocated(address, size); }
Result cuMemFree_v2(Address address) { return freed(address), NOTE; }
Result cuMemAllocAsync(Address *address, size_t size, void *stream) { return NOTE, allocated(address, size); }
Result cuMemFreeAsync(Address address, void *stream) { return freed(address), NOTE; }
static Block *block_of(Address address) {
    for (int i = 0; i < block_count; i++)
        if (blocks[i].from <= address && address < blocks[i].from + blocks[i].size) return &blocks[i];
    return 0;
}
Result cuMemGetAddressRange_v2(Address *from, size_t *size, Address address) {
    Block *block = block_of(address);
    if (from) *from = block ? block->from : address;
    if (size) *size = block ? block->size : 1;
    return NOTE;
}
static Result copied(Address to, Address from, size_t size, const char *name) {
    return memcpy((void *)to, (void *)from, size), note(name);
}
Result cuMemcpyHtoD_v2(Address to, Address from, size_t size) { return copied(to, from, size, __func__); }
Result cuMemcpyDtoH_v2(Address to, Address from, size_t size) { return copied(to, from, size, __func__); }
Result cuMemcpyDtoD_v2(Address to, Address from, size_t size) { return copied(to, from, size, __func__); }
Result cuMemcpyHtoDAsync_v2(Address to, Address from, size_t size, void *s) { return copied(to, from, size, __func__); }
Result cuMemcpyDtoHAsync_v2(Address to, Address from, size_t size, void *s) { return copied(to, from, size, __func__); }
Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t size, void *s) { return copied(to, from, size, __func__); }
Result cuMemsetD8_v2(Address to, unsigned char value, size_t size) { return memset((void *)to, value, size), NOTE; }
Result cuMemsetD8Async(Address to, unsigned char v, size_t n, void *s) { return memset((void *)to, v, n), NOTE; }
static int device_of(Address address) {
    Block *block = block_of(address);
    return block ? block->device : -1;
}
Result cuPointerGetAttribute(void *data, int attribute, Address address) {
    int device = device_of(address);
    NOTE;
    if (device < 0) return 1;
    if (attribute == 1) *(Context **)data = &contexts[device];
    else if (attribute == 2) *(int *)data = 2;
    else if (attribute == 9) *(int *)data = device;
    else *(Address *)data = address;
    return 0;
}
Result cuPointerGetAttributes(unsigned n, int *attributes, void **data, Address address) {
    int device = device_of(address);
    for (unsigned i = 0; i < n; i++)
        if (attributes[i] == 2) *(int *)data[i] = device < 0 ? 0 : 2;
        else if (attributes[i] == 9) *(int *)data[i] = device;
        else if (attributes[i] == 8) *(int *)data[i] = 0;
        else *(Address *)data[i] = attributes[i] == 1 ? (Address)&contexts[device < 0 ? 0 : device] : address;
    return NOTE;
}

Result cuStreamCreate(Stream **stream, unsigned flags) {
    *stream = calloc(1, sizeof(Stream));
    return (*stream)->context = current, NOTE;
}
Result cuStreamCreateWithPriority(Stream **stream, unsigned flags, int priority) { return cuStreamCreate(stream, flags); }
Result cuStreamDestroy_v2(Stream *stream) { return NOTE; }
Result cuStreamSynchronize(Stream *stream) { return NOTE; }
Result cuStreamQuery(Stream *stream) { return NOTE; }
Result cuStreamWaitEvent(Stream *stream, void *event, unsigned flags) { return NOTE; }
Result cuStreamGetFlags(Stream *stream, unsigned *flags) { return *flags = 0, NOTE; }
Result cuStreamGetPriority(Stream *stream, int *priority) { return *priority = 0, NOTE; }
static Context *context_of(Stream *stream) { /* handles below 1 << 16 are made up by tests */
    return (uintptr_t)stream >> 16 ? stream->context : current;
}
Result cuStreamGetCtx(Stream *stream, Context **context) { return *context = context_of(stream), NOTE; }
Result cuStreamGetCtx_v2(Stream *stream, Context **context, void **green) {
    if (green) *green = 0;
    return *context = context_of(stream), NOTE;
}
Result cuStreamGetDevice(Stream *stream, int *device) { return *device = context_of(stream)->device, NOTE; }
Result cuStreamIsCapturing(Stream *stream, int *status) { return *status = capturing, NOTE; }
Result cuEventCreate(void **event, unsigned flags) { return *event = malloc(64), NOTE; }
Result cuEventDestroy_v2(void *event) { return NOTE; }
Result cuEventRecord(void *event, Stream *stream) { return NOTE; }
Result cuEventQuery(void *event) { return NOTE; }
Result cuEventSynchronize(void *event) { return NOTE; }
Result cuEventElapsedTime_v2(float *ms, void *begin, void *end) { return *ms = 1, NOTE; }

/* A library is the address of a copy of its code, a kernel a copy of its name. */
Result cuLibraryLoadData(void **library, const void *code, void *a, void *b, unsigned c, void *d, void *e, unsigned f) {
    return *library = malloc(64), NOTE;
}
Result cuLibraryUnload(void *library) { return NOTE; }
Result cuLibraryGetKernel(void **kernel, void *library, const char *name) { return *kernel = strdup(name), NOTE; }
Result cuLibraryGetModule(void **module, void *library) { return *module = library, NOTE; }
Result cuKernelGetFunction(void **function, void *kernel) { return *function = kernel, NOTE; }
Result cuKernelGetName(const char **name, void *kernel) { return *name = kernel, NOTE; }
Result cuKernelGetLibrary(void **library, void *kernel) { return *library = 0, NOTE; }
Result cuKernelSetAttribute(int attribute, int value, void *kernel, int device) { return NOTE; }
Result cuKernelGetAttribute(int *value, int attribute, void *kernel, int device) { return *value = 32, NOTE; }
Result cuKernelSetCacheConfig(void *kernel, int config, int device) { return NOTE; }
Result cuFuncGetAttribute(int *value, int attribute, void *function) { return *value = 32, NOTE; }
Result cuFuncSetAttribute(void *function, int attribute, int value) { return NOTE; }
Result cuFuncSetCacheConfig(void *function, int config) { return NOTE; }
Result cuModuleLoadDataEx(void **module, const void *code, unsigned n, void *o, void *v) { return *module = malloc(64), NOTE; }
Result cuModuleGetFunction(void **function, void *module, const char *name) { return *function = strdup(name), NOTE; }
Result cuModuleUnload(void *module) { return NOTE; }
Result cuLaunchKernelEx(const Config *config, void *kernel, void **arguments, void **more) {
    for (int i = 0; i < 3; i++) launch[i] = config->grid[i], launch[3 + i] = config->block[i];
    device = current ? current->device : -1, launch[6] = config->shared, launch[7] = (uint64_t)config->stream;
    for (int i = 0; i < wanted && i < 64; i++) memcpy(launch + 8 + i, arguments[i], 8);
    return current ? NOTE : (NOTE, 201);
}
Result cuLaunchKernel(void *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                      unsigned shared, void *stream, void **arguments, void **more) {
    Config config = {{gx, gy, gz}, {bx, by, bz}, shared, stream};
    return cuLaunchKernelEx(&config, kernel, arguments, more);
}

Result cuGetErrorName(Result error, const char **text) { return *text = "CUDA_ERROR_OF_THE_STAND_IN", 0; }
Result cuGetErrorString(Result error, const char **text) { return *text = "an error of the stand-in", 0; }

#include <dlfcn.h>
static void *self;
Result cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
    char full[256];
    if (!self) self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (status) *status = 0;
    snprintf(full, sizeof full, "%s_v2", name);
    int newer = strcmp(name, "cuCtxGetDevice") || version >= 13000;
    if ((newer && (*function = dlsym(self, full))) || (*function = dlsym(self, name))) return 0;
    return *function = (void *)absent, 0;
}
Result cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}
