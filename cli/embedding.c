/* embedding.c - see embedding.h. */
#include "embedding.h"

#include "files.h"
#include "tokens.h"

#include "data/dataset.h"
#include "io/safetensors.h"

#include <string.h>

/* The embeddings a transformer of tokens begins with: states, the symbols first, then what hides them. */
static const char learned[] = "network.embedding.weight";

static tw_status take(cli *c, int64_t symbols, int64_t width, embedding *out)
{
    *out = (embedding){.symbols = (int)symbols, .width = (int)width};
    out->place = tw_alloc(c->ctx, (size_t)(symbols * width), sizeof *out->place);
    return out->place ? TW_OK : tw_fail_memory(c->ctx, (size_t)(symbols * width) * sizeof *out->place);
}

static tw_status from_table(cli *c, const char *path, embedding *out)
{
    const tw_dataset_desc wishes = {0};
    tw_table table = {0};
    tw_status status = tw_table_open(c->ctx, path, &wishes, &table);
    if (status == TW_OK) status = take(c, table.rows, table.columns, out);
    for (int64_t i = 0; status == TW_OK && i < table.rows; i++)
        for (int k = 0; k < table.columns; k++) out->place[i * table.columns + k] = table.values[i * table.stride + k];
    tw_table_free(&table);
    return status;
}

/* Numbers mean the same symbols in both. */
static tw_status check_symbols(cli *c, const model *m, const tw_tokeniser *tokeniser)
{
    const char *theirs = tw_flow_fact(m->flow, FACT_TOKENISER);
    char *ours = NULL;
    if (!tokeniser) return TW_OK;
    tw_status status = tw_tokeniser_to_text(c->ctx, tokeniser, &ours);
    if (status == TW_OK && (!theirs || strcmp(theirs, ours) != 0))
        status =
            tw_fail(c->ctx, TW_ERR_INVALID, "--embedding %s: that model has other symbols than this text", m->shown);
    tw_string_free(c->ctx, ours);
    return status;
}

static tw_status from_model(cli *c, const char *run, const tw_tokeniser *tokeniser, embedding *out)
{
    model m = {0};
    tw_tensor_file file = {0};
    const void *data = NULL;
    tw_status status = TW_OK;
    TW_TRY(model_open_at(c->ctx, run, &m));
    TW_TRY(check_symbols(c, &m, tokeniser));
    TW_TRY(tw_safetensors_read(c->ctx, m.path, &file));
    const tw_tensor *tensor = tw_safetensors_find(&file, learned);
    if (!tensor)
        TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "--embedding %s: a network '%s' has learned none ('ddit' has)", run,
                       m.about->network.kind));
    TW_TRY(tw_safetensors_get(c->ctx, &file, m.path, learned, "F32", -1, &data));
    int64_t width = tensor->shape.dim[1], symbols = tw_min_i64(tensor->shape.dim[0], token_symbols(&m));
    TW_TRY(take(c, symbols, width, out));
    for (int64_t i = 0; i < symbols * width; i++) out->place[i] = (double)((const float *)data)[i];
done:
    tw_safetensors_free(c->ctx, &file);
    model_close(&m);
    return status;
}

tw_status embedding_open(cli *c, const tw_tokeniser *tokeniser, embedding *out)
{
    const char *from = opt_text(&c->set, OPT_EMBEDDING);
    *out = (embedding){0};
    if (!from) return TW_OK;
    return folder_exists(from) || has_ending(from, ".safetensors") ? from_model(c, from, tokeniser, out)
                                                                   : from_table(c, from, out);
}

void embedding_close(cli *c, embedding *e)
{
    tw_free(c->ctx, e->place);
    *e = (embedding){0};
}
