/* train/producer.c - see producer.h. The thread has a context of its own, as everything that runs beside another thread
 * must; it sleeps until a batch is asked for. */
#include "train/producer.h"

#include "base/file.h"

#include <thalweg/coupling.h>

#include <pthread.h>
#include <string.h>

/* A batch as drawn and as paired. */
typedef struct lot {
    float *drawn[TW_FEEDS], *paired[TW_FEEDS];
    int64_t step; /* -1: none */
    tw_status status;
    double seconds; /* it took */
} lot;

/* Pairs rows in place of a copy: labels come from the conditions that are classes, distances from those that are
 * numbers. */
typedef struct pairing {
    tw_coupler *coupler;
    int64_t *source, *data, *label;
    float *distance; /* (batch, numbers) */
    const tw_space *space;
    double *point; /* two of them */
    int numbers;     /* conditions that are numbers */
    tw_align_desc align; /* of sequences, */
    int32_t *token;      /* four times (batch, columns): x0, x1, z0, z1; NULL: pairs are not aligned */
    int32_t *length;     /* (batch) of each */
} pairing;

struct tw_producer {
    tw_context *owner, *ctx; /* of the training, of the thread */
    const tw_flow *flow;
    tw_producer_desc desc;
    tw_graph *graph;
    tw_program *program;
    tw_state *state;
    int feeds; /* inputs and outputs in use */
    uint32_t key[2], counter[2];
    pairing pairing;
    lot lot[2];

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    bool started, stop;
    int64_t wanted; /* step to make into lot[making], -1: none */
    int making;
    double worked, waited;
};

/* Of what a batch is; widths are only needed to draw it. */
static int feed_columns(const tw_batch_desc *b, int feed)
{
    if (feed == TW_FEED_WIDTH) return 0;
    return feed == TW_FEED_CONDITION ? b->conditions : b->columns;
}

static bool couples(const tw_flow *flow)
{
    const char *kind = flow->piece[TW_PIECE_coupling].info->name;
    return strcmp(kind, "independent") != 0 && strcmp(kind, "given") != 0;
}

static bool aligns(const tw_flow *flow)
{
    return flow->space.ragged && !flow->edits.inserts_only;
}

bool tw_producer_needed(const tw_flow *flow)
{
    return couples(flow) || aligns(flow);
}

/* --- pairing ------------------------------------------------------------------------------------------------------ */

static void pairing_free(tw_context *ctx, pairing *p)
{
    tw_coupler_destroy(p->coupler);
    tw_free(ctx, p->source);
    tw_free(ctx, p->data);
    tw_free(ctx, p->label);
    tw_free(ctx, p->distance);
    tw_free(ctx, p->point);
    tw_free(ctx, p->token);
    tw_free(ctx, p->length);
    *p = (pairing){0};
}

/* Squared distances on a manifold. */
static void cost_on_space(void *user, int64_t n, int64_t columns, const float *source, const float *data, double *out)
{
    const pairing *p = user;
    double *x = p->point, *y = x + columns;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < columns; k++) y[k] = (double)data[i * columns + k];
        for (int64_t j = 0; j < n; j++) {
            for (int64_t k = 0; k < columns; k++) x[k] = (double)source[j * columns + k];
            double d = tw_space_distance(p->space, x, y);
            out[i * n + j] = d * d;
        }
    }
}

static tw_status pairing_create(tw_context *ctx, const tw_flow *flow, const tw_batch_desc *b, uint64_t seed, pairing *p)
{
    size_t batch = (size_t)b->batch;
    tw_status status = TW_OK;
    if (aligns(flow)) {
        p->align = (tw_align_desc){.kind = flow->edits.alignment, .seed = seed};
        p->token = tw_alloc(ctx, 4 * batch * (size_t)b->columns, sizeof(int32_t));
        p->length = tw_alloc(ctx, 4 * batch, sizeof(int32_t));
        if (!p->token || !p->length) TW_TRY(tw_fail_memory(ctx, 4 * batch * (size_t)b->columns * sizeof(int32_t)));
    }
    if (!couples(flow)) return TW_OK;
    for (int i = 0; i < flow->desc.conditions_count; i++) p->numbers += flow->desc.conditions[i].classes == 0;
    tw_coupling_desc desc = {.kind = flow->piece[TW_PIECE_coupling].text,
                             .most_points = b->batch,
                             .columns = b->columns,
                             .condition_columns = p->numbers,
                             .seed = seed};
    if (!flow->space.flat) {
        p->space = &flow->space;
        p->point = tw_alloc(ctx, 2 * (size_t)b->columns, sizeof(double));
        if (!p->point) TW_TRY(tw_fail_memory(ctx, 2 * (size_t)b->columns * sizeof(double)));
        desc.cost = cost_on_space;
        desc.cost_user = p;
    }
    TW_TRY(tw_coupler_create(ctx, &desc, &p->coupler));
    p->source = tw_alloc(ctx, batch, sizeof(int64_t));
    p->data = tw_alloc(ctx, batch, sizeof(int64_t));
    p->label = tw_alloc(ctx, batch, sizeof(int64_t));
    p->distance = tw_alloc(ctx, batch * (size_t)tw_max_i64(p->numbers, 1), sizeof(float));
    if (!p->source || !p->data || !p->label || !p->distance) status = tw_fail_memory(ctx, batch * sizeof(int64_t));
done:
    if (status != TW_OK) pairing_free(ctx, p);
    return status;
}

/* Classes as one number a row, conditions that are numbers standardised. */
static void read_conditions(const tw_flow *flow, pairing *p, int64_t rows, const float *condition)
{
    const tw_flow_desc *d = &flow->desc;
    for (int64_t i = 0; i < rows; i++) {
        int64_t label = 0;
        for (int j = 0, k = 0; j < d->conditions_count; j++) {
            const tw_condition *c = &d->conditions[j];
            double value = (double)condition[i * d->conditions_count + j];
            if (c->classes > 0)
                label = label * (c->classes + 1) + (value >= 0 ? (int64_t)value + 1 : 0); /* untold: one of its own */
            else
                p->distance[i * p->numbers + k++] = value > TW_UNTOLD / 2 ? (float)((value - c->mean) / c->scale) : 0;
        }
        p->label[i] = label;
    }
}

static void gather(int64_t rows, int columns, const int64_t *index, const float *from, float *to)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * columns, from + index[i] * columns, (size_t)columns * sizeof *to);
}

/* Sequences that are filled up, as they are taken apart. */
static void take_sequences(float blank, const float *rows, const tw_sequences *out)
{
    for (int64_t i = 0; i < out->rows; i++) {
        const float *row = rows + i * out->width;
        int32_t count = 0;
        for (; count < out->width && row[count] != blank; count++) out->token[i * out->width + count] = (int32_t)row[count];
        out->length[i] = count;
    }
}

static void give_sequences(float blank, const tw_sequences *z, float *rows)
{
    for (int64_t i = 0; i < z->rows; i++)
        for (int64_t k = 0; k < z->width; k++) {
            int32_t token = k < z->length[i] ? z->token[i * z->width + k] : TW_BLANK;
            rows[i * z->width + k] = token == TW_BLANK ? blank : (float)token;
        }
}

/* Rows of pairs as alignments, in place. */
static tw_status align(tw_context *ctx, const tw_flow *flow, pairing *p, const tw_batch_desc *b, int64_t step,
                       int64_t rows, float *x0, float *x1)
{
    const float blank = (float)flow->edits.symbols;
    tw_sequences s[4];
    for (int i = 0; i < 4; i++)
        s[i] = (tw_sequences){rows, b->columns, p->token + i * rows * b->columns, p->length + i * rows};
    take_sequences(blank, x0, &s[0]);
    take_sequences(blank, x1, &s[1]);
    p->align.step = step;
    tw_status status = tw_edit_align(ctx, &p->align, &s[0], &s[1], &s[2], &s[3]);
    if (status != TW_OK) return status;
    give_sequences(blank, &s[2], x0);
    give_sequences(blank, &s[3], x1);
    return TW_OK;
}

static tw_status couple(const tw_flow *flow, pairing *p, const tw_batch_desc *b, int64_t step, int64_t rows,
                        float *const drawn[TW_FEEDS], float *const paired[TW_FEEDS])
{
    if (b->conditions > 0) read_conditions(flow, p, rows, drawn[TW_FEED_CONDITION]);
    tw_coupling_batch batch = {.points = rows,
                               .step = (uint64_t)step,
                               .source = drawn[TW_FEED_SOURCE],
                               .data = drawn[TW_FEED_DATA],
                               .data_label = b->conditions > 0 ? p->label : NULL,
                               .data_condition = p->numbers > 0 ? p->distance : NULL};
    tw_status status = tw_coupler_pair(p->coupler, &batch, p->source, p->data);
    if (status != TW_OK) return status;
    for (int f = 0; f < TW_FEEDS; f++)
        if (drawn[f]) gather(rows, feed_columns(b, f), f == TW_FEED_SOURCE ? p->source : p->data, drawn[f], paired[f]);
    return TW_OK;
}

static tw_status pair(tw_context *ctx, const tw_flow *flow, pairing *p, const tw_batch_desc *b, int64_t step,
                      int64_t rows, float *const drawn[TW_FEEDS], float *const paired[TW_FEEDS])
{
    tw_status status = p->coupler ? couple(flow, p, b, step, rows, drawn, paired) : TW_OK;
    for (int f = 0; f < TW_FEEDS && !p->coupler; f++)
        if (drawn[f]) memcpy(paired[f], drawn[f], (size_t)rows * (size_t)feed_columns(b, f) * sizeof(float));
    if (status != TW_OK || !p->token) return status;
    return align(ctx, flow, p, b, step, rows, paired[TW_FEED_SOURCE], paired[TW_FEED_DATA]);
}

tw_status tw_producer_pair_blocks(tw_flow *flow, const tw_batch_desc *desc, uint64_t seed, int64_t rows, float *x0,
                                  float *x1, float *condition)
{
    tw_context *ctx = flow->ctx;
    pairing p = {0};
    float *drawn[TW_FEEDS] = {0}, *const all[TW_FEEDS] = {x1, x0, condition};
    tw_status status = TW_OK;
    TW_TRY(pairing_create(ctx, flow, desc, seed, &p));
    for (int f = 0; f < TW_FEEDS; f++)
        if (all[f] && !(drawn[f] = tw_alloc(ctx, (size_t)desc->batch * (size_t)feed_columns(desc, f), sizeof(float))))
            TW_TRY(tw_fail_memory(ctx, (size_t)desc->batch * sizeof(float)));
    for (int64_t begin = 0; begin < rows; begin += desc->batch) {
        int64_t count = tw_min_i64(desc->batch, rows - begin);
        float *paired[TW_FEEDS] = {0};
        for (int f = 0; f < TW_FEEDS; f++) {
            if (!all[f]) continue;
            paired[f] = all[f] + begin * feed_columns(desc, f);
            memcpy(drawn[f], paired[f], (size_t)count * (size_t)feed_columns(desc, f) * sizeof(float));
        }
        TW_TRY(pair(ctx, flow, &p, desc, begin, count, drawn, paired));
    }
done:
    for (int f = 0; f < TW_FEEDS; f++) tw_free(ctx, drawn[f]);
    pairing_free(ctx, &p);
    return status;
}

/* --- making one batch --------------------------------------------------------------------------------------------- */

static tw_status build_program(tw_producer *p)
{
    const tw_batch_desc *b = &p->desc.batch;
    tw_val feed[TW_FEEDS], inputs[TW_FEEDS + 2], outputs[TW_FEEDS];
    int count = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(p->ctx, &p->graph));
    tw_val key = tw_input(p->graph, "key", TW_DTYPE_U32, tw_shape_of(2));
    tw_val counter = tw_input(p->graph, "counter", TW_DTYPE_U32, tw_shape_of(2));
    tw_batch_tables(p->graph, b, feed);
    tw_batch batch = tw_batch_draw(&p->flow->space, p->flow->model.source, b, feed, key, counter);
    const tw_val made[TW_FEEDS] = {batch.x1, batch.x0, batch.condition, TW_NONE};
    TW_TRY(tw_graph_check(p->graph));
    for (int f = 0; f < TW_FEEDS; f++)
        if (!tw_is_none(feed[f])) inputs[count++] = feed[f];
    inputs[count] = key;
    inputs[count + 1] = counter;
    for (int f = 0; f < TW_FEEDS; f++)
        if (!tw_is_none(made[f])) outputs[p->feeds++] = made[f];
    tw_program_desc desc = {
        .name = "batches", .inputs_count = count + 2, .inputs = inputs, .outputs_count = p->feeds, .outputs = outputs};
    TW_TRY(tw_program_compile(p->ctx, &desc, &p->program));
    TW_TRY(tw_state_create(p->program, 1, &p->state));
done:
    return status;
}

static tw_status make_lots(tw_producer *p)
{
    const tw_batch_desc *b = &p->desc.batch;
    for (int i = 0; i < 2; i++) {
        lot *l = &p->lot[i];
        l->step = -1;
        for (int f = 0; f < TW_FEEDS; f++) {
            size_t bytes = (size_t)b->batch * (size_t)feed_columns(b, f) * sizeof(float);
            if (bytes == 0) continue;
            l->drawn[f] = tw_alloc_aligned(p->ctx, bytes);
            l->paired[f] = tw_alloc_aligned(p->ctx, bytes);
            if (!l->drawn[f] || !l->paired[f]) return tw_fail_memory(p->ctx, bytes);
        }
    }
    return TW_OK;
}

static void make(tw_producer *p, lot *l, int64_t step)
{
    const void *inputs[TW_FEEDS + 2];
    void *outputs[TW_FEEDS];
    int count = 0, made = 0;
    double begun = tw_clock();
    p->counter[0] = (uint32_t)step;
    p->counter[1] = (uint32_t)((uint64_t)step >> 32);
    for (int f = 0; f < TW_FEEDS; f++)
        if (p->desc.table[f]) inputs[count++] = p->desc.table[f];
    inputs[count] = p->key;
    inputs[count + 1] = p->counter;
    for (int f = 0; f < TW_FEEDS; f++)
        if (l->drawn[f]) outputs[made++] = l->drawn[f];
    l->step = step;
    l->status = tw_program_run(p->state, inputs, outputs, 0);
    if (l->status == TW_OK)
        l->status = pair(p->ctx, p->flow, &p->pairing, &p->desc.batch, step, p->desc.batch.batch, l->drawn, l->paired);
    l->seconds = tw_clock() - begun;
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

static void *work(void *user)
{
    tw_producer *p = user;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (p->wanted < 0) {
            pthread_cond_wait(&p->wake, &p->lock);
            continue;
        }
        int64_t step = p->wanted;
        lot *l = &p->lot[p->making];
        pthread_mutex_unlock(&p->lock);
        make(p, l, step);
        pthread_mutex_lock(&p->lock);
        p->worked += l->seconds;
        p->wanted = -1;
        pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void ask(tw_producer *p, int64_t step)
{
    p->wanted = step;
    pthread_cond_signal(&p->wake);
}

tw_status tw_producer_take(tw_producer *p, int64_t step, const float *out_feed[TW_FEEDS])
{
    double begun = tw_clock();
    pthread_mutex_lock(&p->lock);
    while (p->wanted >= 0) pthread_cond_wait(&p->done, &p->lock);
    if (p->lot[p->making].step != step) { /* the first batch, or not the one that was expected */
        ask(p, step);
        while (p->wanted >= 0) pthread_cond_wait(&p->done, &p->lock);
    }
    lot *l = &p->lot[p->making];
    p->waited += tw_clock() - begun;
    p->making = 1 - p->making;
    tw_status status = l->status;
    if (status != TW_OK) {
        status = tw_fail(p->owner, status, "the batch of step %lld: %s", (long long)step, tw_context_error(p->ctx));
        l->step = -1;
    } else {
        ask(p, step + 1);
    }
    pthread_mutex_unlock(&p->lock);
    for (int f = 0; f < TW_FEEDS; f++) out_feed[f] = l->paired[f];
    return status;
}

void tw_producer_times(tw_producer *p, double *out_worked, double *out_waited)
{
    pthread_mutex_lock(&p->lock);
    *out_worked = p->worked;
    *out_waited = p->waited;
    pthread_mutex_unlock(&p->lock);
}

/* --- making and ending -------------------------------------------------------------------------------------------- */

static tw_status start(tw_producer *p)
{
    if (pthread_mutex_init(&p->lock, NULL) != 0) return tw_fail(p->owner, TW_ERR_MEMORY, "no lock for batches");
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    p->started = pthread_create(&p->thread, NULL, work, p) == 0;
    if (p->started) return TW_OK;
    pthread_cond_destroy(&p->wake);
    pthread_cond_destroy(&p->done);
    pthread_mutex_destroy(&p->lock);
    return tw_fail(p->owner, TW_ERR_MEMORY, "no thread for batches could be started");
}

tw_status tw_producer_create(tw_flow *flow, const tw_producer_desc *desc, tw_producer **out_producer)
{
    tw_status status = TW_OK;
    tw_producer *p = tw_alloc(flow->ctx, 1, sizeof *p);
    if (!p) return tw_fail_memory(flow->ctx, sizeof *p);
    *p = (tw_producer){.owner = flow->ctx,
                       .flow = flow,
                       .desc = *desc,
                       .key = {(uint32_t)desc->seed, (uint32_t)(desc->seed >> 32)},
                       .wanted = -1};
    p->ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    if (!p->ctx) TW_TRY(tw_fail(flow->ctx, TW_ERR_MEMORY, "out of memory while making batches"));
    status = build_program(p);
    if (status == TW_OK) status = pairing_create(p->ctx, flow, &desc->batch, desc->seed, &p->pairing);
    if (status == TW_OK) status = make_lots(p);
    if (status != TW_OK) TW_TRY(tw_fail(flow->ctx, status, "%s", tw_context_error(p->ctx)));
    TW_TRY(start(p));
    *out_producer = p;
    p = NULL;
done:
    tw_producer_destroy(p);
    return status;
}

void tw_producer_destroy(tw_producer *p)
{
    if (!p) return;
    if (p->started) {
        pthread_mutex_lock(&p->lock);
        p->stop = true;
        pthread_cond_signal(&p->wake);
        pthread_mutex_unlock(&p->lock);
        pthread_join(p->thread, NULL);
        pthread_cond_destroy(&p->wake);
        pthread_cond_destroy(&p->done);
        pthread_mutex_destroy(&p->lock);
    }
    if (p->ctx) {
        for (int i = 0; i < 2; i++)
            for (int f = 0; f < TW_FEEDS; f++) {
                tw_free_aligned(p->ctx, p->lot[i].drawn[f]);
                tw_free_aligned(p->ctx, p->lot[i].paired[f]);
            }
        pairing_free(p->ctx, &p->pairing);
        tw_state_destroy(p->state);
        tw_program_destroy(p->program);
        tw_graph_destroy(p->graph);
        tw_context_destroy(p->ctx);
    }
    tw_free(p->owner, p);
}
