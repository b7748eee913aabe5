/* data/date.c - see date.h. Days of the proleptic Gregorian calendar by eras of 400 years (Hinnant 2013,
 * chrono-compatible low-level date algorithms). */
#include "data/date.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * m + 2) / 5 + 1);
    *month = (int)(m < 10 ? m + 3 : m - 9);
    *year = y + era * 400 + (*month <= 2);
}

/* `count` digits at *text, which moves behind them. */
static bool digits(const char **text, int count, int *out)
{
    *out = 0;
    for (int i = 0; i < count; i++, (*text)++) {
        if (**text < '0' || **text > '9') return false;
        *out = 10 * *out + (**text - '0');
    }
    return true;
}

bool tw_date_parse(const char *text, double *out_days, tw_date_form *out_form, char *out_between)
{
    int year, month, day, hour = 0, minute = 0, second = 0;
    tw_date_form form = TW_DATE_DAY;
    char between = 0;
    if (!digits(&text, 4, &year) || *text++ != '-' || !digits(&text, 2, &month) || *text++ != '-' ||
        !digits(&text, 2, &day))
        return false;
    if (*text == 'T' || *text == ' ') {
        between = *text++;
        form = TW_DATE_MINUTE;
        if (!digits(&text, 2, &hour) || *text++ != ':' || !digits(&text, 2, &minute)) return false;
        if (*text == ':') {
            text++;
            form = TW_DATE_SECOND;
            if (!digits(&text, 2, &second)) return false;
        }
    }
    if (*text || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59) return false;
    int64_t days = days_of(year, month, day), back_year;
    int back_month, back_day;
    date_of(days, &back_year, &back_month, &back_day);
    if (back_month != month || back_day != day) return false; /* the 30th of February */
    *out_days = (double)days + (hour * 3600 + minute * 60 + second) / 86400.0;
    *out_form = form;
    *out_between = between;
    return true;
}

void tw_date_print(double days, tw_date_form form, char between, char out[TW_DATE_ROOM])
{
    static const int64_t units[] = {1, 1440, 86400}; /* a day */
    int64_t unit = units[form], count = (int64_t)floor(days * (double)unit + 0.5), year;
    int64_t whole = count / unit - (count % unit < 0), rest = (count - whole * unit) * (86400 / unit);
    int month, day;
    date_of(whole, &year, &month, &day);
    int length = snprintf(out, TW_DATE_ROOM, "%04lld-%02d-%02d", (long long)year, month, day);
    int hour = (int)(rest / 3600), minute = (int)(rest / 60 % 60), second = (int)(rest % 60);
    if (form == TW_DATE_MINUTE)
        snprintf(out + length, TW_DATE_ROOM - (size_t)length, "%c%02d:%02d", between, hour, minute);
    if (form == TW_DATE_SECOND)
        snprintf(out + length, TW_DATE_ROOM - (size_t)length, "%c%02d:%02d:%02d", between, hour, minute, second);
}
