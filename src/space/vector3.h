/* space/vector3.h - vectors of three numbers; out may be any of the arguments. */
#ifndef TW_SPACE_VECTOR3_H
#define TW_SPACE_VECTOR3_H

static inline double v3_dot(const double *a, const double *b)
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
static inline void v3_sub(const double *a, const double *b, double *out)
{
    for (int i = 0; i < 3; i++) out[i] = a[i] - b[i];
}
static inline void v3_scale(double s, const double *a, double *out)
{
    for (int i = 0; i < 3; i++) out[i] = s * a[i];
}
static inline void v3_add(double *sum, double s, const double *a)
{
    for (int i = 0; i < 3; i++) sum[i] += s * a[i];
}
static inline void v3_cross(const double *a, const double *b, double *out)
{
    double x = a[1] * b[2] - a[2] * b[1], y = a[2] * b[0] - a[0] * b[2], z = a[0] * b[1] - a[1] * b[0];
    out[0] = x;
    out[1] = y;
    out[2] = z;
}

#endif
