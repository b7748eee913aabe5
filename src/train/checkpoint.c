/* train/checkpoint.c - a training put aside and taken up again, bit for bit.
 *
 * A checkpoint holds the flat arrays, the best weights, the loss curve and every decision that was not a function
 * of the step. Settings, data and initial weights are stated in it and compared on the way back: going on with others
 * would be neither the old training nor a new one. The new file is whole before the old one is renamed to FILE.prev, so
 * there is always one to go on from. */
#include "train/trainer.h"

#include "base/file.h"
#include "base/text.h"
#include "exec/program.h"
#include "flow/checksum.h"
#include "flow/metadata.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char format[] = "thalweg-checkpoint";
static const char *const flat_name[TW_FLATS] = {
    [TW_WEIGHTS] = "weights", [TW_AVERAGE] = "average", [TW_FIRST] = "first", [TW_SECOND] = "second"};

/* --- what must be the same --------------------------------------------------------------------------------------- */

static void state_settings(const tw_trainer *r, tw_metadata *m)
{
    const tw_train_desc *d = &r->options;
    const tw_flow_desc *f = &r->flow->desc;
    char seed[32];
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)d->seed);
    for (int i = 0; i < TW_PIECE_COUNT; i++) tw_metadata_add(m, tw_flow_piece_at(i)->field, r->flow->piece[i].text);
    if (f->factor_schedules) tw_metadata_add(m, "factor_schedules", f->factor_schedules);
    if (f->factor_weights) tw_metadata_add(m, "factor_weights", f->factor_weights);
    tw_metadata_add_network(m, &f->network);
    tw_metadata_add_int(m, "steps", d->steps);
    tw_metadata_add_double(m, "minutes", d->minutes);
    tw_metadata_add_int(m, "batch", d->batch);
    tw_metadata_add(m, "optimiser", r->step.graph.optimiser->name);
    tw_metadata_add_double(m, "lr", d->lr);
    tw_metadata_add_int(m, "warmup", d->warmup);
    tw_metadata_add_double(m, "weight_decay", d->weight_decay);
    tw_metadata_add_double(m, "beta1", d->beta1);
    tw_metadata_add_double(m, "beta2", d->beta2);
    tw_metadata_add_double(m, "epsilon", d->epsilon);
    tw_metadata_add_double(m, "clip", d->clip);
    tw_metadata_add_double(m, "ema", d->ema);
    tw_metadata_add(m, "precision", d->products == TW_PRODUCTS_BF16 ? "bf16" : "f32");
    tw_metadata_add(m, "times", d->independent_times ? "independent" : "stratified");
    tw_metadata_add_double(m, "condition_dropout", d->condition_dropout);
    if (f->image.height > 0) tw_metadata_add_int(m, "flip", d->flip);
    if (f->image.height > 0) tw_metadata_add_int(m, "shift", d->shift);
    tw_metadata_add_int(m, "dequantise", d->dequantise);
    if (d->smooth > 0) tw_metadata_add_double(m, "smooth", d->smooth);
    tw_metadata_add_int(m, "accumulate", d->accumulate);
    tw_metadata_add(m, "seed", seed);
    tw_metadata_add(m, "data", tw_checksum_show(r->tables.hash).text);
    tw_metadata_add(m, "initial weights", tw_checksum_show(r->initial_hash).text);
}

static tw_status compare_settings(tw_trainer *r, const char *path, const tw_tensor_file *file)
{
    tw_metadata mine = {.ctx = r->ctx};
    tw_status status = TW_OK;
    state_settings(r, &mine);
    TW_TRY(mine.status);
    for (int64_t i = 0; i < mine.count; i++) {
        const char *theirs = tw_safetensors_metadata(file, mine.key[i]);
        bool choice = strncmp(mine.key[i], "network.", 8) == 0 && strcmp(mine.value[i], "0") == 0;
        if (!theirs && choice) continue; /* there was none yet when it was written */
        TW_TRY(tw_metadata_text(r->ctx, path, file, mine.key[i], &theirs));
        if (strcmp(theirs, mine.value[i]) != 0)
            TW_TRY(tw_fail(r->ctx, TW_ERR_INVALID,
                           "%s: this checkpoint is of another training: %s is %.60s there and %.60s here", path,
                           mine.key[i], theirs, mine.value[i]));
    }
done:
    tw_metadata_free(&mine);
    return status;
}

/* --- writing ----------------------------------------------------------------------------------------------------- */

static void state_progress(const tw_trainer *r, tw_metadata *m)
{
    tw_metadata_add(m, "format", format);
    tw_metadata_add_int(m, "format_version", TW_CHECKPOINT_FORMAT_VERSION);
    tw_metadata_add(m, "thalweg_version", TW_VERSION);
    tw_metadata_add_int(m, "done", r->done);
    tw_metadata_add_int(m, "updates", r->updates);
    tw_metadata_add_int(m, "skipped", r->skipped);
    tw_metadata_add_int(m, "validations", r->validations);
    tw_metadata_add_int(m, "validated_step", r->validated_step);
    tw_metadata_add_int(m, "validation_draws", r->validation_draws);
    tw_metadata_add_int(m, "best_step", r->best_step);
    tw_metadata_add_double(m, "seconds", tw_trainer_seconds(r));
    tw_metadata_add_double(m, "last_validation", r->last_validation);
    tw_metadata_add_double(m, "best_validation", r->best_validation);
    tw_metadata_add_int(m, "plan.total", r->plan.total);
    tw_metadata_add_int(m, "plan.warmup", r->plan.warmup);
    tw_metadata_add_int(m, "plan.anchor", r->plan.anchor);
    tw_metadata_add_int(m, "plan.decisions", r->plan.decisions);
    tw_metadata_add_double(m, "plan.fraction", r->plan.fraction);
    tw_metadata_add_double(m, "plan.seconds", r->plan.seconds);
}

/* How a flat array travels: moments in codes as bytes. */
typedef struct flat_type {
    const char *name;
    int64_t count;
    size_t size;
} flat_type;

static flat_type flat_type_of(const tw_trainer *r, int kind)
{
    size_t bytes = r->step.flat_bytes[kind];
    bool coded = kind >= TW_FIRST && r->step.graph.optimiser->bits == 8;
    return coded ? (flat_type){"U8", (int64_t)bytes, 1}
                 : (flat_type){"F32", (int64_t)(bytes / sizeof(float)), sizeof(float)};
}

static tw_tensor flat_tensor(const char *name, const char *dtype, int64_t elements, const void *data, size_t element)
{
    tw_tensor tensor = {.name = (char *)(uintptr_t)name,
                        .shape = tw_shape_of(elements),
                        .data = data,
                        .size = (size_t)elements * element};
    snprintf(tensor.dtype, sizeof(tensor.dtype), "%s", dtype);
    return tensor;
}

static tw_status write_file(tw_trainer *r, const char *path)
{
    tw_metadata metadata = {.ctx = r->ctx};
    tw_tensor tensors[TW_FLATS + 2];
    int count = 0;
    int64_t size = tw_params_size(r->flow->params);
    state_progress(r, &metadata);
    state_settings(r, &metadata);
    for (int kind = 0; kind < tw_flats_of(r->step.graph.optimiser); kind++) {
        flat_type type = flat_type_of(r, kind);
        tensors[count++] = flat_tensor(flat_name[kind], type.name, type.count, r->step.flat[kind], type.size);
    }
    if (r->best) tensors[count++] = flat_tensor("best", "F32", size, r->best, sizeof(float));
    /* the curve is a block of 8-byte numbers: its bytes travel as they are */
    tensors[count++] = flat_tensor("curve", "U8", (int64_t)sizeof(tw_curve), r->curve, 1);
    tw_status status = tw_metadata_write(&metadata, path, count, tensors);
    tw_metadata_free(&metadata);
    return status;
}

/* path with a suffix; to be freed */
static char *with_suffix(tw_context *ctx, const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *text = tw_alloc(ctx, size, 1);
    if (text) snprintf(text, size, "%s%s", path, suffix);
    return text;
}

tw_status tw_checkpoint_write(tw_trainer *r)
{
    tw_context *ctx = r->ctx;
    const char *path = r->options.checkpoint;
    char *fresh = with_suffix(ctx, path, ".new"), *before = with_suffix(ctx, path, ".prev");
    tw_status status = TW_OK;
    if (!fresh || !before) TW_TRY(tw_fail_memory(ctx, strlen(path) + 6));
    TW_TRY(write_file(r, fresh));
    if (rename(path, before) != 0 && errno != ENOENT)
        TW_TRY(tw_fail(ctx, TW_ERR_IO, "%s: cannot be renamed to %s: %s", path, before, strerror(errno)));
    if (rename(fresh, path) != 0)
        TW_TRY(tw_fail(ctx, TW_ERR_IO, "%s: cannot be renamed to %s: %s", fresh, path, strerror(errno)));
done:
    tw_free(ctx, fresh);
    tw_free(ctx, before);
    return status;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static tw_status read_progress(tw_trainer *r, const char *path, const tw_tensor_file *file)
{
    const struct {
        const char *key;
        int64_t *value;
    } whole[] = {{"done", &r->done},
                 {"updates", &r->updates},
                 {"skipped", &r->skipped},
                 {"validations", &r->validations},
                 {"validated_step", &r->validated_step},
                 {"validation_draws", &r->validation_draws},
                 {"best_step", &r->best_step},
                 {"plan.total", &r->plan.total},
                 {"plan.warmup", &r->plan.warmup},
                 {"plan.anchor", &r->plan.anchor},
                 {"plan.decisions", &r->plan.decisions}};
    const struct {
        const char *key;
        double *value;
    } real[] = {{"seconds", &r->seconds_before},
                {"last_validation", &r->last_validation},
                {"best_validation", &r->best_validation},
                {"plan.fraction", &r->plan.fraction},
                {"plan.seconds", &r->plan.seconds}};
    for (int i = 0; i < TW_COUNT(whole); i++) {
        tw_status status = tw_metadata_int(r->ctx, path, file, whole[i].key, 0, INT64_MAX, whole[i].value);
        if (status != TW_OK) return status;
    }
    for (int i = 0; i < TW_COUNT(real); i++) {
        tw_status status = tw_metadata_double(r->ctx, path, file, real[i].key, real[i].value);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static tw_status read_arrays(tw_trainer *r, const char *path, const tw_tensor_file *file)
{
    int64_t size = tw_params_size(r->flow->params);
    int flats = tw_flats_of(r->step.graph.optimiser);
    const void *data[TW_FLATS] = {0}, *best = NULL, *curve = NULL;
    tw_status status = TW_OK;
    for (int kind = 0; kind < flats; kind++) {
        flat_type type = flat_type_of(r, kind);
        TW_TRY(tw_safetensors_get(r->ctx, file, path, flat_name[kind], type.name, type.count, &data[kind]));
    }
    TW_TRY(tw_safetensors_get(r->ctx, file, path, "curve", "U8", (int64_t)sizeof(tw_curve), &curve));
    if (r->best) TW_TRY(tw_safetensors_get(r->ctx, file, path, "best", "F32", size, &best));
    for (int kind = 0; kind < flats; kind++) memcpy(r->step.flat[kind], data[kind], r->step.flat_bytes[kind]);
    tw_state_forget(r->step.state);
    if (r->best) memcpy(r->best, best, (size_t)size * sizeof(float));
    memcpy(r->curve, curve, sizeof(tw_curve));
done:
    return status;
}

/* Reads one file. *out_damaged tells a file that is missing or broken from one that is sound but of another training.
 */
static tw_status read_file(tw_trainer *r, const char *path, bool *out_damaged)
{
    tw_tensor_file file = {0};
    tw_status status = TW_OK;
    *out_damaged = true;
    TW_TRY(tw_safetensors_read(r->ctx, path, &file));
    status = tw_metadata_format(r->ctx, path, &file, "checkpoint", format, TW_CHECKPOINT_FORMAT_VERSION);
    *out_damaged = status != TW_ERR_UNSUPPORTED;
    if (status != TW_OK) goto done;
    TW_TRY(tw_checksum_verify(r->ctx, path, &file));
    *out_damaged = false;
    TW_TRY(compare_settings(r, path, &file));
    TW_TRY(read_progress(r, path, &file));
    TW_TRY(read_arrays(r, path, &file));
done:
    if (status == TW_ERR_MEMORY) *out_damaged = false;
    tw_safetensors_free(r->ctx, &file);
    return status;
}

tw_status tw_checkpoint_read(tw_trainer *r, bool *out_found)
{
    tw_context *ctx = r->ctx;
    const char *path = r->options.checkpoint;
    char *before = with_suffix(ctx, path, ".prev");
    bool damaged = false, here = access(path, F_OK) == 0;
    tw_status status = TW_OK;
    if (!before) return tw_fail_memory(ctx, strlen(path) + 6);
    bool earlier = access(before, F_OK) == 0;
    *out_found = here || earlier;
    if (!*out_found) {
        tw_report(ctx, TW_LOG_WARNING, "%s: there is no checkpoint yet: training starts from the beginning", path);
        goto done;
    }
    if (here) status = read_file(r, path, &damaged);
    if (here && (status == TW_OK || !damaged || !earlier)) goto done;
    if (here) {
        char why[600];
        snprintf(why, sizeof(why), "%s", tw_context_error(ctx));
        tw_report(ctx, TW_LOG_WARNING, "%s; going on from the one before, %s", why, before);
    } else {
        tw_report(ctx, TW_LOG_WARNING, "%s: missing; going on from the one before, %s", path, before);
    }
    status = read_file(r, before, &damaged);
done:
    tw_free(ctx, before);
    return status;
}
