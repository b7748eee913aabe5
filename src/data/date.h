/* data/date.h - dates as ISO 8601 writes them, as days since 1970-01-01: 2024-02-29, 2024-02-29T13:05, 2024-02-29
 * 13:05:30 (no zones, no fractions). */
#ifndef TW_DATA_DATE_H
#define TW_DATA_DATE_H

#include <stdbool.h>
#include <stddef.h>

/* What is written of a date: the day, and behind a letter between them minutes or seconds. */
typedef enum tw_date_form { TW_DATE_DAY, TW_DATE_MINUTE, TW_DATE_SECOND } tw_date_form;

bool tw_date_parse(const char *text, double *out_days, tw_date_form *out_form, char *out_between);
enum { TW_DATE_ROOM = 48 };
void tw_date_print(double days, tw_date_form form, char between, char out[TW_DATE_ROOM]);

#endif
