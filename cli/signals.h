/* signals.h - Ctrl-C, a polite kill and a closed terminal as a question asked between steps.
 *
 * The first such signal is only remembered; a second one ends the program at once. Outside of watched work signals
 * do what they do by default. */
#ifndef THALWEG_CLI_SIGNALS_H
#define THALWEG_CLI_SIGNALS_H

void signals_watch(void);
void signals_release(void);
/* The signal that came while watching, 0: none. Kept after release. */
int signals_caught(void);

#endif
