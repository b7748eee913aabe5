/* base/cpus.c - how many CPUs this process may use: the affinity mask, lowered by a control group's quota.
 *
 * Version 2 groups keep "QUOTA PERIOD" (or "max PERIOD") in cpu.max, version 1 groups a pair of files, -1 for none; a
 * limit on any parent holds for the child, so the path is walked up to the root. */
#include "base/pool.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool ok = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return ok;
}

/* CPUs granted by quota/period, rounded up; 0 when there is no limit. */
static int quota_cpus(long long quota, long long period)
{
    if (quota <= 0 || period <= 0) return 0;
    long long cpus = (quota + period - 1) / period;
    return cpus > 4096 ? 0 : (int)cpus;
}

static int group_cpus(const char *folder, bool v2)
{
    char path[8800], line[128], period_line[128];
    if (v2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        char *rest = NULL;
        if (!read_line(path, line, sizeof line)) return 0;
        long long quota = strtoll(line, &rest, 10); /* "max" reads as 0: no limit */
        return quota_cpus(quota, strtoll(rest, NULL, 10));
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line)) return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, period_line, sizeof period_line)) return 0;
    return quota_cpus(strtoll(line, NULL, 10), strtoll(period_line, NULL, 10));
}

/* The smallest limit of the group at root/path and its parents; 0 for none. `path` is cut while walking. */
static int chain_cpus(const char *root, char *path, bool v2)
{
    int least = 0;
    for (;;) {
        char folder[8700];
        snprintf(folder, sizeof folder, "%s%s", root, path);
        int cpus = group_cpus(folder, v2);
        if (cpus > 0 && (least == 0 || cpus < least)) least = cpus;
        char *slash = strrchr(path, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

static bool names_cpu(const char *controllers)
{
    for (const char *at = controllers; at; at = strchr(at, ','), at = at ? at + 1 : NULL)
        if (strncmp(at, "cpu", 3) == 0 && (at[3] == 0 || at[3] == ',')) return true;
    return false;
}

int tw_cpus_of_groups(const char *root)
{
    char place[4400];
    snprintf(place, sizeof place, "%s/proc/self/cgroup", root);
    FILE *file = fopen(place, "re");
    if (!file) return 0;
    int least = 0;
    char line[4200];
    while (fgets(line, sizeof line, file)) { /* hierarchy:controllers:path */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path) continue;
        *controllers++ = 0;
        *path++ = 0;
        bool v2 = strcmp(line, "0") == 0 && *controllers == 0;
        if (!v2 && !names_cpu(controllers)) continue;
        snprintf(place, sizeof place, "%s/sys/fs/cgroup%s", root, v2 ? "" : "/cpu");
        int cpus = chain_cpus(place, path, v2);
        if (cpus > 0 && (least == 0 || cpus < least)) least = cpus;
    }
    fclose(file);
    return least;
}

static int affinity_cpus(void)
{
    for (size_t possible = 1024; possible <= 1 << 18; possible *= 2) {
        cpu_set_t *set = CPU_ALLOC(possible);
        if (!set) break;
        size_t size = CPU_ALLOC_SIZE(possible);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    return 1;
}

int tw_cpus_available(void)
{
    int cpus = affinity_cpus(), quota = tw_cpus_of_groups("");
    if (quota > 0 && quota < cpus) cpus = quota;
    return cpus > 1 ? cpus : 1;
}
