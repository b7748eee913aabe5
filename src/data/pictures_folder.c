/* data/pictures_folder.c - pictures of PNG and JPEG files: listed, decoded by all threads, each into its own row, so
 * that the order is that of the names. A file that is damaged is left out and said, or refused when desc.strict. */
#include "base/file.h"
#include "base/pool.h"
#include "data/folder.h"
#include "data/pictures_files.h"
#include "io/picture.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOOKED_AT = 16, MOST_FILE_BYTES = 1 << 28 };

static tw_status decode_file(tw_context *ctx, const char *path, tw_picture *out)
{
    char *bytes = NULL;
    size_t size = 0;
    tw_status status = TW_OK;
    TW_TRY(tw_file_read(ctx, path, false, MOST_FILE_BYTES, &bytes, &size));
    status = tw_picture_decode(ctx, path, bytes, size, out);
done:
    tw_free(ctx, bytes);
    return status;
}

/* --- one thread's work -------------------------------------------------------------------------------------------- */

typedef struct decoding {
    tw_pictures *pictures;
    tw_picture_file *file;
    int64_t first; /* row of file 0 */
    bool resized;
    tw_context **ctx; /* of each thread */
} decoding;

static void decode_item(void *user, int64_t item, int thread)
{
    const decoding *d = user;
    tw_context *ctx = d->ctx[thread];
    tw_picture picture = {0};
    tw_picture_file *file = &d->file[item];
    tw_image to = d->pictures->image;
    file->status = decode_file(ctx, file->path, &picture);
    if (file->status != TW_OK) return;
    tw_image from = picture.image;
    if (!d->resized && (from.height != to.height || from.width != to.width))
        file->status = TW_ERR_SHAPE;
    else
        file->status = tw_picture_fit(ctx, from, picture.pixels, to,
                                      d->pictures->bytes + (size_t)(d->first + item) * d->pictures->stride);
    tw_free(ctx, picture.pixels);
}

static tw_status decode_all(decoding *d, int64_t count)
{
    tw_context *ctx = d->pictures->ctx;
    int threads = tw_pool_threads(ctx->pool);
    tw_status status = TW_OK;
    double begun = tw_clock();
    d->ctx = tw_alloc(ctx, (size_t)threads, sizeof *d->ctx);
    if (!d->ctx) return tw_fail_memory(ctx, (size_t)threads * sizeof *d->ctx);
    for (int i = 0; i < threads; i++)
        if (!(d->ctx[i] = tw_context_create(&(tw_context_desc){.threads = 1})))
            TW_TRY(tw_fail(ctx, TW_ERR_MEMORY, "out of memory while decoding pictures"));
    tw_pool_run(ctx->pool, count, decode_item, d);
    tw_report(ctx, TW_LOG_DEBUG, "pictures: %lld files decoded in %.2f s by %d threads", (long long)count,
              tw_clock() - begun, threads);
done:
    for (int i = 0; i < threads; i++) tw_context_destroy(d->ctx[i]);
    tw_free(ctx, d->ctx);
    return status;
}

/* --- the set ------------------------------------------------------------------------------------------------------ */

/* What the pictures are, from a few of them: colour when any of those is; the size of the first that is sound. */
static tw_status look(tw_pictures *p, const tw_picture_files *files, tw_image *out_image)
{
    int64_t step = tw_max_i64(1, files->count / LOOKED_AT);
    tw_image image = {0};
    tw_status status = TW_OK;
    for (int64_t i = 0; i < files->count && !(image.height > 0 && i / step >= LOOKED_AT);
         i += image.height ? step : 1) {
        tw_picture picture = {0};
        status = decode_file(p->ctx, files->item[i].path, &picture);
        if (status == TW_ERR_MEMORY || status == TW_ERR_UNSUPPORTED) return status;
        if (status != TW_OK) continue;
        if (image.height == 0) image = picture.image;
        if (picture.image.channels > image.channels) image.channels = picture.image.channels;
        tw_free(p->ctx, picture.pixels);
    }
    *out_image = image;
    return image.height > 0 ? TW_OK : status; /* none is sound: what is wrong with the last one */
}

/* Why file `index` could not be used, as a sentence in the context. */
static tw_status tell_why(tw_pictures *p, const tw_picture_file *file)
{
    tw_picture picture = {0};
    tw_status status = decode_file(p->ctx, file->path, &picture);
    if (status != TW_OK) return status;
    status = tw_fail(p->ctx, TW_ERR_SHAPE, "%s: %d x %d pixels among pictures of %d x %d: --size N makes all N x N",
                     file->path, picture.image.height, picture.image.width, p->image.height, p->image.width);
    tw_free(p->ctx, picture.pixels);
    return status;
}

/* Moves the rows of sound files together, with their labels. */
static tw_status keep_sound(tw_pictures *p, const tw_picture_files *files, bool strict)
{
    int64_t skipped = 0, tests = 0;
    const tw_picture_file *first = NULL;
    const uint8_t *row = p->bytes;
    tw_status status = TW_OK;
    for (int64_t i = 0; i < files->count; i++, row += p->stride) {
        const tw_picture_file *file = &files->item[i];
        bool damaged = file->status == TW_ERR_FORMAT || file->status == TW_ERR_IO;
        if (file->status != TW_OK && (strict || !damaged)) return tell_why(p, file);
        if (damaged) {
            first = first ? first : file;
            skipped++;
            continue;
        }
        TW_TRY(tw_pictures_keep(p, row, file->class));
        tests += file->test;
    }
    if (first) {
        tell_why(p, first);
        TW_TRY(tw_note(p->ctx, &p->notes, "%lld of %lld pictures left out: %s", (long long)skipped,
                       (long long)files->count, tw_context_error(p->ctx)));
    }
    p->test_rows = tests < p->rows ? tests : 0;
done:
    return status;
}

static tw_status find_labels(tw_picture_files *files, const char *path, const tw_dataset_desc *desc)
{
    char beside[4096];
    if (desc->labels) return tw_picture_files_label(files, desc->labels);
    bool fits = snprintf(beside, sizeof beside, "%s/labels.csv", path) < (int)sizeof beside;
    return fits && tw_is_file(beside) ? tw_picture_files_label(files, beside) : TW_OK;
}

static bool is_picture_file(const char *path)
{
    unsigned char head[8];
    if (!tw_is_file(path)) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, head, sizeof head);
    if (fd >= 0) close(fd);
    return got > 0 && tw_picture_is(head, (size_t)got);
}

tw_status tw_pictures_open_folder(tw_pictures *p, const char *path, const tw_dataset_desc *desc, bool *out_found)
{
    tw_picture_files files = {.ctx = p->ctx};
    tw_image image = {0};
    tw_status status = TW_OK;
    if (!is_picture_file(path) && !tw_is_folder(path)) return TW_OK;
    TW_TRY(tw_picture_files_list(&files, path));
    *out_found = files.count > 0;
    if (!*out_found) goto done;
    TW_TRY(find_labels(&files, path, desc));
    TW_TRY(look(p, &files, &image));
    TW_TRY(tw_pictures_expect(p, desc, path, image, files.count));
    decoding d = {
        .pictures = p, .file = files.item, .first = p->rows, .resized = desc->size > 0 || desc->known_image.height > 0};
    TW_TRY(decode_all(&d, files.count));
    TW_TRY(keep_sound(p, &files, desc->strict));
done:
    tw_picture_files_free(&files);
    return status;
}
