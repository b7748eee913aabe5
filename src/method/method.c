/* method/method.c - the table of methods. */
#include "method/method.h"

static const tw_method methods[] = {
#define TW_METHOD(name, about, source) {{#name, about, source}, &tw_method_##name},
#include "method/methods.def"
};

const tw_piece_info *tw_method_list(int index)
{
    return index >= 0 && index < TW_COUNT(methods) ? &methods[index].info : NULL;
}
