/* cpu/conv_onednn.c - convolutions by oneDNN's C API: the one file that knows it, 2.x and 3.x.
 *
 * Images are plain (nhwc); weights take the layout oneDNN wants and are reordered by prepare, or else on every call.
 * Primitives are made with the plan, for one image and one thread: callers work on few images, which lie in their
 * cache. Scratch memory is theirs too (dnnl_scratchpad_mode_user). What a call must have for itself - a stream and
 * memory objects, which only hold addresses - waits in slots, so that threads can share a plan.
 *
 * 2.x describes an operation and then makes a primitive of it, 3.x does both at once; memory descriptors are structures
 * in 2.x and objects in 3.x. */
#include "cpu/conv.h"

#if defined(TW_GEMM_ONEDNN)
#include <dlfcn.h>
#include <dnnl.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define STRING_OF(x) #x
#define STRING(x)    STRING_OF(x)
#define LIBRARY_NAME "oneDNN " STRING(DNNL_VERSION_MAJOR) "." STRING(DNNL_VERSION_MINOR) "." STRING(DNNL_VERSION_PATCH)

/* --- what differs between the versions --- */

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t memory_desc;
typedef const_dnnl_memory_desc_t memory_desc_of;

static dnnl_status_t make_desc(memory_desc *out, int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
                               dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_create_with_tag(out, rank, dims, type, tag);
}
static void free_desc(memory_desc *desc)
{
    if (*desc) dnnl_memory_desc_destroy(*desc);
}
static memory_desc_of desc_at(const memory_desc *desc)
{
    return *desc;
}
static size_t desc_bytes(memory_desc_of desc)
{
    return dnnl_memory_desc_get_size(desc);
}
#else
typedef dnnl_memory_desc_t memory_desc;
typedef const dnnl_memory_desc_t *memory_desc_of;

static dnnl_status_t make_desc(memory_desc *out, int rank, const dnnl_dims_t dims, dnnl_data_type_t type,
                               dnnl_format_tag_t tag)
{
    return dnnl_memory_desc_init_by_tag(out, rank, dims, type, tag);
}
static void free_desc(memory_desc *desc)
{
    (void)desc;
}
static memory_desc_of desc_at(const memory_desc *desc)
{
    return desc;
}
static size_t desc_bytes(memory_desc_of desc)
{
    return dnnl_memory_desc_get_size(desc);
}
#endif

/* Strides and the rest of one convolution, in oneDNN's order; of two axes, or three. */
typedef struct geometry {
    int rank, weights_rank;
    dnnl_dims_t image, weights, result, stride, dilation, low, high;
} geometry;

typedef struct descs {
    memory_desc image, weights, result, plain;
} descs;

static void free_descs(descs *m)
{
    free_desc(&m->image);
    free_desc(&m->weights);
    free_desc(&m->result);
    free_desc(&m->plain);
}

static dnnl_status_t make_convolution(dnnl_primitive_desc_t *out, tw_conv_pass pass, const geometry *s, const descs *m,
                                      dnnl_engine_t engine, const_dnnl_primitive_desc_t hint,
                                      const_dnnl_primitive_attr_t attr)
{
    const dnnl_alg_kind_t direct = dnnl_convolution_direct;
    memory_desc_of image = desc_at(&m->image), weights = desc_at(&m->weights), result = desc_at(&m->result);
#if DNNL_VERSION_MAJOR >= 3
    if (pass == TW_CONV_FORWARD)
        return dnnl_convolution_forward_primitive_desc_create(out, engine, dnnl_forward_training, direct, image,
                                                              weights, NULL, result, s->stride, s->dilation, s->low,
                                                              s->high, attr);
    if (pass == TW_CONV_BACK)
        return dnnl_convolution_backward_data_primitive_desc_create(
            out, engine, direct, image, weights, result, s->stride, s->dilation, s->low, s->high, hint, attr);
    return dnnl_convolution_backward_weights_primitive_desc_create(out, engine, direct, image, weights, NULL, result,
                                                                   s->stride, s->dilation, s->low, s->high, hint, attr);
#else
    dnnl_convolution_desc_t desc;
    dnnl_status_t status =
        pass == TW_CONV_FORWARD
            ? dnnl_dilated_convolution_forward_desc_init(&desc, dnnl_forward_training, direct, image, weights, NULL,
                                                         result, s->stride, s->dilation, s->low, s->high)
        : pass == TW_CONV_BACK
            ? dnnl_dilated_convolution_backward_data_desc_init(&desc, direct, image, weights, result, s->stride,
                                                               s->dilation, s->low, s->high)
            : dnnl_dilated_convolution_backward_weights_desc_init(&desc, direct, image, weights, NULL, result,
                                                                  s->stride, s->dilation, s->low, s->high);
    return status == dnnl_success ? dnnl_primitive_desc_create(out, &desc, attr, engine, hint) : status;
#endif
}

/* --- plans --- */

enum { SLOTS = 8 };

typedef struct slot {
    atomic_flag busy;
    dnnl_stream_t stream;
    dnnl_memory_t image, weights, result, plain, scratch; /* weights: in oneDNN's layout */
} slot;

typedef struct library_plan {
    tw_conv_plan head;
    tw_conv_pass pass;
    int64_t image, result; /* numbers of one */
    size_t scratch_at;
    size_t image_at, result_at; /* in scratch memory: what is multiplied, in bf16 */
    tw_tile_fn round;           /* f32 to bf16; NULL: f32 is multiplied */
    void (*set_threads)(int);   /* of OpenMP, for the calling thread; NULL: there is none */
    bool same_layout;           /* oneDNN's weights lie as ours */
    dnnl_engine_t engine;
    descs desc;
    dnnl_primitive_t convolution, reorder, reorder_more; /* the last adds to what is there */
    slot slots[SLOTS];
} library_plan;

static void destroy(tw_context *ctx, tw_conv_plan *plan)
{
    library_plan *p = (library_plan *)plan;
    for (int i = 0; i < SLOTS; i++) {
        dnnl_memory_t memory[] = {p->slots[i].image, p->slots[i].weights, p->slots[i].result, p->slots[i].plain,
                                  p->slots[i].scratch};
        for (int k = 0; k < TW_COUNT(memory); k++)
            if (memory[k]) dnnl_memory_destroy(memory[k]);
        if (p->slots[i].stream) dnnl_stream_destroy(p->slots[i].stream);
    }
    dnnl_primitive_t made[] = {p->convolution, p->reorder, p->reorder_more};
    for (int k = 0; k < TW_COUNT(made); k++)
        if (made[k]) dnnl_primitive_destroy(made[k]);
    free_descs(&p->desc);
    if (p->engine) dnnl_engine_destroy(p->engine);
    tw_free(ctx, p);
}

static slot *take_slot(library_plan *p)
{
    for (int i = 0;; i = (i + 1) % SLOTS) {
        if (!atomic_flag_test_and_set_explicit(&p->slots[i].busy, memory_order_acquire)) return &p->slots[i];
        if (i == SLOTS - 1) sched_yield();
    }
}

static void point(dnnl_memory_t memory, const void *at)
{
    (void)dnnl_memory_set_data_handle(memory, (void *)(uintptr_t)at);
}

static void reorder(const library_plan *p, const slot *s, bool back, bool more)
{
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, back ? s->weights : s->plain},
                              {DNNL_ARG_TO, back ? s->plain : s->weights}};
    (void)dnnl_primitive_execute(more ? p->reorder_more : p->reorder, s->stream, 2, args);
}

static void convolve(const library_plan *p, const slot *s)
{
    static const int names[3][3] = {
        [TW_CONV_FORWARD] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
        [TW_CONV_BACK] = {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
        [TW_CONV_WEIGHTS] = {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
    };
    const int *name = names[p->pass];
    dnnl_exec_arg_t args[] = {
        {name[0], s->image}, {name[1], s->weights}, {name[2], s->result}, {DNNL_ARG_SCRATCHPAD, s->scratch}};
    (void)dnnl_primitive_execute(p->convolution, s->stream, 4, args);
}

/* One image of those at `images`: what is multiplied in bf16 is brought to scratch memory first. */
static void show(const library_plan *p, dnnl_memory_t memory, const float *image, int64_t size, bool multiplied,
                 void *rounded)
{
    if (p->round && multiplied) p->round(rounded, image, NULL, NULL, size);
    point(memory, p->round && multiplied ? rounded : (const void *)image);
}

static void run(const tw_conv_plan *plan, int64_t images, const void *a, const void *b, const void *packed,
                bool accumulate, void *out, void *scratch)
{
    library_plan *p = (library_plan *)(uintptr_t)plan;
    slot *s = take_slot(p);
    bool to_weights = p->pass == TW_CONV_WEIGHTS;
    if (p->set_threads) p->set_threads(1);
    const float *image = p->pass == TW_CONV_BACK ? out : a, *result = p->pass == TW_CONV_FORWARD ? out
                                                                      : to_weights               ? b
                                                                                                 : a;
    unsigned char *work = scratch;
    point(s->scratch, work + p->scratch_at);
    point(s->plain, to_weights ? out : b);
    point(s->weights, scratch);
    if (!to_weights && (packed || p->same_layout))
        point(s->weights, packed ? packed : b);
    else if (!to_weights)
        reorder(p, s, false, false);
    if (images == 0 && to_weights && !accumulate) memset(out, 0, desc_bytes(desc_at(&p->desc.plain)));
    for (int64_t i = 0; i < images; i++) {
        show(p, s->image, image + i * p->image, p->image, p->pass != TW_CONV_BACK, work + p->image_at);
        show(p, s->result, result + i * p->result, p->result, p->pass != TW_CONV_FORWARD, work + p->result_at);
        convolve(p, s);
        if (to_weights) reorder(p, s, true, accumulate || i > 0);
    }
    atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

static void prepare(const tw_conv_plan *plan, const void *weights, void *packed)
{
    library_plan *p = (library_plan *)(uintptr_t)plan;
    slot *s = take_slot(p);
    if (p->set_threads) p->set_threads(1);
    point(s->plain, weights);
    point(s->weights, packed);
    reorder(p, s, false, false);
    atomic_flag_clear_explicit(&s->busy, memory_order_release);
}

/* --- creation --- */

static geometry geometry_of(const tw_conv_sizes *z)
{
    int first = z->image[0] == 1 && z->kernel[0] == 1 && z->result[0] == 1 ? 1 : 0, axes = TW_MAX_SPATIAL - first;
    bool grouped = z->groups > 1;
    geometry s = {.rank = axes + 2, .weights_rank = axes + 2 + grouped};
    s.image[0] = s.result[0] = 1;
    s.image[1] = z->c;
    s.result[1] = z->o;
    s.weights[0] = z->groups;
    s.weights[grouped] = z->o / z->groups;
    s.weights[grouped + 1] = z->c / z->groups;
    for (int i = 0; i < axes; i++) {
        int k = i + first;
        s.image[i + 2] = z->image[k];
        s.result[i + 2] = z->result[k];
        s.weights[grouped + i + 2] = z->kernel[k];
        s.stride[i] = z->stride[k];
        s.dilation[i] = z->dilation[k] - 1;
        s.low[i] = z->low[k];
        /* what is never read is not padding to oneDNN */
        s.high[i] =
            (z->result[k] - 1) * z->stride[k] + (z->kernel[k] - 1) * z->dilation[k] + 1 - z->image[k] - z->low[k];
    }
    return s;
}

static dnnl_status_t make_descs(descs *m, const geometry *s, tw_conv_pass pass, bool bf16)
{
    bool deep = s->rank == 5, grouped = s->weights_rank > s->rank;
    dnnl_data_type_t type = bf16 ? dnnl_bf16 : dnnl_f32; /* of what is multiplied */
    dnnl_data_type_t image = pass == TW_CONV_BACK ? dnnl_f32 : type, result = pass == TW_CONV_FORWARD ? dnnl_f32 : type;
    dnnl_format_tag_t images = deep ? dnnl_ndhwc : dnnl_nhwc;
    dnnl_format_tag_t ours = grouped ? (deep ? dnnl_dhwigo : dnnl_hwigo) : (deep ? dnnl_dhwio : dnnl_hwio);
    dnnl_status_t status = make_desc(&m->image, s->rank, s->image, image, images);
    if (status == dnnl_success) status = make_desc(&m->result, s->rank, s->result, result, images);
    if (status == dnnl_success) status = make_desc(&m->plain, s->weights_rank, s->weights, dnnl_f32, ours);
    if (pass == TW_CONV_WEIGHTS) type = dnnl_f32;
    if (status == dnnl_success) status = make_desc(&m->weights, s->weights_rank, s->weights, type, dnnl_format_tag_any);
    return status;
}

static dnnl_status_t make_reorder(dnnl_primitive_t *out, memory_desc_of from, memory_desc_of to, dnnl_engine_t engine,
                                  bool add)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t desc = NULL;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success) status = dnnl_post_ops_create(&ops);
#if DNNL_VERSION_MAJOR >= 3
    if (status == dnnl_success && add) status = dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
    if (status == dnnl_success && add) status = dnnl_post_ops_append_sum(ops, 1.0f);
#endif
    if (status == dnnl_success) status = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (status == dnnl_success) status = dnnl_reorder_primitive_desc_create(&desc, from, engine, to, engine, attr);
    if (status == dnnl_success) status = dnnl_primitive_create(out, desc);
    if (desc) dnnl_primitive_desc_destroy(desc);
    if (ops) dnnl_post_ops_destroy(ops);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

static dnnl_status_t make_slots(library_plan *p, memory_desc_of weights, memory_desc_of scratch)
{
    dnnl_status_t status = dnnl_success;
    for (int i = 0; i < SLOTS && status == dnnl_success; i++) {
        slot *s = &p->slots[i];
        atomic_flag_clear(&s->busy);
        status = dnnl_stream_create(&s->stream, p->engine, dnnl_stream_default_flags);
        const struct {
            dnnl_memory_t *out;
            memory_desc_of desc;
        } wanted[] = {{&s->image, desc_at(&p->desc.image)},
                      {&s->result, desc_at(&p->desc.result)},
                      {&s->plain, desc_at(&p->desc.plain)},
                      {&s->weights, weights},
                      {&s->scratch, scratch}};
        for (int k = 0; k < TW_COUNT(wanted) && status == dnnl_success; k++)
            status = dnnl_memory_create(wanted[k].out, wanted[k].desc, p->engine, DNNL_MEMORY_NONE);
    }
    return status;
}

/* oneDNN does everything somehow; its plain loops are slower than ours. */
static bool is_fast(const_dnnl_primitive_desc_t desc)
{
    const char *name = NULL;
    if (dnnl_primitive_desc_query(desc, dnnl_query_impl_info_str, 0, &name) != dnnl_success || !name) return false;
    return strncmp(name, "jit", 3) == 0 || strncmp(name, "brg", 3) == 0;
}

/* The primitives of a plan whose descriptors are made. */
static dnnl_status_t make_primitives(library_plan *p, const geometry *s)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t forward = NULL, desc = NULL;
    descs hint = {0};
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success) status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success) status = make_descs(&hint, s, TW_CONV_FORWARD, p->round != NULL);
    if (status == dnnl_success) status = make_convolution(&forward, TW_CONV_FORWARD, s, &hint, p->engine, NULL, attr);
    if (status == dnnl_success && p->pass != TW_CONV_FORWARD)
        status = make_convolution(&desc, p->pass, s, &p->desc, p->engine, forward, attr);
    dnnl_primitive_desc_t used = p->pass == TW_CONV_FORWARD ? forward : desc;
    if (status == dnnl_success && !is_fast(used)) status = dnnl_unimplemented;
    if (status == dnnl_success) {
        bool to_weights = p->pass == TW_CONV_WEIGHTS;
        memory_desc_of weights =
            dnnl_primitive_desc_query_md(used, to_weights ? dnnl_query_diff_weights_md : dnnl_query_weights_md, 0);
        memory_desc_of scratch = dnnl_primitive_desc_query_md(used, dnnl_query_scratchpad_md, 0);
        memory_desc_of plain = desc_at(&p->desc.plain);
        p->same_layout = dnnl_memory_desc_equal(weights, plain) != 0;
        p->scratch_at = (desc_bytes(weights) + 63) / 64 * 64;
        if (!to_weights && !p->same_layout) p->head.packed_bytes = desc_bytes(weights);
        p->image_at = p->scratch_at + (desc_bytes(scratch) + 63) / 64 * 64;
        p->result_at = p->image_at + (p->round ? (desc_bytes(desc_at(&p->desc.image)) + 63) / 64 * 64 : 0);
        p->head.scratch_bytes = p->result_at + (p->round ? desc_bytes(desc_at(&p->desc.result)) : 0) + 64;
        status = dnnl_primitive_create(&p->convolution, used);
        if (status == dnnl_success)
            status =
                make_reorder(&p->reorder, to_weights ? weights : plain, to_weights ? plain : weights, p->engine, 0);
        if (status == dnnl_success && to_weights)
            status = make_reorder(&p->reorder_more, weights, plain, p->engine, true);
        if (status == dnnl_success) status = make_slots(p, weights, scratch);
    }
    if (desc) dnnl_primitive_desc_destroy(desc);
    if (forward) dnnl_primitive_desc_destroy(forward);
    free_descs(&hint);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return status;
}

/* The OpenMP runtime is whichever oneDNN was linked with. */
static void *openmp(const char *name)
{
    return dlsym(RTLD_DEFAULT, name);
}

/* Primitives share their work out over as many threads as the creating thread has: one. */
static dnnl_status_t make_single_threaded(library_plan *p, const geometry *s)
{
    int (*threads)(void);
    void *set = openmp("omp_set_num_threads"), *get = openmp("omp_get_max_threads");
    memcpy(&p->set_threads, &set, sizeof set);
    memcpy(&threads, &get, sizeof get);
    if (!set || !get) return make_primitives(p, s);
    int before = threads();
    p->set_threads(1);
    dnnl_status_t status = make_primitives(p, s);
    p->set_threads(before);
    return status;
}

/* Anything oneDNN refuses is ours; only memory that is out is an error. */
static tw_status try_create(tw_context *ctx, tw_conv_pass pass, bool bf16, const tw_conv_sizes *z,
                            tw_conv_plan **out_plan)
{
    library_plan *p = tw_alloc(ctx, 1, sizeof *p);
    if (!p) return tw_fail_memory(ctx, sizeof *p);
    geometry s = geometry_of(z);
    p->head = (tw_conv_plan){
        .name = bf16 ? LIBRARY_NAME " bf16" : LIBRARY_NAME, .run = run, .prepare = prepare, .destroy = destroy};
    p->pass = pass;
    p->image = z->image[0] * z->image[1] * z->image[2] * z->c;
    p->result = z->result[0] * z->result[1] * z->result[2] * z->o;
    p->round = bf16 ? tw_cpu_best()->cast[TW_DTYPE_F32][TW_DTYPE_BF16] : NULL;
    dnnl_status_t status = dnnl_engine_create(&p->engine, dnnl_cpu, 0);
    if (status == dnnl_success) status = make_descs(&p->desc, &s, pass, bf16);
    if (status == dnnl_success) status = make_single_threaded(p, &s);
    if (status == dnnl_success)
        *out_plan = &p->head;
    else
        destroy(ctx, &p->head);
    return status == dnnl_out_of_memory ? tw_fail(ctx, TW_ERR_MEMORY, "out of memory: a convolution by oneDNN") : TW_OK;
}

/* In bf16 where the processor multiplies it, else in f32. */
static tw_status create(tw_context *ctx, tw_conv_pass pass, tw_product_kind kind, const tw_conv_sizes *z,
                        int64_t images, tw_conv_plan **out_plan)
{
    (void)images;
    if (kind == TW_PRODUCT_F64 || z->n == 0 || z->c == 0 || z->o == 0) return TW_OK;
    tw_status status = TW_OK;
    if (kind == TW_PRODUCT_BF16 && tw_cpu_has_bf16()) status = try_create(ctx, pass, true, z, out_plan);
    return status != TW_OK || *out_plan ? status : try_create(ctx, pass, false, z, out_plan);
}

const tw_conv_kind tw_conv_library = {.name = LIBRARY_NAME, .create = create};

#else

static tw_status create(tw_context *ctx, tw_conv_pass pass, tw_product_kind kind, const tw_conv_sizes *sizes,
                        int64_t images, tw_conv_plan **out_plan)
{
    (void)ctx, (void)pass, (void)kind, (void)sizes, (void)images;
    *out_plan = NULL;
    return TW_OK;
}

const tw_conv_kind tw_conv_library = {.name = "none", .create = create};

#endif
