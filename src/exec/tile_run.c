/* exec/tile_run.c - running a tile program: TW_TILE elements at a time through all its instructions. */
#include "exec/inst.h"

void tw_fill(void *dst, const void *value, int64_t n, size_t size)
{
    if (size == 4) {
        uint32_t v, *d = dst;
        memcpy(&v, value, 4);
        for (int64_t i = 0; i < n; i++) d[i] = v;
    } else if (size == 8) {
        uint64_t v, *d = dst;
        memcpy(&v, value, 8);
        for (int64_t i = 0; i < n; i++) d[i] = v;
    } else if (size == 2) {
        uint16_t v, *d = dst;
        memcpy(&v, value, 2);
        for (int64_t i = 0; i < n; i++) d[i] = v;
    } else {
        memset(dst, *(const unsigned char *)value, (size_t)n);
    }
}

/* dst[i] = src[index map of element begin + i]: runs of the innermost axis, outer axes counted up. */
static void stretch(unsigned char *dst, const unsigned char *src, const tw_stretch *s, int64_t begin, int64_t n,
                    size_t size)
{
    int64_t digit[TW_MAX_RANK] = {0}, rest = begin, offset = 0;
    int inner = s->rank - 1;
    for (int i = inner; i > 0; i--) {
        digit[i] = rest % s->dim[i];
        rest /= s->dim[i];
    }
    digit[0] = rest;
    for (int i = 0; i <= inner; i++) offset += digit[i] * s->stride[i];
    int64_t length = inner > 0 ? s->dim[inner] : INT64_MAX;
    while (n > 0) {
        int64_t run_length = tw_min_i64(length - digit[inner], n);
        if (s->stride[inner] == 0)
            tw_fill(dst, src + (size_t)offset * size, run_length, size);
        else
            memcpy(dst, src + (size_t)offset * size, (size_t)run_length * size);
        dst += (size_t)run_length * size;
        n -= run_length;
        if (n == 0) break;
        offset -= digit[inner] * s->stride[inner];
        digit[inner] = 0;
        for (int i = inner - 1; i >= 0; i--) {
            digit[i]++;
            offset += s->stride[i];
            if (i == 0 || digit[i] < s->dim[i]) break;
            offset -= digit[i] * s->stride[i];
            digit[i] = 0;
        }
    }
}

static void run_tile(const tw_block *b, const tw_inst *inst)
{
    const tw_program *p = b->p;
    enum { SLOT = TW_TILE * (int)sizeof(double) };
    int64_t total = b->rows * inst->per_row, step = TW_TILE / inst->line * inst->line;
    for (int32_t t = 0; t < inst->tile_count; t++) {
        const tw_tile_inst *tile = &p->tiles[inst->tile_begin + t];
        if (tile->dst.place >= 0) b->pointer[tile->dst.place] = tw_block_at(b, &p->places[tile->dst.place]);
        for (int k = 0; k < 3; k++)
            if (tile->arg[k].place >= 0)
                b->pointer[tile->arg[k].place] = tw_block_at(b, &p->places[tile->arg[k].place]);
    }
    for (int32_t l = 0; l < inst->load_count; l++) {
        const tw_tile_load *load = &p->loads[inst->load_begin + l];
        b->pointer[load->place] = tw_block_at(b, &p->places[load->place]);
        if (load->steady)
            stretch(b->registers + (size_t)load->slot * SLOT, b->pointer[load->place], &load->stretch, 0,
                    tw_min_i64(total, TW_TILE), load->size);
    }
    for (int64_t e = 0; e < total; e += step) {
        int64_t n = tw_min_i64(total - e, step);
        for (int32_t l = 0; l < inst->load_count; l++) {
            const tw_tile_load *load = &p->loads[inst->load_begin + l];
            if (!load->steady)
                stretch(b->registers + (size_t)load->slot * SLOT, b->pointer[load->place], &load->stretch, e, n,
                        load->size);
        }
        for (int32_t t = 0; t < inst->tile_count; t++) {
            const tw_tile_inst *tile = &p->tiles[inst->tile_begin + t];
            const unsigned char *arg[3];
            for (int k = 0; k < 3; k++)
                arg[k] = tile->arg[k].slot >= 0 ? b->registers + (size_t)tile->arg[k].slot * SLOT
                                                : b->pointer[tile->arg[k].place] + (size_t)e * tile->arg[k].size;
            if (tile->reduce) {
                tile->reduce(arg[0], n / inst->line, inst->line,
                             b->pointer[tile->dst.place] + (size_t)(e / inst->line) * tile->dst.size);
                continue;
            }
            unsigned char *dst = tile->dst.slot >= 0 ? b->registers + (size_t)tile->dst.slot * SLOT
                                                     : b->pointer[tile->dst.place] + (size_t)e * tile->dst.size;
            tile->fn(dst, arg[0], arg[1], arg[2], n);
        }
    }
}

static void print_tile(const tw_inst *inst, tw_text *text)
{
    tw_text_add(text, " %lld a row, %d registers:", (long long)inst->per_row, inst->slots);
}

const tw_inst_kind tw_tile_kind = {.name = "tile", .run = run_tile, .print = print_tile, .light = true};
