/* io/utf8.c - the check behind io/utf8.h: a byte machine; ASCII takes the short way. */
#include "io/utf8.h"

/* A lead byte: how many bytes follow and the least code point that needs so many. False for bytes that lead nothing. */
static bool take_lead(tw_utf8 *s, unsigned char c)
{
    s->byte = c;
    if (c >= 0xC2 && c <= 0xDF) {
        s->need = 1;
        s->least = 0x80;
        s->code = c & 0x1Fu;
    } else if (c >= 0xE0 && c <= 0xEF) {
        s->need = 2;
        s->least = 0x800;
        s->code = c & 0x0Fu;
    } else if (c >= 0xF0 && c <= 0xF4) {
        s->need = 3;
        s->least = 0x10000;
        s->code = c & 0x07u;
    } else {
        return false;
    }
    return true;
}

static bool take_continuation(tw_utf8 *s, unsigned char c)
{
    if ((c & 0xC0) != 0x80) return false; /* the fault is told at the lead byte: that is the one to look for */
    s->code = s->code << 6 | (c & 0x3Fu);
    if (--s->need) return true;
    if (s->code < s->least || s->code > 0x10FFFF || (s->code >= 0xD800 && s->code <= 0xDFFF)) return false;
    s->column++;
    return true;
}

bool tw_utf8_check(tw_utf8 *state, const void *bytes, size_t size)
{
    const unsigned char *p = bytes, *end = p + size;
    for (; p < end; p++) {
        unsigned char c = *p;
        if (state->need) {
            if (!take_continuation(state, c)) return false;
        } else if (c == '\n' || c == '\r') {
            if (c == '\r' || !state->after_return) state->line++;
            state->column = 1;
        } else if (c == 0) {
            state->byte = 0;
            return false;
        } else if (c < 0x80) {
            state->column++;
        } else if (!take_lead(state, c)) {
            return false;
        }
        state->after_return = c == '\r';
    }
    return true;
}

bool tw_utf8_finish(tw_utf8 *state)
{
    return state->need == 0;
}
