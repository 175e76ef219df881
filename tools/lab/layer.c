// A Vulkan layer that shows what a driver compiles, also where there is no GPU for it.
//
// Mesa's drivers open on "null hardware" and on stubs of the kernel (drm-shim): they compile, but nothing runs, and some report no memory.
// This layer answers in their stead wherever something would have to run: memory is the host's, work is dropped, and all waits are over at
// once. What the shaders compute is meaningless there.
//
//   WGRAD_LAB_RECORD=FOLDER               for each named compute pipeline a file with the driver's statistics and the assembly
//   WGRAD_LAB_RUNS=1                      the driver runs: fake nothing, only observe
//   WGRAD_LAB_KIND=discrete|integrated    pose as a card of that kind
//   WGRAD_LAB_SUBGROUP=N                  pose as a card with subgroups of N
//
// `lab.py` builds it, writes its manifest, and sets these. One instance with one device at a time.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define EXPORT __attribute__((visibility("default")))
#define COUNT(array) (sizeof(array) / sizeof *(array))
// The next function below this layer, by the name that Vulkan gives it.
#define BELOW_DEVICE(device, name) ((PFN_##name)device_address(device, #name))
#define BELOW_INSTANCE(name) ((PFN_##name)instance_address(instance, #name))

static PFN_vkGetInstanceProcAddr instance_address;
static PFN_vkGetDeviceProcAddr device_address;
static VkInstance instance;
static VkBool32 has_statistics;
// The loader answers later questions with this layer's own functions, so these are asked for while the instance is made.
static PFN_vkGetPhysicalDeviceProperties next_properties;
static PFN_vkGetPhysicalDeviceProperties2 next_properties2;
static PFN_vkEnumerateDeviceExtensionProperties next_extensions;

static void *find(const void *chain, VkStructureType type) {
    const VkBaseInStructure *item = chain;
    while (item && item->sType != type) item = item->pNext;
    return (void *)item;
}

// ---- Posing ----

static void pose(VkPhysicalDeviceProperties *properties) {
    const char *kind = getenv("WGRAD_LAB_KIND");
    if (!kind) return;
    properties->deviceType = *kind == 'i' ? VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU : VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU;
}

static void GetPhysicalDeviceProperties(VkPhysicalDevice device, VkPhysicalDeviceProperties *properties) {
    next_properties(device, properties);
    pose(properties);
}

static void GetPhysicalDeviceProperties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *properties) {
    next_properties2(device, properties);
    pose(&properties->properties);
    const char *lanes = getenv("WGRAD_LAB_SUBGROUP");
    if (!lanes) return;
    VkPhysicalDeviceSubgroupProperties *subgroup = find(properties->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES);
    VkPhysicalDeviceSubgroupSizeControlProperties *sizes =
        find(properties->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
    if (subgroup) subgroup->subgroupSize = atoi(lanes);
    if (sizes) sizes->minSubgroupSize = sizes->maxSubgroupSize = atoi(lanes);
}

// ---- Memory of the host ----

static void GetPhysicalDeviceMemoryProperties(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *memory) {
    const VkMemoryPropertyFlags mapped = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    *memory = (VkPhysicalDeviceMemoryProperties){
        .memoryTypeCount = 3,
        .memoryTypes = {{VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0}, {mapped, 1}, {mapped | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 1}},
        .memoryHeapCount = 2,
        .memoryHeaps = {{16ull << 30, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT}, {16ull << 30, 0}},
    };
}

static void GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *memory) {
    GetPhysicalDeviceMemoryProperties(device, &memory->memoryProperties);
}

static void GetBufferMemoryRequirements(VkDevice device, VkBuffer buffer, VkMemoryRequirements *requirements) {
    BELOW_DEVICE(device, vkGetBufferMemoryRequirements)(device, buffer, requirements);
    requirements->memoryTypeBits = 7;
}

static void GetBufferMemoryRequirements2(VkDevice device, const VkBufferMemoryRequirementsInfo2 *info,
                                         VkMemoryRequirements2 *requirements) {
    BELOW_DEVICE(device, vkGetBufferMemoryRequirements2)(device, info, requirements);
    requirements->memoryRequirements.memoryTypeBits = 7;
}

// What is never mapped takes no memory.
struct memory { VkDeviceSize size; char *bytes; };

static VkResult AllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info, const void *allocator, struct memory **memory) {
    if (!(*memory = calloc(1, sizeof **memory))) return VK_ERROR_OUT_OF_HOST_MEMORY;
    (*memory)->size = info->allocationSize;
    return VK_SUCCESS;
}

static void FreeMemory(VkDevice device, struct memory *memory, const void *allocator) {
    if (memory) free(memory->bytes);
    free(memory);
}

static VkResult MapMemory(VkDevice device, struct memory *memory, VkDeviceSize offset, VkDeviceSize size, VkFlags flags, void **bytes) {
    if (!memory->bytes && !(memory->bytes = calloc(1, memory->size))) return VK_ERROR_MEMORY_MAP_FAILED;
    *bytes = memory->bytes + offset;
    return VK_SUCCESS;
}

// ---- Work that is dropped ----

// These stand for functions of all signatures, which the calling conventions of 64-bit processors allow.
static VkResult succeed(void) { return VK_SUCCESS; }
static void ignore(void) {}

// A fence, pool or semaphore is a number on the heap: a timeline semaphore's value.
static VkResult create(VkDevice device, const void *info, const void *allocator, uint64_t **object) {
    *object = calloc(1, sizeof **object);
    return *object ? VK_SUCCESS : VK_ERROR_OUT_OF_HOST_MEMORY;
}

static void destroy(VkDevice device, uint64_t *object, const void *allocator) { free(object); }

static VkResult GetSemaphoreCounterValue(VkDevice device, const uint64_t *semaphore, uint64_t *value) {
    *value = *semaphore;
    return VK_SUCCESS;
}

static VkResult QueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *submits, VkFence fence) {
    for (uint32_t i = 0; i < count; i++) {
        const VkTimelineSemaphoreSubmitInfo *timeline = find(submits[i].pNext, VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
        for (uint32_t k = 0; timeline && k < timeline->signalSemaphoreValueCount; k++)
            *(uint64_t *)submits[i].pSignalSemaphores[k] = timeline->pSignalSemaphoreValues[k];
    }
    return VK_SUCCESS;
}

// The loader finds its table at the start of a command buffer, as at that of the device.
static VkResult AllocateCommandBuffers(VkDevice device, const VkCommandBufferAllocateInfo *info, void ***buffers) {
    for (uint32_t i = 0; i < info->commandBufferCount; i++) {
        if (!(buffers[i] = calloc(4, sizeof(void *)))) return VK_ERROR_OUT_OF_HOST_MEMORY;
        *buffers[i] = *(void **)device;
    }
    return VK_SUCCESS;
}

static void FreeCommandBuffers(VkDevice device, VkCommandPool pool, uint32_t count, void **buffers) {
    for (uint32_t i = 0; i < count; i++) free(buffers[i]);
}

// ---- Records of pipelines ----

// Processor time of this thread's last pipelines, which is what it costs to compile them wherever others compute at the same time.
static _Thread_local double compile_seconds;

static double processor_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

// Compiles and throws away: with texts of the machine code, it would take longer than it does for users.
static void time_pipelines(VkDevice device, uint32_t count, const VkComputePipelineCreateInfo *infos) {
    VkPipeline *pipelines = calloc(count, sizeof *pipelines);
    if (!pipelines) return;
    double begun = processor_seconds();
    BELOW_DEVICE(device, vkCreateComputePipelines)(device, VK_NULL_HANDLE, count, infos, NULL, pipelines);
    compile_seconds = processor_seconds() - begun;
    for (uint32_t i = 0; i < count; i++) BELOW_DEVICE(device, vkDestroyPipeline)(device, pipelines[i], NULL);
    free(pipelines);
}

static VkResult CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t count, const VkComputePipelineCreateInfo *infos,
                                       const VkAllocationCallbacks *allocator, VkPipeline *pipelines) {
    if (has_statistics && getenv("WGRAD_LAB_RECORD")) time_pipelines(device, count, infos);
    const VkFlags capture = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR;
    VkComputePipelineCreateInfo *captured = malloc(count * sizeof *captured);
    if (!captured) return VK_ERROR_OUT_OF_HOST_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        captured[i] = infos[i];
        if (has_statistics) captured[i].flags |= capture;
    }
    // A cache would answer without compiling.
    if (has_statistics) cache = VK_NULL_HANDLE;
    VkResult result = BELOW_DEVICE(device, vkCreateComputePipelines)(device, cache, count, captured, allocator, pipelines);
    free(captured);
    return result;
}

static void quote(FILE *file, const char *text, size_t length) {
    fputc('"', file);
    for (size_t i = 0; i < length && text[i]; i++) {
        unsigned char c = text[i];
        if (c == '"' || c == '\\') fprintf(file, "\\%c", c);
        else if (c < 32) fprintf(file, "\\u%04x", c);
        else fputc(c, file);
    }
    fputc('"', file);
}

static void record_statistics(FILE *file, VkDevice device, const VkPipelineExecutableInfoKHR *which) {
    VkPipelineExecutableStatisticKHR statistics[64];
    uint32_t count = COUNT(statistics);
    for (uint32_t i = 0; i < count; i++)
        statistics[i] = (VkPipelineExecutableStatisticKHR){.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    BELOW_DEVICE(device, vkGetPipelineExecutableStatisticsKHR)(device, which, &count, statistics);
    for (uint32_t i = 0; i < count; i++) {
        fputs(i ? "," : "", file);
        quote(file, statistics[i].name, VK_MAX_DESCRIPTION_SIZE);
        switch (statistics[i].format) {
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR: fprintf(file, ":%u", statistics[i].value.b32); break;
        case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR: fprintf(file, ":%g", statistics[i].value.f64); break;
        default: fprintf(file, ":%lld", (long long)statistics[i].value.i64);
        }
    }
}

static void record_assembly(FILE *file, VkDevice device, const VkPipelineExecutableInfoKHR *which) {
    const VkStructureType type = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
    VkPipelineExecutableInternalRepresentationKHR texts[16];
    uint32_t count = COUNT(texts);
    for (uint32_t i = 0; i < count; i++) texts[i] = (VkPipelineExecutableInternalRepresentationKHR){.sType = type};
    PFN_vkGetPipelineExecutableInternalRepresentationsKHR get = BELOW_DEVICE(device, vkGetPipelineExecutableInternalRepresentationsKHR);
    // First the sizes, then the texts.
    get(device, which, &count, texts);
    for (uint32_t i = 0; i < count; i++) texts[i].pData = calloc(1, texts[i].dataSize + 1);
    get(device, which, &count, texts);
    for (uint32_t i = 0; i < count; i++) {
        if (texts[i].pData && strstr(texts[i].name, "ssembly")) {
            fputs(",\"assembly\":", file);
            quote(file, texts[i].pData, texts[i].dataSize);
        }
        free(texts[i].pData);
    }
}

static void record(VkDevice device, VkPipeline pipeline, const char *name) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static unsigned number;
    const char *folder = getenv("WGRAD_LAB_RECORD");
    if (!folder || !has_statistics) return;
    pthread_mutex_lock(&lock);
    char path[4096];
    snprintf(path, sizeof path, "%s/%04u.json", folder, number++);
    FILE *file = fopen(path, "w");
    if (file) {
        VkPipelineInfoKHR info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipeline};
        VkPipelineExecutablePropertiesKHR executable = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR};
        uint32_t one = 1;
        BELOW_DEVICE(device, vkGetPipelineExecutablePropertiesKHR)(device, &info, &one, &executable);
        VkPipelineExecutableInfoKHR first = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipeline};
        fputs("{\"name\":", file);
        quote(file, name, strlen(name));
        fprintf(file, ",\"seconds\":%.6f,\"subgroup\":%u,\"statistics\":{", compile_seconds, executable.subgroupSize);
        record_statistics(file, device, &first);
        fputc('}', file);
        record_assembly(file, device, &first);
        fputs("}\n", file);
        fclose(file);
    }
    pthread_mutex_unlock(&lock);
}

// A pipeline is named right after it is made, so its record is written here.
static VkResult SetDebugUtilsObjectNameEXT(VkDevice device, const VkDebugUtilsObjectNameInfoEXT *info) {
    if (info->objectType == VK_OBJECT_TYPE_PIPELINE && info->pObjectName) record(device, (VkPipeline)info->objectHandle, info->pObjectName);
    return VK_SUCCESS;
}

// ---- Instance, device, and which functions are ours ----

static VkResult CreateInstance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *allocator, VkInstance *created) {
    VkLayerInstanceCreateInfo *link = find(info->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    while (link && link->function != VK_LAYER_LINK_INFO) link = find(link->pNext, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    instance_address = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    VkResult result = ((PFN_vkCreateInstance)instance_address(NULL, "vkCreateInstance"))(info, allocator, created);
    if (result != VK_SUCCESS) return result;
    instance = *created;
    next_properties = BELOW_INSTANCE(vkGetPhysicalDeviceProperties);
    next_properties2 = BELOW_INSTANCE(vkGetPhysicalDeviceProperties2);
    if (!next_properties2) next_properties2 = BELOW_INSTANCE(vkGetPhysicalDeviceProperties2KHR);
    next_extensions = BELOW_INSTANCE(vkEnumerateDeviceExtensionProperties);
    return VK_SUCCESS;
}

static VkBool32 has_extension(VkPhysicalDevice physical, const char *name) {
    uint32_t count = 0;
    next_extensions(physical, NULL, &count, NULL);
    VkExtensionProperties *extensions = calloc(count + 1, sizeof *extensions);
    VkBool32 has = VK_FALSE;
    if (extensions) next_extensions(physical, NULL, &count, extensions);
    for (uint32_t i = 0; extensions && i < count; i++) has |= !strcmp(extensions[i].extensionName, name);
    free(extensions);
    return has;
}

static VkResult CreateDevice(VkPhysicalDevice physical, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *allocator,
                             VkDevice *device) {
    VkLayerDeviceCreateInfo *link = find(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    while (link && link->function != VK_LAYER_LINK_INFO) link = find(link->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    device_address = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;

    const char *extension = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
    VkDeviceCreateInfo extended = *info;
    const char **names = malloc((info->enabledExtensionCount + 1) * sizeof *names);
    if (!names) return VK_ERROR_OUT_OF_HOST_MEMORY;
    memcpy(names, info->ppEnabledExtensionNames, info->enabledExtensionCount * sizeof *names);
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
        .pNext = (void *)info->pNext,
        .pipelineExecutableInfo = VK_TRUE,
    };
    if ((has_statistics = has_extension(physical, extension))) {
        names[extended.enabledExtensionCount++] = extension;
        extended.ppEnabledExtensionNames = names;
        extended.pNext = &feature;
    }
    VkResult result = ((PFN_vkCreateDevice)next(instance, "vkCreateDevice"))(physical, &extended, allocator, device);
    free(names);
    return result;
}

static PFN_vkVoidFunction instance_function(VkInstance of, const char *name);
static PFN_vkVoidFunction device_function(VkDevice of, const char *name);

struct entry { const char *name; void *function; };
static const struct entry observed[] = {
    {"vkGetInstanceProcAddr", instance_function}, {"vkGetDeviceProcAddr", device_function},
    {"vkCreateInstance", CreateInstance}, {"vkCreateDevice", CreateDevice},
    {"vkGetPhysicalDeviceProperties", GetPhysicalDeviceProperties},
    {"vkGetPhysicalDeviceProperties2", GetPhysicalDeviceProperties2}, {"vkGetPhysicalDeviceProperties2KHR", GetPhysicalDeviceProperties2},
    {"vkCreateComputePipelines", CreateComputePipelines}, {"vkSetDebugUtilsObjectNameEXT", SetDebugUtilsObjectNameEXT},
};
static const struct entry faked[] = {
    {"vkGetPhysicalDeviceMemoryProperties", GetPhysicalDeviceMemoryProperties},
    {"vkGetPhysicalDeviceMemoryProperties2", GetPhysicalDeviceMemoryProperties2},
    {"vkGetPhysicalDeviceMemoryProperties2KHR", GetPhysicalDeviceMemoryProperties2},
    {"vkGetBufferMemoryRequirements", GetBufferMemoryRequirements},
    {"vkGetBufferMemoryRequirements2", GetBufferMemoryRequirements2}, {"vkGetBufferMemoryRequirements2KHR", GetBufferMemoryRequirements2},
    {"vkAllocateMemory", AllocateMemory}, {"vkFreeMemory", FreeMemory}, {"vkMapMemory", MapMemory}, {"vkUnmapMemory", ignore},
    {"vkFlushMappedMemoryRanges", succeed}, {"vkInvalidateMappedMemoryRanges", succeed},
    {"vkBindBufferMemory", succeed}, {"vkBindBufferMemory2", succeed}, {"vkBindBufferMemory2KHR", succeed},
    {"vkUpdateDescriptorSets", ignore},
    {"vkCreateFence", create}, {"vkDestroyFence", destroy}, {"vkResetFences", succeed}, {"vkGetFenceStatus", succeed},
    {"vkWaitForFences", succeed},
    {"vkCreateSemaphore", create}, {"vkDestroySemaphore", destroy}, {"vkWaitSemaphores", succeed}, {"vkWaitSemaphoresKHR", succeed},
    {"vkGetSemaphoreCounterValue", GetSemaphoreCounterValue}, {"vkGetSemaphoreCounterValueKHR", GetSemaphoreCounterValue},
    {"vkQueueSubmit", QueueSubmit}, {"vkQueueWaitIdle", succeed}, {"vkDeviceWaitIdle", succeed},
    {"vkCreateCommandPool", create}, {"vkDestroyCommandPool", destroy}, {"vkResetCommandPool", succeed}, {"vkTrimCommandPool", ignore},
    {"vkAllocateCommandBuffers", AllocateCommandBuffers}, {"vkFreeCommandBuffers", FreeCommandBuffers},
    {"vkBeginCommandBuffer", succeed}, {"vkEndCommandBuffer", succeed}, {"vkResetCommandBuffer", succeed},
    {"vkCreateQueryPool", create}, {"vkDestroyQueryPool", destroy}, {"vkGetQueryPoolResults", succeed},
    {"vkResetQueryPool", ignore}, {"vkResetQueryPoolEXT", ignore},
};

static PFN_vkVoidFunction own(const char *name) {
    for (size_t i = 0; i < COUNT(observed); i++)
        if (!strcmp(observed[i].name, name)) return (PFN_vkVoidFunction)observed[i].function;
    if (getenv("WGRAD_LAB_RUNS")) return NULL;
    for (size_t i = 0; i < COUNT(faked); i++)
        if (!strcmp(faked[i].name, name)) return (PFN_vkVoidFunction)faked[i].function;
    return strncmp(name, "vkCmd", 5) ? NULL : (PFN_vkVoidFunction)ignore;
}

// What the driver lacks is not answered for, so that programs see the extensions that are there.
static PFN_vkVoidFunction device_function(VkDevice of, const char *name) {
    PFN_vkVoidFunction below = device_address(of, name), ours = own(name);
    return below && ours ? ours : below;
}

static PFN_vkVoidFunction instance_function(VkInstance of, const char *name) {
    PFN_vkVoidFunction ours = own(name);
    return ours || !instance_address ? ours : instance_address(of, name);
}

EXPORT PFN_vkVoidFunction wgrad_lab_GetInstanceProcAddr(VkInstance of, const char *name) { return instance_function(of, name); }
EXPORT PFN_vkVoidFunction wgrad_lab_GetDeviceProcAddr(VkDevice of, const char *name) { return device_function(of, name); }
